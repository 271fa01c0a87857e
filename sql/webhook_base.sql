-- Webhooks: what the functions for people stand on.

CREATE FUNCTION _activity.webhook_url_problem(url text) RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_url_problem';
COMMENT ON FUNCTION _activity.webhook_url_problem(text) IS
	'why a webhook can''t be sent to this url; null if it can';

CREATE FUNCTION _activity.check_webhook(url text, event_types text[]) RETURNS void
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_webhook_check';
COMMENT ON FUNCTION _activity.check_webhook(text, text[]) IS
	'throws unless url and event types can be those of an endpoint';

CREATE FUNCTION _activity.make_secret(prefix text) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_make_secret';
COMMENT ON FUNCTION _activity.make_secret(text) IS
	'a secret of 32 random bytes: base64 after whsec_, else base64 as URLs take it';

CREATE FUNCTION _activity.webhook_now() RETURNS timestamptz
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_webhook_now';
COMMENT ON FUNCTION _activity.webhook_now() IS
	'the current time of webhooks: the wall clock, moved by activity.clock_offset';

CREATE FUNCTION _activity.lock_webhook(endpoint integer) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_lock';
COMMENT ON FUNCTION _activity.lock_webhook(integer) IS
	'takes the endpoint''s lock until the transaction ends';

CREATE FUNCTION _activity.restart_webhook(endpoint integer) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_restart';
COMMENT ON FUNCTION _activity.restart_webhook(integer) IS
	'forgets an endpoint''s failures, or begins the state of a new one; under its lock';

CREATE FUNCTION _activity.queue_webhook(endpoint integer, positions bigint[], created_at timestamptz[],
	unless_delivered boolean) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_queue';
COMMENT ON FUNCTION _activity.queue_webhook(integer, bigint[], timestamptz[], boolean) IS
	'owes deliveries again from now on, each in a new round of attempts; how many; under the endpoint''s lock';

CREATE FUNCTION _activity.queue_webhook_test(endpoint integer, number bigint) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_queue_test';
COMMENT ON FUNCTION _activity.queue_webhook_test(integer, bigint) IS
	'makes and owes a test delivery; its id; under the endpoint''s lock';

CREATE FUNCTION _activity.webhook_codes(event_types text[]) RETURNS integer[]
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_webhook_codes';
COMMENT ON FUNCTION _activity.webhook_codes(text[]) IS
	'the codes of the event types that an endpoint with these patterns gets';

CREATE FUNCTION _activity.webhook_delivery_id(endpoint integer, "position" bigint, created_at timestamptz)
	RETURNS uuid
	LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_delivery_id';
COMMENT ON FUNCTION _activity.webhook_delivery_id(integer, bigint, timestamptz) IS
	'the public id of a delivery, which holds its endpoint, position and month';

CREATE FUNCTION _activity.webhook_delivery_key(id uuid, OUT endpoint integer, OUT "position" bigint,
	OUT month timestamptz) RETURNS record
	LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_delivery_key';
COMMENT ON FUNCTION _activity.webhook_delivery_key(uuid) IS
	'what the public id of a delivery holds; nulls if it is none';

CREATE FUNCTION _activity.deliver(organization integer, type integer, "position" bigint, event uuid)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_webhook_deliver';
COMMENT ON FUNCTION _activity.deliver(integer, integer, bigint, uuid) IS
	'what the publisher does for one event that it has given a position; for tests';

CREATE FUNCTION _activity.require_feature(feature text, organization text) RETURNS integer
	LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_require_feature';
COMMENT ON FUNCTION _activity.require_feature(text, text) IS
	'the organization''s key; throws 42501 unless its tier allows the feature';

CREATE FUNCTION _activity.webhook_endpoint_changed() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_webhook_endpoint_changed';
COMMENT ON FUNCTION _activity.webhook_endpoint_changed() IS
	'makes every backend read the endpoints anew';
CREATE TRIGGER webhook_endpoint_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _activity.webhook_endpoint
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.webhook_endpoint_changed();
ALTER TABLE _activity.webhook_endpoint ENABLE ALWAYS TRIGGER webhook_endpoint_changed;

CREATE FUNCTION _activity.check_webhook_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_tables('organization', 'webhook_endpoint', 'webhook_secret',
		'webhook_state', 'webhook_retry', 'webhook_delivery', 'webhook_attempt');
END
$$;
COMMENT ON FUNCTION _activity.check_webhook_tables() IS
	'check_tables() of what the functions for endpoints read and write';

-- Locks the endpoint and returns its row as it is then.
CREATE FUNCTION _activity.lock_webhook_row(endpoint_id uuid) RETURNS _activity.webhook_endpoint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint;
BEGIN
	PERFORM _activity.check_webhook_tables();
	SELECT e.* INTO endpoint FROM _activity.webhook_endpoint e
	WHERE e.id = lock_webhook_row.endpoint_id AND e.deleted_at IS NULL;
	IF FOUND THEN
		PERFORM _activity.lock_webhook(endpoint.key);
		SELECT e.* INTO endpoint FROM _activity.webhook_endpoint e
		WHERE e.id = lock_webhook_row.endpoint_id AND e.deleted_at IS NULL;
	END IF;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'webhook endpoint "%" does not exist', endpoint_id
			USING ERRCODE = 'undefined_object',
				  HINT = 'See activity.webhook_endpoints.';
	END IF;
	RETURN endpoint;
END
$$;
COMMENT ON FUNCTION _activity.lock_webhook_row(uuid) IS
	'an endpoint''s row, with its lock taken; throws 42704';

CREATE FUNCTION _activity.record_webhook(endpoint _activity.webhook_endpoint, event_type text,
	metadata jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM activity.record(
		(SELECT o.id FROM _activity.organization o
		 WHERE o.key = endpoint.organization LIMIT 1),
		record_webhook.event_type::activity.event_type,
		jsonb_build_object('kind', 'webhook', 'id', endpoint.id, 'url', endpoint.url),
		record_webhook.metadata);
END
$$;
COMMENT ON FUNCTION _activity.record_webhook(_activity.webhook_endpoint, text, jsonb) IS
	'records that an endpoint was changed';
