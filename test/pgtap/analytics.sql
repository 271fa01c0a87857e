-- Analytics: exact at any bound, zero-filled in any zone, currencies kept apart, equal
-- to the log; and only for whom the tier and membership let.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(76);
SELECT activity.set_tier('o', 'enterprise') \g /dev/null
CREATE FUNCTION put(who text, type text, at timestamptz, fields jsonb, more jsonb DEFAULT NULL) RETURNS uuid LANGUAGE sql VOLATILE AS $$
	SELECT activity.set_actor(who, 'user', initcap(who));
	SELECT activity.record('o', type, fields, more, occurred_at => at);
$$;
SET timezone = 'UTC';

-- Before there is anything
SELECT is_empty($$SELECT * FROM activity.usage('o')$$, 'nothing was used');
SELECT is((SELECT c::text FROM activity.conversion('o') c), '(0,0,)', 'there is no rate of nothing');
SELECT is((SELECT count(*) FROM activity.timeline('o', '2026-03-01', '2026-03-08')), 7::bigint, 'a timeline of nothing has its steps');

SELECT count(put(w, t, a::timestamptz, f::jsonb, m::jsonb)) FROM (VALUES
	('ann', 'credit.charge', '2026-03-01 10:07:00+00', '{"amount": 2.5}', '{"plan_id": "p1", "plan_name": "Old"}'),
	('ann', 'credit.charge', '2026-03-01 10:14:59.999999+00', '{"amount": "0.5"}', '{"plan_id": "p1", "plan_name": "Pro"}'),
	('bob', 'credit.charge', '2026-03-01 10:15:00+00', '{"amount": 1}', '{"plan_id": "p2"}'),
	('bob', 'credits.redeemed', '2026-03-02 00:00:00+00', '{"amount": 123456789012345678901234567890.123456789012345678}', '{"plan_id": "p2"}'),
	('bob', 'credit.charge', '2026-03-02 01:00:00+00', '{"amount": "many"}', NULL),
	('cy', 'plan.purchased', '2026-03-03 12:00:00+00', '{"id": "p1", "name": "Pro", "kind": "plan"}', '{"amount": "10.00", "currency": "usd", "agent_id": "a1"}'),
	('cy', 'plan.purchased', '2026-03-03 13:00:00+00', '{"id": "p1", "name": "Pro", "kind": "plan"}', '{"amount": 3, "currency": "eur"}'),
	('ann', 'order.created', '2026-03-04 12:00:00+00', '{"id": 1}', '{"amount": 10, "currency": "usd"}'),
	('ann', 'order.created', '2026-03-04 12:00:00+00', '{"id": 2}', '{"amount": -4.25, "currency": "usd"}'),
	('dee', 'order.created', '2026-03-04 12:00:00+00', '{"id": 3}', '{"amount": 5.75, "currency": "usd"}'),
	('ann', 'auth.signin', '2026-03-05 12:00:00+00', '{}', NULL),
	('bob', 'auth.signin', '2026-03-05 12:00:00+00', '{}', NULL),
	('bob', 'auth.signin', '2026-03-05 12:16:00+00', '{}', NULL)) v (w, t, a, f, m) \g /dev/null

-- The same answers from the log alone, half of it, and the rollups.
CREATE FUNCTION answers() RETURNS SETOF text LANGUAGE sql STABLE AS $$
	SELECT 'usage ' || u::text FROM activity.usage('o', NULL, NULL) u
	UNION ALL SELECT 'people ' || u::text FROM activity.usage('o', NULL, NULL, by => 'actor') u
	UNION ALL SELECT 'revenue ' || r::text FROM activity.revenue('o', NULL, NULL) r
	UNION ALL SELECT 'agents ' || r::text FROM activity.revenue('o', NULL, NULL, 'agent') r
	UNION ALL SELECT 'top ' || r::text FROM activity.top_customers('o', NULL, NULL) r
	UNION ALL SELECT 'credits ' || r::text FROM activity.credits_by_member('o', NULL, NULL) r
	UNION ALL SELECT 'rate ' || r::text FROM activity.conversion('o', NULL, NULL) r
	UNION ALL SELECT 'line ' || r::text FROM activity.timeline('o', '2026-03-01', '2026-03-06', by => 'category') r
	UNION ALL SELECT 'part ' || r::text FROM activity.usage('o', '2026-03-01 10:10', '2026-03-01 10:15', by => NULL) r
	UNION ALL SELECT 'members ' || r::text FROM activity.active_members('o', '2026-03-01', '2026-03-06') r
$$;
CREATE TABLE unpublished AS SELECT answers();
SELECT activity.publish() \g /dev/null
SELECT set_eq('SELECT answers()', 'SELECT * FROM unpublished', 'unpublished events count like published ones');
SELECT cmp_ok((SELECT sum(cells) FROM _activity.rollup), '>', 13::bigint, 'they are rolled up');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'the rollups equal the log');

SELECT results_eq($$SELECT u::text FROM activity.usage('o', '2026-03-01', '2026-03-06') u$$, $$VALUES
	('(p2,,123456789012345678901234567891.123456789012345678,credits,2,1,"2026-03-01 10:15:00+00","2026-03-02 00:00:00+00")'),
	('(p1,Pro,3.0,credits,2,1,"2026-03-01 10:07:00+00","2026-03-01 10:14:59.999999+00")'),
	('(,,0,credits,1,1,"2026-03-02 01:00:00+00","2026-03-02 01:00:00+00")')$$,
	'amounts are exact, names the last ones, and what is no number is an event without amount');
SELECT results_eq($$SELECT u::text FROM activity.usage('o', '2026-03-01 10:07', '2026-03-01 10:14:59.999999', by => NULL) u$$,
	$$VALUES ('(,,2.5,credits,1,1,"2026-03-01 10:07:00+00","2026-03-01 10:07:00+00")')$$, 'bounds inside a quarter hour are exact');
SELECT results_eq($$SELECT amount FROM activity.usage('o', '2026-03-01 10:07:00.000001', '2026-03-01 10:15:00.000001', by => NULL)$$,
	$$VALUES (1.5)$$, 'on both sides');
SELECT is((SELECT sum(amount) FROM activity.usage('o', '2026-03-01 10:00', '2026-03-01 10:15')), 3.0, 'a quarter hour is whole');
SELECT results_eq($$SELECT key, name, amount, events FROM activity.usage('o', '2026-03-01', '2026-03-06', by => 'event_type')$$,
	$$VALUES ('credits.redeemed', 'Credits were spent on a plan', 123456789012345678901234567890.123456789012345678, 1::bigint),
		('credit.charge', 'Credits were spent', 4.0, 4)$$, 'by event type');
SELECT results_eq($$SELECT u::text FROM activity.unmeasured u$$,
	$$VALUES ('(o,credits_burned,credit.charge,1,"2026-03-02 01:00:00+00","2026-03-02 01:00:00+00")')$$, 'the view lists what is no number, and when');

SELECT results_eq($$SELECT r::text FROM activity.revenue('o', '2026-03-01', '2026-03-06') r$$, $$VALUES
	('(,,11.50,usd,3)'), ('(p1,Pro,10.00,usd,1)'), ('(p1,Pro,3,eur,1)')$$, 'revenue by plan, currencies apart, negative amounts taken away');
SELECT results_eq($$SELECT r::text FROM activity.revenue('o', '2026-03-01', '2026-03-06', 'agent') r$$, $$VALUES
	('(,,11.50,usd,3)'), ('(a1,,10.00,usd,1)'), ('(,,3,eur,1)')$$, 'by agent');
SELECT results_eq($$SELECT r::text FROM activity.revenue('o', '2026-03-01', '2026-03-06', NULL) r$$, $$VALUES
	('(,,21.50,usd,4)'), ('(,,3,eur,1)')$$, 'in all');
SELECT results_eq($$SELECT key, name, amount, currency, transactions FROM activity.top_customers('o', '2026-03-01', '2026-03-06')$$, $$VALUES
	('cy', 'Cy', 3::numeric, 'eur', 1::bigint), ('cy', 'Cy', 10.00, 'usd', 1), ('ann', 'Ann', 5.75, 'usd', 2), ('dee', 'Dee', 5.75, 'usd', 1)$$,
	'customers by currency, ties by their id');
SELECT results_eq($$SELECT key, currency FROM activity.top_customers('o', '2026-03-01', '2026-03-06', 1)$$,
	$$VALUES ('cy', 'eur'), ('cy', 'usd')$$, 'the first of each currency');
SELECT results_eq($$SELECT key, name, amount, events FROM activity.credits_by_member('o', '2026-03-01', '2026-03-02')$$,
	$$VALUES ('ann', 'Ann', 3.0, 2::bigint), ('bob', 'Bob', 1, 1)$$, 'credits by member');
SELECT results_eq($$SELECT key, amount FROM activity.credits_by_member('o', '2026-03-01', '2026-03-06', 'p1')$$,
	$$VALUES ('ann', 3.0)$$, 'of one plan');
SELECT results_eq($$SELECT * FROM activity.conversion('o', '2026-03-01', '2026-03-06')$$, $$VALUES (3::bigint, 2::bigint, 0.666667)$$, 'conversion');
SELECT results_eq($$SELECT * FROM activity.conversion('o', '2026-03-05 12:16', '2026-03-06', 'auth.*', 'order.*')$$, $$VALUES (1::bigint, 0::bigint, 0.000000)$$, 'of any types');
SELECT results_eq($$SELECT members FROM activity.active_members('o', '2026-03-01', '2026-03-06')$$, $$VALUES (2::bigint), (1), (1), (2), (2)$$, 'active members');

-- Time
SELECT results_eq($$SELECT * FROM activity.timeline('o', '2026-03-01 10:08', '2026-03-03', by => 'event_type')$$, $$VALUES
	('2026-03-01'::timestamptz, 'credit.charge', 2::bigint), ('2026-03-01', 'credits.redeemed', 0),
	('2026-03-02', 'credit.charge', 1), ('2026-03-02', 'credits.redeemed', 1)$$, 'a timeline by type, each step with each key');
SELECT results_eq($$SELECT events FROM activity.timeline('o', '2026-03-01 10:00', '2026-03-01 11:00', '15 minutes')$$, $$VALUES (2::bigint), (1), (0), (0)$$, 'by quarter hours');
SELECT results_eq($$SELECT bucket, events FROM activity.timeline('o', '2026-03-01 10:15', '2026-03-01 12:00', '1 hour', 'Asia/Kathmandu')$$, $$VALUES
	('2026-03-01 10:15+00'::timestamptz, 1::bigint), ('2026-03-01 11:15+00', 0)$$, 'hours of a zone that is 45 minutes off');
SELECT results_eq($$SELECT bucket, events FROM activity.timeline('o', '2026-03-01', '2026-03-03', '1 day', 'Asia/Kolkata') WHERE events > 0$$, $$VALUES
	('2026-02-28 18:30+00'::timestamptz, 3::bigint), ('2026-03-01 18:30+00', 2)$$, 'days of a zone that is 30 minutes off');
SELECT results_eq($$SELECT count(*), sum(events) FROM activity.timeline('o', '2026-03-01', '2026-04-01', '1 day', 'America/New_York')$$, $$VALUES (32::bigint, 13::numeric)$$, 'across the change to summer time');
SELECT results_eq($$SELECT extract(epoch FROM lead(bucket) OVER (ORDER BY bucket) - bucket)::int / 3600 FROM activity.timeline('o', '2026-03-07 05:00', '2026-03-09 04:00', '1 day', 'America/New_York')$$,
	$$VALUES (24), (NULL)$$, 'days begin at local midnight');
SELECT results_eq($$SELECT count(*) FROM activity.timeline('o', '2026-03-08 05:00', '2026-03-09 04:00', '1 hour', 'America/New_York')$$, $$VALUES (23::bigint)$$, 'and that one has 23 hours');
SELECT results_eq($$SELECT bucket, events FROM activity.timeline('o', '2026-02-25', '2026-03-09', '1 week')$$, $$VALUES
	('2026-02-23'::timestamptz, 3::bigint), ('2026-03-02', 10)$$, 'weeks begin on Monday');
SELECT results_eq($$SELECT bucket FROM activity.timeline('o', '2025-11-05', '2026-03-09', '3 months')$$, $$VALUES ('2025-10-01'::timestamptz), ('2026-01-01')$$, 'quarters of a year');
SELECT results_eq($$SELECT bucket, events FROM activity.timeline('o', '2025-11-05', '2026-03-09', '1 year')$$, $$VALUES ('2025-01-01'::timestamptz, 0::bigint), ('2026-01-01', 13)$$, 'years');
SELECT results_eq($$SELECT sum(events) FROM activity.timeline('o', '2026-03-01', '2026-03-09', event_types => '{credit.*,!credit.charge,auth.signin}', actor => 'bob')$$, $$VALUES (2::numeric)$$, 'of some types, of one actor');
SELECT results_eq($$SELECT min(bucket), max(bucket) FROM activity.timeline('o', NULL, NULL)$$, $$VALUES ('2026-03-01'::timestamptz, '2026-03-05'::timestamptz)$$, 'without bounds it goes from the first to the last');
SELECT results_eq($$SELECT key, sum(events) FROM activity.timeline('o', NULL, NULL, by => 'resource') GROUP BY 1 ORDER BY 1$$, $$VALUES ('p1', 4::numeric), ('p2', 2), (NULL, 7)$$, 'by resource');
SELECT results_eq($$SELECT key, sum(events) FROM activity.timeline('o', NULL, NULL, by => 'family') GROUP BY 1 ORDER BY 1$$,
	$$SELECT t.family, count(*)::numeric FROM activity.events e JOIN activity.event_types t ON t.key = e.event_type::text GROUP BY 1 ORDER BY 1$$, 'by family');

-- A late import, and the report as it was known
SELECT cursor AS known FROM activity.replay('o', max_events => 1000) ORDER BY "position" DESC LIMIT 1 \gset
SELECT put('ann', 'credit.charge', '2026-03-01 10:07:30+00', '{"amount": 100}', '{"plan_id": "p1"}') \g /dev/null
SELECT is((SELECT amount FROM activity.usage('o', NULL, NULL) WHERE key = 'p1'), 103.0, 'an import counts in its past');
SELECT activity.publish() \g /dev/null
SELECT is((SELECT amount FROM activity.usage('o', NULL, NULL) WHERE key = 'p1'), 103.0, 'published, too');
SELECT is((SELECT amount FROM activity.usage('o', NULL, NULL, as_known => :'known') WHERE key = 'p1'), 3.0, 'and the old report can be made again');
SELECT is((SELECT sum(events) FROM activity.timeline('o', NULL, NULL, as_known => :'known')), 13::numeric, 'in every function');
SELECT throws_ok($$SELECT * FROM activity.usage('o', as_known => '1.99')$$, 'AC012', NULL, 'not of the future');
SELECT throws_ok($$SELECT * FROM activity.usage('o', as_known => '7.3')$$, 'AC011', NULL, 'nor of a history that is not this one');
SELECT throws_ok($$SELECT * FROM activity.usage('o', measure => NULL)$$, '22004', NULL, 'nor of no measure');
SELECT throws_ok($$SELECT * FROM activity.usage('o', as_known => 'x')$$, 'AC013', NULL, 'nor of no cursor');

-- Measures of one's own
SELECT throws_ok($$SELECT activity.define_measure('credit.chrge', 'x', 'amount', 'x')$$, 'AC001', NULL, 'a measure is of a type that there is');
SELECT throws_ok($$SELECT activity.define_measure('credit.charge', 'x', 'amount', 'a b')$$, '22023', NULL, 'has a unit');
SELECT throws_ok($$SELECT activity.define_measure('credit.charge', 'x', '', 'a')$$, '22023', NULL, 'and an amount');
SELECT throws_ok($$SELECT activity.define_measure('credit.charge', 'x', 'amount', 'a', direction => 2)$$, '22023', NULL, 'one way or the other');
SELECT throws_ok($$SELECT activity.define_measure('credit.charge', 'credits_burned', 'tokens', 'token')$$, '55000', NULL, 'what is built in stays');
SELECT activity.define_measure('credit.charge', 'tokens', 'tokens', 'token', 'model', -1) \g /dev/null
SELECT put('ann', 'credit.charge', NULL, '{"amount": 1, "tokens": 7, "model": "m"}') \g /dev/null
SELECT results_eq($$SELECT key, amount, unit, events FROM activity.usage('o', NULL, NULL, 'tokens')$$, $$VALUES ('m', -7::numeric, 'token', 1::bigint)$$, 'it measures what is recorded from then on');
SELECT activity.define_measure('credit.charge', 'tokens', 'used', 'token', 'model') \g /dev/null
SELECT put('ann', 'credit.charge', NULL, '{"amount": 1, "tokens": 7, "used": 3, "model": "m"}') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT results_eq($$SELECT amount, events FROM activity.usage('o', NULL, NULL, 'tokens')$$, $$VALUES (-4::numeric, 2::bigint)$$, 'and so does its revision');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'the numbers equal the log still');

-- Compacted, and redacted
CREATE TABLE published AS SELECT answers();
SELECT cmp_ok(_activity.maintain_rollups(100000, 1), '>', 20::bigint, 'what is published is put together');
SELECT results_eq($$SELECT kind, count(*) FROM _activity.rollup GROUP BY 1 ORDER BY 1$$, $$SELECT k, 2::bigint FROM generate_series(1, 5) k$$, 'in a row of each kind for each month');
SELECT set_eq('SELECT answers()', 'SELECT * FROM published', 'and nothing is changed by it');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'nor does it differ from the log');
SELECT put('ann', 'credit.charge', '2026-03-01 10:07:30+00', '{"amount": 1}', '{"plan_id": "ann", "plan_name": "ann"}') \g /dev/null
SELECT put('ann', 'credit.charge', '2026-03-01 10:07:31+00', '{"amount": 2}', '{"plan_id": "p1"}') AS charge \gset
SELECT activity.publish() \g /dev/null
SELECT put('ann', 'credit.charge', '2026-03-01 10:07:32+00', '{"amount": 4}', '{"plan_id": "p1"}') \g /dev/null
SELECT sum(amount) AS amount, sum(events) AS events FROM activity.usage('o', NULL, NULL) \gset
SELECT activity.redact('o', :'charge', 'why') \g /dev/null
SELECT results_eq($$SELECT sum(amount), sum(events) FROM activity.usage('o', NULL, NULL)$$, format($$VALUES (%s::numeric, %s::numeric)$$, :amount, :events), 'a redaction keeps the sums');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'and they equal the log');
SELECT results_eq($$SELECT amount, name FROM activity.credits_by_member('o', '2026-03-01 10:00', '2026-03-01 10:15') WHERE key LIKE 'redacted-%'$$, $$VALUES (2::numeric, NULL::text)$$, 'under another name');
SELECT activity.redact_person('ann', 'why', 'o', 'x') \g /dev/null
SELECT is_empty($$SELECT * FROM _activity.rollup r WHERE r::text ~ '\mann\M'$$, 'no rollup knows the person');
SELECT is_empty($$SELECT * FROM _activity.kept_amount r WHERE r::text ~ '\mann\M'$$, 'nor what was kept');
SELECT results_eq($$SELECT sum(amount), sum(events) FROM activity.usage('o', NULL, NULL)$$, format($$VALUES (%s::numeric, %s::numeric)$$, :amount, :events), 'the sums are the same');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'and equal the log');
SELECT activity.publish() \g /dev/null
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'also what was published after it was redacted');
SELECT results_eq($$SELECT sum(amount), sum(events) FROM activity.usage('o', NULL, NULL)$$, format($$VALUES (%s::numeric, %s::numeric)$$, :amount, :events), 'with its amount');
SELECT cmp_ok((SELECT count(*) FROM _activity.rollup_repair), '>', 0::bigint, 'which is looked at again');
SELECT _activity.maintain_rollups(1000) \g /dev/null
SELECT is_empty('SELECT * FROM _activity.rollup_repair', 'once it is folded');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'and is right then');

-- The past, measured anew
SELECT cmp_ok(activity.refold('tokens'), '>', 0::bigint, 'there are months to measure anew');
SELECT is(activity.refold('tokens'), 0::bigint, 'and then there are none');
SELECT results_eq($$SELECT amount, events FROM activity.usage('o', NULL, NULL, 'tokens')$$, $$VALUES (0::numeric, 5::bigint), (-4, 2)$$, 'by the newest definition, but for what was redacted');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'which equals the log');
SELECT is((SELECT count(*) FROM activity.measures WHERE name = 'tokens' AND valid_from IS NULL), 1::bigint, 'it holds always');

-- Who may
SELECT activity.record('poor', 'auth.signin') \g /dev/null
SELECT throws_ok($$SELECT * FROM activity.mrr('poor')$$, '42501', NULL, 'the tier must have analytics');
SELECT throws_ok($$SELECT * FROM activity.usage('o', measure => 'x')$$, '42704', NULL, 'a measure that there is');
SELECT throws_ok($$SELECT * FROM activity.timeline('o', step => '2 days')$$, '22023', NULL, 'a step that there is');
SELECT finish();
