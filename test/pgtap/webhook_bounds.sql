-- However many endpoints are busy: a claim visits some and locks few, none of them
-- is forgotten, and a batch of publishing makes no more deliveries than it may.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(11);

SELECT activity.set_tier('org', 'enterprise'), activity.set_tier('other', 'enterprise') \g /dev/null
SELECT count(endpoint_id) FROM generate_series(1, 100) n, LATERAL activity.create_webhook('org', 'https://h' || n || '.example.com/') \g /dev/null
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://more.example.com/')$$, '54000', NULL, 'an organization has a hundred endpoints');
SELECT lives_ok($$SELECT activity.create_webhook('other', 'https://other.example.com/')$$, 'another one is not concerned');
SET activity.max_endpoints = 600;
SELECT count(endpoint_id) FROM generate_series(101, 600) n, LATERAL activity.create_webhook('org', 'https://h' || n || '.example.com/', event_types => '{credit.charge}') \g /dev/null
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://more.example.com/')$$, '54000', NULL, 'nor more than the setting says');
DO $$ BEGIN WHILE activity.publish() > 0 LOOP COMMIT; END LOOP; END $$;
DO $$ BEGIN FOR n IN 1 .. 100 LOOP PERFORM activity.claim_deliveries(10000); COMMIT; END LOOP; END $$;

-- 400 events are 240,000 deliveries; another organization waits for a batch of them.
SELECT count(activity.record('org', 'credit.charge', '{"amount": 1}')) FROM generate_series(1, 400) \g /dev/null
SELECT activity.publish() AS batch \gset
SELECT ok(:batch * 600 <= 120000 AND :batch > 0, 'a batch makes some 100,000 deliveries at most');
SELECT activity.record('other', 'credit.charge', '{"amount": 1}') \g /dev/null
DO $$ BEGIN WHILE activity.publish() > 0 LOOP COMMIT; END LOOP; END $$;
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE event_type = 'credit.charge'), 400 * 600 + 1::bigint, 'all are owed');

-- Claims of a session go round all endpoints, with few locks in each transaction.
CREATE TEMPORARY TABLE claimed (delivery_id uuid, url text);
CREATE TEMPORARY TABLE locked (n bigint);
DO $$
BEGIN
	FOR n IN 1 .. 50 LOOP
		INSERT INTO claimed SELECT delivery_id, url FROM activity.claim_deliveries(10000, '1 day');
		INSERT INTO locked SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
			AND coalesce(relation, 0) NOT IN ('claimed'::regclass, 'locked'::regclass);
		COMMIT;
	END LOOP;
END
$$;
SELECT is((SELECT count(DISTINCT url) FROM claimed), 601::bigint, 'each endpoint has had its turn');
SELECT is((SELECT count(DISTINCT delivery_id) FROM claimed), count(*), 'and nothing twice') FROM claimed;
SELECT cmp_ok((SELECT max(n) FROM locked), '<=', 100::bigint, 'a hundred locks at most');
SELECT is_empty('SELECT * FROM activity.claim_deliveries(10000)', 'all are busy');

-- One at a time is one lock more, not one for each that is busy.
SELECT activity.record('other', 'credit.charge', '{"amount": 2}') \g /dev/null
SELECT activity.publish() \g /dev/null
BEGIN;
SELECT url FROM activity.claim_deliveries(1) \gset
SELECT is(:'url'::text, 'https://other.example.com/', 'who may send is found among the busy ones');
SELECT cmp_ok((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()), '<=', 100::bigint, 'with few locks');
COMMIT;
SELECT * FROM finish();
