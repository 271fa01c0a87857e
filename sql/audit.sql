-- Audits across organizations.

CREATE FUNCTION _activity.type_codes(event_types text[]) RETURNS integer[]
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_type_codes';
COMMENT ON FUNCTION _activity.type_codes(text[]) IS
	'the codes of the event types that a filter lets through; errors: AC001, 22004';

CREATE FUNCTION _activity.lowest_id(at timestamptz) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_lowest_id';
COMMENT ON FUNCTION _activity.lowest_id(timestamptz) IS
	'an id that no event of that time or later is before; errors: 22008 before 1970 or after the year 10889';

-- A page of one partition. Where a person is asked for, the index that begins with
-- the hash has the entries together, with all that is needed to choose the newest of
-- them; only of these the rows are read, and more if some are not the person's. Else the newest of each organization tells which
-- of them can be on the page at all, and only of those more is read.
CREATE FUNCTION _activity.audit_part(part regclass, codes integer[], actor text, subject text, on_behalf_of text,
	search text, low uuid, high uuid, ascending boolean, page_size integer)
RETURNS SETOF _activity.event
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	direction constant text := CASE WHEN ascending THEN 'ASC' ELSE 'DESC' END;
	condition text := 'e.id > $1 AND e.id < $2';
	its text; -- the person's entries in the index
	batch integer := page_size + 10; -- a few may be somebody else's, of the same hash
	organizations integer[];
	ids uuid[];
	rows integer;
	found integer := 0;
BEGIN
	IF codes IS NOT NULL THEN
		condition := condition || ' AND e.type = ANY ($3)';
	END IF;
	IF actor IS NOT NULL THEN
		condition := condition || ' AND e.actor_hash = _activity.event_hash($4) AND e.actor_id = $4';
	END IF;
	IF subject IS NOT NULL THEN
		condition := condition || ' AND e.subject_hash IN (_activity.event_hash($5), _activity.event_hash(substr($5, strpos($5, '':'') + 1)))'
			|| ' AND (e.subject->>''id'' = $5 OR (e.subject->>''kind'') || '':'' || (e.subject->>''id'') = $5)';
	END IF;
	IF on_behalf_of IS NOT NULL THEN
		condition := condition || ' AND e.on_behalf_of_hash IS NOT NULL AND e.on_behalf_of_hash = _activity.event_hash($6) AND e.on_behalf_of->>''id'' = $6';
	END IF;
	IF search <> '' THEN
		condition := condition || ' AND (strpos(lower(e.description), lower($7)) > 0 OR strpos(lower(e.actor_name), lower($7)) > 0)';
	END IF;
	IF num_nonnulls(actor, subject, on_behalf_of) > 0 THEN
		its := CASE WHEN actor IS NOT NULL THEN 'e.actor_hash = _activity.event_hash($4)'
			WHEN subject IS NOT NULL THEN 'e.subject_hash IN (_activity.event_hash($4), _activity.event_hash(substr($4, strpos($4, '':'') + 1)))'
			ELSE 'e.on_behalf_of_hash IS NOT NULL AND e.on_behalf_of_hash = _activity.event_hash($4)' END;
		LOOP
			EXECUTE format('SELECT array_agg(i.organization), array_agg(i.id) FROM (
				SELECT e.organization, e.id FROM ONLY %s e WHERE e.id > $1 AND e.id < $2 AND %s ORDER BY e.id %s LIMIT $3) i', part, its, direction)
			INTO organizations, ids USING low, high, batch, coalesce(actor, subject, on_behalf_of);
			EXIT WHEN ids IS NULL;
			RETURN QUERY EXECUTE format('SELECT e.* FROM unnest($8, $9) i (organization, id)
				JOIN ONLY %s e ON e.organization = i.organization AND e.id = i.id WHERE %s', part, condition)
			USING low, high, codes, actor, subject, on_behalf_of, search, organizations, ids;
			GET DIAGNOSTICS rows = ROW_COUNT;
			found := found + rows;
			EXIT WHEN found >= page_size OR cardinality(ids) < batch;
			IF ascending THEN low := ids[batch]; ELSE high := ids[batch]; END IF;
			batch := least(batch * 4, 100000);
		END LOOP;
	ELSE
		-- No row beyond the last of so many first ones can be on the page.
		RETURN QUERY EXECUTE format('WITH o AS MATERIALIZED (
				SELECT o.key, (SELECT e.id FROM ONLY %1$s e WHERE e.organization = o.key AND %2$s ORDER BY e.id %3$s LIMIT 1) AS first
				FROM (SELECT DISTINCT key FROM _activity.organization) o ORDER BY first %3$s NULLS LAST LIMIT $8),
			edge AS MATERIALIZED (
				SELECT coalesce((SELECT o.first FROM o OFFSET $8 - 1), %4$s) AS id)
			SELECT its.* FROM o CROSS JOIN edge
			CROSS JOIN LATERAL (SELECT e.* FROM ONLY %1$s e WHERE e.organization = o.key AND %2$s AND e.id %5$s edge.id
				ORDER BY e.id %3$s LIMIT $8) its
			WHERE o.first IS NOT NULL ORDER BY its.id %3$s LIMIT $8', part, condition, direction,
			CASE WHEN ascending THEN '$2' ELSE '$1' END, CASE WHEN ascending THEN '<=' ELSE '>=' END)
		USING low, high, codes, actor, subject, on_behalf_of, search, page_size;
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.audit_part(regclass, integer[], text, text, text, text, uuid, uuid, boolean, integer) IS
	'a page of one partition for activity.audit()';

CREATE FUNCTION _activity.audit_rows(event_types text[], actor text, subject text, on_behalf_of text,
	since timestamptz, until timestamptz, search text, before uuid, after uuid, page_size integer)
RETURNS SETOF _activity.event
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	ascending constant boolean := after IS NOT NULL AND before IS NULL;
	codes constant integer[] := CASE WHEN cardinality(event_types) > 0 THEN _activity.type_codes(event_types) END;
	low uuid := '00000000-0000-0000-0000-000000000000';
	high uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
	part record;
	rows _activity.event[] := '{}';
	found _activity.event[];
BEGIN
	IF page_size IS NULL THEN
		page_size := 50;
	END IF;
	IF page_size NOT BETWEEN 1 AND 1000 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('page_size must be between 1 and 1000, not %s', page_size),
			HINT = 'Read on with the last event''s id as "before".';
	END IF;
	IF substr(before::text, 15, 1) <> '7' OR substr(after::text, 15, 1) <> '7' THEN
		RAISE SQLSTATE 'AC013' USING MESSAGE = 'a cursor is the id of an event';
	END IF;
	IF since > '1970-01-01Z' THEN
		low := _activity.lowest_id(least(since, '10889-01-01Z'));
	END IF;
	IF until < '10889-01-01Z' THEN
		high := _activity.lowest_id(greatest(until, '1970-01-01Z'));
	END IF;
	low := greatest(low, after);
	high := least(high, before);
	IF low >= high THEN
		RETURN;
	END IF;
	-- Months from the page's end on, then what is in the default partition.
	FOR part IN
		SELECT p.relid, p.low, p.high FROM _activity.month_times() p
		WHERE p.high > coalesce(since, '-infinity') AND p.low < coalesce(until, 'infinity')
		ORDER BY CASE WHEN ascending THEN p.low END, CASE WHEN NOT ascending THEN p.high END DESC
	LOOP
		CONTINUE WHEN part.low > '1970-01-01Z' AND _activity.lowest_id(part.low) >= high;
		CONTINUE WHEN part.high < '10889-01-01Z' AND _activity.lowest_id(greatest(part.high, '1970-01-01Z')) <= low;
		-- The page is full of what is beyond this month.
		CONTINUE WHEN part.low > '-infinity' AND cardinality(rows) >= page_size AND NOT EXISTS (
			SELECT FROM (SELECT max(r.occurred_at) AS last, min(r.occurred_at) AS first FROM (
				SELECT * FROM unnest(rows) r ORDER BY CASE WHEN ascending THEN r.id END, r.id DESC LIMIT page_size) r) page
			WHERE CASE WHEN ascending THEN part.low <= page.last ELSE part.high > page.first END);
		SELECT array_agg(r) INTO found FROM _activity.audit_part(part.relid, codes, actor, subject, on_behalf_of, search,
			low, high, ascending, page_size) r;
		rows := rows || coalesce(found, '{}');
	END LOOP;
	RETURN QUERY SELECT * FROM (
		SELECT * FROM unnest(rows) r
		ORDER BY CASE WHEN ascending THEN r.id END, r.id DESC LIMIT page_size) page
	ORDER BY page.id DESC;
END
$$;
COMMENT ON FUNCTION _activity.audit_rows(text[], text, text, text, timestamptz, timestamptz, text, uuid, uuid, integer) IS
	'the rows of a page of activity.audit()';

CREATE FUNCTION _activity.month_times() RETURNS TABLE (relid regclass, low timestamptz, high timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.inhrelid::regclass,
		coalesce((regexp_match(bound.text, 'FROM \(''([^'']*)''\)'))[1]::timestamptz, '-infinity'),
		coalesce((regexp_match(bound.text, 'TO \(''([^'']*)''\)'))[1]::timestamptz, 'infinity')
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
		LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) bound (text)
	WHERE i.inhparent = '_activity.event'::regclass
$$;
COMMENT ON FUNCTION _activity.month_times() IS
	'the partitions of the events and the times of which they are; the default one is of all times';

CREATE FUNCTION activity.audit(event_types text[] DEFAULT NULL, actor text DEFAULT NULL, subject text DEFAULT NULL,
	on_behalf_of text DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, search text DEFAULT NULL,
	before uuid DEFAULT NULL, after uuid DEFAULT NULL, page_size integer DEFAULT 50)
RETURNS TABLE (organization text, id uuid, occurred_at timestamptz, event_type activity.event_type, actor_kind text, actor_id text,
	actor_name text, subject_kind text, subject_id text, subject jsonb, metadata jsonb, description text, context jsonb,
	on_behalf_of jsonb, recorded_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 50
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (SELECT min(o.id) FROM _activity.organization o WHERE o.key = e.organization), e.id, e.occurred_at,
		e.type::activity.event_type, e.actor_kind, e.actor_id, e.actor_name,
		CASE WHEN jsonb_typeof(e.subject->'kind') = 'string' THEN e.subject->>'kind' END,
		CASE WHEN jsonb_typeof(e.subject->'id') IN ('string', 'number') THEN e.subject->>'id' END,
		e.subject, e.metadata, e.description, e.context, e.on_behalf_of, coalesce(e.recorded_at, e.occurred_at)
	FROM _activity.audit_rows($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) e
$$;
COMMENT ON FUNCTION activity.audit(text[], text, text, text, timestamptz, timestamptz, text, uuid, uuid, integer) IS
	'the feed of all organizations, newest first, for administrators: filters and cursors of activity.feed(); errors: AC001 unknown event type, AC013 not an event id, 22023 page_size';
