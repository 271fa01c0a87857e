-- One endpoint's queue delays no other, and a long queue makes no claim slower,
-- with a snapshot held open neither.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET jit = off;
SELECT plan(13);
CREATE EXTENSION dblink;

SELECT activity.set_tier('busy', 'premium'), activity.set_tier('quiet', 'premium') \g /dev/null
SELECT endpoint_id AS busy FROM activity.create_webhook('busy', 'https://busy.example.com/') \gset
SELECT endpoint_id AS quiet FROM activity.create_webhook('quiet', 'https://quiet.example.com/') \gset
SELECT activity.record('busy', 'credit.charge', '{"amount": 1}') FROM generate_series(1, 300) \g /dev/null
SELECT activity.record('quiet', 'credit.charge', '{"amount": 1}') \g /dev/null
SELECT activity.publish() \g /dev/null

-- Claims of one at a time go round.
CREATE TEMPORARY TABLE turn (n int, url text);
DO $$
BEGIN
	FOR n IN 1 .. 4 LOOP
		INSERT INTO turn SELECT n, c.url FROM activity.claim_deliveries(1, '60 s') c;
	END LOOP;
END
$$;
SELECT is((SELECT count(*) FROM turn WHERE url LIKE '%quiet%' AND n <= 2), 1::bigint, 'the quiet one has its turn at once');
SELECT is((SELECT count(*) FROM turn WHERE url LIKE '%busy%'), 3::bigint, 'the others are the busy one''s');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100, '60 s')), 7::bigint, 'which may have ten in flight');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100, '60 s')), 0::bigint, 'and not more');
SELECT activity.record('quiet', 'credit.charge', '{"amount": 2}') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is((SELECT min(url) FROM activity.claim_deliveries(100, '60 s')), 'https://quiet.example.com/', 'while it is full others are served');

-- Retries that are due and new deliveries share.
SET activity.clock_offset = '1 h';
SELECT activity.report_delivery(delivery_id, 1, 200) FROM activity.webhook_deliveries WHERE status = 'sending' \g /dev/null
SELECT is(activity.replay_webhook(:'busy', '-infinity') > 5, true, 'what was sent is owed again');
SELECT activity.record('busy', 'credits.redeemed', '{"amount": 3}') AS newest FROM generate_series(1, 3) \g /dev/null
SELECT activity.publish() \g /dev/null
CREATE TEMPORARY TABLE half AS SELECT d.event_type, c.attempt FROM activity.claim_deliveries(10, '60 s') c
	JOIN activity.webhook_deliveries d USING (delivery_id) WHERE d.endpoint_id = :'busy';
SELECT is((SELECT count(*) FROM half WHERE attempt > 1) > 0 AND (SELECT count(*) FROM half WHERE attempt = 1) > 0, true,
	'what is sent again and what is new share the room');

-- Buffers of a claim by the length of the queue.
CREATE FUNCTION pg_temp.buffers() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	one record;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM activity.claim_deliveries(5, ''60 s'')' INTO plan;
	ASSERT (plan->0->'Plan'->>'Actual Rows')::numeric = 5, plan->0->'Plan'->>'Actual Rows';
	PERFORM activity.report_delivery(_activity.webhook_delivery_id(s.endpoint, s.in_flight[i], d.created_at),
		(s.in_flight[i + 4] >> 32)::int, 200)
	FROM _activity.webhook_state s, generate_series(1, cardinality(s.in_flight), 6) i,
		LATERAL (SELECT created_at FROM _activity.webhook_delivery d
				 WHERE d.endpoint = s.endpoint AND d.position = s.in_flight[i]) d;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END
$$;
CREATE FUNCTION pg_temp.middle() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	seen bigint[] := '{}';
BEGIN
	FOR n IN 1 .. 11 LOOP
		seen := seen || pg_temp.buffers();
	END LOOP;
	RETURN (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY b) FROM unnest(seen) b);
END
$$;
SELECT activity.delete_webhook(:'busy'), activity.delete_webhook(:'quiet') \g /dev/null
SELECT activity.set_tier('long', 'premium') \g /dev/null
SELECT endpoint_id AS long FROM activity.create_webhook('long', 'https://long.example.com/', '{credit.*}') \gset
SELECT activity.record('long', 'credit.charge', '{"amount": 1}') FROM generate_series(1, 200) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT count(*) FROM activity.claim_deliveries(1, '60 s') \g /dev/null
SELECT activity.report_delivery(delivery_id, attempts::int + 1, 200) FROM activity.webhook_deliveries WHERE status = 'sending' AND endpoint_id = :'long' \g /dev/null
SELECT pg_temp.middle() AS short_queue \gset
SELECT cmp_ok(:short_queue::bigint, '<', 150::bigint, 'a claim of 5 reads little');
SELECT activity.record('long', 'credit.charge', '{"amount": 1}') FROM generate_series(1, 30000) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT pg_temp.middle() AS long_queue \gset
SELECT cmp_ok(:long_queue::bigint, '<', (:short_queue * 1.5)::bigint, 'with 30,000 waiting no more than a level of the index');
SELECT dblink_connect('holder', format('host=%s port=%s dbname=%s user=%s', current_setting('unix_socket_directories'),
	current_setting('port'), current_database(), current_user)) \g /dev/null
SELECT dblink_exec('holder', 'BEGIN ISOLATION LEVEL REPEATABLE READ') \g /dev/null
SELECT * FROM dblink('holder', 'SELECT count(*) FROM _activity.webhook_endpoint') v (n bigint) \g /dev/null
CREATE PROCEDURE send(claims int) LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. claims LOOP
		PERFORM activity.report_delivery(delivery_id, attempt, 200) FROM activity.claim_deliveries(10, '60 s');
		COMMIT;
	END LOOP;
END
$$;
CALL send(500);
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE endpoint_id = :'long' AND status = 'delivered') > 5000, true,
	'5000 are sent under a snapshot');
SELECT cmp_ok(pg_temp.middle(), '<', (:short_queue * 1.5)::bigint, 'which costs the next claims nothing');
-- Nor do endpoints that have been busy and are not.
SELECT activity.disable_webhook(:'long') \g /dev/null
SELECT activity.set_tier('brief', 'premium') \g /dev/null
SELECT count(*) FROM activity.create_webhook('brief', 'https://brief.example.com/') \g /dev/null
CREATE PROCEDURE come_and_go(times int) LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. times LOOP
		PERFORM activity.record('brief', 'credit.charge', '{"amount": 1}');
		COMMIT;
		PERFORM activity.publish();
		COMMIT;
		CALL send(2);
	END LOOP;
END
$$;
CALL come_and_go(200);
CREATE FUNCTION pg_temp.buffers_of_nothing() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT * FROM activity.claim_deliveries(5, ''60 s'')' INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint;
END
$$;
SELECT cmp_ok(pg_temp.buffers_of_nothing(), '<', 100::bigint, 'looking at one that sleeps neither');
SELECT dblink_exec('holder', 'COMMIT') \g /dev/null
SELECT is((SELECT count(*) FROM _activity.webhook_state s JOIN _activity.webhook_endpoint e ON e.key = s.endpoint WHERE e.id = :'long'), 1::bigint,
	'one version of the state is alive');
SELECT * FROM finish();
