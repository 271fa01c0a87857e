-- The HTTP API: its description of itself, answers that are known, requests that come
-- twice; and for every route, what somebody gets who may not.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT no_plan();

CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'acme', 'ann', 'admin', 'active'), (2, 'other', 'bob', 'member', 'active'), (3, 'acme', 'gone', 'member', 'active');
SELECT activity.set_tier('acme', 'enterprise'), activity.set_tier('other', 'enterprise'), activity.set_tier('poor', 'free') \g /dev/null
SELECT token AS ann FROM activity.create_token('acme', 'ann', _activity.capabilities()) \gset
SELECT token AS bob FROM activity.create_token('other', 'bob', _activity.capabilities()) \gset
SELECT token AS gone FROM activity.create_token('acme', 'gone', _activity.capabilities()) \gset
SELECT token AS poor FROM activity.create_token('poor', NULL, _activity.capabilities()) \gset
SELECT token AS late FROM activity.create_token('acme', 'ann', _activity.capabilities(), 'late') \gset
UPDATE _activity.token SET expires_at = now() - interval '1 s' WHERE label = 'late';
DELETE FROM memberships WHERE id = 3;
CREATE FUNCTION ask(method text, path text, token text DEFAULT NULL, query text DEFAULT '', content text DEFAULT '', more jsonb DEFAULT '{}')
RETURNS TABLE (status int, headers jsonb, body jsonb) LANGUAGE sql AS $$
	SELECT h.status, h.headers, CASE WHEN h.headers->>'content-type' LIKE '%json' THEN h.body::jsonb END FROM activity.http($1, '/api/v1' || $2, $4,
		jsonb_strip_nulls(jsonb_build_object('authorization', 'Bearer ' || $3, 'content-type', 'application/json')) || $6, $5) h
$$;

-- The document
SELECT body AS api FROM ask('GET', '/openapi.json') \gset
SELECT is(:'api'::jsonb->>'openapi', '3.1.0', 'it needs no token');
SELECT is_empty($$SELECT handler FROM _activity.http_routes() EXCEPT SELECT handler FROM _activity.http_shapes()$$, 'every route has its shapes');
SELECT is_empty($$SELECT handler FROM _activity.http_shapes() EXCEPT SELECT handler FROM _activity.http_routes()$$, 'and no other');
SELECT results_eq(format($$SELECT p.key || ' ' || upper(m.key) FROM jsonb_each(%L::jsonb->'paths') p, jsonb_each(p.value) m ORDER BY 1$$, :'api'),
	$$SELECT pattern || ' ' || method FROM _activity.http_routes() ORDER BY 1$$, 'every route is in it');
SELECT is_empty(format($$SELECT DISTINCT r[1] FROM regexp_matches(%L, '#/components/schemas/(\w+)', 'g') r WHERE NOT %L::jsonb->'components'->'schemas' ? r[1]$$, :'api', :'api'), 'every schema that it speaks of, too');
SELECT set_eq(format($$SELECT jsonb_array_elements_text(%L::jsonb->'components'->'schemas'->'EventType'->'enum')$$, :'api'), $$SELECT key FROM activity.event_types$$, 'and every event type');
SELECT activity.define_event_type('report.shared', 'Shared a report', meaning => 'A report was shared') \g /dev/null
SELECT ok((SELECT body->'components'->'schemas'->'EventType'->'enum' ? 'report.shared' FROM ask('GET', '/openapi.json')), 'also of the application');

-- Known answers
SELECT headers->>'etag' AS etag FROM ask('GET', '/organizations/acme/activity', :'ann') \gset
SELECT results_eq(format($$SELECT status, body, headers->>'etag' FROM ask('GET', '/organizations/acme/activity', %L, '', '', '{"if-none-match": "W/\"x\", %s"}')$$, :'ann', replace(:'etag', '"', '\"')),
	format('VALUES (304, NULL::jsonb, %L)', :'etag'), 'who has it gets it not again');
SELECT activity.record('acme', 'auth.signin') \g /dev/null
SELECT is((SELECT status FROM ask('GET', '/organizations/acme/activity', :'ann', '', '', jsonb_build_object('if-none-match', :'etag'))), 200, 'until it has changed');
SELECT is((SELECT status FROM ask('GET', '/openapi.json', NULL, '', '', '{"if-none-match": "*"}')), 304);

-- The same request twice
CREATE FUNCTION record_once(token text, key text, content text) RETURNS TABLE (status int, id text, replayed text) LANGUAGE sql AS $$
	SELECT status, coalesce(body->>'id', body->>'code'), headers->>'idempotency-replayed' FROM ask('POST', '/organizations/acme/activity', $1, '', $3, jsonb_build_object('idempotency-key', $2))
$$;
SELECT status, id FROM record_once(:'ann', 'k1', '{"eventType": "auth.signin"}') \gset
SELECT is(:'status'::int, 201);
SELECT results_eq(format($$SELECT * FROM record_once(%L, 'k1', '{"eventType": "auth.signin"}')$$, :'ann'), format($$VALUES (200, %L, 'true')$$, :'id'), 'is answered twice and done once');
SELECT results_eq(format($$SELECT * FROM record_once(%L, 'k1', '{"eventType": "auth.signout"}')$$, :'ann'), $$VALUES (422, 'idempotency_mismatch', NULL)$$, 'another one is refused');
SELECT isnt((SELECT id FROM record_once(:'ann', 'k2', '{"eventType": "auth.signin"}')), :'id', 'with another key it is another');
SELECT is((SELECT status FROM record_once(:'ann', 'k3', '{"eventType": "no.such"}')), 400);
SELECT is((SELECT status FROM record_once(:'ann', 'k3', '{"eventType": "auth.signin"}')), 201, 'what failed uses up no key');
SELECT is((SELECT id FROM record_once(:'ann', repeat('x', 256), '{"eventType": "auth.signin"}')), 'bad_idempotency_key');
SELECT body->>'secret' AS secret, body->>'id' AS hook FROM ask('POST', '/organizations/acme/webhooks', :'ann', '', '{"url": "https://example.com"}', '{"idempotency-key": "w"}') \gset
SELECT results_eq(format($$SELECT status, body->>'id', body ? 'secret' FROM ask('POST', '/organizations/acme/webhooks', %L, '', '{"url": "https://example.com"}', '{"idempotency-key": "w"}')$$, :'ann'), format('VALUES (201, %L, false)', :'hook'), 'a secret is shown once');
SELECT is_empty(format($$SELECT FROM _activity.idempotency i WHERE to_jsonb(i)::text LIKE %L$$, '%' || :'secret' || '%'), 'and not kept');
UPDATE _activity.idempotency SET created_at = now() - interval '2 days';
SELECT is((SELECT status FROM record_once(:'ann', 'k9', '{"eventType": "auth.signin"}')), 201);
SELECT is(count(*), 1::bigint, 'keys are kept for a day') FROM _activity.idempotency;
UPDATE _activity.idempotency SET created_at = now() - interval '2 days';
SELECT results_eq($$SELECT rows FROM activity.maintain() WHERE action = 'forget'$$, 'VALUES (1::bigint)', 'upkeep forgets them, too');

-- Every route, for everybody who may not. The statuses say no more than they should.
CREATE TABLE refused AS
SELECT r.method, r.pattern, r.capability, r.feature, who.name, a.status, coalesce(a.body->>'code', '') AS code, a.body::text AS body
FROM _activity.http_routes() r
CROSS JOIN (VALUES ('nobody', NULL), ('wrong', 'act:a.b.c'), ('expired', :'late'), ('stranger', :'bob'), ('removed', :'gone'), ('member', :'ann')) who (name, token)
CROSS JOIN LATERAL ask(r.method, replace(replace(r.pattern, '{organization}', 'acme'), '{id}', 'f0000000-0000-4000-8000-000000000000'), who.token, '', CASE WHEN r.method = 'GET' THEN '' ELSE '{"from": "2026-01-01"}' END) a
WHERE r.capability IS NOT NULL;
SELECT is_empty($$SELECT * FROM refused WHERE name IN ('nobody', 'wrong', 'expired') AND status <> 401$$, 'no token, a wrong one, an expired one');
SELECT is_empty($$SELECT method, pattern FROM refused WHERE name IN ('wrong', 'expired') GROUP BY 1, 2 HAVING count(DISTINCT body) > 1$$, 'which look alike');
SELECT is_empty($$SELECT * FROM refused WHERE name = 'stranger' AND pattern LIKE '%{organization}%' AND code <> 'wrong_organization'$$, 'another organization''s');
SELECT is_empty(format($$SELECT r.method, r.pattern, a.body, r.body FROM refused r, LATERAL ask(r.method, replace(replace(r.pattern, '{organization}', 'there-is-none'), '{id}', 'f0000000-0000-4000-8000-000000000000'), %L, '', CASE WHEN r.method = 'GET' THEN '' ELSE '{}' END) a
	WHERE r.name = 'stranger' AND r.pattern LIKE '%%{organization}%%' AND a.body IS DISTINCT FROM r.body::jsonb$$, :'bob'), 'and one that does not exist are the same');
SELECT is_empty($$SELECT * FROM refused WHERE name = 'removed' AND code <> 'not_a_member'$$, 'who is no member any more');
SELECT is_empty($$SELECT * FROM refused WHERE name = 'member' AND status IN (401, 500)$$, 'who may gets in');
SELECT cmp_ok(count(*), '>', 120::bigint, 'all of them were asked') FROM refused;
CREATE FUNCTION token_without(capability text) RETURNS text LANGUAGE sql AS $$
	SELECT token FROM activity.create_token('acme', 'ann', array_remove(_activity.capabilities(), $1))
$$;
SELECT is_empty($$SELECT r.method, r.pattern, a.body FROM _activity.http_routes() r, LATERAL ask(r.method, replace(r.pattern, '{organization}', 'acme'), token_without(r.capability), '', '{}') a
	WHERE r.capability <> '' AND a.body->>'code' <> 'missing_capability'$$, 'each capability is needed');
SELECT is_empty(format($$SELECT r.method, r.pattern, a.body FROM _activity.http_routes() r, LATERAL ask(r.method, replace(r.pattern, '{organization}', 'poor'), %L, '', '{}') a
	WHERE r.feature IS NOT NULL AND a.body->>'code' <> 'tier'$$, :'poor'), 'and each tier');
SELECT is_empty(format($$SELECT r.method, r.pattern, a.body FROM _activity.http_routes() r, LATERAL ask(r.method, replace(r.pattern, '{organization}', 'acme'), %L, 'nonsense=1', '{"from": "2026-01-01"}') a
	WHERE a.body->>'code' IS DISTINCT FROM 'unknown_parameter'$$, :'ann'), 'a parameter that there is not is refused everywhere');
SELECT * FROM finish();
