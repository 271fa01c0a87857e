-- Rollups: what published events come to, by quarter hours.
--
--   organization 1 --- n rollup        (rollup.organization = organization.key)
--   measure      1 --- n cell          (rollup.measures; 0: the event itself)
--
-- A row holds cells, the n-th of which are the n-th elements of its arrays. An
-- array of which every element would be null is null, or would be the usual: one event,
-- none of them unmeasured, the last at the time of the first. In rows of kind 0 the
-- cell of an event that has amounts is not there: -n stands for it and for measure n. fold.c adds rows of kind 0
-- in the transaction that publishes; nothing is updated there. What maintain() makes
-- of them is sorted by quarters, and no two rows of a kind meet in one:
--
--   1  everything
--   2  amounts by days (UTC), under the first quarter hour of each, a row for a month
--   3  amounts by months, likewise
--   4  events by quarter hours and nothing else, a row for a month
--   5  events by days and event type, a row for a month
--   6  what summary() says of a day that is over and had many events, a row for a day: of
--      types, and of people, whose id, kind and name are in actors, resources and names,
--      with actor or on_behalf_of as the unit; last_at is the latest
--
-- So the sums of a time are those of its months, of the days at both ends, of the
-- quarter hours beside these, and of what is in rows of kind 0.

CREATE TABLE _activity.rollup (
	organization integer NOT NULL,
	kind       integer NOT NULL, -- 0: as published
	first      integer NOT NULL, -- of quarters
	last       integer NOT NULL,
	cells      integer NOT NULL,
	quarters   integer[],        -- quarter hours since 1970
	measures   integer[],        -- 0: counts events; else sums amounts; less: does both
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
CREATE INDEX rollup_key ON _activity.rollup (kind, organization, first);
SELECT pg_catalog.pg_extension_config_dump('_activity.rollup', '');

-- What redacted events had amounted to: the amounts stay though metadata goes, and
-- with them the sums. Nothing in it is of a person.
CREATE TABLE _activity.kept_amount (
	organization integer NOT NULL,
	event      uuid    NOT NULL,
	measure    integer NOT NULL,
	resource   text    COLLATE "C",
	name       text    COLLATE "C",
	unit       text    COLLATE "C",
	amount     numeric,
	PRIMARY KEY (organization, event, measure)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.kept_amount', '');

-- Events that were redacted before they were folded (repair_rollups).
CREATE TABLE _activity.rollup_repair (
	organization integer NOT NULL,
	ids        uuid[]  NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('_activity.rollup_repair', '');

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
RETURN greatest(least(pg_catalog.floor(extract(epoch FROM at) / 900), 2000000000), -200000000)::integer;
COMMENT ON FUNCTION _activity.quarter_of(timestamptz) IS
	'the quarter hour of a time, since 1970; no event is ever near the last one';

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
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10000 AS 'MODULE_PATHNAME', 'act_rolled';
COMMENT ON FUNCTION _activity.rolled(integer, integer[], integer, integer) IS
	'the cells of an organization, several for one thing perhaps, of quarter hours from since until before until';

CREATE FUNCTION _activity.rolled_counts(key integer, kinds integer[], since integer, until integer, steps integer[], by text[])
RETURNS TABLE (quarter integer, type integer, actor text, resource text, events integer)
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1000 AS 'MODULE_PATHNAME', 'act_rolled_counts';
COMMENT ON FUNCTION _activity.rolled_counts(integer, integer[], integer, integer, integer[], text[]) IS
	'the events of an organization of quarter hours from since until before until, summed up from each of steps (quarter hours, ascending; {}: each quarter hour) until the next, by type, actor and resource where by has them, else null; errors: 22023 steps that do not ascend, or another by';

CREATE FUNCTION _activity.month_first(quarter integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN _activity.quarter_of(date_trunc('month', _activity.quarter_start(quarter), 'UTC'));
COMMENT ON FUNCTION _activity.month_first(integer) IS
	'the first quarter hour of the month (UTC)';

-- Puts rows of kind 0 into those of another kind, a month of them: what is in the
-- way is taken out, added up with theirs, and written anew. Of dropped quarters
-- nothing is taken over but what is new.
CREATE FUNCTION _activity.merge_rollup(key integer, kind integer, since integer, until integer, added tid[],
	dropped integer[] DEFAULT '{}') RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_merge_rollup';
COMMENT ON FUNCTION _activity.merge_rollup(integer, integer, integer, integer, tid[], integer[]) IS
	'adds rows of kind 0 to a month of another kind, without what that has of some quarter hours; how many rows it wrote';

CREATE FUNCTION _activity.merge_rollups(key integer, added tid[]) RETURNS integer[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_merge_rollups';
COMMENT ON FUNCTION _activity.merge_rollups(integer, tid[]) IS
	'adds rows of kind 0 to kinds 1 to 5, and takes out those of kind 6 that don''t have them; the months that changed';

CREATE FUNCTION _activity.summarize_days(key integer, most bigint) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_summarize_days';
COMMENT ON FUNCTION _activity.summarize_days(integer, bigint) IS
	'counts days of an organization that are over for its summary(), until about so many events are read; how many were';

CREATE FUNCTION _activity.compact_rollups(key integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	added tid[];
	months integer[];
	done  bigint;
BEGIN
	-- Nobody else takes these away: the caller has the lock of upkeep.
	SELECT array_agg(r.ctid), sum(r.cells) INTO added, done FROM (
		SELECT r.ctid, r.cells FROM _activity.rollup r
		WHERE r.kind = 0 AND r.organization = key ORDER BY r.first LIMIT 2000) r;
	IF added IS NULL THEN
		RETURN 0;
	END IF;
	months := _activity.merge_rollups(key, added);
	PERFORM _activity.seal_months(key, ARRAY(SELECT s.month FROM _activity.rollup_seal s
		WHERE s.organization = key AND s.month = ANY (months)));
	DELETE FROM _activity.rollup r WHERE r.ctid = ANY (added);
	RETURN done;
END
$$;
COMMENT ON FUNCTION _activity.compact_rollups(integer) IS
	'puts the rows of kind 0 of an organization into the others; how many cells they had';

-- What fails for one organization is set aside, and tried again after 5 s, 10 s, 20 s,
-- at most an hour; the others go on.
CREATE FUNCTION _activity.keep_rollups(key integer, work text, call text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	aside  record;
	done   bigint;
	reason text;
	state  text;
BEGIN
	SELECT a.attempts, a.next_attempt INTO aside FROM _activity.set_aside a
	WHERE a.step = 'compact' AND a.organization = key AND a.item = work;
	IF aside.next_attempt > clock_timestamp() THEN
		RETURN 0;
	END IF;
	BEGIN
		EXECUTE call INTO done USING key;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
	END;
	IF reason IS NOT NULL THEN
		INSERT INTO _activity.set_aside AS a (step, organization, item, position, reason, sqlstate, since, attempts, next_attempt)
		VALUES ('compact', key, work, 0, reason, state, clock_timestamp(), 1, clock_timestamp() + interval '5 seconds')
		ON CONFLICT ON CONSTRAINT set_aside_pkey DO UPDATE
		SET reason = excluded.reason, sqlstate = excluded.sqlstate, attempts = a.attempts + 1,
			next_attempt = clock_timestamp() + least(interval '1 hour', interval '5 seconds' * 2 ^ least(a.attempts, 10));
		IF aside.attempts IS NULL THEN
			RAISE LOG 'the rollups (%) of organization % are set aside: %', work, key, reason;
		END IF;
	ELSIF aside.attempts IS NOT NULL THEN
		DELETE FROM _activity.set_aside a WHERE a.step = 'compact' AND a.organization = key AND a.item = work;
	END IF;
	RETURN coalesce(done, 0);
END
$$;
COMMENT ON FUNCTION _activity.keep_rollups(integer, text, text) IS
	'does something to the rollups of an organization ($1 of the call), or sets it aside: rollups, days, repair, refold or seal';

CREATE FUNCTION _activity.rollup_is_held(key integer) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_rollup_is_held';
COMMENT ON FUNCTION _activity.rollup_is_held(integer) IS
	'may a snapshot still see an organization''s rollups as they were before they were put together last';

-- At most about so many cells a call; those with the most rows first, since they are
-- what readers wait for. As long as somebody keeps a snapshot, what a compaction replaces
-- stays, so then it waits until there is a quarter more: all that stays is a few times
-- what there is, however long the snapshot.
CREATE FUNCTION _activity.maintain_rollups(most bigint, rows integer DEFAULT 32) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	waiting record;
	done bigint := 0;
BEGIN
	-- What is set aside may not be waiting any more.
	FOR waiting IN SELECT a.organization, a.item FROM _activity.set_aside a WHERE a.step = 'compact' AND a.next_attempt <= clock_timestamp() LOOP
		done := done + _activity.keep_rollups(waiting.organization, waiting.item, CASE waiting.item
			WHEN 'rollups' THEN 'SELECT _activity.compact_rollups($1)' WHEN 'days' THEN 'SELECT _activity.summarize_days($1, 100000)'
			WHEN 'repair' THEN 'SELECT _activity.repair_rollups($1)' WHEN 'seal' THEN 'SELECT _activity.seal_organization($1)'
			ELSE 'SELECT _activity.refold_some(NULL, 100, $1)' END);
	END LOOP;
	FOR waiting IN SELECT DISTINCT r.organization FROM _activity.rollup_repair r LOOP
		done := done + _activity.keep_rollups(waiting.organization, 'repair', 'SELECT _activity.repair_rollups($1)');
	END LOOP;
	FOR waiting IN
		SELECT r.organization, sum(r.cells) AS cells, min(r.first) AS first FROM _activity.rollup r WHERE r.kind = 0
		GROUP BY r.organization HAVING count(*) >= maintain_rollups.rows OR sum(r.cells) >= 10000
		ORDER BY count(*) DESC, r.organization
	LOOP
		EXIT WHEN done >= most;
		CONTINUE WHEN maintain_rollups.rows > 1 AND _activity.rollup_is_held(waiting.organization) AND 4 * waiting.cells < (
			SELECT coalesce(sum(r.cells), 0) FROM _activity.rollup r
			WHERE r.kind = 1 AND r.organization = waiting.organization AND r.first >= _activity.month_first(waiting.first));
		done := done + _activity.keep_rollups(waiting.organization, 'rollups', 'SELECT _activity.compact_rollups($1)');
		done := done + _activity.keep_rollups(waiting.organization, 'days',
			format('SELECT _activity.summarize_days($1, %s)', greatest(most - done, 0)));
	END LOOP;
	FOR waiting IN SELECT DISTINCT t.organization FROM _activity.refold_todo t LIMIT 100 LOOP
		PERFORM _activity.keep_rollups(waiting.organization, 'refold', 'SELECT _activity.refold_some(NULL, 100, $1)');
	END LOOP;
	RETURN done;
END
$$;
COMMENT ON FUNCTION _activity.maintain_rollups(bigint, integer) IS
	'compacts the rollups of organizations that have so many rows as published (1: whoever keeps a snapshot), and counts days for summary(); how many cells and events it went through';
