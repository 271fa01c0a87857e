-- The HTTP API: the same request twice, and answers that are known already.

-- What was answered to a key, for a day. Of an event only its id is kept, and of a
-- secret nothing: neither is to be found here by whoever may not see it, or after
-- it was erased.
CREATE TABLE _activity.idempotency (
	token      uuid        NOT NULL,
	key        text        NOT NULL COLLATE "C",
	digest     bytea       NOT NULL, -- of the request
	created_at timestamptz NOT NULL,
	status     integer,
	event      uuid,
	body       text,
	PRIMARY KEY (token, key)
);
CREATE INDEX idempotency_created ON _activity.idempotency (created_at);

CREATE FUNCTION _activity.forget_answers(most bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	forgotten bigint;
BEGIN
	PERFORM _activity.check_tables('idempotency');
	DELETE FROM _activity.idempotency i WHERE i.ctid = ANY (ARRAY(
		SELECT o.ctid FROM _activity.idempotency o WHERE o.created_at < clock_timestamp() - interval '1 day'
		ORDER BY o.created_at LIMIT forget_answers.most FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS forgotten = ROW_COUNT;
	RETURN forgotten;
END
$$;
COMMENT ON FUNCTION _activity.forget_answers(bigint) IS
	'forgets answers to an Idempotency-Key of a day ago, so many at most; how many';

-- Who comes second waits here until the first has committed.
CREATE FUNCTION _activity.http_once(handler text, request _activity.http_request, target text) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_key text := request.headers->>'idempotency-key';
	its_digest bytea := sha256(convert_to(concat_ws(E'\n', request.method, target, to_json(request.organization), request.body), 'UTF8'));
	known   _activity.idempotency;
	answer  _activity.http_answer;
BEGIN
	IF length(its_key) NOT BETWEEN 1 AND 255 THEN
		PERFORM _activity.http_refuse(400, 'bad_idempotency_key', 'the Idempotency-Key must have 1 to 255 characters');
	END IF;
	PERFORM _activity.forget_answers(10);
	INSERT INTO _activity.idempotency (token, key, digest, created_at)
	VALUES (request.token, its_key, its_digest, clock_timestamp()) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		SELECT i.* INTO known FROM _activity.idempotency i WHERE i.token = request.token AND i.key = its_key;
		IF known.digest IS DISTINCT FROM its_digest THEN
			PERFORM _activity.http_refuse(422, 'idempotency_mismatch', 'this Idempotency-Key was used for another request');
		END IF;
		IF known.event IS NOT NULL THEN
			RETURN _activity.http_json(_activity.http_event(request.organization, known.event), 200, '{"idempotency-replayed": "true"}');
		END IF;
		RETURN _activity.http_json(known.body, known.status, '{"idempotency-replayed": "true"}');
	END IF;
	answer := _activity.http_act(handler, request);
	UPDATE _activity.idempotency i
	SET status = answer.status, event = CASE handler WHEN 'http_record' THEN (answer.body::json->>'id')::uuid END,
		body = CASE WHEN handler <> 'http_record' THEN (answer.body::jsonb - 'secret')::text END
	WHERE i.token = request.token AND i.key = its_key;
	RETURN answer;
END
$$;
COMMENT ON FUNCTION _activity.http_once(text, _activity.http_request, text) IS
	'what the handler answers, or has answered to the same Idempotency-Key';

CREATE FUNCTION _activity.http_fresh(request _activity.http_request, answer _activity.http_answer) RETURNS _activity.http_answer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tag   text;
	known text := request.headers->>'if-none-match';
BEGIN
	IF answer.status <> 200 OR answer.headers->>'content-type' <> 'application/json' THEN
		RETURN answer;
	END IF;
	tag := '"' || to_hex(hashtextextended(answer.body, 0)) || '-' || to_hex(length(answer.body)) || '"';
	answer.headers := answer.headers || jsonb_build_object('etag', tag);
	IF position(tag IN known) > 0 OR btrim(known) = '*' THEN
		answer.status := 304;
		answer.headers := answer.headers - 'content-type';
		answer.body := '';
	END IF;
	RETURN answer;
END
$$;
COMMENT ON FUNCTION _activity.http_fresh(_activity.http_request, _activity.http_answer) IS
	'the answer with its ETag, or 304 for who has it';
