-- The taxonomy: what is built in is compiled into the library; what the
-- application defined is here.
--
-- The table is read with a scan of our own by the input and output functions of
-- activity.event_type, also in logical decoding, hence user_catalog_table. The
-- code is a hash of the key (taxonomy.h says why). The trigger makes every
-- backend read the table anew, also after COPY in a restore.
CREATE TABLE _activity.event_type_definition (
	code         integer PRIMARY KEY CHECK (code >= 10000),
	key          text    NOT NULL UNIQUE COLLATE "C"
		CHECK (key ~ '^[a-z0-9_]+\.[a-z0-9_]+$' AND octet_length(key) <= 127),
	family       text,
	subject_kind text,
	required     text[]  NOT NULL,
	template     text    NOT NULL,
	meaning      text
) WITH (user_catalog_table = true);

SELECT pg_catalog.pg_extension_config_dump('_activity.event_type_definition', '');

CREATE FUNCTION _activity.forget_event_types() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_forget_event_types';
COMMENT ON FUNCTION _activity.forget_event_types() IS
	'makes every backend read the definitions of event types anew';

CREATE TRIGGER forget_event_types
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _activity.event_type_definition
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.forget_event_types();
ALTER TABLE _activity.event_type_definition ENABLE ALWAYS TRIGGER forget_event_types;

CREATE FUNCTION activity.define_event_type(key text, template text, required text[] DEFAULT '{}',
	family text DEFAULT NULL, subject_kind text DEFAULT NULL, meaning text DEFAULT NULL)
	RETURNS activity.event_type
	LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'act_define_event_type';
COMMENT ON FUNCTION activity.define_event_type(text, text, text[], text, text, text) IS
	'adds an event type of the application, or revises one that it added';

CREATE FUNCTION activity.render_description(event_type activity.event_type, subject jsonb DEFAULT NULL,
	metadata jsonb DEFAULT NULL) RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_render_description';
COMMENT ON FUNCTION activity.render_description(activity.event_type, jsonb, jsonb) IS
	'the description that an event of this type with this subject and metadata gets';

CREATE FUNCTION _activity.event_types(OUT key text, OUT category text, OUT action text, OUT family text,
	OUT synonym_of text, OUT subject_kind text, OUT required text[], OUT template text, OUT meaning text,
	OUT built_in boolean) RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'act_event_types';
COMMENT ON FUNCTION _activity.event_types() IS 'the rows of activity.event_types';

CREATE VIEW activity.event_types WITH (security_barrier) AS
	SELECT key, category, action, family, synonym_of, subject_kind, required, template, meaning, built_in
	FROM _activity.event_types();
COMMENT ON VIEW activity.event_types IS
	'the taxonomy: every event type, built in or defined by activity.define_event_type()';
