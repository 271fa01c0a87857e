-- What strangers put into settings and columns breaks nobody's transaction.
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL client_min_messages = error;
SELECT plan(38);
SELECT activity.set_tier('org', 'enterprise');

-- Claims that are JSON, but more than jsonb takes.
SELECT lives_ok(format('SELECT set_config(''request.jwt.claims'', %L, true), activity.record(''org'', ''auth.signin'')', claims),
	'claims like ' || left(claims, 20))
FROM (VALUES ('{"sub": "u", "exp": 1e1000000}'), ('{"sub": "u", "name": "\u0000"}'),
	('{"sub": "u", "roles": ' || repeat('[', 50000) || repeat(']', 50000) || '}'), ('{"sub": '), ('')) AS c (claims);
SELECT throws_ok(format('SET LOCAL activity.context = %L', context), '22023', NULL,
	'no context like ' || left(context, 20))
FROM (VALUES ('{"at": 1e1000000}'), ('{"name": "\u0000"}'),
	('{"a": ' || repeat('[', 50000) || repeat(']', 50000) || '}')) AS c (context);

-- Columns of type json take what jsonb doesn't; the event has the text.
CREATE TABLE memberships (id integer PRIMARY KEY, organization_id text, user_id text, role json, status text);
SELECT count(*) FROM activity.track('memberships', 'membership');
SELECT lives_ok($$INSERT INTO memberships VALUES (1, 'org', 'u', '"\u0000"', 'active'), (2, 'org', 'v', '1e1000000', 'active')$$,
	'json that is no jsonb is recorded');
SELECT results_eq($$SELECT (coalesce(subject, '{}') || coalesce(metadata, '{}')) ->> 'role' FROM activity.feed('org', event_types => '{membership.joined}') ORDER BY id$$,
	ARRAY['"\u0000"', '1e1000000'], 'as its text');

-- Times that no id holds, overflow included.
SELECT throws_ok($$SELECT activity.record('org', 'auth.signin', occurred_at => '294270-01-01')$$, '22008', NULL,
	'a time after the last');

-- Thousands of reasons are not kept apart, nor is one for each subtransaction.
CREATE TABLE subscriptions (id integer PRIMARY KEY, organization_id text, tier text, status text);
SELECT count(*) FROM activity.track('subscriptions', 'subscription');
INSERT INTO subscriptions SELECT i, 'other', 'free', 'odd' || i FROM generate_series(1, 1000) i;
SELECT results_eq('SELECT count(*), sum(changes) FROM activity.gaps', $$VALUES (101::bigint, 1000::numeric)$$,
	'a hundred reasons are told apart');
DO $$
BEGIN
	FOR i IN 1001..1100 LOOP
		BEGIN
			INSERT INTO subscriptions VALUES (i, 'other', 'free', 'odd1');
			IF i % 2 = 0 THEN
				RAISE EXCEPTION 'not so';
			END IF;
		EXCEPTION WHEN raise_exception THEN
		END;
	END LOOP;
END $$;
SELECT is((SELECT sum(changes) FROM activity.gaps), 1050::numeric, 'what was rolled back is not counted');
SELECT is((SELECT count(*) FROM activity.gaps), 101::bigint, 'and nothing else has come');

-- A page of no size, or of none that there may be, private as the function is.
SELECT activity.set_tier('crowd', 'enterprise');
SELECT count(activity.record('crowd', 'auth.signin')) FROM generate_series(1, 3000);
SELECT throws_ok(format($$SELECT _activity.http_page('crowd', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, %s, %s, %L, NULL)$$, size, page, counts),
	'22023', NULL, format('page %s of %s', page, size))
FROM (VALUES (0, '1'), (-1, '1'), (1001, '1'), (-2147483648, 'NULL'), (2147483647, 'NULL'), (10, '0'), (10, '9223372036854775807')) v (size, page),
	unnest('{true,NULL}'::bool[]) counts;

-- Rollups as whoever owns them may have written them, and places where none are.
SELECT count(activity.record('crowd', 'auth.signin', occurred_at => now() - n * interval '10 minutes')) FROM generate_series(1, 3000) n;
SELECT min(key) AS crowd FROM _activity.organization WHERE id = 'crowd' \gset
PREPARE total AS SELECT _activity.http_page('crowd', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 10, 1, true, NULL)::jsonb->>'total';
PREPARE compact AS SELECT _activity.compact_rollups(:crowd);
SELECT results_eq('total', $$VALUES ('6000')$$, 'counted');
SELECT throws_ok(format($$SELECT _activity.merge_rollup(%s, %s, 0, 2147483647, '{}')$$, :crowd, kind), '22023', NULL, 'no kind ' || kind)
FROM unnest(ARRAY[-1, 0, 77]) kind;
SELECT lives_ok(format($$SELECT _activity.merge_rollups(%s, ARRAY['(0,0)', '(0,9999)', '(4294967295,1)', '(77777,1)']::tid[])$$, :crowd), 'no rows there');
SAVEPOINT before;
INSERT INTO _activity.rollup (organization, kind, first, last, cells) SELECT :crowd, kind, 0, 2147483647, -1 FROM generate_series(0, 5) kind;
SELECT throws_ok('total', 'XX001', NULL, 'cells without columns are not counted');
SELECT throws_ok('compact', 'XX001', NULL, 'nor compacted');
ROLLBACK TO before;
INSERT INTO _activity.rollup (organization, kind, first, last, cells, quarters, measures, events, types)
SELECT :crowd, kind, 0, 2147483647, 2147483647, '{1,2}', '{0}', '{1,1}', '{1,1}' FROM generate_series(0, 5) kind;
SELECT throws_ok('total', 'XX001', NULL, 'nor such as differ in length');
SELECT throws_ok('compact', 'XX001', NULL, 'in both');
ROLLBACK TO before;
SELECT results_eq('total', $$VALUES ('6000')$$, 'without them it is counted as before');
SELECT * FROM finish();
ROLLBACK;
