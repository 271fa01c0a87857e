-- What comes in each month, from the recorded events of subscriptions.

CREATE FUNCTION _activity.monthly(price numeric, period text, periods numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN price * CASE lower(period)
		WHEN 'day' THEN 365 WHEN 'days' THEN 365 WHEN 'daily' THEN 365
		WHEN 'week' THEN 52 WHEN 'weeks' THEN 52 WHEN 'weekly' THEN 52
		WHEN 'month' THEN 12 WHEN 'months' THEN 12 WHEN 'monthly' THEN 12
		WHEN 'quarter' THEN 4 WHEN 'quarters' THEN 4 WHEN 'quarterly' THEN 4
		WHEN 'year' THEN 1 WHEN 'years' THEN 1 WHEN 'yearly' THEN 1 WHEN 'annual' THEN 1 WHEN 'annually' THEN 1 END
	/ (12 * CASE WHEN periods > 0 THEN periods END);
COMMENT ON FUNCTION _activity.monthly(numeric, text, numeric) IS
	'a price by the month: a year has 12, a week is 52 in 12, a day 365 in 12; null for another period, and for periods that are not above zero';

CREATE FUNCTION _activity.number_in(fields jsonb, names text[]) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (fields->>name)::numeric
	FROM unnest(names) WITH ORDINALITY n (name, place)
	WHERE CASE jsonb_typeof(fields->name)
		WHEN 'number' THEN abs((fields->>name)::numeric) < '1e1000'::numeric -- as measure.c has it
		WHEN 'string' THEN length(fields->>name) <= 1000 AND fields->>name ~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$' END
	ORDER BY place LIMIT 1
$$;
COMMENT ON FUNCTION _activity.number_in(jsonb, text[]) IS
	'the first of these fields that is a number of at most 1000 digits before its point';

CREATE FUNCTION _activity.word_in(fields jsonb, name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(fields->name) NOT IN ('object', 'array') THEN nullif(btrim(fields->>name), '') END;
COMMENT ON FUNCTION _activity.word_in(jsonb, text) IS
	'a field that is one word, without the spaces around it; null if it is empty or no scalar';

-- What one event tells of a subscription or an item.
CREATE FUNCTION _activity.subscription_terms(event _activity.event)
RETURNS TABLE (action text, thing text, subscription text, price numeric, currency text, period text, periods numeric,
	quantity numeric)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT activity.action((event).type::activity.event_type), coalesce((event).subject->>'id', ''),
		coalesce((event).metadata->>'subscription', (event).metadata->>'subscription_id', (event).subject->>'subscription',
			(event).subject->>'subscription_id'),
		_activity.number_in(f.fields, '{amount,unit_amount,price}'), _activity.word_in(f.fields, 'currency'),
		_activity.word_in(f.fields, 'interval'), _activity.number_in(f.fields, '{interval_count}'),
		_activity.number_in(f.fields, '{quantity}')
	FROM (SELECT (event).subject || coalesce((event).metadata, '{}') AS fields) f
	WHERE (event).commitment IS NULL
$$;
COMMENT ON FUNCTION _activity.subscription_terms(_activity.event) IS
	'what an event of the category subscription tells about price and state; nothing if it was redacted';

-- The same of events that are gone or redacted.
CREATE TABLE _activity.kept_subscription (
	organization integer NOT NULL,
	event        uuid    NOT NULL,
	action       text    NOT NULL,
	thing        text    NOT NULL,
	subscription text,
	price        numeric,
	currency     text,
	period       text,
	periods      numeric,
	quantity     numeric,
	PRIMARY KEY (organization, event)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.kept_subscription', '');

CREATE FUNCTION activity.mrr(organization text, as_of timestamptz DEFAULT now(), viewer text DEFAULT NULL,
	as_known text DEFAULT NULL)
RETURNS TABLE (currency text, mrr numeric, subscriptions bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 2 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(mrr.organization, mrr.viewer);
	known constant bigint := _activity.known_position(mrr.organization, mrr.as_known);
	codes constant integer[] := _activity.type_codes('{subscription.*}');
	later uuid[];
BEGIN
	IF known IS NOT NULL THEN
		later := _activity.later_than(owner, known);
	END IF;
	RETURN QUERY
	WITH terms AS (
		SELECT e.id, t.*, t.action LIKE 'item\_%' AS is_item
		FROM _activity.event e
		CROSS JOIN LATERAL _activity.subscription_terms(e) t
		WHERE e.organization = owner AND e.type = ANY (codes)
		  AND e.occurred_at <= coalesce(mrr.as_of, 'infinity')
		  AND (later IS NULL OR NOT EXISTS (SELECT FROM unnest(later) l WHERE l = e.id))
		UNION ALL
		SELECT k.event, k.action, k.thing, k.subscription, k.price, k.currency, k.period, k.periods, k.quantity,
			k.action LIKE 'item\_%'
		FROM _activity.kept_subscription k
		WHERE k.organization = owner AND activity.event_time(k.event) <= coalesce(mrr.as_of, 'infinity')
		  AND (later IS NULL OR NOT EXISTS (SELECT FROM unnest(later) l WHERE l = k.event))),
	-- Each thing as it was told last: a field that an event leaves out stays as it was.
	things AS MATERIALIZED (
		SELECT t.is_item, t.thing AS id,
			(array_agg(t.subscription ORDER BY t.id DESC) FILTER (WHERE t.subscription IS NOT NULL))[1] AS subscription,
			(array_agg(t.action ORDER BY t.id DESC) FILTER (WHERE t.action IN ('active', 'trialing', 'past_due',
				'unpaid', 'paused', 'canceled', 'lapsed', 'item_added', 'item_updated', 'item_removed')))[1] AS state,
			(array_agg(t.price ORDER BY t.id DESC) FILTER (WHERE t.price IS NOT NULL))[1] AS price,
			(array_agg(t.currency ORDER BY t.id DESC) FILTER (WHERE t.currency IS NOT NULL))[1] AS currency,
			(array_agg(t.period ORDER BY t.id DESC) FILTER (WHERE t.period IS NOT NULL))[1] AS period,
			(array_agg(t.periods ORDER BY t.id DESC) FILTER (WHERE t.periods IS NOT NULL))[1] AS periods,
			(array_agg(t.quantity ORDER BY t.id DESC) FILTER (WHERE t.quantity IS NOT NULL))[1] AS quantity
		FROM terms t GROUP BY 1, 2),
	counted AS MATERIALIZED (
		SELECT s.* FROM things s WHERE NOT s.is_item AND s.state IN ('active', 'past_due')),
	items AS MATERIALIZED (
		SELECT i.subscription, coalesce(i.currency, s.currency) AS currency,
			coalesce(_activity.monthly(i.price * greatest(coalesce(i.quantity, 1), 0), coalesce(i.period, s.period, 'month'),
				coalesce(i.periods, CASE WHEN i.period IS NULL THEN s.periods END, 1)), 0) AS share
		FROM things i
		LEFT JOIN counted s ON s.id = i.subscription
		WHERE i.is_item AND i.state <> 'item_removed' AND i.price IS NOT NULL
		  AND (i.subscription IS NULL OR s.id IS NOT NULL)),
	shares AS (
		SELECT coalesce(c.currency, CASE WHEN c.price IS NULL THEN (SELECT min(i.currency) FROM items i WHERE i.subscription = c.id) END) AS currency,
			coalesce(_activity.monthly(c.price * greatest(coalesce(c.quantity, 1), 0), coalesce(c.period, 'month'), coalesce(c.periods, 1)), 0) AS share,
			1 AS subscriptions
		FROM counted c
		UNION ALL
		SELECT i.currency, i.share, 0 FROM items i)
	SELECT s.currency, trim_scale(sum(s.share)), sum(s.subscriptions)::bigint
	FROM shares s GROUP BY s.currency ORDER BY s.currency;
END
$$;
COMMENT ON FUNCTION activity.mrr(text, timestamptz, text, text) IS
	'monthly recurring revenue at a time, a line for each currency: active and past_due subscriptions and their items, each price times quantity by the month; errors: 42501 tier, AC008 viewer, AC011 to AC013 cursor';

-- What sums need of events that are redacted.

CREATE FUNCTION _activity.keep_amounts(key integer, ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO _activity.kept_amount (organization, event, measure, resource, name, unit, amount)
	SELECT e.organization, e.id, m.measure, m.resource, m.name, m.unit, m.amount
	FROM _activity.event e
	CROSS JOIN LATERAL _activity.measure_event(e.type, coalesce(e.recorded_at, e.occurred_at), e.subject, e.metadata) m
	WHERE e.organization = key AND e.id = ANY (ids) AND e.commitment IS NULL
	ON CONFLICT DO NOTHING;
	INSERT INTO _activity.kept_subscription
	SELECT e.organization, e.id, t.*
	FROM _activity.event e
	CROSS JOIN LATERAL _activity.subscription_terms(e) t
	WHERE e.organization = key AND e.id = ANY (ids) AND e.type = ANY (_activity.type_codes('{subscription.*}'))
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION _activity.keep_amounts(integer, uuid[]) IS
	'keeps what these events amount to, before they are redacted';
