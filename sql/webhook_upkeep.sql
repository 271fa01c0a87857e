-- Webhooks: partitions of the two logs.

-- This month and the months ahead, of both logs. Where rows of a month are in
-- the default partition, or somebody is in the way, it does without.
CREATE FUNCTION _activity.make_webhook_partitions() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
	parent text;
	leaf   text;
	columns text;
	month  timestamp;
	made   bigint := 0;
BEGIN
	FOREACH parent IN ARRAY ARRAY['webhook_delivery', 'webhook_attempt'] LOOP
		columns := CASE parent WHEN 'webhook_delivery' THEN 'endpoint, position'
			ELSE 'endpoint, position, attempt' END;
		FOR ahead IN 0 .. 2 LOOP
			month := date_trunc('month', now() AT TIME ZONE 'UTC') + ahead * interval '1 month';
			leaf := parent || to_char(month, '_YYYY_MM');
			CONTINUE WHEN to_regclass('_activity.' || leaf) IS NOT NULL;
			BEGIN
				EXECUTE format('CREATE TABLE _activity.%I (LIKE _activity.%I)', leaf, parent);
				EXECUTE format('CREATE UNIQUE INDEX %I ON _activity.%I (%s)',
							   leaf || '_key', leaf, columns);
				EXECUTE format('ALTER TABLE _activity.%I OWNER TO %I', leaf,
					(SELECT pg_get_userbyid(c.relowner) FROM pg_class c
					 WHERE c.oid = ('_activity.' || parent)::regclass));
				EXECUTE format('ALTER TABLE _activity.%I ATTACH PARTITION _activity.%I FOR VALUES FROM (%L) TO (%L)',
							   parent, leaf, month AT TIME ZONE 'UTC',
							   (month + interval '1 month') AT TIME ZONE 'UTC');
				made := made + 1;
			EXCEPTION WHEN lock_not_available OR check_violation OR duplicate_table
				OR object_in_use THEN
				NULL;
			END;
		END LOOP;
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION _activity.make_webhook_partitions() IS
	'makes the partitions of this and the next months that are missing; how many';

-- Whether somebody is still owed a delivery of that partition.
CREATE FUNCTION _activity.webhook_is_owed(partition regclass) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owed boolean;
BEGIN
	EXECUTE format($query$
		SELECT EXISTS (
			SELECT FROM _activity.webhook_endpoint e
			JOIN _activity.webhook_state s ON s.endpoint = e.key
			WHERE e.deleted_at IS NULL AND (
				EXISTS (SELECT FROM %1$s d WHERE d.endpoint = e.key
						AND d.position > s.fresh_position AND NOT d.requested)
				OR EXISTS (SELECT FROM _activity.webhook_retry r JOIN %1$s d USING (endpoint, position)
						   WHERE r.endpoint = e.key)
				OR EXISTS (SELECT FROM generate_series(1, cardinality(s.in_flight), 6) i
						   JOIN %1$s d ON d.endpoint = e.key AND d.position = s.in_flight[i])))
		$query$, partition) INTO owed;
	RETURN owed;
END
$$;
COMMENT ON FUNCTION _activity.webhook_is_owed(regclass) IS
	'whether a partition of the deliveries has one that is still to be sent';

CREATE FUNCTION _activity.maintain_webhooks() RETURNS TABLE (action text, object text, rows bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
	before timestamptz := _activity.webhook_now() - current_setting('activity.webhook_retention')::interval;
	leaf   record;
BEGIN
	PERFORM _activity.check_webhook_tables();
	IF NOT EXISTS (SELECT FROM _activity.webhook_endpoint) THEN
		RETURN;
	END IF;
	rows := _activity.make_webhook_partitions();
	IF rows > 0 THEN
		action := 'made partitions';
		object := 'webhook_delivery, webhook_attempt';
		RETURN NEXT;
	END IF;

	FOR leaf IN
		SELECT c.relname AS name, c.oid::regclass AS id, p.relname AS parent
		FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid
		JOIN pg_class p ON p.oid = i.inhparent
		WHERE p.relnamespace = '_activity'::regnamespace
		  AND p.relname IN ('webhook_delivery', 'webhook_attempt')
		  AND c.relname ~ '_\d{4}_\d\d$'
		  AND to_timestamp(right(c.relname, 7) || ' +00', 'YYYY_MM TZH') + interval '1 month' <= before
	LOOP
		CONTINUE WHEN leaf.parent = 'webhook_delivery' AND _activity.webhook_is_owed(leaf.id);
		BEGIN
			EXECUTE format('DROP TABLE _activity.%I', leaf.name);
			action := 'dropped';
			object := leaf.name;
			rows := NULL;
			RETURN NEXT;
		EXCEPTION WHEN lock_not_available OR object_in_use THEN
			NULL;
		END;
	END LOOP;

	DELETE FROM _activity.webhook_attempt_default a WHERE a.reported_at < before;
	IF NOT _activity.webhook_is_owed('_activity.webhook_delivery_default') THEN
		DELETE FROM _activity.webhook_delivery_default d WHERE d.created_at < before;
	END IF;
	DELETE FROM _activity.webhook_secret s WHERE s.expires_at < _activity.webhook_now();
END
$$;
COMMENT ON FUNCTION _activity.maintain_webhooks() IS
	'makes partitions of the coming months, drops those past activity.webhook_retention in which nothing is owed any more';
