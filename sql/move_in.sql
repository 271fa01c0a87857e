-- An organization arrives: what becomes of the lines of its export.

CREATE FUNCTION _activity.own_xid() RETURNS xid8
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_own_xid';
COMMENT ON FUNCTION _activity.own_xid() IS
	'what event.xid is of an event that this transaction records';

CREATE FUNCTION _activity.remove_rows(organization integer, everything boolean) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_remove_rows';
COMMENT ON FUNCTION _activity.remove_rows(integer, boolean) IS
	'removes an organization''s rows from the tables that are append-only, but for where its stream ends; or that end alone';

CREATE FUNCTION _activity.adopt_segment(epoch integer, started_at timestamptz, system_identifier bigint, timeline bigint,
	database bigint, relation bigint, format integer, after integer, used boolean) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'act_adopt_segment';
COMMENT ON FUNCTION _activity.adopt_segment(integer, timestamptz, bigint, bigint, bigint, bigint, integer, integer, boolean) IS
	'the number that another database''s segment has here, after another one; made if need be';

CREATE FUNCTION _activity.resume_segments() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_resume_segments';
COMMENT ON FUNCTION _activity.resume_segments() IS
	'goes on publishing after the segments that were adopted';

CREATE FUNCTION _activity.move_code(type activity.event_type) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_code';
COMMENT ON FUNCTION _activity.move_code(activity.event_type) IS
	'the code of an event type';

CREATE FUNCTION _activity.move_check_tables() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT _activity.check_tables('organization', 'organization_tier', 'event', 'stream', 'segment', 'stream_anchor', 'expiry',
		'event_type_definition', 'personal_field', 'measure', 'retention_rule', 'hold', 'redaction', 'rollup', 'rollup_seal',
		'kept_amount', 'kept_subscription', 'rollup_repair', 'refold_todo', 'read_note', 'set_aside', 'webhook_endpoint',
		'webhook_state', 'webhook_secret', 'webhook_delivery', 'webhook_attempt', 'webhook_retry', 'webhook_wake', 'connection',
		'token', 'idempotency', 'consumer', 'consumer_mark', 'consumer_lease', 'consumer_parked')
$$;
COMMENT ON FUNCTION _activity.move_check_tables() IS
	'check_tables() of all that an organization is in';

-- What is known from here on: the key, and by which numbers of the file ours go.
CREATE FUNCTION _activity.move_in_head(head jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_key integer;
BEGIN
	IF head->>'format' IS DISTINCT FROM '1' THEN
		RAISE SQLSTATE 'AC051' USING MESSAGE = format('format %s of the export is not known', coalesce(head->>'format', 'none')),
			HINT = 'It was made by a later version of the extension: update this one.';
	ELSIF head->>'encoding' IS DISTINCT FROM getdatabaseencoding()::text THEN
		RAISE SQLSTATE 'AC051' USING MESSAGE = format('the export is of a database with encoding %s', head->>'encoding'),
			HINT = 'Digests are of bytes: create a database of that encoding to import it into.';
	ELSIF coalesce(head->>'organization', '') = '' OR coalesce(head->>'receipt', '') !~ '^\d+:\d+:[\d,]*$' THEN
		RAISE SQLSTATE 'AC051' USING MESSAGE = 'the export''s first line has no organization or no receipt';
	END IF;
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.move_check_tables();
	its_key := _activity.organization_key(head->>'organization');
	IF EXISTS (SELECT FROM _activity.event e WHERE e.organization = its_key)
		OR EXISTS (SELECT FROM _activity.stream s WHERE s.organization = its_key)
		OR EXISTS (SELECT FROM _activity.webhook_endpoint w WHERE w.organization = its_key)
		OR EXISTS (SELECT FROM _activity.connection c WHERE c.organization = its_key)
		OR EXISTS (SELECT FROM _activity.token t WHERE t.organization = its_key)
		OR EXISTS (SELECT FROM _activity.hold h WHERE h.organization = its_key)
		OR EXISTS (SELECT FROM _activity.rollup r WHERE r.organization = its_key)
	THEN
		RAISE duplicate_object USING MESSAGE = format('organization "%s" is here already', head->>'organization'),
			HINT = 'activity.remove_organization() removes one that was moved away.';
	END IF;
	RETURN jsonb_build_object('key', its_key, 'organization', head->'organization', 'receipt', head->'receipt',
		'source', head->'source', 'segments', jsonb '{}', 'segment', 0, 'measures', jsonb '{}', 'endpoints', jsonb '{}', 'events', 0);
END
$$;
COMMENT ON FUNCTION _activity.move_in_head(jsonb) IS
	'an organization''s export begins; errors: AC051, 42710 it is here already, 25006, 55000';

CREATE FUNCTION _activity.move_in_definitions(kind text, line jsonb, known jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_code integer;
	its_number integer;
	measure _activity.measure := jsonb_populate_record(NULL::_activity.measure, line);
BEGIN
	IF kind = 'type' THEN
		SELECT d.code INTO its_code FROM _activity.event_type_definition d WHERE d.key = line->>'key';
		IF NOT FOUND THEN
			PERFORM activity.define_event_type(line->>'key', line->>'template',
				ARRAY(SELECT jsonb_array_elements_text(line->'required')), line->>'family', line->>'subject_kind', line->>'meaning');
			SELECT d.code INTO its_code FROM _activity.event_type_definition d WHERE d.key = line->>'key';
		END IF;
		IF its_code IS DISTINCT FROM (line->>'code')::integer THEN
			RAISE object_not_in_prerequisite_state USING MESSAGE = format('event type "%s" has another code here', line->>'key'),
				DETAIL = 'Another event type of this database has its code.';
		END IF;
		RETURN known;
	END IF;
	-- One that is the same; none of that name; or one that says something else.
	SELECT max(m.number) INTO its_number FROM _activity.measure m
	WHERE (m.event_type, m.name, m.amount, m.unit, m.direction) = (measure.event_type, measure.name, measure.amount, measure.unit, measure.direction)
	  AND m.resource IS NOT DISTINCT FROM measure.resource;
	IF its_number IS NULL THEN
		IF EXISTS (SELECT FROM _activity.measure m WHERE m.event_type = measure.event_type AND m.name = measure.name
			AND m.number <> ALL (ARRAY(SELECT v::integer FROM jsonb_each_text(known->'measures') e (k, v))))
		THEN
			RAISE object_not_in_prerequisite_state USING
				MESSAGE = format('measure "%s" of "%s" is another one here', measure.name, measure.event_type),
				HINT = 'Define it alike in both databases, and refold.';
		END IF;
		its_number := measure.number;
		IF its_number < 1000 OR EXISTS (SELECT FROM _activity.measure m WHERE m.number = its_number) THEN
			its_number := greatest(nextval('_activity.measure_number'), (SELECT max(m.number) + 1 FROM _activity.measure m));
		END IF;
		PERFORM setval('_activity.measure_number', greatest(its_number, (SELECT s.last_value FROM _activity.measure_number s)));
		INSERT INTO _activity.measure VALUES (its_number, measure.event_type, measure.name, measure.amount, measure.unit,
			measure.resource, measure.direction, measure.valid_from);
	END IF;
	RETURN jsonb_set(known, ARRAY['measures', measure.number::text], to_jsonb(its_number));
END
$$;
COMMENT ON FUNCTION _activity.move_in_definitions(text, jsonb, jsonb) IS
	'a definition that an organization''s export needs';

CREATE FUNCTION _activity.move_in_events(lines text[], key integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own_xid constant xid8 := _activity.own_xid();
	bad uuid;
BEGIN
	WITH told AS MATERIALIZED (
		SELECT e.* FROM unnest(lines) l, jsonb_to_record(l::jsonb) AS e (id uuid, occurred_at timestamptz, xid xid8, salt uuid, recorded_at timestamptz,
			type text, actor_hash integer, subject_hash integer, on_behalf_of_hash integer, actor_kind text, actor_id text, actor_name text,
			description text, subject jsonb, metadata jsonb, context jsonb, on_behalf_of jsonb, commitment text)),
	taken AS (
		INSERT INTO _activity.event (id, occurred_at, xid, salt, recorded_at, organization, type, actor_hash, subject_hash,
			on_behalf_of_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context, on_behalf_of, commitment)
		SELECT e.id, e.occurred_at, CASE WHEN e.xid IS NULL THEN own_xid ELSE _activity.moved_xid(e.xid) END, e.salt, e.recorded_at,
			move_in_events.key, _activity.move_code(e.type::activity.event_type), e.actor_hash, e.subject_hash, e.on_behalf_of_hash,
			e.actor_kind, e.actor_id, e.actor_name, e.description, e.subject, e.metadata, e.context, e.on_behalf_of,
			decode(e.commitment, 'hex')
		FROM told e)
	SELECT e.id INTO bad FROM told e
	WHERE e.id::text !~ '^.{14}7.{4}[89ab]' OR activity.event_time(e.id) <> e.occurred_at OR e.xid >= '9223372036854775808'::xid8
	   OR jsonb_typeof(e.subject) <> 'object' OR jsonb_typeof(e.context) <> 'object' LIMIT 1;
	IF FOUND THEN
		RAISE data_exception USING MESSAGE = format('event %s is none: id, time, subject and context don''t go together', bad);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.move_in_events(text[], integer) IS
	'events of an organization''s export';

CREATE FUNCTION _activity.move_in_segment(line jsonb, known jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_number integer;
BEGIN
	-- From here on nobody else publishes; the end of the stream does not move.
	PERFORM _activity.lock_publishing();
	its_number := _activity.adopt_segment((line->>'epoch')::integer, (line->>'started_at')::timestamptz,
		(line->>'system_identifier')::bigint, (line->>'timeline')::bigint, (line->>'database')::bigint,
		(line->>'relation')::bigint, (line->>'format')::integer, (known->>'segment')::integer, (line->>'used')::boolean);
	IF its_number IS NULL THEN
		RAISE data_exception USING MESSAGE = 'a segment lacks something';
	END IF;
	RETURN jsonb_set(jsonb_set(known, ARRAY['segments', line->>'number'], to_jsonb(its_number)), '{segment}', to_jsonb(its_number));
END
$$;
COMMENT ON FUNCTION _activity.move_in_segment(jsonb, jsonb) IS
	'a segment of the stream of an organization''s export';

CREATE FUNCTION _activity.move_in_stream(kind text, lines text[], known jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_key constant integer := (known->>'key')::integer;
BEGIN
	IF kind = 'anchor' THEN
		-- One that is here was left by an organization that went away: move_arrived() looks.
		INSERT INTO _activity.stream_anchor (organization, position, segment, hash)
		SELECT its_key, p.position, (known->'segments'->>p.segment::text)::integer, decode(p.hash, 'hex')
		FROM unnest(lines) l, jsonb_to_record(l::jsonb) AS p (segment integer, position bigint, hash text);
	ELSIF kind = 'waiting' THEN
		INSERT INTO _activity.set_aside
		SELECT a.step, its_key, '', a.position, a.reason, a.sqlstate, now(), 0, now()
		FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.set_aside, l::jsonb) a
		WHERE a.step NOT IN ('publish', 'maintain', 'trim');
	ELSE
		INSERT INTO _activity.stream (position, organization, segment, id, hash)
		SELECT p.position, its_key, (known->'segments'->>p.segment::text)::integer, p.id, decode(p.hash, 'hex')
		FROM unnest(lines) l, jsonb_to_record(l::jsonb) AS p (segment integer, position bigint, id uuid, hash text);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.move_in_stream(text, text[], jsonb) IS
	'anchors and positions of an organization''s export';

CREATE FUNCTION _activity.move_measure(number integer, measures jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(number) < 1000 THEN number ELSE sign(number)::integer * (measures->>(abs(number)::text))::integer END;
COMMENT ON FUNCTION _activity.move_measure(integer, jsonb) IS
	'the number that a measure of the export has here';

CREATE FUNCTION _activity.move_in_numbers(kind text, lines text[], known jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its constant jsonb := jsonb_build_object('organization', known->'key');
BEGIN
	CASE kind
	WHEN 'rollup' THEN
		IF EXISTS (SELECT FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.rollup, l::jsonb) r
			WHERE r.kind NOT BETWEEN 0 AND 6 OR r.cells IS DISTINCT FROM cardinality(r.quarters)
				OR r.cells IS DISTINCT FROM cardinality(r.measures) OR EXISTS (
				SELECT FROM (VALUES (cardinality(r.types)), (cardinality(r.actors)), (cardinality(r.resources)),
					(cardinality(r.units)), (cardinality(r.names)), (cardinality(r.events)), (cardinality(r.amounts)),
					(cardinality(r.unmeasured)), (cardinality(r.first_at)), (cardinality(r.last_at))) c (cells) WHERE c.cells <> r.cells))
		THEN
			RAISE data_exception USING MESSAGE = 'a rollup has cells of different numbers';
		END IF;
		INSERT INTO _activity.rollup
		SELECT r.organization, r.kind, r.first, r.last, r.cells, r.quarters,
			CASE WHEN known->'measures' = '{}' THEN r.measures ELSE ARRAY(SELECT _activity.move_measure(m, known->'measures')
				FROM unnest(r.measures) WITH ORDINALITY u (m, n) ORDER BY n) END,
			r.types, r.actors, r.resources, r.units, r.names, r.events, r.amounts, r.unmeasured, r.first_at, r.last_at
		FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.rollup, l::jsonb || its) r;
	WHEN 'seal' THEN
		INSERT INTO _activity.rollup_seal SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.rollup_seal, l::jsonb || its) r;
	WHEN 'amount' THEN
		INSERT INTO _activity.kept_amount
		SELECT r.organization, r.event, _activity.move_measure(r.measure, known->'measures'), r.resource, r.name, r.unit, r.amount
		FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.kept_amount, l::jsonb || its) r;
	WHEN 'subscription' THEN
		INSERT INTO _activity.kept_subscription SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.kept_subscription, l::jsonb || its) r;
	WHEN 'repair' THEN
		INSERT INTO _activity.rollup_repair SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.rollup_repair, l::jsonb || its) r;
	WHEN 'refold' THEN
		INSERT INTO _activity.refold_todo SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.refold_todo, l::jsonb || its) r;
	WHEN 'read' THEN
		INSERT INTO _activity.read_note SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.read_note, l::jsonb || its) r;
	END CASE;
END
$$;
COMMENT ON FUNCTION _activity.move_in_numbers(text, text[], jsonb) IS
	'rollups of an organization''s export, and what belongs to them';

CREATE FUNCTION _activity.move_in_endpoint(line jsonb, known jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its constant _activity.webhook_endpoint := jsonb_populate_record(NULL::_activity.webhook_endpoint, line);
	state constant _activity.webhook_state := jsonb_populate_record(NULL::_activity.webhook_state, line->'state');
	its_key constant integer := nextval('_activity.webhook_endpoint_key');
BEGIN
	IF its.deleted_at IS NULL THEN
		PERFORM _activity.check_webhook(its.url, its.event_types);
	END IF;
	-- One that signs nothing would fail with each claim.
	IF EXISTS (SELECT FROM jsonb_array_elements(line->'secrets') j
			WHERE j->>'secret' !~ '^whsec_([A-Za-z0-9+/]{4})+([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$')
		OR its.deleted_at IS NULL AND NOT EXISTS (SELECT FROM jsonb_array_elements(line->'secrets') j WHERE j->'expires_at' IS NULL)
	THEN
		RAISE data_exception USING MESSAGE = 'an endpoint has no secret, or one that signs nothing';
	END IF;
	INSERT INTO _activity.webhook_endpoint VALUES (its_key, its.id, (known->>'key')::integer, its.url, its.event_types, its.description,
		its.created_at, its.disabled_at, its.disabled_reason, its.deleted_at);
	INSERT INTO _activity.webhook_secret (endpoint, secret, created_at, expires_at)
	SELECT its_key, s.secret, s.created_at, s.expires_at
	FROM jsonb_array_elements(line->'secrets') WITH ORDINALITY j (line, n), jsonb_populate_record(NULL::_activity.webhook_secret, j.line) s
	ORDER BY j.n;
	IF state.endpoint IS NOT NULL THEN
		IF cardinality(state.in_flight) % 6 <> 0 THEN
			RAISE data_exception USING MESSAGE = 'an endpoint''s deliveries in flight are none';
		END IF;
		-- Retries get numbers anew, so none of them is behind a mark; and somebody is to look.
		INSERT INTO _activity.webhook_state VALUES (its_key, nextval('_activity.webhook_state_version'), state.fresh_position, state.fresh_at,
			'-infinity', 0, least(state.ready_at, now()), state.failures, state.probes, state.flow, state.failing_since, state.succeeded_at,
			state.quarantined_at, state.probe_at, state.in_flight);
		INSERT INTO _activity.webhook_wake VALUES (its_key, nextval('_activity.webhook_wake_number'));
	END IF;
	RETURN jsonb_set(known, ARRAY['endpoints', its.key::text], to_jsonb(its_key));
END
$$;
COMMENT ON FUNCTION _activity.move_in_endpoint(jsonb, jsonb) IS
	'an endpoint of an organization''s export; errors: AC020 a url that is not allowed here';

CREATE FUNCTION _activity.move_in_deliveries(kind text, lines text[], known jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	endpoints constant jsonb := known->'endpoints';
BEGIN
	IF kind IN ('delivery', 'retry') AND EXISTS (SELECT FROM unnest(lines) l WHERE NOT isfinite((l::jsonb->>'created_at')::timestamptz)) THEN
		RAISE data_exception USING MESSAGE = 'a delivery is of no time';
	END IF;
	CASE kind
	WHEN 'delivery' THEN
		INSERT INTO _activity.webhook_delivery
		SELECT d.position, d.created_at, (endpoints->>d.endpoint::text)::integer, d.type, d.event, d.requested, d.body
		FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.webhook_delivery, l::jsonb) d;
		PERFORM setval('_activity.webhook_test_number', greatest((SELECT s.last_value FROM _activity.webhook_test_number s),
			(SELECT max(-(l::jsonb->>'position')::bigint) FROM unnest(lines) l)));
	WHEN 'attempt' THEN
		INSERT INTO _activity.webhook_attempt
		SELECT a.position, a.reported_at, (endpoints->>a.endpoint::text)::integer, a.attempt, a.claimed_at, a.status_code, a.probe,
			a.retry_after, a.duration, a.error, a.response_body
		FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.webhook_attempt, l::jsonb) a;
	WHEN 'retry' THEN
		INSERT INTO _activity.webhook_retry
		SELECT (endpoints->>r.endpoint::text)::integer, r.attempt, r.due_at, nextval('_activity.webhook_retry_number'), r.position,
			r.created_at, r.first_attempt, r.tries, r.lost
		FROM unnest(lines) WITH ORDINALITY u (l, n), jsonb_populate_record(NULL::_activity.webhook_retry, l::jsonb) r ORDER BY n;
	END CASE;
END
$$;
COMMENT ON FUNCTION _activity.move_in_deliveries(text, text[], jsonb) IS
	'deliveries, attempts and retries of an organization''s export';

CREATE FUNCTION _activity.move_in_rows(kind text, lines text[], known jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_key constant integer := (known->>'key')::integer;
	its constant jsonb := jsonb_build_object('organization', known->'key');
BEGIN
	CASE kind
	WHEN 'personal' THEN
		INSERT INTO _activity.personal_field SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.personal_field, l::jsonb) r
		ON CONFLICT DO NOTHING;
	WHEN 'tier' THEN
		INSERT INTO _activity.organization_tier
		SELECT its_key, nextval('_activity.organization_tier_number'), r.tier, r.set_at
		FROM unnest(lines) WITH ORDINALITY u (l, n), jsonb_populate_record(NULL::_activity.organization_tier, l::jsonb) r ORDER BY n;
	WHEN 'retention' THEN
		INSERT INTO _activity.retention_rule (organization, keep)
		SELECT known->>'organization', r.keep FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.retention_rule, l::jsonb) r
		ON CONFLICT (organization) DO UPDATE SET keep = excluded.keep;
	WHEN 'hold' THEN
		INSERT INTO _activity.hold SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.hold, l::jsonb || its) r;
	WHEN 'redaction' THEN
		INSERT INTO _activity.redaction SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.redaction, l::jsonb || its) r;
	WHEN 'expiry' THEN
		INSERT INTO _activity.expiry SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.expiry, l::jsonb || its) r;
	WHEN 'connection' THEN
		INSERT INTO _activity.connection SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.connection, l::jsonb || its) r;
	WHEN 'token' THEN
		IF EXISTS (SELECT FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.token, l::jsonb) t
			WHERE t.kind <> 'token' OR NOT t.capabilities <@ _activity.capabilities())
		THEN
			RAISE data_exception USING MESSAGE = 'a token is none of the HTTP API''s';
		END IF;
		INSERT INTO _activity.token SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.token, l::jsonb || its) r;
	WHEN 'answer' THEN
		INSERT INTO _activity.idempotency SELECT r.* FROM unnest(lines) l, jsonb_populate_record(NULL::_activity.idempotency, l::jsonb) r
		WHERE EXISTS (SELECT FROM _activity.token t WHERE t.id = r.token AND t.organization = its_key);
	END CASE;
END
$$;
COMMENT ON FUNCTION _activity.move_in_rows(text, text[], jsonb) IS
	'rows of an organization''s export that are taken as they are';

CREATE FUNCTION _activity.move_in_consumer(line jsonb, known jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its constant _activity.consumer := jsonb_populate_record(NULL::_activity.consumer, line);
	its_number constant integer := nextval('_activity.consumer_number');
	ours constant jsonb := jsonb_build_object('consumer', its_number, 'organization', known->'key');
BEGIN
	IF EXISTS (SELECT FROM _activity.consumer c WHERE c.name = its.name) THEN
		RAISE duplicate_object USING MESSAGE = format('consumer "%s" exists here already', its.name),
			HINT = 'Drop it here, or where the export comes from, and export again.';
	END IF;
	INSERT INTO _activity.consumer VALUES (its_number, its.name, known->>'organization', its.event_types, its.created_at);
	INSERT INTO _activity.consumer_mark
	SELECT m.* FROM jsonb_populate_record(NULL::_activity.consumer_mark, (line->'mark') || ours) m WHERE line->'mark' IS NOT NULL;
	INSERT INTO _activity.consumer_lease (lease, consumer, leased_until, organizations)
	SELECT l.lease, its_number, l.leased_until, ARRAY[(known->>'key')::integer]
	FROM jsonb_array_elements(line->'leases') j, jsonb_populate_record(NULL::_activity.consumer_lease, j) l;
	INSERT INTO _activity.consumer_parked
	SELECT k.* FROM jsonb_array_elements(line->'parked') j, jsonb_populate_record(NULL::_activity.consumer_parked, j || ours) k;
END
$$;
COMMENT ON FUNCTION _activity.move_in_consumer(jsonb, jsonb) IS
	'a consumer of an organization''s export; errors: 42710 one of that name is here';

CREATE FUNCTION _activity.move_in(kind text, lines text[], first bigint, known jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	line text;
	reason text;
	state text;
BEGIN
	CASE
	WHEN kind IN ('organization', 'type', 'measure', 'segment', 'endpoint', 'consumer') THEN
		FOREACH line IN ARRAY lines LOOP
			CASE kind
			WHEN 'organization' THEN known := _activity.move_in_head(line::jsonb);
			WHEN 'segment' THEN known := _activity.move_in_segment(line::jsonb, known);
			WHEN 'endpoint' THEN known := _activity.move_in_endpoint(line::jsonb, known);
			WHEN 'consumer' THEN PERFORM _activity.move_in_consumer(line::jsonb, known);
			ELSE known := _activity.move_in_definitions(kind, line::jsonb, known);
			END CASE;
		END LOOP;
	WHEN kind = 'event' THEN
		PERFORM _activity.move_in_events(lines, (known->>'key')::integer);
		known := jsonb_set(known, '{events}', to_jsonb((known->>'events')::bigint + cardinality(lines)));
	WHEN kind IN ('anchor', 'position', 'waiting') THEN
		-- Before the first of them, what was left here by one that went away.
		IF NOT known ? 'left' THEN
			known := known || jsonb_build_object('left', coalesce((SELECT to_jsonb(a) FROM _activity.stream_anchor a
				WHERE a.organization = (known->>'key')::integer ORDER BY a.position DESC LIMIT 1), 'null'));
			PERFORM _activity.remove_rows((known->>'key')::integer, false);
		END IF;
		PERFORM _activity.move_in_stream(kind, lines, known);
	WHEN kind IN ('rollup', 'seal', 'amount', 'subscription', 'repair', 'refold', 'read') THEN
		PERFORM _activity.move_in_numbers(kind, lines, known);
	WHEN kind IN ('delivery', 'attempt', 'retry') THEN
		PERFORM _activity.move_in_deliveries(kind, lines, known);
	WHEN kind IN ('personal', 'tier', 'retention', 'hold', 'redaction', 'expiry', 'connection', 'token', 'answer') THEN
		PERFORM _activity.move_in_rows(kind, lines, known);
	ELSE
		RAISE data_exception USING MESSAGE = format('lines "%s" are not known', kind);
	END CASE;
	RETURN known;
EXCEPTION WHEN data_exception OR integrity_constraint_violation OR datatype_mismatch OR cardinality_violation
	OR SQLSTATE 'AC001' OR SQLSTATE 'AC003' OR SQLSTATE 'AC004' THEN
	GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
	RAISE SQLSTATE 'AC051' USING
		MESSAGE = format('lines %s to %s of the export (%s) can''t be imported: %s', first, first + cardinality(lines) - 1, kind, reason),
		DETAIL = format('SQLSTATE %s.', state),
		HINT = 'Import the lines of activity.export_organization() as they are, all of them, in their order.';
END
$$;
COMMENT ON FUNCTION _activity.move_in(text, text[], bigint, jsonb) IS
	'lines of one kind of an organization''s export; what is known after them; errors: AC051';

CREATE FUNCTION _activity.move_arrived(known jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	its_key constant integer := (known->>'key')::integer;
	its_id constant text := known->>'organization';
	problem record;
	months integer[];
BEGIN
	-- Also where no segment came: a stream that begins here.
	PERFORM _activity.lock_publishing();
	PERFORM _activity.resume_segments();
	IF jsonb_typeof(known->'left') = 'object' AND NOT EXISTS (
		SELECT FROM _activity.stream s WHERE s.organization = its_key AND s.position = (known->'left'->>'position')::bigint
			AND s.hash = (known->'left'->>'hash')::bytea
		UNION ALL
		SELECT FROM _activity.stream_anchor a WHERE a.organization = its_key AND a.position >= (known->'left'->>'position')::bigint)
	THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('organization "%s" has another history here', its_id),
			DETAIL = format('Here it had come to position %s, and the export does not go on from there.', known->'left'->>'position');
	END IF;
	SELECT v."position", v.problem INTO problem FROM activity.verify(its_id) v LIMIT 1;
	IF FOUND THEN
		RAISE SQLSTATE 'AC051' USING MESSAGE = format('the export does not verify: %s', problem.problem),
			DETAIL = format('Position %s.', coalesce(problem."position"::text, 'none')),
			HINT = 'If activity.verify() says the same where it comes from, that was so before it was exported.';
	END IF;
	-- Seals are of the numbers that measures have.
	IF EXISTS (SELECT FROM jsonb_each_text(known->'measures') m (theirs, ours) WHERE m.theirs <> m.ours) THEN
		months := ARRAY(SELECT s.month FROM _activity.rollup_seal s WHERE s.organization = its_key ORDER BY 1);
		PERFORM _activity.seal_months(its_key, months);
	END IF;
	PERFORM _activity.record_own(its_id, 'compliance.imported', jsonb_build_object('kind', 'organization', 'id', its_id),
		jsonb_build_object('events', known->'events', 'from', known->'source', 'receipt', known->'receipt'), NULL);
	RETURN known->>'receipt';
END
$$;
COMMENT ON FUNCTION _activity.move_arrived(jsonb) IS
	'ends the import of an organization; its receipt; errors: AC051 it does not verify, 55000 it has another history here';

CREATE FUNCTION _activity.import_line(state internal, line text) RETURNS internal
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'act_import_line';
COMMENT ON FUNCTION _activity.import_line(internal, text) IS
	'takes a line of an organization''s export';

CREATE FUNCTION _activity.import_end(state internal) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'act_import_end';
COMMENT ON FUNCTION _activity.import_end(internal) IS
	'ends the import of an organization''s export';

CREATE AGGREGATE activity.import_organization(line text) (
	SFUNC = _activity.import_line, STYPE = internal, FINALFUNC = _activity.import_end,
	FINALFUNC_MODIFY = READ_WRITE, PARALLEL = UNSAFE);
COMMENT ON AGGREGATE activity.import_organization(text) IS
	'makes an organization from the lines of activity.export_organization() in their order: SELECT activity.import_organization(line) FROM lines; positions, hashes, cursors, secrets and tokens stay good; returns the receipt with which activity.remove_organization() removes it where it comes from; a file that is not whole leaves nothing; errors: AC051 the file (also what does not verify), 42710 the organization or a consumer is here already, 55000 it has another history here, AC020 an endpoint''s url, 25006';
