-- Partitions of the deliveries and attempts: made ahead, dropped when they are
-- old, but not while an endpoint is owed something in them.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET jit = off;
SELECT plan(14);
CREATE FUNCTION pg_temp.leaves(parent text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_inherits WHERE inhparent = ('_activity.' || parent)::regclass AND inhrelid::regclass::text ~ '\d$'
$$;
SELECT is_empty('SELECT * FROM _activity.maintain_webhooks()', 'without endpoints there is nothing to do');
SELECT is(pg_temp.leaves('webhook_delivery'), 0::bigint, 'and no partition');
SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT endpoint_id FROM activity.create_webhook('org', 'https://example.com/') \gset
SELECT is(pg_temp.leaves('webhook_delivery'), 3::bigint, 'the first endpoint makes this month and two more');
SELECT is(pg_temp.leaves('webhook_attempt'), 3::bigint, 'of the attempts, too');
SELECT is_empty('SELECT * FROM _activity.maintain_webhooks()', 'maintain has nothing to add');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM ONLY _activity.webhook_delivery_default), 0::bigint, 'deliveries are in their month');

SET activity.clock_offset = '200 d';
SELECT * FROM activity.maintain() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries), 1::bigint, 'what is owed is kept, however old');
SELECT is((SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = '_activity.webhook_delivery'::regclass),
	'_activity.webhook_delivery_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'), 'with its partition');
SELECT activity.report_delivery(delivery_id, attempt, 200) FROM activity.claim_deliveries(1, '60 s') \g /dev/null
SELECT is((SELECT status FROM activity.webhook_deliveries), 'delivered', 'half a year later it is sent');
SELECT * FROM activity.maintain() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries), 0::bigint, 'and then dropped with its month');
SELECT is((SELECT count(*) FROM ONLY _activity.webhook_attempt_default), 1::bigint, 'its attempt is younger');
SET activity.clock_offset = '400 d';
SELECT * FROM activity.maintain() \g /dev/null
SELECT is((SELECT count(*) FROM _activity.webhook_attempt), 0::bigint, 'until that is old, too');
-- An event that retention has dropped can't be sent any more; that is an outcome.
SET activity.clock_offset = 0;
SELECT activity.record('org', 'credit.charge', '{"amount": 1}') AS event \gset
SELECT activity.publish() \g /dev/null
UPDATE _activity.webhook_delivery SET event = '0190f5fe-2c00-7000-8000-000000000001';
SELECT is((SELECT count(*) FROM activity.claim_deliveries(10, '60 s')), 0::bigint, 'a delivery whose event is gone is not sent');
SELECT is((SELECT status FROM activity.webhook_deliveries), 'dead',
	'but dead');
SELECT * FROM finish();
