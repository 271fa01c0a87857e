-- Tiers of organizations, and the features that they open.

CREATE FUNCTION activity.set_tier(organization text, tier activity.tier)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'act_set_tier';
COMMENT ON FUNCTION activity.set_tier(text, activity.tier) IS
	'sets the tier of an organization, known or new; nothing recorded depends on it';

CREATE FUNCTION activity.organization_tier(organization text)
RETURNS activity.tier
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'act_organization_tier';
COMMENT ON FUNCTION activity.organization_tier(text) IS
	'the tier of an organization; the setting activity.default_tier where none was set';

-- The built-in values stand in tier.c, too: the feature check reads those.
CREATE VIEW activity.features WITH (security_barrier) AS
SELECT built_in.feature,
	   COALESCE(changed.tier, built_in.tier) AS tier
FROM (VALUES ('feed',      'premium'::activity.tier),
			 ('webhooks',  'premium'::activity.tier),
			 ('analytics', 'premium'::activity.tier),
			 ('stream',    'enterprise'::activity.tier)) AS built_in (feature, tier)
	 LEFT JOIN _activity.feature_override changed USING (feature);
COMMENT ON VIEW activity.features IS
	'each feature and the least tier that opens it; an administrator may UPDATE the tier';

CREATE FUNCTION _activity.change_feature() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM _activity.check_tables('feature_override');
	IF NEW.feature IS DISTINCT FROM OLD.feature OR NEW.tier IS NULL THEN
		RAISE EXCEPTION 'only the tier of a feature can be changed, and not to null'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	INSERT INTO _activity.feature_override AS o (feature, tier)
	VALUES (NEW.feature, NEW.tier)
	ON CONFLICT (feature) DO UPDATE SET tier = EXCLUDED.tier;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION _activity.change_feature() IS
	'keeps what an administrator changes in activity.features';
CREATE TRIGGER change_feature INSTEAD OF UPDATE ON activity.features
	FOR EACH ROW EXECUTE FUNCTION _activity.change_feature();
