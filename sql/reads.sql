-- Reads of the feed, where activity.record_reads asks for them.

-- One row for each transaction, reader and organization; folded away by upkeep.
CREATE TABLE _activity.read_note (
	organization integer     NOT NULL,
	reader       text        NOT NULL, -- a member, or a database role
	is_member    boolean     NOT NULL,
	read_at      timestamptz NOT NULL,
	reads        bigint      NOT NULL,
	filters      text        NOT NULL  -- names of those that were set
);
SELECT pg_catalog.pg_extension_config_dump('_activity.read_note', '');

-- An organization whose reads can't be recorded keeps its notes, and the others go on.
CREATE FUNCTION _activity.fold_reads(until timestamptz DEFAULT date_trunc('hour', now(), 'UTC')) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	noted record;
	folded bigint := 0;
BEGIN
	FOR noted IN
		SELECT n.organization, n.reader, n.is_member, date_trunc('hour', n.read_at, 'UTC') AS hour,
			sum(n.reads)::bigint AS reads, min(n.read_at) AS first, max(n.read_at) AS last,
			array_agg(DISTINCT n.filters) FILTER (WHERE n.filters <> '') AS filters,
			(SELECT min(o.id) FROM _activity.organization o WHERE o.key = n.organization) AS id
		FROM _activity.read_note n WHERE n.read_at < until
		GROUP BY 1, 2, 3, 4 ORDER BY 4, 1, 2
	LOOP
		BEGIN
			PERFORM _activity.record_own(noted.id, 'access.viewed',
				jsonb_build_object('kind', CASE WHEN noted.is_member THEN 'member' ELSE 'database_role' END, 'id', noted.reader),
				jsonb_strip_nulls(jsonb_build_object('reader', noted.reader, 'reads', noted.reads, 'hour', noted.hour,
					'first_at', noted.first, 'last_at', noted.last, 'filters', to_jsonb(noted.filters))),
				activity.event_id(noted.last));
			DELETE FROM _activity.read_note n
			WHERE n.organization = noted.organization AND n.reader = noted.reader AND n.is_member = noted.is_member
			  AND n.read_at >= noted.hour AND n.read_at < noted.hour + interval '1 hour' AND n.read_at < until;
			folded := folded + 1;
		EXCEPTION WHEN data_exception OR program_limit_exceeded OR integrity_constraint_violation THEN
			RAISE WARNING 'the reads of organization "%" could not be recorded: %', noted.id, SQLERRM;
		END;
	END LOOP;
	RETURN folded;
END
$$;
COMMENT ON FUNCTION _activity.fold_reads(timestamptz) IS
	'records the reads of the hours that are over, an event for each reader, organization and hour; returns how many events';
