-- Exports: an organization's events as text, a line a row.

CREATE FUNCTION activity.export(
	organization text,
	format       text        DEFAULT 'csv',
	columns      text[]      DEFAULT NULL,
	event_types  text[]      DEFAULT NULL,
	actor        text        DEFAULT NULL,
	subject      text        DEFAULT NULL,
	since        timestamptz DEFAULT NULL,
	until        timestamptz DEFAULT NULL,
	search       text        DEFAULT NULL,
	up_to        text        DEFAULT NULL,
	viewer       text        DEFAULT NULL,
	on_behalf_of text        DEFAULT NULL
) RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'act_export';
COMMENT ON FUNCTION activity.export(text, text, text[], text[], text, text, timestamptz, timestamptz, text, text, text, text) IS
	'an organization''s events, newest first, a line a row (each followed by a line feed in the file): csv, json, ndjson, cloudevents or ocsf; or proof, the chain in its order, for scripts/verify-chain --export; up_to is a cursor of the stream, and the same one gives the same bytes; recorded as compliance.exported when the transaction ends, however it does; stream it as SELECT activity.export(...), because a FROM clause collects first; errors: those of feed(), AC010 to AC013 for up_to, 22023 format or columns, 25006 in a read-only transaction of a primary';

CREATE FUNCTION activity.event_line(organization text, event activity.entry, format text DEFAULT 'ndjson') RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'act_event_line';
COMMENT ON FUNCTION activity.event_line(text, activity.entry, text) IS
	'an event that poll() or another function returned as one line of JSON: ndjson (the event object), cloudevents or ocsf; errors: 22023 format';
