-- Events are append-only for everybody, and go with the extension only by CASCADE.
\set ON_ERROR_STOP 1
BEGIN;
SELECT activity.set_tier('org', 'premium');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}',
	occurred_at => '2001-01-01');

CREATE TEMPORARY TABLE target AS
	SELECT oid::regclass::text AS name FROM pg_class
	WHERE oid = '_activity.event'::regclass
	   OR oid IN ('_activity.organization'::regclass, '_activity.organization_tier'::regclass)
	   OR oid IN (SELECT inhrelid FROM pg_inherits
			WHERE inhparent = '_activity.event'::regclass);
CREATE TEMPORARY TABLE attempt AS
	SELECT format(command, name, (SELECT attname FROM pg_attribute
		WHERE attrelid = name::regclass AND attnum = 1)) AS command FROM target, unnest(ARRAY[
		'UPDATE %s SET %s = %2$s',
		'UPDATE %s SET %s = %2$s WHERE false',
		'DELETE FROM %s',
		'DELETE FROM ONLY %s',
		'TRUNCATE %s',
		'MERGE INTO %s e USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE',
		'MERGE INTO %s e USING (SELECT 1) one ON true WHEN MATCHED THEN UPDATE SET %s = e.%2$s',
		'WITH gone AS (DELETE FROM %s RETURNING 1) SELECT count(*) FROM gone']) command
	UNION ALL
	SELECT format('INSERT INTO %s SELECT * FROM %1$s ON CONFLICT (organization, id)'
		' DO UPDATE SET description = ''''', name)
	FROM target WHERE name LIKE '_activity.event_%';
SELECT plan(2 * count(*)::integer + 12) FROM attempt;

SELECT throws_ok(command, 'AC005', NULL, command) FROM attempt;
SET LOCAL session_replication_role = replica;
SELECT throws_ok(command, 'AC005', NULL, command || ' as a replica') FROM attempt;
RESET session_replication_role;
SELECT lives_ok($$ INSERT INTO _activity.event_default
	SELECT * FROM _activity.event_default ON CONFLICT (organization, id) DO NOTHING $$,
	'ON CONFLICT DO NOTHING changes nothing and is no change');
SELECT is(count(*), 2::bigint, 'nothing was changed') FROM _activity.event;

-- maintain() may, and closes the door again, also after an error.
SELECT activity.set_retention('org', '1 year');
SELECT results_eq($$ SELECT action, rows FROM activity.maintain() $$,
	$$ VALUES ('delete', 1::bigint) $$, 'retention deletes');
SELECT throws_ok('DELETE FROM _activity.event', 'AC005', NULL,
	'nobody else does afterwards');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}',
	occurred_at => '2001-01-01');
SELECT current_user AS me \gset
CREATE ROLE regress_activity_owner;
GRANT USAGE, CREATE ON SCHEMA _activity TO regress_activity_owner;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA _activity TO regress_activity_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA _activity TO regress_activity_owner;
ALTER TABLE _activity.event OWNER TO regress_activity_owner;
SELECT throws_ok('SELECT activity.maintain()', '42501',
	'permission denied for table event_default', 'an error in between');
ALTER TABLE _activity.event OWNER TO :"me";
DROP OWNED BY regress_activity_owner;
DROP ROLE regress_activity_owner;
SELECT throws_ok('DELETE FROM _activity.event', 'AC005', NULL,
	'leaves nothing open');

SELECT throws_ok('DROP EXTENSION activity', '2BP01',
	'cannot drop extension "activity" because it holds events', 'DROP EXTENSION refuses');
SELECT throws_ok('DROP EXTENSION IF EXISTS pgtap, "activity" RESTRICT', '2BP01',
	'cannot drop extension "activity" because it holds events', 'in a list, too');
SELECT throws_ok(format('DROP OWNED BY %I', current_user), '2BP01',
	NULL, 'DROP OWNED refuses');
SELECT throws_ok('DROP SCHEMA _activity CASCADE', '2BP01', NULL,
	'DROP SCHEMA refuses');
SELECT lives_ok('DROP EXTENSION activity CASCADE', 'CASCADE does not');
SELECT is_empty($$
	SELECT relname::text FROM pg_class
		WHERE relname ~ '^event_[0-9]' OR relnamespace::regnamespace::text ~ 'activity'
	UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ 'activity'
	UNION ALL SELECT evtname FROM pg_event_trigger WHERE evtname ~ 'activity'
	UNION ALL SELECT typname FROM pg_type
		WHERE typnamespace NOT IN (SELECT oid FROM pg_namespace)
	UNION ALL SELECT proname FROM pg_proc WHERE probin ~ 'activity'
	$$, 'and leaves nothing behind');
SELECT * FROM finish();
ROLLBACK;
