-- Webhooks: managing endpoints.

CREATE FUNCTION activity.create_webhook(organization text, url text, event_types text[] DEFAULT NULL,
	description text DEFAULT NULL, OUT endpoint_id uuid, OUT secret text) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
ROWS 1
AS $$
DECLARE
	endpoint _activity.webhook_endpoint;
BEGIN
	IF organization IS NULL THEN
		RAISE EXCEPTION 'organization must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM _activity.check_webhook_tables();
	PERFORM _activity.check_webhook(url, event_types);
	endpoint.organization := _activity.require_feature('webhooks', organization);
	-- Each is one delivery more for every event. Calls at the same moment may each
	-- find room for one; to wait for one another they would need a lock.
	IF (SELECT count(*) FROM _activity.webhook_endpoint e
		WHERE e.organization = endpoint.organization AND e.deleted_at IS NULL)
		>= current_setting('activity.max_endpoints')::integer THEN
		RAISE EXCEPTION 'the organization has % webhook endpoints already', current_setting('activity.max_endpoints')
			USING ERRCODE = 'program_limit_exceeded',
				  HINT = 'Delete one that is not needed, or raise activity.max_endpoints.';
	END IF;
	PERFORM _activity.make_webhook_partitions();
	INSERT INTO _activity.webhook_endpoint (organization, url, event_types, description, created_at)
	VALUES (endpoint.organization, create_webhook.url, create_webhook.event_types,
			create_webhook.description, _activity.webhook_now())
	RETURNING * INTO endpoint;
	PERFORM _activity.lock_webhook(endpoint.key);
	PERFORM _activity.restart_webhook(endpoint.key);
	endpoint_id := endpoint.id;
	secret := _activity.make_secret('whsec_');
	INSERT INTO _activity.webhook_secret (endpoint, secret, created_at)
	VALUES (endpoint.key, create_webhook.secret, endpoint.created_at);
	PERFORM _activity.record_webhook(endpoint, 'webhook.created');
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION activity.create_webhook(text, text, text[], text) IS
	'registers an endpoint and shows its secret, this once; event_types are keys or category.*, null for all; errors: AC020 for a url that can''t be used, AC001 for an unknown event type, 54000 for more endpoints than activity.max_endpoints, 42501 below tier premium';

CREATE FUNCTION activity.update_webhook(endpoint_id uuid, url text DEFAULT NULL,
	event_types text[] DEFAULT NULL, description text DEFAULT NULL,
	all_event_types boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
	new _activity.webhook_endpoint := old;
BEGIN
	new.url := coalesce(update_webhook.url, old.url);
	new.event_types := CASE WHEN all_event_types THEN NULL
		ELSE coalesce(update_webhook.event_types, old.event_types) END;
	new.description := coalesce(update_webhook.description, old.description);
	IF new IS NOT DISTINCT FROM old THEN
		RETURN;
	END IF;
	PERFORM _activity.check_webhook(new.url, new.event_types);
	UPDATE _activity.webhook_endpoint e
	SET url = new.url, event_types = new.event_types, description = new.description
	WHERE e.key = old.key;
	PERFORM _activity.record_webhook(new, 'webhook.updated', jsonb_strip_nulls(jsonb_build_object(
		'previous_url', CASE WHEN new.url <> old.url THEN old.url END,
		'event_types', CASE WHEN new.event_types IS DISTINCT FROM old.event_types
			THEN coalesce(to_jsonb(new.event_types), '"all"') END,
		'description', CASE WHEN new.description IS DISTINCT FROM old.description
			THEN new.description END)));
END
$$;
COMMENT ON FUNCTION activity.update_webhook(uuid, text, text[], text, boolean) IS
	'changes what is not null; all_event_types makes the endpoint get every event';

CREATE FUNCTION activity.enable_webhook(endpoint_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
BEGIN
	PERFORM _activity.require_feature('webhooks', (SELECT o.id FROM _activity.organization o
		WHERE o.key = endpoint.organization LIMIT 1));
	IF endpoint.disabled_at IS NULL AND NOT EXISTS (
		SELECT FROM _activity.webhook_state s
		WHERE s.endpoint = endpoint.key AND s.quarantined_at IS NOT NULL) THEN
		RETURN;
	END IF;
	UPDATE _activity.webhook_endpoint e SET disabled_at = NULL, disabled_reason = NULL
	WHERE e.key = endpoint.key;
	PERFORM _activity.restart_webhook(endpoint.key);
	PERFORM _activity.record_webhook(endpoint, 'webhook.enabled');
END
$$;
COMMENT ON FUNCTION activity.enable_webhook(uuid) IS
	'sends to a disabled or quarantined endpoint again, slowly at first; what waited is sent, what happened while it was disabled is for recover_webhook()';

CREATE FUNCTION activity.disable_webhook(endpoint_id uuid, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
BEGIN
	IF endpoint.disabled_at IS NOT NULL THEN
		RETURN;
	END IF;
	UPDATE _activity.webhook_endpoint e
	SET disabled_at = _activity.webhook_now(),
		disabled_reason = coalesce(disable_webhook.reason, 'on request')
	WHERE e.key = endpoint.key;
	PERFORM _activity.record_webhook(endpoint, 'webhook.disabled',
		jsonb_build_object('reason', coalesce(disable_webhook.reason, 'on request')));
END
$$;
COMMENT ON FUNCTION activity.disable_webhook(uuid, text) IS
	'stops sending to an endpoint; what it is owed is kept, what happens from now on is not owed to it';

CREATE FUNCTION activity.delete_webhook(endpoint_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
BEGIN
	UPDATE _activity.webhook_endpoint e SET deleted_at = _activity.webhook_now()
	WHERE e.key = endpoint.key;
	DELETE FROM _activity.webhook_secret s WHERE s.endpoint = endpoint.key;
	DELETE FROM _activity.webhook_retry r WHERE r.endpoint = endpoint.key;
	PERFORM _activity.record_webhook(endpoint, 'webhook.deleted');
END
$$;
COMMENT ON FUNCTION activity.delete_webhook(uuid) IS
	'removes an endpoint and its secrets; what was sent stays in the log until retention drops it';

CREATE FUNCTION activity.rotate_webhook_secret(endpoint_id uuid, overlap interval DEFAULT '24 hours')
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
	present  timestamptz := _activity.webhook_now();
	secret   text := _activity.make_secret('whsec_');
BEGIN
	IF overlap < interval '0' OR overlap > interval '30 days' THEN
		RAISE EXCEPTION 'overlap must be from 0 to 30 days'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	DELETE FROM _activity.webhook_secret s
	WHERE s.endpoint = endpoint.key
	  AND (s.expires_at <= present OR s.expires_at IS NULL AND overlap = interval '0');
	UPDATE _activity.webhook_secret s SET expires_at = present + overlap
	WHERE s.endpoint = endpoint.key
	  AND (s.expires_at IS NULL OR s.expires_at > present + overlap);
	INSERT INTO _activity.webhook_secret (endpoint, secret, created_at)
	VALUES (endpoint.key, secret, present);
	PERFORM _activity.record_webhook(endpoint, 'webhook.updated',
		jsonb_build_object('change', 'secret rotated', 'overlap', overlap));
	RETURN secret;
END
$$;
COMMENT ON FUNCTION activity.rotate_webhook_secret(uuid, interval) IS
	'a new secret, shown this once; the present ones go on signing beside it for overlap';

CREATE FUNCTION activity.test_webhook(endpoint_id uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoint _activity.webhook_endpoint := _activity.lock_webhook_row(endpoint_id);
BEGIN
	IF endpoint.disabled_at IS NOT NULL THEN
		RAISE EXCEPTION 'webhook endpoint "%" is disabled', endpoint_id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Call activity.enable_webhook() first.';
	END IF;
	RETURN _activity.queue_webhook_test(endpoint.key, nextval('_activity.webhook_test_number'));
END
$$;
COMMENT ON FUNCTION activity.test_webhook(uuid) IS
	'sends a message of type webhook.test, once; the id of the delivery, to find what came of it';
