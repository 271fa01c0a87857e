-- Members and memberships: of the tracked tables, or else of what was recorded of them.

CREATE FUNCTION _activity.members_tracked() RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_members_tracked';
COMMENT ON FUNCTION _activity.members_tracked() IS
	'whether some table is tracked as membership or member';

CREATE FUNCTION _activity.member_rows(organization text, member text)
RETURNS TABLE (organization text, member text, name text, role text, state text)
LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'act_member_rows';
COMMENT ON FUNCTION _activity.member_rows(text, text) IS
	'rows of tracked tables about an organization, a member (null: any), or both';

-- The last of each that says where somebody stands, and the last role.
CREATE FUNCTION _activity.member_events(its_key integer, person text)
RETURNS TABLE (organization integer, member text, name text, role text, state text, since timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.organization, e.subject->>'id',
		(array_agg(e.subject->>'name' ORDER BY e.id DESC) FILTER (WHERE e.subject->>'name' IS NOT NULL))[1],
		(array_agg(e.subject->>'role' ORDER BY e.id DESC) FILTER (WHERE e.subject->>'role' IS NOT NULL))[1],
		(array_agg(CASE activity.action(e.type::activity.event_type) WHEN 'joined' THEN 'active' WHEN 'reactivated' THEN 'active'
			WHEN 'deactivated' THEN 'inactive' ELSE 'removed' END ORDER BY e.id DESC)
			FILTER (WHERE activity.action(e.type::activity.event_type) <> 'role_changed'))[1],
		max(e.occurred_at) FILTER (WHERE activity.action(e.type::activity.event_type) IN ('joined', 'reactivated'))
	FROM _activity.event e
	WHERE e.type = ANY (_activity.type_codes('{membership.joined,membership.reactivated,membership.deactivated,membership.removed,membership.role_changed,member.joined,member.reactivated,member.deactivated,member.removed,member.role_changed}'))
	  AND ($1 IS NULL OR e.organization = $1)
	  AND ($2 IS NULL OR e.subject_hash = _activity.event_hash($2) AND e.subject->>'id' = $2)
	  AND e.subject->>'id' IS NOT NULL
	GROUP BY e.organization, e.subject->>'id'
$$;
COMMENT ON FUNCTION _activity.member_events(integer, text) IS
	'what was recorded of members: where they stand, in which role, since when';

CREATE FUNCTION _activity.is_admin(role text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(lower(role) IN ('owner', 'admin', 'administrator'), false);
COMMENT ON FUNCTION _activity.is_admin(text) IS
	'whether a role is one of those that administer an organization';

CREATE FUNCTION _activity.list_members(its_organization text)
RETURNS TABLE (member text, name text, role text, active boolean, since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	owner   constant integer := (SELECT min(o.key) FROM _activity.organization o WHERE o.id = its_organization);
	tracked constant boolean := _activity.members_tracked();
BEGIN
	RETURN QUERY
	WITH told AS MATERIALIZED (SELECT * FROM _activity.member_events(coalesce(owner, 0), NULL)),
	known AS (
		SELECT r.member, max(r.name) AS name, max(r.role) AS role, bool_or(r.state = 'active') AS active
		FROM _activity.member_rows(its_organization, NULL) r
		WHERE tracked AND r.member IS NOT NULL AND r.state NOT IN ('removed', 'pending') GROUP BY r.member
		UNION ALL
		SELECT t.member, t.name, t.role, t.state = 'active' FROM told t WHERE NOT tracked AND t.state <> 'removed')
	SELECT k.member, coalesce(k.name, t.name), k.role, k.active, t.since
	FROM known k LEFT JOIN told t ON t.member = k.member
	ORDER BY k.member COLLATE "C";
END
$$;
COMMENT ON FUNCTION _activity.list_members(text) IS
	'what activity.members() does';

CREATE FUNCTION activity.members(organization text)
RETURNS TABLE (member text, name text, role text, active boolean, since timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM _activity.list_members($1)
$$;
COMMENT ON FUNCTION activity.members(text) IS
	'the members of an organization, of the tracked tables or else of what was recorded: role, whether active, and since when if that was recorded';

CREATE FUNCTION _activity.list_memberships(person text)
RETURNS TABLE (organization text, role text, active boolean, since timestamptz)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	tracked constant boolean := _activity.members_tracked();
BEGIN
	RETURN QUERY
	WITH told AS MATERIALIZED (
		SELECT t.*, (SELECT min(o.id) FROM _activity.organization o WHERE o.key = t.organization) AS its_id
		FROM _activity.member_events(NULL, person) t),
	known AS (
		SELECT r.organization, max(r.role) AS role, bool_or(r.state = 'active') AS active
		FROM _activity.member_rows(NULL, person) r
		WHERE tracked AND r.organization IS NOT NULL AND r.state NOT IN ('removed', 'pending') GROUP BY r.organization
		UNION ALL
		SELECT t.its_id, t.role, t.state = 'active' FROM told t WHERE NOT tracked AND t.state <> 'removed')
	SELECT k.organization, k.role, k.active, t.since
	FROM known k LEFT JOIN told t ON t.its_id = k.organization
	WHERE person IS NOT NULL
	ORDER BY k.organization COLLATE "C";
END
$$;
COMMENT ON FUNCTION _activity.list_memberships(text) IS
	'what activity.memberships() does';

CREATE FUNCTION activity.memberships(member text)
RETURNS TABLE (organization text, role text, active boolean, since timestamptz)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM _activity.list_memberships($1)
$$;
COMMENT ON FUNCTION activity.memberships(text) IS
	'the organizations of a member, of the tracked tables or else of what was recorded: role, whether active, and since when if that was recorded';
