-- Monthly recurring revenue, by the events that a tracked table of subscriptions and
-- others make.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(36);
UPDATE activity.features SET tier = 'free'; -- a subscription that ends takes the tier with it
CREATE FUNCTION mrr(at timestamptz DEFAULT now() + interval '1 day') RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT string_agg(concat_ws(' ', m.mrr, m.currency, m.subscriptions), ', ' ORDER BY m.currency) FROM activity.mrr('o', at) m);
SELECT is(mrr(), NULL, 'nothing comes in');

-- A table
CREATE TABLE subscriptions (id int PRIMARY KEY, org_id text, status text, plan text, unit_amount numeric, currency text,
	"interval" text, interval_count int, seats int);
SELECT count(*) FROM activity.track('subscriptions', 'subscription') \g /dev/null
INSERT INTO subscriptions VALUES (1, 'o', 'active', 'premium', 20, 'usd', 'month', 1, 3);
SELECT is(mrr(), '60 usd 1', 'a price times seats');
SELECT is((SELECT e.subject - 'id' FROM activity.events e WHERE e.event_type = 'subscription.active'),
	'{"kind": "subscription", "tier": "premium", "status": "active", "amount": 20, "currency": "usd", "interval": "month", "interval_count": 1, "quantity": 3}'::jsonb,
	'the preset finds what a price is');
UPDATE subscriptions SET status = 'past_due';
SELECT is(mrr(), '60 usd 1', 'past due counts');
UPDATE subscriptions SET status = 'active', plan = 'enterprise', unit_amount = 50;
SELECT is(mrr(), '150 usd 1', 'an upgrade changes it');
UPDATE subscriptions SET plan = 'premium', unit_amount = 10;
SELECT is(mrr(), '30 usd 1', 'and a downgrade');
INSERT INTO subscriptions VALUES (2, 'o', 'trialing', 'premium', 20, 'usd', 'month', 1, 3), (3, 'o', 'incomplete', 'premium', 20, 'usd', 'month', 1, 3);
SELECT is(mrr(), '30 usd 1', 'trialing and incomplete don''t count');
UPDATE subscriptions SET status = 'active' WHERE id = 2;
SELECT is(mrr(), '90 usd 2', 'the trial ends');
UPDATE subscriptions SET status = 'paused' WHERE id = 1;
SELECT is(mrr(), '60 usd 1', 'paused doesn''t');
UPDATE subscriptions SET status = 'unpaid' WHERE id = 2;
SELECT is(mrr(), NULL, 'nor unpaid');
UPDATE subscriptions SET status = 'active';
DELETE FROM subscriptions WHERE id <> 1;
SELECT is(mrr(), '30 usd 1', 'nor what is gone');
UPDATE subscriptions SET status = 'canceled';
SELECT is(mrr(), NULL, 'or canceled');

-- Items of their own
CREATE TABLE subscription_items (id int PRIMARY KEY, org_id text, subscription_id int, product text, quantity int, price numeric);
SELECT count(*) FROM activity.track('subscription_items', 'subscription_item') \g /dev/null
INSERT INTO subscriptions VALUES (4, 'o', 'active', 'premium', NULL, 'eur', 'year', 1, NULL);
INSERT INTO subscription_items VALUES (1, 'o', 4, 'seat', 10, 12), (2, 'o', 4, 'disk', 1, 6), (3, 'o', 1, 'seat', 1, 99);
SELECT is(mrr(), '10.5 eur 1', 'items count by the interval and currency of their subscription, if it does');
UPDATE subscription_items SET quantity = 20 WHERE id = 1;
SELECT is(mrr(), '20.5 eur 1', 'as many as there are');
UPDATE subscription_items SET price = 18 WHERE id = 2;
SELECT is(mrr(), '21.5 eur 1', 'for what they cost');
DELETE FROM subscription_items WHERE id = 1;
SELECT is(mrr(), '1.5 eur 1', 'until they are removed');
UPDATE subscriptions SET status = 'canceled' WHERE id = 4;
SELECT is(mrr(), NULL, 'or their subscription is');

INSERT INTO subscriptions VALUES (5, 'o', 'active', 'premium', 7, NULL, 'month', 1, 1);
SELECT activity.record('o', 'subscription.item_added', '{"id": "i5", "price": 2, "currency": "chf"}', '{"subscription": "5"}') \g /dev/null
SELECT is(mrr(), '2 chf 0, 7 1', 'a price of no currency is added to no other');
DELETE FROM subscriptions WHERE id = 5;

-- Told by events, at any time
CREATE FUNCTION told(id text, action text, at text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql VOLATILE
	RETURN activity.record('o', 'subscription.' || action, fields || jsonb_build_object('id', id, 'kind', 'subscription', 'tier', 'premium'), occurred_at => at::timestamptz);
SELECT told('y', 'active', '2020-01-01', '{"amount": "120", "interval": "year", "currency": "usd"}'),
	told('w', 'active', '2020-02-01', '{"price": 3, "interval": "week", "currency": "usd"}'),
	told('d', 'active', '2020-03-01', '{"unit_amount": 12, "interval": "day", "currency": "usd"}'),
	told('q', 'active', '2020-04-01', '{"amount": 90, "interval": "month", "interval_count": 3, "currency": "eur"}'),
	told('l', 'active', '2020-05-01', '{"amount": 100000000000000000000000000.000000000000000012, "interval": "month", "currency": "btc"}'),
	told('n', 'active', '2020-06-01', '{"amount": "a lot", "currency": "usd"}'),
	told('y', 'upgraded', '2020-07-01', '{"amount": 240}'),
	told('y', 'cancel_scheduled', '2020-07-15'),
	told('w', 'lapsed', '2020-08-01') \g /dev/null
SELECT is(mrr('2019-12-31'), NULL, 'before it began');
SELECT is(mrr('2020-01-01'), '10 usd 1', 'a year has twelve months, the moment is included');
SELECT is(mrr('2020-02-02'), '23 usd 2', 'a week is 52 in twelve');
SELECT is(mrr('2020-03-02'), '388 usd 3', 'a day 365 in twelve');
SELECT is(mrr('2020-04-02'), '30 eur 1, 388 usd 3', 'three months are three, and currencies are apart');
SELECT is(mrr('2020-05-02'), '100000000000000000000000000.000000000000000012 btc 1, 30 eur 1, 388 usd 3', 'exact');
SELECT is(mrr('2020-06-02'), '100000000000000000000000000.000000000000000012 btc 1, 30 eur 1, 388 usd 4', 'what is no number is a subscription of nothing');
SELECT is(mrr('2020-07-02'), '100000000000000000000000000.000000000000000012 btc 1, 30 eur 1, 398 usd 4', 'from its event on');
SELECT is(mrr('2020-07-20'), mrr('2020-07-02'), 'the end that is scheduled has not come');
SELECT is(mrr('2020-08-02'), '100000000000000000000000000.000000000000000012 btc 1, 30 eur 1, 385 usd 3', 'lapsed is over');

-- What is not understood adds nothing, and is counted.
SELECT results_eq($$SELECT word, trim_scale(round(_activity.monthly(12, word, 1), 6)) FROM unnest('{DAY,days,daily,week,Weekly,month,monthly,quarter,quarterly,year,yearly,annual,annually,weekend,dayish,fortnight,monthly?}'::text[]) word$$,
	$$VALUES ('DAY', 365::numeric), ('days', 365), ('daily', 365), ('week', 52), ('Weekly', 52), ('month', 12), ('monthly', 12), ('quarter', 4), ('quarterly', 4), ('year', 1), ('yearly', 1),
		('annual', 1), ('annually', 1), ('weekend', NULL), ('dayish', NULL), ('fortnight', NULL), ('monthly?', NULL)$$, 'a word is an interval or none');
SELECT results_eq($$SELECT n, _activity.monthly(12, 'month', n) FROM unnest('{2,0.5,0,-1}'::numeric[]) n$$, $$VALUES (2::numeric, 6::numeric), (0.5, 24), (0, NULL), (-1, NULL)$$, 'there are some of them');
SELECT count(activity.record('strange', 'subscription.active', fields || jsonb_build_object('id', n, 'kind', 'subscription', 'amount', 10)))
FROM unnest('{"{\"currency\": \" usd \"}","{\"currency\": \"usd\", \"interval_count\": -1}","{\"currency\": \"usd\", \"quantity\": -5}","{\"currency\": \"usd\", \"interval\": \"weekend\"}","{\"currency\": {}}","{\"currency\": \" \"}"}'::jsonb[]) WITH ORDINALITY f (fields, n) \g /dev/null
SELECT results_eq($$SELECT * FROM activity.mrr('strange')$$, $$VALUES ('usd'::text, 10::numeric, 4::bigint), (NULL, 20, 2)$$, 'as subscriptions of nothing, and of no currency');

-- Late, published, redacted
CREATE TABLE before_it AS SELECT mrr('2020-08-02') AS mrr;
SELECT activity.publish() \g /dev/null
SELECT is(mrr('2020-08-02'), (SELECT mrr FROM before_it), 'the same when it is published');
SELECT s.cursor AS known FROM activity.stream_head('o') s \gset
SELECT told('y', 'canceled', '2020-01-15') \g /dev/null
SELECT is(mrr('2020-01-20'), NULL, 'a cancellation that is told late');
SELECT is((SELECT m.mrr FROM activity.mrr('o', '2020-01-20', as_known => :'known') m), 10::numeric, 'and what was known before');
SELECT count(*) FROM activity.redact_person('q', 'why', 'o', 'someone') \g /dev/null
SELECT is(mrr('2020-08-02'), '100000000000000000000000000.000000000000000012 btc 1, 30 eur 1, 365 usd 2', 'a subscription that was redacted goes on');
SELECT is(mrr('2020-04-02'), '30 eur 1, 378 usd 2', 'at any time');
SELECT finish();
