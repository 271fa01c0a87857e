-- Cells: what an organization's events of a time come to, from the rollups and, where
-- these can't tell, from the events.

-- maintain() moves rows out of the default partition. A snapshot from before it sees them
-- there still, and nowhere else, but a time within a month is looked for in that month
-- alone. So the default partition is read by its name: it is locked before the months are
-- listed, and each row is found either here or there.
CREATE VIEW _activity.event_of_time WITH (security_invoker) AS
SELECT e.organization, e.id, e.type, e.occurred_at, e.recorded_at, e.actor_kind, e.actor_id, e.actor_name, e.subject, e.metadata,
	e.on_behalf_of, e.commitment
FROM _activity.event e WHERE e.tableoid <> '_activity.event_default'::regclass
UNION ALL
SELECT e.organization, e.id, e.type, e.occurred_at, e.recorded_at, e.actor_kind, e.actor_id, e.actor_name, e.subject, e.metadata,
	e.on_behalf_of, e.commitment
FROM ONLY _activity.event_default e;
COMMENT ON VIEW _activity.event_of_time IS
	'the events, also those that were moved to another partition since the snapshot was taken; for conditions on a time with two ends';

CREATE FUNCTION _activity.event_cells(key integer, since timestamptz, until timestamptz)
RETURNS TABLE (id uuid, quarter integer, measure integer, type integer, actor text, resource text, unit text,
	name text, events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
	SELECT e.id, _activity.quarter_of(e.occurred_at), c.measure, e.type, e.actor_id, c.resource, c.unit, c.name, 1, c.amount,
		CASE WHEN c.measure > 0 AND c.amount IS NULL THEN 1 ELSE 0 END,
		CASE WHEN c.measure > 0 THEN e.occurred_at END, CASE WHEN c.measure > 0 THEN e.occurred_at END
	FROM _activity.event_of_time e
	CROSS JOIN LATERAL (
		WITH amounts AS (
			SELECT m.measure, m.resource, m.unit, m.name, m.amount
			FROM _activity.measure_event(e.type, coalesce(e.recorded_at, e.occurred_at), e.subject, e.metadata) m
			WHERE e.commitment IS NULL
			UNION ALL
			SELECT k.measure, k.resource, k.unit, k.name, k.amount FROM _activity.kept_amount k
			WHERE e.commitment IS NOT NULL AND k.organization = e.organization AND k.event = e.id)
		SELECT a.measure, a.resource, a.unit, a.name, a.amount FROM amounts a
		UNION ALL
		SELECT 0, (SELECT a.resource FROM amounts a ORDER BY a.measure LIMIT 1), NULL, NULL, NULL) c
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
	BEGIN
		PERFORM _activity.check_cursor(o.key, as_known) FROM (SELECT min(o.key) AS key FROM _activity.organization o
			WHERE o.id = known_position.organization) o WHERE o.key IS NOT NULL;
	EXCEPTION WHEN SQLSTATE 'AC010' THEN
		NULL; -- what retention has taken since was known then
	END;
	RETURN at."position";
END
$$;
COMMENT ON FUNCTION _activity.known_position(text, text) IS
	'the position up to which something was known; null: all there is; errors: AC011 lost history, AC012 future, AC013 no cursor';

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

-- Whole quarter hours, by the largest steps that tell what is asked for: how many events
-- there were, summed up by steps and by what tells them apart ("counts"), the same by
-- type where days may be those of UTC ("types"), or amounts ("amounts").
CREATE FUNCTION _activity.rolled_by(key integer, grain text, since integer, until integer, steps integer[], by text[])
RETURNS TABLE (quarter integer, measure integer, type integer, actor text, resource text, unit text, name text,
	events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	day_since   constant integer := (since + 95) / 96 * 96;
	day_until   constant integer := until / 96 * 96;
	month_since integer := _activity.month_first(day_since);
	month_until constant integer := _activity.month_first(day_until);
BEGIN
	IF grain = 'counts' THEN
		RETURN QUERY SELECT c.quarter, 0, c.type, c.actor, c.resource, NULL, NULL, c.events, NULL::numeric, NULL::integer,
			NULL::timestamptz, NULL::timestamptz
		FROM _activity.rolled_counts(key, CASE WHEN by = '{}' THEN '{0,4}' ELSE '{0,1}' END::integer[], since, until, steps, by) c;
		RETURN;
	ELSIF day_since >= day_until THEN
		RETURN QUERY SELECT * FROM _activity.rolled(key, '{0,1}', since, until);
		RETURN;
	END IF;
	RETURN QUERY SELECT * FROM _activity.rolled(key, '{0}', since, until)
		UNION ALL SELECT * FROM _activity.rolled(key, '{1}', since, day_since)
		UNION ALL SELECT * FROM _activity.rolled(key, '{1}', day_until, until);
	IF month_since < day_since THEN
		month_since := _activity.month_first(month_since + 32 * 96);
	END IF;
	IF grain = 'types' THEN
		RETURN QUERY SELECT * FROM _activity.rolled(key, '{5}', day_since, day_until);
	ELSIF month_since < month_until THEN
		RETURN QUERY SELECT * FROM _activity.rolled(key, '{3}', month_since, month_until)
			UNION ALL SELECT * FROM _activity.rolled(key, '{2}', day_since, month_since)
			UNION ALL SELECT * FROM _activity.rolled(key, '{2}', month_until, day_until);
	ELSE
		RETURN QUERY SELECT * FROM _activity.rolled(key, '{2}', day_since, day_until);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.rolled_by(integer, text, integer, integer, integer[], text[]) IS
	'the cells of an organization of quarter hours from since until before until, by as large steps as the grain allows, counts as rolled_counts() sums them up';

CREATE FUNCTION _activity.cells(key integer, since timestamptz, until timestamptz, known bigint DEFAULT NULL, grain text DEFAULT 'amounts', steps integer[] DEFAULT '{}', by text[] DEFAULT '{}')
RETURNS TABLE (quarter integer, measure integer, type integer, actor text, resource text, unit text, name text,
	events integer, amount numeric, unmeasured integer, first_at timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone constant timestamptz := _activity.gone_before(key);
	opens timestamptz := greatest(coalesce(since, '-infinity'), '1970-01-01 00:00+00');
	closes timestamptz := least(coalesce(until, 'infinity'), '10889-08-02 05:45+00');
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
	RETURN QUERY SELECT * FROM _activity.rolled_by(key, grain, inner_since, inner_until, steps, by);
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
COMMENT ON FUNCTION _activity.cells(integer, timestamptz, timestamptz, bigint, text, integer[], text[]) IS
	'the cells of an organization''s events from since until before until (null: no bound): whole quarter hours from the rollups, the rest, and what is not folded, from the events; known is a position: without what came later; steps and by: how counts may be summed up';

-- For what changes events that are published. Their quarter hours are read again from
-- the log, and everything that was made of these is made anew.
CREATE FUNCTION _activity.rebuild_rollups(key integer, quarters integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	month integer;
	until integer;
	its integer[];
	is_late boolean;
	fresh tid;
	everything tid[];
BEGIN
	WHILE _activity.compact_rollups(key) > 0 LOOP
	END LOOP;
	FOR month IN
		SELECT DISTINCT _activity.month_first(q) FROM unnest(quarters) q
		WHERE _activity.quarter_start(q) >= _activity.gone_before(key)
	LOOP
		until := _activity.month_first(month + 32 * 96);
		its := ARRAY(SELECT DISTINCT q FROM unnest(quarters) q WHERE q >= month AND q < until);
		-- What is not folded and what is in rows of kind 0 is told by the snapshot that reads
		-- the events: others record and publish meanwhile.
		LOOP
			WITH late AS MATERIALIZED (
				SELECT EXISTS (SELECT FROM _activity.rollup r
					WHERE r.kind = 0 AND r.organization = key AND r.first < until AND r.last >= month) AS is_late),
			missing AS MATERIALIZED (
				SELECT m.id FROM unnest(_activity.unfolded(key)) m (id)),
			made AS (
				INSERT INTO _activity.rollup AS made
				SELECT key, 0, min(c.quarter), max(c.quarter), count(*), array_agg(c.quarter), array_agg(c.measure),
					array_agg(c.type), array_agg(c.actor), array_agg(c.resource), array_agg(c.unit), array_agg(c.name),
					array_agg(c.events), array_agg(c.amount), array_agg(c.unmeasured), array_agg(c.first_at), array_agg(c.last_at)
				FROM (SELECT c.* FROM unnest(its) q
					CROSS JOIN LATERAL _activity.event_cells(key, _activity.quarter_start(q), _activity.quarter_start(q + 1)) c
					WHERE NOT (SELECT l.is_late FROM late l) AND NOT EXISTS (SELECT FROM missing m WHERE m.id = c.id)) c
				HAVING count(*) > 0
				RETURNING made.ctid AS at)
			SELECT l.is_late, (SELECT m.at FROM made m) INTO is_late, fresh FROM late l;
			EXIT WHEN NOT is_late;
			WHILE _activity.compact_rollups(key) > 0 LOOP
			END LOOP;
		END LOOP;
		PERFORM _activity.merge_rollup(key, 1, month, until, CASE WHEN fresh IS NULL THEN '{}' ELSE ARRAY[fresh] END, its);
		DELETE FROM _activity.rollup r WHERE r.ctid = fresh;
		-- The others are made of the first.
		DELETE FROM _activity.rollup r
		WHERE r.organization = key AND r.kind > 1 AND r.first >= month AND r.last < until;
		everything := ARRAY(SELECT r.ctid FROM _activity.rollup r
			WHERE r.organization = key AND r.kind = 1 AND r.first >= month AND r.last < until);
		FOR kind IN 2 .. 5 LOOP
			PERFORM _activity.merge_rollup(key, kind, month, until, everything);
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.rebuild_rollups(integer, integer[]) IS
	'makes the rollups of these quarter hours of an organization anew from its events, where those are kept';

-- The quarter hours of all of these events are made anew. Where events are gone and
-- sums are left, the name itself is replaced.
CREATE FUNCTION _activity.redact_rollups(key integer, ids uuid[], person text, pseudonym text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	renamed uuid[];
	gone constant integer := CASE WHEN isfinite(_activity.gone_before(key)) THEN _activity.quarter_of(_activity.gone_before(key)) END;
BEGIN
	WITH changed AS (
		UPDATE _activity.kept_amount k
		SET resource = CASE k.resource WHEN redact_rollups.person THEN redact_rollups.pseudonym ELSE k.resource END,
			name = nullif(k.name, redact_rollups.person), unit = nullif(k.unit, redact_rollups.person)
		WHERE k.organization = key AND redact_rollups.person IN (k.resource, k.name, k.unit)
		RETURNING k.event)
	SELECT array_agg(c.event) INTO renamed FROM changed c;
	UPDATE _activity.kept_subscription k
	SET thing = CASE k.thing WHEN redact_rollups.person THEN redact_rollups.pseudonym ELSE k.thing END,
		subscription = CASE k.subscription WHEN redact_rollups.person THEN redact_rollups.pseudonym ELSE k.subscription END,
		currency = nullif(k.currency, redact_rollups.person), period = nullif(k.period, redact_rollups.person)
	WHERE k.organization = key AND redact_rollups.person IN (k.thing, k.subscription, k.currency, k.period);
	PERFORM _activity.rebuild_rollups(key, ARRAY(
		SELECT DISTINCT _activity.quarter_of(activity.event_time(i)) FROM unnest(ids || renamed) i));
	DELETE FROM _activity.rollup r WHERE r.kind = 6 AND r.organization = key AND r.first < gone;
	UPDATE _activity.rollup r
	SET actors = array_replace(r.actors, redact_rollups.person, redact_rollups.pseudonym),
		resources = array_replace(r.resources, redact_rollups.person, redact_rollups.pseudonym),
		names = array_replace(r.names, redact_rollups.person, NULL),
		units = array_replace(r.units, redact_rollups.person, NULL)
	WHERE r.organization = key AND r.last < gone AND (redact_rollups.person = ANY (r.actors) OR redact_rollups.person = ANY (r.resources)
		OR redact_rollups.person = ANY (r.names) OR redact_rollups.person = ANY (r.units));
END
$$;
COMMENT ON FUNCTION _activity.redact_rollups(integer, uuid[], text, text) IS
	'what the rollups know of these events once they are redacted, and of a person';

-- Publishing does not wait for a redaction, so what gets its position meanwhile may be
-- folded as it was. The ids that are not folded yet are noted, and their quarter
-- hours made again by maintain(), until all of them are.
CREATE FUNCTION _activity.note_repair(key integer, ids uuid[]) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO _activity.rollup_repair (organization, ids)
	SELECT key, array_agg(i) FROM unnest(note_repair.ids) i
	WHERE i = ANY (_activity.unfolded(key))
	HAVING count(*) > 0
$$;
COMMENT ON FUNCTION _activity.note_repair(integer, uuid[]) IS
	'notes which of these events, about to be redacted, are not in the rollups';

CREATE FUNCTION _activity.repair_rollups(key integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	repair record;
	missing uuid[];
	done bigint := 0;
BEGIN
	FOR repair IN SELECT r.ctid, r.organization, r.ids FROM _activity.rollup_repair r WHERE r.organization = key LOOP
		missing := _activity.unfolded(key);
		PERFORM _activity.rebuild_rollups(repair.organization, ARRAY(
			SELECT DISTINCT _activity.quarter_of(activity.event_time(i)) FROM unnest(repair.ids) i));
		done := done + cardinality(repair.ids);
		DELETE FROM _activity.rollup_repair r WHERE r.ctid = repair.ctid;
		INSERT INTO _activity.rollup_repair
		SELECT repair.organization, array_agg(i) FROM unnest(repair.ids) i WHERE i = ANY (missing) HAVING count(*) > 0;
	END LOOP;
	RETURN done;
END
$$;
COMMENT ON FUNCTION _activity.repair_rollups(integer) IS
	'makes the quarter hours again of an organization''s events that were redacted before they were folded; of how many';
