-- What people ask for: one delivery again, what was not delivered, everything of
-- a time, a test.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET jit = off;
SELECT plan(37);

CREATE FUNCTION pg_temp.send_all(status int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	sent bigint := 0;
	n bigint;
BEGIN
	LOOP
		SELECT count(activity.report_delivery(delivery_id, attempt, status)) INTO n
		FROM activity.claim_deliveries(100, '60 s');
		EXIT WHEN n = 0;
		sent := sent + n;
	END LOOP;
	RETURN sent;
END
$$;
CREATE FUNCTION pg_temp.happen(n int) RETURNS void LANGUAGE sql AS $$
	SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', i)) FROM generate_series(1, n) i;
	SELECT activity.record('org', 'credits.redeemed', jsonb_build_object('amount', i)) FROM generate_series(1, n) i
$$;
CREATE FUNCTION pg_temp.stands() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT status || ' ' || count(*) FROM activity.webhook_deliveries GROUP BY status ORDER BY status
$$;

SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT clock_timestamp() AS beginning \gset
SELECT pg_temp.happen(10) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT clock_timestamp() AS made \gset
SELECT endpoint_id FROM activity.create_webhook('org', 'https://example.com/', '{credit.*}') \gset
SELECT pg_temp.happen(5) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT results_eq('SELECT pg_temp.stands()', $$VALUES ('waiting 5')$$, 'a new endpoint is owed nothing of the past');

-- recover
SELECT is(activity.recover_webhook(:'endpoint_id', :'beginning', :'made'), 10::bigint, 'recover owes it what was before');
SELECT results_eq('SELECT pg_temp.stands()', $$VALUES ('waiting 15')$$, 'of the types that it wants');
SELECT is(activity.recover_webhook(:'endpoint_id', :'beginning', :'made'), 10::bigint, 'asked again while they wait');
SELECT results_eq('SELECT pg_temp.stands()', $$VALUES ('waiting 15')$$, 'they are the same deliveries');
SELECT is(pg_temp.send_all(200), 15::bigint, 'all of them are sent');
SELECT results_eq('SELECT pg_temp.stands()', $$VALUES ('delivered 15')$$, 'and delivered');
SELECT is(activity.recover_webhook(:'endpoint_id', :'beginning'), 0::bigint, 'then there is nothing to recover');
SELECT is(pg_temp.send_all(200), 0::bigint, 'and nothing to send');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.delivered'), 15::bigint, 'one outcome each');

-- while it was disabled
SELECT activity.disable_webhook(:'endpoint_id') \g /dev/null
SELECT clock_timestamp() AS disabled \gset
SELECT pg_temp.happen(3) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.enable_webhook(:'endpoint_id') \g /dev/null
SELECT is(pg_temp.send_all(200), 0::bigint, 'what happened while it was disabled is not sent by itself');
SELECT is(activity.recover_webhook(:'endpoint_id', :'disabled'), 3::bigint, 'but recovered');
SELECT is(pg_temp.send_all(200), 3::bigint, 'on request');

-- replay
SELECT is(activity.replay_webhook(:'endpoint_id', :'made'), 8::bigint, 'replay owes it everything of a time');
SELECT results_eq('SELECT pg_temp.stands()', $$VALUES ('delivered 10'), ('waiting 8')$$, 'delivered before or not');
CREATE TEMPORARY TABLE sent AS SELECT * FROM activity.claim_deliveries(100, '60 s');
SELECT ok(bool_and(attempt = 2), 'as the second attempt, when the first was a success') FROM sent;
SELECT is(count(activity.report_delivery(delivery_id, attempt, 200)), (SELECT count(*) FROM sent), 'they are sent') FROM sent;
SELECT is(pg_temp.send_all(200) + (SELECT count(*) FROM sent), 8::bigint, 'all eight');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.delivered'), 26::bigint, 'each round has its outcome');
SELECT throws_ok(format($$SELECT activity.replay_webhook(%L, NULL)$$, :'endpoint_id'), '22023', NULL, 'since when must be said');
SELECT throws_ok(format($$SELECT activity.replay_webhook(%L, 'tomorrow', 'today')$$, :'endpoint_id'), '22023', NULL, 'and be before until');
SELECT throws_ok($$SELECT activity.recover_webhook(gen_random_uuid(), 'yesterday')$$, '42704', NULL, 'of an endpoint that there is');
SELECT is(activity.replay_webhook(:'endpoint_id', 'yesterday', :'beginning'), 0::bigint, 'nothing happened, nothing is owed');

-- one
SELECT delivery_id FROM activity.webhook_deliveries LIMIT 1 \gset
SELECT is(activity.retry_delivery(:'delivery_id'), true, 'a delivered one again');
SELECT is(activity.retry_delivery(:'delivery_id'), true, 'again while it waits');
SELECT attempt FROM activity.claim_deliveries(100, '60 s') \gset
SELECT is(activity.retry_delivery(:'delivery_id'), false, 'not while it is under way');
SELECT activity.report_delivery(:'delivery_id', :attempt, 500) \g /dev/null
SELECT is(activity.retry_delivery(:'delivery_id'), true, 'or at once, not at its time');
SELECT is(pg_temp.send_all(200), 1::bigint, 'it is sent once');
SELECT throws_ok($$SELECT activity.retry_delivery(gen_random_uuid())$$, '42704', NULL, 'a delivery that does not exist');

-- A dead one comes alive for ten more attempts.
SELECT pg_temp.happen(1) \g /dev/null
SELECT activity.publish() \g /dev/null
CREATE FUNCTION pg_temp.die() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
BEGIN
	WHILE EXISTS (SELECT FROM activity.webhook_deliveries WHERE status IN ('waiting', 'parked')) LOOP
		PERFORM activity.enable_webhook(endpoint_id) FROM activity.webhook_endpoints;
		PERFORM activity.report_delivery(delivery_id, attempt, 404) FROM activity.claim_deliveries(1, '60 s');
		PERFORM set_config('activity.clock_offset', (extract(epoch FROM current_setting('activity.clock_offset')::interval) + 200000)::text, false);
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
SELECT is(pg_temp.die(), 10, 'it dies after ten attempts');
SELECT is(activity.recover_webhook(:'endpoint_id', :'beginning'), 1::bigint, 'recover finds the dead');
SELECT is(pg_temp.die(), 10, 'which has ten more');
SELECT is((SELECT max(attempt) FROM activity.webhook_attempts), 20, 'numbered on');

-- A test is sent once, and is no event.
SELECT count(*) AS events FROM activity.events \gset
SELECT activity.enable_webhook(:'endpoint_id'), activity.test_webhook(:'endpoint_id') AS test \gset
SELECT body::jsonb->>'type' AS type, activity.report_delivery(delivery_id, attempt, 500) FROM activity.claim_deliveries(100, '60 s') \gset
SELECT is(:'type'::text || (SELECT ' ' || event_type || ' ' || status FROM activity.webhook_deliveries WHERE delivery_id = :'test'),
	'webhook.test webhook.test dead', 'a test that fails is not repeated');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type NOT IN ('webhook.enabled')) ,
	(SELECT :events - count(*) + 1 FROM activity.events WHERE event_type = 'webhook.enabled')::bigint, 'and no event');
-- What was requested lies before what has waited for months, and hides it not.
SET activity.clock_offset = 0;
SELECT endpoint_id AS patient FROM activity.create_webhook('org', 'https://patient.example.com/', '{credits.*}') \gset
SELECT clock_timestamp() AS asked_from \gset
SELECT pg_temp.happen(2) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.disable_webhook(:'patient') \g /dev/null
DO $$
DECLARE
	month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC' - interval '70 days');
	leaf text := 'webhook_delivery' || to_char(month, '_YYYY_MM');
BEGIN
	EXECUTE format('CREATE TABLE _activity.%I PARTITION OF _activity.webhook_delivery FOR VALUES FROM (%L) TO (%L)', leaf,
		month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
	EXECUTE format('CREATE UNIQUE INDEX %I ON _activity.%I (endpoint, position)', leaf || '_key', leaf);
END
$$;
UPDATE _activity.webhook_delivery d SET created_at = d.created_at - interval '70 days'
FROM _activity.webhook_endpoint e WHERE e.key = d.endpoint AND e.id = :'patient';
UPDATE _activity.webhook_state s SET fresh_at = s.fresh_at - interval '70 days'
FROM _activity.webhook_endpoint e WHERE e.key = s.endpoint AND e.id = :'patient';
SELECT activity.enable_webhook(:'patient'), activity.update_webhook(:'patient', event_types => '{credit.*}') \g /dev/null
SELECT is(activity.recover_webhook(:'patient', :'asked_from'), 2::bigint, 'two of another type are asked for');
SELECT pg_temp.send_all(200) \g /dev/null
SELECT results_eq(format($$SELECT event_type, status, count(*) FROM activity.webhook_deliveries WHERE endpoint_id = %L GROUP BY 1, 2 ORDER BY 1$$, :'patient'),
	$$VALUES ('credit.charge', 'delivered', 2::bigint), ('credits.redeemed', 'delivered', 2)$$, 'and those that waited are sent, too');
SELECT * FROM finish();
