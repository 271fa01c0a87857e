-- The HTTP API: events.

CREATE FUNCTION _activity.http_page(organization text, event_types text[], actor text, subject text,
	since timestamptz, until timestamptz, search text, on_behalf_of text, before uuid, after uuid,
	page_size integer, page bigint, count boolean, reader text) RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'act_http_page';
COMMENT ON FUNCTION _activity.http_page(text, text[], text, text, timestamptz, timestamptz, text, text, uuid, uuid, integer, bigint, boolean, text) IS
	'a page of event objects, by number or cursor, with the total if it is to be counted: the body of an answer';

CREATE FUNCTION _activity.http_event(organization text, id uuid) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'act_http_event';
COMMENT ON FUNCTION _activity.http_event(text, uuid) IS
	'the event object of this id; null if the organization has none';

CREATE FUNCTION _activity.json_texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(SELECT jsonb_array_elements_text(list));
COMMENT ON FUNCTION _activity.json_texts(jsonb) IS
	'an array of JSON as one of text';

CREATE FUNCTION _activity.http_activity(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p         jsonb := request.parameters;
	by_cursor boolean := p ? 'before' OR p ? 'after';
BEGIN
	IF by_cursor AND p ? 'page' THEN
		PERFORM _activity.http_refuse(400, 'bad_parameter', '"page" and a cursor exclude each other', 'page');
	END IF;
	RETURN _activity.http_json(_activity.http_page(request.organization, _activity.json_texts(p->'eventType'),
		p->>'actorUserId', p->>'subject', _activity.http_time(p->>'from'), _activity.http_time(p->>'to'), p->>'search',
		p->>'onBehalfOf', (p->>'before')::uuid, (p->>'after')::uuid, coalesce((p->>'limit')::integer, 50),
		CASE WHEN NOT by_cursor THEN coalesce((p->>'page')::bigint, 1) END,
		coalesce((p->>'count')::boolean, NOT by_cursor), request.member));
END
$$;
COMMENT ON FUNCTION _activity.http_activity(_activity.http_request) IS
	'GET /activity';

CREATE FUNCTION _activity.http_event(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event text;
BEGIN
	IF request.id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		event := _activity.http_event(request.organization, request.id::uuid);
	END IF;
	IF event IS NULL THEN
		PERFORM _activity.http_refuse(404, 'not_found', 'there is no such event in this organization');
	END IF;
	RETURN _activity.http_json(event);
END
$$;
COMMENT ON FUNCTION _activity.http_event(_activity.http_request) IS
	'GET /activity/{id}';

CREATE FUNCTION _activity.event_position(organization text, id uuid, recorded_at timestamptz)
RETURNS TABLE ("position" bigint, cursor text, hash bytea)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'act_event_position';
COMMENT ON FUNCTION _activity.event_position(text, uuid, timestamptz) IS
	'where the event of this id stands, and the hash of the chain there; no row before it is published';

CREATE FUNCTION _activity.http_position(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event json := (_activity.http_event(request)).body::json;
	place record;
BEGIN
	SELECT p.* INTO place FROM _activity.event_position(request.organization, (event->>'id')::uuid, (event->>'recordedAt')::timestamptz) p;
	RETURN _activity.http_json(json_build_object('position', place."position", 'cursor', place.cursor, 'hash', encode(place.hash, 'hex'))::text);
END
$$;
COMMENT ON FUNCTION _activity.http_position(_activity.http_request) IS
	'GET /activity/{id}/position';

-- A field of the body; any that is not of this kind is refused.
CREATE FUNCTION _activity.http_field(body jsonb, name text, kind text, required boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	value jsonb := body->name;
BEGIN
	IF value IS NULL OR jsonb_typeof(value) = 'null' THEN
		IF required THEN
			PERFORM _activity.http_refuse(400, 'missing_field', format('"%s" is missing', name), name);
		END IF;
		RETURN NULL;
	END IF;
	IF jsonb_typeof(value) <> kind THEN
		PERFORM _activity.http_refuse(400, 'bad_field', format('"%s" must be of type %s', name, kind), name);
	END IF;
	RETURN value;
END
$$;
COMMENT ON FUNCTION _activity.http_field(jsonb, text, text, boolean) IS
	'a field of the body of a request, of this JSON type; null if it is not there';

CREATE FUNCTION _activity.http_check_body(body jsonb, allowed text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
BEGIN
	IF body IS NULL OR jsonb_typeof(body) <> 'object' THEN
		PERFORM _activity.http_refuse(400, 'bad_body', 'the body must be a JSON object');
	END IF;
	FOR name IN SELECT jsonb_object_keys(body) LOOP
		IF name <> ALL (allowed) THEN
			PERFORM _activity.http_refuse(400, 'unknown_field', format('there is no field "%s" here', left(name, 100)), left(name, 100),
				'Did you mean "' || _activity.near_word(name, allowed) || '"?');
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.http_check_body(jsonb, text[]) IS
	'refuses a body that is no object, or has other fields';

CREATE FUNCTION _activity.http_person(body jsonb, name text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	person jsonb := _activity.http_field(body, name, 'object');
BEGIN
	IF person IS NOT NULL THEN
		PERFORM _activity.http_check_body(person, '{kind,id,name}');
		PERFORM _activity.http_field(person, 'id', 'string', true), _activity.http_field(person, 'kind', 'string'),
			_activity.http_field(person, 'name', 'string');
	END IF;
	RETURN person;
END
$$;
COMMENT ON FUNCTION _activity.http_person(jsonb, text) IS
	'an actor, or whom one acts for, in the body of a request';

-- A member's token records what that member does; others say who acted.
CREATE FUNCTION _activity.http_record(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	body    jsonb := request.body;
	actor   jsonb;
	happened timestamptz;
	wanted  uuid;
	is_new  boolean := true;
	id      uuid;
BEGIN
	PERFORM _activity.http_check_body(body, '{id,eventType,subject,metadata,description,occurredAt,actor,onBehalfOf,context}');
	actor := _activity.http_person(body, 'actor');
	IF request.member IS NOT NULL AND actor->>'id' <> request.member THEN
		PERFORM _activity.http_refuse(403, 'foreign_actor', 'this token records what its member does', 'actor');
	END IF;
	happened := _activity.http_time(_activity.http_field(body, 'occurredAt', 'string')#>>'{}');
	IF happened IS NULL AND _activity.http_field(body, 'occurredAt', 'string') IS NOT NULL THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"occurredAt" must be a date or a time with its offset', 'occurredAt');
	END IF;
	IF _activity.http_field(body, 'id', 'string') IS NOT NULL THEN
		IF body->>'id' !~* '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' THEN
			PERFORM _activity.http_refuse(400, 'bad_field', '"id" must be a UUID of version 7', 'id');
		END IF;
		wanted := body->>'id';
		is_new := _activity.http_event(request.organization, wanted) IS NULL;
	END IF;
	PERFORM activity.set_actor(
		CASE WHEN request.member IS NULL THEN actor->>'id' ELSE request.member END,
		coalesce(actor->>'kind', 'user'), actor->>'name', _activity.http_field(body, 'context', 'object'),
		_activity.http_person(body, 'onBehalfOf'));
	id := activity.record(request.organization,
		(_activity.http_field(body, 'eventType', 'string', true)#>>'{}')::activity.event_type,
		coalesce(_activity.http_field(body, 'subject', 'object'), '{}'), _activity.http_field(body, 'metadata', 'object'),
		_activity.http_field(body, 'description', 'string')#>>'{}', happened, wanted);
	RETURN _activity.http_json(_activity.http_event(request.organization, id), CASE WHEN is_new THEN 201 ELSE 200 END,
		jsonb_build_object('location', '/api/v1/organizations/' || _activity.encode_url(request.organization) || '/activity/' || id));
END
$$;
COMMENT ON FUNCTION _activity.http_record(_activity.http_request) IS
	'POST /activity';

CREATE FUNCTION _activity.http_summary(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object(
			'dimension', CASE s.dimension WHEN 'event_type' THEN 'eventType' WHEN 'on_behalf_of' THEN 'onBehalfOf' ELSE s.dimension END,
			'kind', s.kind, 'key', s.key, 'name', s.name, 'events', s.events, 'latest', _activity.http_time_text(s.latest))), '[]'))
		FROM activity.summary(request.organization,
			coalesce(_activity.http_time(request.parameters->>'from'), now() - interval '7 days'),
			_activity.http_time(request.parameters->>'to')) s)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_summary(_activity.http_request) IS
	'GET /activity/summary';

CREATE FUNCTION _activity.http_types(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', json_agg(json_build_object('key', t.key, 'category', t.category, 'action', t.action,
			'family', t.family, 'synonymOf', t.synonym_of, 'subjectKind', t.subject_kind, 'required', t.required,
			'template', t.template, 'meaning', t.meaning, 'builtIn', t.built_in)))
		FROM activity.event_types t)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_types(_activity.http_request) IS
	'GET /activity/types';

CREATE FUNCTION _activity.http_checkpoint(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('position', c."position", 'hash', encode(c.hash, 'hex'), 'events', c.events,
			'takenAt', _activity.http_time_text(c.taken_at))
		FROM activity.checkpoint(request.organization, (request.parameters->>'position')::bigint) c)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_checkpoint(_activity.http_request) IS
	'GET /activity/checkpoint';

-- Of lines, with progress, the gateway gets the head alone, as of an export.
CREATE FUNCTION _activity.http_verify(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	head     constant jsonb := '{"content-type": "application/x-ndjson", "cache-control": "no-store"}';
	problems json;
	verdict  json;
BEGIN
	IF coalesce((request.parameters->>'progress')::boolean, false) THEN
		IF request.method = 'HEAD' THEN
			RETURN ROW(200, head, '')::_activity.http_answer;
		ELSIF request.headers ? 'x-activity-stream' THEN
			RETURN ROW(200, head || '{"x-activity-stream": "verify"}', '')::_activity.http_answer;
		END IF;
		RETURN ROW(200, head, (SELECT string_agg(line || E'\n', '') FROM _activity.verify_lines(request.organization) line))::_activity.http_answer;
	END IF;
	SELECT json_agg(line::json) FILTER (WHERE line LIKE '{"position"%'), (min(line) FILTER (WHERE line LIKE '{"valid"%'))::json
	INTO problems, verdict
	FROM _activity.verify_lines(request.organization) line;
	RETURN _activity.http_json(json_build_object('valid', verdict->'valid', 'problems', coalesce(problems, '[]'),
		'position', verdict->'position', 'events', verdict->'events', 'hash', verdict->'hash', 'verifiedAt', verdict->'verifiedAt')::text);
END
$$;
COMMENT ON FUNCTION _activity.http_verify(_activity.http_request) IS
	'GET /activity/verify';
