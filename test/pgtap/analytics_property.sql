-- A random oracle: whatever was recorded, imported, redacted and removed in whatever order,
-- each function says of any range, zone and step what plain SQL says of the events.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET timezone = 'Asia/Tokyo';
SELECT plan(8);
SELECT setseed(0.7) \g /dev/null
SELECT activity.set_tier(o, 'enterprise') FROM unnest('{o1,o2}'::text[]) o \g /dev/null

-- What is recorded, in the words of the test: redacting changes people, never amounts.
CREATE TABLE truth (id uuid PRIMARY KEY, org text, type text, at timestamptz, actor text, amount numeric, unit text,
	resource text, "position" bigint, gone boolean DEFAULT false, redacted boolean DEFAULT false);
CREATE TABLE done (step text, times int DEFAULT 1, PRIMARY KEY (step));
CREATE TABLE wrong (n int, what text);
CREATE TABLE retention (before timestamptz);
CREATE FUNCTION did(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO done VALUES (what) ON CONFLICT (step) DO UPDATE SET times = done.times + 1 $$;
CREATE FUNCTION one_of(VARIADIC words text[]) RETURNS text LANGUAGE sql VOLATILE
	RETURN words[1 + floor(random() * cardinality(words))::int];
CREATE FUNCTION in_years(years numeric) RETURNS timestamptz LANGUAGE sql VOLATILE
	RETURN clock_timestamp() - random() * years * interval '365 days';

CREATE PROCEDURE record_one() LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	org text := one_of('o1', 'o1', 'o2');
	actor text := one_of('ann', 'bob', 'cy', 'dee', NULL);
	type text := one_of('credit.charge', 'credit.charge', 'credits.redeemed', 'order.created', 'plan.purchased', 'auth.signin', 'account.updated');
	-- Most of them close together, some of them on a bound.
	at timestamptz := CASE WHEN random() < 0.1 THEN date_trunc('hour', in_years(3))
		WHEN random() < 0.5 THEN clock_timestamp() - random() * interval '40 days' ELSE in_years(3) END;
	amount text := CASE WHEN random() < 0.1 THEN one_of('many', '', '1e3', 'NaN')
		ELSE (CASE WHEN random() < 0.1 THEN '-' ELSE '' END) || round((random() * 1000)::numeric, (random() * 6)::int) END;
	currency text := one_of('usd', 'eur', NULL);
	plan text := one_of('p1', 'p2', 'ann', NULL);
	id uuid;
	measured boolean := type NOT IN ('auth.signin', 'account.updated');
BEGIN
	PERFORM activity.set_actor(actor, name => actor || ' Name');
	id := activity.record(org, type::activity.event_type, '{"name": "n", "id": "i"}',
		jsonb_strip_nulls(jsonb_build_object('amount', CASE WHEN random() < 0.5 AND amount ~ '^-?[0-9.]+$' THEN to_jsonb(amount::numeric) ELSE to_jsonb(amount) END,
			'currency', currency, 'plan_id', plan)), occurred_at => at);
	INSERT INTO truth VALUES (id, org, type, at, actor,
		CASE WHEN measured AND amount ~ '^-?[0-9.]+$' THEN amount::numeric END,
		CASE WHEN type LIKE 'credit%' THEN 'credits' WHEN measured THEN currency END,
		CASE WHEN measured THEN coalesce(plan, CASE type WHEN 'plan.purchased' THEN 'i' END) END);
	PERFORM did('recorded');
END $$;

CREATE PROCEDURE redact_one() LANGUAGE plpgsql AS $$
DECLARE
	it truth;
	person text := one_of('ann', 'bob');
	name text := 'x' || floor(random() * 1e9);
BEGIN
	IF random() < 0.2 THEN
		-- What is gone keeps its sums under the new name, too, and with it what came late to such a month.
		PERFORM activity.redact_person(person, 'why', pseudonym => name);
		UPDATE truth SET redacted = true, actor = name WHERE actor = person;
		UPDATE truth SET resource = name WHERE resource = person AND (gone OR redacted OR at < (SELECT before FROM retention));
		PERFORM did('redacted a person');
	ELSE
		SELECT * INTO it FROM truth WHERE NOT gone ORDER BY random() LIMIT 1;
		IF it.id IS NULL THEN RETURN; END IF;
		PERFORM activity.redact(it.org, it.id, 'why');
		UPDATE truth t SET actor = e.actor_id, redacted = true FROM activity.events e WHERE t.id = it.id AND e.id = it.id;
		PERFORM did('redacted an event');
	END IF;
END $$;

-- A range: any, or along quarter hours, days or months; where events are gone a bound can't divide one.
CREATE FUNCTION bound(years numeric, gone boolean) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN roll < 0.3 THEN date_trunc('month', at, 'UTC') WHEN roll < 0.4 THEN date_trunc('day', at, 'UTC')
		WHEN roll < 0.6 OR gone AND at < clock_timestamp() - interval '13 months'
			THEN to_timestamp(floor(extract(epoch FROM at) / 900) * 900) ELSE at END
	FROM (SELECT random() AS roll, in_years(years) AS at) drawn $$;

CREATE FUNCTION compare(n int, what text, answer text, oracle text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	difference text;
BEGIN
	EXECUTE format('WITH answer AS MATERIALIZED (%s), oracle AS MATERIALIZED (%s)
		SELECT string_agg(side || line, E''\n'') FROM (
			SELECT ''answer '' AS side, a::text AS line FROM (TABLE answer EXCEPT ALL TABLE oracle) a
			UNION ALL SELECT ''oracle '', o::text FROM (TABLE oracle EXCEPT ALL TABLE answer) o ORDER BY 2 LIMIT 8) d', answer, oracle)
	INTO difference;
	IF difference IS NOT NULL THEN
		INSERT INTO wrong VALUES (n, what || E'\n' || answer || E'\n' || difference);
	END IF;
	PERFORM did(what);
END $$;

CREATE PROCEDURE check_one(n int) LANGUAGE plpgsql AS $$
DECLARE
	mine text := one_of('o1', 'o1', 'o1', 'o2');
	are_gone boolean := EXISTS (SELECT FROM truth WHERE gone);
	a timestamptz := bound(3.1, are_gone);
	b timestamptz := CASE WHEN random() < 0.1 THEN a + interval '7 minutes' ELSE bound(3.1, are_gone) END;
	since timestamptz := CASE WHEN are_gone AND b = a + interval '7 minutes' THEN date_trunc('hour', a) ELSE least(a, b) END;
	until timestamptz := CASE WHEN are_gone AND b = a + interval '7 minutes' THEN date_trunc('hour', a) + interval '15 minutes' ELSE greatest(a, b) END;
	zone text := one_of('UTC', 'America/New_York', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Chatham', 'Europe/Berlin', 'America/Havana');
	unit text := one_of('hour', 'day', 'week', 'month', 'quarter', 'year');
	step text := CASE unit WHEN 'quarter' THEN '3 months' ELSE '1 ' || unit END;
	dim text := one_of('event_type', 'category', 'family', 'actor', 'resource', NULL);
	word text := CASE dim WHEN 'event_type' THEN 't.type' WHEN 'category' THEN 'split_part(t.type, ''.'', 1)' WHEN 'actor' THEN 't.actor'
		WHEN 'family' THEN '(SELECT f.family FROM activity.event_types f WHERE f.key = t.type)'
		WHEN 'resource' THEN 't.resource' ELSE 'NULL::text' END;
	its text;
	measured text;
	types text := one_of('t.type ~ ''^credit''', NULL, NULL);
	who text := one_of('bob', 'p1', NULL, NULL, NULL);
BEGIN
	IF unit = 'hour' THEN
		since := greatest(since, until - interval '20 days');
	END IF;
	its := format('truth t WHERE t.org = %L AND t.at >= %L AND t.at < %L', mine, since, until);
	CASE floor(random() * 7)
	WHEN 0 THEN
		PERFORM compare(n, 'timeline', format('SELECT * FROM activity.timeline(%L, %L, %L, %L, %L, %L, %s, %L) WHERE events <> 0', mine, since, until, step, zone, dim,
				CASE WHEN types IS NULL THEN 'NULL' ELSE '''{credit.*,credits.*}''' END, who),
			format('SELECT date_trunc(%L, t.at, %L), %s, count(*) FROM %s AND %s AND %s GROUP BY 1, 2', unit, zone, word, its, coalesce(types, 'true'),
				CASE WHEN who IS NULL THEN 'true' ELSE format('t.actor = %L', who) END));
	WHEN 1 THEN
		PERFORM compare(n, 'buckets', format('SELECT bucket FROM activity.timeline(%L, %L, %L, %L, %L)', mine, since, until, step, zone),
			format('SELECT DISTINCT date_trunc(%L, m, %L) FROM (SELECT generate_series(%L, %L::timestamptz - interval ''1 us'', %L) UNION ALL SELECT %L::timestamptz - interval ''1 us'' WHERE %2$L IS NOT NULL) u (m) WHERE m >= %3$L AND m < %4$L',
				unit, zone, since, until, CASE WHEN unit = 'hour' THEN interval '15 minutes' ELSE interval '6 hours' END, until));
	WHEN 2 THEN
		PERFORM compare(n, 'usage', format('SELECT key, amount, unit, events, actors, first_at, last_at FROM activity.usage(%L, %L, %L, by => %L)', mine, since, until, dim),
			format('SELECT %s, coalesce(sum(t.amount), 0), t.unit, count(*), count(DISTINCT t.actor), min(t.at), max(t.at) FROM %s AND t.type ~ ''^credit'' GROUP BY 1, 3', word, its));
	WHEN 3 THEN
		PERFORM compare(n, 'revenue', format('SELECT key, amount, currency, transactions FROM activity.revenue(%L, %L, %L, %L)', mine, since, until, dim),
			format('SELECT %s, coalesce(sum(t.amount), 0), t.unit, count(*) FROM %s AND t.type IN (''order.created'', ''plan.purchased'') GROUP BY 1, 3', word, its));
	WHEN 4 THEN
		PERFORM compare(n, 'top_customers', format('SELECT key, amount, currency, transactions, first_at, last_at FROM activity.top_customers(%L, %L, %L, 2)', mine, since, until),
			format('SELECT key, amount, unit, n, first, last FROM (SELECT t.actor AS key, coalesce(sum(t.amount), 0) AS amount, t.unit, count(*) AS n, min(t.at) AS first, max(t.at) AS last,
				row_number() OVER (PARTITION BY t.unit ORDER BY coalesce(sum(t.amount), 0) DESC, t.actor COLLATE "C") AS place
				FROM %s AND t.type IN (''order.created'', ''plan.purchased'') AND t.actor IS NOT NULL GROUP BY 1, 3) s WHERE place <= 2', its));
		PERFORM compare(n, 'credits', format('SELECT key, amount, events FROM activity.credits_by_member(%L, %L, %L, %L)', mine, since, until, who),
			format('SELECT t.actor, coalesce(sum(t.amount), 0), count(*) FROM %s AND t.type ~ ''^credit'' AND %s GROUP BY 1', its, CASE WHEN who IS NULL THEN 'true' ELSE format('t.resource = %L', who) END));
	WHEN 5 THEN
		PERFORM compare(n, 'conversion', format('SELECT sessions, purchases FROM activity.conversion(%L, %L, %L)', mine, since, until),
			format('SELECT count(*) FILTER (WHERE t.type = ''auth.signin''), count(*) FILTER (WHERE t.type = ''plan.purchased'') FROM %s', its));
		PERFORM compare(n, 'members', format('SELECT * FROM activity.active_members(%L, %L, %L, %L, %L) WHERE members <> 0', mine, since, until, step, zone),
			format('SELECT date_trunc(%L, t.at, %L), count(DISTINCT t.actor) FROM %s AND t.actor IS NOT NULL GROUP BY 1', unit, zone, its));
	ELSE
		-- As it was known at some position; not of what is gone.
		IF EXISTS (SELECT FROM truth WHERE gone) THEN RETURN; END IF;
		PERFORM compare(n, 'as known', format('SELECT key, amount, unit, events, actors, first_at, last_at FROM activity.usage(%L, %L, %L, by => %L, as_known => ''%s.%s'')', mine, since, until, dim,
				(SELECT split_part(h.cursor, '.', 1) FROM activity.stream_head(mine) h), p),
			format('SELECT %s, coalesce(sum(t.amount), 0), t.unit, count(*), count(DISTINCT t.actor), min(t.at), max(t.at) FROM %s AND t.type ~ ''^credit'' AND t."position" <= %s GROUP BY 1, 3', word, its, p))
		FROM (SELECT floor(random() * coalesce(max(t."position"), 0)) AS p FROM truth t WHERE t.org = mine) known;
	END CASE;
END $$;

CREATE PROCEDURE go(first int, last int, checks int) LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN first .. last LOOP
		FOR i IN 1 .. 1 + (random() * 10)::int LOOP CALL record_one(); END LOOP;
		COMMIT;
		IF random() < 0.5 THEN
			PERFORM activity.publish();
			UPDATE truth t SET "position" = s.position FROM _activity.stream s WHERE s.id = t.id AND t."position" IS NULL;
			PERFORM did('published');
		END IF;
		COMMIT;
		IF random() < 0.15 THEN
			PERFORM activity.maintain();
			PERFORM _activity.lock_upkeep(), _activity.maintain_rollups(1000, 1 + (random() * 20)::int);
			PERFORM did('compacted');
		END IF;
		IF random() < 0.15 THEN CALL redact_one(); END IF;
		COMMIT;
		FOR i IN 1 .. checks LOOP CALL check_one(n); END LOOP;
		COMMIT;
	END LOOP;
END $$;

CALL go(1, 120, 8);
SELECT is((SELECT string_agg(what, E'\n') FROM (SELECT what FROM wrong ORDER BY n LIMIT 3) w), NULL, 'every answer is that of the events');
SELECT is_empty($$SELECT o, v.* FROM unnest('{o1,o2}'::text[]) o CROSS JOIN LATERAL activity.rollup_verify(o) v$$, 'and the rollups equal the log');

-- Events go, sums stay.
SELECT activity.publish() \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.set_retention('enterprise'::activity.tier, '1 year') \g /dev/null
SELECT cmp_ok((SELECT sum(rows) FROM activity.maintain() WHERE action = 'delete'), '>', 0::numeric, 'retention removes events');
INSERT INTO retention SELECT date_trunc('month', now() - interval '1 year', 'UTC');
UPDATE truth t SET gone = true WHERE NOT EXISTS (SELECT FROM activity.events e WHERE e.id = t.id);
SELECT activity.unset_retention(NULL) \g /dev/null
DELETE FROM _activity.retention_rule;
CALL go(121, 160, 8);
SELECT is((SELECT string_agg(what, E'\n') FROM (SELECT what FROM wrong ORDER BY n LIMIT 3) w), NULL, 'whose sums remain');
SELECT is_empty($$SELECT o, v.* FROM unnest('{o1,o2}'::text[]) o CROSS JOIN LATERAL activity.rollup_verify(o) v$$, 'and are those that were sealed');
SELECT cmp_ok((SELECT min(times) FROM done WHERE step IN ('timeline', 'usage', 'revenue', 'top_customers', 'conversion', 'buckets')), '>', 60, 'each was asked often');
SELECT cmp_ok((SELECT count(*) FROM _activity.rollup_seal), '>', 20::bigint, 'months are sealed');
UPDATE _activity.rollup SET events = ARRAY(SELECT e + 1 FROM unnest(coalesce(events, array_fill(1, ARRAY[cells]))) e)
WHERE kind = 1 AND organization = (SELECT min(key) FROM _activity.organization WHERE id = 'o1') AND first = (
	SELECT min(first) FROM _activity.rollup WHERE kind = 1 AND organization = (SELECT min(key) FROM _activity.organization WHERE id = 'o1'));
SELECT is((SELECT string_agg(DISTINCT dimension, ' ') FROM activity.rollup_verify('o1')), 'seal', 'a broken seal is told');
SELECT diag(string_agg(times || ' ' || step, ', ' ORDER BY step)) FROM done;
SELECT finish();
