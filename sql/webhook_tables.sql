-- Webhooks: what is owed to whom, and what came of it.
--
--   webhook_endpoint 1 --- n webhook_secret     (endpoint = key)
--                    1 --- n webhook_delivery   (endpoint), one per event
--                    1 --- n webhook_state      the newest version counts
--                    1 --- n webhook_retry      deliveries that wait for a time
--                    1 --- n webhook_wake       "something new was delivered"
--   webhook_delivery 1 --- n webhook_attempt    (endpoint, position)
--
-- A delivery is known by its endpoint and the event's position in the stream.
-- Nothing of it is ever updated; where it stands follows from where it is:
--
--   in webhook_state.in_flight           being sent
--   in webhook_retry                     waiting for its time
--   position > state.fresh_position,
--     not requested                      waiting, never tried
--   has an attempt with a status of 2xx  delivered
--   none of these                        dead
--
-- so that claiming reads what it needs through indexes whose near end is always
-- alive. A queue whose rows are updated or deleted would leave its dead entries
-- where the next claim begins to read, for as long as anybody holds a snapshot.

CREATE SEQUENCE _activity.webhook_endpoint_key AS integer;
CREATE TABLE _activity.webhook_endpoint (
	key             integer     PRIMARY KEY
	                            DEFAULT pg_catalog.nextval('_activity.webhook_endpoint_key'),
	id              uuid        NOT NULL UNIQUE DEFAULT pg_catalog.gen_random_uuid(),
	organization    integer     NOT NULL,
	url             text        NOT NULL,
	event_types     text[],              -- null: every one but webhook.*
	description     text,
	created_at      timestamptz NOT NULL,
	disabled_at     timestamptz,
	disabled_reason text,
	deleted_at      timestamptz          -- kept for the log of what was sent
);
CREATE INDEX webhook_endpoint_organization
	ON _activity.webhook_endpoint (organization);

-- Nobody is granted anything on this table; claims are signed in C.
CREATE SEQUENCE _activity.webhook_secret_number;
CREATE TABLE _activity.webhook_secret (
	endpoint   integer     NOT NULL,
	number     bigint      NOT NULL
	                       DEFAULT pg_catalog.nextval('_activity.webhook_secret_number'),
	secret     text        NOT NULL,
	created_at timestamptz NOT NULL,
	expires_at timestamptz,              -- null: the present one
	PRIMARY KEY (endpoint, number)
);

-- Bare, as event is and for the same reason. Each partition has
-- UNIQUE (endpoint, position) as <partition>_key.
CREATE TABLE _activity.webhook_delivery (
	position   bigint      NOT NULL,     -- in the stream; below 0: a test
	created_at timestamptz NOT NULL,
	endpoint   integer     NOT NULL,
	type       integer     NOT NULL,     -- the taxonomy's code; 0: a test
	event      uuid        NOT NULL,
	requested  boolean     NOT NULL,     -- by a person, not by the publisher
	body       text                      -- of a test; else made from the event
) PARTITION BY RANGE (created_at);
CREATE TABLE _activity.webhook_delivery_default
	PARTITION OF _activity.webhook_delivery DEFAULT;
CREATE UNIQUE INDEX webhook_delivery_default_key
	ON _activity.webhook_delivery_default (endpoint, position);

-- What was reported, as it was reported. What it meant for the delivery and the
-- endpoint is settled under the endpoint's lock, maybe later and by another.
CREATE TABLE _activity.webhook_attempt (
	position      bigint      NOT NULL,
	reported_at   timestamptz NOT NULL,
	endpoint      integer     NOT NULL,
	attempt       integer     NOT NULL,
	claimed_at    timestamptz,           -- null: the lease was lost before; infinity:
	                                     -- and others settle that it was a success
	status_code   integer,               -- null: no answer; -1: our own failure
	probe         boolean     NOT NULL,
	retry_after   interval,
	duration      interval,
	error         text,
	response_body text                   -- the first 16 kB
) PARTITION BY RANGE (reported_at);
CREATE TABLE _activity.webhook_attempt_default
	PARTITION OF _activity.webhook_attempt DEFAULT;
CREATE UNIQUE INDEX webhook_attempt_default_key
	ON _activity.webhook_attempt_default (endpoint, position, attempt);

-- How an endpoint stands. A new version replaces the last one, by whoever holds
-- the endpoint's lock; the newest is found first, however many dead ones a
-- long snapshot keeps behind it.
CREATE SEQUENCE _activity.webhook_state_version;
CREATE TABLE _activity.webhook_state (
	endpoint       integer     NOT NULL,
	version        bigint      NOT NULL,
	fresh_position bigint      NOT NULL, -- new deliveries were taken up to here
	fresh_at       timestamptz NOT NULL, -- when that one was made
	retry_at       timestamptz NOT NULL, -- retries were taken up to here
	retry_number   bigint      NOT NULL,
	ready_at       timestamptz NOT NULL, -- when to look again; infinity: when woken
	failures       integer     NOT NULL, -- in a row
	probes         integer     NOT NULL, -- failed, since the quarantine began
	flow           integer     NOT NULL, -- how many may be in flight now
	failing_since  timestamptz,
	succeeded_at   timestamptz,
	quarantined_at timestamptz,
	probe_at       timestamptz,
	-- six numbers each: position, created_at, claimed_at, lease_until (in us
	-- since 2000), attempt << 32 | first attempt of the round,
	-- tries << 32 | lost << 16 | probe
	in_flight      bigint[]    NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE UNIQUE INDEX webhook_state_key
	ON _activity.webhook_state (endpoint, version DESC);
CREATE INDEX webhook_state_busy
	ON _activity.webhook_state (endpoint, version DESC) WHERE ready_at < 'infinity';

-- What is tried again, or on request, at its time; written and taken under the
-- endpoint's lock, in the order (due_at, number), and at or before the state's
-- mark there is nothing alive.
CREATE SEQUENCE _activity.webhook_retry_number;
CREATE TABLE _activity.webhook_retry (
	endpoint      integer     NOT NULL,
	attempt       integer     NOT NULL, -- the number that it will have
	due_at        timestamptz NOT NULL,
	number        bigint      NOT NULL,
	position      bigint      NOT NULL,
	created_at    timestamptz NOT NULL, -- of the delivery, to find it by
	first_attempt integer     NOT NULL, -- of this round
	tries         integer     NOT NULL, -- that count, in this round
	lost          integer     NOT NULL  -- leases and failures of our own side
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE UNIQUE INDEX webhook_retry_due
	ON _activity.webhook_retry (endpoint, due_at, number);
CREATE UNIQUE INDEX webhook_retry_key
	ON _activity.webhook_retry (endpoint, position);

-- One row per endpoint and batch of the publisher, so that nobody looks at
-- endpoints that sleep. Deleted by whoever looks; the newest is found first.
CREATE SEQUENCE _activity.webhook_wake_number;
CREATE TABLE _activity.webhook_wake (
	endpoint integer NOT NULL,
	number   bigint  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE UNIQUE INDEX webhook_wake_key
	ON _activity.webhook_wake (endpoint, number DESC);

CREATE SEQUENCE _activity.webhook_test_number;

-- Secrets for the stream. Only the digest is kept: the secret has 256 random
-- bits, so there is nothing to guess and no need of a slow hash or a salt.
CREATE TABLE _activity.connection (
	id           uuid        PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	organization integer     NOT NULL,
	member       text        NOT NULL,
	label        text,
	digest       bytea       NOT NULL UNIQUE, -- sha256 of the secret
	last_four    text        NOT NULL,
	created_at   timestamptz NOT NULL,
	rotated_at   timestamptz,
	revoked_at   timestamptz,
	last_used_at timestamptz                  -- to the minute
) WITH (fillfactor = 80);
CREATE INDEX connection_organization ON _activity.connection (organization, member);

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY[
		'webhook_endpoint', 'webhook_endpoint_key', 'webhook_secret',
		'webhook_secret_number', 'webhook_delivery_default',
		'webhook_attempt_default', 'webhook_state', 'webhook_state_version',
		'webhook_retry', 'webhook_retry_number', 'webhook_wake',
		'webhook_wake_number', 'webhook_test_number', 'connection']
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump('_activity.' || name, '');
	END LOOP;
END
$$;
