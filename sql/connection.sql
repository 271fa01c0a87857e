-- Connection secrets: who may listen to an organization's stream.

CREATE FUNCTION _activity.require_member(organization text, member text) RETURNS void
	LANGUAGE c STABLE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_require_member';
COMMENT ON FUNCTION _activity.require_member(text, text) IS
	'throws AC008 unless the member is active in the organization';

CREATE FUNCTION activity.create_connection(organization text, member text, label text DEFAULT NULL,
	OUT connection_id uuid, OUT secret text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 1
AS $$
DECLARE
	owner integer;
BEGIN
	PERFORM _activity.check_tables('connection');
	IF organization IS NULL OR member IS NULL THEN
		RAISE EXCEPTION 'organization and member must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	owner := _activity.require_feature('stream', organization);
	PERFORM _activity.require_member(organization, member);
	secret := _activity.make_secret('wss_');
	INSERT INTO _activity.connection (organization, member, label, digest, last_four, created_at)
	VALUES (owner, create_connection.member, create_connection.label,
			sha256(convert_to(secret, 'UTF8')), right(secret, 4), clock_timestamp())
	RETURNING id INTO connection_id;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION activity.create_connection(text, text, text) IS
	'a secret with which this member may listen to the organization''s stream, shown this once; errors: 42501 below tier enterprise, AC008 for somebody who is no active member';

CREATE FUNCTION _activity.tell_connection(connection_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM pg_notify('activity_connection', tell_connection.connection_id::text);
END
$$;
COMMENT ON FUNCTION _activity.tell_connection(uuid) IS
	'tells gateways that a connection''s secret has changed, so that they close its sockets';

CREATE FUNCTION activity.rotate_connection(connection_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	secret text := _activity.make_secret('wss_');
BEGIN
	PERFORM _activity.check_tables('connection');
	UPDATE _activity.connection c
	SET digest = sha256(convert_to(secret, 'UTF8')), last_four = right(secret, 4),
		rotated_at = clock_timestamp()
	WHERE c.id = rotate_connection.connection_id AND c.revoked_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'connection "%" does not exist or is revoked', connection_id
			USING ERRCODE = 'undefined_object', HINT = 'See activity.connections.';
	END IF;
	PERFORM _activity.tell_connection(connection_id);
	RETURN secret;
END
$$;
COMMENT ON FUNCTION activity.rotate_connection(uuid) IS
	'a new secret for a connection, shown this once; the old one stops working at once';

CREATE FUNCTION activity.revoke_connection(connection_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_tables('connection');
	UPDATE _activity.connection c SET revoked_at = coalesce(c.revoked_at, clock_timestamp())
	WHERE c.id = revoke_connection.connection_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'connection "%" does not exist', connection_id
			USING ERRCODE = 'undefined_object', HINT = 'See activity.connections.';
	END IF;
	PERFORM _activity.tell_connection(connection_id);
END
$$;
COMMENT ON FUNCTION activity.revoke_connection(uuid) IS
	'ends a connection for good; live sockets close';

-- Found by the digest's index: how long that takes tells something about the
-- digest of what was sent, which says nothing about any secret. The digests are
-- then compared whole.
CREATE FUNCTION _activity.authenticate_digest(digest bytea, OUT connection_id uuid,
	OUT organization text, OUT member text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_one _activity.connection;
BEGIN
	PERFORM _activity.check_tables('connection', 'organization');
	SELECT c.* INTO found_one FROM _activity.connection c
	WHERE c.digest = authenticate_digest.digest;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'connection secret is not valid'
			USING ERRCODE = 'invalid_password';
	END IF;
	IF found_one.revoked_at IS NOT NULL THEN
		RAISE EXCEPTION 'connection is revoked' USING ERRCODE = 'AC021',
			HINT = 'Make another one with activity.create_connection().';
	END IF;
	connection_id := found_one.id;
	member := found_one.member;
	SELECT o.id INTO organization FROM _activity.organization o
	WHERE o.key = found_one.organization LIMIT 1;
	PERFORM _activity.require_feature('stream', organization);
	PERFORM _activity.require_member(organization, member);

	-- At most once a minute, and never by waiting for somebody.
	IF (found_one.last_used_at IS NULL OR found_one.last_used_at < clock_timestamp() - interval '1 minute')
		AND NOT current_setting('transaction_read_only')::boolean THEN
		UPDATE _activity.connection c SET last_used_at = clock_timestamp()
		WHERE c.id = (SELECT k.id FROM _activity.connection k
					  WHERE k.id = found_one.id FOR UPDATE SKIP LOCKED);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.authenticate_digest(bytea) IS
	'whose secret has this SHA-256 digest; errors: those of activity.authenticate_connection()';

CREATE FUNCTION activity.authenticate_connection(secret text, OUT connection_id uuid,
	OUT organization text, OUT member text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 1
AS $$
BEGIN
	SELECT a.* INTO connection_id, organization, member
	FROM _activity.authenticate_digest(sha256(convert_to(authenticate_connection.secret, 'UTF8'))) a;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION activity.authenticate_connection(text) IS
	'whose secret this is; errors: 28P01 for one that is not valid, AC021 for a revoked one, 42501 when the tier was lost, AC008 when the membership was';

CREATE VIEW activity.connections WITH (security_barrier) AS
SELECT c.id AS connection_id, o.id COLLATE "default" AS organization, c.member, c.label,
	c.last_four, c.created_at, c.rotated_at, c.last_used_at,
	CASE WHEN c.revoked_at IS NULL THEN 'active' ELSE 'revoked' END AS status,
	c.revoked_at
FROM _activity.connection c
CROSS JOIN LATERAL (
	SELECT o.id FROM _activity.organization o WHERE o.key = c.organization LIMIT 1) o;
COMMENT ON VIEW activity.connections IS
	'the secrets for the stream, without the secrets';

CREATE FUNCTION _activity.encode_url(part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
BEGIN ATOMIC
	-- Each byte by itself, before they are put in order: neither the conversion nor
	-- the sort has the whole text once for each byte.
	WITH b AS MATERIALIZED (SELECT convert_to(encode_url.part, 'UTF8') AS bytes)
	SELECT coalesce(string_agg(c.piece, '' ORDER BY c.i), '')
	FROM (SELECT i, CASE WHEN chr(get_byte(b.bytes, i)) ~ '^[A-Za-z0-9._~-]$' THEN chr(get_byte(b.bytes, i))
			ELSE '%' || upper(lpad(to_hex(get_byte(b.bytes, i)), 2, '0')) END AS piece
		FROM b, generate_series(0, octet_length(b.bytes) - 1) i OFFSET 0) c;
END;
COMMENT ON FUNCTION _activity.encode_url(text) IS
	'the text as a part of a URL''s path';

CREATE FUNCTION activity.connection_guide(organization text, member text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base   text;
	http   text;
	socket text;
	path   text;
BEGIN
	-- The setting is there once the library is loaded.
	PERFORM _activity.require_member(organization, member);
	base := rtrim(current_setting('activity.gateway_url'), '/');
	http := regexp_replace(base, '^ws', 'http');
	socket := regexp_replace(base, '^http', 'ws');
	path := '/api/v1/organizations/' || _activity.encode_url(organization) || '/stream';
	RETURN format($guide$# Paste this into a shell that has psql and curl.

# 1. A secret for the stream. It is shown once; here it goes into a variable.
ACTIVITY_SECRET=$(psql -XAtqc %s)

# 2. Every event as it happens (Server-Sent Events). End it with Ctrl-C.
curl --no-buffer -H "Authorization: Bearer $ACTIVITY_SECRET" -H 'Accept: text/event-stream' '%s'

# 3. The same in a browser or in Node.js 22, by WebSocket:
#
#    const socket = new WebSocket(%s,
#        ['activity.v1', 'activity.auth.' + secret]);
#    socket.onopen = () => socket.send('{"op":"subscribe","cursor":"now"}');
#    socket.onmessage = (message) => console.log(JSON.parse(message.data));
$guide$,
		'''' || replace(format('SELECT secret FROM activity.create_connection(%L, %L, ''guide'')',
							   organization, member), '''', '''\''''') || '''',
		http || path, to_json(socket || path));
END
$$;
COMMENT ON FUNCTION activity.connection_guide(text, text) IS
	'how this member connects to the stream, as lines to paste into a shell';
