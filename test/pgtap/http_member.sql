-- Members and memberships, of tables and of events, in SQL and in the shapes that
-- Nevermined's SDKs read.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT no_plan();

-- Of events: no table is tracked.
SELECT activity.record('acme', 'member.joined', '{"id": "ann", "name": "Ann", "email": "a@x", "role": "member"}', occurred_at => '2026-01-01Z'),
	activity.record('acme', 'member.role_changed', '{"id": "ann", "name": "Ann", "email": "a@x", "role": "owner"}', '{"previous_role": "member"}', occurred_at => '2026-01-02Z'),
	activity.record('acme', 'membership.joined', '{"id": "mel", "role": "member"}', occurred_at => '2026-01-03Z'),
	activity.record('acme', 'membership.deactivated', '{"id": "mel", "role": "member"}', occurred_at => '2026-01-04Z'),
	activity.record('acme', 'membership.joined', '{"id": "gone", "role": "member"}', occurred_at => '2026-01-03Z'),
	activity.record('acme', 'membership.removed', '{"id": "gone", "role": "member"}', occurred_at => '2026-01-04Z'),
	activity.record('other', 'membership.joined', '{"id": "ann", "role": "member"}', occurred_at => '2026-01-05Z') \g /dev/null
SELECT results_eq($$SELECT * FROM activity.members('acme')$$, $$VALUES ('ann', 'Ann', 'owner', true, timestamptz '2026-01-01Z'), ('mel', NULL, 'member', false, '2026-01-03Z')$$, 'members by events');
SELECT results_eq($$SELECT * FROM activity.memberships('ann')$$, $$VALUES ('acme', 'owner', true, timestamptz '2026-01-01Z'), ('other', 'member', true, '2026-01-05Z')$$, 'memberships by events');
SELECT is_empty($$SELECT * FROM activity.members('none')$$);
SELECT is_empty($$SELECT * FROM activity.memberships(NULL)$$);
SELECT is_empty($$SELECT * FROM activity.members(NULL)$$);

-- Of a table, which then is what counts.
CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
SELECT is_empty($$SELECT * FROM activity.members('acme')$$, 'the table wins');
INSERT INTO memberships VALUES (1, 'acme', 'ann', 'admin', 'active'), (2, 'acme', 'bob', 'member', 'suspended'), (3, 'acme', 'cat', 'client', 'active'),
	(4, 'acme', 'dan', 'member', 'removed'), (5, 'acme', 'eve', 'member', 'invited'), (6, 'rich', 'ann', 'member', 'active'), (7, 'left', 'ann', 'member', 'suspended');
SELECT results_eq($$SELECT member, role, active FROM activity.members('acme')$$, $$VALUES ('ann', 'admin', true), ('bob', 'member', false), ('cat', 'client', true)$$, 'members by the table');
SELECT results_eq($$SELECT organization, role, active FROM activity.memberships('ann')$$, $$VALUES ('acme', 'admin', true), ('left', 'member', false), ('rich', 'member', true)$$, 'memberships by the table');
SELECT ok(since > now() - interval '1 minute', 'since when, by the event') FROM activity.members('acme') WHERE member = 'ann';

-- By HTTP
SELECT activity.set_tier('acme', 'premium'), activity.set_tier('acme', 'free'), activity.set_tier('rich', 'enterprise') \g /dev/null
SELECT token AS ann FROM activity.create_token('acme', 'ann') \gset
SELECT token AS cat FROM activity.create_token('acme', 'cat') \gset
SELECT token AS org FROM activity.create_token('acme') \gset
SELECT token AS service FROM activity.create_token(NULL) \gset
CREATE FUNCTION ask(method text, path text, token text, content text DEFAULT '', more jsonb DEFAULT '{}')
RETURNS TABLE (status int, body jsonb) LANGUAGE sql AS $$
	SELECT h.status, nullif(h.body, '')::jsonb FROM activity.http($1, '/api/v1/organizations/' || $2, '',
		jsonb_build_object('authorization', 'Bearer ' || $3, 'content-type', 'application/json') || $5, $4) h
$$;
SELECT is((SELECT body FROM ask('GET', 'my-memberships', :'ann')), '[{"orgId": "acme", "orgName": "acme", "role": "Admin", "orgType": "Lapsed", "isAdmin": true, "hasSubscriptionHistory": true, "group": null},
	{"orgId": "rich", "orgName": "rich", "role": "Member", "orgType": "Enterprise", "isAdmin": false, "hasSubscriptionHistory": true, "group": null}]', 'my memberships, those that are active');
SELECT is((SELECT body->0->>'role' FROM ask('GET', 'my-memberships', :'cat')), 'Member');
SELECT is((SELECT body FROM ask('GET', 'my-memberships', :'org')), '[]', 'of nobody in particular');
SELECT is((SELECT body - 'members' FROM ask('POST', 'members', :'ann', '{"page": 1, "offset": 100}')), '{"totalResults": 3, "page": 1, "offset": 100, "totalActiveAdmins": 1}');
SELECT is((SELECT (body#>'{members,0}') - '{createdAt,updatedAt}'::text[] FROM ask('POST', 'members', :'ann', '{"role": "Admin"}')),
	'{"id": "ann", "userId": "ann", "orgId": "acme", "userAddress": "ann", "name": "Ann", "role": "Admin", "isActive": true}', 'a member');
SELECT results_eq(format($$SELECT m->>'id', m->>'role', jsonb_typeof(m->'createdAt') FROM ask('POST', 'members', %L, '{"isActive": true, "page": 2, "offset": 1}'), jsonb_array_elements(body->'members') m$$, :'ann'), $$VALUES ('cat', 'Client', 'string')$$, 'filtered, and by pages');
SELECT is((SELECT body->'totalResults' FROM ask('POST', 'members', :'ann', '{"isActive": false}')), '1');
SELECT is((SELECT status FROM ask('POST', 'members', :'ann', '{}', '{"X-Current-Org-Id": "rich"}')), 403, 'another organization is not opened');
SELECT is((SELECT body->'totalResults' FROM ask('POST', 'members', :'service', '{}', '{"X-Current-Org-Id": "rich"}')), '1', 'by a service''s token it is');
SELECT is((SELECT status FROM ask('POST', 'members', :'service', '{}')), 400);
SELECT results_eq(format($$SELECT o, status FROM (VALUES ('rich'), ('acme'), ('rich')) v (o), LATERAL ask('POST', 'members', %L, '{}', jsonb_build_object('X-Current-Org-Id', o, 'Idempotency-Key', 'k'))$$, :'service'),
	$$VALUES ('rich', 200), ('acme', 422), ('rich', 200)$$, 'to an Idempotency-Key another organization''s members are another request');
SELECT is((SELECT body->>'parameter' FROM ask('POST', 'members', :'ann', '{"page": 0}')), 'page');
SELECT is((SELECT body->>'parameter' FROM ask('POST', 'members', :'ann', '{"offset": 1.5}')), 'offset');
SELECT * FROM finish();
