-- Answers and refusals of the HTTP API.

CREATE FUNCTION _activity.http_reason(status integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE status WHEN 400 THEN 'Bad Request' WHEN 401 THEN 'Unauthorized' WHEN 403 THEN 'Forbidden'
	WHEN 404 THEN 'Not Found' WHEN 405 THEN 'Method Not Allowed' WHEN 409 THEN 'Conflict'
	WHEN 413 THEN 'Content Too Large' WHEN 415 THEN 'Unsupported Media Type'
	WHEN 422 THEN 'Unprocessable Content' WHEN 429 THEN 'Too Many Requests'
	WHEN 503 THEN 'Service Unavailable' ELSE 'Internal Server Error' END;
COMMENT ON FUNCTION _activity.http_reason(integer) IS
	'what a status means';

-- RFC 9457, and the strings message and code, which are all that some clients show.
CREATE FUNCTION _activity.http_problem(status integer, code text, message text,
	more json DEFAULT NULL, headers jsonb DEFAULT NULL) RETURNS _activity.http_answer
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT status, jsonb_build_object('content-type', 'application/problem+json', 'cache-control', 'no-store')
			|| CASE status WHEN 401 THEN '{"www-authenticate": "Bearer"}' WHEN 503 THEN '{"retry-after": "1"}' ELSE '{}' END::jsonb
			|| coalesce(headers, '{}'),
		(SELECT '{' || string_agg(to_json(field.key)::text || ':' || field.value::text, ',') || '}' FROM (
			SELECT * FROM json_each(json_build_object('type', 'about:blank', 'title', _activity.http_reason(status),
				'status', status, 'code', code, 'message', message, 'detail', message))
			UNION ALL SELECT * FROM json_each(more)) field)
$$;
COMMENT ON FUNCTION _activity.http_problem(integer, text, text, json, jsonb) IS
	'an answer that says what is wrong';

-- Caught by http_serve(), which makes a problem of it.
CREATE FUNCTION _activity.http_refuse(status integer, code text, message text,
	parameter text DEFAULT NULL, hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'ACH00', MESSAGE = http_refuse.message,
		DETAIL = json_build_object('status', http_refuse.status, 'code', http_refuse.code, 'more',
			json_strip_nulls(json_build_object('parameter', http_refuse.parameter, 'hint', http_refuse.hint)));
END
$$;
COMMENT ON FUNCTION _activity.http_refuse(integer, text, text, text, text) IS
	'ends the request with this problem';

-- What functions throw, as statuses. Their words go out where they are about what was
-- sent; never their hints, which speak of SQL.
CREATE FUNCTION _activity.http_error(state text, message text, detail text, hint text) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	refusal json;
BEGIN
	CASE
	WHEN state = 'ACH00' THEN
		refusal := detail::json;
		RETURN _activity.http_problem((refusal->>'status')::integer, refusal->>'code', message, refusal->'more');
	WHEN state = 'AC001' THEN
		RETURN _activity.http_problem(400, 'unknown_event_type', message,
			json_strip_nulls(json_build_object('parameter', 'eventType', 'hint', CASE WHEN hint ~ '^Did you mean' THEN hint END)));
	WHEN state = 'AC002' THEN
		RETURN _activity.http_problem(400, 'missing_field', message);
	WHEN state = 'AC008' THEN
		RETURN _activity.http_problem(403, 'not_a_member', 'you are no active member of this organization');
	WHEN state IN ('AC010', 'AC011', 'AC012') THEN
		RETURN _activity.http_problem(409, CASE state WHEN 'AC010' THEN 'cursor_expired' WHEN 'AC011' THEN 'cursor_forked'
			ELSE 'cursor_ahead' END, message);
	WHEN state = 'AC013' THEN
		RETURN _activity.http_problem(400, 'bad_cursor', 'this is no cursor');
	WHEN state = 'AC020' THEN
		RETURN _activity.http_problem(422, 'url_refused', message);
	WHEN state = '54000' THEN
		RETURN _activity.http_problem(413, 'too_large', message);
	WHEN state IN ('42704', 'P0002') THEN
		RETURN _activity.http_problem(404, 'not_found', 'there is no such thing in this organization');
	WHEN state = '42501' THEN
		RETURN _activity.http_problem(403, 'forbidden', 'this is not allowed');
	WHEN state IN ('55000', '55006', '42710') THEN
		RETURN _activity.http_problem(409, 'conflict', 'this can''t be done in the present state');
	WHEN state IN ('25006', '57014', '40001', '40P01', '55P03') OR state ~ '^(53|57P|08)' THEN
		RETURN _activity.http_problem(503, 'unavailable', 'the database can''t do this at the moment');
	WHEN state ~ '^22' THEN
		RETURN _activity.http_problem(400, 'bad_request', message);
	WHEN state = '54001' THEN
		RETURN _activity.http_problem(400, 'bad_request', 'the request is nested too deeply');
	ELSE
		RAISE LOG 'activity.http() failed: % %', state, message;
		RETURN _activity.http_problem(500, 'internal_error', 'the request could not be answered');
	END CASE;
END
$$;
COMMENT ON FUNCTION _activity.http_error(text, text, text, text) IS
	'the answer for an error of the database';

CREATE FUNCTION _activity.http_json(body text, status integer DEFAULT 200, headers jsonb DEFAULT NULL) RETURNS _activity.http_answer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN ROW(status, coalesce(headers, '{}') || '{"content-type": "application/json", "cache-control": "private, no-cache"}', body)::_activity.http_answer;
END
$$;
COMMENT ON FUNCTION _activity.http_json(text, integer, jsonb) IS
	'an answer of JSON';

CREATE FUNCTION _activity.http_time_text(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
COMMENT ON FUNCTION _activity.http_time_text(timestamptz) IS
	'a time as answers have it: RFC 3339, UTC, microseconds';

-- Words of the database's own.
CREATE FUNCTION _activity.http_read_word(name text, kind text, value text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	CASE kind
	WHEN 'zone' THEN
		-- What POSIX takes for a zone besides is a slip here.
		IF value !~ '^([A-Za-z][A-Za-z_]+(/[A-Za-z0-9_+-]+)*|[+-][0-9]{2}:[0-9]{2})$' THEN
			RAISE invalid_parameter_value;
		END IF;
		PERFORM now() AT TIME ZONE value;
	WHEN 'type' THEN
		PERFORM value::activity.event_type;
	WHEN 'measure' THEN
		IF NOT EXISTS (SELECT FROM activity.measures m WHERE m.name = value) THEN
			RAISE invalid_parameter_value;
		END IF;
	END CASE;
EXCEPTION WHEN data_exception OR SQLSTATE 'AC001' THEN
	PERFORM _activity.http_refuse(400, CASE kind WHEN 'type' THEN 'unknown_event_type' ELSE 'bad_parameter' END,
		format('"%s" is no %s', name, CASE kind WHEN 'zone' THEN 'time zone' WHEN 'type' THEN 'event type' ELSE kind END), name);
END
$$;
COMMENT ON FUNCTION _activity.http_read_word(text, text, text) IS
	'refuses a time zone, an event type or a measure that there is not';

CREATE FUNCTION _activity.http_read_value(name text, row_name text, value text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	what record;
BEGIN
	SELECT p.* INTO what FROM _activity.http_parameter() p WHERE p.name = row_name;
	CASE what.kind
	WHEN 'words' THEN
		RETURN to_jsonb(array_remove(string_to_array(value, ','), ''));
	WHEN 'integer' THEN
		IF value ~ '^[0-9]{1,16}$' AND value::bigint BETWEEN what.low AND what.high THEN
			RETURN to_jsonb(value::bigint);
		END IF;
		PERFORM _activity.http_refuse(400, 'bad_parameter', format('"%s" must be a whole number from %s to %s', name, what.low, what.high), name);
	WHEN 'time' THEN
		IF _activity.http_time(value) IS NULL THEN
			PERFORM _activity.http_refuse(400, 'bad_parameter', format('"%s" must be a date or a time with its offset', name), name,
				'For example 2026-03-01, 2026-03-01T09:30:00Z or 2026-03-01T09:30:00.250+02:00, where + is written %2B.');
		END IF;
	WHEN 'uuid' THEN
		IF value !~* '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' THEN
			PERFORM _activity.http_refuse(400, 'bad_cursor', format('"%s" is no cursor', name), name);
		END IF;
	WHEN 'boolean' THEN
		IF value NOT IN ('true', 'false') THEN
			PERFORM _activity.http_refuse(400, 'bad_parameter', format('"%s" must be true or false', name), name);
		END IF;
		RETURN value::jsonb;
	WHEN 'zone', 'type', 'measure' THEN
		PERFORM _activity.http_read_word(name, what.kind, value);
	ELSE
		IF position(',' IN what.kind) > 0 AND value <> ALL (string_to_array(what.kind, ',')) THEN
			PERFORM _activity.http_refuse(400, 'bad_parameter', format('"%s" must be one of %s', name, replace(what.kind, ',', ', ')), name);
		END IF;
	END CASE;
	RETURN to_jsonb(value);
END
$$;
COMMENT ON FUNCTION _activity.http_read_value(text, text, text) IS
	'the value of a parameter, checked by its row of http_parameter()';

-- An allowed name with a star behind it has a row of its own in http_parameter().
CREATE FUNCTION _activity.http_read_query(query text, allowed text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pairs text[] := _activity.http_parameters(query);
	found jsonb := '{}';
	name  text;
	its_row text;
	value jsonb;
BEGIN
	FOR i IN 1 .. cardinality(pairs) BY 2 LOOP
		name := pairs[i];
		its_row := CASE WHEN name = ANY (allowed) THEN name WHEN name || '*' = ANY (allowed) THEN name || '*' END;
		IF its_row IS NULL OR name LIKE '%*' THEN
			PERFORM _activity.http_refuse(400, 'unknown_parameter', format('there is no parameter "%s" here', left(name, 100)), left(name, 100),
				'Did you mean "' || _activity.near_word(name, allowed) || '"?');
		END IF;
		-- What is empty says nothing.
		CONTINUE WHEN pairs[i + 1] = '';
		value := _activity.http_read_value(name, its_row, pairs[i + 1]);
		IF found ? name THEN
			IF jsonb_typeof(value) <> 'array' THEN
				PERFORM _activity.http_refuse(400, 'repeated_parameter', format('"%s" is given twice', name), name);
			END IF;
			value := found->name || value;
		END IF;
		found := jsonb_set(found, ARRAY[name], value);
	END LOOP;
	RETURN found;
END
$$;
COMMENT ON FUNCTION _activity.http_read_query(text, text[]) IS
	'the parameters of a query, each checked; names that are not allowed are refused';
