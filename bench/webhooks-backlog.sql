-- Buffers of a claim, by how many deliveries wait, and while a snapshot is held.
\ir webhooks-consumer.sql
CREATE EXTENSION dblink;

CREATE FUNCTION bench.buffers_of_claim(batch int, OUT buffers bigint, OUT claimed bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM activity.claim_deliveries(%s, ''60 s'')', batch) INTO plan;
	buffers := (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
	claimed := (plan->0->'Plan'->>'Actual Rows')::numeric; -- 18 writes 10.00
END
$$;
-- The middle of some claims, each reported so that the next one has room.
CREATE PROCEDURE bench.measure(what text) LANGUAGE plpgsql AS $$
DECLARE
	seen bigint[] := '{}';
	batch constant int := 10;
	one record;
BEGIN
	FOR round IN 1 .. 21 LOOP
		SELECT * INTO one FROM bench.buffers_of_claim(batch);
		COMMIT;
		IF one.claimed <> batch THEN
			RAISE EXCEPTION 'claimed %', one.claimed;
		END IF;
		seen := seen || one.buffers;
		PERFORM activity.report_delivery(_activity.webhook_delivery_id(s.endpoint, s.in_flight[i],
			timestamptz '2000-01-01 00:00:00+00' + s.in_flight[i + 1] * interval '1 microsecond'),
			(s.in_flight[i + 4] >> 32)::int, 200)
		FROM _activity.webhook_state s, generate_series(1, cardinality(s.in_flight), 6) i;
		COMMIT;
	END LOOP;
	RAISE NOTICE '%', format('| %s | %s | %s |', what,
		(SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY b) FROM unnest(seen) b), (SELECT max(b) FROM unnest(seen) b));
END
$$;
SELECT activity.set_tier('backlog', 'premium') \g /dev/null
SELECT endpoint_id FROM activity.create_webhook('backlog', 'https://example.com/') \gset
SELECT count(activity.record('backlog', 'credit.charge', '{"amount": 1}')) FROM generate_series(1, 1000) \g /dev/null
SELECT key FROM _activity.webhook_endpoint WHERE id = :'endpoint_id' \gset
SELECT format('%s| waiting for one endpoint | buffers of a claim of 10, p50 | max |%s|---|---|---|', E'\n', E'\n');
\set VERBOSITY terse
SET client_min_messages = notice;

-- Deliveries of a thousand events over and over: positions count, events don't.
CREATE PROCEDURE bench.owe(endpoint int, first bigint, last bigint) LANGUAGE sql AS $$
	INSERT INTO _activity.webhook_delivery
	SELECT n, _activity.webhook_now(), endpoint, e.type, e.id, false
	FROM generate_series(first, last) n
	JOIN (SELECT id, type, row_number() OVER () AS number FROM _activity.event
		  WHERE organization = (SELECT organization FROM _activity.webhook_endpoint WHERE key = endpoint)
		  LIMIT 1000) e ON e.number = n % 1000 + 1
	ORDER BY n;
	INSERT INTO _activity.webhook_wake SELECT endpoint, nextval('_activity.webhook_wake_number');
$$;
CALL bench.owe(:key, 1000000, 1001000);
CALL bench.measure('1,000');
CALL bench.owe(:key, 2000000, 2000000 + :deliveries);
SELECT to_char(:deliveries, 'FM999,999,999') AS many \gset
CALL bench.measure(:'many');
SELECT dblink_connect('holder', format('host=%s port=%s dbname=%s user=%s', current_setting('unix_socket_directories'),
	current_setting('port'), current_database(), current_user)) \g /dev/null
SELECT dblink_exec('holder', 'BEGIN ISOLATION LEVEL REPEATABLE READ') \g /dev/null
SELECT * FROM dblink('holder', 'SELECT count(*) FROM _activity.webhook_endpoint') v (n bigint) \g /dev/null
CALL bench.measure(:'many' || ', a snapshot is held');
CALL bench.consume(15, 100);
SELECT format('the same, after %s were sent under it', count(*)) AS what FROM _activity.webhook_attempt \gset
CALL bench.measure(:'what');
