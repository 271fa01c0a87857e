-- The total and the pages of the HTTP API come from the rollups where there are many
-- events: they are what counting says, whatever is published, compacted, redacted or gone.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(9);
SELECT setseed(0.3) \g /dev/null
SELECT activity.set_tier('org', 'enterprise') \g /dev/null
CREATE FUNCTION some_time() RETURNS timestamptz LANGUAGE sql VOLATILE
	RETURN date_trunc('month', now()) - random() * interval '700 days';
CREATE PROCEDURE record_some(events int) LANGUAGE sql AS $$
	SELECT count(activity.record('org', (ARRAY['credit.charge', 'order.created', 'auth.signin', 'auth.signup'])[1 + floor(random() ^ 2 * 4)::int]::activity.event_type,
		'{"kind": "thing", "id": "t"}', '{"amount": 1, "currency": "usd"}',
		occurred_at => CASE WHEN i % 10 = 0 THEN date_trunc('day', some_time()) ELSE some_time() END))
	FROM generate_series(1, events) i $$;
CREATE PROCEDURE publish_all() LANGUAGE plpgsql AS $$
BEGIN
	WHILE (SELECT backlog > 0 FROM activity.health) LOOP
		PERFORM activity.publish();
		COMMIT;
	END LOOP;
END $$;

-- What the API says of random filters and pages, and what the feed does.
CREATE TABLE wrong (what text);
CREATE TABLE asked (kind text);
CREATE PROCEDURE ask(times int) LANGUAGE plpgsql AS $$
DECLARE
	types text[];
	since timestamptz;
	until timestamptz;
	answer jsonb;
	total bigint;
	size int;
	page int;
BEGIN
	FOR i IN 1 .. times LOOP
		types := CASE floor(random() * 4) WHEN 0 THEN '{credit.*}' WHEN 1 THEN '{!auth.signin,!order.*}' WHEN 2 THEN '{auth.*,credit.charge}' END;
		since := CASE floor(random() * 5) WHEN 0 THEN some_time() WHEN 1 THEN date_trunc('day', some_time()) WHEN 2 THEN '1960-01-01' END;
		until := CASE floor(random() * 5) WHEN 0 THEN some_time() WHEN 1 THEN date_trunc('hour', some_time()) WHEN 2 THEN 'infinity' END;
		total := activity.feed_count('org', types, since => since, until => until);
		size := 1 + floor(random() * 50);
		page := 1 + floor(random() * total * 1.05 / size);
		answer := _activity.http_page('org', types, NULL, NULL, since, until, NULL, NULL, NULL, NULL, size, page, random() < 0.8, NULL);
		INSERT INTO asked VALUES (CASE WHEN total > 5000 THEN 'many' ELSE 'few' END);
		IF (answer->>'total')::bigint <> total THEN
			INSERT INTO wrong VALUES (format('total %s of %s: %s %s %s', answer->'total', total, types, since, until));
		END IF;
		IF ARRAY(SELECT (e->>'id')::uuid FROM jsonb_array_elements(answer->'items') WITH ORDINALITY l (e, n) ORDER BY n)
			<> ARRAY(SELECT e.id FROM _activity.event e JOIN _activity.organization o ON o.key = e.organization
				WHERE o.id = 'org' AND e.occurred_at >= coalesce(since, '-infinity') AND e.occurred_at < coalesce(until, 'infinity')
				  AND (types IS NULL OR e.type = ANY (_activity.type_codes(types)))
				ORDER BY e.id DESC OFFSET (page - 1) * size LIMIT size) THEN
			INSERT INTO wrong VALUES (format('page %s by %s of %s: %s %s %s', page, size, total, types, since, until));
		END IF;
		IF (answer->>'hasMore')::boolean IS DISTINCT FROM (page * size < total) THEN
			INSERT INTO wrong VALUES (format('more after page %s by %s of %s', page, size, total));
		END IF;
	END LOOP;
END $$;

CALL record_some(25000);
CALL ask(20);
SELECT is_empty('TABLE wrong', 'before anything is published');
CALL publish_all();
CALL ask(30);
SELECT is_empty('TABLE wrong', 'as it was published');
SELECT _activity.maintain_rollups(1000000, 1) \g /dev/null
CALL ask(30);
SELECT is_empty('TABLE wrong', 'put together');
SELECT isnt(count(*), 0::bigint, 'which it was') FROM _activity.rollup WHERE kind = 5;
CALL record_some(3000);
CALL publish_all();
CALL record_some(2000);
CALL ask(30);
SELECT is_empty('TABLE wrong', 'some of it put together, some published, some not');
BEGIN;
CALL record_some(500);
CALL ask(10);
ROLLBACK;
CALL ask(10);
SELECT is_empty('TABLE wrong', 'what its own transaction has recorded, and took back');
SELECT activity.redact('org', (SELECT id FROM activity.feed('org', page_size => 1, since => some_time())), 'asked for') FROM generate_series(1, 5) \g /dev/null
CALL publish_all();
CALL ask(20);
SELECT is_empty('TABLE wrong', 'redacted');
SELECT activity.set_retention('org', '400 days') \g /dev/null
SELECT activity.maintain() \g /dev/null
CALL publish_all();
SELECT activity.maintain() \g /dev/null
CALL ask(40);
SELECT is_empty('TABLE wrong', 'when the older half is gone');
SELECT cmp_ok(count(*), '>=', 50::bigint, 'and many were asked for') FROM asked WHERE kind = 'many';
TABLE wrong;
