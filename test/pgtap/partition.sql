-- Partitions: a row never fails for want of one, maintain() makes them ahead and
-- moves rows into months of their own, and nothing that can be recorded is lost.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(21);
SELECT activity.set_tier('org', 'premium');

CREATE TEMPORARY VIEW month AS
	SELECT c.relname::text COLLATE "default" AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = '_activity.event'::regclass
	  AND c.relname <> 'event_default';
CREATE FUNCTION pg_temp.name_of(t timestamptz) RETURNS text LANGUAGE sql
	RETURN to_char(t AT TIME ZONE 'UTC', '"event_"YYYY"_"MM');
CREATE FUNCTION pg_temp.import(t timestamptz, n integer DEFAULT 1) RETURNS void
LANGUAGE sql BEGIN ATOMIC
	SELECT count(activity.record('org', 'credit.charge', '{"amount": 1}',
		occurred_at => t + i * interval '1 microsecond'))
	FROM generate_series(0, n - 1) i;
END;
-- maintain() before anything else needs its rows moved again.
CREATE FUNCTION pg_temp.place(t timestamptz) RETURNS text LANGUAGE sql
	RETURN (SELECT tableoid::regclass::text FROM _activity.event
		WHERE occurred_at = t);

SELECT results_eq($$ SELECT name FROM month ORDER BY name $$,
	$$ SELECT pg_temp.name_of(date_trunc('month', now(), 'UTC') + i * interval '1 month')
	   FROM generate_series(0, 3) i ORDER BY 1 $$,
	'a set-up function makes this month and three ahead');
SELECT results_eq(
	$$ SELECT action, object FROM activity.maintain() $$,
	$$ SELECT ''::text, ''::text WHERE false $$, 'then nothing is due');

SELECT lives_ok($$ SELECT pg_temp.import(t) FROM unnest('{
	1970-01-01 00:00+00, 1999-12-31 23:59:59.999999+00, 2300-01-01 00:00+00,
	9999-12-31 23:59+00, 10888-12-31 23:59+00}'::timestamptz[]) t $$,
	'an event is recorded whatever its time');
SELECT is(count(*), 5::bigint, 'in the default partition')
	FROM _activity.event_default;
SELECT throws_ok($$ SELECT pg_temp.import('1969-12-31 23:59:59.999999+00') $$,
	'22008', NULL, 'an id holds no time before 1970');
SELECT throws_ok($$ SELECT pg_temp.import('0001-01-01 BC') $$,
	'22008', NULL, 'nor one before Christ');

-- The edges of a month are UTC's, whatever the session's time zone.
SET LOCAL TimeZone = 'Pacific/Kiritimati';
SELECT pg_temp.import(date_trunc('month', now(), 'UTC'));
SELECT pg_temp.import(date_trunc('month', now(), 'UTC') - interval '1 microsecond');
SELECT is(pg_temp.place(date_trunc('month', now(), 'UTC')),
	'_activity.' || pg_temp.name_of(now()), 'the first moment is in the month');
SELECT is(pg_temp.place(date_trunc('month', now(), 'UTC') - interval '1 microsecond'),
	'_activity.event_default', 'the moment before is not');

-- Moving: any row of the last year, others when there are many.
SELECT pg_temp.import(now() - interval '5 years', 999);
SELECT results_eq(
	$$ SELECT action, object, rows FROM activity.maintain() $$,
	$$ SELECT a, '_activity.' || pg_temp.name_of(date_trunc('month', now(), 'UTC')
			- interval '1 microsecond'), n
	   FROM (VALUES ('make', NULL), ('move', 1::bigint)) m (a, n) $$,
	'a row of last month gets its month, a few of long ago stay');
SELECT pg_temp.import(now() - interval '5 years' + interval '1 second');
SELECT results_eq(
	$$ SELECT action, object, rows FROM activity.maintain() $$,
	$$ SELECT a, '_activity.' || pg_temp.name_of(now() - interval '5 years'), n
	   FROM (VALUES ('make', NULL), ('move', 1000::bigint)) m (a, n) $$,
	'a thousand get theirs');
SELECT is(count(*), 1007::bigint, 'every event is there') FROM _activity.event;
SELECT is(count(DISTINCT id), 1007::bigint, 'once') FROM _activity.event;
SELECT is_empty($$ SELECT id FROM _activity.event
	WHERE activity.event_time(id) <> occurred_at $$, 'with the time in its id');
SELECT is_empty($$
	SELECT m.name FROM month m
	WHERE (SELECT array_agg(replace(pg_get_indexdef(i.indexrelid), m.name, 'event_default') ORDER BY replace(pg_get_indexdef(i.indexrelid), m.name, 'event_default'))
		FROM pg_index i WHERE i.indrelid = ('_activity.' || m.name)::regclass)
		IS DISTINCT FROM
		(SELECT array_agg(pg_get_indexdef(i.indexrelid) ORDER BY pg_get_indexdef(i.indexrelid))
		FROM pg_index i WHERE i.indrelid = '_activity.event_default'::regclass)
	$$, 'every month has the indexes that the default has');
SELECT is_empty($$
	SELECT m.name FROM month m JOIN pg_class c
		ON c.oid = ('_activity.' || m.name)::regclass
	JOIN pg_class parent ON parent.oid = '_activity.event'::regclass
	WHERE c.relowner <> parent.relowner
	   OR EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
			AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
	$$, 'and its parent''s owner, and is no member');

-- What is asked for, and what is in the way.
SELECT is((SELECT count(*) FROM activity.maintain(since => now() - interval '20 months')
		WHERE action = 'make'), 19::bigint, 'since makes the months of an import');
SELECT pg_temp.import(now() - interval '30 months', 1000);
DO $$ BEGIN
	EXECUTE format('CREATE TABLE _activity.%I ()',
		pg_temp.name_of(now() - interval '30 months'));
END $$;
SELECT results_eq(
	$$ SELECT action, object FROM activity.maintain() $$,
	$$ SELECT 'skip', format('_activity.%s is the name of something else',
		pg_temp.name_of(now() - interval '30 months')) $$,
	'a table that has the name of a month is left alone');
DO $$ BEGIN
	EXECUTE format('ALTER TABLE _activity.%s RENAME TO other', pg_temp.name_of(now() - interval '30 months'));
	EXECUTE format('CREATE INDEX %s_type ON _activity.event_default (type)', pg_temp.name_of(now() - interval '30 months'));
END $$;
SELECT is((SELECT action FROM activity.maintain()), 'skip', 'so is an index');
SELECT throws_ok($$ SELECT activity.maintain(max_rows => 0) $$, '22023', NULL,
	'max_rows must be positive');

-- A call does about max_rows, at least one month.
SELECT pg_temp.import(now() - interval '40 months', 1000);
SELECT pg_temp.import(now() - interval '50 months', 1000);
SELECT is((SELECT sum(rows) FROM activity.maintain(max_rows => 500)
		WHERE action = 'move'), 1000::numeric, 'a month moves whole');
SELECT is((SELECT sum(rows) FROM activity.maintain(max_rows => 500)
		WHERE action = 'move'), 1000::numeric, 'the next call goes on');
SELECT * FROM finish();
ROLLBACK;
