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
