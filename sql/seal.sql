-- What outlives its events: sums, sealed before these go; and the past, measured anew.

-- A month (UTC) whose events are about to go, or have gone. The digest stands in the
-- organization's chain, too, in the event that sealed it.
CREATE TABLE _activity.rollup_seal (
	organization integer     NOT NULL,
	month      integer     NOT NULL, -- its first quarter hour
	digest     text        NOT NULL,
	events     bigint      NOT NULL,
	sealed_at  timestamptz NOT NULL,
	sealed_by  uuid        NOT NULL,
	PRIMARY KEY (organization, month)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.rollup_seal', '');

CREATE FUNCTION _activity.month_name(month integer) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(_activity.quarter_start(month) AT TIME ZONE 'UTC', 'YYYY-MM');
COMMENT ON FUNCTION _activity.month_name(integer) IS
	'YYYY-MM of the month that begins with a quarter hour';

-- Without people and resources, so that a redaction breaks no seal.
CREATE FUNCTION _activity.month_digest(key integer, month integer, OUT digest text, OUT events bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT encode(sha256(convert_to(coalesce(string_agg(l.line, E'\n' ORDER BY l.line COLLATE "C"), ''), 'UTF8')), 'hex'),
		coalesce(sum(l.events), 0)::bigint
	FROM (
		SELECT concat_ws('|', c.quarter, c.measure, c.type, coalesce('=' || c.unit, '-'), sum(c.events),
				coalesce(trim_scale(sum(c.amount))::text, '-'), sum(coalesce(c.unmeasured, 0))) AS line,
			CASE WHEN c.measure = 0 THEN sum(c.events) ELSE 0 END AS events
		FROM _activity.rolled(key, ARRAY[1], month, _activity.month_first(month + 32 * 96)) c
		GROUP BY c.quarter, c.measure, c.type, c.unit
		HAVING sum(c.events) <> 0) l;
END;
COMMENT ON FUNCTION _activity.month_digest(integer, integer) IS
	'SHA-256 of a month''s sums by quarter hour, measure, event type and unit; and how many events they are of';

CREATE FUNCTION _activity.seal_months(key integer, months integer[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seal constant uuid := activity.event_id();
	sums jsonb;
BEGIN
	INSERT INTO _activity.rollup_seal
	SELECT key, m, d.digest, d.events, clock_timestamp(), seal
	FROM unnest(months) m CROSS JOIN LATERAL _activity.month_digest(key, m) d
	ON CONFLICT ON CONSTRAINT rollup_seal_pkey DO UPDATE
	SET digest = excluded.digest, events = excluded.events, sealed_at = excluded.sealed_at, sealed_by = excluded.sealed_by
	WHERE rollup_seal.digest <> excluded.digest;
	SELECT jsonb_object_agg(_activity.month_name(s.month), jsonb_build_object('digest', s.digest, 'events', s.events))
	INTO sums FROM _activity.rollup_seal s WHERE s.organization = key AND s.sealed_by = seal;
	IF sums IS NULL THEN
		RETURN 0;
	END IF;
	PERFORM _activity.record_own((SELECT min(o.id) FROM _activity.organization o WHERE o.key = seal_months.key),
		'compliance.sums_sealed', jsonb_build_object('kind', 'months'),
		jsonb_build_object('count', (SELECT count(*) FROM jsonb_object_keys(sums)), 'months', sums), seal);
	RETURN cardinality(months);
END
$$;
COMMENT ON FUNCTION _activity.seal_months(integer, integer[]) IS
	'seals the sums of these months, or seals them again if they have changed, and records the digests';

-- A subscription that goes on must be known longer than the event that began it.
CREATE FUNCTION _activity.seal_organization(key integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	due constant timestamptz := (SELECT date_trunc('month', now() - k.keep, 'UTC')
		FROM _activity.retention_of k WHERE k.key = seal_organization.key);
	until constant integer := _activity.quarter_of(due);
	sealed bigint;
BEGIN
	WHILE EXISTS (SELECT FROM _activity.rollup r WHERE r.kind = 0 AND r.organization = key AND r.first < until) LOOP
		PERFORM _activity.compact_rollups(key);
	END LOOP;
	SELECT _activity.seal_months(key, m.months) INTO sealed
	FROM (SELECT array_agg(DISTINCT _activity.month_first(r.first)) AS months FROM _activity.rollup r
		WHERE r.kind = 1 AND r.organization = key AND r.first < until
		  AND NOT EXISTS (SELECT FROM _activity.rollup_seal s
			WHERE s.organization = key AND s.month = _activity.month_first(r.first))) m
	WHERE m.months IS NOT NULL;
	IF EXISTS (SELECT FROM _activity.rollup r WHERE r.kind = 6 AND r.organization = key AND r.first < until) THEN
		DELETE FROM _activity.rollup r WHERE r.kind = 6 AND r.organization = key AND r.first < until;
	END IF;
	INSERT INTO _activity.kept_subscription
	SELECT e.organization, e.id, t.*
	FROM _activity.event e
	CROSS JOIN LATERAL _activity.subscription_terms(e) t
	WHERE e.organization = key AND e.type = ANY (_activity.type_codes('{subscription.*}'))
	  AND e.occurred_at < due
	ON CONFLICT DO NOTHING;
	RETURN coalesce(sealed, 0);
END
$$;
COMMENT ON FUNCTION _activity.seal_organization(integer) IS
	'seals the sums of an organization''s months whose events retention is about to remove, and keeps what is needed of subscriptions; how many months';

-- Before retention removes anything; whoever can't be sealed is set aside, and keeps
-- everything meanwhile.
CREATE FUNCTION _activity.seal_due() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	subscriptions constant integer[] := _activity.type_codes('{subscription.*}');
	due integer;
	rows bigint := 0;
BEGIN
	FOR due IN
		SELECT k.key
		FROM (SELECT r.key, date_trunc('month', now() - r.keep, 'UTC') AS before FROM _activity.retention_of r WHERE r.keep IS NOT NULL) k,
			LATERAL (SELECT _activity.quarter_of(k.before) AS until) u
		WHERE EXISTS (SELECT FROM _activity.rollup r WHERE r.kind = 0 AND r.organization = k.key AND r.first < u.until)
		   OR EXISTS (SELECT FROM _activity.rollup r WHERE r.kind = 6 AND r.organization = k.key AND r.first < u.until)
		   OR EXISTS (SELECT FROM _activity.rollup r WHERE r.kind = 1 AND r.organization = k.key AND r.first < u.until
				AND NOT EXISTS (SELECT FROM _activity.rollup_seal s WHERE s.organization = k.key AND s.month = _activity.month_first(r.first)))
		   OR EXISTS (SELECT FROM _activity.event e WHERE e.organization = k.key AND e.type = ANY (subscriptions) AND e.occurred_at < k.before
				AND NOT EXISTS (SELECT FROM _activity.kept_subscription s WHERE s.organization = k.key AND s.event = e.id))
		   OR EXISTS (SELECT FROM _activity.set_aside a WHERE a.step = 'compact' AND a.organization = k.key AND a.item = 'seal')
	LOOP
		rows := rows + _activity.keep_rollups(due, 'seal', 'SELECT _activity.seal_organization($1)');
	END LOOP;
	RETURN rows;
END
$$;
COMMENT ON FUNCTION _activity.seal_due() IS
	'seals what is due of each organization, or sets it aside; how many months';

-- Months that are to be measured anew.
CREATE TABLE _activity.refold_todo (
	measure    text    NOT NULL COLLATE "C",
	organization integer NOT NULL,
	month      integer NOT NULL,
	PRIMARY KEY (measure, organization, month)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.refold_todo', '');

CREATE FUNCTION _activity.refold_some(measure text, months integer, organization integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	todo record;
	codes integer[];
BEGIN
	FOR todo IN
		SELECT t.ctid, t.* FROM _activity.refold_todo t
		WHERE (refold_some.measure IS NULL OR t.measure = refold_some.measure)
		  AND (refold_some.organization IS NULL OR t.organization = refold_some.organization)
		ORDER BY t.measure, t.organization, t.month LIMIT refold_some.months
	LOOP
		codes := ARRAY(SELECT DISTINCT unnest(_activity.type_codes(ARRAY[m.event_type]))
			FROM _activity.measure m WHERE m.name = todo.measure);
		PERFORM _activity.rebuild_rollups(todo.organization, ARRAY(
			SELECT DISTINCT _activity.quarter_of(e.occurred_at) FROM _activity.event_of_time e
			WHERE e.organization = todo.organization AND e.type = ANY (codes)
			  AND e.occurred_at >= _activity.quarter_start(todo.month)
			  AND e.occurred_at < _activity.quarter_start(_activity.month_first(todo.month + 32 * 96))));
		DELETE FROM _activity.refold_todo t WHERE t.ctid = todo.ctid;
	END LOOP;
	RETURN (SELECT count(*) FROM _activity.refold_todo t
		WHERE refold_some.measure IS NULL OR t.measure = refold_some.measure);
END
$$;
COMMENT ON FUNCTION _activity.refold_some(text, integer, integer) IS
	'measures some months of some organizations, or of one, anew; how many are left';

CREATE FUNCTION activity.refold(measure text, max_months integer DEFAULT 100) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF refold.measure IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'measure must not be null';
	END IF;
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('measure', 'rollup', 'refold_todo');
	IF NOT EXISTS (SELECT FROM _activity.measure m WHERE m.name = refold.measure) THEN
		RAISE undefined_object USING
			MESSAGE = format('there is no measure "%s"', refold.measure),
			HINT = 'The view activity.measures lists them.';
	END IF;
	IF max_months IS NULL OR max_months < 0 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'max_months must be 0 or more';
	END IF;
	-- It was revised since the last one began, which may not be done yet: all of it anew.
	IF EXISTS (SELECT FROM _activity.measure m WHERE m.name = refold.measure AND isfinite(m.valid_from)) THEN
		DELETE FROM _activity.refold_todo t WHERE t.measure = refold.measure;
		-- What is published from now on sees it; what was before is on the list.
		PERFORM _activity.lock_publishing();
		UPDATE _activity.measure m
		SET valid_from = CASE WHEN m.number = (SELECT max(newest.number) FROM _activity.measure newest
				WHERE newest.name = m.name AND newest.event_type = m.event_type) THEN '-infinity' ELSE 'infinity' END::timestamptz
		WHERE m.name = refold.measure AND m.number >= 1000;
		INSERT INTO _activity.refold_todo
		SELECT DISTINCT refold.measure, r.organization, _activity.month_first(c.quarter)
		FROM _activity.rollup r
		CROSS JOIN LATERAL unnest(r.quarters, r.types) c (quarter, type)
		WHERE r.kind IN (0, 1) AND c.type = ANY (ARRAY(SELECT DISTINCT unnest(_activity.type_codes(ARRAY[m.event_type]))
			FROM _activity.measure m WHERE m.name = refold.measure));
		-- The next call goes on; this one has kept others from publishing.
		RETURN (SELECT count(*) FROM _activity.refold_todo t WHERE t.measure = refold.measure);
	END IF;
	RETURN _activity.refold_some(refold.measure, max_months);
END
$$;
COMMENT ON FUNCTION activity.refold(text, integer) IS
	'measures the past by the newest definition of a measure: the first call begins, each call after it does max_months months of organizations, and maintain() goes on with it; how many are left; months whose events are gone stay as they were; errors: 42704, 22004, 22023, 25006';
