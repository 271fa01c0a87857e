-- Ranges as far as timestamps go, and zones that are off by what no zone is, are counted right
-- or refused.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(26);
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

-- Events of any year that one can be of
SELECT activity.set_tier('far', 'enterprise') \g /dev/null
SELECT count(activity.record('far', 'plan.purchased', '{"id": "p", "kind": "plan", "name": "P"}', '{"amount": 1}', occurred_at => at))
FROM unnest('{1970-01-01 00:00+00,9998-12-31 23:59+00,9999-01-01 00:00+00,9999-12-31 12:00+00,10889-08-02 05:31:50.655+00}'::timestamptz[]) at \g /dev/null
CREATE FUNCTION far() RETURNS text LANGUAGE sql VOLATILE RETURN concat_ws(' ',
	(SELECT r.amount FROM activity.revenue('far', NULL, NULL) r), (SELECT r.amount FROM activity.revenue('far', '9999-01-01 00:00:01+00', '294276-12-31') r),
	(SELECT sum(t.events) FROM activity.timeline('far', NULL, NULL, '1 year') t),
	(SELECT sum(t.events) FROM activity.timeline('far', '9999-06-01', '10889-12-01', '1 month', 'Asia/Kathmandu') t),
	(SELECT c.sessions FROM activity.conversion('far', NULL, 'infinity', 'plan.*', 'plan.*') c));
SELECT is(far(), '5 2 5 2 5', 'events of far years count');
SELECT activity.publish() \g /dev/null
SELECT is(far(), '5 2 5 2 5', 'when they are published');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('far')$$, 'and equal the log');
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null
SELECT is(far(), '5 2 5 2 5', 'and when they are put together');
SELECT is((SELECT sum(r.cells) FROM _activity.rollup r JOIN _activity.organization o ON o.key = r.organization WHERE o.id = 'far' AND r.kind = 0), NULL, 'as they were');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('far')$$, 'which equals the log, too');

SELECT throws_ok($$SELECT activity.define_measure('generation.succeeded', 'm', amount => 'a', unit => 'a')$$, '22023',
	'"a" can''t be both amount and unit', 'a field is no unit of itself');
SELECT throws_ok($$SELECT activity.define_measure('generation.succeeded', 'm', amount => 'a', unit => 'a|')$$, '22023', NULL, 'nor if it is left out');
SELECT throws_ok($$SELECT activity.define_measure('generation.succeeded', 'm', amount => 'n|a', unit => 'a|n|b')$$, '22023', NULL, 'nor one of several');
SELECT finish();
