-- Calls every function of schema activity under a catalog of a version that nobody knows:
-- prints those that do anything but refuse it (AC050), a line each.
SET client_min_messages = warning;
CREATE TABLE probe (organization_id text, user_id text, role text, status text);
CREATE FUNCTION pg_temp.value_of(type regtype, name text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN name = 'what' THEN '''read'''
		WHEN name = 'category' THEN '''membership'''
		WHEN name = 'name' THEN '''n' || floor(random() * 1000000) || ''''
		WHEN name IN ('amount', 'unit', 'metadata', 'ledger', 'url') THEN format('%L', CASE name WHEN 'url' THEN 'https://a.example.com/' WHEN 'metadata' THEN '{}' WHEN 'ledger' THEN '[]' ELSE name END)
		WHEN name = 'line' THEN '''{"line": "end"}'''
		WHEN name = 'secret' THEN '''whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'''
		WHEN name IN ('cursor', 'by', 'search', 'viewer', 'as_known', 'up_to') THEN 'NULL'
		WHEN name = 'receipt' THEN '''1:1:'''
		WHEN name = 'path' THEN '''/api/v1/organizations/o/activity'''
		WHEN type = 'text'::regtype THEN '''o'''
		WHEN type = 'uuid'::regtype THEN quote_literal(activity.event_id())
		WHEN type = 'timestamptz'::regtype THEN 'now()'
		WHEN type = 'interval'::regtype THEN '''1 day'''
		WHEN type = 'jsonb'::regtype THEN '''{}'''
		WHEN type IN ('integer'::regtype, 'bigint'::regtype) THEN '10'
		WHEN type = 'activity.event_type'::regtype THEN '''auth.signin'''
		WHEN type = 'activity.tier'::regtype THEN '''premium''::activity.tier'
		WHEN type = 'regclass'::regtype THEN '''probe'''
		WHEN type = 'regrole'::regtype THEN 'current_user::regrole'
		WHEN type = 'text[]'::regtype THEN '''{auth.signin}'''
		WHEN type = 'bytea'::regtype THEN '''\x00'''
		WHEN type = 'bytea[]'::regtype THEN 'ARRAY[''\x00''::bytea]'
		ELSE 'NULL::' || type
	END $$;
CREATE FUNCTION pg_temp.try(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	RETURN 'works';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
SELECT f.proname || ': ' || string_agg(DISTINCT f.said, ' ')
FROM (SELECT p.proname, pg_temp.try(format('SELECT * FROM activity.%I(%s)', p.proname, (
		SELECT string_agg(pg_temp.value_of(a.type, p.proargnames[a.n]), ', ' ORDER BY a.n)
		FROM unnest(p.proargtypes::regtype[]) WITH ORDINALITY a (type, n) WHERE a.n <= p.pronargs - p.pronargdefaults))) AS said
	FROM pg_proc p WHERE p.pronamespace = 'activity'::regnamespace AND p.prokind = 'f') f
WHERE f.said <> 'AC050' GROUP BY f.proname ORDER BY f.proname COLLATE "C";
