-- Erasure and holds: what is personal goes and stays provable, or stays though its
-- time is over.

CREATE FUNCTION _activity.lock_upkeep() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_lock_upkeep';
COMMENT ON FUNCTION _activity.lock_upkeep() IS
	'waits until no other transaction moves, removes, redacts or holds events, and is the one that may, until it ends; errors: 25006, 55000 unless READ COMMITTED';

CREATE FUNCTION _activity.event_hash(id text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_hash_of';
COMMENT ON FUNCTION _activity.event_hash(text) IS
	'the hash by which events are found of an actor''s, a subject''s or an on-behalf-of id';

CREATE FUNCTION _activity.commitment(event _activity.event) RETURNS bytea
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_commitment';
COMMENT ON FUNCTION _activity.commitment(_activity.event) IS
	'sha256 of salt and personal part of an event: what its digest goes on being made from once they are erased';

CREATE FUNCTION _activity.redact_rows(organization integer, ids uuid[], redaction uuid,
	person text, pseudonym text, parts text) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_redact_rows';
COMMENT ON FUNCTION _activity.redact_rows(integer, uuid[], uuid, text, text, text) IS
	'erases the personal part of these events and returns of how many; the pseudonym takes the place of the person, or, where that is null, of the actor (parts has an a) and of whom he acted for (parts has a b)';

CREATE FUNCTION _activity.record_own(organization text, event_type text, subject jsonb,
	metadata jsonb, id uuid) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_record_own';
COMMENT ON FUNCTION _activity.record_own(text, text, jsonb, jsonb, uuid) IS
	'records what the extension does itself';

-- One row for each redaction of one organization; nothing in it says of whom.
CREATE TABLE _activity.redaction (
	id            uuid        PRIMARY KEY, -- of its event, too
	organization  integer     NOT NULL,
	redacted_at   timestamptz NOT NULL,
	reason        text        NOT NULL,
	pseudonym     text        NOT NULL,
	events        bigint      NOT NULL,
	deliveries    bigint      NOT NULL,
	actor         text,
	database_role text        NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.redaction
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.redaction ENABLE ALWAYS TRIGGER append_only;

-- Active until it is released; null is no condition.
CREATE TABLE _activity.hold (
	id             uuid        PRIMARY KEY,
	organization   integer     NOT NULL,
	actor          text,
	subject        text,
	since          timestamptz,
	until          timestamptz,
	reason         text        NOT NULL,
	placed_at      timestamptz NOT NULL,
	placed_by      text        NOT NULL,
	released_at    timestamptz,
	released_by    text,
	release_reason text
);
CREATE INDEX hold_active ON _activity.hold (organization) WHERE released_at IS NULL;

-- What else of the application's is personal, beside the names in personal_fields().
CREATE TABLE _activity.personal_field (
	event_type text NOT NULL COLLATE "C",
	field      text NOT NULL,
	PRIMARY KEY (event_type, field)
);

SELECT pg_catalog.pg_extension_config_dump('_activity.redaction', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.hold', '');
SELECT pg_catalog.pg_extension_config_dump('_activity.personal_field', '');

CREATE FUNCTION _activity.personal_fields() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY['email', 'emails', 'email_address', 'mail', 'name', 'full_name', 'first_name', 'last_name', 'display_name',
	'username', 'login', 'phone', 'phone_number', 'address', 'ip', 'ip_address', 'remote_addr', 'user_agent',
	'user', 'users', 'user_id', 'user_ids', 'member', 'members', 'member_id', 'member_ids', 'actor', 'actor_id',
	'person', 'person_id', 'customer', 'customer_id', 'customer_email', 'owner', 'owner_id', 'author', 'author_id',
	'invited_by', 'created_by', 'updated_by', 'deleted_by', 'removed_by', 'approved_by', 'assigned_to', 'assignee',
	'by', 'to', 'from', 'sender', 'recipient', 'recipients', 'invitee', 'inviter', 'contact', 'subject'];
COMMENT ON FUNCTION _activity.personal_fields() IS
	'fields of subject, metadata and context in which a person may stand, at any depth, for every event type; activity.declare_personal() adds to them';

CREATE FUNCTION _activity.names_person(document jsonb, person text, fields text[]) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_names_person';
COMMENT ON FUNCTION _activity.names_person(jsonb, text, text[]) IS
	'whether a person is a value of one of these fields of a document, or anywhere inside of one; user_id is userId is User-Id';

CREATE FUNCTION _activity.held_by(event _activity.event) RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.id FROM _activity.hold h
	WHERE h.organization = (event).organization AND h.released_at IS NULL
	  AND (h.since IS NULL OR (event).occurred_at >= h.since)
	  AND (h.until IS NULL OR (event).occurred_at < h.until)
	  AND (h.actor IS NULL OR h.actor IN ((event).actor_id, (event).on_behalf_of->>'id', (event).subject->>'id'))
	  AND (h.subject IS NULL OR h.subject IN ((event).subject->>'id',
		((event).subject->>'kind') || ':' || ((event).subject->>'id')))
	ORDER BY h.placed_at LIMIT 1
$$;
COMMENT ON FUNCTION _activity.held_by(_activity.event) IS
	'the oldest hold that an event is under; null: none';

CREATE FUNCTION _activity.check_reason(reason text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF reason IS NULL OR btrim(reason, E' \t\r\n') = '' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a reason is needed',
			HINT = 'It is recorded, for whoever asks later why this was done.';
	END IF;
	IF length(reason) > 2000 THEN
		RAISE program_limit_exceeded USING MESSAGE = 'the reason is longer than 2000 characters';
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.check_reason(text) IS
	'refuses a reason that is none';

-- The parts that keep something of a person beside the events add themselves here.
-- Each gets the organization, the ids of the events that are redacted, the person
-- (null: one event is redacted) and the pseudonym; the deliveries that it touched
-- are counted.
CREATE FUNCTION _activity.redact_elsewhere(organization integer, ids uuid[], person text, pseudonym text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	deliveries bigint;
BEGIN
	-- What endpoints answered. Bodies are made of the event at each attempt.
	WITH of_events AS (
		SELECT d.endpoint, d.position FROM _activity.webhook_delivery d
		WHERE d.endpoint IN (SELECT e.key FROM _activity.webhook_endpoint e
				WHERE e.organization = redact_elsewhere.organization)
		  AND d.event = ANY (redact_elsewhere.ids)),
	answers AS (
		UPDATE _activity.webhook_attempt a SET response_body = NULL
		FROM of_events d
		WHERE a.endpoint = d.endpoint AND a.position = d.position AND a.response_body IS NOT NULL)
	SELECT count(*) INTO deliveries FROM of_events;
	-- What an error said of an event that was set aside or parked.
	UPDATE _activity.consumer_parked k SET error = 'redacted'
	WHERE k.organization = redact_elsewhere.organization AND k.error IS NOT NULL
	  AND (k.event = ANY (redact_elsewhere.ids) OR position(redact_elsewhere.person IN k.error) > 0);
	UPDATE _activity.set_aside a SET reason = 'redacted'
	WHERE a.organization = redact_elsewhere.organization AND a.item = ANY (redact_elsewhere.ids::text[]);
	-- Secrets and tokens of the person, and what he read.
	IF redact_elsewhere.person IS NOT NULL THEN
		UPDATE _activity.connection c
		SET member = redact_elsewhere.pseudonym, label = NULL, revoked_at = coalesce(c.revoked_at, now())
		WHERE c.organization = redact_elsewhere.organization AND c.member = redact_elsewhere.person;
		UPDATE _activity.token t
		SET member = redact_elsewhere.pseudonym, label = NULL, revoked_at = coalesce(t.revoked_at, now())
		WHERE t.organization = redact_elsewhere.organization AND t.member = redact_elsewhere.person;
		UPDATE _activity.read_note n SET reader = redact_elsewhere.pseudonym
		WHERE n.organization = redact_elsewhere.organization AND n.is_member AND n.reader = redact_elsewhere.person;
		UPDATE _activity.set_aside a SET reason = 'redacted'
		WHERE a.organization = redact_elsewhere.organization AND position(redact_elsewhere.person IN a.reason) > 0;
		-- A hold that is over need not name them any more.
		UPDATE _activity.hold h
		SET actor = CASE h.actor WHEN redact_elsewhere.person THEN redact_elsewhere.pseudonym ELSE h.actor END,
			subject = CASE h.subject WHEN redact_elsewhere.person THEN redact_elsewhere.pseudonym ELSE h.subject END
		WHERE h.organization = redact_elsewhere.organization AND h.released_at IS NOT NULL
		  AND redact_elsewhere.person IN (h.actor, h.subject);
	END IF;
	RETURN deliveries;
END
$$;
COMMENT ON FUNCTION _activity.redact_elsewhere(integer, uuid[], text, text) IS
	'erases what is kept of events and of a person beside the events themselves; returns how many deliveries it concerned';

CREATE FUNCTION _activity.refuse_held(key integer, ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	held record;
BEGIN
	SELECT e.id, _activity.held_by(e) AS hold INTO held FROM _activity.event e
	WHERE e.organization = refuse_held.key AND e.id = ANY (refuse_held.ids)
	  AND _activity.held_by(e) IS NOT NULL LIMIT 1;
	IF FOUND THEN
		RAISE object_in_use USING
			MESSAGE = format('event %s is under the hold %s', held.id, held.hold),
			HINT = format('activity.release_hold(%L, ...) ends it; activity.holds says why it was placed.', held.hold);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.refuse_held(integer, uuid[]) IS
	'refuses (55006) if one of these events is under a hold, naming both';

-- Erases these events in batches, counts, and records that it did.
CREATE FUNCTION _activity.redact_events(key integer, organization text, ids uuid[], person text,
	pseudonym text, parts text, reason text, OUT events bigint, OUT deliveries bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	batch constant integer := 10000;
	redaction constant uuid := activity.event_id();
	total constant integer := coalesce(cardinality(redact_events.ids), 0);
	part uuid[];
	at integer := 1;
BEGIN
	events := 0;
	deliveries := 0;
	PERFORM _activity.note_repair(redact_events.key, redact_events.ids);
	WHILE at <= total LOOP
		part := redact_events.ids[at : at + batch - 1];
		PERFORM _activity.refuse_held(redact_events.key, part);
		PERFORM _activity.keep_amounts(redact_events.key, part);
		events := events + _activity.redact_rows(redact_events.key, part, redaction,
			redact_events.person, redact_events.pseudonym, redact_events.parts);
		deliveries := deliveries + _activity.redact_elsewhere(redact_events.key, part,
			redact_events.person, redact_events.pseudonym);
		at := at + batch;
		IF total > 10 * batch THEN
			RAISE NOTICE '% of % events of organization "%" redacted', least(at - 1, total), total, redact_events.organization;
		END IF;
	END LOOP;
	IF total > 0 OR redact_events.person IS NOT NULL THEN
		PERFORM _activity.redact_rollups(redact_events.key, redact_events.ids, redact_events.person, redact_events.pseudonym);
	END IF;
	IF total = 0 AND redact_events.person IS NOT NULL THEN
		deliveries := _activity.redact_elsewhere(redact_events.key, '{}', redact_events.person, redact_events.pseudonym);
	END IF;
	IF events > 0 THEN
		INSERT INTO _activity.redaction
		VALUES (redaction, redact_events.key, clock_timestamp(), redact_events.reason, redact_events.pseudonym, events, deliveries,
			nullif(current_setting('activity.actor_id', true), ''), session_user);
		PERFORM _activity.record_own(redact_events.organization, 'compliance.redacted',
			jsonb_build_object('kind', 'redaction', 'id', redaction::text),
			jsonb_build_object('reason', redact_events.reason, 'events', events, 'deliveries', deliveries), redaction);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.redact_events(integer, text, uuid[], text, text, text, text) IS
	'erases the personal part of these events of one organization and records it; errors: 55006 for one that is held';

CREATE FUNCTION _activity.new_pseudonym(pseudonym text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pseudonym = '' OR length(pseudonym) > 255 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a pseudonym has 1 to 255 characters';
	END IF;
	RETURN coalesce(pseudonym, 'redacted-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16));
END
$$;
COMMENT ON FUNCTION _activity.new_pseudonym(text) IS
	'the pseudonym that was asked for, or a random one';

-- In PL/pgSQL an argument and a column of the result can't have one name.
CREATE FUNCTION _activity.redact_one(organization text, event_id uuid, reason text)
RETURNS TABLE (its_id text, events bigint, deliveries bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner integer;
BEGIN
	PERFORM _activity.check_reason(redact_one.reason);
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('event', 'redaction', 'hold', 'webhook_attempt', 'webhook_delivery', 'connection', 'token', 'read_note', 'set_aside', 'consumer_parked', 'rollup', 'kept_amount', 'kept_subscription', 'rollup_repair');
	SELECT e.organization INTO owner FROM _activity.organization o
	JOIN _activity.event e ON e.organization = o.key
	WHERE o.id = $1 AND e.id = redact_one.event_id LIMIT 1;
	IF NOT FOUND THEN
		RAISE no_data_found USING MESSAGE = format('organization "%s" has no event %s', $1, redact_one.event_id);
	END IF;
	IF EXISTS (SELECT FROM _activity.event e WHERE e.organization = owner AND e.id = redact_one.event_id
			AND e.type::activity.event_type = 'compliance.redacted') THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = 'a redaction is not redacted: it is the proof of itself';
	END IF;
	RETURN QUERY SELECT $1, r.events, r.deliveries
	FROM _activity.redact_events(owner, $1, ARRAY[redact_one.event_id], NULL, _activity.new_pseudonym(NULL), 'ab', redact_one.reason) r;
END
$$;
COMMENT ON FUNCTION _activity.redact_one(text, uuid, text) IS
	'what activity.redact() does';

CREATE FUNCTION activity.redact(organization text, event_id uuid, reason text)
RETURNS TABLE (organization text, events bigint, deliveries bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT its_id, events, deliveries FROM _activity.redact_one($1, $2, $3)
$$;
COMMENT ON FUNCTION activity.redact(text, uuid, text) IS
	'erases the personal part of one event (actor, on behalf of, subject, metadata, description, context); type, time, position and digest stay, and verify() stays clean; again it does nothing; errors: 55006 held, 22023 no reason, P0002 no such event';

CREATE FUNCTION _activity.events_naming(key integer, person text) RETURNS uuid[]
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH declared AS (
		SELECT d.event_type::activity.event_type AS type, _activity.personal_fields() || array_agg(d.field) AS fields
		FROM _activity.personal_field d GROUP BY 1)
	SELECT array_agg(DISTINCT found.id) FROM (
		SELECT e.id FROM _activity.event e
		WHERE e.organization = events_naming.key
		  AND e.actor_hash = _activity.event_hash(events_naming.person) AND e.actor_id = events_naming.person
		UNION ALL
		SELECT e.id FROM _activity.event e
		WHERE e.organization = events_naming.key
		  AND e.subject_hash = _activity.event_hash(events_naming.person)
		  AND e.subject->>'id' = events_naming.person
		UNION ALL
		SELECT e.id FROM _activity.event e
		WHERE e.organization = events_naming.key AND e.on_behalf_of_hash IS NOT NULL
		  AND e.on_behalf_of_hash = _activity.event_hash(events_naming.person)
		  AND e.on_behalf_of->>'id' = events_naming.person
		UNION ALL
		-- Fields have no index: every event of the organization is looked at.
		SELECT e.id FROM _activity.event e
		LEFT JOIN declared ON declared.type = e.type::activity.event_type
		CROSS JOIN LATERAL (SELECT coalesce(declared.fields, _activity.personal_fields()) AS fields) its
		WHERE e.organization = events_naming.key AND e.commitment IS NULL
		  AND (events_naming.person IN (e.actor_name, e.on_behalf_of->>'name')
			OR _activity.names_person(e.subject, events_naming.person, its.fields)
			OR _activity.names_person(e.metadata, events_naming.person, its.fields)
			OR _activity.names_person(e.context, events_naming.person, its.fields))
	) found
$$;
COMMENT ON FUNCTION _activity.events_naming(integer, text) IS
	'the events of an organization in which a person stands: as actor, subject, on behalf of, or in a personal field';

CREATE FUNCTION _activity.redact_everywhere(person text, reason text, organization text, pseudonym text)
RETURNS TABLE (its_id text, events bigint, deliveries bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	known record;
	name constant text := _activity.new_pseudonym(redact_everywhere.pseudonym);
BEGIN
	PERFORM _activity.check_reason(redact_everywhere.reason);
	IF redact_everywhere.person IS NULL OR redact_everywhere.person = '' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'whom to redact must be said';
	END IF;
	IF name = redact_everywhere.person THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the pseudonym is the person';
	END IF;
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('event', 'redaction', 'hold', 'webhook_attempt', 'webhook_delivery', 'connection', 'token', 'read_note', 'set_aside', 'consumer_parked', 'rollup', 'kept_amount', 'kept_subscription', 'rollup_repair');
	FOR known IN
		SELECT o.key, min(o.id) AS id FROM _activity.organization o
		WHERE redact_everywhere.organization IS NULL OR o.id = redact_everywhere.organization
		GROUP BY o.key ORDER BY 2
	LOOP
		RETURN QUERY SELECT known.id, r.events, r.deliveries
		FROM _activity.redact_events(known.key, known.id,
			_activity.events_naming(known.key, redact_everywhere.person),
			redact_everywhere.person, name, '', redact_everywhere.reason) r
		WHERE r.events > 0 OR r.deliveries > 0;
	END LOOP;
END
$$;
COMMENT ON FUNCTION _activity.redact_everywhere(text, text, text, text) IS
	'what activity.redact_person() does';

CREATE FUNCTION activity.redact_person(person text, reason text, organization text DEFAULT NULL,
	pseudonym text DEFAULT NULL)
RETURNS TABLE (organization text, events bigint, deliveries bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT its_id, events, deliveries FROM _activity.redact_everywhere($1, $2, $3, $4)
$$;
COMMENT ON FUNCTION activity.redact_person(text, text, text, text) IS
	'erases a person (an id, or what stands in a personal field) from the events, deliveries and secrets of one organization or of all; one pseudonym takes the place of the id, so that counts remain; a row for each organization that had something; again it does nothing; errors: 55006 held, 22023 no reason';

CREATE VIEW activity.redactions WITH (security_barrier) AS
SELECT r.id, o.id AS organization, r.redacted_at, r.reason, r.pseudonym, r.events, r.deliveries, r.actor, r.database_role
FROM _activity.redaction r
CROSS JOIN LATERAL (SELECT min(o.id) AS id FROM _activity.organization o WHERE o.key = r.organization) o;
COMMENT ON VIEW activity.redactions IS
	'what was redacted: when, by whom and why; of whom is not kept';

CREATE FUNCTION activity.redaction_ledger() RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(jsonb_agg(jsonb_build_object('redaction', r.id, 'organization', r.organization,
		'redactedAt', r.redacted_at, 'reason', r.reason, 'pseudonym', r.pseudonym, 'actor', r.actor,
		'databaseRole', r.database_role, 'events', its.events) ORDER BY r.redacted_at), '[]')
	FROM activity.redactions r
	CROSS JOIN LATERAL (
		SELECT jsonb_object_agg(parts, ids) AS events FROM (
			SELECT CASE WHEN e.actor_id = r.pseudonym THEN 'a' ELSE '' END
				|| CASE WHEN e.on_behalf_of->>'id' = r.pseudonym THEN 'b' ELSE '' END AS parts,
				jsonb_agg(e.id ORDER BY e.id) AS ids
			FROM _activity.redaction same
			JOIN _activity.event e ON e.organization = same.organization
			WHERE same.id = r.id AND e.commitment IS NOT NULL AND e.subject->>'redacted' = r.id::text
			GROUP BY 1) grouped) its
	WHERE its.events IS NOT NULL
$$;
COMMENT ON FUNCTION activity.redaction_ledger() IS
	'what was redacted, by the ids of events, without anything personal: kept outside the database, activity.replay_redactions() erases the same again after a restore';

CREATE FUNCTION activity.replay_redactions(ledger jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	entry jsonb;
	owner integer;
	part record;
	rows bigint;
	total bigint := 0;
BEGIN
	IF jsonb_typeof(ledger) IS DISTINCT FROM 'array' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the ledger must be what activity.redaction_ledger() returned';
	END IF;
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('event', 'redaction', 'hold', 'webhook_attempt', 'webhook_delivery', 'connection', 'token', 'read_note', 'set_aside', 'consumer_parked', 'rollup', 'kept_amount', 'kept_subscription', 'rollup_repair');
	FOR entry IN SELECT value FROM jsonb_array_elements(ledger) LOOP
		IF jsonb_typeof(entry->'events') IS DISTINCT FROM 'object' OR entry->>'redaction' IS NULL
			OR entry->>'pseudonym' IS NULL OR entry->>'organization' IS NULL THEN
			RAISE invalid_parameter_value USING MESSAGE = 'the ledger must be what activity.redaction_ledger() returned';
		END IF;
		SELECT min(o.key) INTO owner FROM _activity.organization o WHERE o.id = entry->>'organization';
		CONTINUE WHEN owner IS NULL;
		rows := 0;
		FOR part IN SELECT key AS parts, ARRAY(SELECT jsonb_array_elements_text(value)::uuid) AS ids
			FROM jsonb_each(entry->'events')
		LOOP
			PERFORM _activity.refuse_held(owner, part.ids);
			PERFORM _activity.note_repair(owner, part.ids);
			PERFORM _activity.keep_amounts(owner, part.ids);
			rows := rows + _activity.redact_rows(owner, part.ids, (entry->>'redaction')::uuid, NULL,
				entry->>'pseudonym', part.parts);
			PERFORM _activity.redact_elsewhere(owner, part.ids, NULL, entry->>'pseudonym');
			PERFORM _activity.redact_rollups(owner, part.ids, NULL, entry->>'pseudonym');
		END LOOP;
		CONTINUE WHEN rows = 0;
		total := total + rows;
		INSERT INTO _activity.redaction VALUES ((entry->>'redaction')::uuid, owner, (entry->>'redactedAt')::timestamptz,
			entry->>'reason', entry->>'pseudonym', rows, 0, entry->>'actor', entry->>'databaseRole')
		ON CONFLICT DO NOTHING;
		PERFORM _activity.record_own(entry->>'organization', 'compliance.redacted',
			jsonb_build_object('kind', 'redaction', 'id', entry->>'redaction'),
			jsonb_build_object('reason', entry->>'reason', 'events', rows, 'replayed', true),
			(entry->>'redaction')::uuid);
	END LOOP;
	RETURN total;
END
$$;
COMMENT ON FUNCTION activity.replay_redactions(jsonb) IS
	'erases again what a ledger says, in a database that was restored from before; returns of how many events; again it does nothing; errors: 22023 for what is no ledger, 55006 for what is held';

CREATE FUNCTION activity.declare_personal(event_type activity.event_type, fields text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_tables('personal_field');
	IF declare_personal.event_type IS NULL OR declare_personal.fields IS NULL
		OR array_position(declare_personal.fields, NULL) IS NOT NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'an event type and the names of its personal fields are needed';
	END IF;
	DELETE FROM _activity.personal_field f WHERE f.event_type = declare_personal.event_type::text;
	INSERT INTO _activity.personal_field
	SELECT DISTINCT declare_personal.event_type::text, field FROM unnest(declare_personal.fields) field;
END
$$;
COMMENT ON FUNCTION activity.declare_personal(activity.event_type, text[]) IS
	'which fields of an event type''s subject, metadata and context may hold a person, beside the usual ones (email, name, ip and the like); replaces what was declared before';

CREATE FUNCTION activity.place_hold(organization text, reason text, actor text DEFAULT NULL, subject text DEFAULT NULL,
	since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hold constant uuid := activity.event_id();
	owner integer;
BEGIN
	PERFORM _activity.check_reason(place_hold.reason);
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('hold');
	SELECT min(o.key) INTO owner FROM _activity.organization o WHERE o.id = place_hold.organization;
	IF owner IS NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('there is no organization "%s"', place_hold.organization);
	END IF;
	IF place_hold.since >= place_hold.until THEN
		RAISE invalid_parameter_value USING MESSAGE = 'the hold ends before it begins';
	END IF;
	INSERT INTO _activity.hold VALUES (hold, owner, place_hold.actor, place_hold.subject, place_hold.since,
		place_hold.until, place_hold.reason, now(), coalesce(nullif(current_setting('activity.actor_id', true), ''), session_user));
	PERFORM _activity.record_own(place_hold.organization, 'compliance.hold_placed',
		jsonb_build_object('kind', 'hold', 'id', hold::text),
		jsonb_strip_nulls(jsonb_build_object('reason', place_hold.reason, 'actor', place_hold.actor,
			'subject', place_hold.subject, 'since', place_hold.since, 'until', place_hold.until)), NULL);
	RETURN hold;
END
$$;
COMMENT ON FUNCTION activity.place_hold(text, text, text, text, timestamptz, timestamptz) IS
	'what it covers neither expires nor is redacted until it is released: the events of an organization, of those that name actor (as actor, subject or on behalf of) or have this subject (an id or kind:id), from since until before until; errors: 22023';

CREATE FUNCTION activity.release_hold(hold_id uuid, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner integer;
BEGIN
	PERFORM _activity.check_reason(release_hold.reason);
	PERFORM _activity.lock_upkeep();
	PERFORM _activity.check_tables('hold');
	UPDATE _activity.hold h SET released_at = now(), release_reason = release_hold.reason,
		released_by = coalesce(nullif(current_setting('activity.actor_id', true), ''), session_user)
	WHERE h.id = release_hold.hold_id AND h.released_at IS NULL
	RETURNING h.organization INTO owner;
	IF NOT FOUND THEN
		IF EXISTS (SELECT FROM _activity.hold h WHERE h.id = release_hold.hold_id) THEN
			RETURN; -- it was released before
		END IF;
		RAISE no_data_found USING MESSAGE = format('there is no hold %s', release_hold.hold_id);
	END IF;
	PERFORM _activity.record_own((SELECT min(o.id) FROM _activity.organization o WHERE o.key = owner),
		'compliance.hold_released', jsonb_build_object('kind', 'hold', 'id', release_hold.hold_id::text),
		jsonb_build_object('reason', release_hold.reason), NULL);
END
$$;
COMMENT ON FUNCTION activity.release_hold(uuid, text) IS
	'ends a hold: what it covered expires and is redacted again like anything else; again it does nothing; errors: 22023 no reason, P0002 no such hold';

CREATE VIEW activity.holds WITH (security_barrier) AS
SELECT h.id, o.id AS organization, h.actor, h.subject, h.since, h.until, h.reason, h.placed_at, h.placed_by,
	h.released_at, h.released_by, h.release_reason
FROM _activity.hold h
CROSS JOIN LATERAL (SELECT min(o.id) AS id FROM _activity.organization o WHERE o.key = h.organization) o;
COMMENT ON VIEW activity.holds IS
	'holds, those that were released included';
