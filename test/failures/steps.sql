-- Each step with a planted failure for organization "bad": "good" goes on, "bad" is set
-- aside with the reason, and follows.
SET client_min_messages = warning;
CREATE EXTENSION pgtap;
CREATE EXTENSION activity CASCADE;
SELECT no_plan();
SELECT activity.set_tier(o, 'enterprise') FROM unnest('{good,bad}'::text[]) o \g /dev/null
SELECT activity.create_webhook(o, 'https://' || o || '.example.com/') FROM unnest('{good,bad}'::text[]) o \g /dev/null

CREATE PROCEDURE record_some() LANGUAGE sql AS $$
	SELECT count(activity.record(o, 'credit.charge', '{"amount": 1}')) FROM unnest('{bad,good,bad,good}'::text[]) o $$;
CREATE FUNCTION plant(step text, organization text) RETURNS text LANGUAGE sql AS $$
	SELECT set_config('activity.plant_failure', step || ' ' || organization, false) $$;
-- Time passes for what is set aside.
CREATE PROCEDURE wait() LANGUAGE sql AS $$
	UPDATE _activity.set_aside SET next_attempt = now() - interval '1 s' $$;
CREATE VIEW aside AS
	SELECT step, organization, count(*) AS items, min(sqlstate) AS sqlstate, max(attempts) AS attempts FROM activity.set_aside GROUP BY 1, 2;
CREATE FUNCTION streamed(organization text) RETURNS bigint LANGUAGE sql AS $$
	SELECT position FROM activity.stream_head(organization) $$;
CREATE FUNCTION owed(organization text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM activity.webhook_deliveries d WHERE d.organization = owed.organization $$;

SELECT activity.publish() \g /dev/null

-- Where an event gets its position: its organization's head, its digest, its message.
\set step head
\ir publish.sql
\set step digest
\ir publish.sql
\set step notify
\ir publish.sql

-- Where who listens to the publisher is told.
SELECT plant('webhooks', 'bad') \g /dev/null
SELECT owed('bad') AS bad, owed('good') AS good \gset before_
CALL record_some();
SELECT activity.publish() \g /dev/null
CALL record_some();
SELECT activity.publish() \g /dev/null
SELECT is(owed('good'), :before_good + 4::bigint, 'webhooks: the others have their deliveries');
SELECT is(owed('bad'), :before_bad::bigint, 'webhooks: the one has not');
SELECT results_eq('TABLE aside', $$VALUES ('webhooks', 'bad', 1::bigint, '22000', 1)$$, 'webhooks: it is set aside');
CALL wait();
SELECT activity.publish() \g /dev/null
SELECT results_eq('TABLE aside', $$VALUES ('webhooks', 'bad', 1::bigint, '22000', 2)$$, 'webhooks: and again');
SELECT plant('', '') \g /dev/null
CALL wait();
SELECT activity.publish() \g /dev/null
SELECT is(owed('bad'), :before_bad + 4::bigint, 'webhooks: then it has all of them');
SELECT is_empty('TABLE aside', 'webhooks: nothing is left');

-- Deliveries and endpoints.
SELECT owed('good') AS good \gset all_
SELECT plant('deliver', 'bad') \g /dev/null
SELECT count(*) FILTER (WHERE url ~ 'good') AS good, count(*) FILTER (WHERE url ~ 'bad') AS bad FROM activity.claim_deliveries(1000, '1 min') \gset
SELECT is(:good, least(:all_good, 10), 'deliver: the others are handed out');
SELECT is(:bad, 0, 'deliver: the one is not');
SELECT ok((SELECT bool_and(step = 'deliver' AND organization = 'bad' AND items > 0) FROM aside), 'deliver: each is set aside');
SELECT plant('', '') \g /dev/null
SET activity.clock_offset = '10 min';
SELECT count(*) AS bad FROM activity.claim_deliveries(1000, '1 min') WHERE url ~ 'bad' \gset
SELECT ok(:bad > 0, 'deliver: later it is');
SET activity.clock_offset = '30 min';
SELECT count(*) FROM activity.claim_deliveries(1000, '1 min') \g /dev/null
SET activity.clock_offset = '60 min';
SELECT count(*) FROM activity.claim_deliveries(1000, '1 min') \g /dev/null
SELECT is_empty('TABLE aside', 'deliver: nothing is left');

-- A session in which nothing failed so far fails once and is careful then.
SET activity.clock_offset = '90 min';
SELECT plant('claim', 'bad') \g /dev/null
\set ON_ERROR_STOP 0
SELECT count(*) FROM activity.claim_deliveries(1000, '1 min') \g /dev/null
\set ON_ERROR_STOP 1
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '22000', 'claim: fails');
SELECT count(*) FILTER (WHERE url ~ 'good') AS good, count(*) FILTER (WHERE url ~ 'bad') AS bad FROM activity.claim_deliveries(1000, '1 min') \gset
SELECT ok(:good > 0 AND :bad = 0, 'claim: the others are handed out');
SELECT results_eq('TABLE aside', $$VALUES ('claim', 'bad', 1::bigint, '22000', 1)$$, 'claim: the endpoint is set aside');
SELECT plant('', '') \g /dev/null
CALL wait();
SELECT count(*) AS bad FROM activity.claim_deliveries(1000, '1 min') WHERE url ~ 'bad' \gset
SELECT ok(:bad > 0, 'claim: later it is handed out');
SELECT is_empty('TABLE aside', 'claim: nothing is left');

-- Upkeep.
SELECT activity.set_retention(o, '1 month') FROM unnest('{good,bad}'::text[]) o \g /dev/null
SELECT activity.maintain(since => now() - interval '4 months') \g /dev/null
SELECT count(activity.record(o, 'credit.charge', '{"amount": 1}', occurred_at => now() - interval '3 months'))
	FROM unnest('{bad,good}'::text[]) o \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT plant('trim', '') \g /dev/null
SELECT activity.maintain() \g /dev/null
SELECT results_eq('SELECT step, items FROM aside', $$VALUES ('maintain', 1::bigint)$$, 'trim: it is set aside');
SELECT is(activity.feed_count('good', since => now() - interval '100 days', until => now() - interval '80 days'), 0::bigint,
	'trim: what is over is gone all the same');
SELECT plant('', '') \g /dev/null
SELECT activity.maintain() \g /dev/null
SELECT is_empty('TABLE aside', 'trim: nothing is left');
\set step expire
\ir maintain.sql
\set step months
\ir maintain.sql
\set step gaps
\ir maintain.sql
\set step webhooks
\ir maintain.sql
SELECT is((SELECT set_aside FROM activity.health), 0::bigint, 'health says so');
SELECT is_empty(format('SELECT * FROM activity.verify(%L)', o), 'the chain of ' || o || ' holds') FROM unnest('{good,bad}'::text[]) o;
SELECT * FROM finish();
