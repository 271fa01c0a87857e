-- The HTTP API without a gateway: routes, tokens, refusals, pages, sessions.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT no_plan();

CREATE ROLE regress_http;
SELECT activity.allow('regress_http', 'serve') \g /dev/null
CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'acme', 'ann', 'admin', 'active'), (2, 'other', 'bob', 'member', 'active'), (3, 'acme', 'mel', 'member', 'active');
SELECT activity.set_tier('acme', 'enterprise'), activity.set_tier('other', 'enterprise') \g /dev/null
SELECT token AS ann, token_id AS ann_id FROM activity.create_token('acme', 'ann', '{read,record,analytics,export,webhooks,stream}', 'laptop') \gset
SELECT token AS reader FROM activity.create_token('acme') \gset
SELECT token AS writer FROM activity.create_token('acme', NULL, '{record}') \gset
SELECT token AS bob FROM activity.create_token('other', 'bob') \gset
SELECT token AS service FROM activity.create_token(NULL, NULL, '{read,record}') \gset

-- A request by somebody with only the right to serve.
CREATE FUNCTION ask(method text, path text, token text DEFAULT NULL, query text DEFAULT '', content text DEFAULT '', more jsonb DEFAULT '{}')
RETURNS TABLE (status int, headers jsonb, body jsonb) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
	SET LOCAL ROLE regress_http;
	RETURN QUERY SELECT h.status, h.headers, nullif(h.body, '')::jsonb FROM activity.http(ask.method, '/api/v1' || ask.path, ask.query,
		jsonb_strip_nulls(jsonb_build_object('authorization', 'Bearer ' || ask.token, 'content-type', 'application/json')) || more, ask.content) h;
	RESET ROLE;
END
$$;
CREATE FUNCTION told(method text, path text, token text DEFAULT NULL, query text DEFAULT '', content text DEFAULT '', more jsonb DEFAULT '{}')
RETURNS text LANGUAGE sql AS $$ SELECT status || coalesce(' ' || (body->>'code'), '') FROM ask($1, $2, $3, $4, $5, $6) $$;

-- Tokens
SELECT matches(:'ann'::text, '^act:[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$', 'a token has three parts');
SELECT is(convert_from(decode(rpad(translate(split_part(split_part(:'ann', ':', 2), '.', 2), '-_', '+/'), 40, '='), 'base64'), 'UTF8')::jsonb,
	'{"sub": "ann", "o11y": "none"}', 'its middle has the claims that SDKs read') WHERE length(split_part(:'ann', '.', 2)) = 39;
SELECT is_empty(format('SELECT t.id FROM _activity.token t WHERE to_jsonb(t)::text LIKE %L', '%' || right(:'ann', 20) || '%'), 'it is kept as a digest only');
SELECT results_eq($$SELECT member, capabilities, label, last_four, status, last_used_at IS NULL FROM activity.tokens WHERE label = 'laptop'$$,
	format($$VALUES ('ann', '{analytics,export,read,record,stream,webhooks}'::text[], 'laptop', %L, 'active', true)$$, right(:'ann', 4)), 'the view shows the rest');
SELECT results_eq($$SELECT event_type::text, actor_id FROM activity.feed('acme', '{compliance.token_created}')$$, $$VALUES ('compliance.token_created', NULL), ('compliance.token_created', NULL), ('compliance.token_created', NULL)$$, 'making one is an event');
SELECT throws_ok($$SELECT activity.create_token('acme', 'bob')$$, 'AC008', NULL, 'not for a stranger');
SELECT throws_ok($$SELECT activity.create_token(NULL, 'ann')$$, '22023', NULL, 'nor for a member of nothing');
SELECT throws_ok($$SELECT activity.create_token('acme', 'ann', '{read,fly}')$$, '22023', 'there is no capability "fly"', 'nor for what there is not');
SELECT throws_ok($$SELECT activity.create_token('acme', 'ann', '{}')$$, '22023', NULL, 'nor for nothing');
SELECT throws_ok($$SELECT activity.create_token('acme', 'ann', '{read,NULL}')$$, '22023', NULL, 'nor for null');
SELECT throws_ok($$SELECT activity.create_token('acme', expires_at => now() - interval '1 s')$$, '22023', NULL, 'nor for the past');
SELECT throws_ok($$SELECT activity.revoke_token(gen_random_uuid())$$, '42704', NULL, 'only what exists is revoked');

-- Who calls
SELECT is(told('GET', '/organizations/acme/activity'), '401 no_token');
SELECT is(told('GET', '/organizations/acme/activity', 'act:x.y.z'), '401 bad_token');
SELECT is(told('GET', '/organizations/acme/activity', :'bob'), '403 wrong_organization');
SELECT is(told('GET', '/organizations/none/activity', :'bob'), '403 wrong_organization', 'an unknown organization looks the same');
SELECT is((SELECT body FROM ask('GET', '/organizations/acme/activity', :'bob')), (SELECT body FROM ask('GET', '/organizations/none/activity', :'bob')), 'to the letter');
SELECT is(told('GET', '/organizations/acme/activity', :'writer'), '403 missing_capability');
SELECT is(told('POST', '/organizations/acme/activity', :'reader', '', '{}'), '403 missing_capability');
SELECT is(told('GET', '/organizations/acme/activity', :'ann'), '200');
SELECT is(told('GET', '/organizations/acme/activity', :'service'), '200', 'a service''s token opens every organization');
SELECT is(told('GET', '/organizations/acme/activity', NULL, '', '', '{"authorization": "Basic abc"}'), '401 bad_token');
SELECT is((SELECT headers->>'www-authenticate' FROM ask('GET', '/organizations/acme/activity')), 'Bearer');
SELECT ok(last_used_at IS NOT NULL, 'its last use is known') FROM activity.tokens WHERE token_id = :'ann_id';
UPDATE memberships SET status = 'suspended' WHERE id = 1;
SELECT is(told('GET', '/organizations/acme/activity', :'ann'), '403 not_a_member', 'rights end with the membership');
UPDATE memberships SET status = 'active' WHERE id = 1;
SELECT activity.set_tier('acme', 'free') \g /dev/null
SELECT is(told('GET', '/organizations/acme/activity', :'ann'), '403 tier');
SELECT is(told('GET', '/organizations/acme/activity', :'bob'), '403 wrong_organization', 'which a stranger is not told');
SELECT activity.set_tier('acme', 'enterprise') \g /dev/null
SELECT token AS gone, token_id AS gone_id FROM activity.create_token('acme', 'ann') \gset
SELECT activity.revoke_token(:'gone_id') \g /dev/null
SELECT is(told('GET', '/organizations/acme/activity', :'gone'), '401 bad_token', 'a revoked one is none');
SELECT results_eq(format('SELECT status FROM activity.tokens WHERE token_id = %L', :'gone_id'), $$VALUES ('revoked')$$);
UPDATE _activity.token SET expires_at = now() - interval '1 s', revoked_at = NULL WHERE id = :'gone_id';
SELECT is((SELECT body FROM ask('GET', '/organizations/acme/activity', :'gone')), (SELECT body FROM ask('GET', '/organizations/acme/activity', 'act:x.y.z')), 'an expired one looks like a wrong one');

-- Routes
SELECT is(told('GET', '/'), '404 not_found');
SELECT is(told('GET', '/organizations/acme/activities', :'ann'), '404 not_found');
SELECT is(told('DELETE', '/organizations/acme/activity', :'ann'), '405 method_not_allowed');
SELECT is((SELECT headers->>'allow' FROM ask('DELETE', '/organizations/acme/activity')), 'GET, HEAD, OPTIONS, POST');
SELECT results_eq($$SELECT status, headers->>'allow' FROM ask('OPTIONS', '/organizations/acme/activity/x')$$, $$VALUES (204, 'GET, HEAD, OPTIONS')$$);
SELECT is((SELECT status FROM activity.http('GET', '//api/v1/session', '', '{}', '')), 401, 'a slash too many does no harm');
SELECT is((SELECT status FROM activity.http('GET', '/api/v1/%zz', '', '{}', '')), 404);
SELECT is(told('GET', '/organizations/%zz/activity', :'ann'), '400 bad_request', 'bad percent-encoding');
SELECT is(told('GET', '/organizations/%ff/activity', :'ann'), '400 bad_request', 'no UTF-8');
SELECT is(told('GET', '/organizations/a%00/activity', :'ann'), '400 bad_request', 'NUL');
SELECT is((SELECT status FROM activity.http(NULL, NULL, NULL, NULL, NULL)), 404, 'nulls');
SELECT is_empty($$SELECT r.handler FROM _activity.http_routes() r
	WHERE to_regprocedure('_activity.' || r.handler || '(_activity.http_request)') IS NULL
	   OR r.depth <> length(r.pattern) - length(replace(r.pattern, '/', ''))
	   OR r.capability <> ALL (_activity.capabilities() || ''::text)
	   OR EXISTS (SELECT FROM unnest(r.parameters) p WHERE p NOT IN (SELECT name FROM _activity.http_parameter()))$$, 'the table of routes is sound');

-- Recording
SELECT results_eq(format($$SELECT status, body->>'eventType', body->>'actorUserId', body->'subject' FROM ask('POST', '/organizations/acme/activity', %L, '',
	'{"eventType": "credit.charge", "subject": {"kind": "job", "id": "j1"}, "metadata": {"amount": 5}}')$$, :'ann'),
	$$VALUES (201, 'credit.charge', 'ann', '{"kind": "job", "id": "j1"}'::jsonb)$$, 'a member records what he does');
SELECT is(told('POST', '/organizations/acme/activity', :'ann', '', '{"eventType": "credit.charge", "metadata": {"amount": 5}, "actor": {"id": "mel"}}'), '403 foreign_actor', 'and not what others do');
SELECT results_eq(format($$SELECT status, body->'actor', body->'onBehalfOf'->>'id', body->'context' FROM ask('POST', '/organizations/acme/activity', %L, '',
	'{"eventType": "auth.signin", "actor": {"id": "zoe", "kind": "agent", "name": "Zoe"}, "onBehalfOf": {"id": "mel", "kind": "user"}, "context": {"ip": "192.0.2.1"}}')$$, :'writer'),
	$$VALUES (201, '{"kind": "agent", "id": "zoe", "name": "Zoe"}'::jsonb, 'mel', '{"ip": "192.0.2.1"}'::jsonb)$$, 'a service says who acted');
SELECT is(current_setting('activity.actor_id'), '', 'and nothing of it stays');
SELECT activity.event_id() AS id \gset
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', format('{"id": "%s", "eventType": "auth.signin"}', :'id')), '201');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', format('{"id": "%s", "eventType": "auth.signin"}', :'id')), '200', 'the same id again');
SELECT is((SELECT headers->>'location' FROM ask('POST', '/organizations/acme/activity', :'writer', '', format('{"id": "%s", "eventType": "auth.signin"}', :'id'))),
	'/api/v1/organizations/acme/activity/' || :'id');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "auth.signin"'), '400 bad_json');
SELECT matches((SELECT body->>'message' FROM ask('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": auth}')), 'byte 14');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{}', '{"content-type": "text/plain"}'), '415 not_json');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '[]'), '400 bad_body');
SELECT is(told('POST', '/organizations/acme/activity', :'writer'), '400 bad_body');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{}'), '400 missing_field');
SELECT results_eq(format($$SELECT body->>'code', body->>'parameter', body->>'hint' FROM ask('POST', '/organizations/acme/activity', %L, '', '{"eventtype": "auth.signin"}')$$, :'writer'),
	$$VALUES ('unknown_field', 'eventtype', 'Did you mean "eventType"?')$$);
SELECT results_eq(format($$SELECT status, body->>'code', body->>'hint' FROM ask('POST', '/organizations/acme/activity', %L, '', '{"eventType": "auth.sign_in"}')$$, :'writer'),
	$$VALUES (400, 'unknown_event_type', 'Did you mean "auth.signin"?')$$);
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "credit.charge"}'), '400 missing_field');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "compliance.exported"}'), '403 forbidden');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "auth.signin", "occurredAt": "yesterday"}'), '400 bad_field');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "auth.signin", "metadata": [1]}'), '400 bad_field');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "auth.signin", "metadata": {"a": "\u0000"}}'), '400 bad_json');
SELECT results_eq($$SELECT w, _activity.json_offset(w) FROM (VALUES ('{"a":'), ('{"a": "é"'), ('[1,2'), (' '), ('[1, x]'), ('{"a": "é", x'), ('[1,]'), ('[] x'), ('"ab')) v (w)$$,
	$$VALUES ('{"a":', 5), ('{"a": "é"', 10), ('[1,2', 4), (' ', 1), ('[1, x]', 4), ('{"a": "é", x', 12), ('[1,]', 3), ('[] x', 3), ('"ab', 0)$$, 'where it stops being JSON, the end included');
SELECT is(told('POST', '/organizations/acme/activity', :'writer', '', '{"eventType": "auth.signin", "description": "' || repeat('x', 2000000) || '"}'), '413 too_large');

-- Pages
SELECT activity.record('acme', 'credit.charge', jsonb_build_object('kind', 'job', 'id', 'n' || n, 'amount', n),
	occurred_at => timestamptz '2026-01-01 00:00Z' + n * interval '1 hour') FROM generate_series(1, 125) n \g /dev/null
SELECT results_eq(format($$SELECT body->'total', jsonb_array_length(body->'items'), body->'hasMore', body->'items'->0->'subject'->>'id'
	FROM ask('GET', '/organizations/acme/activity', %L, 'subject=job:n7')$$, :'reader'), $$VALUES ('1'::jsonb, 1, 'false'::jsonb, 'n7')$$, 'a filter');
CREATE FUNCTION walk(token text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	page jsonb;
BEGIN
	FOR n IN 1 .. 100 LOOP
		SELECT body INTO page FROM ask('GET', '/organizations/acme/activity', walk.token, walk.query || '&page=' || n);
		EXIT WHEN page->'items' = '[]';
		RETURN QUERY SELECT i->>'id' FROM jsonb_array_elements(page->'items') i;
	END LOOP;
END
$$;
CREATE FUNCTION walk_by_cursor(token text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	page jsonb;
BEGIN
	FOR n IN 1 .. 100 LOOP
		SELECT body INTO page FROM ask('GET', '/organizations/acme/activity', walk_by_cursor.token,
			walk_by_cursor.query || coalesce('&before=' || (page->>'nextCursor'), ''));
		RETURN QUERY SELECT i->>'id' FROM jsonb_array_elements(page->'items') i;
		EXIT WHEN NOT (page->>'hasMore')::boolean;
	END LOOP;
END
$$;
SELECT results_eq(format('SELECT * FROM walk(%L, %L)', :'reader', 'limit=7&to=2026-02-01'), $$SELECT id::text FROM activity.feed('acme', until => '2026-02-01 00:00Z', page_size => 1000)$$, 'pages by number have every event once');
SELECT results_eq(format('SELECT * FROM walk_by_cursor(%L, %L)', :'reader', 'limit=7&to=2026-02-01'), $$SELECT id::text FROM activity.feed('acme', until => '2026-02-01 00:00Z', page_size => 1000)$$, 'and so have pages by cursor');
SELECT is_empty(format($$SELECT n, a.body, b.body FROM generate_series(1, 19) n, ask('GET', '/organizations/acme/activity', %1$L, 'limit=7&to=2026-02-01&page=' || n) a,
	ask('GET', '/organizations/acme/activity', %1$L, 'limit=7&to=2026-02-01&count=false&page=' || n) b WHERE a.body - 'total' <> b.body$$, :'reader'), 'a page is the same from either end');
SELECT results_eq(format('SELECT * FROM walk(%L, %L)', :'reader', 'limit=4&eventType=!credit.charge'), $$SELECT id::text FROM activity.feed('acme', '{!credit.charge}', page_size => 1000)$$, 'by types, too');
SELECT results_eq(format('SELECT * FROM walk(%L, %L)', :'reader', 'limit=2&actorUserId=ann'), $$SELECT id::text FROM activity.feed('acme', actor => 'ann', page_size => 1000)$$, 'and by actor');
SELECT results_eq(format($$SELECT body->'items', body->'total' FROM ask('GET', '/organizations/acme/activity', %L, 'page=9999&to=2026-02-01')$$, :'reader'), $$VALUES ('[]'::jsonb, '125'::jsonb)$$, 'beyond the end: nothing, and the total');
SELECT is((SELECT body ? 'total' FROM ask('GET', '/organizations/acme/activity', :'reader', 'before=' || :'id')), false, 'a cursor has no total');
SELECT is((SELECT body ? 'total' FROM ask('GET', '/organizations/acme/activity', :'reader', 'count=true&before=' || :'id')), true, 'unless it is asked for');
SELECT results_eq(format($$SELECT i->>'id' FROM ask('GET', '/organizations/acme/activity', %L, 'limit=3&after=%s'), jsonb_array_elements(body->'items') i$$, :'reader', (SELECT id FROM activity.feed('acme', until => '2026-01-02Z', page_size => 1))),
	format($$SELECT id::text FROM activity.feed('acme', after => %L, page_size => 3)$$, (SELECT id FROM activity.feed('acme', until => '2026-01-02Z', page_size => 1))), 'what is newer');
SELECT is((SELECT body->'items' FROM ask('GET', '/organizations/acme/activity', :'reader', 'eventType=auth.*,!auth.signin')), '[]', 'words');
SELECT is((SELECT body->'total' FROM ask('GET', '/organizations/acme/activity', :'reader', 'eventType=auth.signin&eventType=credit.charge&to=2026-02-01')), '125', 'repeated');
SELECT is((SELECT body->'total' FROM ask('GET', '/organizations/acme/activity', :'reader', 'eventType=&actorUserId=ann')),
	to_jsonb(activity.feed_count('acme', actor => 'ann')), 'empty is no filter');
SELECT is((SELECT body->'items'->0 FROM ask('GET', '/organizations/acme/activity', :'reader', 'subject=n7')),
	(SELECT activity.event_object(f)::jsonb FROM activity.feed('acme', subject => 'n7') f), 'items are event objects');

-- Bad parameters
SELECT results_eq(format($$SELECT q, coalesce(body->>'code', '-') || ' ' || coalesce(body->>'parameter', '-')
	FROM (VALUES ('limit=0'), ('limit=201'), ('limit=x'), ('limit=1.5'), ('limit=99999999999999999999'), ('limit=1&limit=2'), ('page=0'), ('page=-1'),
		('from=now'), ('from=2026-02-30'), ('from=2026-01-01T00:00:00'), ('from=2026-01-01T00:00:00 02:00'), ('to=infinity'), ('to=2026-01-01T25:00Z'),
		('before=x'), ('after=00000000-0000-0000-0000-000000000000'), ('page=1&before=%s'), ('count=1'), ('limt=1'), ('eventType=no.such'), ('from=2026-01-01T00:00:00%%2B99:00'), ('a%%ff=1'), ('search=%%00')) v (q),
	LATERAL ask('GET', '/organizations/acme/activity', %L, q)$$, :'id', :'reader'),
	format($$VALUES ('limit=0', 'bad_parameter limit'), ('limit=201', 'bad_parameter limit'), ('limit=x', 'bad_parameter limit'), ('limit=1.5', 'bad_parameter limit'),
	('limit=99999999999999999999', 'bad_parameter limit'), ('limit=1&limit=2', 'repeated_parameter limit'), ('page=0', 'bad_parameter page'), ('page=-1', 'bad_parameter page'),
	('from=now', 'bad_parameter from'), ('from=2026-02-30', 'bad_parameter from'), ('from=2026-01-01T00:00:00', 'bad_parameter from'), ('from=2026-01-01T00:00:00 02:00', 'bad_parameter from'),
	('to=infinity', 'bad_parameter to'), ('to=2026-01-01T25:00Z', 'bad_parameter to'), ('before=x', 'bad_cursor before'), ('after=00000000-0000-0000-0000-000000000000', 'bad_cursor after'), ('page=1&before=%s', 'bad_parameter page'), ('count=1', 'bad_parameter count'),
	('limt=1', 'unknown_parameter limt'), ('eventType=no.such', 'unknown_event_type eventType'), ('from=2026-01-01T00:00:00%%2B99:00', 'bad_parameter from'), ('a%%ff=1', 'bad_request -'), ('search=%%00', 'bad_request -')$$, :'id'), 'each names its parameter');
SELECT is((SELECT body->>'hint' FROM ask('GET', '/organizations/acme/activity', :'reader', 'limt=1')), 'Did you mean "limit"?');
SELECT results_eq($$SELECT _activity.http_time(t) FROM (VALUES ('2026-03-01'), ('2026-03-01T09:30Z'), ('2026-03-01T09:30:00.5Z'), ('2026-03-01t09:30:00.123456789+02:00'), ('2024-02-29'), ('2026-03-01T00:00:00-0330')) v (t)$$,
	$$VALUES (timestamptz '2026-03-01 00:00Z'), ('2026-03-01 09:30Z'), ('2026-03-01 09:30:00.5Z'), ('2026-03-01 07:30:00.123456Z'), ('2024-02-29 00:00Z'), ('2026-03-01 03:30Z')$$, 'times that are taken');

-- One event, and what else is told of them
SELECT is((SELECT body->>'id' FROM ask('GET', '/organizations/acme/activity/' || :'id', :'reader')), :'id');
SELECT is(told('GET', '/organizations/other/activity/' || :'id', :'bob'), '404 not_found', 'another organization''s event');
SELECT is(told('GET', '/organizations/acme/activity/' || gen_random_uuid(), :'reader'), '404 not_found');
SELECT is(told('GET', '/organizations/acme/activity/x', :'reader'), '404 not_found');
SELECT ok((SELECT body->'items' @> '[{"dimension": "eventType", "key": "auth.signin"}]' FROM ask('GET', '/organizations/acme/activity/summary', :'reader')), 'the summary');
SELECT is((SELECT jsonb_array_length(body->'items')::bigint FROM ask('GET', '/organizations/acme/activity/types', :'reader')), (SELECT count(*) FROM activity.event_types), 'the types');
SELECT activity.publish() \g /dev/null
SELECT is((SELECT body->>'hash' FROM ask('GET', '/organizations/acme/activity/checkpoint', :'reader')), (SELECT encode(hash, 'hex') FROM activity.checkpoint('acme')), 'the checkpoint');
SELECT is((SELECT body->>'hash' FROM ask('GET', '/organizations/acme/activity/' || r.id || '/position', :'reader')), encode(c.hash, 'hex'), 'an event knows its place')
FROM activity.replay('acme', NULL) r, activity.checkpoint('acme', r."position") c WHERE r."position" = 1;
SELECT is(told('GET', '/organizations/acme/activity/nothing/position', :'reader'), '404 not_found');
SELECT is(told('GET', '/organizations/acme/activity/checkpoint', :'reader', 'position=99999'), '400 bad_request');
SELECT results_eq(format($$SELECT body->'valid', body->'problems', body->'position' FROM ask('GET', '/organizations/acme/activity/verify', %L)$$, :'reader'),
	$$SELECT 'true'::jsonb, '[]'::jsonb, to_jsonb("position") FROM activity.checkpoint('acme')$$, 'the proof');

-- Exports
CREATE FUNCTION export_of(token text, query text, stream boolean DEFAULT false) RETURNS TABLE (status int, headers jsonb, body text) LANGUAGE sql AS $$
	SELECT * FROM activity.http('GET', '/api/v1/organizations/acme/activity/export', $2,
		jsonb_build_object('authorization', 'Bearer ' || $1) || CASE WHEN $3 THEN '{"x-activity-stream": "1"}' ELSE '{}' END::jsonb, '')
$$;
SELECT results_eq(format($$SELECT headers->>'content-disposition', body FROM export_of(%L, 'to=2026-02-01&columns=event_id,action')$$, :'ann'),
	$$SELECT 'attachment; filename="activity.csv"', string_agg(line || E'\n', '') FROM activity.export('acme', 'csv', '{event_id,action}', until => '2026-02-01Z') line$$, 'an export');
SELECT is((SELECT actor_id FROM activity.feed('acme', '{compliance.exported}', actor => 'ann')), 'ann', 'is an event of who asked');
SELECT is(told('GET', '/organizations/acme/activity/export', :'reader'), '403 missing_capability');
SELECT results_eq(format($$SELECT q, status FROM (VALUES ('format=pdf'), ('columns=no'), ('format=json&columns=event_id'), ('eventType=no.such'), ('upTo=x'), ('upTo=1.99999'), ('limit=1')) v (q), LATERAL export_of(%L, q)$$, :'ann'),
	$$VALUES ('format=pdf', 400), ('columns=no', 400), ('format=json&columns=event_id', 400), ('eventType=no.such', 400), ('upTo=x', 400), ('upTo=1.99999', 409), ('limit=1', 400)$$, 'what is wrong is told at once');
SELECT results_eq(format($$SELECT body, headers->>'x-activity-stream', headers->>'content-type' FROM export_of(%L, 'format=ndjson', true)$$, :'ann'), $$VALUES ('', 'export', 'application/x-ndjson')$$, 'the gateway gets the head');
SELECT results_eq(format($$SELECT activity.serve_lines('/api/v1/organizations/acme/activity/export', 'format=ndjson&to=2026-02-01', '{"authorization": "Bearer %s"}')$$, :'ann'),
	$$SELECT activity.export('acme', 'ndjson', until => '2026-02-01Z')$$, 'and then the lines');
SELECT throws_ok(format($$SELECT activity.serve_lines('/api/v1/organizations/other/activity/export', '', '{"authorization": "Bearer %s"}')$$, :'ann'), 'ACH00', NULL, 'its own');
SELECT is((SELECT body FROM activity.http('HEAD', '/api/v1/organizations/acme/activity/export', '', jsonb_build_object('authorization', 'Bearer ' || :'ann'), '')), '', 'HEAD exports nothing');

-- Sessions
SELECT regexp_replace(activity.dashboard_link('acme', 'ann'), '.*/#/enter/', '') AS code, regexp_replace(activity.dashboard_link('acme', 'mel'), '.*/', '') AS code2 \gset
SELECT matches(activity.dashboard_link('acme', 'ann'), '^http://localhost:8080/#/enter/[A-Za-z0-9_-]{43}$');
SELECT throws_ok($$SELECT activity.dashboard_link('acme', 'bob')$$, 'AC008');
SELECT throws_ok($$SELECT activity.dashboard_link('acme', 'ann', '2 days')$$, '22023');
SELECT headers->>'set-cookie' AS cookie, status, body->>'role' AS role, body->'capabilities' ? 'webhooks' AS may FROM ask('POST', '/session', NULL, '', format('{"code": "%s"}', :'code')) \gset
SELECT matches(:'cookie'::text, '^activity_session=[A-Za-z0-9_-]{43}; Path=/api; Max-Age=43200; HttpOnly; SameSite=Strict$');
SELECT is(:'status' || :'role' || :'may', '201admint', 'an administrator''s session');
SELECT is(told('POST', '/session', NULL, '', format('{"code": "%s"}', :'code')), '401 bad_code', 'a code works once');
SELECT jsonb_build_object('cookie', 'a=b; ' || split_part(:'cookie', ';', 1)) AS session \gset
SELECT results_eq(format($$SELECT status, body->>'kind', body->>'organization', body->>'member', body->>'tier', body->'features'->>'stream' FROM ask('GET', '/session', NULL, '', '', %L)$$, :'session'),
	$$VALUES (200, 'session', 'acme', 'ann', 'enterprise', 'true')$$, 'who am I');
SELECT is(told('GET', '/organizations/acme/activity', NULL, '', '', :'session'), '200');
SELECT is(told('GET', '/organizations/other/activity', NULL, '', '', :'session'), '403 wrong_organization');
SELECT is(told('GET', '/organizations/acme/activity', substring(:'session' FROM '_session=([^"]*)')), '401 bad_token', 'a session is no token');
SELECT is(told('GET', '/organizations/acme/activity', NULL, '', '', jsonb_build_object('cookie', 'activity_session=' || right(:'ann', 43))), '401 bad_token');
SELECT is(told('DELETE', '/session', NULL, '', '', :'session'), '403 foreign_page', 'no foreign page may write');
SELECT results_eq(format($$SELECT status, headers->>'set-cookie' FROM ask('DELETE', '/session', NULL, '', '', %L::jsonb || '{"X-Activity-Request": "1"}')$$, :'session'),
	$$VALUES (204, 'activity_session=; Path=/api; Max-Age=0; HttpOnly; SameSite=Strict')$$);
SELECT is(told('GET', '/session', NULL, '', '', :'session'), '401 bad_token', 'it is over');
SELECT is((SELECT body->'capabilities' ? 'webhooks' FROM ask('POST', '/session', NULL, '', format('{"code": "%s"}', :'code2'))), false, 'a member''s session');
SELECT regexp_replace(activity.dashboard_link('acme', 'mel'), '.*/', '') AS code3 \gset
UPDATE memberships SET status = 'removed' WHERE id = 3;
SELECT is(told('POST', '/session', NULL, '', format('{"code": "%s"}', :'code3')), '403 not_a_member');
SELECT is((SELECT body->>'kind' FROM ask('GET', '/session', :'service')), 'token', 'a token knows itself');
SELECT is(told('DELETE', '/session', :'service'), '409 no_session');

-- Streams take tokens and sessions, as the gateway asks.
SELECT token_id AS ann2_id, sha256(convert_to(token, 'UTF8')) AS ann2, sha256(convert_to(:'reader', 'UTF8')) AS weak FROM activity.create_token('acme', 'ann', '{stream}') \gset
SELECT results_eq(format('SELECT connection_id, member FROM activity.serve_authenticate(%L, %L)', 'acme', :'ann2'), format('VALUES (%L::uuid, %L)', :'ann2_id', 'ann'), 'a token opens a stream');
SELECT ok(count(*) > 10, 'and reads it') FROM activity.serve_replay('acme', :'ann2', NULL);
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, %L)', 'acme', :'weak'), '42501', NULL, 'not without the capability');
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, %L)', 'other', :'ann2'), '42501', NULL, 'nor another''s');
SELECT activity.revoke_token(:'ann2_id') \g /dev/null
SELECT results_eq(format('SELECT problem FROM activity.serve_check(%L, ARRAY[%L]::bytea[])', '{acme}', :'ann2'), $$VALUES ('28P01')$$, 'a revoked token closes it');

-- Nothing of anybody stays who was erased.
SELECT activity.redact_person('ann', 'asked for it') \g /dev/null
SELECT is(told('GET', '/session', :'ann'), '401 bad_token', 'the tokens of who was erased are revoked');
SELECT is_empty($$SELECT FROM activity.tokens WHERE member = 'ann' OR label = 'laptop'$$, 'and say nothing of him');
DROP OWNED BY regress_http;
DROP ROLE regress_http;
SELECT * FROM finish();
