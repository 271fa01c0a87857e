-- An organization leaves: the queries for the lines of its export, section by section, of
-- the organization's key. docs/moving.md describes each kind of line.

CREATE FUNCTION _activity.present_receipt() RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_present_receipt';
COMMENT ON FUNCTION _activity.present_receipt() IS
	'which transactions are over now, as event.xid has them';

CREATE FUNCTION _activity.moved_xid(xid xid8) RETURNS xid8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_moved_xid';
COMMENT ON FUNCTION _activity.moved_xid(xid8) IS
	'what event.xid is of an event that was published in another database with this one; and back';

CREATE FUNCTION _activity.move_line(kind text, fields text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{"line":"' || kind || '",' || pg_catalog.substr(fields, 2);
COMMENT ON FUNCTION _activity.move_line(text, text) IS
	'a line of an organization''s export from the text of a JSON object with at least one member';

CREATE FUNCTION _activity.move_row(kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN _activity.move_line(kind, jsonb_strip_nulls(fields - 'organization'::text)::text);
COMMENT ON FUNCTION _activity.move_row(text, jsonb) IS
	'a line of an organization''s export from a row of a table of ours';

CREATE FUNCTION _activity.move_head() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_line('organization', json_strip_nulls(json_build_object(
		'format', 1,
		'organization', (SELECT min(o.id) FROM _activity.organization o WHERE o.key = $1),
		'encoding', getdatabaseencoding(),
		'version', (SELECT x.extversion FROM pg_extension x WHERE x.extname = 'activity'),
		'exported_at', now(),
		'source', (SELECT json_build_object('system_identifier', c.system_identifier::text, 'database', current_database())
			FROM pg_control_system() c),
		'first_at', (SELECT min(e.occurred_at) FROM _activity.event e WHERE e.organization = $1),
		'receipt', _activity.present_receipt()))::text)
$query$;
COMMENT ON FUNCTION _activity.move_head() IS
	'the first line of an organization''s export';

-- Of the application's own types and measures those that are needed.
CREATE FUNCTION _activity.move_definitions() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('type', to_jsonb(d)) FROM _activity.event_type_definition d
	WHERE EXISTS (SELECT FROM _activity.event e WHERE e.organization = $1 AND e.type = d.code)
	   OR EXISTS (SELECT FROM _activity.rollup r WHERE r.organization = $1 AND d.code = ANY (r.types))
	   OR EXISTS (SELECT FROM _activity.webhook_endpoint w JOIN _activity.webhook_delivery v ON v.endpoint = w.key
			WHERE w.organization = $1 AND v.type = d.code)
	UNION ALL
	SELECT _activity.move_row('personal', to_jsonb(f)) FROM _activity.personal_field f
	UNION ALL
	SELECT _activity.move_row('measure', to_jsonb(m)) FROM _activity.measure m
	WHERE m.number >= 1000
	  AND (EXISTS (SELECT FROM _activity.rollup r WHERE r.organization = $1 AND r.measures && ARRAY[m.number, -m.number])
	    OR EXISTS (SELECT FROM _activity.kept_amount a WHERE a.organization = $1 AND a.measure = m.number))
$query$;
COMMENT ON FUNCTION _activity.move_definitions() IS
	'the definitions of an organization''s export';

CREATE FUNCTION _activity.move_rules() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('tier', to_jsonb(t)) FROM (SELECT o.* FROM _activity.organization_tier o
		WHERE o.organization = $1 ORDER BY o.number) t
	UNION ALL
	SELECT _activity.move_line('retention', json_build_object('keep', r.keep)::text) FROM _activity.retention_rule r
	WHERE r.organization IN (SELECT o.id FROM _activity.organization o WHERE o.key = $1)
	UNION ALL
	SELECT _activity.move_row('hold', to_jsonb(h)) FROM _activity.hold h WHERE h.organization = $1
	UNION ALL
	SELECT _activity.move_row('redaction', to_jsonb(r)) FROM _activity.redaction r WHERE r.organization = $1
	UNION ALL
	SELECT _activity.move_row('expiry', to_jsonb(x)) FROM _activity.expiry x WHERE x.organization = $1
$query$;
COMMENT ON FUNCTION _activity.move_rules() IS
	'tiers, retention, holds and redactions of an organization''s export';

-- Without an xid: not published yet, so it gets its position where it comes to.
CREATE FUNCTION _activity.move_events() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_line('event', pg_catalog.rtrim(json_strip_nulls(json_build_object(
			'id', e.id, 'type', e.type::activity.event_type::text, 'occurred_at', e.occurred_at, 'recorded_at', e.recorded_at,
			'xid', CASE WHEN p.id IS NOT NULL THEN NULL
				WHEN e.xid >= '9223372036854775808'::xid8 THEN _activity.moved_xid(e.xid)::text ELSE e.xid::text END,
			'salt', e.salt, 'commitment', encode(e.commitment, 'hex'),
			'actor_hash', e.actor_hash, 'subject_hash', e.subject_hash, 'on_behalf_of_hash', e.on_behalf_of_hash,
			'actor_kind', e.actor_kind, 'actor_id', e.actor_id, 'actor_name', e.actor_name,
			'description', e.description))::text, '}')
		|| ',"subject":' || e.subject::text || coalesce(',"metadata":' || e.metadata::text, '')
		|| ',"context":' || e.context::text || coalesce(',"on_behalf_of":' || e.on_behalf_of::text, '') || '}')
	FROM _activity.event e
	LEFT JOIN (SELECT unnest(_activity.unpublished($1)) AS id
		UNION SELECT a.item::uuid FROM _activity.set_aside a
		WHERE a.organization = $1 AND a.step = 'publish') p ON p.id = e.id
	WHERE e.organization = $1
$query$;
COMMENT ON FUNCTION _activity.move_events() IS
	'the events of an organization''s export';

CREATE FUNCTION _activity.move_stream() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_line('segment', row_to_json(s)::text)
	FROM (SELECT g.number, g.epoch, g.started_at, g.system_identifier::text, g.timeline, g.database, g.relation, g.format,
			EXISTS (SELECT FROM _activity.stream p WHERE p.segment = g.number AND p.organization = $1) AS used
		FROM _activity.segment g ORDER BY g.number) s
	UNION ALL
	SELECT _activity.move_line('anchor', row_to_json(s)::text)
	FROM (SELECT a.segment, a.position, encode(a.hash, 'hex') AS hash
		FROM _activity.stream_anchor a WHERE a.organization = $1) s
	UNION ALL
	SELECT _activity.move_line('position', row_to_json(s)::text)
	FROM (SELECT p.segment, p.position, p.id, encode(p.hash, 'hex') AS hash
		FROM _activity.stream p WHERE p.organization = $1 ORDER BY p.segment, p.position) s
	UNION ALL
	SELECT _activity.move_row('waiting', to_jsonb(a) - '{attempts,next_attempt,since}'::text[]) FROM _activity.set_aside a
	WHERE a.organization = $1 AND a.item = '' AND a.step NOT IN ('publish', 'maintain', 'trim')
$query$;
COMMENT ON FUNCTION _activity.move_stream() IS
	'the stream of an organization''s export: its epochs, where it begins, its positions';

CREATE FUNCTION _activity.move_numbers() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('rollup', to_jsonb(r)) FROM _activity.rollup r WHERE r.organization = $1
	UNION ALL
	SELECT _activity.move_row('seal', to_jsonb(s)) FROM _activity.rollup_seal s WHERE s.organization = $1
	UNION ALL
	SELECT _activity.move_row('amount', to_jsonb(a)) FROM _activity.kept_amount a WHERE a.organization = $1
	UNION ALL
	SELECT _activity.move_row('subscription', to_jsonb(s)) FROM _activity.kept_subscription s WHERE s.organization = $1
	UNION ALL
	SELECT _activity.move_row('repair', to_jsonb(r)) FROM _activity.rollup_repair r WHERE r.organization = $1
	UNION ALL
	SELECT _activity.move_row('refold', to_jsonb(t)) FROM _activity.refold_todo t WHERE t.organization = $1
	UNION ALL
	SELECT _activity.move_row('read', to_jsonb(n)) FROM _activity.read_note n WHERE n.organization = $1
$query$;
COMMENT ON FUNCTION _activity.move_numbers() IS
	'the rollups of an organization''s export, and what belongs to them';

CREATE FUNCTION _activity.move_webhooks() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('endpoint', to_jsonb(w) || jsonb_build_object(
		'state', (SELECT to_jsonb(s) FROM _activity.webhook_state s WHERE s.endpoint = w.key ORDER BY s.version DESC LIMIT 1),
		'secrets', (SELECT jsonb_agg(to_jsonb(k) ORDER BY k.number) FROM _activity.webhook_secret k WHERE k.endpoint = w.key)))
	FROM _activity.webhook_endpoint w WHERE w.organization = $1
	UNION ALL
	SELECT _activity.move_row('delivery', to_jsonb(d)) FROM _activity.webhook_endpoint w
	JOIN _activity.webhook_delivery d ON d.endpoint = w.key WHERE w.organization = $1
	UNION ALL
	SELECT _activity.move_row('attempt', to_jsonb(a)) FROM _activity.webhook_endpoint w
	JOIN _activity.webhook_attempt a ON a.endpoint = w.key WHERE w.organization = $1
	UNION ALL
	SELECT * FROM (SELECT _activity.move_row('retry', to_jsonb(r)) FROM _activity.webhook_endpoint w
	JOIN _activity.webhook_retry r ON r.endpoint = w.key WHERE w.organization = $1
	ORDER BY r.due_at, r.number) retries
$query$;
COMMENT ON FUNCTION _activity.move_webhooks() IS
	'endpoints with their secrets, and what they were and are owed, of an organization''s export';

-- Sessions and codes of the dashboard are not worth the journey.
CREATE FUNCTION _activity.move_access() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('connection', to_jsonb(c)) FROM _activity.connection c WHERE c.organization = $1
	UNION ALL
	SELECT _activity.move_row('token', to_jsonb(t)) FROM _activity.token t WHERE t.organization = $1 AND t.kind = 'token'
	UNION ALL
	SELECT _activity.move_row('answer', to_jsonb(i)) FROM _activity.token t JOIN _activity.idempotency i ON i.token = t.id
	WHERE t.organization = $1 AND t.kind = 'token'
$query$;
COMMENT ON FUNCTION _activity.move_access() IS
	'connection secrets and tokens, as digests, of an organization''s export';

-- Those of all organizations stay.
CREATE FUNCTION _activity.move_consumers() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $query$
	SELECT _activity.move_row('consumer', to_jsonb(c) || jsonb_build_object(
		'mark', (SELECT to_jsonb(m) FROM _activity.consumer_mark m WHERE m.consumer = c.number AND m.organization = $1),
		'leases', (SELECT jsonb_agg(to_jsonb(l)) FROM _activity.consumer_lease l WHERE l.consumer = c.number),
		'parked', (SELECT jsonb_agg(to_jsonb(k)) FROM _activity.consumer_parked k WHERE k.consumer = c.number)))
	FROM _activity.consumer c
	WHERE c.organization IN (SELECT o.id FROM _activity.organization o WHERE o.key = $1)
$query$;
COMMENT ON FUNCTION _activity.move_consumers() IS
	'the consumers of an organization''s export, with where they are';

CREATE FUNCTION _activity.move_lock(key integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_webhook_tables();
	PERFORM _activity.lock_webhook(w.key) FROM (SELECT e.key FROM _activity.webhook_endpoint e
		WHERE e.organization = move_lock.key AND e.deleted_at IS NULL ORDER BY e.key) w;
END
$$;
COMMENT ON FUNCTION _activity.move_lock(integer) IS
	'keeps the deliveries of an organization from being claimed';

-- No event: it would be one that the export does not have.
CREATE FUNCTION _activity.move_close(key integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE _activity.webhook_endpoint w SET disabled_at = _activity.webhook_now(), disabled_reason = 'moved'
	WHERE w.organization = move_close.key AND w.disabled_at IS NULL AND w.deleted_at IS NULL;
END
$$;
COMMENT ON FUNCTION _activity.move_close(integer) IS
	'stops sending to the endpoints of an organization that leaves';

CREATE FUNCTION activity.export_organization(organization text, closing boolean DEFAULT false) RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 100000
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'act_export_organization';
COMMENT ON FUNCTION activity.export_organization(text, boolean) IS
	'all that an organization has here, a line a row, for activity.import_organization() in another database (docs/moving.md describes the lines): events, stream, rules, rollups, webhooks, consumers, digests of tokens, and the secrets that sign webhooks: keep it as you keep those; closing stops its webhooks here in the same moment, so that nothing is sent twice; recorded as compliance.exported; stream it as SELECT activity.export_organization(...); errors: 42704 no such organization, 25006 in a read-only transaction of a primary';

-- The organization's number and its end stay, or else a position would be given twice.
CREATE FUNCTION activity.remove_organization(organization text, receipt text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	its_key integer;
	found_one record;
	removed bigint;
	endpoints integer[];
	consumers integer[];
BEGIN
	IF receipt IS NULL OR receipt !~ '^\d+:\d+:[\d,]*$' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'that is no receipt',
			HINT = 'activity.import_organization() returns it, and it stands in the first line of the export.';
	END IF;
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.move_check_tables();
	PERFORM _activity.lock_publishing();
	SELECT o.key INTO its_key FROM _activity.organization o WHERE o.id = remove_organization.organization LIMIT 1;
	IF NOT FOUND THEN
		RAISE undefined_object USING MESSAGE = format('there is no organization "%s"', remove_organization.organization);
	END IF;
	-- Of this organization, from this database: another's xids say nothing here.
	IF NOT EXISTS (SELECT FROM _activity.event e
		WHERE e.organization = its_key AND e.xid < '9223372036854775808'::xid8
		  AND e.type = ANY (_activity.type_codes('{compliance.exported}'))
		  AND e.metadata @> jsonb_build_object('format', 'organization', 'complete', true, 'receipt', receipt))
	THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('no whole export of organization "%s" from here has that receipt', remove_organization.organization),
			HINT = 'activity.import_organization() returns it, and it stands in the first line of the export.';
	END IF;
	SELECT h.id INTO found_one FROM _activity.hold h WHERE h.organization = its_key AND h.released_at IS NULL LIMIT 1;
	IF FOUND THEN
		RAISE object_in_use USING MESSAGE = format('organization "%s" is under the hold %s', remove_organization.organization, found_one.id),
			HINT = 'activity.release_hold() ends it; the hold goes on where the organization was imported.';
	END IF;
	SELECT count(*) AS events, min(e.id::text) AS first INTO found_one FROM _activity.event e
	WHERE e.organization = its_key AND e.xid < '9223372036854775808'::xid8
	  AND NOT pg_visible_in_snapshot(e.xid, receipt::pg_snapshot)
	  AND e.type <> ALL (_activity.type_codes('{compliance.exported,webhook.*}'));
	IF found_one.events > 0 THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('%s events of organization "%s" were recorded after that export', found_one.events, remove_organization.organization),
			DETAIL = format('One of them is %s.', found_one.first),
			HINT = 'Stop whoever records them, and export and import again.';
	END IF;
	SELECT count(*) INTO removed FROM _activity.event e WHERE e.organization = its_key;
	endpoints := ARRAY(SELECT w.key FROM _activity.webhook_endpoint w WHERE w.organization = its_key ORDER BY w.key);
	consumers := ARRAY(SELECT c.number FROM _activity.consumer c WHERE c.organization = remove_organization.organization);
	PERFORM _activity.lock_webhook(k) FROM unnest(endpoints) k;
	DELETE FROM _activity.webhook_attempt a WHERE a.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_delivery d WHERE d.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_retry r WHERE r.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_wake v WHERE v.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_state s WHERE s.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_secret s WHERE s.endpoint = ANY (endpoints);
	DELETE FROM _activity.webhook_endpoint w WHERE w.key = ANY (endpoints);
	DELETE FROM _activity.idempotency i USING _activity.token t WHERE i.token = t.id AND t.organization = its_key;
	DELETE FROM _activity.token t WHERE t.organization = its_key;
	DELETE FROM _activity.connection c WHERE c.organization = its_key;
	DELETE FROM _activity.consumer_lease l WHERE l.consumer = ANY (consumers);
	DELETE FROM _activity.consumer_parked k WHERE k.consumer = ANY (consumers) OR k.organization = its_key;
	DELETE FROM _activity.consumer_mark m WHERE m.consumer = ANY (consumers);
	DELETE FROM _activity.consumer c WHERE c.number = ANY (consumers);
	DELETE FROM _activity.rollup r WHERE r.organization = its_key;
	DELETE FROM _activity.rollup_seal s WHERE s.organization = its_key;
	DELETE FROM _activity.kept_amount a WHERE a.organization = its_key;
	DELETE FROM _activity.kept_subscription s WHERE s.organization = its_key;
	DELETE FROM _activity.rollup_repair r WHERE r.organization = its_key;
	DELETE FROM _activity.refold_todo t WHERE t.organization = its_key;
	DELETE FROM _activity.read_note n WHERE n.organization = its_key;
	DELETE FROM _activity.set_aside a WHERE a.organization = its_key;
	DELETE FROM _activity.hold h WHERE h.organization = its_key;
	DELETE FROM _activity.retention_rule r WHERE r.organization = remove_organization.organization;
	PERFORM _activity.remove_rows(its_key, true);
	RETURN removed;
END
$$;
COMMENT ON FUNCTION activity.remove_organization(text, text) IS
	'removes all that an organization has here, after it was imported elsewhere; the receipt is what activity.import_organization() returned; how many events; what stays is its id, its tier and the position and hash that its stream had come to, so that it can come back and goes on from there; errors: 55000 something was recorded after the export, 55006 held, 42704, 22023 no whole export of it from here has that receipt, 25006';
