-- What the gateway calls. Each call about a stream brings the SHA-256 digest of a
-- secret that somebody showed, so that the gateway's role alone reads nothing; and
-- the secrets themselves are in no statement that a server may log.

-- A connection's secret, a token, or the dashboard's session. Somebody else's
-- organization is refused like one that does not exist.
CREATE FUNCTION _activity.serve_caller(organization text, digest bytea, OUT caller uuid, OUT member text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_one record;
	token     _activity.token;
	owner     text := organization;
	opens     boolean := true;
BEGIN
	token := CASE WHEN EXISTS (SELECT FROM _activity.connection c WHERE c.digest = serve_caller.digest)
		THEN NULL ELSE _activity.find_token(digest) END;
	IF token.id IS NULL THEN
		found_one := _activity.authenticate_digest(digest);
		owner := found_one.organization;
		caller := found_one.connection_id;
		member := found_one.member;
	ELSE
		IF token.organization IS NOT NULL THEN
			SELECT o.id INTO owner FROM _activity.organization o WHERE o.key = token.organization LIMIT 1;
		END IF;
		caller := token.id;
		member := coalesce(token.member, token.id::text);
		opens := token.kind = 'session' OR 'stream' = ANY (token.capabilities);
	END IF;
	IF NOT opens OR organization IS NULL OR owner IS DISTINCT FROM organization THEN
		RAISE EXCEPTION 'the secret does not open this organization'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF token.id IS NOT NULL THEN
		PERFORM _activity.require_feature('stream', organization);
		IF token.member IS NOT NULL THEN
			PERFORM _activity.require_member(organization, token.member);
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.serve_caller(text, bytea) IS
	'who may listen to the organization''s stream with this SHA-256 digest; errors: those of serve_authenticate()';

CREATE FUNCTION activity.serve_authenticate(organization text, digest bytea)
RETURNS TABLE (connection_id uuid, member text, cursor text, "position" bigint, earliest bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 1
AS $$
DECLARE
	who record := _activity.serve_caller(organization, digest);
BEGIN
	RETURN QUERY SELECT who.caller, who.member, h.cursor, h."position", h.earliest
	FROM activity.stream_head(serve_authenticate.organization) h;
END
$$;
COMMENT ON FUNCTION activity.serve_authenticate(text, bytea) IS
	'for the gateway: whose secret, token or session has this SHA-256 digest, and where the stream stands; errors: those of authenticate_connection(), and 42501 for another organization';

CREATE FUNCTION activity.serve_replay(organization text, digest bytea, cursor text,
	event_types text[] DEFAULT NULL, max_events integer DEFAULT 500)
RETURNS TABLE ("position" bigint, cursor_after text, event_type text, event text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 500
AS $$
DECLARE
	most  CONSTANT integer := 256 * 1024;
	bytes integer := 0;
	r     record;
BEGIN
	PERFORM _activity.serve_caller(organization, digest);
	FOR r IN
		SELECT e."position", e.cursor, e.event_type::text AS event_type,
			CASE WHEN e.id IS NOT NULL THEN activity.event_object(ROW(e.id, e.occurred_at, e.event_type,
				e.actor_kind, e.actor_id, e.actor_name, e.subject_kind, e.subject_id, e.subject, e.metadata,
				e.description, e.context, e.on_behalf_of, e.recorded_at)::activity.entry) END AS event
		FROM activity.replay(serve_replay.organization, serve_replay.cursor,
			serve_replay.event_types, serve_replay.max_events) e
	LOOP
		"position" := r."position";
		cursor_after := r.cursor;
		event_type := r.event_type;
		event := r.event;
		RETURN NEXT;
		bytes := bytes + coalesce(octet_length(r.event), 0);
		EXIT WHEN bytes >= most; -- the next call goes on from there
	END LOOP;
END
$$;
COMMENT ON FUNCTION activity.serve_replay(text, bytea, text, text[], integer) IS
	'for the gateway: what replay() returns, as event objects, at most 256 kB and one event; an event that is null moves the cursor only; errors: those of serve_authenticate() and replay()';

CREATE FUNCTION activity.serve_filter(event_types text[])
RETURNS TABLE (event_type text, taken boolean)
LANGUAGE c STABLE PARALLEL SAFE STRICT ROWS 100
AS 'MODULE_PATHNAME', 'act_serve_filter';
COMMENT ON FUNCTION activity.serve_filter(text[]) IS
	'for the gateway: every event type that there is, and whether the words of a filter take it; errors: AC001';

CREATE FUNCTION activity.serve_check(organizations text[], digests bytea[])
RETURNS TABLE (number integer, problem text, "position" bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 100
AS $$
DECLARE
	at   bigint;
	last text;
BEGIN
	FOR i IN 1 .. coalesce(cardinality(digests), 0) LOOP
		number := i;
		problem := NULL;
		"position" := NULL;
		BEGIN
			PERFORM _activity.serve_caller(organizations[i], digests[i]);
			IF organizations[i] IS DISTINCT FROM last THEN
				SELECT h."position" INTO at FROM activity.stream_head(organizations[i]) h;
				last := organizations[i];
			END IF;
			"position" := at;
		EXCEPTION WHEN OTHERS THEN
			problem := SQLSTATE;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION activity.serve_check(text[], bytea[]) IS
	'for the gateway: for each of these secrets why it does not open its organization any more, as an SQLSTATE, or null and the newest position of the stream';
