-- Consumers: named readers of the stream, of which the database knows where they are.
--
--   consumer 1 --- n consumer_mark    one for each organization that it reads
--            1 --- n consumer_lease   batches that were given and not acknowledged
--            1 --- n consumer_parked  events that were set aside
--
-- Nothing here is written by recording or publishing. A mark is updated by each poll and
-- each acknowledgement, without a change of its indexes' columns.

CREATE SEQUENCE _activity.consumer_number AS integer;
CREATE TABLE _activity.consumer (
	number       integer     PRIMARY KEY
	                         DEFAULT pg_catalog.nextval('_activity.consumer_number'),
	name         text        NOT NULL UNIQUE COLLATE "C",
	organization text        COLLATE "C", -- null: all of them
	event_types  text[],                  -- null: all of them
	created_at   timestamptz NOT NULL
);

-- Up to position, as it was published in that epoch, everything is acknowledged. An
-- organization without a mark came after the consumer and is read from its beginning.
CREATE TABLE _activity.consumer_mark (
	consumer       integer NOT NULL,
	organization   integer NOT NULL,
	epoch          integer NOT NULL,
	position       bigint  NOT NULL,
	lease          uuid,              -- the newest, over or not
	leased_until   timestamptz,
	lease_epoch    integer,           -- where the mark will be when it is acknowledged
	lease_position bigint,
	given_position bigint,            -- the last event of the lease: what follows it was looked at
	polled_at      timestamptz,
	PRIMARY KEY (consumer, organization)
) WITH (fillfactor = 70);

CREATE TABLE _activity.consumer_lease (
	lease         uuid        PRIMARY KEY,
	consumer      integer     NOT NULL,
	leased_until  timestamptz NOT NULL,
	organizations integer[]   NOT NULL -- in the order of the batch
);

CREATE TABLE _activity.consumer_parked (
	consumer     integer     NOT NULL,
	organization integer     NOT NULL,
	position     bigint      NOT NULL,
	cursor       text        NOT NULL,
	event        uuid,
	error        text,
	parked_at    timestamptz NOT NULL,
	due          boolean     NOT NULL, -- unparked: to be given again
	lease        uuid,                 -- with which it was
	PRIMARY KEY (consumer, organization, position)
);

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['consumer', 'consumer_number', 'consumer_mark', 'consumer_lease', 'consumer_parked'] LOOP
		PERFORM pg_catalog.pg_extension_config_dump('_activity.' || name, '');
	END LOOP;
END
$$;

CREATE FUNCTION _activity.stream_ends(organization integer)
RETURNS TABLE (first_epoch integer, first_position bigint, last_epoch integer, last_position bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT ROWS 1
AS 'MODULE_PATHNAME', 'act_stream_ends';
COMMENT ON FUNCTION _activity.stream_ends(integer) IS
	'the marks of who has handled nothing that is kept, and of who has handled everything';

CREATE FUNCTION _activity.parse_cursor(cursor text, OUT epoch integer, OUT "position" bigint)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE STRICT ROWS 1
AS 'MODULE_PATHNAME', 'act_parse_cursor';
COMMENT ON FUNCTION _activity.parse_cursor(text) IS 'what a cursor says; throws AC013';

CREATE FUNCTION _activity.check_cursor(organization integer, cursor text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT
AS 'MODULE_PATHNAME', 'act_check_cursor';
COMMENT ON FUNCTION _activity.check_cursor(integer, text) IS
	'throws AC010 to AC013 where replay() would';

CREATE FUNCTION _activity.consumer_lags()
RETURNS TABLE (consumer integer, organization integer, events bigint, next_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'act_consumer_lags';
COMMENT ON FUNCTION _activity.consumer_lags() IS
	'a row for each consumer and organization in which it is behind: by how many positions, and the time of the next event';

CREATE FUNCTION _activity.find_consumer(name text) RETURNS _activity.consumer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_one _activity.consumer;
BEGIN
	PERFORM _activity.check_tables('consumer', 'consumer_mark', 'consumer_lease', 'consumer_parked', 'organization');
	SELECT c.* INTO found_one FROM _activity.consumer c WHERE c.name = find_consumer.name;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'consumer "%" does not exist', name
			USING ERRCODE = 'undefined_object',
				  HINT = 'See activity.consumers, or call activity.create_consumer().';
	END IF;
	RETURN found_one;
END
$$;
COMMENT ON FUNCTION _activity.find_consumer(text) IS 'a consumer''s row; throws 42704';

-- Whatever was leased there is not any more: its acknowledgement moves nothing.
CREATE FUNCTION _activity.set_mark(consumer integer, organization integer, start text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ends record;
	mark record;
BEGIN
	IF start IN ('now', 'earliest') THEN
		SELECT * INTO ends FROM _activity.stream_ends(set_mark.organization);
		SELECT CASE start WHEN 'now' THEN ends.last_epoch ELSE ends.first_epoch END AS epoch,
			CASE start WHEN 'now' THEN ends.last_position ELSE ends.first_position END AS "position" INTO mark;
	ELSE
		SELECT * INTO mark FROM _activity.parse_cursor(start);
		PERFORM _activity.check_cursor(set_mark.organization, start);
	END IF;
	INSERT INTO _activity.consumer_mark AS m (consumer, organization, epoch, position)
	VALUES (set_mark.consumer, set_mark.organization, mark.epoch, mark."position")
	ON CONFLICT ON CONSTRAINT consumer_mark_pkey DO UPDATE
	SET epoch = excluded.epoch, position = excluded.position, lease = NULL, leased_until = NULL;
END
$$;
COMMENT ON FUNCTION _activity.set_mark(integer, integer, text) IS
	'moves a consumer in one organization to now, earliest, or a cursor';

CREATE FUNCTION _activity.set_marks(consumer _activity.consumer, start text, organization text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	chosen text := coalesce(consumer.organization, set_marks.organization);
	known  integer;
BEGIN
	IF start IS NULL THEN
		RAISE EXCEPTION 'a cursor, or now or earliest, is needed'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF chosen IS DISTINCT FROM set_marks.organization AND set_marks.organization IS NOT NULL THEN
		RAISE EXCEPTION 'consumer "%" does not read organization "%"', consumer.name, set_marks.organization
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF chosen IS NULL AND start NOT IN ('now', 'earliest') THEN
		PERFORM _activity.parse_cursor(start);
		RAISE EXCEPTION 'a cursor is of one organization, and consumer "%" reads all', consumer.name
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Call activity.seek(name, cursor, organization), or pass now or earliest.';
	END IF;
	IF chosen IS NOT NULL AND NOT EXISTS (SELECT FROM _activity.organization o WHERE o.id = chosen)
		AND start NOT IN ('now', 'earliest') THEN
		SELECT p."position" INTO known FROM _activity.parse_cursor(start) p;
		IF known > 0 THEN
			RAISE EXCEPTION 'organization "%" has no event, so no cursor', chosen
				USING ERRCODE = 'AC012';
		END IF;
	END IF;
	FOR known IN
		SELECT DISTINCT o.key FROM _activity.organization o
		WHERE chosen IS NULL OR o.id = chosen ORDER BY 1
	LOOP
		PERFORM _activity.set_mark(consumer.number, known, start);
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.set_marks(_activity.consumer, text, text) IS
	'the same in the organization, or in all';

CREATE FUNCTION activity.create_consumer(name text, organization text DEFAULT NULL,
	event_types text[] DEFAULT NULL, start text DEFAULT 'now') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	made _activity.consumer;
BEGIN
	PERFORM _activity.check_tables('consumer', 'consumer_mark', 'organization');
	IF coalesce(create_consumer.name, '') = '' OR octet_length(create_consumer.name) > 255 THEN
		RAISE EXCEPTION 'a consumer needs a name of at most 255 bytes'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF create_consumer.organization = '' THEN
		RAISE EXCEPTION 'organization must not be empty'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass null for all organizations.';
	END IF;
	PERFORM FROM activity.serve_filter(create_consumer.event_types); -- throws for unknown ones
	INSERT INTO _activity.consumer (name, organization, event_types, created_at)
	VALUES (create_consumer.name, create_consumer.organization, create_consumer.event_types, clock_timestamp())
	ON CONFLICT DO NOTHING
	RETURNING * INTO made;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'consumer "%" exists', create_consumer.name
			USING ERRCODE = 'duplicate_object',
				  HINT = 'Move it with activity.seek(), or drop it with activity.drop_consumer().';
	END IF;
	PERFORM _activity.set_marks(made, create_consumer.start, NULL);
END
$$;
COMMENT ON FUNCTION activity.create_consumer(text, text, text[], text) IS
	'a named reader of the stream of one organization, or with null of all; start is now, earliest or (for one organization) a cursor; errors: 42710 it exists, AC001 unknown type, AC010 to AC013 as replay()';

CREATE FUNCTION activity.drop_consumer(name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone integer := (_activity.find_consumer(name)).number;
BEGIN
	DELETE FROM _activity.consumer c WHERE c.number = gone;
	DELETE FROM _activity.consumer_lease l WHERE l.consumer = gone;
	DELETE FROM _activity.consumer_parked p WHERE p.consumer = gone;
	DELETE FROM _activity.consumer_mark m WHERE m.consumer = gone;
END
$$;
COMMENT ON FUNCTION activity.drop_consumer(text) IS
	'forgets a consumer, where it was and what it had parked; errors: 42704';

CREATE FUNCTION activity.poll(name text, max_events integer DEFAULT 500, lease interval DEFAULT '1 minute')
RETURNS TABLE (lease uuid, organization text, "position" bigint, cursor text,
	id uuid, occurred_at timestamptz,
	event_type activity.event_type, actor_kind text, actor_id text, actor_name text,
	subject_kind text, subject_id text, subject jsonb, metadata jsonb,
	description text, context jsonb, on_behalf_of jsonb, recorded_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 500
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'act_poll';
COMMENT ON FUNCTION activity.poll(text, integer, interval) IS
	'what comes next for a consumer: events of one lease, those of an organization in their order; until the lease is acknowledged or over nobody else gets them or what follows them; no rows: nothing is waiting that nobody has; errors: 42704, AC010 retention has passed the consumer, AC011 lost history';

-- The lease, locked; throws AC040.
CREATE FUNCTION _activity.lock_lease(consumer _activity.consumer, lease uuid) RETURNS _activity.consumer_lease
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	held _activity.consumer_lease;
BEGIN
	SELECT l.* INTO held FROM _activity.consumer_lease l
	WHERE l.lease = lock_lease.lease AND l.consumer = lock_lease.consumer.number FOR UPDATE;
	IF NOT FOUND OR held.leased_until <= clock_timestamp() THEN
		PERFORM _activity.refuse_lease(consumer.name, lease);
	END IF;
	RETURN held;
END
$$;
COMMENT ON FUNCTION _activity.lock_lease(_activity.consumer, uuid) IS 'the lease, locked; throws AC040';

CREATE FUNCTION _activity.refuse_lease(name text, lease uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'lease "%" of consumer "%" is over', lease, name USING ERRCODE = 'AC040',
		DETAIL = 'It was acknowledged, its time has ended, or the consumer was moved.',
		HINT = 'Undo what was done with its events, or expect them again, and poll anew.';
END
$$;
COMMENT ON FUNCTION _activity.refuse_lease(text, uuid) IS 'throws AC040';

-- The one organization of the lease in which the cursor is.
CREATE FUNCTION _activity.find_leased(held _activity.consumer_lease, "position" bigint, epoch integer, organization text)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fitting integer[];
BEGIN
	SELECT array_agg(m.organization) INTO fitting
	FROM _activity.consumer_mark m
	WHERE m.consumer = held.consumer AND m.organization = ANY (held.organizations) AND m.lease = held.lease
	  AND (find_leased.organization IS NULL OR EXISTS (
		SELECT FROM _activity.organization o WHERE o.key = m.organization AND o.id = find_leased.organization))
	  AND (find_leased."position" = m.position AND find_leased.epoch = m.epoch
		OR find_leased."position" = m.lease_position AND find_leased.epoch = m.lease_epoch
		-- Epochs have no order: which one a position is of, the stream knows.
		OR find_leased."position" > m.position AND find_leased."position" < m.lease_position
			AND EXISTS (SELECT FROM _activity.stream s JOIN _activity.segment g ON g.number = s.segment
				WHERE s.organization = m.organization AND s.position = find_leased."position"
				  AND g.epoch = find_leased.epoch)
		OR EXISTS (SELECT FROM _activity.consumer_parked p
			WHERE p.consumer = held.consumer AND p.organization = m.organization
			  AND p.position = find_leased."position" AND p.lease = held.lease
			  AND split_part(p.cursor, '.', 1)::integer = find_leased.epoch));
	IF fitting IS NULL THEN
		RAISE EXCEPTION 'the cursor is of no event of this lease'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF cardinality(fitting) > 1 THEN
		RAISE EXCEPTION 'the lease has this cursor in % organizations', cardinality(fitting)
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass the organization as the last argument.';
	END IF;
	RETURN fitting[1];
END
$$;
COMMENT ON FUNCTION _activity.find_leased(_activity.consumer_lease, bigint, integer, text) IS
	'the organization of a lease in which a cursor is; throws 22023 if there are none or several';

-- All of them or none: an organization that another poller got when its time was over, just
-- now, or that seek() moved, would else be lost to who believes it acknowledged. The
-- update waits for such a poller, and then no longer finds the lease.
CREATE FUNCTION _activity.release(consumer _activity.consumer, held _activity.consumer_lease, organizations integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	moved bigint;
	rest  integer[];
BEGIN
	UPDATE _activity.consumer_mark m
	SET epoch = m.lease_epoch, position = m.lease_position, lease = NULL, leased_until = NULL
	WHERE m.consumer = held.consumer AND m.organization = ANY (release.organizations) AND m.lease = held.lease;
	GET DIAGNOSTICS moved = ROW_COUNT;
	IF moved <> cardinality(release.organizations) THEN
		PERFORM _activity.refuse_lease(release.consumer.name, held.lease);
	END IF;
	DELETE FROM _activity.consumer_parked p
	WHERE p.consumer = held.consumer AND p.organization = ANY (release.organizations) AND p.lease = held.lease AND p.due;
	rest := ARRAY(SELECT o FROM unnest(held.organizations) WITH ORDINALITY u (o, n)
		WHERE o <> ALL (release.organizations) ORDER BY n);
	IF rest = '{}' THEN
		DELETE FROM _activity.consumer_lease l WHERE l.lease = held.lease;
	ELSE
		UPDATE _activity.consumer_lease l SET organizations = rest WHERE l.lease = held.lease;
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.release(_activity.consumer, _activity.consumer_lease, integer[]) IS
	'acknowledges all of a lease in some of its organizations; throws AC040 unless it still has each of them';

CREATE FUNCTION activity.ack(name text, lease uuid, cursor text DEFAULT NULL, organization text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reader   _activity.consumer := _activity.find_consumer(name);
	held     _activity.consumer_lease := _activity.lock_lease(reader, ack.lease);
	at       record;
	within   integer;
	done     integer[];
BEGIN
	IF ack.cursor IS NULL THEN
		PERFORM _activity.release(reader, held, held.organizations);
		RETURN;
	END IF;
	SELECT * INTO at FROM _activity.parse_cursor(ack.cursor);
	within := _activity.find_leased(held, at."position", at.epoch, ack.organization);
	-- What the batch has before this organization is acknowledged, too.
	done := held.organizations[1 : array_position(held.organizations, within) - 1];
	DELETE FROM _activity.consumer_parked p
	WHERE p.consumer = held.consumer AND p.organization = within AND p.lease = held.lease
	  AND p.due AND p.position <= at."position";
	IF FOUND THEN -- a batch of what was parked, whose mark stays where it is
		IF NOT EXISTS (SELECT FROM _activity.consumer_parked p
			WHERE p.consumer = held.consumer AND p.organization = within AND p.lease = held.lease AND p.due)
		THEN
			done := done || within;
		END IF;
	ELSE
		UPDATE _activity.consumer_mark m SET epoch = at.epoch, position = at."position"
		WHERE m.consumer = held.consumer AND m.organization = within AND m.lease = held.lease
		  AND m.given_position > at."position";
		IF NOT FOUND THEN
			done := done || within;
		END IF;
	END IF;
	IF done <> '{}' THEN
		PERFORM _activity.release(reader, held, done);
	END IF;
END
$$;
COMMENT ON FUNCTION activity.ack(text, uuid, text, text) IS
	'the events of a lease are handled: up to a cursor (in the order of the batch; with the organization, where several have it), null: all of them; errors: AC040 the lease is over, 22023 no cursor of it, 42704, AC013';

CREATE FUNCTION activity.park(name text, lease uuid, cursor text, error text, organization text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reader   _activity.consumer := _activity.find_consumer(name);
	held     _activity.consumer_lease := _activity.lock_lease(reader, park.lease);
	at       record;
	within   integer;
BEGIN
	IF park.cursor IS NULL THEN
		RAISE EXCEPTION 'the cursor of the event is needed' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT * INTO at FROM _activity.parse_cursor(park.cursor);
	within := _activity.find_leased(held, at."position", at.epoch, park.organization);
	PERFORM FROM _activity.consumer_mark m
	WHERE m.consumer = reader.number AND m.organization = within AND m.lease = held.lease FOR UPDATE;
	IF NOT FOUND THEN -- another poller has got it just now
		PERFORM _activity.refuse_lease(name, park.lease);
	END IF;
	INSERT INTO _activity.consumer_parked AS p
		(consumer, organization, position, cursor, event, error, parked_at, due)
	VALUES (reader.number, within, at."position", park.cursor,
		(SELECT s.id FROM _activity.stream s WHERE s.organization = within AND s.position = at."position"),
		park.error, clock_timestamp(), false)
	ON CONFLICT ON CONSTRAINT consumer_parked_pkey DO UPDATE
	SET error = excluded.error, parked_at = excluded.parked_at, due = false, lease = NULL;
END
$$;
COMMENT ON FUNCTION activity.park(text, uuid, text, text, text) IS
	'sets one event of a lease aside with the error that it made, so that it is not given again until it is unparked; the others are acknowledged as ever; errors: AC040, 22023, 42704, AC013';

CREATE FUNCTION activity.unpark(name text, cursor text DEFAULT NULL, organization text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reader _activity.consumer := _activity.find_consumer(name);
	tried  bigint;
BEGIN
	UPDATE _activity.consumer_parked p SET due = true, lease = NULL
	WHERE p.consumer = reader.number AND NOT p.due
	  AND (unpark.cursor IS NULL OR p.cursor = unpark.cursor)
	  AND (unpark.organization IS NULL OR EXISTS (
		SELECT FROM _activity.organization o WHERE o.key = p.organization AND o.id = unpark.organization));
	GET DIAGNOSTICS tried = ROW_COUNT;
	RETURN tried;
END
$$;
COMMENT ON FUNCTION activity.unpark(text, text, text) IS
	'has parked events given again: the one of a cursor, or with null all; returns how many; errors: 42704';

CREATE FUNCTION activity.seek(name text, cursor text, organization text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.set_marks(_activity.find_consumer(name), seek.cursor, seek.organization);
END
$$;
COMMENT ON FUNCTION activity.seek(text, text, text) IS
	'moves a consumer: what it does next is what follows the cursor, which is now, earliest, or a cursor of one organization; what is leased meanwhile can''t be acknowledged any more; errors: 42704, 22023, AC010 to AC013';

CREATE VIEW activity.consumers WITH (security_barrier) AS
SELECT c.name COLLATE "default" AS name, c.organization COLLATE "default" AS organization, c.event_types,
	CASE WHEN c.organization IS NOT NULL THEN coalesce(marks.cursor, '0.0') END AS cursor,
	coalesce(lags.events, 0)::bigint AS lag_events,
	CASE WHEN lags.next_at IS NULL THEN interval '0'
		ELSE greatest(clock_timestamp() - lags.next_at, interval '0') END AS lag,
	marks.leased_until, marks.last_poll,
	(SELECT count(*) FROM _activity.consumer_parked p WHERE p.consumer = c.number AND NOT p.due) AS parked,
	c.created_at
FROM _activity.consumer c
LEFT JOIN LATERAL (
	SELECT max(m.leased_until) FILTER (WHERE m.leased_until > clock_timestamp()) AS leased_until,
		max(m.polled_at) AS last_poll, max(m.epoch || '.' || m.position) AS cursor
	FROM _activity.consumer_mark m WHERE m.consumer = c.number) marks ON true
LEFT JOIN (
	SELECT l.consumer, sum(l.events) AS events, min(l.next_at) AS next_at
	FROM _activity.consumer_lags() l GROUP BY l.consumer) lags ON lags.consumer = c.number;
COMMENT ON VIEW activity.consumers IS
	'the consumers: what they read, where they are (cursor; null for one of all organizations), how many positions and how long they are behind, until when the latest lease runs, when they last got something, how many events they have parked';

CREATE VIEW activity.parked WITH (security_barrier) AS
SELECT c.name COLLATE "default" AS name,
	(SELECT o.id FROM _activity.organization o WHERE o.key = p.organization LIMIT 1) COLLATE "default" AS organization,
	p.position, p.cursor, p.event AS id, p.error, p.parked_at
FROM _activity.consumer_parked p
JOIN _activity.consumer c ON c.number = p.consumer
WHERE NOT p.due;
COMMENT ON VIEW activity.parked IS
	'events that consumers have set aside, with the error that they made';

-- What retention takes within a tenth of its time, or within a day, is about to go.
CREATE VIEW _activity.consumer_threat WITH (security_barrier) AS
SELECT c.name, r.organization, l.events, l.next_at + r.keep AS lost_at
FROM _activity.consumer_lags() l
JOIN _activity.consumer c ON c.number = l.consumer
JOIN _activity.retention_of r ON r.key = l.organization
WHERE l.next_at < clock_timestamp() - r.keep + greatest(r.keep / 10, interval '1 day');
COMMENT ON VIEW _activity.consumer_threat IS
	'consumers whose next event retention removes soon, or has removed, and when';
