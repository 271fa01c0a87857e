-- Endpoints: who may have them, what is recorded, what they get, and that their
-- secrets are shown once.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(58);

SELECT throws_ok($$SELECT activity.create_webhook('poor', 'https://example.com/')$$, '42501', NULL,
	'below premium there are no webhooks');
SELECT is((SELECT count(*)::int FROM _activity.webhook_endpoint), 0, 'and nothing is left of the attempt');
SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT throws_ok($$SELECT activity.create_webhook('org', 'http://example.com/')$$, 'AC020', NULL, 'a url that can''t be used');
SELECT throws_ok($$SELECT activity.create_webhook('org', NULL)$$, '22004', NULL, 'no url');
SELECT throws_ok($$SELECT activity.create_webhook(NULL, 'https://example.com/')$$, '22004', NULL, 'no organization');
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://example.com/', '{credit.chrage}')$$, 'AC001', NULL, 'an unknown type');
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://example.com/', '{nothing.*}')$$, 'AC001', NULL, 'an unknown category');
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://example.com/', '{}')$$, '22023', NULL, 'no type at all');
SELECT throws_ok($$SELECT activity.create_webhook('org', 'https://example.com/', ARRAY[NULL])$$, '22004', NULL, 'null among the types');

-- Made
SELECT endpoint_id, secret FROM activity.create_webhook('org', 'https://example.com/a', NULL, 'first') \gset
SELECT matches(:'secret'::text, '^whsec_[A-Za-z0-9+/]{43}=$', 'the secret is whsec_ and 32 bytes in base64');
SELECT results_eq($$SELECT event_type::text, subject_id = (SELECT id::text FROM _activity.webhook_endpoint), subject->>'url'
	FROM activity.events$$, $$VALUES ('webhook.created', true, 'https://example.com/a')$$, 'that is recorded');
SELECT results_eq($$SELECT organization, url, event_types, description, status, failures, in_flight, secrets
	FROM activity.webhook_endpoints$$,
	$$VALUES ('org', 'https://example.com/a', NULL::text[], 'first', 'active', 0, 0, 1)$$, 'and seen');
SELECT is((SELECT count(*)::int FROM activity.webhook_endpoints w WHERE w::text LIKE '%whsec_%'), 0, 'without its secret');
SELECT is((SELECT count(*)::int FROM activity.events e WHERE e::text LIKE '%whsec_%'), 0, 'which no event has either');

-- Changed
SELECT activity.update_webhook(:'endpoint_id', url => 'https://example.com/b', event_types => '{credit.*,API_KEY.created}') \g /dev/null
SELECT results_eq($$SELECT url, event_types, description FROM activity.webhook_endpoints$$,
	$$VALUES ('https://example.com/b', '{credit.*,API_KEY.created}'::text[], 'first')$$, 'what is given is changed');
SELECT activity.update_webhook(:'endpoint_id', url => 'https://example.com/b') \g /dev/null
SELECT results_eq($$SELECT metadata->>'previous_url', metadata->'event_types' FROM activity.events WHERE event_type = 'webhook.updated'$$,
	$$VALUES ('https://example.com/a', '["credit.*", "API_KEY.created"]'::jsonb)$$, 'recorded once: no change is no event');
SELECT throws_ok(format($$SELECT activity.update_webhook(%L, 'https://10.0.0.1/')$$, :'endpoint_id'), 'AC020', NULL, 'a bad url is refused here, too');
SELECT throws_ok(format($$SELECT activity.update_webhook(%L, event_types => '{what.ever}')$$, :'endpoint_id'), 'AC001', NULL, 'and a bad type');
SELECT throws_ok($$SELECT activity.update_webhook(gen_random_uuid(), 'https://example.com/')$$, '42704', NULL, 'an endpoint that does not exist');

-- What it gets: by category, by key in any case, by synonym, never of webhooks.
SELECT activity.record('org', 'credit.charge', '{"amount": 1}') AS charged \gset
SELECT activity.record('org', 'api_key.created', '{"name": "k", "prefix": "p", "id": "k1"}') AS made \gset
SELECT activity.record('org', 'apikey.created', '{"name": "k", "prefix": "p", "id": "k1"}') AS synonym \gset
SELECT activity.record('org', 'credits.redeemed', '{"amount": 1}') AS other \gset
SELECT activity.record('else', 'credit.charge', '{"amount": 1}') AS elsewhere \gset
SELECT activity.publish() \g /dev/null
SELECT set_eq($$SELECT event_id FROM activity.webhook_deliveries$$,
	format($$SELECT unnest(%L::uuid[])$$, ARRAY[:'charged', :'made', :'synonym']), 'the types asked for, and their synonyms');
SELECT results_eq($$SELECT status, attempts FROM activity.webhook_deliveries GROUP BY 1, 2$$,
	$$VALUES ('waiting', 0::bigint)$$, 'they wait');
SELECT activity.update_webhook(:'endpoint_id', all_event_types => true) \g /dev/null
SELECT activity.record('org', 'credits.redeemed', '{"amount": 1}') AS later \gset
SELECT count(*) AS before FROM activity.webhook_deliveries \gset
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE event_id = :'later'), 1::bigint, 'then every type');
SELECT is((SELECT count(*) FROM activity.webhook_deliveries), (:before + 1)::bigint, 'but those of webhooks');
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries), (:before + 1)::bigint, 'and each event once');
SELECT activity.define_event_type('robot.moved', 'moved') \g /dev/null
SELECT endpoint_id AS robots FROM activity.create_webhook('org', 'https://example.com/robots', '{robot.*}') \gset
SELECT activity.define_event_type('robot.fell', 'fell') \g /dev/null
SELECT activity.record('org', 'robot.fell') AS fell \gset
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE event_id = :'fell'), 2::bigint,
	'a category takes types that are defined later');

-- Disabled and enabled
SELECT activity.disable_webhook(:'robots', 'holidays') \g /dev/null
SELECT activity.record('org', 'robot.moved') AS unseen \gset
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE event_id = :'unseen'), 1::bigint,
	'a disabled endpoint is owed nothing new');
SELECT results_eq($$SELECT status, reason FROM activity.webhook_endpoints WHERE url LIKE '%robots'$$,
	$$VALUES ('disabled', 'holidays')$$, 'it is seen to be disabled, and why');
SELECT results_eq($$SELECT d.status FROM activity.webhook_deliveries d JOIN activity.webhook_endpoints e USING (endpoint_id)
	WHERE e.url LIKE '%robots'$$, $$VALUES ('parked')$$, 'what it was owed is parked');
SELECT throws_ok(format('SELECT activity.test_webhook(%L)', :'robots'), '55000', NULL, 'it can''t be tested');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100, '1 min') WHERE url LIKE '%robots'), 0::bigint, 'and nothing is sent');
SELECT activity.enable_webhook(:'robots') \g /dev/null
SELECT activity.enable_webhook(:'robots') \g /dev/null
SELECT is((SELECT count(activity.report_delivery(delivery_id, attempt, 200))
	FROM activity.claim_deliveries(100, '1 min') WHERE url LIKE '%robots'), 1::bigint, 'enabled, it gets what was parked');
SELECT results_eq($$SELECT event_type::text, metadata->>'reason' FROM activity.events
	WHERE event_type IN ('webhook.disabled', 'webhook.enabled') ORDER BY id$$,
	$$VALUES ('webhook.disabled', 'holidays'), ('webhook.enabled', NULL)$$, 'both are recorded, once');

-- Secrets
SELECT activity.record('org', 'robot.moved') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.rotate_webhook_secret(:'robots') AS second \gset
SELECT activity.rotate_webhook_secret(:'robots', '1 hour') AS third \gset
SELECT headers, body FROM activity.claim_deliveries(100, '1 min') WHERE url LIKE '%robots' \gset
SELECT is(cardinality(string_to_array(:'headers'::jsonb->>'webhook-signature', ' ')), 3, 'all three secrets sign');
SELECT ok(activity.verify_webhook_signature(:'headers', :'body', s), 'so does this one') FROM (VALUES (:'second'), (:'third')) v (s);
SELECT is(split_part(:'headers'::jsonb->>'webhook-signature', ' ', 1),
	(SELECT 'v1,' || encode(hmac(convert_to((:'headers'::jsonb->>'webhook-id') || '.' || (:'headers'::jsonb->>'webhook-timestamp') || '.' || :'body', 'UTF8'),
		decode(substr(:'third', 7), 'base64'), 'sha256'), 'base64')), 'the newest first');
SELECT is((SELECT secrets FROM activity.webhook_endpoints WHERE endpoint_id = :'robots'), 3, 'three live secrets');
SET activity.clock_offset = '2h';
SELECT is((SELECT secrets FROM activity.webhook_endpoints WHERE endpoint_id = :'robots'), 1,
	'after the shorter overlap one is left: a longer one before does not outlast it');
SELECT activity.rotate_webhook_secret(:'robots', '0') AS fourth \gset
SELECT is((SELECT secrets FROM activity.webhook_endpoints WHERE endpoint_id = :'robots'), 1, 'no overlap: the old one is gone at once');
SELECT is((SELECT count(*) FROM _activity.webhook_secret s JOIN _activity.webhook_endpoint e ON e.key = s.endpoint WHERE e.id = :'robots'),
	1::bigint, 'expired ones are removed');
SELECT throws_ok(format($$SELECT activity.rotate_webhook_secret(%L, '-1 s')$$, :'robots'), '22023', NULL, 'no overlap below zero');
SET activity.clock_offset = 0;

-- Deleted
SELECT activity.delete_webhook(:'robots') \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_endpoints WHERE endpoint_id = :'robots'), 0::bigint, 'a deleted endpoint is gone');
SELECT is((SELECT count(*) FROM _activity.webhook_secret s JOIN _activity.webhook_endpoint e ON e.key = s.endpoint WHERE e.id = :'robots'),
	0::bigint, 'with its secrets');
SELECT throws_ok(format('SELECT activity.enable_webhook(%L)', :'robots'), '42704', NULL, 'for good');
SELECT isnt((SELECT count(*) FROM activity.webhook_deliveries WHERE endpoint_id = :'robots'), 0::bigint, 'its log stays');
SELECT activity.record('org', 'robot.moved') AS after_all \gset
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.webhook_deliveries WHERE event_id = :'after_all'), 1::bigint, 'it is owed nothing');

-- The tier goes and comes back.
SELECT activity.set_tier('org', 'free') \g /dev/null
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100, '1 min')), 0::bigint, 'below premium nothing is sent');
SELECT activity.set_tier('org', 'premium') \g /dev/null
SET activity.clock_offset = '2 min';
SELECT isnt((SELECT count(*) FROM activity.claim_deliveries(100, '1 min')), 0::bigint, 'and it flows again with the tier');
SET activity.clock_offset = 0;

-- A role that may administer sees no secret, whatever it does.
CREATE ROLE webhook_admin;
SELECT activity.allow('webhook_admin', 'administer') \g /dev/null
SET ROLE webhook_admin;
SELECT lives_ok($$SELECT activity.create_webhook('org', 'https://example.com/role')$$, 'an administrator makes one');
SELECT lives_ok($$SELECT activity.test_webhook(endpoint_id) FROM activity.webhook_endpoints WHERE url LIKE '%role'$$, 'tests it');
SELECT lives_ok($$SELECT count(activity.report_delivery(delivery_id, attempt, 200)) FROM activity.claim_deliveries(100, '1 min')$$, 'claims and reports');
SELECT lives_ok($$SELECT * FROM activity.webhook_deliveries, activity.webhook_attempts$$, 'sees deliveries and attempts');
SELECT throws_ok($$SELECT * FROM _activity.webhook_secret$$, '42501', NULL, 'but no secret');
SELECT throws_ok($$SELECT _activity.make_secret('x')$$, '42501', NULL, 'and no helper');
SELECT throws_ok($$SET activity.clock_offset = 1$$, '42501', NULL, 'may not move the clock');
SELECT throws_ok($$SET activity.allow_insecure_webhooks = on$$, '42501', NULL, 'nor send without TLS');
RESET ROLE;
CREATE ROLE webhook_reader;
SELECT activity.allow('webhook_reader', 'read') \g /dev/null
SET ROLE webhook_reader;
SELECT throws_ok($$SELECT * FROM activity.webhook_deliveries$$, '42501', NULL, 'a reader sees no deliveries');
SELECT throws_ok($$SELECT * FROM activity.claim_deliveries(1, '1 min')$$, '42501', NULL, 'and claims none');
RESET ROLE;
DROP OWNED BY webhook_admin, webhook_reader;
DROP ROLE webhook_admin, webhook_reader;
SELECT * FROM finish();
