-- The HTTP API: webhooks.

CREATE FUNCTION _activity.http_endpoint(request _activity.http_request) RETURNS _activity.webhook_endpoint
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint;
BEGIN
	IF _activity.is_uuid(request.id) THEN
		SELECT e.* INTO endpoint FROM _activity.webhook_endpoint e
		WHERE e.id = request.id::uuid AND e.deleted_at IS NULL
		  AND EXISTS (SELECT FROM _activity.organization o WHERE o.key = e.organization AND o.id = request.organization);
	END IF;
	IF endpoint.key IS NULL THEN
		PERFORM _activity.http_refuse(404, 'not_found', 'there is no such webhook in this organization');
	END IF;
	RETURN endpoint;
END
$$;
COMMENT ON FUNCTION _activity.http_endpoint(_activity.http_request) IS
	'the endpoint that the path names, if it is the organization''s';

CREATE FUNCTION _activity.http_webhook_json(endpoint_id uuid, secret text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT json_build_object('id', w.endpoint_id, 'url', w.url, 'eventTypes', coalesce(w.event_types, '{}'), 'description', w.description,
		'enabled', w.status <> 'disabled', 'status', w.status, 'reason', w.reason,
		'secretHint', (SELECT right(s.secret, 4) FROM _activity.webhook_secret s JOIN _activity.webhook_endpoint e ON e.key = s.endpoint
			WHERE e.id = w.endpoint_id ORDER BY s.number DESC LIMIT 1),
		'createdAt', _activity.http_time_text(w.created_at), 'disabledAt', _activity.http_time_text(w.disabled_at),
		'quarantinedAt', _activity.http_time_text(w.quarantined_at), 'nextProbeAt', _activity.http_time_text(w.next_probe_at),
		'failures', w.failures, 'failingSince', _activity.http_time_text(w.failing_since),
		'lastSuccessAt', _activity.http_time_text(w.last_success_at), 'inFlight', w.in_flight)::jsonb
		|| CASE WHEN secret IS NULL THEN '{}' ELSE jsonb_build_object('secret', secret) END
	FROM activity.webhook_endpoints w WHERE w.endpoint_id = $1
$$;
COMMENT ON FUNCTION _activity.http_webhook_json(uuid, text) IS
	'a webhook as answers have it; with its secret when that is made';

CREATE FUNCTION _activity.http_webhooks(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT coalesce('[' || string_agg(_activity.http_webhook_json(e.id), ',' ORDER BY e.created_at, e.key) || ']', '[]')
		FROM _activity.webhook_endpoint e
		WHERE e.deleted_at IS NULL
		  AND e.organization IN (SELECT o.key FROM _activity.organization o WHERE o.id = request.organization)));
END
$$;
COMMENT ON FUNCTION _activity.http_webhooks(_activity.http_request) IS
	'GET /webhooks';

CREATE FUNCTION _activity.http_webhook(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json(_activity.http_webhook_json((_activity.http_endpoint(request)).id));
END
$$;
COMMENT ON FUNCTION _activity.http_webhook(_activity.http_request) IS
	'GET /webhooks/{id}';

-- Null and an empty list are every type.
CREATE FUNCTION _activity.http_event_types(body jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	list jsonb := _activity.http_field(body, 'eventTypes', 'array');
BEGIN
	IF EXISTS (SELECT FROM jsonb_array_elements(list) e WHERE jsonb_typeof(e) <> 'string') THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"eventTypes" must be an array of strings', 'eventTypes');
	END IF;
	RETURN nullif(_activity.json_texts(list), '{}');
END
$$;
COMMENT ON FUNCTION _activity.http_event_types(jsonb) IS
	'the event types that a body names; null for all';

CREATE FUNCTION _activity.http_webhook_create(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	made record;
BEGIN
	PERFORM _activity.http_check_body(request.body, '{url,eventTypes,description}');
	BEGIN
		SELECT w.* INTO made FROM activity.create_webhook(request.organization,
			_activity.http_field(request.body, 'url', 'string', true)#>>'{}', _activity.http_event_types(request.body),
			_activity.http_field(request.body, 'description', 'string')#>>'{}') w;
	EXCEPTION WHEN program_limit_exceeded THEN
		PERFORM _activity.http_refuse(409, 'too_many', 'the organization has as many webhooks as it may have');
	END;
	RETURN _activity.http_json(_activity.http_webhook_json(made.endpoint_id, made.secret), 201);
END
$$;
COMMENT ON FUNCTION _activity.http_webhook_create(_activity.http_request) IS
	'POST /webhooks';

CREATE FUNCTION _activity.http_webhook_change(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	body     jsonb := request.body;
	endpoint uuid := (_activity.http_endpoint(request)).id;
	types    text[];
	enabled  jsonb;
BEGIN
	PERFORM _activity.http_check_body(body, '{url,eventTypes,description,enabled}');
	types := _activity.http_event_types(body);
	enabled := _activity.http_field(body, 'enabled', 'boolean');
	PERFORM activity.update_webhook(endpoint, _activity.http_field(body, 'url', 'string')#>>'{}', types,
		coalesce(_activity.http_field(body, 'description', 'string')#>>'{}', CASE WHEN body ? 'description' THEN '' END),
		body ? 'eventTypes' AND types IS NULL);
	IF enabled = 'true' THEN
		PERFORM activity.enable_webhook(endpoint);
	ELSIF enabled = 'false' THEN
		PERFORM activity.disable_webhook(endpoint);
	END IF;
	RETURN _activity.http_json(_activity.http_webhook_json(endpoint));
END
$$;
COMMENT ON FUNCTION _activity.http_webhook_change(_activity.http_request) IS
	'PATCH /webhooks/{id}';

CREATE FUNCTION _activity.http_webhook_delete(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM activity.delete_webhook((_activity.http_endpoint(request)).id);
	RETURN ROW(204, '{}', '')::_activity.http_answer;
END
$$;
COMMENT ON FUNCTION _activity.http_webhook_delete(_activity.http_request) IS
	'DELETE /webhooks/{id}';

-- At once, unless the body asks for a time in which both sign.
CREATE FUNCTION _activity.http_webhook_rotate(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint uuid := (_activity.http_endpoint(request)).id;
	seconds  numeric;
BEGIN
	PERFORM _activity.http_check_body(coalesce(request.body, '{}'), '{overlapSeconds}');
	seconds := coalesce((_activity.http_field(request.body, 'overlapSeconds', 'number')#>>'{}')::numeric, 0);
	IF seconds NOT BETWEEN 0 AND 2592000 THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"overlapSeconds" must be from 0 to 2592000', 'overlapSeconds');
	END IF;
	RETURN _activity.http_json(_activity.http_webhook_json(endpoint,
		activity.rotate_webhook_secret(endpoint, make_interval(secs => seconds::float8))));
END
$$;
COMMENT ON FUNCTION _activity.http_webhook_rotate(_activity.http_request) IS
	'POST /webhooks/{id}/rotate-secret';

CREATE FUNCTION _activity.http_webhook_test(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json(json_build_object('deliveryId', activity.test_webhook((_activity.http_endpoint(request)).id))::text, 202);
END
$$;
COMMENT ON FUNCTION _activity.http_webhook_test(_activity.http_request) IS
	'POST /webhooks/{id}/test';

CREATE FUNCTION _activity.http_body_time(body jsonb, name text, required boolean) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	words text := _activity.http_field(body, name, 'string', required)#>>'{}';
BEGIN
	IF words IS NOT NULL AND _activity.http_time(words) IS NULL THEN
		PERFORM _activity.http_refuse(400, 'bad_field', format('"%s" must be a date or a time with its offset', name), name);
	END IF;
	RETURN _activity.http_time(words);
END
$$;
COMMENT ON FUNCTION _activity.http_body_time(jsonb, text, boolean) IS
	'a time in the body of a request';

CREATE FUNCTION _activity.http_redeliver(request _activity.http_request, every_one boolean) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint uuid := (_activity.http_endpoint(request)).id;
	since    timestamptz;
	until    timestamptz;
BEGIN
	PERFORM _activity.http_check_body(request.body, '{from,to}');
	since := _activity.http_body_time(request.body, 'from', true);
	until := _activity.http_body_time(request.body, 'to', false);
	RETURN _activity.http_json(json_build_object('deliveries', CASE WHEN every_one
		THEN activity.replay_webhook(endpoint, since, until) ELSE activity.recover_webhook(endpoint, since, until) END)::text, 202);
END
$$;
COMMENT ON FUNCTION _activity.http_redeliver(_activity.http_request, boolean) IS
	'owes an endpoint the events of a time: every one, or what was not delivered';

CREATE FUNCTION _activity.http_webhook_recover(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT _activity.http_redeliver($1, false) $$;
COMMENT ON FUNCTION _activity.http_webhook_recover(_activity.http_request) IS
	'POST /webhooks/{id}/recover';

CREATE FUNCTION _activity.http_webhook_replay(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT _activity.http_redeliver($1, true) $$;
COMMENT ON FUNCTION _activity.http_webhook_replay(_activity.http_request) IS
	'POST /webhooks/{id}/replay';

CREATE FUNCTION _activity.http_delivery_json(delivery activity.webhook_deliveries) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object('id', delivery.delivery_id, 'webhookId', delivery.endpoint_id, 'eventId', delivery.event_id,
	'eventType', delivery.event_type, 'createdAt', _activity.http_time_text(delivery.created_at),
	'status', CASE delivery.status WHEN 'waiting' THEN 'pending' WHEN 'parked' THEN 'pending' WHEN 'sending' THEN 'in_flight' ELSE delivery.status END,
	'attempts', delivery.attempts, 'nextAttemptAt', _activity.http_time_text(delivery.next_attempt_at),
	'responseStatus', delivery.last_status_code, 'error', delivery.last_error,
	'lastAttemptAt', _activity.http_time_text(delivery.last_reported_at));
COMMENT ON FUNCTION _activity.http_delivery_json(activity.webhook_deliveries) IS
	'a delivery as answers have it';

CREATE FUNCTION _activity.http_deliveries(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p        jsonb := request.parameters;
	endpoint _activity.webhook_endpoint := _activity.http_endpoint(request);
	most     bigint := coalesce((p->>'limit')::bigint, 50);
	number   bigint := coalesce((p->>'page')::bigint, 1);
	states   text[] := CASE p->>'status' WHEN 'pending' THEN '{waiting,parked}' WHEN 'in_flight' THEN '{sending}'
		ELSE ARRAY[p->>'status'] END;
	total    bigint;
	items    json;
BEGIN
	IF p ? 'status' THEN
		SELECT count(*) INTO total FROM activity.webhook_deliveries d WHERE d.endpoint_id = endpoint.id AND d.status = ANY (states);
		SELECT json_agg(page.item) INTO items FROM (
			SELECT _activity.http_delivery_json(d) AS item FROM activity.webhook_deliveries d
			WHERE d.endpoint_id = endpoint.id AND d.status = ANY (states)
			ORDER BY d.created_at DESC, d.delivery_id LIMIT most OFFSET (number - 1) * most) page;
	ELSE
		SELECT count(*) INTO total FROM _activity.webhook_delivery d WHERE d.endpoint = endpoint.key;
		-- The page first, and then what is known of its deliveries.
		WITH page AS MATERIALIZED (
			SELECT d.created_at, _activity.webhook_delivery_id(d.endpoint, d.position, d.created_at) AS id
			FROM _activity.webhook_delivery d WHERE d.endpoint = endpoint.key
			ORDER BY d.created_at DESC, d.position LIMIT most OFFSET (number - 1) * most)
		SELECT json_agg(_activity.http_delivery_json(d) ORDER BY d.created_at DESC, d.delivery_id) INTO items
		FROM activity.webhook_deliveries d
		WHERE d.endpoint_id = endpoint.id AND d.delivery_id IN (SELECT page.id FROM page)
		  AND d.created_at >= (SELECT min(page.created_at) FROM page) AND d.created_at <= (SELECT max(page.created_at) FROM page);
	END IF;
	RETURN _activity.http_json(json_build_object('items', coalesce(items, '[]'), 'total', total, 'page', number, 'limit', most)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_deliveries(_activity.http_request) IS
	'GET /webhooks/{id}/deliveries';

CREATE FUNCTION _activity.http_delivery_row(request _activity.http_request) RETURNS _activity.webhook_delivery
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted   record;
	delivery _activity.webhook_delivery;
BEGIN
	IF _activity.is_uuid(request.id) THEN
		wanted := _activity.webhook_delivery_key(request.id::uuid);
		SELECT d.* INTO delivery FROM _activity.webhook_delivery d
		JOIN _activity.webhook_endpoint e ON e.key = d.endpoint
		WHERE d.endpoint = wanted.endpoint AND d.position = wanted.position AND e.deleted_at IS NULL
		  AND _activity.webhook_delivery_id(d.endpoint, d.position, d.created_at) = request.id::uuid
		  AND EXISTS (SELECT FROM _activity.organization o WHERE o.key = e.organization AND o.id = request.organization);
	END IF;
	IF delivery.endpoint IS NULL THEN
		PERFORM _activity.http_refuse(404, 'not_found', 'there is no such delivery in this organization');
	END IF;
	RETURN delivery;
END
$$;
COMMENT ON FUNCTION _activity.http_delivery_row(_activity.http_request) IS
	'the delivery that the path names, if it is the organization''s';

CREATE FUNCTION _activity.http_delivery(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	delivery _activity.webhook_delivery := _activity.http_delivery_row(request);
	endpoint uuid := (SELECT e.id FROM _activity.webhook_endpoint e WHERE e.key = delivery.endpoint);
	event    json := _activity.http_event(request.organization, delivery.event);
	item     jsonb;
BEGIN
	SELECT _activity.http_delivery_json(d)::jsonb INTO item FROM activity.webhook_deliveries d
	WHERE d.endpoint_id = endpoint AND d.delivery_id = request.id::uuid AND d.created_at = delivery.created_at;
	RETURN _activity.http_json((item || jsonb_build_object(
		'payload', coalesce(delivery.body::jsonb, CASE WHEN event IS NOT NULL THEN
			jsonb_build_object('type', event->>'eventType', 'timestamp', event->>'occurredAt', 'data', event::jsonb) END),
		'tries', (SELECT coalesce(jsonb_agg(jsonb_build_object('attempt', t.attempt, 'sentAt', _activity.http_time_text(nullif(t.claimed_at, 'infinity')),
				'reportedAt', _activity.http_time_text(t.reported_at), 'responseStatus', t.status_code, 'error', t.error,
				'durationMs', round(extract(epoch FROM t.duration) * 1000), 'responseBody', t.response_body, 'probe', t.probe)
				ORDER BY t.reported_at), '[]')
			FROM _activity.webhook_attempt t WHERE t.endpoint = delivery.endpoint AND t.position = delivery.position)))::text);
END
$$;
COMMENT ON FUNCTION _activity.http_delivery(_activity.http_request) IS
	'GET /webhooks/deliveries/{id}';

CREATE FUNCTION _activity.http_delivery_retry(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.http_delivery_row(request);
	RETURN _activity.http_json(json_build_object('id', request.id, 'queued', activity.retry_delivery(request.id::uuid))::text, 202);
END
$$;
COMMENT ON FUNCTION _activity.http_delivery_retry(_activity.http_request) IS
	'POST /webhooks/deliveries/{id}/retry';
