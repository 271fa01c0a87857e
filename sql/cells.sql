-- Cells: what an organization's events of a time come to, from the rollups and, where
-- these can't tell, from the events.

CREATE FUNCTION _activity.event_cells(key integer, since timestamptz, until timestamptz)
RETURNS TABLE (id uuid, quarter integer, measure integer, type integer, actor text, resource text, unit text,
	name text, events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
	SELECT e.id, _activity.quarter_of(e.occurred_at), c.measure, e.type, e.actor_id, c.resource, c.unit, c.name, 1, c.amount,
		CASE WHEN c.measure > 0 AND c.amount IS NULL THEN 1 ELSE 0 END,
		CASE WHEN c.measure > 0 THEN e.occurred_at END, CASE WHEN c.measure > 0 THEN e.occurred_at END
	FROM _activity.event e
	CROSS JOIN LATERAL (
		SELECT m.measure, m.resource, m.unit, m.name, m.amount
		FROM _activity.measure_event(e.type, coalesce(e.recorded_at, e.occurred_at), e.subject, e.metadata) m
		UNION ALL
		SELECT 0, (SELECT m.resource
				FROM _activity.measure_event(e.type, coalesce(e.recorded_at, e.occurred_at), e.subject, e.metadata) m LIMIT 1),
			NULL, NULL, NULL) c
	WHERE e.organization = key
	  AND e.occurred_at >= since AND e.occurred_at < until
	  AND e.id >= _activity.id_at(since) AND e.id < _activity.id_at(until);
END;
COMMENT ON FUNCTION _activity.event_cells(integer, timestamptz, timestamptz) IS
	'the cells of each event of an organization from since until before until, as fold.c makes them';

-- The position of a cursor of the organization: what is known up to there.
CREATE FUNCTION _activity.known_position(organization text, as_known text) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	at record;
	newest bigint;
BEGIN
	IF as_known IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT * INTO at FROM _activity.parse_cursor(as_known);
	SELECT max(s.position) INTO newest FROM _activity.organization o
	JOIN _activity.stream s ON s.organization = o.key WHERE o.id = known_position.organization;
	IF at."position" > coalesce(newest, 0) THEN
		RAISE EXCEPTION 'cursor "%" is ahead of the stream', as_known
			USING ERRCODE = 'AC012', HINT = 'activity.stream_head() tells the newest cursor.';
	END IF;
	RETURN at."position";
END
$$;
COMMENT ON FUNCTION _activity.known_position(text, text) IS
	'the position up to which something was known; null: all there is; errors: AC012 future, AC013 no cursor';

CREATE FUNCTION _activity.later_than(key integer, known bigint) RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL UNSAFE
RETURN _activity.unpublished(key) || ARRAY(
	SELECT a.item::uuid FROM _activity.set_aside a
	WHERE a.organization = key AND a.step = 'publish'
	UNION ALL
	SELECT s.id FROM _activity.stream s WHERE s.organization = key AND s.position > known);
COMMENT ON FUNCTION _activity.later_than(integer, bigint) IS
	'the events of an organization that got a position after this one, or none';

-- Events before this are gone by right: the sums are all that is left.
CREATE FUNCTION _activity.gone_before(key integer) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((SELECT x.before FROM _activity.expiry x WHERE x.organization = key), '-infinity');
COMMENT ON FUNCTION _activity.gone_before(integer) IS
	'before which time an organization''s events are gone by right';

CREATE FUNCTION _activity.cells(key integer, since timestamptz, until timestamptz, known bigint DEFAULT NULL)
RETURNS TABLE (quarter integer, measure integer, type integer, actor text, resource text, unit text, name text,
	events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone constant timestamptz := _activity.gone_before(key);
	opens timestamptz := greatest(coalesce(since, '-infinity'), '1970-01-01 00:00+00');
	closes timestamptz := least(coalesce(until, 'infinity'), '9999-01-01 00:00+00');
	inner_since integer;
	inner_until integer;
	missing uuid[];
BEGIN
	IF opens >= closes OR key = 0 THEN
		RETURN;
	END IF;
	inner_since := ceil(extract(epoch FROM opens) / 900);
	inner_until := _activity.quarter_of(closes);
	-- Where its events are gone a quarter hour can't be divided.
	IF opens < gone AND _activity.quarter_start(inner_since) > opens THEN
		inner_since := inner_since - 1;
		opens := _activity.quarter_start(inner_since);
		RAISE NOTICE 'the events of % are gone: counted from there on', opens;
	END IF;
	IF closes < gone AND _activity.quarter_start(inner_until) < closes THEN
		inner_until := inner_until + 1;
		closes := _activity.quarter_start(inner_until);
		RAISE NOTICE 'the events before % are gone: counted until then', closes;
	END IF;
	IF known IS NOT NULL THEN
		-- From the events, without what came later; what is gone was known.
		missing := _activity.later_than(key, known);
		IF opens < gone THEN
			RETURN QUERY SELECT * FROM _activity.rolled(key, ARRAY[0, 1], inner_since,
				least(inner_until, _activity.quarter_of(least(gone, closes))));
			opens := least(gone, closes);
		END IF;
		RETURN QUERY SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.name, c.events, c.amount,
			c.unmeasured, c.first_at, c.last_at
		FROM _activity.event_cells(key, opens, closes) c
		WHERE NOT EXISTS (SELECT FROM unnest(missing) m WHERE m = c.id);
		RETURN;
	END IF;
	IF inner_since > inner_until THEN -- within one quarter hour
		RETURN QUERY SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.name, c.events, c.amount,
			c.unmeasured, c.first_at, c.last_at
		FROM _activity.event_cells(key, opens, closes) c;
		RETURN;
	END IF;
	RETURN QUERY SELECT * FROM _activity.rolled(key, ARRAY[0, 1], inner_since, inner_until);
	missing := _activity.unfolded(key);
	IF missing <> '{}' THEN
		RETURN QUERY SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.name, c.events, c.amount,
			c.unmeasured, c.first_at, c.last_at
		FROM unnest(missing) m
		CROSS JOIN LATERAL activity.event_time(m) its (at)
		JOIN LATERAL _activity.event_cells(key, its.at, its.at + interval '1 microsecond') c ON c.id = m
		WHERE its.at >= _activity.quarter_start(inner_since) AND its.at < _activity.quarter_start(inner_until);
	END IF;
	IF opens < _activity.quarter_start(inner_since) THEN
		RETURN QUERY SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.name, c.events, c.amount,
			c.unmeasured, c.first_at, c.last_at
		FROM _activity.event_cells(key, opens, _activity.quarter_start(inner_since)) c;
	END IF;
	IF closes > _activity.quarter_start(inner_until) THEN
		RETURN QUERY SELECT c.quarter, c.measure, c.type, c.actor, c.resource, c.unit, c.name, c.events, c.amount,
			c.unmeasured, c.first_at, c.last_at
		FROM _activity.event_cells(key, _activity.quarter_start(inner_until), closes) c;
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.cells(integer, timestamptz, timestamptz, bigint) IS
	'the cells of an organization''s events from since until before until (null: no bound): whole quarter hours from the rollups, the rest, and what is not folded, from the events; known is a position: without what came later';
