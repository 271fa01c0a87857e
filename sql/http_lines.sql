-- The HTTP API: answers that the gateway reads line by line, for as long as the client
-- takes them: exports, and a verification with its progress.

CREATE FUNCTION _activity.http_lines_request(path text, query text, headers jsonb) RETURNS _activity.http_request
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tail    text := substring(path FROM '^/+api/v1(/.*)$');
	route   _activity.http_route := _activity.http_find_route('GET', tail);
	request _activity.http_request;
BEGIN
	IF route.handler IS NULL OR route.handler NOT IN ('http_export', 'http_verify') THEN
		PERFORM _activity.http_refuse(404, 'not_found', 'this path is not answered in lines');
	END IF;
	request.method := 'GET';
	request.headers := headers;
	request.organization := (_activity.http_segments(tail))[2];
	request := _activity.http_identify(request, route.capability, route.feature);
	request.parameters := _activity.http_read_query(coalesce(query, ''), route.parameters);
	request.id := route.handler;
	PERFORM activity.set_actor(coalesce(request.member, request.token::text),
		CASE WHEN request.member IS NULL THEN 'token' ELSE 'user' END, CASE WHEN request.member IS NULL THEN request.label END);
	RETURN request;
END
$$;
COMMENT ON FUNCTION _activity.http_lines_request(text, text, jsonb) IS
	'the request for an answer in lines, its id the handler, with who asks as the actor of what is recorded';

CREATE FUNCTION activity.serve_lines(path text, query text, headers jsonb) RETURNS SETOF text
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 100000
SET search_path = pg_catalog, pg_temp
AS $$
	WITH request AS MATERIALIZED (SELECT r FROM _activity.http_lines_request($1, $2, $3) r)
	SELECT _activity.http_export_lines(r) FROM request WHERE (r).id = 'http_export'
	UNION ALL
	SELECT _activity.verify_lines((r).organization) FROM request WHERE (r).id = 'http_verify'
$$;
COMMENT ON FUNCTION activity.serve_lines(text, text, jsonb) IS
	'for the gateway: the lines that activity.http() has answered with a head, in a transaction of its own, as SELECT activity.serve_lines(...), so that they come one by one; errors: those of export() and verify()';
