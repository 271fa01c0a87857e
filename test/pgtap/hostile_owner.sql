-- Who owns the extension without being a superuser owns its tables, and yet gets
-- no code of his run by others, and no value read as what it is not.
\set ON_ERROR_STOP 1
SELECT plan(33);
DROP EXTENSION activity CASCADE;
CREATE ROLE regress_activity_owner;
SELECT lives_ok(format('GRANT CREATE ON DATABASE %I TO regress_activity_owner', current_database()));
CREATE SCHEMA trap AUTHORIZATION regress_activity_owner;
SET ROLE regress_activity_owner;
CREATE EXTENSION activity;

-- Who runs it is written down.
CREATE TABLE trap.victim (who text, via text);
GRANT ALL ON SCHEMA trap TO PUBLIC;
GRANT ALL ON trap.victim TO PUBLIC;
CREATE FUNCTION trap.note(via text) RETURNS integer LANGUAGE sql AS $$
	INSERT INTO trap.victim VALUES (current_user, via) RETURNING 1
$$;
CREATE FUNCTION trap.spring(via text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN trap.note(via);
END $$;
CREATE FUNCTION trap.spring_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO trap.victim VALUES (current_user, TG_TABLE_NAME);
	RETURN NEW;
END $$;
RESET ROLE;
SELECT activity.set_tier('org', 'enterprise');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}');
SELECT activity.publish();
SELECT activity.record('org', 'credit.charge', '{"amount": 2}'); -- not published

-- Runs the owner's DDL, then what a superuser or the worker does, and takes
-- both back.
CREATE FUNCTION attack(ddl text, work text, OUT state text) LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		SET LOCAL ROLE regress_activity_owner;
		EXECUTE ddl;
		RESET ROLE;
		BEGIN
			EXECUTE work;
			state := 'done';
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
		END;
		state := state || (SELECT COALESCE(string_agg(', ran as ' || who || ' by ' || via, ''), '')
			FROM trap.victim WHERE who <> 'regress_activity_owner');
		RAISE SQLSTATE 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
	END;
END $$;
\set record 'SELECT activity.record(''new'', ''credit.charge'', ''{"amount": 1}'')'

-- Code in what is written.
SELECT is(attack('CREATE TRIGGER t BEFORE INSERT ON _activity.organization FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()',
	:'record'), 'done', 'triggers of rows do not run');
SELECT is(attack('CREATE TRIGGER t AFTER INSERT ON _activity.event_default FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()',
	:'record'), 'done', 'nor those of events');
SELECT is(attack('CREATE CONSTRAINT TRIGGER t AFTER INSERT ON _activity.organization DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()',
	:'record' || '; SET CONSTRAINTS ALL IMMEDIATE'), 'done', 'nor deferred ones');
SELECT is(attack('ALTER TABLE _activity.organization ADD CHECK (trap.spring(id) = 1) NOT VALID',
	:'record'), 'done', 'checks do not run');
SELECT is(attack('CREATE INDEX ON _activity.organization ((trap.spring(''index'')))', :'record'),
	'55000', 'expressions of indexes are refused');
SELECT is(attack('CREATE INDEX ON _activity.event_default ((trap.spring(''index'')))',
	'SELECT activity.record(''org'', ''credit.charge'', ''{"amount": 1}'', occurred_at => ''1990-05-05'')'),
	'55000', 'those of events, too');
SELECT is(attack('CREATE INDEX ON _activity.organization (key) WHERE trap.spring(id) = 1', :'record'),
	'55000', 'so is a predicate');
SELECT is(attack('CREATE INDEX ON _activity.publication ((trap.spring(''publication'')))',
	'SELECT activity.publish()'), '55000', 'also when publishing');
SELECT is(attack('CREATE INDEX ON _activity.stream_1 ((trap.spring(''stream'')))',
	'SELECT activity.publish()'), '55000', 'also in the stream');
SELECT is(attack('ALTER TABLE _activity.organization ENABLE ROW LEVEL SECURITY;
	ALTER TABLE _activity.organization FORCE ROW LEVEL SECURITY;
	CREATE POLICY p ON _activity.organization USING (trap.spring(''policy'') = 1)',
	'SELECT count(*) FROM activity.feed(''org'')'), 'done', 'policies do not run');
SELECT is(attack('CREATE RULE r AS ON INSERT TO _activity.organization DO ALSO SELECT trap.spring(''rule'')',
	:'record'), 'done', 'rules do not run');
SELECT is(attack('ALTER TABLE _activity.gap ADD COLUMN extra integer GENERATED ALWAYS AS (trap.spring(reason)) STORED',
	:'record'), 'done', 'generated columns elsewhere do not matter');
SELECT throws_ok('SET LOCAL ROLE regress_activity_owner; CREATE OR REPLACE VIEW _activity.retention_of AS
	SELECT key, id AS organization, NULL::activity.tier AS tier, NULL::interval AS keep, NULL::text AS set_for
	FROM _activity.organization', '42501', NULL, 'views that others read are not the owner''s');

-- Values that are read as another type than they have.
SELECT is(attack(ddl, work), '55000', regexp_replace(ddl, '\s+', ' ', 'g'))
FROM (VALUES
	('ALTER TABLE _activity.organization RENAME TO former;
	  ALTER INDEX _activity.organization_id_idx RENAME TO former_id_idx;
	  ALTER INDEX _activity.organization_key_idx RENAME TO former_key_idx;
	  CREATE TABLE _activity.organization (key integer NOT NULL, id bigint NOT NULL);
	  CREATE INDEX organization_id_idx ON _activity.organization (id, key);
	  CREATE INDEX organization_key_idx ON _activity.organization (key);
	  INSERT INTO _activity.organization SELECT key, 4711 FROM _activity.former',
	 'SELECT activity.publish()'),
	('ALTER TABLE _activity.organization RENAME TO former;
	  CREATE VIEW _activity.organization AS SELECT * FROM _activity.former', :'record'),
	('ALTER TABLE _activity.organization ALTER COLUMN id DROP NOT NULL', :'record'),
	('ALTER TABLE _activity.event ALTER COLUMN salt TYPE text', 'SELECT count(*) FROM activity.verify(''org'')'),
	('ALTER TABLE _activity.event ADD COLUMN extra text', 'SELECT count(*) FROM activity.feed(''org'')'),
	('ALTER TABLE _activity.event ALTER COLUMN subject DROP NOT NULL', :'record'),
	('ALTER TABLE _activity.event RENAME TO former;
	  CREATE TABLE _activity.event (LIKE _activity.former)', :'record'),
	('ALTER TABLE _activity.event RENAME TO former;
	  CREATE TABLE _activity.event (LIKE _activity.former) PARTITION BY LIST (organization)', :'record'),
	('ALTER TABLE _activity.feature_override ALTER COLUMN tier DROP NOT NULL',
	 'SELECT count(*) FROM activity.feed(''org'')'),
	('ALTER TABLE _activity.event_type_definition ALTER COLUMN required DROP NOT NULL',
	 'SELECT count(*) FROM activity.event_types'),
	('ALTER TABLE _activity.publication ALTER COLUMN settled TYPE text', 'SELECT activity.publish()'),
	('ALTER TABLE _activity.segment ALTER COLUMN epoch TYPE text', 'SELECT activity.publish()'),
	('ALTER TABLE _activity.stream ALTER COLUMN hash TYPE text', 'SELECT activity.publish()'),
	('ALTER TABLE _activity.webhook_endpoint ALTER COLUMN organization DROP NOT NULL',
	 'SELECT activity.publish()'),
	('DROP INDEX _activity.organization_id_idx; CREATE INDEX organization_id_idx ON _activity.gap (category, reason)', :'record'),
	('DROP INDEX _activity.organization_id_idx; CREATE INDEX organization_id_idx ON _activity.organization USING hash (id)', :'record')
) AS attacks (ddl, work);

-- Partitions that look alike.
CREATE FUNCTION like_event(order_by text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)
		|| CASE WHEN attcollation = 'pg_catalog."C"'::regcollation THEN ' COLLATE "C"' ELSE '' END
		|| CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END),
		', ' ORDER BY CASE order_by WHEN 'name' THEN attname::text ELSE to_char(attnum, '000') END)
	FROM pg_attribute WHERE attrelid = '_activity.event'::regclass AND attnum > 0
$$;
SELECT is(attack('CREATE TABLE trap.part (' || like_event('name') || ');
	ALTER TABLE _activity.event ATTACH PARTITION trap.part FOR VALUES FROM (''1990-01-01'') TO (''1991-01-01'')',
	'SELECT activity.record(''org'', ''credit.charge'', ''{"amount": 1}'', occurred_at => ''1990-05-05'')'),
	'55000', 'a partition with the columns in another order');
SELECT is(attack('CREATE TABLE trap.part (' || like_event('number') || ') PARTITION BY RANGE (occurred_at);
	ALTER TABLE _activity.event ATTACH PARTITION trap.part FOR VALUES FROM (''1990-01-01'') TO (''1991-01-01'')',
	'SELECT activity.record(''org'', ''credit.charge'', ''{"amount": 1}'', occurred_at => ''1990-05-05'')'),
	'55000', 'a partition that has partitions');
SELECT is(attack('SELECT 1', :'record' || '; SELECT activity.publish()'), 'done', 'all as made');
SELECT * FROM finish();
DROP EXTENSION activity CASCADE;
DROP OWNED BY regress_activity_owner CASCADE;
DROP ROLE regress_activity_owner;
