-- Who may do what, of all that the parts before have made.

-- What each right opens. Names without arguments mean every function of that
-- name; "use" comes with every right.
CREATE FUNCTION _activity.privilege()
RETURNS TABLE (what text, kind text, object text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	VALUES
	('use', 'type', 'tier'),
	('use', 'type', 'event_type'),
	('use', 'function', 'channel'),
	('use', 'function', 'event_id'),
	('use', 'function', 'event_time'),
	('use', 'function', 'version'),
	('use', 'function', 'organization_tier'),
	('use', 'function', 'category'),
	('use', 'function', 'action'),
	('use', 'relation', 'features'),
	('use', 'relation', 'event_types'),
	('use', 'helper', 'event_types'),
	('use', 'operators of', 'event_type'),

	('use', 'type', 'entry'),
	('use', 'function', 'event_line'),
	('use', 'function', 'event_object'),

	('read', 'function', 'feed'),
	('read', 'function', 'feed_page'),
	('read', 'function', 'feed_count'),
	('read', 'function', 'export'),
	('read', 'function', 'summary'),
	('read', 'function', 'replay'),
	('read', 'function', 'stream_head'),
	('read', 'function', 'verify'),
	('read', 'function', 'checkpoint'),
	('read', 'function', 'members'),
	('read', 'function', 'memberships'),
	('read', 'function', 'timeline'),
	('read', 'function', 'usage'),
	('read', 'function', 'revenue'),
	('read', 'function', 'mrr'),
	('read', 'function', 'top_customers'),
	('read', 'function', 'credits_by_member'),
	('read', 'function', 'conversion'),
	('read', 'function', 'active_members'),
	('read', 'function', 'rollup_verify'),
	('read', 'relation', 'measures'),

	('record', 'function', 'record'),
	('record', 'function', 'set_actor'),

	('read', 'function', 'render_description'),

	('use', 'function', 'retry_after'),
	('use', 'function', 'verify_webhook_signature'),
	('administer', 'function', 'create_webhook'),
	('administer', 'function', 'update_webhook'),
	('administer', 'function', 'enable_webhook'),
	('administer', 'function', 'disable_webhook'),
	('administer', 'function', 'delete_webhook'),
	('administer', 'function', 'rotate_webhook_secret'),
	('administer', 'function', 'test_webhook'),
	('administer', 'function', 'retry_delivery'),
	('administer', 'function', 'recover_webhook'),
	('administer', 'function', 'replay_webhook'),
	('administer', 'function', 'claim_deliveries'),
	('administer', 'function', 'report_delivery'),
	('administer', 'relation', 'webhook_endpoints'),
	('administer', 'relation', 'webhook_deliveries'),
	('administer', 'relation', 'webhook_attempts'),
	('administer', 'helper', 'webhook_delivery_id'),
	('administer', 'helper', 'webhook_now'),
	('administer', 'helper', 'maintain_webhooks'),
	('administer', 'function', 'create_connection'),
	('administer', 'function', 'rotate_connection'),
	('administer', 'function', 'revoke_connection'),
	('administer', 'function', 'authenticate_connection'),
	('administer', 'function', 'connection_guide'),
	('administer', 'relation', 'connections'),
	('administer', 'function', 'create_token'),
	('administer', 'function', 'revoke_token'),
	('administer', 'function', 'dashboard_link'),
	('administer', 'relation', 'tokens'),

	('administer', 'function', 'create_consumer'),
	('administer', 'function', 'drop_consumer'),
	('administer', 'function', 'poll'),
	('administer', 'function', 'ack'),
	('administer', 'function', 'park'),
	('administer', 'function', 'unpark'),
	('administer', 'function', 'seek'),
	('administer', 'relation', 'consumers'),
	('administer', 'relation', 'parked'),
	('administer', 'helper', 'consumer_lags'),

	('serve', 'function', 'serve_authenticate'),
	('serve', 'function', 'serve_filter'),
	('serve', 'function', 'serve_replay'),
	('serve', 'function', 'serve_check'),
	('serve', 'function', 'publish'),
	('serve', 'function', 'claim_deliveries'),
	('serve', 'function', 'report_delivery'),
	('serve', 'function', 'retry_after'),
	('serve', 'function', 'http'),
	('serve', 'function', 'serve_lines'),

	('comply', 'function', 'redact'),
	('comply', 'function', 'redact_person'),
	('comply', 'function', 'redaction_ledger'),
	('comply', 'function', 'replay_redactions'),
	('comply', 'function', 'declare_personal'),
	('comply', 'function', 'place_hold'),
	('comply', 'function', 'release_hold'),
	('comply', 'relation', 'redactions'),
	('comply', 'relation', 'holds'),

	('administer', 'function', 'publish'),
	('administer', 'function', 'define_event_type'),
	('administer', 'function', 'define_measure'),
	('administer', 'function', 'refold'),
	('administer', 'relation', 'unmeasured'),
	('administer', 'function', 'set_tier'),
	('administer', 'function', 'track'),
	('administer', 'function', 'untrack'),
	('administer', 'helper', 'capture_row'),
	('administer', 'helper', 'capture_begin'),
	('administer', 'helper', 'capture_end'),
	('administer', 'helper', 'capture_truncate'),
	('administer', 'helper', 'trigger_argument'),
	('administer', 'relation', 'tracked'),
	('administer', 'relation', 'gaps'),
	('administer', 'function', 'allow'),
	('administer', 'function', 'audit'),
	('administer', 'relation', 'events'),
	('administer', 'relation', 'health'),
	('administer', 'relation', 'set_aside'),
	('administer', 'helper', 'worker_status'),
	('administer', 'helper', 'backlog'),
	('administer', 'function', 'maintain'),
	('administer', 'helper', 'on_shards'),
	('administer', 'helper', 'settle_shard'),
	('administer', 'function', 'distribute'),
	('administer', 'function', 'export_organization'),
	('administer', 'function', 'import_organization'),
	('administer', 'function', 'remove_organization'),
	('administer', 'function', 'set_retention'),
	('administer', 'function', 'unset_retention'),
	('administer', 'relation', 'retention'),
	('administer', 'update', 'features');
END;
COMMENT ON FUNCTION _activity.privilege() IS
	'the objects of schema activity that each of the rights read, record, comply, serve and administer opens';

-- Grants run as the owner of the extension's objects, so whoever may call
-- allow() may pass on what it lists and nothing else.
CREATE FUNCTION activity.allow(role regrole, what text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	granted text[];
	item    record;
BEGIN
	granted := CASE allow.what
		WHEN 'read' THEN ARRAY['use', 'read']
		WHEN 'record' THEN ARRAY['use', 'record']
		WHEN 'comply' THEN ARRAY['use', 'comply']
		WHEN 'serve' THEN ARRAY['serve']
		WHEN 'administer' THEN ARRAY['use', 'read', 'record', 'comply', 'serve', 'administer']
	END;
	IF granted IS NULL THEN
		RAISE EXCEPTION 'unknown right "%"', allow.what
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'The rights are read, record, comply, serve and administer.';
	END IF;

	PERFORM _activity.grant_once(allow.role, 'USAGE', 'SCHEMA', 'activity', n.nspacl)
	FROM pg_namespace n WHERE n.nspname = 'activity';
	FOR item IN
		SELECT p.kind, p.object FROM _activity.privilege() p
		WHERE p.what = ANY (granted)
	LOOP
		CASE item.kind
		WHEN 'function' THEN
			PERFORM _activity.grant_functions(allow.role, item.object);
		WHEN 'type' THEN
			PERFORM _activity.grant_once(allow.role, 'USAGE', 'TYPE', y.oid::regtype::text, y.typacl)
			FROM pg_type y WHERE y.oid = format('activity.%I', item.object)::regtype;
		WHEN 'relation', 'update' THEN
			PERFORM _activity.grant_once(allow.role,
				CASE item.kind WHEN 'update' THEN 'UPDATE' ELSE 'SELECT' END,
				'TABLE', c.oid::regclass::text, c.relacl)
			FROM pg_class c WHERE c.oid = format('activity.%I', item.object)::regclass;
		WHEN 'helper' THEN -- what a view calls, its reader calls
			PERFORM _activity.grant_once(allow.role, 'EXECUTE', 'FUNCTION', p.oid::regprocedure::text, p.proacl)
			FROM pg_proc p WHERE p.oid = format('_activity.%I', item.object)::regproc;
		WHEN 'operators of' THEN
			PERFORM _activity.grant_operators(allow.role, item.object);
		END CASE;
	END LOOP;
	PERFORM _activity.ensure_partitions();
END
$$;
COMMENT ON FUNCTION activity.allow(regrole, text) IS
	'gives a role a right: read (feed, stream and counts), record, comply (redactions and holds alone), serve (what the gateway needs and nothing else), or administer (all, and everything else); errors: 22023 for another word';

-- What a dump restores, its restorer has granted; the owner's grant would stand
-- beside that, and outlive its being revoked.
CREATE FUNCTION _activity.grant_once(role regrole, privilege text, kind text, name text, acl aclitem[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM aclexplode(grant_once.acl) a
			WHERE a.grantee = grant_once.role AND a.privilege_type = grant_once.privilege) THEN
		EXECUTE format('GRANT %s ON %s %s TO %s', grant_once.privilege, grant_once.kind,
					   grant_once.name, grant_once.role);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.grant_once(regrole, text, text, text, aclitem[]) IS
	'grants a role a privilege on an object, unless anybody has granted it to the role';

CREATE FUNCTION _activity.grant_functions(role regrole, name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.grant_once(grant_functions.role, 'EXECUTE', 'ROUTINE', p.oid::regprocedure::text, p.proacl)
	FROM pg_proc p
	WHERE p.pronamespace = 'activity'::regnamespace
	  AND p.proname = grant_functions.name;
END
$$;
COMMENT ON FUNCTION _activity.grant_functions(regrole, text) IS
	'grants EXECUTE on every function of a name in schema activity';

-- An expression needs EXECUTE on what its operators and casts run.
CREATE FUNCTION _activity.grant_operators(role regrole, type_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	typ oid := (SELECT y.oid FROM pg_type y
				WHERE y.typnamespace = 'activity'::regnamespace
				  AND y.typname = grant_operators.type_name);
BEGIN
	PERFORM _activity.grant_once(grant_operators.role, 'EXECUTE', 'FUNCTION', p.oid::regprocedure::text, p.proacl)
	FROM pg_proc p
	WHERE p.pronamespace = '_activity'::regnamespace AND p.oid IN (
		SELECT o.oprcode FROM pg_operator o
		WHERE typ IN (o.oprleft, o.oprright)
		UNION
		SELECT c.castfunc FROM pg_cast c
		WHERE typ IN (c.castsource, c.casttarget)
		UNION
		SELECT a.amproc FROM pg_amproc a
		WHERE typ IN (a.amproclefttype, a.amprocrighttype));
END
$$;
COMMENT ON FUNCTION _activity.grant_operators(regrole, text) IS
	'grants EXECUTE on what the operators and casts of a type run';

-- What follows runs in every update, too, and then touches new objects alone, which
-- are those without initial privileges: a GRANT that a script repeats on an older
-- object would make all that is granted there, to whomever, initial, and so be
-- missing from every dump.
--
-- Nothing is granted to PUBLIC. The role that runs CREATE EXTENSION owns the private
-- tables, so that it can dump and restore them, and has every right. Not the schema:
-- who owns it may rename it and make another, and allow() would find his functions
-- there. Views stay a superuser's: whoever reads one runs the functions in it. What
-- else the owner of a table can make others run, own_table_guard.c refuses.
--
-- What runs with its owner's rights and touches those tables gets the same owner:
-- in a trusted extension functions belong to a superuser, and a trigger that
-- the tables' owner made must not run as one. allow() touches no table.
--
-- When it restores a dump, that role repeats the grants that allow() made. The
-- functions stay a superuser's, as in any trusted extension: who owns a C
-- function may have it called with nulls that it was never written for.
DO $$ -- in every update, too
DECLARE
	owner  regrole;
	modest boolean; -- the owner is no superuser
	item   record;
BEGIN
	SELECT x.extowner, NOT r.rolsuper INTO STRICT owner, modest
	FROM pg_catalog.pg_extension x
	JOIN pg_catalog.pg_roles r ON r.oid = x.extowner
	WHERE x.extname = 'activity';

	FOR item IN
		SELECT p.oid::regprocedure AS name, p.proowner, i.objoid IS NULL AS is_new,
			p.prosecdef AND p.oid <> 'activity.allow'::regproc AS touches_tables
		FROM pg_catalog.pg_proc p
		LEFT JOIN pg_catalog.pg_init_privs i
			ON i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass AND i.objsubid = 0
		WHERE p.pronamespace IN ('activity'::regnamespace, '_activity'::regnamespace)
	LOOP
		IF item.is_new THEN
			EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', item.name);
		END IF;
		IF item.touches_tables AND item.proowner <> owner THEN
			EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO %s', item.name, owner);
		ELSIF NOT item.touches_tables AND modest AND item.proowner = owner THEN
			EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO CURRENT_USER', item.name);
		END IF;
		IF item.is_new THEN
			EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s WITH GRANT OPTION',
				item.name, owner);
		END IF;
	END LOOP;

	FOR item IN
		SELECT y.oid::regtype AS name
		FROM pg_catalog.pg_type y
		LEFT JOIN pg_catalog.pg_class c ON c.oid = y.typrelid
		WHERE y.typnamespace = 'activity'::regnamespace
		  AND y.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
		  AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i
			WHERE i.objoid = y.oid AND i.classoid = 'pg_type'::regclass)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM PUBLIC', item.name);
		EXECUTE pg_catalog.format('GRANT USAGE ON TYPE %s TO %s WITH GRANT OPTION', item.name, owner);
	END LOOP;

	FOR item IN
		SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
		FROM pg_catalog.pg_class c
		WHERE c.relnamespace = '_activity'::regnamespace
		  AND c.relkind IN ('r', 'p', 'S') AND c.relowner <> owner
	LOOP
		EXECUTE pg_catalog.format('ALTER %s %s OWNER TO %s', item.kind, item.name, owner);
	END LOOP;

	FOR item IN
		SELECT c.oid::regclass AS name,
			CASE c.relnamespace WHEN 'activity'::regnamespace
				THEN 'GRANT SELECT, UPDATE ON %s TO %s WITH GRANT OPTION'
				ELSE 'GRANT SELECT ON %s TO %s' END AS statement
		FROM pg_catalog.pg_class c
		WHERE (c.relnamespace = 'activity'::regnamespace AND c.relkind = 'v'
			OR c.oid IN ('_activity.retention_of'::regclass, '_activity.wanted_index'::regclass,
				'_activity.missing_index'::regclass, '_activity.event_of_time'::regclass))
		  AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i
			WHERE i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0)
	LOOP
		EXECUTE pg_catalog.format(item.statement, item.name, owner);
	END LOOP;

	FOR item IN
		SELECT n.nspname AS name,
			CASE n.nspname WHEN 'activity' THEN 'GRANT USAGE ON SCHEMA %s TO %s WITH GRANT OPTION'
				ELSE 'GRANT USAGE, CREATE ON SCHEMA %s TO %s' END AS statement
		FROM pg_catalog.pg_namespace n
		WHERE n.nspname IN ('activity', '_activity')
		  AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i
			WHERE i.objoid = n.oid AND i.classoid = 'pg_namespace'::regclass)
	LOOP
		EXECUTE pg_catalog.format(item.statement, item.name, owner);
	END LOOP;
END
$$;
