-- However large the amounts are that somebody records, nothing overflows: not the organization's
-- own numbers, nor its redactions, nor what maintain() does for the others.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(12);
SELECT activity.set_tier('bad', 'enterprise'), activity.set_tier('good', 'enterprise') \g /dev/null

-- From the largest numbers that jsonb takes down to the bound, each several times, of both signs.
CREATE TABLE amounts (amount numeric, counts boolean);
INSERT INTO amounts SELECT sign * ('9e' || places)::numeric, places < 1000
FROM unnest('{1,-1}'::int[]) sign, unnest('{131071,131070,65536,1001,1000,999,998,1,0}'::int[]) places, generate_series(1, 3);
INSERT INTO amounts VALUES (1e-16383, true), ('-123456789012345678901234567890.123456789012345678', true);
SELECT activity.set_actor('eve', 'user', 'Eve') \g /dev/null
SELECT count(activity.record('bad', 'order.created', '{"kind": "order", "id": "1"}', jsonb_build_object('amount', amount, 'currency', 'usd'))),
	count(activity.record('bad', 'subscription.active', jsonb_build_object('kind', 'subscription', 'tier', 'premium', 'id', row_number,
		'amount', amount, 'quantity', amount, 'interval_count', 1e-16383, 'currency', 'usd')))
FROM (SELECT *, row_number() OVER () FROM amounts) a \g /dev/null
SELECT count(activity.record('good', 'order.created', '{"kind": "order", "id": "1"}', '{"amount": 5, "currency": "usd"}')) \g /dev/null
SELECT is(activity.publish(), 2 * (SELECT count(*) FROM amounts) + 1, 'all of them are published');

CREATE FUNCTION sums() RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT concat_ws(' ', r.currency, trim_scale(r.amount), r.transactions) FROM activity.revenue('bad') r);
CREATE FUNCTION expected() RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT concat_ws(' ', 'usd', trim_scale(sum(a.amount) FILTER (WHERE a.counts)), count(*)) FROM amounts a);
SELECT is(sums(), expected(), 'what is published adds up');
SELECT is((SELECT u.events FROM activity.unmeasured u WHERE u.measure = 'revenue'), (SELECT count(*) FROM amounts WHERE NOT counts),
	'what is too large is unmeasured');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('bad')$$, 'the rollups equal the log');
SELECT lives_ok($$SELECT * FROM activity.mrr('bad', now() + interval '1 day')$$, 'recurring revenue adds up');
SELECT is((SELECT m.subscriptions FROM activity.mrr('bad', now() + interval '1 day') m), (SELECT count(*) FROM amounts), 'of each subscription');
SELECT lives_ok($$SELECT _activity.maintain_rollups(1000000, 1)$$, 'what is published is put together');
SELECT is((SELECT count(*) FROM _activity.rollup r WHERE r.kind = 0), 0::bigint, 'of every organization');
SELECT is(sums(), expected(), 'and adds up as before');
SELECT lives_ok($$SELECT * FROM activity.redact_person('eve', 'asked for')$$, 'a person is redacted');
SELECT is(sums(), expected(), 'who leaves the sums');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('bad')$$, 'which equal the log still');
SELECT finish();
