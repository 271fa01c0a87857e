-- summary() equals counting the events, whatever days are counted beforehand: for random
-- ranges, while events come late, wait, are published, put together, redacted and expire.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(16);
SELECT setseed(0.5) \g /dev/null
SELECT activity.set_tier('o', 'enterprise') \g /dev/null
CREATE TABLE wrong (step text, what text);
CREATE FUNCTION one_of(VARIADIC words text[]) RETURNS text LANGUAGE sql VOLATILE
	RETURN words[1 + floor(random() * cardinality(words))::int];

-- Somebody may have an id of several kinds, several names, a name alone, or nothing.
CREATE PROCEDURE happen(times int, days int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		PERFORM activity.set_actor(one_of('ann', 'bob', 'cy', NULL), one_of('user', 'user', 'api_key'), one_of('Ann', 'A. N.', '', NULL),
			on_behalf_of => CASE WHEN random() < 0.2 THEN jsonb_strip_nulls(jsonb_build_object('id', one_of('boss', 'ann'), 'kind', one_of('user', 'agent', NULL),
				'name', one_of('Boss', 'B.', NULL))) END);
		IF random() < 0.1 THEN
			PERFORM activity.set_actor(NULL), set_config('activity.actor_name', one_of('cron', 'Ann'), true);
		END IF;
		PERFORM activity.record('o', one_of('auth.signin', 'credit.charge', 'plan.purchased')::activity.event_type, '{"id": "x"}',
			'{"amount": 1, "currency": "eur", "name": "p"}', occurred_at => date_trunc('day', now(), 'UTC') - interval '2 days' - random() * days * interval '1 day');
	END LOOP;
END
$$;
CREATE FUNCTION oracle(since timestamptz, until timestamptz)
RETURNS TABLE (dimension text, kind text, key text, name text, events bigint, latest timestamptz) LANGUAGE sql STABLE AS $$
	WITH e AS (SELECT * FROM activity.events e WHERE e.organization = 'o' AND (since IS NULL OR e.occurred_at >= since) AND (until IS NULL OR e.occurred_at < until)),
	people AS (
		SELECT 'actor', e.actor_kind, e.actor_id, e.actor_name, e.occurred_at, e.id FROM e
		UNION ALL
		SELECT 'on_behalf_of', e.on_behalf_of->>'kind', e.on_behalf_of->>'id', e.on_behalf_of->>'name', e.occurred_at, e.id FROM e WHERE e.on_behalf_of IS NOT NULL)
	SELECT 'event_type', NULL, e.event_type::text, t.meaning, count(*), max(e.occurred_at) FROM e JOIN activity.event_types t ON t.key = e.event_type::text GROUP BY e.event_type, t.meaning
	UNION ALL SELECT 'family', NULL, t.family, NULL, count(*), max(e.occurred_at) FROM e JOIN activity.event_types t ON t.key = e.event_type::text GROUP BY t.family
	UNION ALL SELECT p.dimension, p.kind, p.id, (array_agg(p.name ORDER BY p.at DESC, p.event DESC))[1], count(*), max(p.at)
	FROM people p (dimension, kind, id, name, at, event) GROUP BY p.dimension, p.kind, p.id, CASE WHEN p.id IS NULL THEN p.name END
$$;
CREATE PROCEDURE check_one(step text, since timestamptz, until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	difference text;
BEGIN
	WITH answer AS MATERIALIZED (SELECT * FROM activity.summary('o', since, until)),
	truth AS MATERIALIZED (SELECT * FROM oracle(since, until))
	SELECT string_agg(side || line, E'\n') INTO difference FROM (
		SELECT 'answer ' AS side, x::text AS line FROM (TABLE answer EXCEPT ALL TABLE truth) x
		UNION ALL SELECT 'events ', x::text FROM (TABLE truth EXCEPT ALL TABLE answer) x) d;
	IF difference IS NOT NULL THEN
		INSERT INTO wrong VALUES (step || ' from ' || coalesce(since::text, '-') || ' to ' || coalesce(until::text, '-'), difference);
	END IF;
END
$$;
CREATE PROCEDURE check_all(step text) LANGUAGE plpgsql AS $$
DECLARE
	a timestamptz;
	b timestamptz;
BEGIN
	CALL check_one(step, NULL, NULL);
	CALL check_one(step, date_trunc('day', now(), 'UTC') - interval '5 days', date_trunc('day', now(), 'UTC') - interval '3 days');
	FOR i IN 1 .. 8 LOOP
		a := now() - random() * interval '9 days';
		b := now() - random() * interval '9 days';
		CALL check_one(step, least(a, b), greatest(a, b));
	END LOOP;
	INSERT INTO wrong SELECT step || ': rollup_verify', v::text FROM activity.rollup_verify('o') v;
END
$$;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql VOLATILE RETURN (SELECT count(*) FROM _activity.rollup r WHERE r.kind = 6);
CREATE FUNCTION is_right(step text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT is((SELECT string_agg(w.step || E'\n' || w.what, E'\n') FROM wrong w), NULL, step) $$;

CALL happen(2000, 6);
CALL check_all('unpublished');
SELECT is_right('before anything is published');
SELECT activity.publish() \g /dev/null
CALL check_all('published');
SELECT is_right('when it is');
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null
SELECT cmp_ok(counted(), '>=', 5::bigint, 'maintain() has counted days');
CALL check_all('counted');
SELECT is_right('when days are counted');

-- Late events
BEGIN;
CALL happen(30, 3);
CALL check_all('own');
SELECT is_right('with events of the same transaction');
COMMIT;
CALL check_all('late');
SELECT is_right('with events that are late and have no position');
SELECT activity.publish() \g /dev/null
CALL check_all('late, published');
SELECT is_right('or have one');
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null
SELECT cmp_ok(counted(), '>=', 5::bigint, 'their days are counted again');
CALL check_all('late, counted');
SELECT is_right('when those are counted');
SELECT count(activity.record('o', 'auth.signin', occurred_at => now() - interval '3 days')) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT counted() AS before \gset
SELECT _activity.compact_rollups(o.key) FROM _activity.organization o WHERE o.id = 'o' \g /dev/null
SELECT is(counted(), :before - 1::bigint, 'a day that gets an event is not counted any more, the others are');
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null

-- People go
SELECT count(*) FROM activity.redact_person('ann', 'asked') \g /dev/null
SELECT is((SELECT count(*) FROM _activity.rollup r WHERE r::text ~ '\mann\M|Ann'), 0::bigint, 'nobody who is redacted stays in a day');
CALL check_all('redacted');
SELECT is_right('after a redaction');
CALL happen(300, 6);
SELECT activity.publish() \g /dev/null
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null
CALL check_all('redacted, counted');
SELECT is_right('and when days are counted again');

-- Time goes
SELECT activity.set_retention('o', interval '4 days') \g /dev/null
SELECT count(*) FROM activity.maintain() \g /dev/null
CALL check_all('expired');
SELECT is_right('when events have expired');

-- What is wrong shows
UPDATE _activity.rollup r SET actors = array_replace(r.actors, 'bob', 'eve') WHERE r.kind = 6;
SELECT cmp_ok((SELECT count(*) FROM activity.rollup_verify('o') v WHERE v.dimension = 'summary' AND v.key ~ 'id=(bob|eve)$'), '>=', 2::bigint, 'a day that is counted wrongly shows');
SELECT cmp_ok((SELECT sum(s.events) FROM activity.summary('o', NULL) s WHERE s.key = 'eve'), '>=', 100::numeric, 'and is what a summary reads');
SELECT * FROM finish();
