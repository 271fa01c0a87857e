-- Webhooks: sending again, and the two functions that a consumer needs.

CREATE FUNCTION activity.retry_delivery(delivery_id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted   record;
	endpoint _activity.webhook_endpoint;
	found_at timestamptz;
BEGIN
	PERFORM _activity.check_webhook_tables();
	wanted := _activity.webhook_delivery_key(delivery_id);
	SELECT d.created_at INTO found_at FROM _activity.webhook_delivery d
	WHERE d.endpoint = wanted.endpoint AND d.position = wanted.position;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'delivery "%" does not exist', delivery_id
			USING ERRCODE = 'undefined_object',
				  HINT = 'See activity.webhook_deliveries.';
	END IF;
	endpoint := _activity.lock_webhook_row((SELECT e.id FROM _activity.webhook_endpoint e
		WHERE e.key = wanted.endpoint));
	RETURN _activity.queue_webhook(endpoint.key, ARRAY[wanted.position], ARRAY[found_at], false) = 1;
END
$$;
COMMENT ON FUNCTION activity.retry_delivery(uuid) IS
	'owes a delivery again at once, delivered or dead or waiting; false if it is on its way already';

-- What an endpoint's patterns match of a time, as deliveries of their own where
-- there are none, and owed; how many.
CREATE FUNCTION _activity.redeliver(endpoint_id uuid, since timestamptz, until timestamptz,
	unless_delivered boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
	present  timestamptz := _activity.webhook_now();
	codes    integer[] := _activity.webhook_codes(endpoint.event_types);
	places   bigint[];
	times    timestamptz[];
BEGIN
	IF since IS NULL OR since >= coalesce(until, 'infinity') THEN
		RAISE EXCEPTION 'since must be before until'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	INSERT INTO _activity.webhook_delivery (position, created_at, endpoint, type, event, requested)
	SELECT s.position, present, endpoint.key, e.type, e.id, true
	FROM _activity.event e
	JOIN _activity.stream s ON s.organization = e.organization AND s.id = e.id
	WHERE e.organization = endpoint.organization
	  AND e.occurred_at >= since AND e.occurred_at < coalesce(until, 'infinity')
	  AND e.type = ANY (codes)
	  AND NOT EXISTS (
		SELECT FROM _activity.webhook_delivery d
		WHERE d.endpoint = endpoint.key AND d.position = s.position);

	SELECT array_agg(d.position ORDER BY d.position), array_agg(d.created_at ORDER BY d.position)
	INTO places, times
	FROM _activity.webhook_delivery d
	WHERE d.endpoint = endpoint.key AND d.position > 0 AND d.type = ANY (codes)
	  AND activity.event_time(d.event) >= since
	  AND activity.event_time(d.event) < coalesce(until, 'infinity');
	RETURN coalesce(_activity.queue_webhook(endpoint.key, places, times, unless_delivered), 0);
END
$$;
COMMENT ON FUNCTION _activity.redeliver(uuid, timestamptz, timestamptz, boolean) IS
	'owes an endpoint the events of a time; how many';

CREATE FUNCTION activity.recover_webhook(endpoint_id uuid, since timestamptz, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.redeliver(endpoint_id, since, until, true);
END
$$;
COMMENT ON FUNCTION activity.recover_webhook(uuid, timestamptz, timestamptz) IS
	'owes the endpoint every matching event of that time that was not delivered to it: dead ones, and those from before it existed or while it was disabled; how many';

CREATE FUNCTION activity.replay_webhook(endpoint_id uuid, since timestamptz, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.redeliver(endpoint_id, since, until, false);
END
$$;
COMMENT ON FUNCTION activity.replay_webhook(uuid, timestamptz, timestamptz) IS
	'owes the endpoint every matching event of that time, delivered before or not; how many';

CREATE FUNCTION activity.claim_deliveries(max_deliveries integer DEFAULT 100, lease interval DEFAULT '60 seconds')
RETURNS TABLE (delivery_id uuid, attempt integer, url text, headers jsonb, body text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT ROWS 100 AS 'MODULE_PATHNAME', 'act_claim_deliveries';
COMMENT ON FUNCTION activity.claim_deliveries(integer, interval) IS
	'what to send now, signed: POST body to url with headers, then report_delivery(); what is not reported before its lease ends is owed again';

CREATE FUNCTION activity.report_delivery(delivery_id uuid, attempt integer, status_code integer,
	error text DEFAULT NULL, duration interval DEFAULT NULL, response_body text DEFAULT NULL,
	retry_after interval DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_report_delivery';
COMMENT ON FUNCTION activity.report_delivery(uuid, integer, integer, text, interval, text, interval) IS
	'what came of an attempt; status_code is null when no answer came, -1 when the sender itself failed; false if the lease was lost before';

CREATE FUNCTION activity.retry_after(header text) RETURNS interval
	LANGUAGE c VOLATILE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'act_retry_after';
COMMENT ON FUNCTION activity.retry_after(text) IS
	'the value of a Retry-After header, seconds or a date of HTTP, as the time from now; null if it is neither';

CREATE FUNCTION activity.verify_webhook_signature(headers jsonb, body text, secret text,
	tolerance interval DEFAULT '5 minutes') RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'act_verify_webhook_signature';
COMMENT ON FUNCTION activity.verify_webhook_signature(jsonb, text, text, interval) IS
	'whether a message that came in was signed with this secret, within tolerance of now';
