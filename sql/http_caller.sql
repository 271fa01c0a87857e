-- Who calls the HTTP API, and what he may.

CREATE FUNCTION _activity.http_cookie(headers jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN substring(headers->>'cookie' FROM '(?:^|[;,]\s*)activity_session=([A-Za-z0-9_-]{43})(?:$|[;,\s])');
COMMENT ON FUNCTION _activity.http_cookie(jsonb) IS
	'the session''s secret that a browser sends';

-- Fills in who calls. A foreign organization and one that does not exist are refused
-- alike, before anything about it is asked.
CREATE FUNCTION _activity.http_identify(request _activity.http_request, route_capability text, route_feature text)
RETURNS _activity.http_request
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bearer text := substring(request.headers->>'authorization' FROM '^[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]+)$');
	cookie text := _activity.http_cookie(request.headers);
	token  _activity.token;
	owner  text;
BEGIN
	IF bearer IS NULL AND request.headers ? 'authorization' THEN
		PERFORM _activity.http_refuse(401, 'bad_token', 'the Authorization field must be "Bearer" and a token');
	ELSIF coalesce(bearer, cookie) IS NULL THEN
		PERFORM _activity.http_refuse(401, 'no_token', 'there is no token in the request', NULL,
			'Send Authorization: Bearer with a token.');
	END IF;
	token := _activity.find_token(sha256(convert_to(coalesce(bearer, cookie), 'UTF8')));
	IF token.id IS NULL OR (token.kind = 'session') <> (bearer IS NULL) THEN
		PERFORM _activity.http_refuse(401, 'bad_token', 'the token is not valid');
	END IF;
	IF bearer IS NULL AND request.method NOT IN ('GET', 'HEAD') AND NOT request.headers ? 'x-activity-request' THEN
		PERFORM _activity.http_refuse(403, 'foreign_page', 'a request with a cookie that changes something needs the header X-Activity-Request');
	END IF;
	IF token.organization IS NOT NULL THEN
		SELECT o.id INTO owner FROM _activity.organization o WHERE o.key = token.organization LIMIT 1;
		IF request.organization IS DISTINCT FROM owner AND request.organization IS NOT NULL THEN
			PERFORM _activity.http_refuse(403, 'wrong_organization', 'the token does not open this organization');
		END IF;
		request.organization := owner;
	END IF;
	request.token := token.id;
	request.kind := token.kind;
	request.member := token.member;
	request.label := token.label;
	request.expires_at := token.expires_at;
	request.capabilities := token.capabilities;
	IF token.member IS NOT NULL THEN
		request.role := _activity.member_role(owner, token.member);
		IF request.role IS NULL THEN
			PERFORM _activity.http_refuse(403, 'not_a_member', 'you are no active member of this organization');
		END IF;
		IF token.kind = 'session' THEN
			request.capabilities := _activity.role_capabilities(request.role);
		END IF;
	END IF;
	IF route_capability <> '' AND route_capability <> ALL (request.capabilities) THEN
		PERFORM _activity.http_refuse(403, 'missing_capability', format('this needs the capability "%s"', route_capability));
	END IF;
	IF route_feature IS NOT NULL AND NOT _activity.tier_allows(route_feature, request.organization) THEN
		PERFORM _activity.http_refuse(403, 'tier', format('the organization''s tier does not include the feature "%s"', route_feature),
			NULL, format('It begins with tier %s.', (SELECT f.tier FROM activity.features f WHERE f.feature = route_feature)));
	END IF;
	RETURN request;
END
$$;
COMMENT ON FUNCTION _activity.http_identify(_activity.http_request, text, text) IS
	'the request with who calls; refused unless he may';

-- Who acts is whose token it is; for this call alone.
CREATE FUNCTION _activity.http_act(handler text, request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET activity.actor_id = '' SET activity.actor_kind = '' SET activity.actor_name = '' SET activity.context = ''
SET activity.on_behalf_of_id = '' SET activity.on_behalf_of_kind = '' SET activity.on_behalf_of_name = ''
AS $$
BEGIN
	IF request.member IS NOT NULL THEN
		PERFORM activity.set_actor(request.member);
	ELSIF request.token IS NOT NULL THEN
		PERFORM activity.set_actor(request.token::text, 'token', request.label);
	END IF;
	RETURN _activity.http_call(handler, request);
END
$$;
COMMENT ON FUNCTION _activity.http_act(text, _activity.http_request) IS
	'what the handler answers, with the caller as the actor of what is recorded';
