-- The HTTP API: secrets for the stream, holds and redactions.

CREATE FUNCTION _activity.is_uuid(word text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(word ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', false);
COMMENT ON FUNCTION _activity.is_uuid(text) IS
	'whether this is a UUID as answers write it';

-- A member's own, and nobody else's.
CREATE FUNCTION _activity.http_secret_id(request _activity.http_request, active boolean) RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_one uuid;
BEGIN
	IF _activity.is_uuid(request.id) THEN
		SELECT c.connection_id INTO found_one FROM activity.connections c
		WHERE c.connection_id = request.id::uuid AND c.organization = request.organization AND c.member = request.member
		  AND (NOT active OR c.status = 'active');
	END IF;
	IF found_one IS NULL THEN
		PERFORM _activity.http_refuse(404, 'not_found', 'you have no such secret');
	END IF;
	RETURN found_one;
END
$$;
COMMENT ON FUNCTION _activity.http_secret_id(_activity.http_request, boolean) IS
	'the id of the caller''s own secret that the path names';

CREATE FUNCTION _activity.http_require_person(request _activity.http_request) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF request.member IS NULL THEN
		PERFORM _activity.http_refuse(403, 'no_member', 'secrets are a member''s own, and this token is no member''s');
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.http_require_person(_activity.http_request) IS
	'refuses tokens of nobody in particular';

CREATE FUNCTION _activity.http_secret(connection uuid, secret text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN $2 IS NULL THEN json_build_object('id', c.connection_id, 'label', c.label, 'lastFour', c.last_four,
			'createdAt', _activity.http_time_text(c.created_at), 'lastUsedAt', _activity.http_time_text(c.last_used_at), 'status', c.status)
		ELSE json_build_object('id', c.connection_id, 'label', c.label, 'secret', $2, 'lastFour', c.last_four,
			'createdAt', _activity.http_time_text(c.created_at)) END
	FROM activity.connections c WHERE c.connection_id = $1
$$;
COMMENT ON FUNCTION _activity.http_secret(uuid, text) IS
	'a secret for the stream as answers have it: with its text when it is made';

CREATE FUNCTION _activity.http_secrets(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.http_require_person(request);
	RETURN _activity.http_json((
		SELECT coalesce(json_agg(_activity.http_secret(c.id, NULL) ORDER BY c.created_at DESC), '[]')
		FROM _activity.connection c
		WHERE c.organization = _activity.organization_key(request.organization) AND c.member = request.member)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_secrets(_activity.http_request) IS
	'GET /realtime/secrets';

CREATE FUNCTION _activity.http_secret_create(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	label text;
	made  record;
BEGIN
	PERFORM _activity.http_require_person(request);
	PERFORM _activity.http_check_body(request.body, '{label}');
	label := btrim(_activity.http_field(request.body, 'label', 'string', true)#>>'{}');
	IF length(label) NOT BETWEEN 1 AND 80 THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"label" must have 1 to 80 characters', 'label');
	END IF;
	SELECT c.* INTO made FROM activity.create_connection(request.organization, request.member, label) c;
	RETURN _activity.http_json(_activity.http_secret(made.connection_id, made.secret)::text, 201);
END
$$;
COMMENT ON FUNCTION _activity.http_secret_create(_activity.http_request) IS
	'POST /realtime/secrets';

CREATE FUNCTION _activity.http_secret_rotate(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	connection uuid := _activity.http_secret_id(request, true);
	secret     text := activity.rotate_connection(connection);
BEGIN
	RETURN _activity.http_json(_activity.http_secret(connection, secret)::text, 201);
END
$$;
COMMENT ON FUNCTION _activity.http_secret_rotate(_activity.http_request) IS
	'POST /realtime/secrets/{id}/rotate';

CREATE FUNCTION _activity.http_secret_revoke(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM activity.revoke_connection(_activity.http_secret_id(request, false));
	RETURN ROW(204, '{}', '')::_activity.http_answer;
END
$$;
COMMENT ON FUNCTION _activity.http_secret_revoke(_activity.http_request) IS
	'DELETE /realtime/secrets/{id}';

CREATE FUNCTION _activity.http_holds(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('id', h.id, 'actor', h.actor, 'subject', h.subject,
			'from', _activity.http_time_text(h.since), 'to', _activity.http_time_text(h.until), 'reason', h.reason,
			'placedAt', _activity.http_time_text(h.placed_at), 'placedBy', h.placed_by,
			'releasedAt', _activity.http_time_text(h.released_at), 'releasedBy', h.released_by, 'releaseReason', h.release_reason)
			ORDER BY h.placed_at DESC), '[]'))
		FROM activity.holds h WHERE h.organization = request.organization)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_holds(_activity.http_request) IS
	'GET /holds';

CREATE FUNCTION _activity.http_redactions(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT json_build_object('items', coalesce(json_agg(json_build_object('id', r.id, 'redactedAt', _activity.http_time_text(r.redacted_at),
			'reason', r.reason, 'pseudonym', r.pseudonym, 'events', r.events, 'deliveries', r.deliveries, 'actor', r.actor)
			ORDER BY r.redacted_at DESC), '[]'))
		FROM activity.redactions r WHERE r.organization = request.organization)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_redactions(_activity.http_request) IS
	'GET /redactions';
