-- Measures: what the amounts of events mean.

-- A version of a measure of one event type; it measures what was recorded from
-- valid_from on, until the next one of that name and type. Numbers below 1000
-- are built in.
CREATE TABLE _activity.measure (
	number     integer     PRIMARY KEY,
	event_type text        NOT NULL COLLATE "C",
	name       text        NOT NULL COLLATE "C",
	amount     text        NOT NULL, -- fields of metadata or subject: the first that is there of a|b
	unit       text        NOT NULL, -- the same; where none is there, the last one itself
	resource   text,                 -- as amount; kind:field is of a subject of that kind
	direction  integer     NOT NULL,
	valid_from timestamptz NOT NULL
);
CREATE SEQUENCE _activity.measure_number AS integer START 1000;
SELECT pg_catalog.pg_extension_config_dump('_activity.measure', 'WHERE number >= 1000');
SELECT pg_catalog.pg_extension_config_dump('_activity.measure_number', '');

INSERT INTO _activity.measure
SELECT n, event_type, name, 'amount', unit, resource, 1, '-infinity'
FROM (VALUES
	(1, 'credit.charge', 'credits_burned', 'credits', 'plan_id|plan:id|agent_id|agent:id|plan|model'),
	(2, 'credits.redeemed', 'credits_burned', 'credits', 'plan_id|plan:id|agent_id|agent:id|plan|model'),
	(3, 'credit.refund', 'credits_refunded', 'credits', 'plan_id|plan:id|agent_id|agent:id|plan|model'),
	(4, 'credit.add', 'credits_added', 'credits', 'plan_id|plan:id|agent_id|agent:id|plan|source'),
	(5, 'plan.purchased', 'revenue', 'currency|', 'plan_id|plan:id|agent_id|agent:id|product_id|product'),
	(6, 'order.created', 'revenue', 'currency|', 'plan_id|plan:id|agent_id|agent:id|product_id|product'),
	(7, 'plan.purchased', 'revenue_by_agent', 'currency|', 'agent_id|agent:id'),
	(8, 'order.created', 'revenue_by_agent', 'currency|', 'agent_id|agent:id')
) built_in (n, event_type, name, unit, resource);

CREATE FUNCTION _activity.measure_changed() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_measure_changed';
COMMENT ON FUNCTION _activity.measure_changed() IS
	'every session reads the measures anew';
CREATE TRIGGER measure_changed
	AFTER INSERT OR UPDATE OR DELETE ON _activity.measure
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.measure_changed();
ALTER TABLE _activity.measure ENABLE ALWAYS TRIGGER measure_changed;

CREATE FUNCTION _activity.lock_publishing() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_lock_publishing';
COMMENT ON FUNCTION _activity.lock_publishing() IS
	'waits until nobody publishes, and keeps others from it until the transaction ends';

CREATE FUNCTION _activity.check_fields(what text, fields text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF fields !~ '^[^\s|:{}]+(:[^\s|:{}]+)?(\|[^\s|:{}]+(:[^\s|:{}]+)?)*$' OR length(fields) > 255 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('"%s" names no field for the %s', fields, what),
			HINT = 'Give a field of metadata or subject, or several with | between them: the first that is there counts.';
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.check_fields(text, text) IS
	'refuses what names no field of an event';

CREATE FUNCTION activity.define_measure(event_type activity.event_type, name text, amount text, unit text,
	resource text DEFAULT NULL, direction integer DEFAULT 1) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	twice text[];
BEGIN
	IF num_nulls(define_measure.event_type, define_measure.name, define_measure.amount, define_measure.unit,
			define_measure.direction) > 0 THEN
		RAISE null_value_not_allowed USING MESSAGE = 'an event type, a name, an amount, a unit and a direction are needed';
	END IF;
	IF define_measure.name !~ '^[a-z][a-z0-9_]*$' OR length(define_measure.name) > 63 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('"%s" is no name for a measure', define_measure.name),
			HINT = 'A name is lower-case letters, digits and underscores, and begins with a letter.';
	END IF;
	PERFORM _activity.check_fields('amount', define_measure.amount);
	IF define_measure.unit !~ '^[^\s|{}]+(\|[^\s|{}]+)*\|?$' OR length(define_measure.unit) > 255 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('"%s" is no unit', define_measure.unit),
			HINT = 'Give a unit such as tokens, or the name of the field that has it, such as currency.';
	END IF;
	twice := ARRAY(SELECT f FROM unnest(string_to_array(define_measure.amount, '|')) f
		WHERE f = ANY (string_to_array(define_measure.unit, '|')));
	IF twice <> '{}' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('"%s" can''t be both amount and unit', twice[1]),
			HINT = 'An event that has the field named by the unit has that field as its unit: give another word, such as the singular.';
	END IF;
	IF define_measure.resource IS NOT NULL THEN
		PERFORM _activity.check_fields('resource', define_measure.resource);
	END IF;
	IF define_measure.direction NOT IN (1, -1) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'the direction of a measure is 1 or -1',
			HINT = '-1 takes what the events tell away from the sum.';
	END IF;
	PERFORM _activity.check_tables('measure');
	IF EXISTS (SELECT FROM _activity.measure m WHERE m.number < 1000 AND m.name = define_measure.name
			AND m.event_type = define_measure.event_type::text) THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('measure "%s" of "%s" is built in', define_measure.name, define_measure.event_type),
			HINT = 'Define one of another name.';
	END IF;
	-- What is published by now was measured without it, whatever is recorded later with it.
	PERFORM _activity.lock_publishing();
	IF (SELECT count(DISTINCT m.name) FROM _activity.measure m WHERE m.event_type = define_measure.event_type::text
			AND m.name <> define_measure.name) >= 16 THEN
		RAISE program_limit_exceeded USING MESSAGE = format('"%s" has 16 measures', define_measure.event_type);
	END IF;
	INSERT INTO _activity.measure
	VALUES (nextval('_activity.measure_number'), define_measure.event_type::text, define_measure.name,
		define_measure.amount, define_measure.unit, define_measure.resource, define_measure.direction, clock_timestamp());
END
$$;
COMMENT ON FUNCTION activity.define_measure(activity.event_type, text, text, text, text, integer) IS
	'what a field of an event type''s metadata or subject measures, in which unit, of which resource; for events that are recorded from now on, activity.refold() for those before; again: revises it; publishing waits until the transaction ends; errors: AC001 unknown event type, 22023 what makes no sense, 22004, 55000 built in, 54000 too many';

CREATE VIEW activity.measures WITH (security_barrier) AS
SELECT DISTINCT ON (m.name, m.event_type)
	m.name COLLATE "default" AS name, m.event_type COLLATE "default" AS event_type, m.amount, m.unit, m.resource,
	m.direction, m.number < 1000 AS built_in,
	CASE WHEN m.number < 1000 OR m.valid_from = '-infinity' THEN NULL ELSE m.valid_from END AS valid_from
FROM _activity.measure m
WHERE m.valid_from < 'infinity'
ORDER BY m.name, m.event_type, m.valid_from DESC, m.number DESC;
COMMENT ON VIEW activity.measures IS
	'the measures: of which event type, the field that is the amount, its unit, whose it is (resource), 1 or -1 for what is taken away, and since when recorded events are measured so (null: always)';
