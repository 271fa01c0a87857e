-- The feed: what happened, newest first, filtered and page by page.

CREATE TYPE activity.entry AS (
	id           uuid,
	occurred_at  timestamptz,
	event_type   activity.event_type,
	actor_kind   text,
	actor_id     text,
	actor_name   text,
	subject_kind text,
	subject_id   text,
	subject      jsonb,
	metadata     jsonb,
	description  text,
	context      jsonb,
	on_behalf_of jsonb,        -- {"kind", "id", "name"}: whom the actor acted for
	recorded_at  timestamptz   -- later than occurred_at for imports
);
COMMENT ON TYPE activity.entry IS
	'one event as people read it';

CREATE FUNCTION activity.event_object(event activity.entry) RETURNS text
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_event_object';
COMMENT ON FUNCTION activity.event_object(activity.entry) IS
	'an event as it leaves the database (HTTP, stream, webhooks): JSON in camelCase, times RFC 3339 in UTC; errors: 22004 and 22023 for what is no event';

CREATE FUNCTION activity.feed(
	organization text,
	event_types  text[]      DEFAULT NULL,
	actor        text        DEFAULT NULL,
	subject      text        DEFAULT NULL,
	since        timestamptz DEFAULT NULL,
	until        timestamptz DEFAULT NULL,
	search       text        DEFAULT NULL,
	before       uuid        DEFAULT NULL,
	after        uuid        DEFAULT NULL,
	page_size    integer     DEFAULT 50,
	viewer       text        DEFAULT NULL,
	on_behalf_of text        DEFAULT NULL
) RETURNS SETOF activity.entry
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50
AS 'MODULE_PATHNAME', 'act_feed';
COMMENT ON FUNCTION activity.feed(text, text[], text, text, timestamptz, timestamptz, text, uuid, uuid, integer, text, text) IS
	'a page of an organization''s events, newest first; before and after are ids of events shown; on_behalf_of is an id; errors: 42501 tier, AC008 viewer is no member, AC001 unknown event type, AC013 not an event id, 22023 page_size, 22004 null';

CREATE FUNCTION activity.feed_page(
	organization text,
	event_types  text[]      DEFAULT NULL,
	actor        text        DEFAULT NULL,
	subject      text        DEFAULT NULL,
	since        timestamptz DEFAULT NULL,
	until        timestamptz DEFAULT NULL,
	search       text        DEFAULT NULL,
	before       uuid        DEFAULT NULL,
	after        uuid        DEFAULT NULL,
	page_size    integer     DEFAULT 50,
	viewer       text        DEFAULT NULL,
	on_behalf_of text        DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'act_feed_page';
COMMENT ON FUNCTION activity.feed_page(text, text[], text, text, timestamptz, timestamptz, text, uuid, uuid, integer, text, text) IS
	'the same page as JSON: items, next_cursor (pass it as before), prev_cursor (pass it as after), has_more; a search stops after 20,000 events read; errors: as of feed';

CREATE FUNCTION activity.feed_count(
	organization text,
	event_types  text[]      DEFAULT NULL,
	actor        text        DEFAULT NULL,
	subject      text        DEFAULT NULL,
	since        timestamptz DEFAULT NULL,
	until        timestamptz DEFAULT NULL,
	search       text        DEFAULT NULL,
	viewer       text        DEFAULT NULL,
	on_behalf_of text        DEFAULT NULL
) RETURNS bigint
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'act_feed_count';
COMMENT ON FUNCTION activity.feed_count(text, text[], text, text, timestamptz, timestamptz, text, text, text) IS
	'how many events a filter takes, exactly; errors: as of feed';

CREATE FUNCTION activity.summary(
	organization text,
	since        timestamptz DEFAULT (now() - '7 days'::interval),
	until        timestamptz DEFAULT NULL
) RETURNS TABLE (
	dimension text,        -- family, event_type, actor or on_behalf_of
	kind      text,        -- of the actor
	key       text,        -- the family, the event type's key, the actor's id
	name      text,        -- the event type's meaning, the actor's latest name
	events    bigint,
	latest    timestamptz
)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'act_summary';
COMMENT ON FUNCTION activity.summary(text, timestamptz, timestamptz) IS
	'what an organization did, the last seven days unless told otherwise: counts by family, by event type, by actor and by whom they acted for, the most frequent first; errors: 42501 tier, 22004 null';

-- So that SQL of our own can show the code that a row holds. Other SQL has no
-- use for it: a code is no part of the interface.
CREATE CAST (integer AS activity.event_type) WITHOUT FUNCTION;
COMMENT ON CAST (integer AS activity.event_type) IS
	'a stored code of the taxonomy as the type; for the views of the extension';

-- Everything, for psql and administrators. An organization may have several
-- rows with the same key and id; the first counts. Written as joins, so that a
-- condition on organization finds its key, and one on occurred_at its months;
-- a barrier, so that a condition with side effects sees no more than it may.
CREATE VIEW activity.events WITH (security_barrier) AS
SELECT o.id AS organization,
	   e.id,
	   e.occurred_at,
	   e.type::activity.event_type AS event_type,
	   e.actor_kind,
	   e.actor_id,
	   e.actor_name,
	   CASE WHEN jsonb_typeof(e.subject->'kind') = 'string'
			THEN e.subject->>'kind' END AS subject_kind,
	   CASE WHEN jsonb_typeof(e.subject->'id') IN ('string', 'number')
			THEN e.subject->>'id' END AS subject_id,
	   e.subject,
	   e.metadata,
	   e.description,
	   e.context,
	   e.on_behalf_of,
	   coalesce(e.recorded_at, e.occurred_at) AS recorded_at
FROM _activity.organization o
	 JOIN _activity.event e ON e.organization = o.key
WHERE NOT EXISTS (SELECT FROM _activity.organization earlier
				  WHERE earlier.key = o.key AND earlier.ctid < o.ctid);
COMMENT ON VIEW activity.events IS
	'every event of every organization; fast with a condition on organization, and on occurred_at for the months that matter';
