-- What an installation holds when it is upgraded, made with what every release has.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT activity.allow('app_reader', 'read'), activity.allow('app_writer', 'record'),
	activity.allow('app_admin', 'administer'), activity.allow('app_gateway', 'serve'),
	activity.allow('app_auditor', 'comply');
SELECT activity.set_tier(o, 'enterprise') FROM unnest('{north,south}'::text[]) o;
SELECT activity.set_tier('west', 'premium');
UPDATE activity.features SET tier = 'free' WHERE feature = 'feed';
SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}[ after {minutes} min]',
	ARRAY['dish'], 'Kitchen', 'dish', 'Something burnt');
SELECT activity.define_measure('kitchen.burnt', 'minutes', 'minutes', 'min');
SELECT activity.set_retention('south', '5 years');
SELECT activity.declare_personal('kitchen.burnt', '{cook}');

CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
CREATE TABLE subscriptions (id text PRIMARY KEY, organization_id text, status text, tier text, amount numeric,
	currency text, "interval" text, cancel_at_period_end bool DEFAULT false);
GRANT ALL ON memberships, subscriptions TO app_writer;
SELECT activity.track('memberships', 'membership');
SELECT activity.track('subscriptions', 'subscription');
SELECT activity.create_consumer('indexer'), activity.create_consumer('north only', 'north', start => 'earliest');
SELECT * FROM activity.create_webhook('north', 'https://hooks.example.com/a', '{membership.*,kitchen.*}');
SELECT * FROM activity.create_webhook('south', 'https://hooks.example.com/b');

BEGIN;
SELECT activity.set_actor('ada', name => 'Ada', context => '{"ip": "192.0.2.7"}',
	on_behalf_of => '{"kind": "user", "id": "grace", "name": "Grace"}');
INSERT INTO memberships VALUES (1, 'north', 'ada', 'owner', 'active'), (2, 'south', 'bob', 'member', 'active'),
	(3, 'north', 'eve', 'member', 'active');
INSERT INTO subscriptions VALUES ('s1', 'south', 'active', 'enterprise', 49, 'EUR', 'month');
COMMIT;
-- One event of every type, and an import.
SELECT activity.record('north', t.key::activity.event_type,
	(SELECT coalesce(jsonb_object_agg(field, field || n), '{}') || jsonb_build_object('id', 's' || n)
	 FROM unnest(t.required) field), jsonb_build_object('amount', n))
FROM (SELECT *, row_number() OVER (ORDER BY key COLLATE "C") AS n FROM activity.event_types) t
WHERE t.category NOT IN ('compliance', 'access');
SELECT activity.record('south', 'kitchen.burnt', '{"id": "d1", "dish": "soup"}', '{"minutes": 3, "cook": "bob"}',
	occurred_at => now() - n * interval '20 days') FROM generate_series(1, 6) n;
SELECT activity.publish();
SELECT activity.create_connection('north', 'ada', 'laptop');
SELECT activity.create_token('south', capabilities => '{read,stream}', label => 'ci');
SELECT count(*) FROM activity.claim_deliveries(5, '10 minutes') c,
	LATERAL activity.report_delivery(c.delivery_id, c.attempt, 200, NULL, '1 second', 'fine', NULL);
SELECT count(*) FROM activity.claim_deliveries(2, '10 minutes') c,
	LATERAL activity.report_delivery(c.delivery_id, c.attempt, 500, NULL, '1 second', 'sorry', NULL);
SELECT activity.place_hold('south', 'a lawsuit', actor => 'bob');
SELECT * FROM activity.redact_person('eve', 'asked for it');
SELECT count(*) FROM activity.poll('north only', 20);
SELECT activity.publish();
SELECT count(*) FROM activity.export('south', 'ndjson');
DELETE FROM memberships WHERE id = 2;
