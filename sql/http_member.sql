-- The HTTP API: memberships and members, in the shapes of Nevermined's SDKs.

CREATE FUNCTION _activity.http_memberships(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json((
		SELECT coalesce(json_agg(json_build_object('orgId', m.organization, 'orgName', m.organization,
			'role', CASE WHEN its.admin THEN 'Admin' ELSE 'Member' END,
			'orgType', CASE its.tier WHEN 'premium' THEN 'Premium' WHEN 'enterprise' THEN 'Enterprise'
				ELSE CASE WHEN its.paid THEN 'Lapsed' ELSE 'Other' END END,
			'isAdmin', its.admin, 'hasSubscriptionHistory', its.paid, 'group', NULL)), '[]')
		FROM activity.memberships(request.member) m
		CROSS JOIN LATERAL (
			SELECT _activity.is_admin(m.role) OR m.organization = request.organization AND 'webhooks' = ANY (request.capabilities) AS admin,
				activity.organization_tier(m.organization)::text AS tier,
				EXISTS (SELECT FROM _activity.organization_tier t JOIN _activity.organization o ON o.key = t.organization
					WHERE o.id = m.organization AND t.tier > 'free') AS paid) its
		WHERE m.active)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_memberships(_activity.http_request) IS
	'GET /organizations/my-memberships';

CREATE FUNCTION _activity.http_members(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	body   jsonb := coalesce(request.body, '{}');
	number numeric;
	most   numeric;
	wanted_role text;
	wanted_active boolean;
BEGIN
	PERFORM _activity.http_check_body(body, '{role,isActive,page,offset,environment}');
	IF request.organization IS NULL THEN
		PERFORM _activity.http_refuse(400, 'missing_field', 'a token of all organizations names one by the header X-Current-Org-Id');
	END IF;
	wanted_role := _activity.http_field(body, 'role', 'string')#>>'{}';
	wanted_active := (_activity.http_field(body, 'isActive', 'boolean')#>>'{}')::boolean;
	number := coalesce((_activity.http_field(body, 'page', 'number')#>>'{}')::numeric, 1);
	most := coalesce((_activity.http_field(body, 'offset', 'number')#>>'{}')::numeric, 100);
	IF number <> trunc(number) OR number NOT BETWEEN 1 AND 1000000 THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"page" must be a whole number from 1 to 1000000', 'page');
	ELSIF most <> trunc(most) OR most NOT BETWEEN 1 AND 1000 THEN
		PERFORM _activity.http_refuse(400, 'bad_field', '"offset" must be a whole number from 1 to 1000', 'offset');
	END IF;
	RETURN _activity.http_json((
		WITH everybody AS MATERIALIZED (
			SELECT m.*, CASE WHEN _activity.is_admin(m.role) THEN 'Admin' WHEN lower(m.role) IN ('client', 'customer') THEN 'Client' ELSE 'Member' END AS their_role
			FROM activity.members(request.organization) m),
		wanted AS (
			SELECT e.*, row_number() OVER (ORDER BY e.member COLLATE "C") AS n FROM everybody e
			WHERE (wanted_role IS NULL OR e.their_role = wanted_role) AND (wanted_active IS NULL OR e.active = wanted_active))
		SELECT json_build_object('totalResults', count(*),
			'members', coalesce(json_agg(json_build_object('id', w.member, 'userId', w.member, 'orgId', request.organization,
				'userAddress', w.member, 'name', w.name, 'role', w.their_role, 'isActive', w.active,
				'createdAt', _activity.http_time_text(coalesce(w.since, 'epoch')), 'updatedAt', _activity.http_time_text(coalesce(w.since, 'epoch'))) ORDER BY w.n)
				FILTER (WHERE w.n > (number - 1) * most AND w.n <= number * most), '[]'),
			'page', number, 'offset', most,
			'totalActiveAdmins', (SELECT count(*) FROM everybody e WHERE e.active AND e.their_role = 'Admin'))
		FROM wanted w)::text);
END
$$;
COMMENT ON FUNCTION _activity.http_members(_activity.http_request) IS
	'POST /organizations/members';
