-- The tables that bench/record measures: one schema for each way to record, all
-- with the same memberships, 100,000 rows in 100 organizations.
-- Variables: pgq, table_log, hstore, track say what there is to compare with.
\set QUIET on
\set ON_ERROR_STOP on
\pset tuples_only on
\o /dev/null
SET client_min_messages = warning;
CREATE EXTENSION activity CASCADE;
CREATE SCHEMA bench;
CREATE FUNCTION bench.cpu() RETURNS float8
	AS '$libdir/activity_floor', 'floor_cpu' LANGUAGE c VOLATILE;
CREATE FUNCTION bench.empty() RETURNS trigger
	AS '$libdir/activity_floor', 'floor_empty' LANGUAGE c;
CREATE FUNCTION bench.floor() RETURNS trigger
	AS '$libdir/activity_floor', 'floor_record' LANGUAGE c;

-- What is measured, in the order of the report.
CREATE TABLE bench.variant (
	number serial PRIMARY KEY,
	name   name NOT NULL UNIQUE,
	title  text NOT NULL,
	log    regclass[]           -- where its events go
);
CREATE TABLE bench.result (
	round int, variant name, operation text, cpu float8, wal float8
);

CREATE PROCEDURE bench.add_variant(name name, title text)
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bench.variant (name, title) VALUES (name, title);
	EXECUTE format('CREATE SCHEMA %I', name);
	EXECUTE format($q$
		CREATE TABLE %I.memberships (
			id              bigint PRIMARY KEY,
			organization_id text NOT NULL,
			user_id         text NOT NULL,
			role            text NOT NULL,
			status          text NOT NULL,
			last_seen_at    timestamptz
		) WITH (fillfactor = 45, autovacuum_enabled = off)$q$, name);
	EXECUTE format($q$
		INSERT INTO %I.memberships
		SELECT i, 'org_' || i %% 100, 'user_' || i, 'member', 'active'
		FROM generate_series(1, 100000) i$q$, name);
END
$$;

-- A table for events as _activity.event has it, with the indexes of a partition.
CREATE PROCEDURE bench.add_log(name name, without regclass DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
	i record;
BEGIN
	EXECUTE format('CREATE TABLE %I.log (LIKE _activity.event)
					WITH (autovacuum_enabled = off)', name);
	FOR i IN
		SELECT indexrelid, replace(pg_get_indexdef(indexrelid),
				' ON _activity.event_default ', format(' ON %I.log ', name)) AS def,
			   relname
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE indrelid = '_activity.event_default'::regclass
		  AND indpred IS NULL -- these events go into no partial index
	LOOP
		IF i.indexrelid = without THEN
			CONTINUE;
		END IF;
		EXECUTE regexp_replace(i.def, ' INDEX \S+ ', format(' INDEX %I ',
			replace(i.relname, 'event_default', 'log')));
	END LOOP;
	UPDATE bench.variant v SET log = ARRAY[format('%I.log', add_log.name)::regclass]
	WHERE v.name = add_log.name;
END
$$;

-- ---------- nothing, a trigger that does nothing, the floor ----------

CALL bench.add_variant('untracked', 'untracked');

CALL bench.add_variant('empty', 'empty C trigger');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON empty.memberships
	FOR EACH ROW EXECUTE FUNCTION bench.empty();

CREATE TABLE bench.template_insert (LIKE _activity.event);
CREATE TABLE bench.template_update (LIKE _activity.event);
CREATE TABLE bench.template_delete (LIKE _activity.event);

CREATE PROCEDURE bench.add_floor(name name, title text, without regclass DEFAULT NULL)
LANGUAGE plpgsql AS $$
BEGIN
	CALL bench.add_variant(name, title);
	CALL bench.add_log(name, without);
	EXECUTE format('CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON %I.memberships
		FOR EACH ROW EXECUTE FUNCTION bench.floor(%L)', name,
		(SELECT log[1]::oid FROM bench.variant v WHERE v.name = add_floor.name));
END
$$;
CALL bench.add_floor('floor', 'the floor');

-- ---------- by hand in PL/pgSQL: no checks, no sentence, a fixed actor ----------

CALL bench.add_variant('plpgsql_row', 'PL/pgSQL by hand, row level');
CALL bench.add_log('plpgsql_row');
CREATE FUNCTION plpgsql_row.record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO plpgsql_row.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context) VALUES (
			activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(NEW.organization_id) & 65535, 8, hashtext('user_1'),
			hashtext(NEW.user_id), 'user', 'user_1', NULL, 'Member joined',
			jsonb_build_object('kind', 'member', 'id', NEW.user_id, 'role', NEW.role,
				'status', NEW.status),
			NULL, '{"database_role": "postgres"}');
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO plpgsql_row.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context) VALUES (
			activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(OLD.organization_id) & 65535, 12, hashtext('user_1'),
			hashtext(OLD.user_id), 'user', 'user_1', NULL, 'Member was removed',
			jsonb_build_object('kind', 'member', 'id', OLD.user_id, 'role', OLD.role,
				'status', OLD.status),
			NULL, '{"database_role": "postgres"}');
	ELSIF OLD.role IS DISTINCT FROM NEW.role OR OLD.status IS DISTINCT FROM NEW.status THEN
		INSERT INTO plpgsql_row.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context) VALUES (
			activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(NEW.organization_id) & 65535, 9, hashtext('user_1'),
			hashtext(NEW.user_id), 'user', 'user_1', NULL, 'Member role changed',
			jsonb_build_object('kind', 'member', 'id', NEW.user_id, 'role', NEW.role,
				'status', NEW.status),
			jsonb_build_object('old_role', OLD.role), '{"database_role": "postgres"}');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON plpgsql_row.memberships
	FOR EACH ROW EXECUTE FUNCTION plpgsql_row.record();

CALL bench.add_variant('plpgsql_statement', 'PL/pgSQL by hand, statement level');
CALL bench.add_log('plpgsql_statement');
CREATE FUNCTION plpgsql_statement.record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO plpgsql_statement.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
		SELECT activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(n.organization_id) & 65535, 8, hashtext('user_1'),
			hashtext(n.user_id), 'user', 'user_1', NULL, 'Member joined',
			jsonb_build_object('kind', 'member', 'id', n.user_id, 'role', n.role,
				'status', n.status),
			NULL, '{"database_role": "postgres"}'
		FROM new_rows n;
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO plpgsql_statement.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
		SELECT activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(o.organization_id) & 65535, 12, hashtext('user_1'),
			hashtext(o.user_id), 'user', 'user_1', NULL, 'Member was removed',
			jsonb_build_object('kind', 'member', 'id', o.user_id, 'role', o.role,
				'status', o.status),
			NULL, '{"database_role": "postgres"}'
		FROM old_rows o;
	ELSE
		INSERT INTO plpgsql_statement.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
		SELECT activity.event_id(), clock_timestamp(), pg_current_xact_id(), '00000000-0000-0000-0000-000000000000',
			hashtext(n.organization_id) & 65535, 9, hashtext('user_1'),
			hashtext(n.user_id), 'user', 'user_1', NULL, 'Member role changed',
			jsonb_build_object('kind', 'member', 'id', n.user_id, 'role', n.role,
				'status', n.status),
			jsonb_build_object('old_role', o.role), '{"database_role": "postgres"}'
		FROM new_rows n JOIN old_rows o ON o.id = n.id
		WHERE o.role IS DISTINCT FROM n.role OR o.status IS DISTINCT FROM n.status;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER i AFTER INSERT ON plpgsql_statement.memberships
	REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION plpgsql_statement.record();
CREATE TRIGGER u AFTER UPDATE ON plpgsql_statement.memberships
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION plpgsql_statement.record();
CREATE TRIGGER d AFTER DELETE ON plpgsql_statement.memberships
	REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION plpgsql_statement.record();

-- ---------- activity ----------

CREATE FUNCTION bench.begin_session(variant name) RETURNS void
LANGUAGE sql AS $$
	SELECT set_config('synchronous_commit', 'off', false);
	SELECT set_config('activity.actor_id', 'user_1', false);
	SELECT set_config('activity.notify',
		CASE variant WHEN 'tracked_notify' THEN 'both' ELSE 'off' END, false);
$$;
\if :track
CALL bench.add_variant('tracked', '**activity**');
SELECT FROM activity.track('tracked.memberships', 'membership');
CALL bench.add_variant('tracked_notify', '**activity** with NOTIFY');
SELECT FROM activity.track('tracked_notify.memberships', 'membership');
\endif

-- ---------- peers ----------

\if :pgq
CREATE EXTENSION pgq;
SELECT pgq.create_queue('bench');
CALL bench.add_variant('jsontriga', 'PgQ `jsontriga`');
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON jsontriga.memberships
	FOR EACH ROW EXECUTE FUNCTION pgq.jsontriga('bench');
\endif

\if :hstore
CREATE EXTENSION hstore;
-- In the shape that many applications have: whole row and changed fields.
CALL bench.add_variant('hstore_audit', 'audit trigger with hstore');
CREATE TABLE hstore_audit.log (
	number         bigserial PRIMARY KEY,
	schema_name    text NOT NULL,
	table_name     text NOT NULL,
	table_oid      oid NOT NULL,
	user_name      text,
	at_transaction timestamptz NOT NULL,
	at_statement   timestamptz NOT NULL,
	at_clock       timestamptz NOT NULL,
	transaction_id bigint,
	application    text,
	client_address inet,
	client_port    int,
	query          text,
	action         text NOT NULL CHECK (action IN ('I', 'U', 'D')),
	whole_row      hstore,
	changes        hstore
);
CREATE INDEX ON hstore_audit.log (table_oid);
CREATE INDEX ON hstore_audit.log (at_statement);
CREATE INDEX ON hstore_audit.log (action);
CREATE FUNCTION hstore_audit.record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	entry hstore_audit.log;
BEGIN
	entry := ROW(
		nextval('hstore_audit.log_number_seq'), TG_TABLE_SCHEMA, TG_TABLE_NAME,
		TG_RELID, session_user, current_timestamp, statement_timestamp(),
		clock_timestamp(), txid_current(), current_setting('application_name'),
		inet_client_addr(), inet_client_port(), current_query(),
		substring(TG_OP, 1, 1), NULL, NULL);
	IF TG_OP = 'UPDATE' THEN
		entry.whole_row := hstore(OLD.*);
		entry.changes := hstore(NEW.*) - entry.whole_row;
		IF entry.changes = hstore('') THEN
			RETURN NULL;
		END IF;
	ELSIF TG_OP = 'DELETE' THEN
		entry.whole_row := hstore(OLD.*);
	ELSE
		entry.whole_row := hstore(NEW.*);
	END IF;
	INSERT INTO hstore_audit.log (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context) VALUES (entry.*);
	RETURN NULL;
END
$$;
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON hstore_audit.memberships
	FOR EACH ROW EXECUTE FUNCTION hstore_audit.record();
\endif

\if :table_log
CREATE EXTENSION table_log;
CALL bench.add_variant('table_log', 'table_log');
SELECT table_log_init(5, 'table_log', 'memberships', 'table_log', 'log');
\endif

-- ---------- what the floor writes ----------

SELECT bench.begin_session('tracked');
\if :track
INSERT INTO tracked.memberships VALUES (-1, 'org_1', 'user_1000', 'member', 'active');
UPDATE tracked.memberships SET role = 'admin' WHERE id = -1;
DELETE FROM tracked.memberships WHERE id = -1;
\else
SELECT activity.record('org_1', 'membership.joined',
	'{"id": "user_1000", "role": "member", "status": "active"}');
SELECT activity.record('org_1', 'membership.role_changed',
	'{"id": "user_1000", "role": "admin", "status": "active"}', '{"old_role": "member"}');
SELECT activity.record('org_1', 'membership.removed',
	'{"id": "user_1000", "role": "admin", "status": "active"}');
\endif
INSERT INTO bench.template_insert SELECT * FROM _activity.event ORDER BY id LIMIT 1;
INSERT INTO bench.template_update SELECT * FROM _activity.event ORDER BY id OFFSET 1 LIMIT 1;
INSERT INTO bench.template_delete SELECT * FROM _activity.event ORDER BY id OFFSET 2 LIMIT 1;

-- ---------- the floor without one of the indexes ----------

CALL bench.add_floor('without_nothing', 'all');
SELECT format('CALL bench.add_floor(%L, %L, %L)',
			  'without_' || replace(relname, 'event_default_', ''),
			  replace(relname, 'event_default_', ''), indexrelid::regclass)
FROM pg_index JOIN pg_class c ON c.oid = indexrelid
WHERE indrelid = '_activity.event_default'::regclass
		  AND indpred IS NULL -- these events go into no partial index
ORDER BY indexrelid
\o
\gexec
CHECKPOINT;
