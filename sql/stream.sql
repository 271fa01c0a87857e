-- The stream: the published order of each organization's events.
--
--   segment 1 --- n stream            (stream.segment = segment.number)
--   event   1 --- 0..1 stream         (organization, id); none: not published yet
--   stream_anchor: where an organization's stream begins, once retention has
--                  dropped what was before
--   publication: what has been published, the newest row counts

-- One row for each life of this database in a cluster, written by the first
-- recorder there. A dump carries the rows of earlier lives, so that the
-- transaction ids of those (event.xid) can be told from the present ones.
CREATE TABLE _activity.incarnation (
	number            integer NOT NULL,
	system_identifier bigint  NOT NULL,
	database          bigint  NOT NULL,
	relation          bigint  NOT NULL  -- this table; another one after DROP and restore
);

-- A stretch of the stream that retention drops as a whole: one month of one
-- epoch. Rows stay when the stretch is dropped: they are the known epochs.
CREATE TABLE _activity.segment (
	number            integer     PRIMARY KEY,
	epoch             integer     NOT NULL, -- what cursors begin with
	started_at        timestamptz NOT NULL,
	system_identifier bigint      NOT NULL, -- who publishes: when any of
	timeline          bigint      NOT NULL, -- these changes, history may have
	database          bigint      NOT NULL, -- forked and an epoch begins
	relation          bigint      NOT NULL,
	format            integer     NOT NULL  -- of its digests (chain.c)
);

-- Bare, as event is and for the same reason; the partitions stream_<segment>
-- are made by the publisher, with UNIQUE (organization, position).
CREATE TABLE _activity.stream (
	position     bigint  NOT NULL,
	organization integer NOT NULL,
	segment      integer NOT NULL,
	id           uuid    NOT NULL, -- of the event
	hash         bytea   NOT NULL  -- of the chain up to here, 32 bytes
) PARTITION BY LIST (segment);

-- What is at and before position may be gone; hash is the chain's there.
CREATE TABLE _activity.stream_anchor (
	organization integer NOT NULL,
	position     bigint  NOT NULL,
	segment      integer NOT NULL,
	hash         bytea   NOT NULL,
	PRIMARY KEY (organization, position)
);

-- Events from before this are gone by right: verify() does not miss them.
CREATE TABLE _activity.expiry (
	organization integer     PRIMARY KEY,
	before       timestamptz NOT NULL
);

-- Append-only: a row that is updated thousands of times bloats under a long
-- snapshot. Published is what settled shows, and of what target shows besides,
-- that which is not after the mark in the order (xid, id).
CREATE TABLE _activity.publication (
	number       bigint      PRIMARY KEY,
	published_at timestamptz NOT NULL,
	segment      integer     NOT NULL,
	events       integer     NOT NULL, -- in this batch
	settled      pg_snapshot NOT NULL,
	target       pg_snapshot,          -- null: nothing is half done
	mark_xid     xid8,
	mark_id      uuid                  -- null: all of mark_xid is done
);

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['incarnation', 'segment', 'stream_anchor', 'expiry', 'publication'] LOOP
		PERFORM pg_catalog.pg_extension_config_dump('_activity.' || name, '');
	END LOOP;
	-- publication and expiry lose rows by what the extension does itself, without
	-- a statement of SQL or while the trigger is lifted.
	FOREACH name IN ARRAY ARRAY['incarnation', 'segment', 'stream', 'stream_anchor', 'expiry', 'publication'] LOOP
		EXECUTE pg_catalog.format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE'
			' ON _activity.%I FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change()', name);
		EXECUTE pg_catalog.format('ALTER TABLE _activity.%I ENABLE ALWAYS TRIGGER append_only', name);
	END LOOP;
END
$$;

CREATE FUNCTION activity.publish() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_publish';
COMMENT ON FUNCTION activity.publish() IS
	'gives committed events their positions, at most a batch at a time, and returns how many got one; 0 when there are none or somebody else is publishing; a statement of its own, or in a procedure that commits at once, because nobody else can publish until the transaction ends; errors: 25001 in a transaction block or a function, 25006 in a read-only transaction';

CREATE FUNCTION activity.replay(organization text, cursor text DEFAULT NULL,
	event_types text[] DEFAULT NULL, max_events integer DEFAULT 500,
	viewer text DEFAULT NULL)
RETURNS TABLE ("position" bigint, cursor text, id uuid, occurred_at timestamptz,
	event_type activity.event_type, actor_kind text, actor_id text, actor_name text,
	subject_kind text, subject_id text, subject jsonb, metadata jsonb,
	description text, context jsonb, on_behalf_of jsonb, recorded_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 500
AS 'MODULE_PATHNAME', 'act_replay';
COMMENT ON FUNCTION activity.replay(text, text, text[], integer, text) IS
	'the events after a cursor, oldest first, null: from the oldest kept; with event_types a last row without an event (id is null) moves the cursor past what did not match; where no worker publishes, a statement of its own of a role that may call publish() publishes first; errors: AC010 expired, AC011 lost history, AC012 future, AC013 no cursor, AC008 viewer, 42501 tier';

CREATE FUNCTION activity.stream_head(organization text)
RETURNS TABLE (cursor text, "position" bigint, earliest bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'act_stream_head';
COMMENT ON FUNCTION activity.stream_head(text) IS
	'the newest position of an organization with its cursor, and the oldest position kept; errors: 42501 tier';

CREATE FUNCTION activity.verify(organization text)
RETURNS TABLE ("position" bigint, problem text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_verify';
COMMENT ON FUNCTION activity.verify(text) IS
	'recomputes the hash chain of an organization; no rows: nothing was changed, removed, inserted or reordered since it was published';

CREATE FUNCTION _activity.verify_lines(organization text) RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_verify_lines';
COMMENT ON FUNCTION _activity.verify_lines(text) IS
	'verify() as lines of JSON, one by one if selected as a value: {"checking", "done", "of"} on the way, {"position", "problem"} for what it finds, and last {"valid", "position", "events", "hash", "verifiedAt"}';

CREATE FUNCTION activity.checkpoint(organization text, at_position bigint DEFAULT NULL)
RETURNS TABLE ("position" bigint, hash bytea, events bigint, taken_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'act_checkpoint';
COMMENT ON FUNCTION activity.checkpoint(text, bigint) IS
	'the chain of an organization at a position, null: the newest, to be kept outside the database: position, hash, number of events kept up to it, and now; errors: 22023 for a position that is not kept';
