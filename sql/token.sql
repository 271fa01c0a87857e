-- Tokens of the HTTP API, and the dashboard's codes and sessions.

-- What somebody shows, known by its SHA-256 digest only. A code makes one session
-- and is gone then. A member's is worth nothing from the moment that the membership
-- ends, whatever stands here.
CREATE TABLE _activity.token (
	id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	kind         text        NOT NULL, -- token, session or code
	organization integer,              -- null: a service's, of all organizations
	member       text,                 -- null: of nobody in particular
	capabilities text[]      NOT NULL, -- of sessions: by the member's role, when it is used
	label        text,
	digest       bytea       NOT NULL UNIQUE,
	last_four    text        NOT NULL,
	created_at   timestamptz NOT NULL,
	created_by   text        NOT NULL,
	expires_at   timestamptz,
	revoked_at   timestamptz,
	last_used_at timestamptz
);
CREATE INDEX token_organization ON _activity.token (organization);
SELECT pg_catalog.pg_extension_config_dump('_activity.token', 'WHERE kind = ''token''');

CREATE FUNCTION _activity.organization_key(organization text) RETURNS integer
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_organization_key';
COMMENT ON FUNCTION _activity.organization_key(text) IS
	'the key of an organization, made if need be; errors: 22023 for what is no id';

CREATE FUNCTION _activity.tier_allows(feature text, organization text) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'act_tier_allows_feature';
COMMENT ON FUNCTION _activity.tier_allows(text, text) IS
	'whether the organization''s tier opens the feature; errors: 22023 for no feature';

CREATE FUNCTION _activity.member_role(organization text, member text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_member_role';
COMMENT ON FUNCTION _activity.member_role(text, text) IS
	'the role of an active member, empty if no tracked table says it; null for who is none';

CREATE FUNCTION _activity.capabilities() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['read', 'analytics', 'export', 'stream', 'record', 'webhooks', 'administer'];
COMMENT ON FUNCTION _activity.capabilities() IS
	'what a token can be good for';

-- What a member may do in the dashboard.
CREATE FUNCTION _activity.role_capabilities(role text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN lower(role) IN ('owner', 'admin', 'administrator')
	THEN ARRAY['read', 'analytics', 'export', 'stream', 'webhooks', 'administer']
	ELSE ARRAY['read', 'analytics', 'export', 'stream'] END;
COMMENT ON FUNCTION _activity.role_capabilities(text) IS
	'the capabilities of a session of a member with this role';

CREATE FUNCTION _activity.base64url(bytes bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN translate(rtrim(encode(bytes, 'base64'), '='), E'+/\n', '-_');
COMMENT ON FUNCTION _activity.base64url(bytea) IS
	'base64 as URLs take it, without its padding (RFC 4648, 5)';

-- Found by the digest's index, which tells nothing of any secret (connection.sql says
-- why). What is unknown, revoked and expired looks the same to whoever calls.
CREATE FUNCTION _activity.find_token(digest bytea) RETURNS _activity.token
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	token _activity.token;
BEGIN
	SELECT t.* INTO token FROM _activity.token t WHERE t.digest = find_token.digest;
	IF NOT FOUND OR token.kind = 'code' OR token.revoked_at IS NOT NULL
		OR token.expires_at <= clock_timestamp() THEN
		RETURN NULL;
	END IF;
	-- At most once a minute, and never by waiting for somebody.
	IF (token.last_used_at IS NULL OR token.last_used_at < clock_timestamp() - interval '1 minute')
		AND NOT current_setting('transaction_read_only')::boolean THEN
		PERFORM _activity.check_tables('token');
		UPDATE _activity.token t SET last_used_at = clock_timestamp()
		WHERE t.id = (SELECT k.id FROM _activity.token k WHERE k.id = token.id FOR UPDATE SKIP LOCKED);
	END IF;
	RETURN token;
END
$$;
COMMENT ON FUNCTION _activity.find_token(bytea) IS
	'the valid token or session whose SHA-256 digest this is; null if there is none';

CREATE FUNCTION activity.create_token(organization text, member text DEFAULT NULL,
	capabilities text[] DEFAULT '{read}', label text DEFAULT NULL, expires_at timestamptz DEFAULT NULL)
RETURNS TABLE (token_id uuid, token text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 1
AS $$
#variable_conflict use_column
DECLARE
	unknown text;
BEGIN
	PERFORM _activity.check_tables('token');
	IF create_token.organization IS NULL AND create_token.member IS NOT NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a token of all organizations is no member''s';
	END IF;
	IF coalesce(cardinality(create_token.capabilities), 0) = 0 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a token needs a capability',
			HINT = 'They are ' || array_to_string(_activity.capabilities(), ', ') || '.';
	END IF;
	SELECT word INTO unknown FROM unnest(create_token.capabilities) word
	WHERE (word = ANY (_activity.capabilities())) IS NOT TRUE LIMIT 1;
	IF FOUND THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there is no capability "%s"', unknown),
			HINT = 'They are ' || array_to_string(_activity.capabilities(), ', ') || '.';
	END IF;
	IF length(create_token.label) > 200 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the label is longer than 200 characters';
	END IF;
	IF create_token.expires_at <= clock_timestamp() THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the token would have expired already';
	END IF;
	IF create_token.member IS NOT NULL THEN
		PERFORM _activity.require_member(create_token.organization, create_token.member);
	END IF;

	-- Some SDKs decode a key before they send it, and want these claims. They grant
	-- nothing: the whole is known by its digest.
	token := format('act:%s.%s.%s',
		_activity.base64url(convert_to('{"alg":"none","typ":"opaque"}', 'UTF8')),
		_activity.base64url(convert_to(jsonb_build_object(
			'sub', left(coalesce(create_token.member, create_token.organization, 'service'), 255),
			'o11y', 'none')::text, 'UTF8')),
		_activity.make_secret(''));
	INSERT INTO _activity.token AS t (kind, organization, member, capabilities, label, digest, last_four,
		created_at, created_by, expires_at)
	VALUES ('token', _activity.organization_key(create_token.organization), create_token.member,
		ARRAY(SELECT DISTINCT word FROM unnest(create_token.capabilities) word ORDER BY word),
		create_token.label, sha256(convert_to(token, 'UTF8')), right(token, 4), clock_timestamp(),
		coalesce(nullif(current_setting('activity.actor_id', true), ''), session_user), create_token.expires_at)
	RETURNING t.id INTO token_id;
	IF create_token.organization IS NOT NULL THEN
		PERFORM _activity.record_own(create_token.organization, 'compliance.token_created',
			jsonb_build_object('kind', 'token', 'id', token_id::text),
			jsonb_strip_nulls(jsonb_build_object('label', create_token.label, 'member_id', create_token.member,
				'capabilities', create_token.capabilities, 'expires_at', create_token.expires_at)), NULL);
	END IF;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION activity.create_token(text, text, text[], text, timestamptz) IS
	'a token for the HTTP API, shown this once; of a member it sees what the member may, and nothing when the membership ends; without an organization it is a service''s, of all; errors: AC008 no active member, 22023';

CREATE FUNCTION activity.revoke_token(token_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	revoked _activity.token;
	owner   text;
BEGIN
	PERFORM _activity.check_tables('token');
	SELECT t.* INTO revoked FROM _activity.token t
	WHERE t.id = revoke_token.token_id AND t.kind = 'token' FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'token "%" does not exist', token_id
			USING ERRCODE = 'undefined_object', HINT = 'See activity.tokens.';
	END IF;
	IF revoked.revoked_at IS NOT NULL THEN
		RETURN;
	END IF;
	UPDATE _activity.token t SET revoked_at = clock_timestamp() WHERE t.id = revoked.id;
	PERFORM _activity.tell_connection(revoked.id);
	SELECT o.id INTO owner FROM _activity.organization o WHERE o.key = revoked.organization LIMIT 1;
	IF FOUND THEN
		PERFORM _activity.record_own(owner, 'compliance.token_revoked',
			jsonb_build_object('kind', 'token', 'id', revoked.id::text),
			jsonb_strip_nulls(jsonb_build_object('label', revoked.label, 'member_id', revoked.member)), NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION activity.revoke_token(uuid) IS
	'ends a token for good; streams that it opened close; errors: 42704';

CREATE VIEW activity.tokens WITH (security_barrier) AS
SELECT t.id AS token_id,
	(SELECT o.id FROM _activity.organization o WHERE o.key = t.organization LIMIT 1) COLLATE "default" AS organization,
	t.member, t.capabilities, t.label, t.last_four, t.created_at, t.created_by, t.expires_at, t.last_used_at,
	CASE WHEN t.revoked_at IS NOT NULL THEN 'revoked'
		 WHEN t.expires_at <= clock_timestamp() THEN 'expired'
		 ELSE 'active' END AS status,
	t.revoked_at
FROM _activity.token t
WHERE t.kind = 'token';
COMMENT ON VIEW activity.tokens IS
	'the tokens of the HTTP API, without the tokens; organization is null for those of all';

CREATE FUNCTION activity.dashboard_link(organization text, member text, valid_for interval DEFAULT '5 minutes')
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	code text := _activity.make_secret('');
BEGIN
	PERFORM _activity.check_tables('token');
	IF dashboard_link.organization IS NULL OR dashboard_link.member IS NULL OR valid_for IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'organization, member and valid_for must not be null';
	END IF;
	IF valid_for <= interval '0' OR valid_for > interval '1 day' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a link is valid for up to a day';
	END IF;
	PERFORM _activity.require_member(dashboard_link.organization, dashboard_link.member);
	DELETE FROM _activity.token t
	WHERE t.kind IN ('code', 'session') AND t.expires_at < clock_timestamp() - interval '1 hour';
	INSERT INTO _activity.token (kind, organization, member, capabilities, digest, last_four, created_at, created_by, expires_at)
	VALUES ('code', _activity.organization_key(dashboard_link.organization), dashboard_link.member, '{}',
		sha256(convert_to(code, 'UTF8')), right(code, 4), clock_timestamp(), session_user, clock_timestamp() + valid_for);
	RETURN rtrim(current_setting('activity.gateway_url'), '/') || '/#/enter/' || code;
END
$$;
COMMENT ON FUNCTION activity.dashboard_link(text, text, interval) IS
	'where to send a member who has signed in to the application: it opens the dashboard once, as this member; errors: AC008 no active member, 22023';
