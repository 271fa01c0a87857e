-- Partitions and retention.

CREATE FUNCTION activity.maintain(
	since    timestamptz DEFAULT NULL,
	max_rows integer     DEFAULT 100000)
RETURNS TABLE (action text, object text, rows bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_maintain_call';
COMMENT ON FUNCTION activity.maintain(timestamptz, integer) IS
	'makes partitions for the coming months (and from since on), moves events out of the default partition, removes what retention no longer keeps; at most about max_rows rows a call; tells what it did';

CREATE FUNCTION _activity.ensure_partitions() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_ensure_partitions';
COMMENT ON FUNCTION _activity.ensure_partitions() IS
	'makes partitions for the coming months if no lock must be waited for; for set-up functions';

-- How long events are kept: a row for an organization, or for a tier. keep is
-- null for one that keeps them for ever.
CREATE TABLE _activity.retention_rule (
	organization text COLLATE "C",
	tier         activity.tier,
	keep         interval CHECK (keep > interval '0' AND keep <= interval '1000 years'),
	CHECK (num_nonnulls(organization, tier) = 1),
	UNIQUE (organization),
	UNIQUE (tier)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.retention_rule', '');

-- What is in force for every organization; the nearest rule counts.
CREATE VIEW _activity.retention_of WITH (security_barrier) AS
SELECT organization.key, organization.id AS organization, tier.tier,
	CASE WHEN own.organization IS NOT NULL THEN own.keep ELSE its.keep END AS keep,
	CASE WHEN own.organization IS NOT NULL THEN 'organization'
		WHEN its.tier IS NOT NULL THEN 'tier'
		ELSE 'default' END AS set_for
FROM (SELECT DISTINCT key, id FROM _activity.organization) organization
CROSS JOIN LATERAL (
	SELECT coalesce(
		(SELECT newest.tier FROM _activity.organization_tier newest
			WHERE newest.organization = organization.key
			ORDER BY newest.number DESC LIMIT 1),
		nullif(current_setting('activity.default_tier', true), '')::activity.tier,
		'free') AS tier) tier
LEFT JOIN _activity.retention_rule own ON own.organization = organization.id
LEFT JOIN _activity.retention_rule its ON its.tier = tier.tier;
COMMENT ON VIEW _activity.retention_of IS
	'how long each organization keeps its events';

CREATE VIEW activity.retention WITH (security_barrier) AS
SELECT organization, tier, keep, set_for, now() - keep AS kept_since
FROM _activity.retention_of
UNION ALL
SELECT NULL, tier, keep, 'tier', now() - keep
FROM _activity.retention_rule WHERE tier IS NOT NULL;
COMMENT ON VIEW activity.retention IS
	'how long events are kept: a row for each organization, saying what decided it, and for each tier that has a rule; keep is null for ever';

CREATE FUNCTION _activity.check_keep(keep interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF keep <= interval '0' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('events can''t be kept for %s', keep),
			HINT = 'Give an interval above zero, or null for ever.';
	END IF;
	-- now() minus more than some thousands of years is no timestamp.
	IF keep > interval '1000 years' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'events can''t be kept for more than 1000 years',
			HINT = 'Give null to keep them for ever.';
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.check_keep(interval) IS
	'refuses a time of retention that is none';

-- Recorded for whoever is known; a rule can come before the first event.
CREATE FUNCTION _activity.note_retention(organization text, keep text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM _activity.organization known WHERE known.id = note_retention.organization) THEN
		PERFORM _activity.record_own(note_retention.organization, 'compliance.retention_changed',
			jsonb_build_object('kind', 'retention'), jsonb_build_object('keep', note_retention.keep), NULL);
	END IF;
END
$$;
COMMENT ON FUNCTION _activity.note_retention(text, text) IS
	'records that an organization''s events are kept for another time';

CREATE FUNCTION activity.set_retention(organization text, keep interval)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM _activity.check_tables('retention_rule', 'organization');
	IF set_retention.organization IS NULL OR set_retention.organization = '' THEN
		RAISE invalid_parameter_value
			USING MESSAGE = 'an organization''s id is needed';
	END IF;
	-- A bare literal is taken for text, so a tier's name would end up here.
	IF lower(set_retention.organization) = ANY (enum_range(NULL::activity.tier)::text[])
		AND NOT EXISTS (SELECT FROM _activity.organization known
			WHERE known.id = set_retention.organization)
	THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('there is no organization "%s"', set_retention.organization),
			HINT = format('For a tier call activity.set_retention(tier => %L, keep => ...).',
				set_retention.organization);
	END IF;
	PERFORM _activity.check_keep(set_retention.keep);
	INSERT INTO _activity.retention_rule (organization, keep)
	VALUES (set_retention.organization, set_retention.keep)
	ON CONFLICT (organization) DO UPDATE SET keep = excluded.keep;
	PERFORM _activity.note_retention(set_retention.organization, coalesce(set_retention.keep::text, 'ever'));
END
$$;
COMMENT ON FUNCTION activity.set_retention(text, interval) IS
	'how long an organization''s events are kept; null keeps them for ever, whatever its tier says';

CREATE FUNCTION activity.set_retention(tier activity.tier, keep interval)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM _activity.check_tables('retention_rule');
	IF set_retention.tier IS NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = 'a tier is needed';
	END IF;
	PERFORM _activity.check_keep(set_retention.keep);
	INSERT INTO _activity.retention_rule (tier, keep)
	VALUES (set_retention.tier, set_retention.keep)
	ON CONFLICT (tier) DO UPDATE SET keep = excluded.keep;
END
$$;
COMMENT ON FUNCTION activity.set_retention(activity.tier, interval) IS
	'how long events are kept of organizations of a tier that have no rule of their own; null keeps them for ever';

CREATE FUNCTION activity.unset_retention(organization text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_tables('retention_rule');
	DELETE FROM _activity.retention_rule rule
	WHERE rule.organization = unset_retention.organization;
	IF FOUND THEN
		PERFORM _activity.note_retention(unset_retention.organization, 'as long as its tier says');
	END IF;
END
$$;
COMMENT ON FUNCTION activity.unset_retention(text) IS
	'takes back an organization''s own rule, so that its tier''s counts again';
