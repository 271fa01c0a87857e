-- The data model.
--
--   organization 1 --- n event            (event.organization = organization.key)
--   organization 1 --- n organization_tier, the newest row counts
--   event_type_definition 1 --- n event   (event.type = code; built-in types
--                                          are compiled in and have no row)
--
-- Nothing here refers to anything by OID, so that dumps and pg_upgrade carry it.

-- The application's organizations, interned: what is stored per event is the
-- 4-byte key. id is deliberately not unique: two transactions that meet a new
-- organization at the same time each write a row of their own, both with the
-- same key (organization.c says how they agree), and neither waits.
CREATE TABLE _activity.organization (
	key integer NOT NULL,
	id  text    NOT NULL COLLATE "C"
);
CREATE INDEX organization_id_idx ON _activity.organization (id, key);
CREATE INDEX organization_key_idx ON _activity.organization (key);
CREATE SEQUENCE _activity.organization_key AS integer;

-- Append-only: the row with the highest number is the organization's tier.
CREATE TABLE _activity.organization_tier (
	organization integer       NOT NULL,
	number       bigint        NOT NULL,
	tier         activity.tier NOT NULL,
	set_at       timestamptz   NOT NULL,
	PRIMARY KEY (organization, number)
);
CREATE SEQUENCE _activity.organization_tier_number;

-- The least tier of a feature where an administrator changed it.
CREATE TABLE _activity.feature_override (
	feature text          PRIMARY KEY,
	tier    activity.tier NOT NULL
);

-- The events. A bare parent: no key, no index, so that a dump of it and of its
-- monthly partitions (which are no members of the extension) restores. Every
-- partition has the indexes that partition.c makes:
--   (organization, id)                the feed, cursors, idempotency; unique
--   (organization, type, id)          filter by event type
--   (actor_hash, organization, id)    filter by actor
--   (subject_hash, organization, id)  filter by subject
--   (on_behalf_of_hash, organization, id)  the same; only of events that have one
--   (xid)                             what was recorded since the last publishing
-- id is a UUIDv7 that holds occurred_at to the microsecond, so ordering by id is
-- ordering by time, and an id alone tells its partition.
CREATE TABLE _activity.event (
	id           uuid        NOT NULL,
	occurred_at  timestamptz NOT NULL,
	xid          xid8        NOT NULL, -- the recording transaction (incarnation.c)
	salt         uuid,                 -- 16 random bytes; gone after redaction
	recorded_at  timestamptz,          -- null: at occurred_at; else it was an import
	organization integer     NOT NULL,
	type         integer     NOT NULL, -- the taxonomy's code
	actor_hash   integer,              -- of actor_id; null: the system
	subject_hash integer,              -- of subject->>'id'; null: no id
	on_behalf_of_hash integer,         -- of on_behalf_of->>'id'; null: for nobody
	actor_kind   text        COLLATE "C",
	actor_id     text        COLLATE "C",
	actor_name   text        COLLATE "C",
	description  text        NOT NULL COLLATE "C",
	subject      jsonb       NOT NULL,
	metadata     jsonb,
	context      jsonb       NOT NULL,
	on_behalf_of jsonb,                -- {"kind", "id", "name"}
	commitment   bytea                 -- sha256(salt, personal part), once that was redacted
) PARTITION BY RANGE (occurred_at);

-- Takes what no monthly partition takes, so that a row never fails for want of
-- one; maintain() moves such rows into a month of their own.
CREATE TABLE _activity.event_default
	PARTITION OF _activity.event DEFAULT;
CREATE UNIQUE INDEX event_default_key
	ON _activity.event_default (organization, id);
CREATE INDEX event_default_type
	ON _activity.event_default (organization, type, id);
CREATE INDEX event_default_actor
	ON _activity.event_default (actor_hash, organization, id);
CREATE INDEX event_default_subject
	ON _activity.event_default (subject_hash, organization, id);
CREATE INDEX event_default_behalf
	ON _activity.event_default (on_behalf_of_hash, organization, id)
	WHERE on_behalf_of_hash IS NOT NULL;
CREATE INDEX event_default_xid
	ON _activity.event_default (xid);

SELECT pg_catalog.pg_extension_config_dump('_activity.organization', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.organization_key', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.organization_tier', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.organization_tier_number', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.feature_override', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.event_default', '');
