-- Events are append-only, and go with the extension only when CASCADE says so.

CREATE FUNCTION _activity.refuse_change() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_refuse_change';
COMMENT ON FUNCTION _activity.refuse_change() IS
	'trigger of append-only tables: refuses UPDATE, DELETE and TRUNCATE by anybody';

-- Each monthly partition gets the same from partition.c.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.event
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.event ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.event_default
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.event_default ENABLE ALWAYS TRIGGER append_only;

-- Which organization a key means decides who sees an event, and tiers are kept as
-- they were.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.organization
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.organization ENABLE ALWAYS TRIGGER append_only;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.organization_tier
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.organization_tier ENABLE ALWAYS TRIGGER append_only;

CREATE FUNCTION _activity.guard_drop() RETURNS event_trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_guard_drop';
COMMENT ON FUNCTION _activity.guard_drop() IS
	'event trigger: DROP EXTENSION, DROP OWNED and DROP TABLE without CASCADE destroy no events, and DROP INDEX none of the extension''s indexes';
CREATE EVENT TRIGGER activity_guard_drop ON ddl_command_start
	WHEN TAG IN ('DROP EXTENSION', 'DROP OWNED', 'DROP TABLE', 'DROP INDEX')
	EXECUTE FUNCTION _activity.guard_drop();
ALTER EVENT TRIGGER activity_guard_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER activity_guard_drop IS
	'events are not dropped without CASCADE, and the extension''s indexes not at all';
