-- Citus: organizations spread over nodes, each of which has an activity of its own.

-- Through EXECUTE, because none of it need be there.
CREATE FUNCTION _activity.on_shards(tracked regclass, command text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_spread boolean;
	answer record;
	count bigint := 0;
BEGIN
	EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = $1)' INTO is_spread USING tracked;
	IF NOT is_spread THEN
		RETURN 0;
	END IF;
	FOR answer IN EXECUTE 'SELECT * FROM pg_catalog.run_command_on_placements($1, $2)' USING tracked, command LOOP
		IF NOT answer.success THEN
			RAISE object_not_in_prerequisite_state USING
				MESSAGE = format('shard %s of "%s" on %s:%s: %s', answer.shardid, tracked, answer.nodename, answer.nodeport, answer.result),
				HINT = 'What was done to other shards before is done: call it again when the reason is gone.';
		END IF;
		count := count + 1;
	END LOOP;
	RETURN count;
END
$$;
COMMENT ON FUNCTION _activity.on_shards(regclass, text) IS
	'runs a command on every placement of a table of Citus, a format() of which the shard''s name as SQL has it is the first argument: %1$L for a regclass, %1$s for a table; how many, 0 for a table that is none';

-- A shard that Citus moves or splits gets the triggers of its table, their names with the
-- shard's number behind: the next track() would take them for another's.
CREATE FUNCTION _activity.settle_shard(shard regclass) RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	suffix text := substring((SELECT c.relname FROM pg_class c WHERE c.oid = shard) FROM '_\d+$');
	its record;
BEGIN
	FOR its IN
		SELECT t.tgname AS name FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
		WHERE t.tgrelid = shard AND p.pronamespace = '_activity'::regnamespace AND p.proname ~ '^capture_'
		  AND right(t.tgname, length(suffix)) = suffix
	LOOP
		EXECUTE format('ALTER TRIGGER %I ON %s RENAME TO %I', its.name, shard, left(its.name, -length(suffix)));
	END LOOP;
	RETURN shard;
END
$$;
COMMENT ON FUNCTION _activity.settle_shard(regclass) IS
	'gives the triggers of a shard the names that they have on its table';

CREATE FUNCTION _activity.on_nodes(command text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	answer record;
BEGIN
	FOR answer IN EXECUTE 'SELECT * FROM pg_catalog.run_command_on_all_nodes($1)' USING command LOOP
		IF NOT answer.success THEN
			RAISE object_not_in_prerequisite_state USING MESSAGE = format('node %s: %s', answer.nodeid, answer.result);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.on_nodes(text) IS
	'runs a command on every node of Citus';

-- The statements that define here what is defined, each of which changes nothing where
-- it is so already.
CREATE FUNCTION _activity.definitions() RETURNS SETOF text
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('SELECT activity.define_event_type(%L, %L, %L, %L, %L, %L)', d.key, d.template, d.required, d.family, d.subject_kind, d.meaning)
	FROM _activity.event_type_definition d
	UNION ALL
	SELECT * FROM (SELECT format('SELECT CASE WHEN NOT EXISTS (SELECT FROM _activity.measure m WHERE (m.event_type, m.name, m.amount, m.unit, m.direction) = (%1$L, %2$L, %3$L, %4$L, %5$L)'
			' AND m.resource IS NOT DISTINCT FROM %6$L) THEN activity.define_measure(%1$L, %2$L, %3$L, %4$L, %6$L, %5$L)::text END',
		m.event_type, m.name, m.amount, m.unit, m.direction, m.resource)
	FROM _activity.measure m WHERE m.number >= 1000 ORDER BY m.number) measures
	UNION ALL
	SELECT format('SELECT count(*) FROM activity.declare_personal(%L, %L)', f.event_type, array_agg(f.field))
	FROM _activity.personal_field f GROUP BY f.event_type
	UNION ALL
	SELECT format('UPDATE activity.features SET tier = %L WHERE feature = %L', f.tier, f.feature) FROM activity.features f
	UNION ALL
	SELECT format('SELECT activity.set_retention(tier => %L::activity.tier, keep => %L::interval)', r.tier, r.keep)
	FROM _activity.retention_rule r WHERE r.tier IS NOT NULL
$$;
COMMENT ON FUNCTION _activity.definitions() IS
	'statements that define elsewhere what the application has defined here';

-- A trigger that its table has and the shard lacks, should Citus make one without; the
-- definition is in two parts, of which the second one begins behind the table's name.
CREATE FUNCTION _activity.complete_shard(shard regclass, name text, head text, tail text, always boolean) RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.settle_shard(shard);
	IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = shard AND t.tgname = name) THEN
		EXECUTE head || ' ON ' || shard::text || ' ' || tail;
		IF always THEN
			EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', shard, name);
		END IF;
	END IF;
	RETURN shard;
END
$$;
COMMENT ON FUNCTION _activity.complete_shard(regclass, text, text, text, boolean) IS
	'gives a shard a trigger that its table has, if it lacks it';

CREATE FUNCTION _activity.complete_shards() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its record;
BEGIN
	FOR its IN EXECUTE $query$
		SELECT t.tgname AS name, t.tgrelid::regclass AS tracked, t.tgenabled = 'A' AS always, pg_get_triggerdef(t.oid) AS definition,
			format(' ON %I.%I ', c.relnamespace::regnamespace::name, c.relname) AS place
		FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_dist_partition d ON d.logicalrelid = t.tgrelid
		JOIN pg_class c ON c.oid = t.tgrelid
		WHERE p.pronamespace = '_activity'::regnamespace AND p.proname ~ '^capture_' ORDER BY 2, 1 $query$
	LOOP
		PERFORM _activity.on_shards(its.tracked, 'SELECT _activity.complete_shard(%1$L, '
			|| replace(format('%L, %L, %L, %L', its.name, split_part(its.definition, its.place, 1),
				substr(its.definition, strpos(its.definition, its.place) + length(its.place)), its.always), '%', '%%') || ')');
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.complete_shards() IS
	'gives the shards of tracked tables the triggers that they lack';

CREATE FUNCTION activity.distribute(colocate_with regclass) RETURNS TABLE (function text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key_type text;
	command text;
	its record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'citus') THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = 'Citus is not installed in this database',
			HINT = 'CREATE EXTENSION citus, and add the nodes.';
	END IF;
	EXECUTE $query$SELECT format_type(a.atttypid, NULL) FROM pg_catalog.pg_dist_partition p
		JOIN pg_catalog.pg_attribute a ON a.attrelid = p.logicalrelid
			AND a.attname = pg_catalog.column_to_column_name(p.logicalrelid, p.partkey)
		WHERE p.logicalrelid = $1 AND p.partmethod = 'h'$query$ INTO key_type USING colocate_with;
	IF key_type IS DISTINCT FROM 'text' THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('"%s" is no table that is distributed by a column of type text', colocate_with),
			HINT = 'SELECT create_distributed_table(table, column), the column being the organization.';
	END IF;
	FOR command IN SELECT * FROM _activity.definitions() LOOP
		PERFORM _activity.on_nodes(command);
	END LOOP;
	FOR its IN
		SELECT p.oid::regprocedure::text AS name FROM pg_proc p
		WHERE p.pronamespace = 'activity'::regnamespace AND p.prokind = 'f'
		  AND p.proargnames[1] = 'organization' AND p.proargtypes[0] = 'text'::regtype
		  -- These are of the node that one is on.
		  AND p.proname NOT IN ('export_organization', 'remove_organization')
		ORDER BY 1
	LOOP
		EXECUTE 'SELECT pg_catalog.create_distributed_function($1::regprocedure, ''organization'', colocate_with => $2::text)'
		USING its.name, colocate_with;
		function := its.name;
		RETURN NEXT;
	END LOOP;
	PERFORM _activity.complete_shards();
END
$$;
COMMENT ON FUNCTION activity.distribute(regclass) IS
	'with Citus: functions whose first argument is the organization are called on the node that has its rows of this table, and what the application has defined is defined on all nodes, and shards of tracked tables have their triggers; again after a definition, and after nodes were added or shards moved; needs a superuser; errors: 55000';
