-- Who owns the extension without being a superuser owns its tables, and yet gets
-- no code of his run by others, and no value read as what it is not.
\set ON_ERROR_STOP 1
SELECT plan(149);
DROP EXTENSION activity CASCADE;
CREATE ROLE regress_activity_owner;
SELECT lives_ok(format('GRANT CREATE ON DATABASE %I TO regress_activity_owner', current_database()));
CREATE SCHEMA trap AUTHORIZATION regress_activity_owner;
SET ROLE regress_activity_owner;
CREATE EXTENSION activity;

-- Who runs it is written down, where no rollback takes it back.
CREATE SEQUENCE trap.sprung;
GRANT ALL ON SCHEMA trap TO PUBLIC;
GRANT ALL ON trap.sprung TO PUBLIC;
CREATE FUNCTION trap.note() RETURNS bigint LANGUAGE sql AS $$
	SELECT CASE WHEN current_user <> 'regress_activity_owner' THEN nextval('trap.sprung') END
$$;
CREATE FUNCTION trap.spring(via text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM trap.note();
	RETURN 1;
END $$;
CREATE FUNCTION trap.spring_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM trap.note();
	RETURN coalesce(NEW, OLD);
END $$;
CREATE DOMAIN trap.text AS text CHECK (trap.spring(VALUE) = 1);
RESET ROLE;
SELECT activity.set_tier('org', 'enterprise');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}');
SELECT activity.publish();
SELECT activity.record('org', 'credit.charge', '{"amount": 2}'); -- not published
SELECT activity.record('org', 'credit.charge', '{"amount": 3}', occurred_at => '1985-05-05');
SELECT activity.set_retention('org', '10 years');
CREATE TABLE members (id integer PRIMARY KEY, organization_id text, user_id text, status text);
SELECT count(*) FROM activity.track('members', 'membership');
INSERT INTO members VALUES (1, 'org', 'u1', 'active');
SELECT endpoint_id AS endpoint FROM activity.create_webhook('org', 'https://hooks.example.com/in') \gset
SELECT connection_id AS connection, secret FROM activity.create_connection('org', 'u1') \gset
SELECT activity.test_webhook(:'endpoint') AS delivery \gset

-- Putting it there is refused, whoever does it.
CREATE TABLE ways AS SELECT * FROM (VALUES
	('CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON _activity.retention_rule FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()'),
	('CREATE TRIGGER evil AFTER INSERT OR UPDATE ON _activity.retention_rule EXECUTE FUNCTION trap.spring_trigger()'),
	('CREATE CONSTRAINT TRIGGER evil AFTER INSERT OR UPDATE ON _activity.retention_rule
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()'),
	('CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON _activity.retention_rule FOR EACH ROW
		WHEN (trap.spring(NEW.organization) = 2) EXECUTE FUNCTION _activity.forget_event_types()'),
	('CREATE RULE evil AS ON INSERT TO _activity.retention_rule DO ALSO SELECT trap.spring(''rule'')'),
	('ALTER TABLE _activity.retention_rule ENABLE ROW LEVEL SECURITY'),
	('ALTER TABLE _activity.retention_rule FORCE ROW LEVEL SECURITY'),
	('ALTER TABLE _activity.retention_rule ADD CHECK (trap.spring(organization) = 1) NOT VALID'),
	('ALTER TABLE _activity.retention_rule ADD CHECK (set_config(''work_mem'', ''1MB'', false) <> '''') NOT VALID'),
	('ALTER TABLE _activity.retention_rule ADD COLUMN evil integer DEFAULT trap.spring(''default'')'),
	('ALTER TABLE _activity.retention_rule ADD COLUMN evil integer GENERATED ALWAYS AS (trap.spring(organization)) STORED'),
	('ALTER TABLE _activity.retention_rule ADD COLUMN evil trap.text'),
	('CREATE INDEX evil ON _activity.retention_rule ((trap.spring(''index'')))'),
	('CREATE INDEX evil ON _activity.retention_rule (trap.spring(organization))'),
	('CREATE INDEX evil ON _activity.retention_rule (tier) WHERE trap.spring(organization) = 1'),
	('CREATE STATISTICS trap.evil ON (trap.spring(organization)) FROM _activity.retention_rule'),
	('CREATE TABLE trap.child () INHERITS (_activity.retention_rule)'),
	('CREATE TABLE trap.referring (tier activity.tier REFERENCES _activity.retention_rule (tier))')
) AS way (ddl);
GRANT SELECT ON ways TO regress_activity_owner;
SET ROLE regress_activity_owner;
SELECT throws_ok(ddl, '55000', NULL, 'refused: ' || regexp_replace(ddl, '\s+', ' ', 'g')) FROM ways;
SELECT throws_ok(ddl, '55000', NULL, 'refused: ' || regexp_replace(ddl, '\s+', ' ', 'g'))
FROM (VALUES
	('CREATE TRIGGER evil AFTER INSERT ON _activity.event_default FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()'),
	('CREATE TRIGGER evil AFTER INSERT ON _activity.event FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()'),
	('CREATE INDEX ON _activity.stream_1 ((trap.spring(''stream'')))'),
	('CREATE SCHEMA more CREATE TABLE child () INHERITS (_activity.gap)'),
	('CREATE TABLE trap.part (LIKE _activity.event);
	  CREATE TRIGGER evil AFTER INSERT ON trap.part FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger();
	  ALTER TABLE _activity.event ATTACH PARTITION trap.part FOR VALUES FROM (''1980-01-01'') TO (''1981-01-01'')'),
	('CREATE TABLE trap.other (other integer);
	  CREATE TABLE trap.child () INHERITS (trap.other, _activity.gap)'),
	('CREATE TABLE trap.part PARTITION OF _activity.event FOR VALUES FROM (''1980-01-01'') TO (''1981-01-01'')
		PARTITION BY RANGE (organization);
	  CREATE TABLE trap.leaf PARTITION OF trap.part FOR VALUES FROM (1) TO (2);
	  CREATE INDEX ON trap.leaf ((trap.spring(''leaf'')))'),
	('CREATE TABLE trap.part PARTITION OF _activity.event FOR VALUES FROM (''1980-01-01'') TO (''1981-01-01'')
		PARTITION BY RANGE (organization, trap.spring(actor_id))'),
	('CREATE TABLE trap.gap (LIKE _activity.gap);
	  CREATE RULE evil AS ON INSERT TO trap.gap DO ALSO SELECT trap.spring(''rule'');
	  ALTER TABLE _activity.gap RENAME TO former; ALTER TABLE trap.gap SET SCHEMA _activity')
) AS more (ddl);
SELECT throws_ok(ddl, '55000', NULL, 'refused: ' || regexp_replace(ddl, '\s+', ' ', 'g'))
FROM (VALUES
	('ALTER TABLE _activity.retention_rule ADD CONSTRAINT own CHECK (keep > interval ''1 day'')'),
	('ALTER TABLE _activity.event ADD COLUMN x integer'),
	('ALTER TABLE _activity.event DROP COLUMN salt'),
	('ALTER TABLE _activity.event RENAME COLUMN salt TO pepper'),
	('ALTER TABLE _activity.event ALTER COLUMN salt TYPE text'),
	('ALTER TABLE _activity.event ALTER COLUMN subject DROP NOT NULL'),
	('ALTER TABLE _activity.event RENAME TO former'),
	('ALTER TABLE _activity.event SET SCHEMA trap'),
	('ALTER TABLE _activity.event DETACH PARTITION _activity.event_default'),
	('ALTER TABLE _activity.event_default SET UNLOGGED'),
	('ALTER TABLE _activity.stream_1 SET UNLOGGED'),
	('ALTER TABLE _activity.organization SET UNLOGGED'),
	('ALTER TABLE _activity.stream_1 RENAME TO former'),
	('ALTER TABLE _activity.publication DROP CONSTRAINT publication_pkey'),
	('ALTER INDEX _activity.organization_id_idx RENAME TO former'),
	('ALTER SEQUENCE _activity.organization_key RESTART'),
	('DROP INDEX _activity.organization_id_idx'),
	('DROP INDEX _activity.stream_1_key'),
	('DROP INDEX _activity.event_default_xid'),
	('DROP INDEX _activity.webhook_state_busy'),
	('CREATE UNIQUE INDEX ON _activity.event_default (actor_id)')
) AS shapes (ddl);
SELECT throws_ok('DROP TABLE _activity.stream_1', '2BP01', NULL, 'nor is a table with rows dropped');
SELECT throws_ok('TRUNCATE _activity.publication', 'AC005', NULL, 'what was published is not forgotten');
SELECT lives_ok(ddl, 'allowed: ' || ddl)
FROM (VALUES
	('CREATE INDEX own ON _activity.event_default (actor_id) WHERE organization > 7'),
	('CREATE STATISTICS trap.own ON organization, type FROM _activity.event_default'),
	('CREATE TABLE trap.own (id integer PRIMARY KEY, other integer REFERENCES trap.own)'),
	('CREATE FUNCTION trap.own() RETURNS void LANGUAGE sql AS ''SELECT'''),
	('GRANT EXECUTE ON FUNCTION activity.set_retention(text, interval) TO regress_activity_owner')
) AS harmless (ddl);

-- Nor are functions changed, or put where ours are looked for.
SELECT throws_ok(ddl, '42501', NULL, 'refused: ' || ddl)
FROM (VALUES
	('ALTER FUNCTION activity.set_retention(text, interval) SECURITY INVOKER'),
	('ALTER FUNCTION activity.set_retention(text, interval) RESET search_path'),
	('ALTER FUNCTION _activity.make_webhook_partitions() SET SCHEMA trap'),
	('CREATE OR REPLACE FUNCTION _activity.make_webhook_partitions() RETURNS bigint LANGUAGE sql AS ''SELECT 0::bigint'''),
	('CREATE FUNCTION _activity.grant_functions(role regrole, name varchar) RETURNS void LANGUAGE sql AS ''SELECT'''),
	('CREATE FUNCTION activity.feed(organization varchar) RETURNS void LANGUAGE sql AS ''SELECT'''),
	('ALTER SCHEMA _activity RENAME TO elsewhere'),
	('ALTER SCHEMA activity RENAME TO elsewhere'),
	('ALTER EVENT TRIGGER activity_guard_ddl DISABLE'),
	('DROP EVENT TRIGGER activity_guard_ddl'),
	('ALTER EXTENSION activity DROP EVENT TRIGGER activity_guard_ddl')
) AS attempts (ddl);
RESET ROLE;
SELECT throws_ok('CREATE TRIGGER evil BEFORE INSERT ON _activity.gap FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()',
	'55000', 'trigger "evil" of table "_activity.gap" is not the extension''s', 'a superuser''s is refused, too');
SELECT lives_ok('ALTER FUNCTION activity.set_retention(text, interval) COST 101', 'a superuser may change functions');

-- What is there nevertheless does not run.
ALTER EVENT TRIGGER activity_guard_ddl DISABLE;
ALTER EVENT TRIGGER activity_guard_drop DISABLE;

-- Runs the owner's DDL, then what a superuser or the worker does, and takes
-- both back.
-- publish() is refused in a function.
CREATE FUNCTION publish_here() RETURNS bigint LANGUAGE c AS '$libdir/activity', 'act_publish_here';
CREATE FUNCTION attack(ddl text, work text, OUT state text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
BEGIN
	BEGIN
		SET LOCAL ROLE regress_activity_owner;
		EXECUTE ddl;
		RESET ROLE;
		SET CONSTRAINTS ALL DEFERRED;
		before := nextval('trap.sprung');
		BEGIN
			EXECUTE work;
			SET CONSTRAINTS ALL IMMEDIATE;
			state := 'done';
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
		END;
		IF nextval('trap.sprung') > before + 1 THEN
			state := state || ', ran the owner''s code';
		END IF;
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
	'SELECT publish_here()'), '55000', 'also when publishing');
SELECT is(attack('CREATE INDEX ON _activity.stream_1 ((trap.spring(''stream'')))',
	'SELECT publish_here()'), '55000', 'also in the stream');
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

-- Nor do functions that write by statements run any of it.
SELECT is(attack(ddl, 'SELECT activity.set_retention(''org'', ''2 years'')'), '55000',
	'not run: ' || regexp_replace(ddl, '\s+', ' ', 'g'))
FROM ways;
SELECT is(attack(format('CREATE CONSTRAINT TRIGGER evil AFTER INSERT OR UPDATE OR DELETE ON _activity.%I
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trap.spring_trigger()', planted), work),
	'55000', planted || ': ' || work)
FROM (VALUES
	('retention_rule', 'SELECT activity.set_retention(tier => ''free'', keep => ''2 years'')'),
	('retention_rule', 'SELECT activity.unset_retention(''org'')'),
	('event_type_definition', 'SELECT activity.define_event_type(''kitchen.burnt'', ''Burnt'')'),
	('feature_override', 'UPDATE activity.features SET tier = ''free'''),
	('webhook_endpoint', 'SELECT activity.create_webhook(''org'', ''https://hooks.example.com/more'')'),
	('webhook_secret', 'SELECT activity.create_webhook(''org'', ''https://hooks.example.com/more'')'),
	('webhook_endpoint', format('SELECT activity.update_webhook(%L, description => ''new'')', :'endpoint')),
	('webhook_endpoint', format('SELECT activity.disable_webhook(%L)', :'endpoint')),
	('webhook_state', format('SELECT activity.enable_webhook(%L)', :'endpoint')),
	('webhook_retry', format('SELECT activity.delete_webhook(%L)', :'endpoint')),
	('webhook_secret', format('SELECT activity.rotate_webhook_secret(%L)', :'endpoint')),
	('webhook_delivery', format('SELECT activity.test_webhook(%L)', :'endpoint')),
	('webhook_delivery', format('SELECT activity.retry_delivery(%L)', :'delivery')),
	('webhook_delivery', format('SELECT activity.recover_webhook(%L, ''2001-01-01'')', :'endpoint')),
	('webhook_delivery', format('SELECT activity.replay_webhook(%L, ''2001-01-01'')', :'endpoint')),
	('connection', 'SELECT activity.create_connection(''org'', ''u1'')'),
	('connection', format('SELECT activity.rotate_connection(%L)', :'connection')),
	('connection', format('SELECT activity.revoke_connection(%L)', :'connection')),
	('connection', format('SELECT activity.authenticate_connection(%L)', :'secret')),
	('webhook_attempt_default', 'SELECT activity.maintain()'),
	('event_default', 'SELECT activity.maintain()'),
	('gap', 'SELECT activity.maintain()')
) AS functions (planted, work);
SELECT is(attack('SELECT 1', work), 'done', 'otherwise: ' || work)
FROM (VALUES
	('SELECT activity.set_retention(''org'', ''2 years'')'),
	('SELECT activity.define_event_type(''kitchen.burnt'', ''Burnt'')'),
	('UPDATE activity.features SET tier = ''free'''),
	(format('SELECT activity.rotate_webhook_secret(%L)', :'endpoint')),
	(format('SELECT activity.recover_webhook(%L, ''2001-01-01'')', :'endpoint')),
	(format('SELECT activity.authenticate_connection(%L)', :'secret')),
	('SELECT activity.maintain()')
) AS functions (work);

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
	 'SELECT publish_here()'),
	('ALTER TABLE _activity.organization RENAME TO former;
	  CREATE VIEW _activity.organization AS SELECT * FROM _activity.former', :'record'),
	('ALTER TABLE _activity.organization ALTER COLUMN id DROP NOT NULL', :'record'),
	('ALTER TABLE _activity.event ALTER COLUMN salt TYPE text USING salt::text', 'SELECT count(*) FROM activity.verify(''org'')'),
	('ALTER TABLE _activity.event ADD COLUMN extra text', 'SELECT count(*) FROM activity.feed(''org'')'),
	('ALTER TABLE _activity.event ALTER COLUMN subject DROP NOT NULL', :'record'),
	('ALTER TABLE _activity.event RENAME TO former;
	  CREATE TABLE _activity.event (LIKE _activity.former)', :'record'),
	('ALTER TABLE _activity.event RENAME TO former;
	  CREATE TABLE _activity.event (LIKE _activity.former) PARTITION BY LIST (organization)', :'record'),
	('ALTER TABLE _activity.event RENAME TO former;
	  CREATE TABLE _activity.event (LIKE _activity.former) PARTITION BY RANGE (occurred_at, (actor_hash + trap.spring(''key'')))', :'record'),
	('ALTER TABLE _activity.feature_override ALTER COLUMN tier DROP NOT NULL',
	 'SELECT count(*) FROM activity.feed(''org'')'),
	('ALTER TABLE _activity.event_type_definition ALTER COLUMN required DROP NOT NULL',
	 'SELECT count(*) FROM activity.event_types'),
	('ALTER TABLE _activity.publication ALTER COLUMN settled TYPE text', 'SELECT publish_here()'),
	('ALTER TABLE _activity.segment ALTER COLUMN epoch TYPE text', 'SELECT publish_here()'),
	('ALTER TABLE _activity.stream ALTER COLUMN hash TYPE text', 'SELECT publish_here()'),
	('ALTER TABLE _activity.webhook_endpoint ALTER COLUMN organization DROP NOT NULL',
	 'SELECT publish_here()'),
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
SELECT is(attack('SELECT 1', :'record' || '; SELECT publish_here()'), 'done', 'all as made');
SELECT * FROM finish();
DROP FUNCTION publish_here();
DROP TABLE members, ways;
DROP EXTENSION activity CASCADE;
DROP OWNED BY regress_activity_owner CASCADE;
DROP ROLE regress_activity_owner;
