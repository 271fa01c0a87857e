-- Recording: the functions that an application calls.

CREATE FUNCTION activity.event_id(occurred_at timestamptz DEFAULT clock_timestamp())
RETURNS uuid
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_event_id';
COMMENT ON FUNCTION activity.event_id(timestamptz) IS
	'a new event id (UUIDv7) for a time, exact to the microsecond; errors: 22008 for a time before 1970 or after the year 10889';

CREATE FUNCTION activity.event_time(id uuid) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_event_time';
COMMENT ON FUNCTION activity.event_time(uuid) IS
	'the time in an event id, exact to the microsecond; errors: 22023 unless it is a UUIDv7';

CREATE FUNCTION activity.record(
	organization text,
	event_type   activity.event_type,
	subject      jsonb       DEFAULT '{}',
	metadata     jsonb       DEFAULT NULL,
	description  text        DEFAULT NULL,
	occurred_at  timestamptz DEFAULT NULL,
	id           uuid        DEFAULT NULL
) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_record_event';
COMMENT ON FUNCTION activity.record(text, activity.event_type, jsonb, jsonb, text, timestamptz, uuid) IS
	'records one event in the current transaction and returns its id; the same client-made id (UUIDv7) again records nothing; errors: AC001 unknown event type, AC002 required field missing, 22023 bad argument, 22008 time out of range, 54000 larger than activity.max_event_size, 25006 read-only';

CREATE FUNCTION activity.set_actor(
	id      text,
	kind    text  DEFAULT 'user',
	name    text  DEFAULT NULL,
	context jsonb DEFAULT NULL,
	on_behalf_of jsonb DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_set_actor';
COMMENT ON FUNCTION activity.set_actor(text, text, text, jsonb, jsonb) IS
	'names who acts, for the rest of the transaction (a null id: the system); context is a JSON object recorded with every event; on_behalf_of is whom the actor acts for, {"kind", "id", "name"}, null for nobody; the same as SET LOCAL of activity.actor_id, actor_kind, actor_name, context, on_behalf_of_id, on_behalf_of_kind and on_behalf_of_name; errors: 22023 for an on_behalf_of without id';

CREATE FUNCTION activity.channel(organization text) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_channel';
COMMENT ON FUNCTION activity.channel(text) IS
	'the notification channel that carries only this organization''s live events: activity_ and 32 hexadecimal digits';
