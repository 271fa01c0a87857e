-- Rollups: what published events come to, by quarter hours.
--
--   organization 1 --- n rollup        (rollup.organization = organization.key)
--   measure      1 --- n cell          (rollup.measures; 0: the event itself)
--
-- A row holds cells, the n-th of which are the n-th elements of its arrays. An
-- array of which every element would be null is null. fold.c adds rows of kind 0
-- in the transaction that publishes; nothing is updated there.

CREATE TABLE _activity.rollup (
	organization integer NOT NULL,
	kind       integer NOT NULL, -- 0: as published
	first      integer NOT NULL, -- of quarters
	last       integer NOT NULL,
	cells      integer NOT NULL,
	quarters   integer[],        -- quarter hours since 1970
	measures   integer[],        -- 0: counts events; else sums amounts
	types      integer[],
	actors     text[] COLLATE "C",
	resources  text[] COLLATE "C",
	units      text[] COLLATE "C",
	names      text[] COLLATE "C", -- of the resource
	events     integer[],
	amounts    numeric[],        -- null: nothing but what is no number
	unmeasured integer[],        -- of the events: what is no number
	first_at   timestamptz[],    -- null for counts
	last_at    timestamptz[]
);
CREATE INDEX rollup_key ON _activity.rollup (organization, kind, first);
SELECT pg_catalog.pg_extension_config_dump('_activity.rollup', '');

CREATE FUNCTION _activity.admit_analytics(organization text, viewer text) RETURNS integer
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'act_analytics_admit';
COMMENT ON FUNCTION _activity.admit_analytics(text, text) IS
	'the key of an organization that may use analytics, 0 for one that has no events; errors: 42501 tier, AC008 viewer is no member, 22004';

CREATE FUNCTION _activity.unpublished(organization integer) RETURNS uuid[]
LANGUAGE c STABLE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_unpublished';
COMMENT ON FUNCTION _activity.unpublished(integer) IS
	'the events of an organization that have no position yet';

CREATE FUNCTION _activity.id_at(at timestamptz) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_id_at';
COMMENT ON FUNCTION _activity.id_at(timestamptz) IS
	'the smallest id of a time';

CREATE FUNCTION _activity.measure_event(type integer, recorded_at timestamptz, subject jsonb, metadata jsonb)
RETURNS TABLE (measure integer, resource text, name text, unit text, amount numeric)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'act_measure_amounts';
COMMENT ON FUNCTION _activity.measure_event(integer, timestamptz, jsonb, jsonb) IS
	'the amounts of an event, as the publisher measures it';

CREATE FUNCTION _activity.quarter_of(at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.floor(extract(epoch FROM at) / 900)::integer;
COMMENT ON FUNCTION _activity.quarter_of(timestamptz) IS
	'the quarter hour of a time, since 1970';

CREATE FUNCTION _activity.quarter_start(quarter integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.to_timestamp(quarter * 900.0::double precision);
COMMENT ON FUNCTION _activity.quarter_start(integer) IS
	'the beginning of a quarter hour';

-- What has a position and is not folded, because that failed, waits in its order.
CREATE FUNCTION _activity.unfolded(key integer) RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL UNSAFE
RETURN _activity.unpublished(key) || ARRAY(
	SELECT a.item::uuid FROM _activity.set_aside a
	WHERE a.organization = key AND a.step = 'publish'
	UNION ALL
	SELECT s.id FROM _activity.set_aside a
	JOIN _activity.stream s ON s.organization = a.organization AND s.position > a.position
	WHERE a.organization = key AND a.step = 'rollups');
COMMENT ON FUNCTION _activity.unfolded(integer) IS
	'the events of an organization that the rollups do not have yet';

CREATE FUNCTION _activity.rolled(key integer, kinds integer[], since integer, until integer)
RETURNS TABLE (quarter integer, measure integer, type integer, actor text, resource text, unit text, name text,
	events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
	SELECT c.*
	FROM _activity.rollup r
	CROSS JOIN LATERAL unnest(r.quarters, r.measures, r.types, r.actors, r.resources, r.units, r.names,
		r.events, r.amounts, r.unmeasured, r.first_at, r.last_at)
		c (quarter, measure, type, actor, resource, unit, name, events, amount, unmeasured, first_at, last_at)
	WHERE r.organization = key AND r.kind = ANY (kinds) AND r.first < until AND r.last >= since
	  AND c.quarter >= since AND c.quarter < until;
END;
COMMENT ON FUNCTION _activity.rolled(integer, integer[], integer, integer) IS
	'the cells of an organization, several for one thing perhaps, of quarter hours from since until before until';
