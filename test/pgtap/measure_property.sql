-- A random oracle of measures that an application defines, revises and refolds, and of
-- recurring revenue: whatever was recorded, told late, redacted and published, the
-- functions say of any range and moment what was written down beside it.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(6);
SELECT setseed(0.3) \g /dev/null
SELECT activity.set_tier('o', 'enterprise') \g /dev/null
SELECT activity.define_event_type('kitchen.burnt', 'Burnt') \g /dev/null
CREATE TABLE wrong (n int, what text);
CREATE TABLE done (step text, times int DEFAULT 1, PRIMARY KEY (step));
CREATE FUNCTION did(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO done VALUES (what) ON CONFLICT (step) DO UPDATE SET times = done.times + 1 $$;
CREATE FUNCTION one_of(VARIADIC words text[]) RETURNS text LANGUAGE sql VOLATILE
	RETURN words[1 + floor(random() * cardinality(words))::int];

-- A measure of one's own. Of each event it is written down which definition it had.
CREATE TABLE definition (n int GENERATED ALWAYS AS IDENTITY, amount text, unit text, resource text);
CREATE TABLE burnt (id uuid, at timestamptz, actor text, fields jsonb, definition int, redacted boolean DEFAULT false);
CREATE PROCEDURE define() LANGUAGE plpgsql AS $$
DECLARE
	it definition;
BEGIN
	INSERT INTO definition (amount, unit, resource) VALUES (one_of('grams', 'weight', 'weight|grams'), one_of('unit|g', 'scale|kg', 'lump'), one_of('dish', 'oven', NULL))
	RETURNING * INTO it;
	PERFORM activity.define_measure('kitchen.burnt', 'burnt', it.amount, it.unit, it.resource);
	COMMIT;
	PERFORM did('defined');
END $$;
CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
	at timestamptz := clock_timestamp() - random() * interval '60 days';
	actor text := one_of('ann', 'bob');
	fields jsonb := jsonb_strip_nulls(jsonb_build_object('grams', one_of('1', '2.50', '-3', '100000000000000000000000000000.000000000000000001', 'x', NULL), 'weight', one_of('10', '20', NULL, NULL),
		'unit', one_of('mg', NULL), 'scale', one_of('t', NULL, NULL), 'dish', one_of('soup', 'pie', NULL), 'oven', one_of('left', 'right')));
BEGIN
	PERFORM activity.set_actor(actor);
	INSERT INTO burnt VALUES (activity.record('o', 'kitchen.burnt', '{"id": "x"}', fields, occurred_at => at), at, actor, fields, (SELECT max(d.n) FROM definition d));
	PERFORM did('burnt');
END $$;
CREATE FUNCTION first_of(fields jsonb, names text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT fields->>name FROM unnest(string_to_array(names, '|')) WITH ORDINALITY u (name, n) WHERE fields ? name ORDER BY n LIMIT 1 $$;
CREATE FUNCTION number_or_null(word text) RETURNS numeric LANGUAGE sql IMMUTABLE
	RETURN CASE WHEN word ~ '^[-+]?[0-9]+(\.[0-9]+)?$' THEN word::numeric END;
CREATE PROCEDURE check_burnt(n int) LANGUAGE plpgsql AS $$
DECLARE
	a timestamptz := clock_timestamp() - random() * interval '65 days';
	b timestamptz := clock_timestamp() - random() * interval '65 days';
	dim text := one_of('actor', 'resource', NULL);
	difference text;
BEGIN
	WITH answer AS MATERIALIZED (SELECT u.key, u.amount, u.unit, u.events FROM activity.usage('o', least(a, b), greatest(a, b), 'burnt', dim) u),
	oracle AS MATERIALIZED (
		SELECT CASE dim WHEN 'actor' THEN t.actor WHEN 'resource' THEN first_of(t.fields, d.resource) END,
			coalesce(sum(number_or_null(first_of(t.fields, d.amount))), 0), coalesce(first_of(t.fields, d.unit), substring(d.unit FROM '[^|]+$')), count(*)
		FROM burnt t JOIN definition d ON d.n = t.definition WHERE t.at >= least(a, b) AND t.at < greatest(a, b) GROUP BY 1, 3)
	SELECT string_agg(side || line, E'\n') INTO difference FROM (
		SELECT 'answer ' AS side, x::text AS line FROM (TABLE answer EXCEPT ALL TABLE oracle) x
		UNION ALL SELECT 'oracle ', x::text FROM (TABLE oracle EXCEPT ALL TABLE answer) x) d;
	IF difference IS NOT NULL THEN
		INSERT INTO wrong VALUES (n, format('usage by %s from %s until %s', dim, least(a, b), greatest(a, b)) || E'\n' || difference);
	END IF;
	PERFORM did('usage');
END $$;

-- Subscriptions, as they were told.
CREATE TABLE told (id uuid, at timestamptz, action text, thing text, subscription text, price numeric, currency text, period text, periods int, quantity numeric, n bigint);
CREATE SEQUENCE told_n;
-- How many were told, where the stream was then.
CREATE TABLE known (cursor text, told bigint);
CREATE PROCEDURE tell() LANGUAGE plpgsql AS $$
DECLARE
	item boolean := random() < 0.3;
	t told;
	fields jsonb;
	aside boolean := random() < 0.5;
BEGIN
	t.at := clock_timestamp() - random() * interval '400 days';
	t.thing := CASE WHEN item THEN 'i' ELSE 's' END || floor(random() * 6);
	t.action := CASE WHEN item THEN one_of('item_added', 'item_updated', 'item_updated', 'item_removed')
		ELSE one_of('active', 'active', 'active', 'past_due', 'trialing', 'unpaid', 'paused', 'canceled', 'lapsed', 'upgraded', 'downgraded', 'cancel_scheduled') END;
	t.subscription := CASE WHEN item THEN 's' || floor(random() * 6) END;
	t.price := CASE WHEN random() < 0.7 THEN round((random() * 500)::numeric, (random() * 4)::int) END;
	t.currency := CASE WHEN item THEN NULL ELSE one_of('usd', 'eur') END;
	t.period := one_of('day', 'week', 'month', 'year', NULL);
	t.periods := CASE WHEN t.period IS NOT NULL THEN one_of('1', '3', NULL) END;
	t.quantity := one_of('0', '1', '7', '2.5', NULL, NULL);
	fields := jsonb_strip_nulls(jsonb_build_object(one_of('amount', 'unit_amount', 'price'), coalesce(t.price::text, CASE WHEN random() < 0.1 THEN 'a lot' END), 'currency', t.currency,
		'interval', t.period, 'interval_count', t.periods, 'quantity', t.quantity, 'subscription', t.subscription));
	PERFORM activity.set_actor('ann');
	t.id := activity.record('o', ('subscription.' || t.action)::activity.event_type,
		jsonb_build_object('id', t.thing, 'tier', 'premium', 'kind', CASE WHEN item THEN 'subscription_item' ELSE 'subscription' END) || CASE WHEN aside THEN '{}' ELSE fields END,
		CASE WHEN aside THEN fields END, occurred_at => t.at);
	t.n := nextval('told_n');
	INSERT INTO told SELECT t.*;
	PERFORM did('told');
END $$;

-- One event after another, as a bookkeeper would: each line of the book is a thing.
CREATE FUNCTION book(until timestamptz, most bigint) RETURNS TABLE (currency text, mrr numeric, subscriptions bigint) LANGUAGE plpgsql AS $$
DECLARE
	t told;
BEGIN
	CREATE TEMP TABLE line (thing text PRIMARY KEY, state text, subscription text, price numeric, currency text, period text, periods int, quantity numeric) ON COMMIT DROP;
	FOR t IN SELECT * FROM told x WHERE x.at <= until AND x.n <= coalesce(most, x.n) ORDER BY x.at LOOP
		INSERT INTO line (thing) VALUES (t.thing) ON CONFLICT DO NOTHING;
		UPDATE line l SET state = CASE WHEN t.action IN ('upgraded', 'downgraded', 'cancel_scheduled') THEN l.state ELSE t.action END,
			subscription = coalesce(t.subscription, l.subscription), price = coalesce(t.price, l.price), currency = coalesce(t.currency, l.currency),
			period = coalesce(t.period, l.period), periods = coalesce(t.periods, l.periods), quantity = coalesce(t.quantity, l.quantity)
		WHERE l.thing = t.thing;
	END LOOP;
	RETURN QUERY
	WITH running AS (SELECT * FROM line l WHERE l.thing LIKE 's%' AND l.state IN ('active', 'past_due')),
	pays AS (
		SELECT r.currency, r.price * coalesce(r.quantity, 1) AS price, coalesce(r.period, 'month') AS period, coalesce(r.periods, 1) AS periods, 1 AS one FROM running r
		UNION ALL
		SELECT coalesce(i.currency, r.currency), i.price * coalesce(i.quantity, 1), coalesce(i.period, r.period, 'month'),
			coalesce(i.periods, CASE WHEN i.period IS NULL THEN r.periods END, 1), 0
		FROM line i JOIN running r ON r.thing = i.subscription WHERE i.thing LIKE 'i%' AND i.state <> 'item_removed' AND i.price IS NOT NULL)
	SELECT p.currency, round(sum(coalesce(p.price * CASE p.period WHEN 'day' THEN 365.0 WHEN 'week' THEN 52 WHEN 'month' THEN 12 ELSE 1 END / (12 * p.periods), 0)), 9), sum(p.one)
	FROM pays p GROUP BY 1;
	DROP TABLE line;
END $$;
CREATE PROCEDURE check_mrr(n int) LANGUAGE plpgsql AS $$
DECLARE
	at timestamptz := clock_timestamp() - random() * interval '410 days';
	past known := CASE WHEN random() < 0.5 THEN (SELECT k FROM known k ORDER BY random() LIMIT 1) END;
	answer text := (SELECT string_agg(m::text, ' ' ORDER BY m.currency) FROM (SELECT x.currency, round(x.mrr, 9) AS mrr, x.subscriptions FROM activity.mrr('o', at, as_known => past.cursor) x) m);
	oracle text := (SELECT string_agg(b::text, ' ' ORDER BY b.currency) FROM book(at, past.told) b);
BEGIN
	IF answer IS DISTINCT FROM oracle THEN
		INSERT INTO wrong VALUES (n, format(E'mrr at %s, known at %s\nanswer %s\noracle %s', at, past.cursor, answer, oracle));
	END IF;
	PERFORM did('mrr'), did(CASE WHEN past.cursor IS NULL THEN 'of now' ELSE 'as known' END), did(CASE WHEN answer ~ 'usd' AND answer ~ 'eur' THEN 'two currencies' ELSE 'one, or none' END);
END $$;

CREATE PROCEDURE go(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	its uuid;
BEGIN
	CALL define();
	FOR n IN 1 .. rounds LOOP
		FOR i IN 1 .. 6 LOOP CALL burn(); END LOOP;
		FOR i IN 1 .. 3 LOOP CALL tell(); END LOOP;
		COMMIT;
		IF random() < 0.5 THEN
			PERFORM activity.publish(), did('published');
			COMMIT;
			INSERT INTO known SELECT h.cursor, (SELECT max(t.n) FROM told t) FROM activity.stream_head('o') h;
		END IF;
		IF random() < 0.2 THEN PERFORM _activity.lock_upkeep(), _activity.maintain_rollups(1000, 3); COMMIT; END IF;
		IF random() < 0.2 THEN
			SELECT e.id INTO its FROM activity.events e WHERE e.event_type::text ~ '^(subscription|kitchen)' ORDER BY random() LIMIT 1;
			PERFORM activity.redact('o', its, 'why'), did('redacted');
			UPDATE burnt t SET actor = e.actor_id, redacted = true FROM activity.events e WHERE e.id = t.id AND t.id = its;
			COMMIT;
		END IF;
		IF random() < 0.2 THEN CALL define(); END IF;
		IF random() < 0.1 THEN
			WHILE activity.refold('burnt', 1) > 0 LOOP COMMIT; END LOOP;
			COMMIT;
			-- Whose fields are gone keeps its amount.
			UPDATE burnt SET definition = (SELECT max(d.n) FROM definition d) WHERE NOT redacted;
			PERFORM did('refolded');
			COMMIT;
		END IF;
		FOR i IN 1 .. 4 LOOP CALL check_burnt(n); CALL check_mrr(n); COMMIT; END LOOP;
	END LOOP;
END $$;

CALL go(100);
SELECT is((SELECT string_agg(what, E'\n') FROM (SELECT what FROM wrong WHERE what LIKE 'usage%' ORDER BY n LIMIT 3) w), NULL, 'amounts are those of the definition that held, or of the newest after a refold');
SELECT is((SELECT string_agg(what, E'\n') FROM (SELECT what FROM wrong WHERE what LIKE 'mrr%' ORDER BY n LIMIT 3) w), NULL, 'recurring revenue is what a bookkeeper comes to');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('o')$$, 'and the rollups equal the log');
SELECT is((SELECT count(*) FROM done WHERE step IN ('defined', 'redacted', 'refolded', 'published', 'as known') AND times > 3), 5::bigint, 'it was defined, redacted, refolded, published and asked as it was known often');
SELECT cmp_ok((SELECT times FROM done WHERE step = 'two currencies'), '>', 50, 'in more than one currency');
SELECT is((SELECT min(times) FROM done WHERE step IN ('usage', 'mrr')), 400, 'each was asked as often as was meant');
SELECT diag(string_agg(times || ' ' || step, ', ' ORDER BY step)) FROM done;
SELECT finish();
