-- Random events, redactions, holds and retention in random order: what is held is
-- byte for byte there, what is redacted is nowhere, the counts stay, the proof is clean.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(11);
SELECT setseed(0.42) \g /dev/null
SELECT activity.set_tier(o, 'enterprise') FROM unnest('{o1,o2}'::text[]) o \g /dev/null
SELECT endpoint_id FROM activity.create_webhook('o1', 'https://hooks.example.com/') \g /dev/null
SELECT activity.maintain(since => now() - interval '3 years') \g /dev/null

-- What is recorded, in the words of the test; null: redacted.
CREATE TABLE truth (id uuid PRIMARY KEY, org text, type text, at timestamptz, actor text, subject text, behalf text,
	extra text, original jsonb, redacted boolean DEFAULT false);
CREATE TABLE done (step text, times int DEFAULT 1, PRIMARY KEY (step));
CREATE TABLE wrong (step int, what text);
CREATE VIEW held AS
SELECT DISTINCT t.id FROM truth t JOIN activity.holds h ON h.organization = t.org AND h.released_at IS NULL
	AND (h.since IS NULL OR t.at >= h.since) AND (h.until IS NULL OR t.at < h.until)
	AND (h.actor IS NULL OR h.actor IN (t.actor, t.subject, t.behalf)) AND (h.subject IS NULL OR h.subject = t.subject);
-- The row as it is read, without what redaction may change of its neighbours.
CREATE VIEW stored AS SELECT e.id, to_jsonb(e) AS entry FROM activity.events e;

CREATE FUNCTION person() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'person_' || (random() * 7)::int $$;
CREATE FUNCTION org() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'o' || 1 + (random() < 0.5)::int $$;
CREATE FUNCTION did(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO done VALUES (what) ON CONFLICT (step) DO UPDATE SET times = done.times + 1 $$;

CREATE PROCEDURE record_one() LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	o text := org();
	actor text := CASE WHEN random() < 0.9 THEN person() END;
	subject text := person();
	behalf text := CASE WHEN random() < 0.3 THEN person() END;
	extra text := CASE WHEN random() < 0.3 THEN person() END;
	type text := (ARRAY['auth.signin', 'credit.charge', 'membership.joined'])[1 + (random() * 2)::int];
	at timestamptz := now() - CASE WHEN random() < 0.5 THEN random() * interval '3 years' ELSE interval '0' END;
	event uuid;
BEGIN
	PERFORM activity.set_actor(actor, name => actor || ' Name', context => jsonb_build_object('ip', 'ip of ' || actor),
		on_behalf_of => CASE WHEN behalf IS NOT NULL THEN jsonb_build_object('id', behalf, 'name', behalf || ' Name') END);
	event := activity.record(o, type::activity.event_type, jsonb_build_object('kind', 'user', 'id', subject, 'amount', 1,
			'name', subject || ' Name', 'role', 'member'),
		jsonb_build_object('invited_by', extra), occurred_at => at);
	INSERT INTO truth SELECT event, o, type, e.occurred_at, actor, subject, behalf, extra, s.entry
	FROM activity.events e JOIN stored s USING (id) WHERE e.id = event;
	PERFORM did('recorded');
END $$;

-- A redaction is refused if anything of it is held, and changes nothing then.
CREATE PROCEDURE redact_event(step int) LANGUAGE plpgsql AS $$
DECLARE
	it truth;
	is_held boolean;
	n bigint;
BEGIN
	SELECT * INTO it FROM truth ORDER BY random() LIMIT 1;
	IF it.id IS NULL THEN RETURN; END IF;
	is_held := it.id IN (SELECT id FROM held);
	BEGIN
		SELECT events INTO n FROM activity.redact(it.org, it.id, 'asked');
		IF is_held THEN INSERT INTO wrong VALUES (step, 'redacted though held'); END IF;
		UPDATE truth SET redacted = true, actor = NULL, subject = NULL, behalf = NULL, extra = NULL WHERE id = it.id;
		PERFORM did('redacted an event');
	EXCEPTION WHEN object_in_use THEN
		IF NOT is_held THEN INSERT INTO wrong VALUES (step, 'refused though not held: ' || SQLERRM); END IF;
		PERFORM did('held an event');
	END;
END $$;

CREATE PROCEDURE redact_person(step int) LANGUAGE plpgsql AS $$
DECLARE
	p text := person();
	o text := CASE WHEN random() < 0.6 THEN org() END;
	is_held boolean;
BEGIN
	is_held := EXISTS (SELECT FROM truth t JOIN held USING (id) WHERE (o IS NULL OR t.org = o)
		AND (p IN (t.actor, t.subject, t.behalf) OR (p = t.extra AND NOT t.redacted)));
	BEGIN
		PERFORM activity.redact_person(p, 'asked', o);
		IF is_held THEN INSERT INTO wrong VALUES (step, p || ' redacted though held'); END IF;
		UPDATE truth t SET redacted = true, subject = NULL, extra = NULL, actor = nullif(t.actor, p), behalf = nullif(t.behalf, p)
		WHERE (o IS NULL OR t.org = o) AND (p IN (t.actor, t.subject, t.behalf) OR p = t.extra);
		PERFORM did('redacted a person');
	EXCEPTION WHEN object_in_use THEN
		-- What the extension recorded of holds may be under one, too.
		IF NOT is_held AND NOT EXISTS (SELECT FROM activity.holds WHERE released_at IS NULL AND actor IS NULL AND subject IS NULL)
		THEN INSERT INTO wrong VALUES (step, p || ' refused though not held: ' || SQLERRM); END IF;
		PERFORM did('held a person');
	END;
END $$;

CREATE PROCEDURE expire(step int) LANGUAGE plpgsql AS $$
DECLARE
	keep interval := (ARRAY['7 months', '1 year', '2 years', '30 months'])[1 + (random() * 3)::int];
	o text := org();
BEGIN
	PERFORM activity.set_retention(o, keep);
	PERFORM activity.maintain();
	INSERT INTO wrong SELECT step, 'held and gone: ' || t.id FROM truth t JOIN held USING (id)
	WHERE NOT EXISTS (SELECT FROM activity.events e WHERE e.id = t.id);
	INSERT INTO wrong SELECT step, 'gone before its time: ' || t.id FROM truth t
	WHERE t.org = o AND t.at > now() - keep AND NOT EXISTS (SELECT FROM activity.events e WHERE e.id = t.id);
	DELETE FROM truth t WHERE NOT EXISTS (SELECT FROM activity.events e WHERE e.id = t.id);
	IF FOUND THEN PERFORM did('expired'); END IF;
	PERFORM activity.set_retention(o, '100 years');
END $$;

DO $$
DECLARE
	dice float;
BEGIN
	FOR step IN 1 .. 600 LOOP
		dice := random();
		IF dice < 0.60 THEN
			CALL record_one();
		ELSIF dice < 0.70 THEN
			CALL redact_event(step);
		ELSIF dice < 0.77 THEN
			CALL redact_person(step);
		ELSIF dice < 0.83 THEN
			PERFORM activity.place_hold(org(), 'case ' || step, actor => CASE WHEN random() < 0.6 THEN person() END,
				subject => CASE WHEN random() < 0.3 THEN person() END,
				since => CASE WHEN random() < 0.4 THEN now() - interval '2 years' END,
				until => CASE WHEN random() < 0.4 THEN now() - interval '8 months' END)
			WHERE (SELECT count(*) FROM activity.holds WHERE released_at IS NULL) < 4;
			IF FOUND THEN PERFORM did('placed a hold'); END IF;
		ELSIF dice < 0.90 THEN
			PERFORM activity.release_hold(id, 'over')
			FROM (SELECT id FROM activity.holds WHERE released_at IS NULL ORDER BY random() LIMIT 1) h;
		ELSIF dice < 0.93 THEN
			CALL expire(step);
		END IF;
		COMMIT;
		IF dice >= 0.93 THEN
			PERFORM activity.publish();
			COMMIT;
		END IF;
	END LOOP;
END
$$;

SELECT is_empty('SELECT * FROM wrong', 'each step did what it should');
SELECT diag((SELECT string_agg(format('%s %s', times, step), ', ' ORDER BY step) FROM done));
SELECT is((SELECT count(*) FROM done), 7::bigint, 'each kind of step was taken');
SELECT is_empty($$SELECT t.id, t.original, s.entry FROM truth t JOIN held USING (id) LEFT JOIN stored s USING (id)
	WHERE NOT t.redacted AND s.entry IS DISTINCT FROM t.original$$, 'what is held is byte for byte there');
SELECT is_empty($$SELECT t.id, t.original, s.entry FROM truth t LEFT JOIN stored s USING (id)
	WHERE NOT t.redacted AND s.entry IS DISTINCT FROM t.original$$, 'so is everything that is not redacted');
SELECT is_empty($$SELECT t.*, s.entry FROM truth t JOIN stored s USING (id)
	WHERE t.redacted AND (t.original->'subject' <@ (s.entry->'subject') OR s.entry->'metadata' <> 'null'
		OR (t.actor IS NULL AND (s.entry->>'actor_id') LIKE 'person%')
		OR (t.actor IS NOT NULL AND (s.entry->>'actor_id') IS DISTINCT FROM t.actor))$$, 'of what is redacted nothing is left but who was not meant');
SELECT results_eq($$SELECT organization COLLATE "C", event_type::text COLLATE "C", count(*) FROM activity.events WHERE activity.category(event_type) <> 'compliance'
		AND event_type <> 'webhook.created' GROUP BY 1, 2 ORDER BY 1, 2$$,
	$$SELECT org COLLATE "C", type COLLATE "C", count(*) FROM truth GROUP BY 1, 2 ORDER BY 1, 2$$, 'counts by type are those of what was recorded');
SELECT activity.publish() \g /dev/null
SELECT is_empty($$SELECT v.* FROM unnest('{o1,o2}'::text[]) o, activity.verify(o) v$$, 'the proof is clean');

-- In the end everybody goes, and nothing of anybody is anywhere.
SELECT activity.release_hold(id, 'over') FROM activity.holds WHERE released_at IS NULL \g /dev/null
SELECT count(*) FROM generate_series(0, 7) n, activity.redact_person('person_' || n, 'asked') \g /dev/null
SELECT count(*) FROM generate_series(0, 7) n, activity.redact_person('person_' || n || ' Name', 'asked') \g /dev/null
CREATE FUNCTION found(needle text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	n bigint;
BEGIN
	FOR c IN SELECT a.attrelid::regclass AS t, a.attname FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid
		WHERE k.relnamespace = '_activity'::regnamespace AND k.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
	LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE position(%L IN %I::text) > 0
			OR position(encode(%L, ''hex'') IN %I::text) > 0', c.t, needle, c.attname, needle, c.attname) INTO n;
		IF n > 0 THEN RETURN NEXT c.t || '.' || c.attname || ' ' || n; END IF;
	END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM found('person_')$$, 'redacted, nobody is anywhere');
SELECT activity.publish() \g /dev/null
SELECT is_empty($$SELECT v.* FROM unnest('{o1,o2}'::text[]) o, activity.verify(o) v$$, 'the proof is clean again');
SELECT results_eq($$SELECT organization COLLATE "C", event_type::text COLLATE "C", count(*) FROM activity.events WHERE activity.category(event_type) <> 'compliance'
		AND event_type <> 'webhook.created' GROUP BY 1, 2 ORDER BY 1, 2$$,
	$$SELECT org COLLATE "C", type COLLATE "C", count(*) FROM truth GROUP BY 1, 2 ORDER BY 1, 2$$, 'and the counts are the same');
SELECT cmp_ok((SELECT count(*) FROM activity.redactions), '>', 10::bigint, 'each redaction is listed');
SELECT * FROM finish();
