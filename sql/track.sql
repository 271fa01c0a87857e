-- Tracked tables: set-up, the triggers' functions, what is tracked, gaps.

-- What tracking could not record as it should; only ever added to, so that
-- writers never wait for one another. maintain() may fold it.
CREATE TABLE _activity.gap (
	tracking      uuid        NOT NULL, -- the call of track(), by its trigger's argument
	category      text        NOT NULL,
	tracked       text        NOT NULL, -- the table's name then
	reason        text        NOT NULL,
	changes       bigint      NOT NULL,
	noticed_at    timestamptz NOT NULL,
	database_role text
);
SELECT pg_catalog.pg_extension_config_dump('_activity.gap', '');

CREATE FUNCTION _activity.capture_row() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_capture_row';
COMMENT ON FUNCTION _activity.capture_row() IS
	'records what a changed row of a tracked table means; its argument says how';

CREATE FUNCTION _activity.capture_begin() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_capture_begin';
COMMENT ON FUNCTION _activity.capture_begin() IS
	'before a statement on a tracked table: its events may be written together';

CREATE FUNCTION _activity.capture_end() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_capture_end';
COMMENT ON FUNCTION _activity.capture_end() IS
	'after a statement on a tracked table: writes what waits';

CREATE FUNCTION _activity.capture_truncate() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_capture_truncate';
COMMENT ON FUNCTION _activity.capture_truncate() IS
	'before TRUNCATE of a tracked table: records what deleting every row would';

CREATE FUNCTION activity.track(
	tracked    regclass,
	category   text,
	columns    jsonb DEFAULT NULL,
	rules      jsonb DEFAULT NULL,
	on_unknown text  DEFAULT 'warn')
RETURNS TABLE (operation text, condition text, event_type activity.event_type)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_track';
COMMENT ON FUNCTION activity.track(regclass, text, jsonb, jsonb, text) IS
	'records from a table''s own changes from now on, and says by which rules; the caller owns the table; errors: AC007, 22023, 42501';

CREATE FUNCTION activity.untrack(tracked regclass) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_untrack';
COMMENT ON FUNCTION activity.untrack(regclass) IS
	'records nothing from the table''s changes any more; what was recorded stays';

-- The argument ends with a zero byte, which no text may hold.
CREATE FUNCTION _activity.trigger_argument(arguments bytea) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.convert_from(
		pg_catalog.substr(arguments, 1, pg_catalog.length(arguments) OPERATOR(pg_catalog.-) 1),
		pg_catalog.getdatabaseencoding())::pg_catalog.jsonb;
END;
COMMENT ON FUNCTION _activity.trigger_argument(bytea) IS
	'how a table is tracked, from pg_trigger.tgargs of its row trigger';

CREATE VIEW activity.tracked WITH (security_barrier) AS
SELECT t.tgrelid::regclass AS tracked,
	   a.argument ->> 'category' AS category,
	   a.argument -> 'columns' AS columns,
	   a.argument - '{category,id,on_unknown,columns}'::text[] AS rules,
	   a.argument ->> 'on_unknown' AS on_unknown,
	   t.tgenabled <> 'D' AS enabled,
	   t.tgenabled = 'A' AS replica,
	   COALESCE((SELECT sum(g.changes) FROM _activity.gap g
				 WHERE g.tracking = (a.argument ->> 'id')::uuid), 0)::bigint AS gaps
FROM pg_catalog.pg_trigger t
	 CROSS JOIN LATERAL (SELECT _activity.trigger_argument(t.tgargs)) AS a (argument)
WHERE t.tgfoid = '_activity.capture_row()'::regprocedure
  AND t.tgparentid = 0;
COMMENT ON VIEW activity.tracked IS
	'tracked tables: by which category, columns and rules; gaps counts changes that were not recorded as they should';

CREATE VIEW activity.gaps WITH (security_barrier) AS
SELECT g.tracked, g.category, g.reason,
	   sum(g.changes)::bigint AS changes,
	   min(g.noticed_at) AS first_at,
	   max(g.noticed_at) AS last_at,
	   array_agg(DISTINCT g.database_role) AS database_roles
FROM _activity.gap g
GROUP BY g.tracking, g.tracked, g.category, g.reason;
COMMENT ON VIEW activity.gaps IS
	'what tracking could not record as it should, and why: unknown states, missing values, activity.capture turned off';

CREATE FUNCTION _activity.follow_alter() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_follow_alter';
COMMENT ON FUNCTION _activity.follow_alter() IS
	'tracked tables follow renamed columns and new partitions';

CREATE FUNCTION _activity.follow_drop() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_follow_drop';
COMMENT ON FUNCTION _activity.follow_drop() IS
	'refuses to drop a column that a tracked table needs';

CREATE EVENT TRIGGER activity_follow_alter ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE')
	EXECUTE FUNCTION _activity.follow_alter();
COMMENT ON EVENT TRIGGER activity_follow_alter IS
	'tracked tables follow renamed columns and new partitions';

CREATE EVENT TRIGGER activity_follow_drop ON sql_drop
	WHEN TAG IN ('ALTER TABLE', 'DROP TYPE', 'DROP DOMAIN', 'DROP SCHEMA', 'DROP OWNED')
	EXECUTE FUNCTION _activity.follow_drop();
COMMENT ON EVENT TRIGGER activity_follow_drop IS
	'refuses to drop a column that a tracked table needs';
