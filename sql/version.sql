CREATE FUNCTION activity.version(OUT library text, OUT installed text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_version';
COMMENT ON FUNCTION activity.version() IS
	'the version of the library that this session runs, and of the extension as it is installed in this database; they differ between the upgrade of a package and ALTER EXTENSION activity UPDATE';
