-- Analytics: what an organization's events come to. All of it needs the feature
-- "analytics"; a viewer must be an active member. since is inclusive, until exclusive;
-- null is no bound.

CREATE FUNCTION _activity.step_unit(step interval) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	months constant integer := extract(year FROM step) * 12 + extract(month FROM step);
	days   constant integer := extract(day FROM step);
	rest   constant interval := make_interval(secs => (extract(epoch FROM step - make_interval(months => months, days => days)))::double precision);
	unit   text;
BEGIN
	unit := CASE
		WHEN months = 0 AND days = 0 AND rest = interval '15 minutes' THEN 'quarter hour'
		WHEN months = 0 AND days = 0 AND rest = interval '1 hour' THEN 'hour'
		WHEN rest <> interval '0' THEN NULL
		WHEN months = 0 AND days = 1 THEN 'day'
		WHEN months = 0 AND days = 7 THEN 'week'
		WHEN months = 1 AND days = 0 THEN 'month'
		WHEN months = 3 AND days = 0 THEN 'quarter'
		WHEN months = 12 AND days = 0 THEN 'year' END;
	IF unit IS NULL THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('there is no step of %s', coalesce(step::text, 'null')),
			HINT = 'The steps are 15 minutes, 1 hour, 1 day, 1 week, 1 month, 3 months and 1 year.';
	END IF;
	RETURN unit;
END
$$;
COMMENT ON FUNCTION _activity.step_unit(interval) IS
	'the unit in which a timeline steps';

CREATE FUNCTION _activity.bucket_of(unit text, at timestamptz, time_zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN unit = 'quarter hour' THEN _activity.quarter_start(_activity.quarter_of(at))
	ELSE date_trunc(unit, at, time_zone) END;
COMMENT ON FUNCTION _activity.bucket_of(text, timestamptz, text) IS
	'the beginning of the bucket in which a time lies';

-- Local time is stepped through for what has no fixed length, since days have 23 to
-- 25 hours; and hours by half hours, since there are zones whose clocks jump by those.
CREATE FUNCTION _activity.buckets(since timestamptz, until timestamptz, unit text, time_zone text)
RETURNS SETOF timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	begins constant timestamptz := _activity.bucket_of(unit, since, time_zone);
	plain  constant boolean := unit = 'quarter hour' OR unit = 'hour' AND time_zone = 'UTC';
	apart  constant interval := CASE unit WHEN 'quarter hour' THEN interval '15 minutes'
		WHEN 'hour' THEN CASE WHEN plain THEN interval '1 hour' ELSE interval '30 minutes' END
		WHEN 'quarter' THEN interval '3 months'
		ELSE ('1 ' || unit)::interval END;
	odd    timestamptz;
BEGIN
	IF time_zone IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'time_zone must not be null';
	ELSIF since >= until THEN
		RETURN;
	END IF;
	IF extract(epoch FROM until - since) / extract(epoch FROM apart) > 200000 THEN
		RAISE program_limit_exceeded USING
			MESSAGE = format('from %s until %s there are too many steps', since, until),
			HINT = 'Ask for a shorter time or a longer step.';
	END IF;
	IF plain THEN
		RETURN QUERY SELECT generate_series(begins, until - interval '1 microsecond', apart);
		RETURN;
	END IF;
	-- Counted is by quarter hours; nothing is older than 1970.
	SELECT min(at) INTO odd
	FROM generate_series(begins, until - interval '1 microsecond', greatest(apart, interval '1 day')) at
	CROSS JOIN LATERAL (SELECT date_trunc('hour', at, time_zone) AS starts) its
	WHERE at >= '1970-01-02 00:00+00' AND extract(epoch FROM its.starts) % 900 <> 0;
	IF odd IS NOT NULL THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('hours of the time zone "%s" begin on no quarter hour in %s', time_zone, extract(year FROM odd)),
			HINT = 'Numbers are kept by quarter hours: give a zone that is whole quarter hours off.';
	END IF;
	IF unit = 'hour' THEN
		RETURN QUERY SELECT DISTINCT _activity.bucket_of(unit, at, time_zone) AS bucket
		FROM generate_series(begins, until - interval '1 microsecond', apart) at
		ORDER BY bucket;
	ELSE
		RETURN QUERY SELECT DISTINCT its.bucket
		FROM generate_series(begins AT TIME ZONE time_zone, until AT TIME ZONE time_zone, apart) at
		CROSS JOIN LATERAL (SELECT date_trunc(unit, at AT TIME ZONE time_zone, time_zone) AS bucket) its
		WHERE its.bucket < until
		ORDER BY its.bucket;
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.buckets(timestamptz, timestamptz, text, text) IS
	'the beginnings of all buckets from since until before until';

CREATE FUNCTION _activity.family_of(type integer) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (SELECT t.family FROM activity.event_types t WHERE t.key = type::activity.event_type::text);
COMMENT ON FUNCTION _activity.family_of(integer) IS
	'the family of an event type';

CREATE FUNCTION _activity.person_name(key integer, id text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT e.actor_name FROM _activity.event e
	WHERE e.organization = key AND e.actor_hash = _activity.event_hash(person_name.id) AND e.actor_id = person_name.id
	  AND e.actor_name IS NOT NULL
	ORDER BY e.id DESC LIMIT 1;
END;
COMMENT ON FUNCTION _activity.person_name(integer, text) IS
	'the name that an actor had last';

CREATE FUNCTION _activity.check_by(by text, known text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF by <> ALL (known) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('nothing is counted by "%s"', by),
			HINT = format('by is null or one of %s.', array_to_string(known, ', '));
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.check_by(text, text[]) IS
	'refuses what nothing can be counted by';

-- Of the key of a dimension: what it is called.
CREATE FUNCTION _activity.name_of(organization integer, by text, key text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN CASE by WHEN 'actor' THEN _activity.person_name(organization, key)
	WHEN 'event_type' THEN (SELECT t.meaning FROM activity.event_types t WHERE t.key = name_of.key) END;
COMMENT ON FUNCTION _activity.name_of(integer, text, text) IS
	'what an actor or an event type is called';

CREATE FUNCTION _activity.key_of(by text, type integer, actor text, resource text) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN CASE by WHEN 'event_type' THEN type::activity.event_type::text
	WHEN 'category' THEN activity.category(type::activity.event_type)
	WHEN 'family' THEN _activity.family_of(type)
	WHEN 'actor' THEN actor WHEN 'customer' THEN actor WHEN 'resource' THEN resource END;
COMMENT ON FUNCTION _activity.key_of(text, integer, text, text) IS
	'the key under which a cell is counted';

CREATE FUNCTION activity.timeline(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	step interval DEFAULT '1 day', time_zone text DEFAULT 'UTC', by text DEFAULT NULL,
	event_types text[] DEFAULT NULL, actor text DEFAULT NULL, viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (bucket timestamptz, key text, events bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner   constant integer := _activity.admit_analytics(timeline.organization, timeline.viewer);
	unit    constant text := _activity.step_unit(timeline.step);
	known   constant bigint := _activity.known_position(timeline.organization, timeline.as_known);
	opens   timestamptz := timeline.since;
	closes  timestamptz := timeline.until;
	codes   integer[];
	starts  timestamptz[];
	quarters integer[] := '{}';
	grain   text := 'counts';
BEGIN
	PERFORM _activity.check_by(timeline.by, ARRAY['event_type', 'category', 'family', 'actor', 'resource']);
	PERFORM date_trunc('hour', now(), timeline.time_zone); -- throws for a zone that there isn't
	IF timeline.event_types <> '{}' THEN
		codes := _activity.type_codes(timeline.event_types);
	END IF;
	-- Without a bound it goes from the first event to the last.
	IF coalesce(opens, '-infinity') = '-infinity' THEN
		opens := least((SELECT _activity.quarter_start(min(r.first)) FROM _activity.rollup r WHERE r.organization = owner),
			(SELECT min(e.occurred_at) FROM _activity.event e WHERE e.organization = owner));
	END IF;
	IF coalesce(closes, 'infinity') = 'infinity' THEN
		closes := greatest((SELECT _activity.quarter_start(max(r.last) + 1) - interval '1 microsecond' FROM _activity.rollup r WHERE r.organization = owner),
			(SELECT max(e.occurred_at) FROM _activity.event e WHERE e.organization = owner)) + interval '1 microsecond';
	END IF;
	IF coalesce(timeline.by, '') NOT IN ('actor', 'resource') AND timeline.actor IS NULL
		AND timeline.time_zone = 'UTC' AND unit NOT IN ('hour', 'quarter hour') THEN
		grain := 'types';
	END IF;
	starts := ARRAY(SELECT b FROM _activity.buckets(opens, closes, unit, timeline.time_zone) b ORDER BY b);
	-- A step goes from one beginning to the next; an hour may also go on where the clock was put back.
	IF unit NOT IN ('hour', 'quarter hour') OR unit = 'hour' AND timeline.time_zone = 'UTC' THEN
		quarters := ARRAY(SELECT _activity.quarter_of(b) FROM unnest(starts) b);
	END IF;
	RETURN QUERY
	WITH per_quarter AS MATERIALIZED (
		SELECT c.quarter, CASE WHEN timeline.by IN ('event_type', 'category', 'family') THEN c.type END AS type,
			CASE timeline.by WHEN 'actor' THEN c.actor WHEN 'resource' THEN c.resource END AS word,
			sum(c.events) AS events
		FROM _activity.cells(owner, opens, closes, known, grain, quarters, array_remove(ARRAY[
			CASE WHEN timeline.by IN ('event_type', 'category', 'family') OR codes IS NOT NULL THEN 'type' END,
			CASE WHEN timeline.by = 'actor' OR timeline.actor IS NOT NULL THEN 'actor' END,
			CASE timeline.by WHEN 'resource' THEN 'resource' END], NULL)) c
		WHERE c.measure = 0
		  AND (timeline.actor IS NULL OR c.actor = timeline.actor)
		  AND (codes IS NULL OR c.type = ANY (codes))
		GROUP BY 1, 2, 3),
	per_bucket AS (
		SELECT CASE WHEN quarters = '{}'
				THEN _activity.bucket_of(unit, _activity.quarter_start(q.quarter), timeline.time_zone)
				ELSE starts[width_bucket(q.quarter, quarters)] END AS bucket, q.type, q.word,
			sum(q.events) AS events
		FROM per_quarter q GROUP BY 1, 2, 3),
	keyed AS MATERIALIZED (
		SELECT b.bucket, _activity.key_of(timeline.by, b.type, b.word, b.word) AS key, sum(b.events)::bigint AS events
		FROM per_bucket b GROUP BY 1, 2 HAVING sum(b.events) <> 0),
	keys AS (
		SELECT DISTINCT k.key FROM keyed k
		UNION SELECT NULL WHERE timeline.by IS NULL)
	SELECT t.bucket, k.key, coalesce(c.events, 0)
	FROM unnest(starts) t (bucket)
	CROSS JOIN keys k
	LEFT JOIN keyed c ON c.bucket = t.bucket AND coalesce('=' || c.key, '') = coalesce('=' || k.key, '')
	ORDER BY t.bucket, k.key;
END
$$;
COMMENT ON FUNCTION activity.timeline(text, timestamptz, timestamptz, interval, text, text, text[], text, text, text) IS
	'how many events there were in each step of 15 minutes, an hour, a day, a week, a month, 3 months or a year of a time zone, zero where there were none; by event_type, category, family, actor or resource; of some event types or one actor; as_known: a cursor, without what was published later; errors: 42501 tier, AC008 viewer, 22023 step, zone or by, 22004 no zone, AC001, AC011 to AC013 cursor, 54000 too many steps';

-- What usage() and its like have in common. Amounts of one measure, one line for
-- each key and unit.
CREATE FUNCTION _activity.amounts(owner integer, since timestamptz, until timestamptz, measure text, by text, known bigint)
RETURNS TABLE (key text, name text, amount numeric, unit text, events bigint, unmeasured bigint, actors bigint,
	first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	numbers constant integer[] := ARRAY(SELECT m.number FROM _activity.measure m WHERE m.name = amounts.measure);
BEGIN
	IF amounts.measure IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'measure must not be null';
	ELSIF numbers = '{}' THEN
		RAISE undefined_object USING
			MESSAGE = format('there is no measure "%s"', amounts.measure),
			HINT = 'The view activity.measures lists them; activity.define_measure() adds one.';
	END IF;
	RETURN QUERY
	WITH cells AS MATERIALIZED (
		SELECT CASE WHEN amounts.by IN ('event_type', 'category', 'family') THEN c.type END AS type,
			c.actor, CASE WHEN amounts.by = 'resource' THEN c.resource END AS resource, c.unit,
			(array_agg(c.name ORDER BY c.last_at DESC, c.name) FILTER (WHERE c.name IS NOT NULL))[1] AS name,
			sum(c.amount) AS amount, sum(c.events) AS events, sum(c.unmeasured) AS unmeasured,
			min(c.first_at) AS first_at, max(coalesce(c.last_at, c.first_at)) AS last_at
		FROM _activity.cells(owner, amounts.since, amounts.until, known, 'amounts') c
		WHERE c.measure = ANY (numbers)
		GROUP BY 1, 2, 3, 4
		HAVING sum(c.events) <> 0),
	keyed AS (
		SELECT _activity.key_of(amounts.by, c.type, c.actor, c.resource) AS key, c.*
		FROM cells c)
	SELECT k.key,
		CASE WHEN amounts.by = 'resource'
			THEN (array_agg(k.name ORDER BY k.last_at DESC, k.name) FILTER (WHERE k.name IS NOT NULL))[1]
			ELSE _activity.name_of(owner, amounts.by, k.key) END,
		coalesce(sum(k.amount), 0), k.unit, sum(k.events)::bigint, sum(k.unmeasured)::bigint, count(DISTINCT k.actor),
		min(k.first_at), max(k.last_at)
	FROM keyed k
	GROUP BY k.key, k.unit;
END
$$;
COMMENT ON FUNCTION _activity.amounts(integer, timestamptz, timestamptz, text, text, bigint) IS
	'the sums of a measure by key and unit; errors: 42704 no such measure';

CREATE FUNCTION activity.usage(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	measure text DEFAULT 'credits_burned', by text DEFAULT 'resource',
	viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (key text, name text, amount numeric, unit text, events bigint, actors bigint,
	first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(usage.organization, usage.viewer);
BEGIN
	PERFORM _activity.check_by(usage.by, ARRAY['event_type', 'category', 'family', 'actor', 'resource']);
	RETURN QUERY SELECT a.key, a.name, a.amount, a.unit, a.events, a.actors, a.first_at, a.last_at
	FROM _activity.amounts(owner, usage.since, usage.until, usage.measure, usage.by,
		_activity.known_position(usage.organization, usage.as_known)) a
	ORDER BY a.amount DESC, a.key, a.unit;
END
$$;
COMMENT ON FUNCTION activity.usage(text, timestamptz, timestamptz, text, text, text, text) IS
	'the sums of a measure by resource, actor, event_type, category, family or (null) at all, the largest first, a line for each unit, with the events behind it and how many people; errors: 42501 tier, AC008 viewer, 42704 measure, 22023 by, AC011 to AC013 cursor';

CREATE FUNCTION activity.revenue(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	by text DEFAULT 'resource', viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (key text, name text, amount numeric, currency text, transactions bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(revenue.organization, revenue.viewer);
BEGIN
	PERFORM _activity.check_by(revenue.by, ARRAY['event_type', 'category', 'family', 'actor', 'resource', 'agent']);
	RETURN QUERY SELECT a.key, a.name, a.amount, a.unit, a.events
	FROM _activity.amounts(owner, revenue.since, revenue.until,
		CASE WHEN revenue.by = 'agent' THEN 'revenue_by_agent' ELSE 'revenue' END,
		CASE WHEN revenue.by = 'agent' THEN 'resource' ELSE revenue.by END,
		_activity.known_position(revenue.organization, revenue.as_known)) a
	ORDER BY a.amount DESC, a.key, a.unit;
END
$$;
COMMENT ON FUNCTION activity.revenue(text, timestamptz, timestamptz, text, text, text) IS
	'what was taken in by resource (plan, agent or product), agent, actor, event_type, category, family or (null) at all, the largest first, a line for each currency, null for what names none; errors: 42501 tier, AC008 viewer, 22023 by, AC011 to AC013 cursor';

CREATE FUNCTION activity.top_customers(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	max_rows integer DEFAULT 10, viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (key text, name text, amount numeric, currency text, transactions bigint,
	first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(top_customers.organization, top_customers.viewer);
BEGIN
	IF top_customers.max_rows IS NULL OR top_customers.max_rows NOT BETWEEN 1 AND 10000 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'max_rows must be from 1 to 10000';
	END IF;
	RETURN QUERY SELECT a.key, _activity.person_name(owner, a.key), a.amount, a.unit, a.events, a.first_at, a.last_at
	FROM (
		SELECT its.*, row_number() OVER (PARTITION BY its.unit ORDER BY its.amount DESC, its.key) AS place
		FROM _activity.amounts(owner, top_customers.since, top_customers.until, 'revenue', 'customer',
			_activity.known_position(top_customers.organization, top_customers.as_known)) its
		WHERE its.key IS NOT NULL) a
	WHERE a.place <= top_customers.max_rows
	ORDER BY a.unit, a.place;
END
$$;
COMMENT ON FUNCTION activity.top_customers(text, timestamptz, timestamptz, integer, text, text) IS
	'the people who spent most, of each currency at most max_rows, with their first and last purchase; errors: 42501 tier, AC008 viewer, 22023 max_rows, AC011 to AC013 cursor';

CREATE FUNCTION activity.credits_by_member(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	resource text DEFAULT NULL, max_rows integer DEFAULT 1000, viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (key text, name text, amount numeric, unit text, events bigint,
	first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(credits_by_member.organization, credits_by_member.viewer);
	known constant bigint := _activity.known_position(credits_by_member.organization, credits_by_member.as_known);
BEGIN
	IF credits_by_member.max_rows IS NULL OR credits_by_member.max_rows NOT BETWEEN 1 AND 10000 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'max_rows must be from 1 to 10000';
	END IF;
	RETURN QUERY SELECT a.actor, _activity.person_name(owner, a.actor), a.amount, a.unit, a.events, a.first_at, a.last_at
	FROM (
		SELECT c.actor, coalesce(sum(c.amount), 0) AS amount, c.unit, sum(c.events)::bigint AS events,
			min(c.first_at) AS first_at, max(c.last_at) AS last_at
		FROM _activity.cells(owner, credits_by_member.since, credits_by_member.until, known, 'amounts') c
		WHERE c.measure IN (SELECT m.number FROM _activity.measure m WHERE m.name = 'credits_burned')
		  AND (credits_by_member.resource IS NULL OR c.resource = credits_by_member.resource)
		GROUP BY c.actor, c.unit HAVING sum(c.events) <> 0
		ORDER BY 2 DESC, 1, 3
		LIMIT credits_by_member.max_rows) a
	ORDER BY a.amount DESC, a.actor, a.unit;
END
$$;
COMMENT ON FUNCTION activity.credits_by_member(text, timestamptz, timestamptz, text, integer, text, text) IS
	'the credits that each member burned, of one resource (a plan) or of all, most first, at most max_rows; null is nobody: the system; errors: 42501 tier, AC008 viewer, 22023 max_rows, AC011 to AC013 cursor';

CREATE FUNCTION activity.conversion(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	from_type text DEFAULT 'auth.signin', to_type text DEFAULT 'plan.purchased',
	viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (sessions bigint, purchases bigint, rate numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 1 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(conversion.organization, conversion.viewer);
	known constant bigint := _activity.known_position(conversion.organization, conversion.as_known);
	from_codes constant integer[] := _activity.type_codes(ARRAY[conversion.from_type]);
	to_codes   constant integer[] := _activity.type_codes(ARRAY[conversion.to_type]);
BEGIN
	RETURN QUERY
	WITH counts AS (
		SELECT coalesce(sum(c.events) FILTER (WHERE c.type = ANY (from_codes)), 0)::bigint AS sessions,
			coalesce(sum(c.events) FILTER (WHERE c.type = ANY (to_codes)), 0)::bigint AS purchases
		FROM _activity.cells(owner, conversion.since, conversion.until, known, 'types') c
		WHERE c.measure = 0)
	SELECT n.sessions, n.purchases, round(n.purchases::numeric / nullif(n.sessions, 0), 6) FROM counts n;
END
$$;
COMMENT ON FUNCTION activity.conversion(text, timestamptz, timestamptz, text, text, text, text) IS
	'how many events there were of two types (or category.*), and the second by the first, to six places, null if there is none of the first; errors: 42501 tier, AC008 viewer, AC001 unknown type, AC011 to AC013 cursor';

CREATE FUNCTION activity.active_members(organization text,
	since timestamptz DEFAULT (now() - '30 days'::interval), until timestamptz DEFAULT now(),
	step interval DEFAULT '1 day', time_zone text DEFAULT 'UTC', viewer text DEFAULT NULL, as_known text DEFAULT NULL)
RETURNS TABLE (bucket timestamptz, members bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := _activity.admit_analytics(active_members.organization, active_members.viewer);
	unit  constant text := _activity.step_unit(active_members.step);
	known constant bigint := _activity.known_position(active_members.organization, active_members.as_known);
	opens timestamptz := active_members.since;
	closes timestamptz := active_members.until;
	starts timestamptz[];
	quarters integer[] := '{}';
BEGIN
	PERFORM date_trunc('hour', now(), active_members.time_zone);
	IF coalesce(opens, '-infinity') = '-infinity' THEN
		opens := least((SELECT _activity.quarter_start(min(r.first)) FROM _activity.rollup r WHERE r.organization = owner),
			(SELECT min(e.occurred_at) FROM _activity.event e WHERE e.organization = owner));
	END IF;
	IF coalesce(closes, 'infinity') = 'infinity' THEN
		closes := greatest((SELECT _activity.quarter_start(max(r.last) + 1) - interval '1 microsecond' FROM _activity.rollup r WHERE r.organization = owner),
			(SELECT max(e.occurred_at) FROM _activity.event e WHERE e.organization = owner)) + interval '1 microsecond';
	END IF;
	starts := ARRAY(SELECT b FROM _activity.buckets(opens, closes, unit, active_members.time_zone) b ORDER BY b);
	IF unit NOT IN ('hour', 'quarter hour') THEN
		quarters := ARRAY(SELECT _activity.quarter_of(b) FROM unnest(starts) b);
	END IF;
	RETURN QUERY
	WITH per_step AS MATERIALIZED (
		SELECT c.quarter, c.actor
		FROM _activity.cells(owner, opens, closes, known, 'counts', quarters, '{actor}') c
		WHERE c.measure = 0 AND c.actor IS NOT NULL
		GROUP BY 1, 2 HAVING sum(c.events) > 0),
	per_bucket AS MATERIALIZED (
		SELECT CASE WHEN quarters = '{}'
				THEN _activity.bucket_of(unit, _activity.quarter_start(s.quarter), active_members.time_zone)
				ELSE starts[width_bucket(s.quarter, quarters)] END AS bucket,
			count(DISTINCT s.actor) AS members
		FROM per_step s GROUP BY 1)
	SELECT t.bucket, coalesce(b.members, 0)
	FROM unnest(starts) t (bucket)
	LEFT JOIN per_bucket b ON b.bucket = t.bucket
	ORDER BY t.bucket;
END
$$;
COMMENT ON FUNCTION activity.active_members(text, timestamptz, timestamptz, interval, text, text, text) IS
	'how many actors did something in each step of a time zone, as timeline() steps; nobody, the system, is none; errors: as of timeline()';

CREATE VIEW activity.unmeasured WITH (security_barrier) AS
SELECT (SELECT o.id FROM _activity.organization o WHERE o.key = r.organization LIMIT 1) COLLATE "default" AS organization,
	m.name COLLATE "default" AS measure, m.event_type COLLATE "default" AS event_type,
	sum(c.unmeasured) AS events, min(c.first_at) AS first_at, max(coalesce(c.last_at, c.first_at)) AS last_at
FROM _activity.rollup r
CROSS JOIN LATERAL unnest(r.measures, r.unmeasured, r.first_at, r.last_at) c (measure, unmeasured, first_at, last_at)
JOIN _activity.measure m ON m.number = abs(c.measure)
WHERE r.kind IN (0, 1) AND c.unmeasured <> 0
GROUP BY r.organization, m.name, m.event_type
HAVING sum(c.unmeasured) <> 0;
COMMENT ON VIEW activity.unmeasured IS
	'published events whose amount is missing or no number, by organization, measure and event type; first_at and last_at are about when';

CREATE FUNCTION _activity.string_of(object jsonb, field text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(object->field) = 'string' THEN object->>field END;
COMMENT ON FUNCTION _activity.string_of(jsonb, text) IS 'a field that is a string, else null';

-- Days that summary() takes as counted (summary.c), against their events.
CREATE FUNCTION _activity.verify_summaries(key integer, since integer, until integer)
RETURNS TABLE (day integer, what text, recorded bigint, counted bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 1
BEGIN ATOMIC
	WITH its_days AS MATERIALIZED (
		SELECT DISTINCT r.first AS day FROM _activity.rollup r
		WHERE r.kind = 6 AND r.organization = verify_summaries.key AND r.first >= since AND r.first + 96 <= until AND r.first % 96 = 0
		  AND NOT EXISTS (SELECT FROM _activity.rolled(verify_summaries.key, '{0}', r.first, r.first + 96))
		  AND NOT EXISTS (SELECT FROM unnest(_activity.unfolded(verify_summaries.key)) m
			WHERE _activity.quarter_of(activity.event_time(m)) BETWEEN r.first AND r.first + 95)),
	sides AS (
		SELECT d.day, w.what, 1::bigint AS recorded, 0::bigint AS counted
		FROM its_days d
		JOIN _activity.event_of_time e ON e.organization = verify_summaries.key
			AND e.id >= _activity.id_at(_activity.quarter_start(d.day)) AND e.id < _activity.id_at(_activity.quarter_start(d.day + 96))
			AND e.occurred_at >= _activity.quarter_start(d.day) AND e.occurred_at < _activity.quarter_start(d.day + 96)
		CROSS JOIN LATERAL (VALUES
			(e.type::activity.event_type::text),
			(concat_ws(' ', 'actor', 'kind=' || e.actor_kind, 'id=' || e.actor_id, CASE WHEN e.actor_id IS NULL THEN 'name=' || e.actor_name END)),
			(CASE WHEN e.on_behalf_of IS NOT NULL THEN concat_ws(' ', 'on_behalf_of', 'kind=' || _activity.string_of(e.on_behalf_of, 'kind'),
				'id=' || _activity.string_of(e.on_behalf_of, 'id'),
				CASE WHEN _activity.string_of(e.on_behalf_of, 'id') IS NULL THEN 'name=' || _activity.string_of(e.on_behalf_of, 'name') END) END)) w (what)
		WHERE w.what IS NOT NULL
		UNION ALL
		SELECT d.day, coalesce(c.type::activity.event_type::text, concat_ws(' ', c.unit, 'kind=' || c.resource, 'id=' || c.actor,
			CASE WHEN c.actor IS NULL THEN 'name=' || c.name END)), 0, c.events
		FROM its_days d CROSS JOIN LATERAL _activity.rolled(verify_summaries.key, '{6}', d.day, d.day + 96) c)
	SELECT s.day, s.what, sum(s.recorded)::bigint, sum(s.counted)::bigint
	FROM sides s GROUP BY 1, 2 HAVING sum(s.recorded) <> sum(s.counted);
END;
COMMENT ON FUNCTION _activity.verify_summaries(integer, integer, integer) IS
	'what differs between the days that are counted for summary() and their events';

CREATE FUNCTION activity.rollup_verify(organization text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS TABLE (bucket timestamptz, dimension text, key text, recorded numeric, rolled_up numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner constant integer := coalesce((SELECT min(o.key) FROM _activity.organization o WHERE o.id = rollup_verify.organization), 0);
	opens constant timestamptz := greatest(coalesce(rollup_verify.since, '-infinity'), _activity.gone_before(owner), '1970-01-01 00:00+00');
	closes constant timestamptz := least(coalesce(rollup_verify.until, 'infinity'), '10889-08-02 05:45+00');
	from_quarter constant integer := _activity.quarter_of(least(opens, '10889-08-02 05:45+00') + interval '899.999999 seconds');
	to_quarter constant integer := _activity.quarter_of(closes);
	missing constant uuid[] := _activity.unfolded(owner);
BEGIN
	IF rollup_verify.organization IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'organization must not be null';
	END IF;
	RETURN QUERY
	WITH both_sides AS MATERIALIZED (
		SELECT 'recorded' AS side, c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.events, c.amount, c.unmeasured
		FROM _activity.event_cells(owner, _activity.quarter_start(from_quarter), _activity.quarter_start(to_quarter)) c
		WHERE NOT EXISTS (SELECT FROM unnest(missing) m WHERE m = c.id)
		UNION ALL
		SELECT 'rolled', c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.events, c.amount, c.unmeasured
		FROM _activity.rolled(owner, ARRAY[0, 1], from_quarter, to_quarter) c),
	per_cell AS (
		SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit,
			sum(c.events) FILTER (WHERE c.side = 'recorded') AS recorded,
			sum(c.events) FILTER (WHERE c.side = 'rolled') AS rolled,
			sum(c.amount) FILTER (WHERE c.side = 'recorded') AS recorded_amount,
			sum(c.amount) FILTER (WHERE c.side = 'rolled') AS rolled_amount,
			sum(c.unmeasured) FILTER (WHERE c.side = 'recorded') AS recorded_unmeasured,
			sum(c.unmeasured) FILTER (WHERE c.side = 'rolled') AS rolled_unmeasured
		FROM both_sides c GROUP BY 1, 2, 3, 4, 5, 6),
	differing AS (
		SELECT p.*, d.dimension, d.recorded AS one, d.rolled_up AS other
		FROM per_cell p
		CROSS JOIN LATERAL (VALUES
			(CASE WHEN p.measure = 0 THEN 'events'
				ELSE 'events of ' || (SELECT m.name FROM _activity.measure m WHERE m.number = p.measure) END,
				coalesce(p.recorded, 0)::numeric, coalesce(p.rolled, 0)::numeric),
			('amount of ' || (SELECT m.name FROM _activity.measure m WHERE m.number = p.measure),
				coalesce(p.recorded_amount, 0), coalesce(p.rolled_amount, 0)),
			('unmeasured of ' || (SELECT m.name FROM _activity.measure m WHERE m.number = p.measure),
				coalesce(p.recorded_unmeasured, 0)::numeric, coalesce(p.rolled_unmeasured, 0)::numeric)
		) d (dimension, recorded, rolled_up)
		WHERE d.recorded <> d.rolled_up AND d.dimension IS NOT NULL)
	SELECT _activity.quarter_start(x.quarter), x.dimension,
		concat_ws(' ', x.type::activity.event_type::text, 'actor=' || x.actor, 'resource=' || x.resource, 'unit=' || x.unit),
		x.one, x.other
	FROM differing x
	UNION ALL
	SELECT _activity.quarter_start(v.day), 'summary', v.what, v.recorded, v.counted
	FROM _activity.verify_summaries(owner, from_quarter, to_quarter) v
	UNION ALL
	-- Where the events have gone, what was sealed then; and that in the chain.
	SELECT _activity.quarter_start(s.month), 'seal', _activity.month_name(s.month), s.events::numeric, d.events::numeric
	FROM _activity.rollup_seal s
	CROSS JOIN LATERAL _activity.month_digest(owner, s.month) d
	WHERE s.organization = owner
	  AND _activity.quarter_start(s.month) >= coalesce(rollup_verify.since, '-infinity')
	  AND _activity.quarter_start(s.month) < coalesce(rollup_verify.until, 'infinity')
	  AND (d.digest <> s.digest OR EXISTS (SELECT FROM _activity.event e
		WHERE e.organization = owner AND e.id = s.sealed_by AND e.commitment IS NULL
		  AND e.metadata->'months'->_activity.month_name(s.month)->>'digest' IS DISTINCT FROM s.digest))
	ORDER BY 1, 2, 3;
END
$$;
COMMENT ON FUNCTION activity.rollup_verify(text, timestamptz, timestamptz) IS
	'compares the rollups of an organization with its events, whole quarter hours from since until before until (null: no bound): a row for each cell (key) of which events, amount or unmeasured differ, one (summary) for each type or person of a day that summary() would miscount, and one (seal) for each month whose events are gone and whose sums are not those that were sealed then; no rows: the numbers equal the log; errors: 22004';
