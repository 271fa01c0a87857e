\echo Use "CREATE EXTENSION activity" to load this file. \quit

-- The server puts the schema of pgcrypto on the path, which is anybody's who may
-- install it, and runs this as a superuser.
SET LOCAL search_path = pg_catalog, pg_temp;

-- activity is the public interface, _activity holds what it stands on.
CREATE SCHEMA activity;
CREATE SCHEMA _activity;

COMMENT ON SCHEMA activity IS 'activity feed and audit log: the public interface';
COMMENT ON SCHEMA _activity IS 'activity feed and audit log: private tables and helpers';
