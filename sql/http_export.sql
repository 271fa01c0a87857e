-- The HTTP API: exports, which the gateway streams.

CREATE FUNCTION _activity.check_export(organization text, columns text[], event_types text[], up_to text) RETURNS void
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'act_check_export';
COMMENT ON FUNCTION _activity.check_export(text, text[], text[], text) IS
	'throws what activity.export() would for these arguments, before its first line is out';

CREATE FUNCTION _activity.http_export_type(format text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE format WHEN 'csv' THEN '{text/csv; charset=utf-8,csv}'::text[] WHEN 'json' THEN '{application/json,json}'
	ELSE '{application/x-ndjson,ndjson}' END;
COMMENT ON FUNCTION _activity.http_export_type(text) IS
	'the media type of an export, and the end of its file''s name';

CREATE FUNCTION _activity.http_export_lines(request _activity.http_request) RETURNS SETOF text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT activity.export(request.organization, coalesce(p->>'format', 'csv'), _activity.json_texts(p->'columns'),
		_activity.json_texts(p->'eventType'), p->>'actorUserId', p->>'subject', _activity.http_time(p->>'from'),
		_activity.http_time(p->>'to'), p->>'search', p->>'upTo', request.member, p->>'onBehalfOf')
	FROM (VALUES (request.parameters)) q (p)
$$;
COMMENT ON FUNCTION _activity.http_export_lines(_activity.http_request) IS
	'the lines of the export that is asked for';

-- With the gateway's header it is a head; the gateway then reads the lines one after
-- the other. For others all of them are the body.
CREATE FUNCTION _activity.http_export(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p      jsonb := request.parameters;
	format text := coalesce(p->>'format', 'csv');
	kind   text[] := _activity.http_export_type(format);
	head   jsonb := jsonb_build_object('content-type', kind[1], 'cache-control', 'no-store',
		'content-disposition', format('attachment; filename="activity.%s"', kind[2]));
BEGIN
	IF p ? 'columns' AND format <> 'csv' THEN
		PERFORM _activity.http_refuse(400, 'bad_parameter', '"columns" are of format csv alone', 'columns');
	END IF;
	PERFORM _activity.check_export(request.organization, _activity.json_texts(p->'columns'), _activity.json_texts(p->'eventType'), p->>'upTo');
	IF request.method = 'HEAD' THEN
		RETURN ROW(200, head, '')::_activity.http_answer;
	ELSIF request.headers ? 'x-activity-stream' THEN
		RETURN ROW(200, head || '{"x-activity-stream": "export"}', '')::_activity.http_answer;
	END IF;
	RETURN ROW(200, head, (SELECT string_agg(line || E'\n', '') FROM _activity.http_export_lines(request) line))::_activity.http_answer;
END
$$;
COMMENT ON FUNCTION _activity.http_export(_activity.http_request) IS
	'GET /activity/export';

CREATE FUNCTION _activity.http_export_request(path text, query text, headers jsonb) RETURNS _activity.http_request
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	request _activity.http_request;
	route   record;
BEGIN
	SELECT r.* INTO route FROM _activity.http_routes() r WHERE r.handler = 'http_export';
	request.method := 'GET';
	request.headers := headers;
	request.organization := (_activity.http_segments(substring(path FROM '^/+api/v1(/.*)$')))[2];
	request := _activity.http_identify(request, route.capability, route.feature);
	request.parameters := _activity.http_read_query(coalesce(query, ''), route.parameters);
	PERFORM activity.set_actor(coalesce(request.member, request.token::text),
		CASE WHEN request.member IS NULL THEN 'token' ELSE 'user' END, CASE WHEN request.member IS NULL THEN request.label END);
	RETURN request;
END
$$;
COMMENT ON FUNCTION _activity.http_export_request(text, text, jsonb) IS
	'the request for an export, with who asks as the actor of what is recorded';

CREATE FUNCTION activity.serve_export(path text, query text, headers jsonb) RETURNS SETOF text
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 100000
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT _activity.http_export_lines(request) FROM _activity.http_export_request($1, $2, $3) request
$$;
COMMENT ON FUNCTION activity.serve_export(text, text, jsonb) IS
	'for the gateway: the lines of an export that activity.http() has answered with a head, in a transaction of its own, as SELECT activity.serve_export(...), so that they come one by one; errors: those of export()';
