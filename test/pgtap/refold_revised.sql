-- A measure that is revised while the past is still being measured by the definition before
-- it: the past gets the newest one all the same.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(4);
SELECT activity.set_tier('acme', 'enterprise') \g /dev/null
SELECT count(activity.record('acme', 'credit.charge', '{"kind": "credit"}', '{"amount": 1, "a": 2, "b": 5}',
	occurred_at => '2025-01-15 00:00+00'::timestamptz + i * interval '1 month'))
FROM generate_series(0, 5) i \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.define_measure('credit.charge', 'work', 'a', 'first') \g /dev/null
SELECT is(activity.refold('work'), 6::bigint, 'a refold begins');
SELECT is(activity.refold('work', 2), 4::bigint, 'and gets on');
SELECT activity.define_measure('credit.charge', 'work', 'b', 'second') \g /dev/null
DO $$ BEGIN WHILE activity.refold('work') > 0 LOOP END LOOP; END $$;
SELECT results_eq($$SELECT amount, unit, events FROM activity.usage('acme', NULL, NULL, 'work')$$,
	$$VALUES (30::numeric, 'second', 6::bigint)$$, 'the past is measured by the newest definition');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('acme')$$, 'and equals the log');
SELECT finish();
