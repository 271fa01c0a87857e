-- Ranges as far as timestamps go, and zones that are off by what no zone is, are counted right
-- or refused.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(17);
SELECT activity.set_tier('acme', 'enterprise') \g /dev/null
SELECT count(activity.record('acme', 'auth.signin', '{"kind": "user", "id": "u"}', '{"method": "password"}',
	occurred_at => '2025-01-01 00:00+00'::timestamptz + i * interval '7 minutes'))
FROM generate_series(1, 500) i \g /dev/null
SELECT activity.publish() \g /dev/null

SELECT is((SELECT sum(t.events) FROM activity.timeline('acme', since, until, '1 year', 'Europe/Berlin') t), 500::numeric,
	format('from %s until %s', since, until))
FROM (VALUES ('4713-01-01 BC'::timestamptz, '190000-01-01'::timestamptz), ('2024-01-01', '200000-01-01')) v (since, until);
SELECT lives_ok($$SELECT * FROM activity.active_members('acme', '2024-01-01', '200000-01-01', '1 year')$$, 'members of far years');
SELECT is_empty(format('SELECT * FROM activity.rollup_verify(%L, %L, %L)', 'acme', since, until), format('nothing differs from %s until %s', since, until))
FROM unnest('{-infinity,4713-01-01 BC,294276-12-31 23:59:59.9+00,infinity}'::timestamptz[]) since,
	unnest('{-infinity,infinity}'::timestamptz[]) until;

SELECT throws_ok($$SELECT * FROM activity.timeline('acme', '2025-01-02', '2025-01-03', '1 hour', '<X>-05:10')$$, '22023',
	'hours of the time zone "<X>-05:10" begin on no quarter hour in 2025', 'a zone off the quarter hours');
SELECT throws_ok($$SELECT * FROM activity.active_members('acme', '2025-01-01', '2025-01-03', '1 day', '<Y>+03:07:33')$$, '22023',
	NULL, 'is refused for members');
SELECT is((SELECT sum(t.events) FROM activity.timeline('acme', '2024-12-01', '2025-02-01', '1 day', '<Z>-05:45') t), 500::numeric,
	'one on them is not');
SELECT throws_ok($$SELECT * FROM activity.timeline('acme', time_zone => NULL)$$, '22004', 'time_zone must not be null', 'no zone');
SELECT throws_ok($$SELECT * FROM activity.active_members('acme', time_zone => NULL)$$, '22004', 'time_zone must not be null', 'nor for members');
SELECT throws_ok('SELECT activity.refold(NULL)', '22004', 'measure must not be null', 'no measure');
SELECT finish();
