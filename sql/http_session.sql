-- The HTTP API: sessions of the dashboard.

CREATE FUNCTION _activity.http_session(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json(json_build_object('kind', request.kind, 'organization', request.organization,
		'member', request.member, 'role', nullif(request.role, ''), 'capabilities', request.capabilities,
		'tier', activity.organization_tier(request.organization),
		'features', (SELECT json_object_agg(f.feature, _activity.tier_allows(f.feature, request.organization) ORDER BY f.feature)
			FROM activity.features f WHERE request.organization IS NOT NULL),
		'label', request.label, 'expiresAt', _activity.http_time_text(request.expires_at))::text);
END
$$;
COMMENT ON FUNCTION _activity.http_session(_activity.http_request) IS
	'GET /session';

CREATE FUNCTION _activity.http_set_cookie(secret text, seconds integer) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN jsonb_build_object('set-cookie', format('activity_session=%s; Path=/api; Max-Age=%s; HttpOnly; SameSite=Strict%s',
	secret, seconds, CASE WHEN current_setting('activity.gateway_url') ~* '^https:' THEN '; Secure' ELSE '' END));
COMMENT ON FUNCTION _activity.http_set_cookie(text, integer) IS
	'the header that gives a browser its session';

-- The code goes whatever comes of it, and so works once.
CREATE FUNCTION _activity.http_session_open(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	secret text := _activity.make_secret('');
	code   _activity.token;
	answer _activity.http_answer;
	term   constant interval := '12 hours';
BEGIN
	PERFORM _activity.http_check_body(request.body, '{code}');
	PERFORM _activity.check_tables('token');
	DELETE FROM _activity.token t
	WHERE t.digest = sha256(convert_to(_activity.http_field(request.body, 'code', 'string', true)#>>'{}', 'UTF8')) AND t.kind = 'code'
	RETURNING t.* INTO code;
	IF NOT FOUND OR code.expires_at <= clock_timestamp() THEN
		RETURN _activity.http_problem(401, 'bad_code', 'the link was used already, or its time is over');
	END IF;
	SELECT o.id INTO request.organization FROM _activity.organization o WHERE o.key = code.organization LIMIT 1;
	request.role := _activity.member_role(request.organization, code.member);
	IF request.role IS NULL THEN
		RETURN _activity.http_problem(403, 'not_a_member', 'you are no active member of this organization');
	END IF;
	request.kind := 'session';
	request.member := code.member;
	request.capabilities := _activity.role_capabilities(request.role);
	request.expires_at := clock_timestamp() + term;
	INSERT INTO _activity.token (kind, organization, member, capabilities, digest, last_four, created_at, created_by, expires_at)
	VALUES ('session', code.organization, code.member, '{}', sha256(convert_to(secret, 'UTF8')), right(secret, 4),
		clock_timestamp(), code.created_by, request.expires_at);
	answer := _activity.http_session(request);
	answer.status := 201;
	answer.headers := answer.headers || _activity.http_set_cookie(secret, extract(epoch FROM term)::integer);
	RETURN answer;
END
$$;
COMMENT ON FUNCTION _activity.http_session_open(_activity.http_request) IS
	'POST /session';

CREATE FUNCTION _activity.http_session_close(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF request.kind <> 'session' THEN
		PERFORM _activity.http_refuse(409, 'no_session', 'there is no session to end: the request has a token');
	END IF;
	PERFORM _activity.check_tables('token');
	UPDATE _activity.token t SET revoked_at = clock_timestamp() WHERE t.id = request.token;
	PERFORM _activity.tell_connection(request.token);
	RETURN ROW(204, _activity.http_set_cookie('', 0), '')::_activity.http_answer;
END
$$;
COMMENT ON FUNCTION _activity.http_session_close(_activity.http_request) IS
	'DELETE /session';
