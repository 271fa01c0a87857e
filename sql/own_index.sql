-- The indexes that the extension has made, so that a lost one is noticed and made
-- again. What backs a constraint is not among them: that can't be lost alone.

CREATE TABLE _activity.own_index AS
SELECT held.relname AS relation, index.relname AS name,
	pg_catalog.pg_get_indexdef(index.oid) AS definition
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class held ON held.oid = i.indrelid
JOIN pg_catalog.pg_class index ON index.oid = i.indexrelid
WHERE held.relnamespace = '_activity'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.own_index
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.own_index ENABLE ALWAYS TRIGGER append_only;

-- The same with the partitions, which are made later: each has the indexes of its
-- parent's default partition; the segments of the stream have one.
CREATE VIEW _activity.wanted_index WITH (security_barrier) AS
SELECT relation, name, definition FROM _activity.own_index
UNION ALL
SELECT part.relname,
	(part.relname || pg_catalog.substr(own.name, pg_catalog.length(own.relation) + 1))::name,
	pg_catalog.replace(own.definition, own.relation, part.relname)
FROM _activity.own_index own
JOIN pg_catalog.pg_class template ON template.relname = own.relation
	AND template.relnamespace = '_activity'::regnamespace AND template.relispartition
JOIN pg_catalog.pg_inherits its ON its.inhrelid = template.oid
JOIN pg_catalog.pg_inherits other ON other.inhparent = its.inhparent AND other.inhrelid <> its.inhrelid
JOIN pg_catalog.pg_class part ON part.oid = other.inhrelid
	AND part.relnamespace = '_activity'::regnamespace AND part.relkind = 'r'
WHERE part.relname ~ '^[a-z_0-9]+$'
UNION ALL
SELECT part.relname, (part.relname || '_key')::name,
	pg_catalog.format('CREATE UNIQUE INDEX %I ON _activity.%I USING btree (organization, "position")',
		part.relname || '_key', part.relname)
FROM pg_catalog.pg_inherits its
JOIN pg_catalog.pg_class part ON part.oid = its.inhrelid
	AND part.relnamespace = '_activity'::regnamespace AND part.relkind = 'r'
WHERE its.inhparent = '_activity.stream'::regclass;
COMMENT ON VIEW _activity.wanted_index IS
	'every index that the tables of the extension must have, with the statement that makes it';

CREATE VIEW _activity.missing_index WITH (security_barrier) AS
SELECT wanted.relation, wanted.name, wanted.definition
FROM _activity.wanted_index wanted
-- By its name, and only where there is none of that name by what it says: to print
-- an index takes a lock on its table.
WHERE CASE WHEN EXISTS (
		SELECT FROM pg_catalog.pg_class index
		JOIN pg_catalog.pg_index i ON i.indexrelid = index.oid AND i.indisvalid
		WHERE index.relname = wanted.name AND index.relnamespace = '_activity'::regnamespace)
	THEN false
	ELSE NOT EXISTS (
		SELECT FROM pg_catalog.pg_class held
		JOIN pg_catalog.pg_index i ON i.indrelid = held.oid AND i.indisvalid
		JOIN pg_catalog.pg_class index ON index.oid = i.indexrelid
		WHERE held.relname = wanted.relation AND held.relnamespace = '_activity'::regnamespace
		  AND held.relispartition
		  AND pg_catalog.pg_get_indexdef(index.oid) = pg_catalog.replace(wanted.definition,
			'INDEX ' || wanted.name || ' ON', 'INDEX ' || pg_catalog.quote_ident(index.relname) || ' ON'))
	END;
COMMENT ON VIEW _activity.missing_index IS
	'indexes of the extension that are gone or not valid; activity.maintain() makes them again';

CREATE FUNCTION _activity.table_problems()
RETURNS TABLE (relation text, problem text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_table_problems';
COMMENT ON FUNCTION _activity.table_problems() IS
	'tables, indexes and sequences of the extension that are missing or have other columns than it made';

-- The triggers that the tables must have, all of them ENABLE ALWAYS.
CREATE VIEW _activity.wanted_trigger WITH (security_barrier) AS
SELECT relation::name, 'append_only'::name AS name
FROM unnest(ARRAY['event', 'expiry', 'incarnation', 'organization', 'organization_tier', 'own_index',
	'publication', 'redaction', 'segment', 'stream', 'stream_anchor']) relation
UNION ALL
VALUES ('event_type_definition'::name, 'forget_event_types'::name), ('measure', 'measure_changed'),
	('webhook_endpoint', 'webhook_endpoint_changed')
UNION ALL
SELECT part.relname, 'append_only'
FROM pg_catalog.pg_inherits its JOIN pg_catalog.pg_class part ON part.oid = its.inhrelid
WHERE its.inhparent IN ('_activity.event'::regclass, '_activity.stream'::regclass) AND part.relkind = 'r';
COMMENT ON VIEW _activity.wanted_trigger IS
	'every trigger that the tables of the extension must have, enabled always';

CREATE VIEW _activity.problem WITH (security_barrier) AS
SELECT pg_catalog.format('"_activity.%s" %s', relation, problem) AS problem,
	relation IN ('event', 'event_default', 'incarnation', 'publication', 'publication_pkey') AS stops
FROM _activity.table_problems()
UNION ALL
SELECT pg_catalog.format('index "_activity.%s" is missing: activity.maintain() makes it again', name), name ~ '_xid$'
FROM _activity.missing_index
UNION ALL
SELECT pg_catalog.format('table "_activity.%s" is unlogged: a crash empties it until ALTER TABLE ... SET LOGGED', c.relname), false
FROM pg_catalog.pg_class c
WHERE c.relnamespace = '_activity'::regnamespace AND c.relkind IN ('r', 'S') AND c.relpersistence <> 'p'
UNION ALL
SELECT pg_catalog.format('event trigger "%s" is off: nothing guards the tables', wanted.name), false
FROM (VALUES ('activity_guard_ddl'), ('activity_guard_drop')) wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger t
	WHERE t.evtname = wanted.name AND t.evtenabled = 'A')
UNION ALL
SELECT pg_catalog.format('event trigger "%s" is off: what becomes of tracked tables is not followed', wanted.name), false
FROM (VALUES ('activity_follow_alter'), ('activity_follow_drop')) wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger t
	WHERE t.evtname = wanted.name AND t.evtenabled IN ('A', 'O'))
UNION ALL
SELECT pg_catalog.format(CASE WHEN wanted.name = 'append_only'
		THEN 'table "_activity.%s" is not append-only: its trigger is missing, off or not ENABLE ALWAYS'
		ELSE 'trigger "%2$s" of table "_activity.%1$s" is missing, off or not ENABLE ALWAYS' END,
	wanted.relation, wanted.name), false
FROM _activity.wanted_trigger wanted
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
	WHERE c.relname = wanted.relation AND c.relnamespace = '_activity'::regnamespace
	  AND t.tgname = wanted.name AND t.tgenabled = 'A')
UNION ALL
SELECT '"_activity.publication" is empty, but events have been published: restore it from a backup of the same time', true
WHERE NOT EXISTS (SELECT FROM _activity.publication) AND EXISTS (SELECT FROM _activity.stream);
COMMENT ON VIEW _activity.problem IS
	'what is wrong with the tables of the extension, a sentence each; stops: what is committed can''t be told from what is published';
