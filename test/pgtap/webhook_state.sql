-- What an attempt means for its delivery and its endpoint: the schedule, every
-- class of answers, quarantine, probes, disabling, lost leases.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET jit = off;
SELECT plan(117);

-- Events happen, the clock moves, answers come.
CREATE FUNCTION pg_temp.happen(n int DEFAULT 1) RETURNS void LANGUAGE sql AS $$
	SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', i)) FROM generate_series(1, n) i
$$;
CREATE FUNCTION pg_temp.pass(span interval) RETURNS void LANGUAGE sql AS $$
	SELECT set_config('activity.clock_offset',
		ceil(extract(epoch FROM current_setting('activity.clock_offset')::interval + span))::text, false)
$$;
-- One attempt, answered so; where its delivery stands then.
CREATE FUNCTION pg_temp.answer(status int, error text DEFAULT NULL, retry_after interval DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	claim record;
BEGIN
	SELECT * INTO claim FROM activity.claim_deliveries(1, '60 s');
	IF NOT FOUND THEN
		RETURN 'nothing to send';
	END IF;
	PERFORM activity.report_delivery(claim.delivery_id, claim.attempt, status, error,
									 retry_after => answer.retry_after);
	RETURN (SELECT d.status FROM activity.webhook_deliveries d WHERE d.delivery_id = claim.delivery_id);
END
$$;
CREATE FUNCTION pg_temp.offset_of(t timestamptz) RETURNS int LANGUAGE sql AS $$
	SELECT round(extract(epoch FROM t - _activity.webhook_now()))::int
$$;
CREATE FUNCTION pg_temp.endpoint() RETURNS text LANGUAGE sql AS $$
	SELECT status || ' ' || failures FROM activity.webhook_endpoints
$$;
CREATE FUNCTION pg_temp.outcomes() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(substr(event_type::text, 9), ' ' ORDER BY id)
	FROM activity.events WHERE event_type IN ('webhook.delivered', 'webhook.delivery_failed',
		'webhook.quarantined', 'webhook.disabled', 'webhook.enabled')
$$;
-- Everything is sent and nothing remembered of earlier failures.
CREATE FUNCTION pg_temp.settle() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM activity.enable_webhook(endpoint_id) FROM activity.webhook_endpoints;
	LOOP
		PERFORM pg_temp.pass('25 hours');
		EXIT WHEN pg_temp.answer(200) = 'nothing to send';
	END LOOP;
END
$$;

SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT endpoint_id FROM activity.create_webhook('org', 'https://example.com/') \gset

-- ---------- answers, each to a delivery of its own ----------
CREATE TEMPORARY TABLE answers (status int, error text, becomes text, charged boolean);
INSERT INTO answers VALUES
	(200, NULL, 'delivered', false), (201, NULL, 'delivered', false), (204, NULL, 'delivered', false),
	(299, NULL, 'delivered', false), (100, NULL, 'waiting', true), (199, NULL, 'waiting', true),
	(300, NULL, 'waiting', true), (301, NULL, 'waiting', true), (302, NULL, 'waiting', true),
	(400, NULL, 'waiting', true), (404, NULL, 'waiting', true), (409, NULL, 'waiting', true),
	(411, NULL, 'waiting', true), (429, NULL, 'waiting', true), (500, NULL, 'waiting', true),
	(502, NULL, 'waiting', true), (503, NULL, 'waiting', true), (504, NULL, 'waiting', true),
	(599, NULL, 'waiting', true), (NULL, 'connection refused', 'waiting', true), (NULL, NULL, 'waiting', true),
	(0, 'a client''s way to say none', 'waiting', true), (-1, 'no file handles', 'waiting', false);
SELECT pg_temp.happen(60) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is(pg_temp.answer(a.status, a.error), a.becomes, 'answer ' || coalesce(a.status::text, 'none') || coalesce(': ' || a.error, ''))
FROM answers a WHERE NOT a.charged;
SELECT is((SELECT failures FROM activity.webhook_endpoints), 0, 'none of these is charged to the endpoint');
SELECT is(pg_temp.answer(a.status, a.error) || ' ' || pg_temp.answer(200), a.becomes || ' delivered',
	'answer ' || coalesce(a.status::text, 'none') || coalesce(': ' || a.error, ''))
FROM answers a WHERE a.charged;
SELECT is((SELECT count(DISTINCT attempt)::int FROM activity.webhook_attempts WHERE NOT late), 1, 'all of them first attempts');
SELECT throws_ok($$SELECT activity.report_delivery(delivery_id, 1, 600) FROM activity.webhook_deliveries LIMIT 1$$, '22023', NULL, '600 is no status');
SELECT throws_ok($$SELECT activity.report_delivery(delivery_id, 1, -2) FROM activity.webhook_deliveries LIMIT 1$$, '22023', NULL, 'nor is -2');
SELECT throws_ok($$SELECT activity.report_delivery(delivery_id, 0, 200) FROM activity.webhook_deliveries LIMIT 1$$, '22023', NULL, 'no attempt is number 0');
SELECT throws_ok($$SELECT activity.report_delivery(gen_random_uuid(), 1, 200)$$, '42704', NULL, 'a delivery that does not exist');
SELECT throws_ok($$SELECT * FROM activity.claim_deliveries(0, '1 min')$$, '22023', NULL, 'no claim of nothing');
SELECT throws_ok($$SELECT * FROM activity.claim_deliveries(1, '0 s')$$, '22023', NULL, 'no lease of no time');
SELECT throws_ok($$SELECT * FROM activity.claim_deliveries(1, '2 days')$$, '22023', NULL, 'no lease of days');
SELECT pg_temp.settle() \g /dev/null
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM activity.webhook_deliveries), 'delivered', 'in the end all are delivered');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.delivered'),
	(SELECT count(*) FROM activity.webhook_deliveries), 'which is recorded once for each');

-- ---------- the schedule ----------
CREATE TEMPORARY TABLE waits (attempt int, seconds int);
SELECT pg_temp.happen() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT event_id FROM activity.webhook_deliveries WHERE status = 'waiting' \gset
DO $$
DECLARE
	stands text;
	n int := 0;
BEGIN
	LOOP
		n := n + 1;
		stands := pg_temp.answer(500, 'try ' || n);
		EXIT WHEN stands <> 'waiting';
		INSERT INTO waits SELECT n, pg_temp.offset_of(next_attempt_at)
		FROM activity.webhook_deliveries WHERE status = 'waiting';
		ASSERT pg_temp.answer(200) = 'nothing to send', 'not before its time';
		PERFORM pg_temp.pass(next_attempt_at - _activity.webhook_now() + interval '1 second')
		FROM activity.webhook_deliveries WHERE status = 'waiting';
	END LOOP;
	INSERT INTO waits VALUES (n, NULL);
END
$$;
SELECT is((SELECT max(attempt) FROM waits), 10, 'ten attempts');
SELECT ok(w.seconds BETWEEN s * 0.8 - 2 AND s * 1.2 + 2, format('after attempt %s: %s s, about %s s', n, w.seconds, s))
FROM unnest(ARRAY[5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]) WITH ORDINALITY v (s, n)
JOIN waits w ON w.attempt = n;
SELECT results_eq(format($$SELECT status, attempts, last_error FROM activity.webhook_deliveries WHERE event_id = %L$$, :'event_id'),
	$$VALUES ('dead', 10::bigint, 'try 10')$$, 'then it is dead');
SELECT results_eq($$SELECT metadata->>'webhook_event', metadata->>'error', description COLLATE "default" FROM activity.events
	WHERE event_type = 'webhook.delivery_failed'$$,
	$$VALUES ('credit.charge', '500: try 10', 'Webhook delivery failed: credit.charge (500: try 10)')$$, 'which is recorded');
SELECT is((SELECT count(DISTINCT next_attempt_at) FROM activity.webhook_deliveries WHERE event_id = :'event_id'), 0::bigint, 'nothing comes after');
SELECT is(pg_temp.endpoint(), 'quarantined 10', 'ten failures in a row are a quarantine');

-- ---------- quarantine ----------
SELECT pg_temp.happen(3) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is(pg_temp.answer(200), 'nothing to send', 'in quarantine nothing is sent');
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE status = 'waiting'), 3::bigint, 'but everything waits');
CREATE TEMPORARY TABLE probes (n int, seconds int);
DO $$
BEGIN
	FOR n IN 1 .. 12 LOOP
		INSERT INTO probes SELECT n, pg_temp.offset_of(next_probe_at) FROM activity.webhook_endpoints;
		PERFORM pg_temp.pass(next_probe_at - _activity.webhook_now() + interval '1 second') FROM activity.webhook_endpoints;
		ASSERT (SELECT count(*) FROM activity.claim_deliveries(100, '60 s')) = 1, 'one probe';
		ASSERT (SELECT count(*) FROM activity.claim_deliveries(100, '60 s')) = 0, 'and only one';
		PERFORM activity.report_delivery(delivery_id, attempts::int + 1, 503) FROM activity.webhook_deliveries WHERE status = 'sending';
		ASSERT pg_temp.answer(200) = 'nothing to send', 'no other probe for now';
	END LOOP;
END
$$;
SELECT ok(p.seconds BETWEEN s * 0.8 - 2 AND s * 1.2 + 2, format('probe %s after %s s, about %s s', n, p.seconds, s))
FROM unnest(ARRAY[60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600, 3600]) WITH ORDINALITY v (s, number)
JOIN probes p ON p.n = number;
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE status = 'waiting'), 3::bigint, 'probes use no tries up');
SELECT is((SELECT count(*) FROM activity.webhook_attempts WHERE probe), 12::bigint, 'but are in the log');
SELECT pg_temp.pass('2 hours') \g /dev/null
SELECT is(pg_temp.answer(200), 'delivered', 'a probe that succeeds');
SELECT is(pg_temp.endpoint(), 'active 0', 'ends the quarantine');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100, '60 s')), 1::bigint, 'then it flows slowly');
SELECT activity.report_delivery(delivery_id, attempts::int + 1, 200) FROM activity.webhook_deliveries WHERE status = 'sending' \g /dev/null
SELECT pg_temp.happen(30) \g /dev/null
SELECT activity.publish() \g /dev/null
CREATE TEMPORARY TABLE flow (n int, claimed int);
DO $$
BEGIN
	FOR n IN 1 .. 4 LOOP
		INSERT INTO flow SELECT n, count(activity.report_delivery(delivery_id, attempt, 200)) FROM activity.claim_deliveries(100, '60 s');
	END LOOP;
END
$$;
SELECT results_eq('SELECT claimed FROM flow ORDER BY n', 'VALUES (2), (4), (8), (10)', 'and faster with each success, up to the limit');
SELECT pg_temp.settle() \g /dev/null
SELECT is(right(pg_temp.outcomes(), 9), 'delivered', 'all is well again');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.quarantined'), 1::bigint, 'the quarantine was recorded once');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.enabled'), 1::bigint, 'and its end');

-- ---------- Retry-After ----------
SELECT pg_temp.happen() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is(pg_temp.answer(503, NULL, '1 hour'), 'waiting', 'busy');
SELECT is((SELECT pg_temp.offset_of(next_attempt_at) FROM activity.webhook_deliveries WHERE status = 'waiting'), 3600, 'for an hour');
SELECT pg_temp.pass('1 hour 1 s') \g /dev/null
SELECT is(pg_temp.answer(429, NULL, '178000000 years'), 'waiting', 'busy for ever');
SELECT is((SELECT pg_temp.offset_of(next_attempt_at) FROM activity.webhook_deliveries WHERE status = 'waiting'), 86400, 'is a day at most');
SELECT pg_temp.pass('1 day 1 s') \g /dev/null
SELECT is(pg_temp.answer(502, NULL, '1 s'), 'waiting', 'busy for a second');
SELECT ok((SELECT pg_temp.offset_of(next_attempt_at) FROM activity.webhook_deliveries WHERE status = 'waiting') >= 1400, 'is no way round the schedule');
SELECT pg_temp.pass('1 hour') \g /dev/null
SELECT is(pg_temp.answer(500, NULL, '5 days'), 'waiting', 'an error');
SELECT ok((SELECT pg_temp.offset_of(next_attempt_at) FROM activity.webhook_deliveries WHERE status = 'waiting') < 9000, 'has no say in it');
SELECT is(activity.retry_after(h), i::interval, 'Retry-After: ' || h) FROM (VALUES
	('120', '120 s'), (' 0 ', '0 s'), ('99999999999999', '366 days'::interval::text), ('Thu, 01 Jan 1970 00:00:00 GMT', '0 s'),
	('soon', NULL), ('-1', NULL), ('1.5', NULL), ('', NULL), ('Fri, 31 Foo 2999 23:59:59 GMT', NULL),
	('Sun, 06 Nov 2994 08:49:37 PST', NULL)) v (h, i);
SELECT ok(activity.retry_after(to_char(_activity.webhook_now() AT TIME ZONE 'UTC' + interval '10 min', f)) BETWEEN '9 min 58 s' AND '10 min', f)
FROM (VALUES ('Dy, DD Mon YYYY HH24:MI:SS "GMT"'), ('FMDay, DD-Mon-YY HH24:MI:SS "GMT"'), ('Dy Mon FMDD HH24:MI:SS YYYY')) v (f);
SELECT pg_temp.settle() \g /dev/null

-- ---------- 410 ----------
SELECT pg_temp.happen(2) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is(pg_temp.answer(410), 'parked', 'gone parks the delivery');
SELECT is(pg_temp.endpoint(), 'disabled 1', 'and disables the endpoint at once');
SELECT is((SELECT reason FROM activity.webhook_endpoints), '410 Gone', 'saying why');
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE status = 'parked'), 2::bigint, 'nothing is dropped');
SELECT pg_temp.pass('30 days') \g /dev/null
SELECT is(pg_temp.answer(200), 'nothing to send', 'nothing is sent');
SELECT is((SELECT metadata->>'reason' FROM activity.events WHERE event_type = 'webhook.disabled'), '410 Gone', 'it is recorded');
SELECT pg_temp.settle() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE status NOT IN ('delivered', 'dead')), 0::bigint, 'enabled, it gets everything');

-- ---------- five days ----------
SELECT pg_temp.happen(5) \g /dev/null
SELECT activity.publish() \g /dev/null
DO $$
BEGIN
	FOR hour IN 1 .. 119 LOOP
		PERFORM pg_temp.pass('1 hour');
		PERFORM pg_temp.answer(NULL, 'could not resolve host');
		ASSERT (SELECT status FROM activity.webhook_endpoints) <> 'disabled', 'not within 5 days';
	END LOOP;
END
$$;
SELECT pg_temp.pass('3 hours') \g /dev/null
SELECT is(pg_temp.answer(NULL, 'could not resolve host'), 'parked', 'five days without a success');
SELECT is((SELECT status || ': ' || reason FROM activity.webhook_endpoints), 'disabled: no success for 5 days', 'disable the endpoint');
SELECT pg_temp.settle() \g /dev/null

-- ---------- leases ----------
SELECT pg_temp.happen() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT delivery_id, attempt FROM activity.claim_deliveries(10, '60 s') \gset
SELECT is((SELECT status FROM activity.webhook_deliveries WHERE delivery_id = :'delivery_id'), 'sending', 'claimed');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(10, '60 s')), 0::bigint, 'no second consumer gets it');
SELECT pg_temp.pass('61 s') \g /dev/null
SELECT is((SELECT attempt FROM activity.claim_deliveries(10, '60 s') WHERE delivery_id = :'delivery_id'), 2, 'until its lease has ended');
SELECT is(activity.report_delivery(:'delivery_id', 1, 500), false, 'a late failure is written down');
SELECT is((SELECT status FROM activity.webhook_deliveries WHERE delivery_id = :'delivery_id'), 'sending', 'and means nothing');
SELECT is(pg_temp.endpoint(), 'active 0', 'for the endpoint neither');
SELECT is(activity.report_delivery(:'delivery_id', 2, 200), true, 'the second attempt succeeds');
SELECT is(activity.report_delivery(:'delivery_id', 2, 500), true, 'a second report of it changes nothing');
SELECT results_eq(format($$SELECT attempt, status_code, late FROM activity.webhook_attempts WHERE delivery_id = %L ORDER BY 1$$, :'delivery_id'),
	'VALUES (1, 500, true), (2, 200, false)', 'the log has both attempts');
-- a late success, while the next attempt waits, and while it is under way
SELECT pg_temp.happen(2) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT count(*) AS delivered FROM activity.events WHERE event_type = 'webhook.delivered' \gset
CREATE TEMPORARY TABLE late AS SELECT delivery_id, row_number() OVER () AS n FROM activity.claim_deliveries(10, '60 s');
SELECT pg_temp.pass('61 s') \g /dev/null
SELECT is((SELECT count(*) FROM activity.claim_deliveries(1, '60 s')), 1::bigint, 'one of two lost deliveries is claimed again');
SELECT is(bool_or(activity.report_delivery(delivery_id, 1, 200)), false, 'both first attempts succeed late') FROM late;
SELECT is((SELECT count(*) FROM activity.claim_deliveries(10, '60 s')), 0::bigint, 'nothing of them is sent again');
SELECT activity.report_delivery(delivery_id, 2, 500) FROM activity.webhook_deliveries WHERE status = 'sending' \g /dev/null
SELECT pg_temp.pass('1 day') \g /dev/null
SELECT is((SELECT count(*) FROM activity.claim_deliveries(10, '60 s')), 0::bigint, 'not even when the second attempt fails');
SELECT is((SELECT string_agg(DISTINCT d.status, ' ') FROM activity.webhook_deliveries d JOIN late USING (delivery_id)), 'delivered', 'both are delivered');
SELECT is((SELECT count(*) FROM activity.events WHERE event_type = 'webhook.delivered'), (:delivered + 2)::bigint, 'recorded once each');

-- ---------- what is kept of an answer ----------
SELECT pg_temp.happen() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.report_delivery(delivery_id, attempt, 500, repeat('e', 5000), '1.5 s', repeat('ü', 20000), '5 s')
FROM activity.claim_deliveries(10, '60 s') \g /dev/null
SELECT results_eq($$SELECT octet_length(error), duration, octet_length(response_body), retry_after FROM activity.webhook_attempts ORDER BY reported_at DESC LIMIT 1$$,
	$$VALUES (2048, interval '1.5 s', 16384, interval '5 s')$$, 'status, time, error and the first 16 kB');
SELECT * FROM finish();
