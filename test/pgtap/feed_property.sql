-- The feed gives exactly the events that a filter takes, in order, none twice:
-- random events and filters, page by page in both directions, against plain SQL
-- over the table. Months with gaps, a default partition that overlaps them, ties
-- in one microsecond, synonyms, colons in ids, rolled back rows, dead rows.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(9);
SELECT setseed(0.42);
SET LOCAL activity.notify = off;
SET LOCAL activity.default_tier = premium;

-- Some months of their own; all other times are in the default partition.
DO $$
DECLARE
	month date;
	name  text;
BEGIN
	FOREACH month IN ARRAY ARRAY['2024-01-01', '2024-02-01', '2024-03-01',
								 '2024-05-01', '2024-06-01']::date[]
	LOOP
		name := format('event_%s', to_char(month, 'YYYY_MM'));
		EXECUTE format('CREATE TABLE _activity.%I (LIKE _activity.event)', name);
		EXECUTE format('CREATE UNIQUE INDEX ON _activity.%I (organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (organization, type, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (actor_hash, organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (subject_hash, organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (on_behalf_of_hash, organization, id) WHERE on_behalf_of_hash IS NOT NULL', name);
		EXECUTE format('ALTER TABLE _activity.event ATTACH PARTITION _activity.%I '
					   'FOR VALUES FROM (%L) TO (%L)', name,
					   month::timestamp AT TIME ZONE 'UTC',
					   (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
	END LOOP;
END
$$;

SELECT activity.define_event_type('robot.built', 'Built');
SELECT activity.define_event_type('robot.scrapped', 'Scrapped');

CREATE FUNCTION pg_temp.one_of(VARIADIC words text[]) RETURNS text
LANGUAGE sql VOLATILE AS $$
	SELECT words[1 + floor(random() * cardinality(words))::int]
$$;
-- Few types make most of the events, most types make few.
CREATE FUNCTION pg_temp.some_type() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN random() < 0.6
		THEN pg_temp.one_of('credit.charge', 'order.created', 'robot.built')
		ELSE (SELECT key FROM activity.event_types WHERE category NOT IN ('compliance', 'access') ORDER BY random() LIMIT 1) END
$$;
-- From late 2023 to the middle of 2024, some in one microsecond.
CREATE FUNCTION pg_temp.some_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN random() < 0.1 THEN '2024-02-14 12:00:00.000123Z'::timestamptz
		WHEN random() < 0.05 THEN '2024-03-01 00:00Z'::timestamptz
		ELSE '2023-11-15Z'::timestamptz + 240 * random() * interval '1 day' END
$$;

CREATE FUNCTION pg_temp.record_some(events int) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	fields jsonb := (SELECT jsonb_object_agg(f, 'x') FROM activity.event_types,
					 unnest(required) f);
BEGIN
	FOR i IN 1 .. events LOOP
		IF random() < 0.1 THEN
			PERFORM activity.set_actor(NULL);
		ELSE
			PERFORM activity.set_actor(
				pg_temp.one_of('ann', 'ann', 'ann', 'ann', 'ann', 'ann', 'bob', 'key:1', '1', ''),
				name => pg_temp.one_of('Ann', 'ÅSA Öberg', 'Bob 100%'));
		END IF;
		PERFORM activity.record(
			pg_temp.one_of('one', 'one', 'one', 'two'),
			pg_temp.some_type()::activity.event_type,
			CASE WHEN random() < 0.2 THEN '{}'
				 ELSE jsonb_build_object('kind', pg_temp.one_of('a', 'b', 'order'), 'id',
					CASE WHEN random() < 0.3 THEN to_jsonb(floor(random() * 3)::int)
						 ELSE to_jsonb(pg_temp.one_of('1', 'a:1', 'x:a:1', 'a:', 'z')) END)
			END,
			fields,
			description => pg_temp.one_of('Paid ΣΊΣΥΦΟΣ', 'paid σίσυφος', '100% done', 'a_b'),
			occurred_at => pg_temp.some_time());
	END LOOP;
END
$$;
SELECT pg_temp.record_some(3000);
SAVEPOINT s;
SELECT pg_temp.record_some(300);
ROLLBACK TO s;

-- Rewritten rows leave dead ones behind, with the same ids.
SET LOCAL session_replication_role = replica;
ALTER TABLE _activity.event_default DISABLE TRIGGER ALL;
ALTER TABLE _activity.event_2024_02 DISABLE TRIGGER ALL;
UPDATE _activity.event_default SET actor_id = 'redacted', actor_hash = hashtext('redacted')
	WHERE random() < 0.1;
UPDATE _activity.event_2024_02 SET actor_id = 'redacted', actor_hash = hashtext('redacted')
	WHERE random() < 0.1;
SET LOCAL session_replication_role = origin;

CREATE TEMPORARY TABLE truth AS
	SELECT o.id AS organization, e.id, e.occurred_at,
		   e.type::activity.event_type::text AS key,
		   split_part(e.type::activity.event_type::text, '.', 1) AS category,
		   COALESCE(t.synonym_of, t.key) AS meant,
		   e.actor_id, e.actor_name, e.description,
		   e.subject->>'id' AS subject_id, e.subject->>'kind' AS subject_kind
	FROM _activity.event e
	JOIN _activity.organization o ON o.key = e.organization
	JOIN activity.event_types t ON t.key = e.type::activity.event_type::text;
CREATE INDEX ON truth (organization, id);
ANALYZE truth;

SELECT cmp_ok(count(*), '>', 200::bigint, 'many events share a microsecond')
	FROM truth WHERE occurred_at = '2024-02-14 12:00:00.000123Z';
SELECT cmp_ok(count(*), '>', 500::bigint, 'many events are in the default partition')
	FROM _activity.event_default;

-- What one word of event_types means: the types whose category it names, or
-- itself, and all that mean the same.
CREATE FUNCTION pg_temp.meant(word text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
	SELECT COALESCE(synonym_of, key) FROM activity.event_types
	WHERE key = word OR (word LIKE '%.*' AND category = split_part(word, '.', 1))
$$;

CREATE TYPE pg_temp.asked AS (organization text, event_types text[], actor text,
	subject text, since timestamptz, until timestamptz, search text);

CREATE FUNCTION pg_temp.some_filter() RETURNS pg_temp.asked
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	f pg_temp.asked;
	n int;
BEGIN
	f.organization := pg_temp.one_of('one', 'one', 'two', 'nobody');
	IF random() < 0.6 THEN
		n := CASE WHEN random() < 0.1 THEN 60 ELSE floor(random() * 4)::int END;
		f.event_types := ARRAY(
			SELECT CASE WHEN random() < 0.3 OR (n = 3 AND f.organization = 'two')
						THEN '!' ELSE '' END ||
				   CASE WHEN random() < 0.4 THEN category || '.*' ELSE key END
			FROM (SELECT * FROM activity.event_types
				  ORDER BY random() * CASE WHEN family IS NULL THEN 0.1 ELSE 1 END
				  LIMIT n) t);
		IF random() < 0.2 THEN
			f.event_types := f.event_types ||
				ARRAY['!credit.charge', '!order.*', '!robot.built'];
		END IF;
	END IF;
	IF random() < 0.3 THEN
		f.actor := pg_temp.one_of('ann', 'bob', 'key:1', '1', '', 'redacted', 'nobody');
	END IF;
	IF random() < 0.3 THEN
		f.subject := pg_temp.one_of('1', 'a:1', 'x:a:1', 'a:', 'b:a:1', 'order:0', ':', '2', 'no');
	END IF;
	IF random() < 0.2 THEN
		f.since := CASE WHEN random() < 0.1 THEN '-infinity' ELSE pg_temp.some_time() END;
	END IF;
	IF random() < 0.2 THEN
		f.until := CASE WHEN random() < 0.1 THEN 'infinity' ELSE pg_temp.some_time() END;
	END IF;
	IF random() < 0.15 THEN
		f.search := pg_temp.one_of('ΊΣΥΦΟς', '%', '_', 'åsa', 'PAID', '', 'ob 1', 'none');
	END IF;
	RETURN f;
END
$$;

-- All that the filter takes, newest first.
CREATE FUNCTION pg_temp.wanted(f pg_temp.asked) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
	SELECT COALESCE(array_agg(t.id ORDER BY t.id DESC), '{}') FROM truth t
	WHERE t.organization = f.organization
	  AND (NOT EXISTS (SELECT FROM unnest(f.event_types) w WHERE w NOT LIKE '!%')
		   OR t.meant = ANY (ARRAY(SELECT pg_temp.meant(w) FROM unnest(f.event_types) w
								   WHERE w NOT LIKE '!%')))
	  AND t.meant <> ALL (ARRAY(SELECT pg_temp.meant(substr(w, 2))
								FROM unnest(f.event_types) w WHERE w LIKE '!%'))
	  AND (f.actor IS NULL OR t.actor_id = f.actor)
	  AND (f.subject IS NULL OR t.subject_id = f.subject
		   OR (f.subject LIKE '%:%' AND t.subject_kind = split_part(f.subject, ':', 1)
			   AND t.subject_id = substr(f.subject, strpos(f.subject, ':') + 1)))
	  AND (f.since IS NULL OR t.occurred_at >= f.since)
	  AND (f.until IS NULL OR t.occurred_at < f.until)
	  AND (f.search IS NULL
		   OR strpos(replace(upper(t.description COLLATE "C.utf8"), 'ς', 'Σ'),
					 upper(f.search COLLATE "C.utf8")) > 0
		   OR strpos(upper(t.actor_name COLLATE "C.utf8"),
					 upper(f.search COLLATE "C.utf8")) > 0)
$$;

-- Every way to read it must give the same; the first that does not is returned.
CREATE FUNCTION pg_temp.wrong(f pg_temp.asked, size int) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	wanted   uuid[] := pg_temp.wanted(f);
	got      uuid[] := '{}';
	page     uuid[];
	previous uuid[];
	at       uuid;
	json     jsonb;
	low      uuid;
	high     uuid;
BEGIN
	LOOP
		page := ARRAY(SELECT id FROM activity.feed(f.organization, f.event_types, f.actor,
			f.subject, f.since, f.until, f.search, before => at, page_size => size));
		EXIT WHEN cardinality(page) = 0;
		got := got || page;
		at := page[cardinality(page)];
	END LOOP;
	IF got IS DISTINCT FROM wanted THEN
		RETURN format('older: %s instead of %s', cardinality(got), cardinality(wanted));
	END IF;

	got := '{}';
	at := activity.event_id('1990-01-01');
	LOOP
		page := ARRAY(SELECT id FROM activity.feed(f.organization, f.event_types, f.actor,
			f.subject, f.since, f.until, f.search, after => at, page_size => size));
		EXIT WHEN cardinality(page) = 0;
		got := page || got;
		at := page[1];
	END LOOP;
	IF got IS DISTINCT FROM wanted THEN
		RETURN format('newer: %s instead of %s', cardinality(got), cardinality(wanted));
	END IF;

	-- As JSON: on by next_cursor, and from every page back to the one before.
	got := '{}';
	at := NULL;
	LOOP
		json := activity.feed_page(f.organization, f.event_types, f.actor, f.subject,
			f.since, f.until, f.search, before => at, page_size => size);
		previous := page;
		page := ARRAY(SELECT (i->>'id')::uuid FROM jsonb_array_elements(json->'items') i);
		IF at IS NOT NULL AND previous IS DISTINCT FROM
			ARRAY(SELECT (i->>'id')::uuid FROM jsonb_array_elements(
				activity.feed_page(f.organization, f.event_types, f.actor, f.subject,
					f.since, f.until, f.search, after => (json->>'prev_cursor')::uuid,
					page_size => size)->'items') i) THEN
			RETURN 'previous page';
		END IF;
		got := got || page;
		at := (json->>'next_cursor')::uuid;
		IF (at IS NOT NULL) IS DISTINCT FROM (json->>'has_more')::boolean THEN
			RETURN 'has_more';
		END IF;
		EXIT WHEN at IS NULL;
	END LOOP;
	IF got IS DISTINCT FROM wanted THEN
		RETURN format('json: %s instead of %s', cardinality(got), cardinality(wanted));
	END IF;

	IF activity.feed_count(f.organization, f.event_types, f.actor, f.subject, f.since,
						   f.until, f.search) IS DISTINCT FROM cardinality(wanted) THEN
		RETURN 'count';
	END IF;

	-- Between two cursors, which may be anywhere.
	low := activity.event_id(pg_temp.some_time());
	high := COALESCE(wanted[1 + floor(random() * cardinality(wanted))::int],
					 activity.event_id(pg_temp.some_time()));
	IF ARRAY(SELECT id FROM activity.feed(f.organization, f.event_types, f.actor, f.subject,
				f.since, f.until, f.search, before => high, after => low, page_size => size))
	   IS DISTINCT FROM
	   ARRAY(SELECT i FROM unnest(wanted) i WHERE i < high AND i > low
			 ORDER BY i DESC LIMIT size) THEN
		RETURN 'between';
	END IF;
	RETURN NULL;
END
$$;

CREATE TEMPORARY TABLE trial AS
	SELECT f AS asked, CASE WHEN random() < 0.2 THEN 7 ELSE 150 END AS size
	FROM generate_series(1, 400) n, LATERAL (SELECT pg_temp.some_filter() AS f WHERE n > 0) x;
SELECT is_empty($$
	SELECT asked, size, wrong FROM (SELECT *, pg_temp.wrong(asked, size) FROM trial
									OFFSET 0) t WHERE wrong IS NOT NULL
	$$, 'random filters: older, newer, next, previous, count and between');
SELECT cmp_ok(count(*), '>', 100::bigint, 'many of the filters found something')
	FROM trial WHERE cardinality(pg_temp.wanted(asked)) > 0;

-- Each filter that stands alone, one by one, so that none is left to chance.
SELECT is_empty($$
	SELECT key, wrong FROM (SELECT key, pg_temp.wrong(
		('one', ARRAY[key], NULL, NULL, NULL, NULL, NULL)::pg_temp.asked, 20)
		FROM activity.event_types) t WHERE wrong IS NOT NULL
	$$, 'every event type alone');
SELECT is_empty($$
	SELECT word, wrong FROM (SELECT word, pg_temp.wrong(
		('one', ARRAY[word], NULL, NULL, NULL, NULL, NULL)::pg_temp.asked, 300)
		FROM (SELECT DISTINCT mark || category || '.*' AS word
			  FROM activity.event_types, (VALUES (''), ('!')) m (mark)) w) t
	WHERE wrong IS NOT NULL
	$$, 'every category alone, included and excluded');

-- Nearly everything excluded: that is read as the rest; and excluded what makes
-- up most of history, so that the exclusion is read from its other end.
SELECT is_empty($$
	SELECT wrong FROM (SELECT pg_temp.wrong(
		('one', ARRAY(SELECT '!' || key FROM activity.event_types
					  WHERE key NOT IN ('robot.scrapped', 'order.item_added')),
		 actor, NULL, NULL, NULL, NULL)::pg_temp.asked, 100)
		FROM (VALUES (NULL), ('ann')) a (actor)) t WHERE wrong IS NOT NULL
	$$, 'all types but two excluded');
SELECT is_empty($$
	SELECT wrong FROM (SELECT pg_temp.wrong(
		('one', ARRAY(SELECT '!' || key FROM activity.event_types JOIN
					  (SELECT key, count(*) AS events FROM truth WHERE organization = 'one'
					   GROUP BY key) t USING (key) ORDER BY events DESC LIMIT 40),
		 actor, subject, NULL, NULL, NULL)::pg_temp.asked, 1000)
		FROM (VALUES (NULL, NULL), ('ann', NULL), ('ann', 'a:1')) a (actor, subject)) t
	WHERE wrong IS NOT NULL
	$$, 'the most frequent types excluded');

-- The view shows the same events.
SELECT results_eq(
	$$ SELECT organization, id, event_type::text, subject_id FROM activity.events ORDER BY id $$,
	$$ SELECT organization, id, key, subject_id FROM truth ORDER BY id $$,
	'events shows every event once');

SELECT * FROM finish();
ROLLBACK;
