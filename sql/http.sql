-- The HTTP API: a request and its answer.

CREATE FUNCTION _activity.http_read_body(body text, headers jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bad integer;
BEGIN
	IF coalesce(body, '') = '' THEN
		RETURN NULL;
	END IF;
	IF coalesce(headers->>'content-type', '') !~* '^application/([a-z0-9.+-]+\+)?json\s*(;|$)' THEN
		PERFORM _activity.http_refuse(415, 'not_json', 'the body must be application/json');
	END IF;
	bad := _activity.json_offset(body);
	IF bad IS NOT NULL THEN
		PERFORM _activity.http_refuse(400, 'bad_json', format('the body is no JSON from byte %s on', bad));
	END IF;
	RETURN body::jsonb;
END
$$;
COMMENT ON FUNCTION _activity.http_read_body(text, jsonb) IS
	'the body of a request as JSON; null if there is none';

-- What the route's method is not, others may be.
CREATE FUNCTION _activity.http_no_route(method text, slashes integer, tail text) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	allowed text;
BEGIN
	SELECT string_agg(DISTINCT m, ', ') INTO allowed
	FROM _activity.http_routes() r, unnest(CASE r.method WHEN 'GET' THEN '{GET,HEAD,OPTIONS}' ELSE ARRAY[r.method, 'OPTIONS'] END) m
	WHERE r.depth = slashes AND tail LIKE _activity.http_shape(r.pattern);
	IF allowed IS NULL THEN
		RETURN _activity.http_problem(404, 'not_found', 'there is nothing at this address');
	ELSIF method = 'OPTIONS' THEN
		RETURN ROW(204, jsonb_build_object('allow', allowed), '')::_activity.http_answer;
	END IF;
	RETURN _activity.http_problem(405, 'method_not_allowed', format('the methods are %s here', allowed), NULL,
		jsonb_build_object('allow', allowed));
END
$$;
COMMENT ON FUNCTION _activity.http_no_route(text, integer, text) IS
	'404, or 405 with the methods that there are, or these alone for OPTIONS';

CREATE FUNCTION _activity.http_serve(method text, path text, query text, headers jsonb, body text)
RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- Some clients join their base and the path with one slash too many.
	tail    text := substring(path FROM '^/+api/v1(/.*)$');
	slashes integer := length(tail) - length(replace(tail, '/', ''));
	request _activity.http_request;
	parts   text[];
	route   _activity.http_route;
	state   text;
	message text;
	detail  text;
	hint    text;
BEGIN
	request.method := upper(method);
	route := _activity.http_find_route(CASE request.method WHEN 'HEAD' THEN 'GET' ELSE request.method END, tail);
	IF route.method IS NULL THEN
		RETURN _activity.http_no_route(request.method, slashes, tail);
	END IF;
	SELECT jsonb_object_agg(lower(h.key), h.value) INTO request.headers FROM jsonb_each(headers) h;
	request.headers := coalesce(request.headers, '{}');
	parts := _activity.http_segments(tail);
	IF route.pattern LIKE '/organizations/{organization}%' THEN
		request.organization := parts[2];
		request.id := parts[array_position(string_to_array(route.pattern, '/'), '{id}') - 1];
	END IF;
	IF route.handler = 'http_members' THEN
		request.organization := request.headers->>'x-current-org-id';
	END IF;
	IF route.capability IS NOT NULL THEN
		request := _activity.http_identify(request, route.capability, route.feature);
	END IF;
	request.parameters := CASE WHEN query <> '' THEN _activity.http_read_query(query, route.parameters) ELSE '{}' END;
	-- Exports are read, and recorded nevertheless.
	IF request.method IN ('GET', 'HEAD') AND route.capability IS DISTINCT FROM 'export' THEN
		RETURN _activity.http_fresh(request, _activity.http_call(route.handler, request));
	END IF;
	IF request.method NOT IN ('GET', 'HEAD') THEN
		request.body := _activity.http_read_body(body, request.headers);
	END IF;
	IF request.method = 'POST' AND request.token IS NOT NULL AND request.headers ? 'idempotency-key' THEN
		RETURN _activity.http_once(route.handler, request, tail);
	END IF;
	RETURN _activity.http_act(route.handler, request);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN _activity.http_error(state, message, detail, hint);
END
$$;
COMMENT ON FUNCTION _activity.http_serve(text, text, text, jsonb, text) IS
	'what activity.http() does';

-- In PL/pgSQL an argument and a column of the result can't have one name.
CREATE FUNCTION activity.http(method text, path text, query text, headers jsonb, body text)
RETURNS TABLE (status integer, headers jsonb, body text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.status, a.headers, a.body FROM _activity.http_serve($1, $2, $3, $4, $5) a
$$;
COMMENT ON FUNCTION activity.http(text, text, text, jsonb, text) IS
	'the HTTP API: the answer to a request; path and query as they were sent, headers an object; who calls is told by the token in Authorization, or the session''s cookie';
