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
