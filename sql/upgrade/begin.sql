-- What each upgrade begins with: a server that has preloaded an older library, or a
-- session that began before, would go on with that one, and know nothing of what
-- follows.
DO $$
DECLARE
	library text := 'an older one';
BEGIN
	BEGIN
		CREATE FUNCTION _activity.at_hand(OUT library text, OUT installed text)
		LANGUAGE c AS 'MODULE_PATHNAME', 'act_version';
		SELECT at_hand.library INTO library FROM _activity.at_hand();
		DROP FUNCTION _activity.at_hand();
	EXCEPTION WHEN undefined_function THEN
		NULL;
	END;
	IF library <> '@VERSION@' THEN
		RAISE EXCEPTION 'the library of activity @VERSION@ is not the one that runs here, but %', library
			USING ERRCODE = 'AC050',
			HINT = 'Restart the server if activity is in shared_preload_libraries, else reconnect; then run ALTER EXTENSION activity UPDATE again.';
	END IF;
END
$$;
