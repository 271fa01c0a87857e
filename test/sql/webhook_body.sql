-- The bytes of a webhook: a change of them would change the body of a delivery
-- between two of its attempts, so they are pinned here. The names of database
-- roles stay inside.
SET client_min_messages = warning;
SELECT activity.set_tier('org', 'premium');
SELECT count(*) FROM activity.create_webhook('org', 'https://example.com/hook', '{credit.*}');
CREATE ROLE regress_activity_app;
SELECT activity.allow('regress_activity_app', 'record');
BEGIN;
SET LOCAL ROLE regress_activity_app;
SELECT activity.set_actor('user_1', 'user', 'Zoë "Z" O''Neill', '{"ip": "192.0.2.1", "request": 7.10}');
SELECT activity.record('org', 'credit.charge', '{"id": "tx_1", "amount": 5.50, "nested": {"b": [1, null, true], "a": {}}}',
	'{"model": "m/1 <b>&", "note": "line\nbreak \u2028 🦆"}', id => '0190f5fe-2c00-7000-8000-000000000001');
COMMIT;
SELECT context - 'database_role' AS context FROM activity.events WHERE event_type = 'credit.charge';
SELECT activity.publish() > 0 AS published;
SELECT regexp_replace(body, '"recordedAt":"[^"]*"', '"recordedAt":"now"') AS body,
	headers->>'webhook-id' AS id, headers - 'webhook-id' - 'webhook-timestamp' - 'webhook-signature' AS others
FROM activity.claim_deliveries(1, '60 s') \gx
-- The same bytes in another session's settings, and in a later attempt.
SET activity.clock_offset = '2 min';
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET extra_float_digits = -3;
SELECT attempt, regexp_replace(body, '"recordedAt":"[^"]*"', '"recordedAt":"now"') AS body
FROM activity.claim_deliveries(1, '60 s') \gx
RESET ALL;
SET client_min_messages = warning;
DROP EXTENSION activity CASCADE;
DROP ROLE regress_activity_app;
CREATE EXTENSION activity;
