-- The HTTP API: the numbers. Amounts are strings, since JSON's numbers are not exact
-- everywhere. Without bounds all of time counts, and "to" is inclusive in the reports,
-- as those who asked for them first have it; timelines go by the feed's rule.

CREATE FUNCTION _activity.http_until(parameters jsonb) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN _activity.http_time(parameters->>'to') + interval '1 microsecond';
COMMENT ON FUNCTION _activity.http_until(jsonb) IS
	'the first time after an inclusive "to"; null without one';

CREATE FUNCTION _activity.digits(amount numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN trim_scale(amount)::text;
COMMENT ON FUNCTION _activity.digits(numeric) IS
	'an amount as answers have it';

-- Currencies are not added up.
CREATE FUNCTION _activity.http_revenue(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('agentId', coalesce(r.key, ''), 'agentName', coalesce(r.name, r.key, ''),
				'totalRevenue', _activity.digits(r.amount), 'transactionCount', r.transactions, 'currency', r.currency)), '[]'),
			'totalRevenue', CASE count(DISTINCT coalesce(r.currency, '')) WHEN 0 THEN '0' WHEN 1 THEN _activity.digits(sum(r.amount)) END,
			'currency', CASE count(DISTINCT coalesce(r.currency, '')) WHEN 1 THEN min(r.currency) END)
		FROM (SELECT * FROM activity.revenue(request.organization, _activity.http_time(p->>'from'), _activity.http_until(p), 'agent') r
			WHERE NOT p ? 'currency' OR lower(r.currency) = lower(p->>'currency')) r)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_revenue(_activity.http_request) IS
	'GET /analytics/revenue';

CREATE FUNCTION _activity.http_mrr(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('mrr', CASE count(*) WHEN 0 THEN '0' WHEN 1 THEN _activity.digits(sum(m.mrr)) END,
			'activeSubscriptions', coalesce(sum(m.subscriptions), 0), 'currency', CASE count(*) WHEN 1 THEN min(m.currency) END,
			'items', coalesce(json_agg(json_build_object('currency', m.currency, 'mrr', _activity.digits(m.mrr), 'subscriptions', m.subscriptions)), '[]'))
		FROM (SELECT * FROM activity.mrr(request.organization, coalesce(_activity.http_time(p->>'asOf'), now())) m
			WHERE NOT p ? 'currency' OR lower(m.currency) = lower(p->>'currency')) m)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_mrr(_activity.http_request) IS
	'GET /analytics/mrr';

CREATE FUNCTION _activity.http_usage(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('planId', coalesce(u.key, ''), 'planName', coalesce(u.name, u.key, ''),
			'creditsBurned', _activity.digits(u.amount), 'uniqueUsers', u.actors, 'unit', u.unit, 'events', u.events,
			'firstAt', _activity.http_time_text(u.first_at), 'lastAt', _activity.http_time_text(u.last_at))), '[]'))
		FROM (SELECT * FROM activity.usage(request.organization, _activity.http_time(p->>'from'), _activity.http_until(p),
			coalesce(p->>'measure', 'credits_burned')) u LIMIT coalesce((p->>'limit')::bigint, 50)) u)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_usage(_activity.http_request) IS
	'GET /analytics/usage';

CREATE FUNCTION _activity.http_customers(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		WITH spent AS (
			SELECT c.*, row_number() OVER (ORDER BY c.amount DESC, c.key, c.currency) AS n
			FROM activity.top_customers(request.organization, _activity.http_time(p->>'from'), _activity.http_until(p), 10000) c
			WHERE c.key IS NOT NULL)
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('customerId', c.key, 'userId', c.key, 'name', c.name,
				'totalSpent', _activity.digits(c.amount), 'currency', c.currency, 'transactions', c.transactions,
				'firstSeenAt', _activity.http_time_text(c.first_at), 'lastActiveAt', _activity.http_time_text(c.last_at)) ORDER BY c.n)
				FILTER (WHERE c.n <= coalesce((p->>'limit')::bigint, 50)), '[]'),
			'totalCustomers', count(DISTINCT c.key))
		FROM spent c)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_customers(_activity.http_request) IS
	'GET /analytics/customers';

CREATE FUNCTION _activity.http_conversion(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('sessions', c.sessions, 'purchases', c.purchases, 'conversionRate', c.rate::float8)
		FROM activity.conversion(request.organization, _activity.http_time(p->>'from'), _activity.http_until(p),
			coalesce(p->>'fromType', 'auth.signin'), coalesce(p->>'toType', 'plan.purchased')) c)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_conversion(_activity.http_request) IS
	'GET /analytics/conversion';

CREATE FUNCTION _activity.http_credits_by_member(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('memberId', c.key, 'memberAddress', c.key, 'name', c.name,
			'totalCreditsBurned', _activity.digits(c.amount), 'unit', c.unit, 'burnCount', c.events,
			'firstBurnAt', _activity.http_time_text(c.first_at), 'lastBurnAt', _activity.http_time_text(c.last_at))), '[]'))
		FROM activity.credits_by_member(request.organization, _activity.http_time(p->>'from'), _activity.http_until(p),
			p->>'planId', coalesce((p->>'limit')::integer, 100)) c
		WHERE c.key IS NOT NULL)::text); -- the system is no member
END
$$;
COMMENT ON FUNCTION _activity.http_credits_by_member(_activity.http_request) IS
	'GET /analytics/credits-by-member';

CREATE FUNCTION _activity.http_step(parameters jsonb) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE parameters->>'step' WHEN 'quarterHour' THEN interval '15 minutes' WHEN 'hour' THEN interval '1 hour'
	WHEN 'week' THEN interval '7 days' WHEN 'month' THEN interval '1 month' WHEN 'quarter' THEN interval '3 months'
	WHEN 'year' THEN interval '1 year' ELSE interval '1 day' END;
COMMENT ON FUNCTION _activity.http_step(jsonb) IS
	'the step of a timeline; a day where none is named';

CREATE FUNCTION _activity.http_timeline(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('step', coalesce(p->>'step', 'day'), 'timeZone', coalesce(p->>'timeZone', 'UTC'),
			'items', coalesce(json_agg(json_build_object('bucket', _activity.http_time_text(t.bucket), 'key', t.key, 'events', t.events)), '[]'))
		FROM activity.timeline(request.organization, coalesce(_activity.http_time(p->>'from'), now() - interval '30 days'),
			coalesce(_activity.http_time(p->>'to'), now()), _activity.http_step(p), coalesce(p->>'timeZone', 'UTC'),
			CASE p->>'by' WHEN 'eventType' THEN 'event_type' ELSE p->>'by' END,
			_activity.json_texts(p->'eventType'), p->>'actorUserId') t)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_timeline(_activity.http_request) IS
	'GET /analytics/timeline';

CREATE FUNCTION _activity.http_active_members(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('step', coalesce(p->>'step', 'day'), 'timeZone', coalesce(p->>'timeZone', 'UTC'),
			'items', coalesce(json_agg(json_build_object('bucket', _activity.http_time_text(m.bucket), 'members', m.members)), '[]'))
		FROM activity.active_members(request.organization, coalesce(_activity.http_time(p->>'from'), now() - interval '30 days'),
			coalesce(_activity.http_time(p->>'to'), now()), _activity.http_step(p), coalesce(p->>'timeZone', 'UTC')) m)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_active_members(_activity.http_request) IS
	'GET /analytics/active-members';

-- The steps of a range: each is asked about by itself, so there may not be many.
CREATE FUNCTION _activity.http_steps(request _activity.http_request)
RETURNS TABLE (bucket timestamptz, since timestamptz, until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 30
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	p        jsonb := request.parameters;
	earliest timestamptz := coalesce(_activity.http_time(p->>'from'), now() - interval '30 days');
	latest   timestamptz := coalesce(_activity.http_time(p->>'to'), now());
	most     constant integer := 120;
BEGIN
	IF latest - earliest > most * _activity.http_step(p) THEN
		PERFORM _activity.http_refuse(400, 'bad_parameter', format('the range has more than %s steps', most), 'step', 'Ask for a longer step, or a shorter range.');
	END IF;
	RETURN QUERY SELECT t.bucket, greatest(t.bucket, earliest), lead(t.bucket, 1, latest) OVER (ORDER BY t.bucket)
		FROM activity.timeline(request.organization, earliest, latest, _activity.http_step(p), coalesce(p->>'timeZone', 'UTC')) t;
END
$$;
COMMENT ON FUNCTION _activity.http_steps(_activity.http_request) IS
	'the steps of a range: the beginning of each, and what of it lies in the range';

CREATE FUNCTION _activity.http_amounts(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('measure', coalesce(p->>'measure', 'credits_burned'), 'step', coalesce(p->>'step', 'day'), 'timeZone', coalesce(p->>'timeZone', 'UTC'),
			'items', coalesce(json_agg(json_build_object('bucket', _activity.http_time_text(a.bucket), 'unit', a.unit,
				'amount', _activity.digits(a.amount), 'events', a.events) ORDER BY a.bucket, a.unit), '[]'))
		FROM (
			SELECT s.bucket, u.unit, coalesce(sum(u.amount), 0) AS amount, coalesce(sum(u.events), 0) AS events
			FROM _activity.http_steps(request) s
			LEFT JOIN LATERAL activity.usage(request.organization, s.since, s.until, coalesce(p->>'measure', 'credits_burned')) u ON true
			GROUP BY s.bucket, u.unit) a)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_amounts(_activity.http_request) IS
	'GET /analytics/amounts';

CREATE FUNCTION _activity.http_mrr_timeline(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p jsonb := request.parameters;
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('step', coalesce(p->>'step', 'day'), 'timeZone', coalesce(p->>'timeZone', 'UTC'),
			'items', coalesce(json_agg(json_build_object('bucket', _activity.http_time_text(s.bucket), 'currency', m.currency,
				'mrr', _activity.digits(coalesce(m.mrr, 0)), 'subscriptions', coalesce(m.subscriptions, 0)) ORDER BY s.bucket, m.currency), '[]'))
		FROM _activity.http_steps(request) s
		LEFT JOIN LATERAL activity.mrr(request.organization, s.until - interval '1 microsecond') m ON true)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_mrr_timeline(_activity.http_request) IS
	'GET /analytics/mrr-timeline';
