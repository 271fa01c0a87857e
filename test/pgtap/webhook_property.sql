-- Weeks of random answers, lost leases, late reports, disabling, retries and
-- replays: every delivery ends delivered, dead, parked or waiting, after no more
-- attempts than the schedule allows; nothing is in two places or in none.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET jit = off;
SELECT plan(12);
SELECT coalesce(nullif(current_setting('activity_test.seed', true), ''), (random() * 1000000)::int::text) AS seed \gset
SELECT diag('seed ' || :'seed');
SELECT setseed(:seed / 1000001.0) \g /dev/null

CREATE TABLE organization_of AS SELECT 'org' || n AS organization FROM generate_series(1, 3) n;
SELECT activity.set_tier(organization, 'premium') FROM organization_of \g /dev/null
SELECT count(w) FROM organization_of, generate_series(1, 2) n,
	LATERAL activity.create_webhook(organization, 'https://example.com/' || n,
		CASE n WHEN 2 THEN ARRAY['credit.*'] END) w \g /dev/null
-- How well each endpoint is, for a while.
CREATE TABLE mood AS SELECT endpoint_id, 0.5::float8 AS goodness FROM activity.webhook_endpoints;
-- What consumers hold and have yet to report.
CREATE TABLE held (delivery_id uuid, attempt int, url text);
-- What we know to have been answered with a success, and what was sent when.
CREATE TABLE sent (delivery_id uuid, attempt int, lease_until timestamptz, PRIMARY KEY (delivery_id, attempt));
CREATE TABLE asked (delivery_id uuid);
CREATE TABLE problem (what text);

CREATE PROCEDURE step(n int) LANGUAGE plpgsql AS $$
DECLARE
	dice float8 := random();
	one record;
	status int;
	present timestamptz;
BEGIN
	IF dice < 0.25 THEN
		PERFORM activity.record('org' || (1 + floor(random() * 3))::int,
			(CASE WHEN random() < 0.5 THEN 'credit.charge' ELSE 'credits.redeemed' END)::activity.event_type, '{"amount": 1}')
		FROM generate_series(1, 1 + floor(random() * 4)::int);
	ELSIF dice < 0.40 THEN
		PERFORM activity.publish();
	ELSIF dice < 0.62 THEN
		present := _activity.webhook_now();
		FOR one IN SELECT * FROM activity.claim_deliveries(1 + floor(random() * 8)::int, '60 s') LOOP
			INSERT INTO problem SELECT 'claimed under a lease' FROM sent s
				WHERE s.delivery_id = one.delivery_id AND s.lease_until > present;
			INSERT INTO problem SELECT 'sent while disabled' FROM activity.webhook_deliveries d JOIN activity.webhook_endpoints e USING (endpoint_id)
				WHERE d.delivery_id = one.delivery_id AND e.status = 'disabled';
			INSERT INTO sent VALUES (one.delivery_id, one.attempt, present + interval '60 s');
			INSERT INTO held VALUES (one.delivery_id, one.attempt, one.url);
		END LOOP;
	ELSIF dice < 0.85 THEN
		FOR one IN SELECT h.ctid, h.*, m.goodness FROM held h
			JOIN _activity.webhook_endpoint e ON e.key = (_activity.webhook_delivery_key(h.delivery_id)).endpoint
			JOIN mood m ON m.endpoint_id = e.id
			WHERE random() < 0.8
		LOOP
			status := CASE WHEN random() < one.goodness THEN 200
				ELSE (ARRAY[500, 503, 429, 404, 301, NULL, NULL, -1, 500, 502])[1 + floor(random() * 10)::int] END;
			IF random() < 0.002 THEN
				status := 410;
			END IF;
			UPDATE sent s SET lease_until = '-infinity' WHERE s.delivery_id = one.delivery_id AND s.attempt = one.attempt;
			PERFORM activity.report_delivery(one.delivery_id, one.attempt, status,
				retry_after => CASE WHEN random() < 0.1 THEN interval '3 hours' END);
			DELETE FROM held h WHERE h.delivery_id = one.delivery_id AND h.attempt = one.attempt;
		END LOOP;
	ELSIF dice < 0.95 THEN
		PERFORM set_config('activity.clock_offset', ceil(extract(epoch FROM current_setting('activity.clock_offset')::interval)
			+ 10 ^ (random() * 5))::text, false);
	ELSIF dice < 0.97 THEN
		UPDATE mood SET goodness = CASE WHEN random() < 0.4 THEN 0 ELSE random() END WHERE random() < 0.4;
	ELSIF dice < 0.98 THEN
		PERFORM activity.enable_webhook(endpoint_id) FROM activity.webhook_endpoints WHERE random() < 0.7;
	ELSIF dice < 0.985 THEN
		PERFORM activity.disable_webhook(endpoint_id) FROM activity.webhook_endpoints ORDER BY random() LIMIT 1;
	ELSIF dice < 0.99 THEN
		-- Whatever is asked for begins a round of its own.
		INSERT INTO asked SELECT delivery_id FROM activity.webhook_deliveries
			WHERE event_type <> 'webhook.test' ORDER BY random() LIMIT 2;
		PERFORM activity.retry_delivery(delivery_id) FROM asked;
	ELSIF dice < 0.995 THEN
		-- A consumer is killed: what it held is never reported.
		DELETE FROM held WHERE random() < 0.5;
	ELSE
		PERFORM activity.test_webhook(endpoint_id) FROM activity.webhook_endpoints e WHERE e.status <> 'disabled' ORDER BY random() LIMIT 1;
	END IF;
END
$$;
DO $$ BEGIN FOR n IN 1 .. 1500 LOOP CALL step(n); COMMIT; END LOOP; END $$;

SELECT is((SELECT string_agg(DISTINCT what, ', ') FROM problem), NULL, 'nothing was sent twice at a time, or while disabled');
SELECT cmp_ok((SELECT count(*) FROM sent), '>', 200::bigint, 'much was sent');
SELECT diag((SELECT string_agg(status || ' ' || n, ', ') FROM (SELECT status, count(*) AS n FROM activity.webhook_deliveries GROUP BY 1) v)
	|| '; in ' || current_setting('activity.clock_offset')::interval);
SELECT is_empty($$SELECT event_id, endpoint_id FROM activity.webhook_deliveries GROUP BY 1, 2 HAVING count(*) > 1$$,
	'one delivery per event and endpoint');

-- Tries that count, and those that don't: probes, our own failures, late ones.
SELECT is_empty($$SELECT a.delivery_id, count(*) FROM activity.webhook_attempts a
	WHERE NOT a.probe AND NOT a.late AND a.status_code IS DISTINCT FROM -1 AND a.status_code IS DISTINCT FROM 410
	  AND a.status_code NOT BETWEEN 200 AND 299 AND a.delivery_id NOT IN (SELECT delivery_id FROM asked)
	GROUP BY 1 HAVING count(*) > 10$$, 'no more tries than the schedule has');
SELECT is_empty($$SELECT d.delivery_id, d.status FROM activity.webhook_deliveries d
	WHERE d.status = 'dead' AND d.event_type <> 'webhook.test' AND d.delivery_id NOT IN (SELECT delivery_id FROM asked)
	  AND 10 <> (SELECT count(*) FROM activity.webhook_attempts a WHERE a.delivery_id = d.delivery_id
		AND NOT a.probe AND NOT a.late AND a.status_code IS DISTINCT FROM -1 AND a.status_code IS DISTINCT FROM 410)$$,
	'what is dead had ten tries');
SELECT is_empty($$SELECT a.delivery_id FROM activity.webhook_attempts a JOIN activity.webhook_deliveries d USING (delivery_id)
	WHERE a.status_code BETWEEN 200 AND 299 AND d.status NOT IN ('delivered') AND d.delivery_id NOT IN (SELECT delivery_id FROM asked)
	  AND NOT EXISTS (SELECT FROM sent s WHERE s.delivery_id = a.delivery_id AND s.attempt > a.attempt)$$,
	'what had a success is delivered');
SELECT is_empty($$SELECT a.delivery_id, a.attempt FROM activity.webhook_attempts a LEFT JOIN sent s USING (delivery_id, attempt)
	WHERE s.attempt IS NULL$$, 'no attempt that was not sent');
SELECT is_empty($$SELECT d.delivery_id, d.status, count(e.id) FROM activity.webhook_deliveries d
	LEFT JOIN activity.events e ON e.event_type IN ('webhook.delivered', 'webhook.delivery_failed')
		AND e.metadata->>'delivery_id' = d.delivery_id::text
	WHERE d.event_type <> 'webhook.test' AND d.delivery_id NOT IN (SELECT delivery_id FROM asked)
	GROUP BY 1, 2
	HAVING count(e.id) <> CASE WHEN d.status IN ('delivered', 'dead') THEN 1 ELSE 0 END
	  -- a late success while the next attempt was under way
	  AND NOT (d.status IN ('sending', 'waiting', 'parked') AND count(e.id) = 1)$$, 'one outcome each, recorded');
SELECT is_empty($$SELECT r.endpoint, r.position FROM _activity.webhook_retry r
	JOIN _activity.webhook_state s USING (endpoint)
	WHERE r.position = ANY (s.in_flight) AND (r.position > s.fresh_position OR (r.due_at, r.number) <= (s.retry_at, s.retry_number))$$,
	'nothing is in two places');
SELECT is_empty($$SELECT endpoint FROM _activity.webhook_state GROUP BY 1 HAVING count(*) > 1$$, 'an endpoint has one state');

-- In the end everybody is well: all that waits or is parked arrives.
DELETE FROM held;
DO $$
DECLARE
	n bigint;
BEGIN
	FOR day IN 1 .. 60 LOOP
		PERFORM activity.enable_webhook(endpoint_id) FROM activity.webhook_endpoints;
		PERFORM activity.publish();
		LOOP
			SELECT count(activity.report_delivery(delivery_id, attempt, 200)) INTO n FROM activity.claim_deliveries(1000, '60 s');
			COMMIT;
			EXIT WHEN n = 0;
		END LOOP;
		PERFORM set_config('activity.clock_offset', ceil(extract(epoch FROM current_setting('activity.clock_offset')::interval) + 86400)::text, false);
		COMMIT;
		EXIT WHEN NOT EXISTS (SELECT FROM activity.webhook_deliveries WHERE status NOT IN ('delivered', 'dead'));
	END LOOP;
END
$$;
SELECT is_empty($$SELECT delivery_id, status FROM activity.webhook_deliveries WHERE status NOT IN ('delivered', 'dead')$$, 'all that was owed arrives');
SELECT is((SELECT count(*) FROM _activity.webhook_retry) + (SELECT count(*) FROM _activity.webhook_state WHERE in_flight <> '{}'), 0::bigint,
	'nothing is left over');
SELECT * FROM finish();
