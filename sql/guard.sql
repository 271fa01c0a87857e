-- The owner of the private tables, who need not be a superuser, gets no code of
-- his run by others.

CREATE FUNCTION _activity.check_tables(VARIADIC names text[]) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_check_tables';
COMMENT ON FUNCTION _activity.check_tables(text[]) IS
	'throws 55000 if private tables have triggers, rules, policies, constraints, defaults, indexes, statistics or children that would run what is not the extension''s; called before they are written to';

CREATE FUNCTION _activity.guard_ddl() RETURNS event_trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_guard_ddl';
COMMENT ON FUNCTION _activity.guard_ddl() IS
	'event trigger: nothing that would run is put on the private tables, and functions of the extension are changed by superusers only';
CREATE EVENT TRIGGER activity_guard_ddl ON ddl_command_end
	EXECUTE FUNCTION _activity.guard_ddl();
ALTER EVENT TRIGGER activity_guard_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER activity_guard_ddl IS
	'what would run with the rights of whoever uses the extension is not put on its tables';
