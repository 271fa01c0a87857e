-- The HTTP API: webhooks, realtime secrets, holds and redactions, and whose they are.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET activity.allow_insecure_webhooks = on;
SELECT no_plan();

CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'acme', 'ann', 'admin', 'active'), (2, 'other', 'bob', 'member', 'active'), (3, 'acme', 'mel', 'member', 'active');
SELECT activity.set_tier('acme', 'enterprise'), activity.set_tier('other', 'enterprise') \g /dev/null
SELECT token AS ann FROM activity.create_token('acme', 'ann', '{read,stream,webhooks,administer}') \gset
SELECT token AS mel FROM activity.create_token('acme', 'mel', '{read,stream}') \gset
SELECT token AS bob FROM activity.create_token('other', 'bob', '{read,stream,webhooks,administer}') \gset
SELECT token AS nobody FROM activity.create_token('acme', NULL, '{stream}') \gset
CREATE FUNCTION ask(method text, path text, token text DEFAULT NULL, query text DEFAULT '', content text DEFAULT '')
RETURNS TABLE (status int, body jsonb) LANGUAGE sql AS $$
	SELECT h.status, nullif(h.body, '')::jsonb FROM activity.http($1, '/api/v1/organizations/' || $2, $4,
		jsonb_strip_nulls(jsonb_build_object('authorization', 'Bearer ' || $3, 'content-type', 'application/json')), $5) h
$$;
CREATE FUNCTION told(method text, path text, token text DEFAULT NULL, query text DEFAULT '', content text DEFAULT '')
RETURNS text LANGUAGE sql AS $$ SELECT status || coalesce(' ' || CASE WHEN jsonb_typeof(body) = 'object' THEN body->>'code' END, '') FROM ask($1, $2, $3, $4, $5) $$;

-- Webhooks
SELECT body->>'id' AS hook, body->>'secret' AS secret, body - '{id,secret,secretHint,createdAt}'::text[] AS rest, status, body->>'secretHint' = right(body->>'secret', 4) AS hint
FROM ask('POST', 'acme/webhooks', :'ann', '', '{"url": "https://example.com/hook", "eventTypes": [], "description": "ours"}') \gset
SELECT is(:'status' || :'hint', '201t', 'a webhook is made');
SELECT is(:'rest'::jsonb, '{"url": "https://example.com/hook", "eventTypes": [], "description": "ours", "enabled": true, "status": "active", "reason": null,
	"disabledAt": null, "quarantinedAt": null, "nextProbeAt": null, "failures": 0, "failingSince": null, "lastSuccessAt": null, "inFlight": 0}');
SELECT matches(:'secret'::text, '^whsec_');
SELECT is((SELECT actor_id FROM activity.feed('acme', '{webhook.created}')), 'ann', 'by whose token it was');
SELECT results_eq(format($$SELECT jsonb_array_length(body), body->0->>'id', body->0 ? 'secret' FROM ask('GET', 'acme/webhooks', %L)$$, :'mel'), format('VALUES (1, %L, false)', :'hook'), 'all are listed, without secrets');
SELECT is((SELECT body FROM ask('GET', 'other/webhooks', :'bob')), '[]');
SELECT is(told('POST', 'acme/webhooks', :'mel', '', '{"url": "https://example.com/hook"}'), '403 missing_capability');
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{"url": "ftp://example.com/hook"}'), '422 url_refused');
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{"url": "https://10.0.0.1/hook"}'), '422 url_refused');
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{}'), '400 missing_field');
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{"url": "https://example.com", "eventTypes": ["no.such"]}'), '400 unknown_event_type');
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{"url": "https://example.com", "eventTypes": [1]}'), '400 bad_field');
SET activity.max_endpoints = 1;
SELECT is(told('POST', 'acme/webhooks', :'ann', '', '{"url": "https://example.com/two"}'), '409 too_many');
RESET activity.max_endpoints;
SELECT results_eq(format($$SELECT status, body->>'enabled', body->'eventTypes', body->>'description' FROM ask('PATCH', 'acme/webhooks/%s', %L, '', '{"eventTypes": ["credit.*"], "description": null, "enabled": false}')$$, :'hook', :'ann'),
	$$VALUES (200, 'false', '["credit.*"]'::jsonb, '')$$, 'it is changed');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/test', :'ann'), '409 conflict', 'what is disabled is not tested');
SELECT results_eq(format($$SELECT body->>'enabled', body->'eventTypes', body->>'url' FROM ask('PATCH', 'acme/webhooks/%s', %L, '', '{"enabled": true, "eventTypes": []}')$$, :'hook', :'ann'), $$VALUES ('true', '[]'::jsonb, 'https://example.com/hook')$$, 'and back');
SELECT results_eq(format($$SELECT status, body->>'secret' LIKE 'whsec_%%', body->>'secret' <> %L FROM ask('POST', 'acme/webhooks/%s/rotate-secret', %L)$$, :'secret', :'hook', :'ann'), 'VALUES (200, true, true)', 'a new secret');
SELECT is((SELECT secrets FROM activity.webhook_endpoints WHERE endpoint_id = :'hook'), 1, 'at once');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/rotate-secret', :'ann', '', '{"overlapSeconds": 60}'), '200');
SELECT is((SELECT secrets FROM activity.webhook_endpoints WHERE endpoint_id = :'hook'), 2, 'unless a time is given');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/rotate-secret', :'ann', '', '{"overlapSeconds": -1}'), '400 bad_field');

-- Deliveries
SELECT activity.record('acme', 'credit.charge', '{"amount": 1}') FROM generate_series(1, 3) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT body->>'deliveryId' AS test, status FROM ask('POST', 'acme/webhooks/' || :'hook' || '/test', :'ann') \gset
SELECT is(:'status'::text, '202');
CREATE TABLE claimed (delivery_id uuid);
DO $$
DECLARE
	c record;
BEGIN
	FOR round IN 1 .. 20 LOOP
		FOR c IN SELECT * FROM activity.claim_deliveries(20) LOOP
			IF c.body::jsonb->>'type' <> 'webhook.test' THEN
				INSERT INTO claimed VALUES (c.delivery_id);
			END IF;
			PERFORM activity.report_delivery(c.delivery_id, c.attempt, CASE WHEN (SELECT count(*) FROM claimed) = 1
				AND c.body::jsonb->>'type' <> 'webhook.test' THEN 500 ELSE 200 END, NULL, '20 ms', 'sorry');
		END LOOP;
	END LOOP;
END
$$;
SELECT delivery_id FROM claimed LIMIT 1 \gset
SELECT results_eq(format($$SELECT body->>'total', body->'page', body->'limit', jsonb_array_length(body->'items') FROM ask('GET', 'acme/webhooks/%s/deliveries', %L, 'limit=2')$$, :'hook', :'mel'),
	format($$SELECT count(*)::text, '1'::jsonb, '2'::jsonb, 2 FROM activity.webhook_deliveries WHERE endpoint_id = %L$$, :'hook'), 'what was sent');
SELECT results_eq(format($$SELECT i->>'id' FROM generate_series(1, 9) n, ask('GET', 'acme/webhooks/%s/deliveries', %L, 'limit=2&page=' || n), jsonb_array_elements(body->'items') i ORDER BY 1$$, :'hook', :'mel'),
	format($$SELECT delivery_id::text FROM activity.webhook_deliveries WHERE endpoint_id = %L ORDER BY 1$$, :'hook'), 'page by page, each once');
SELECT results_eq(format($$SELECT s, body->>'total' FROM unnest('{pending,in_flight,delivered,failed,dead}'::text[]) s, ask('GET', 'acme/webhooks/%s/deliveries', %L, 'status=' || s)$$, :'hook', :'mel'),
	format($$SELECT s, (SELECT count(*) FROM activity.webhook_deliveries d WHERE d.endpoint_id = %L AND (s = 'pending' AND d.status = 'waiting' OR s = d.status))::text FROM unnest('{pending,in_flight,delivered,failed,dead}'::text[]) s$$, :'hook'), 'by status');
SELECT is(told('GET', 'acme/webhooks/' || :'hook' || '/deliveries', :'mel', 'status=lost'), '400 bad_parameter');
SELECT results_eq(format($$SELECT body->>'status', body->'attempts', body->'payload'->>'type' = body->>'eventType', body->'payload'->'data'->>'id' = body->>'eventId',
		body->'tries'->0->'responseStatus', body->'tries'->0->>'responseBody', body->'tries'->0->'durationMs' FROM ask('GET', 'acme/webhooks/deliveries/%s', %L)$$, :'delivery_id', :'mel'),
	$$VALUES ('pending', '1'::jsonb, true, true, '500'::jsonb, 'sorry', '20'::jsonb)$$, 'one with its tries');
SELECT is((SELECT body->'payload'->>'type' FROM ask('GET', 'acme/webhooks/deliveries/' || :'test', :'mel')), 'webhook.test', 'also a test');
SELECT results_eq(format($$SELECT status, body->>'queued' FROM ask('POST', 'acme/webhooks/deliveries/%s/retry', %L)$$, :'delivery_id', :'ann'), $$VALUES (202, 'true')$$, 'again');
SELECT results_eq(format($$SELECT status, body->'deliveries' FROM ask('POST', 'acme/webhooks/%s/replay', %L, '', '{"from": "2020-01-01"}')$$, :'hook', :'ann'),
	format($$SELECT 202, to_jsonb(count(*)) FROM activity.webhook_deliveries WHERE endpoint_id = %L AND event_type <> 'webhook.test'$$, :'hook'), 'replayed');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/recover', :'ann', '', '{"from": "2020-01-01", "to": "2019-01-01"}'), '400 bad_request');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/recover', :'ann', '', '{}'), '400 missing_field');
SELECT is(told('POST', 'acme/webhooks/' || :'hook' || '/recover', :'ann', '', '{"from": "2020-01-01"}'), '202');

-- Secrets
SELECT body->>'id' AS id, body->>'secret' AS one, status, body - '{id,secret,lastFour,createdAt}'::text[] AS rest FROM ask('POST', 'acme/realtime/secrets', :'mel', '', '{"label": "laptop"}') \gset
SELECT is(:'status'::text, '201');
SELECT is(:'rest'::jsonb, '{"label": "laptop"}');
SELECT is((SELECT member FROM activity.authenticate_connection(:'one')), 'mel', 'a secret of one''s own');
SELECT results_eq(format($$SELECT jsonb_array_length(body), (body->0) - '{createdAt,lastUsedAt}'::text[] FROM ask('GET', 'acme/realtime/secrets', %L)$$, :'mel'),
	format($$VALUES (1, '{"id": "%s", "label": "laptop", "lastFour": "%s", "status": "active"}'::jsonb)$$, :'id', right(:'one', 4)), 'is listed without it');
SELECT is((SELECT body FROM ask('GET', 'acme/realtime/secrets', :'ann')), '[]', 'to nobody else');
SELECT is(told('POST', 'acme/realtime/secrets/' || :'id' || '/rotate', :'ann'), '404 not_found', 'who can''t change it, either');
SELECT is(told('DELETE', 'acme/realtime/secrets/' || :'id', :'ann'), '404 not_found');
SELECT results_eq(format($$SELECT status, body->>'secret' <> %L FROM ask('POST', 'acme/realtime/secrets/%s/rotate', %L)$$, :'one', :'id', :'mel'), 'VALUES (201, true)', 'it is replaced');
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', :'one'), '28P01');
SELECT is(told('DELETE', 'acme/realtime/secrets/' || :'id', :'mel'), '204');
SELECT is((SELECT body->0->>'status' FROM ask('GET', 'acme/realtime/secrets', :'mel')), 'revoked');
SELECT is(told('POST', 'acme/realtime/secrets/' || :'id' || '/rotate', :'mel'), '404 not_found', 'and is over');
SELECT is(told('POST', 'acme/realtime/secrets', :'mel', '', '{}'), '400 missing_field');
SELECT is(told('POST', 'acme/realtime/secrets', :'mel', '', '{"label": " "}'), '400 bad_field');
SELECT is(told('POST', 'acme/realtime/secrets', :'mel', '', format('{"label": "%s"}', repeat('x', 81))), '400 bad_field');
SELECT is(told('GET', 'acme/realtime/secrets', :'nobody'), '403 no_member');
SELECT activity.set_tier('acme', 'premium') \g /dev/null
SELECT is(told('GET', 'acme/realtime/secrets', :'mel'), '403 tier');
SELECT activity.set_tier('acme', 'enterprise') \g /dev/null

-- Holds and redactions
SELECT activity.place_hold('acme', 'a dispute', subject => 'x') AS hold \gset
SELECT id AS event FROM activity.feed('acme', '{credit.charge}') LIMIT 1 \gset
SELECT activity.redact('acme', :'event', 'asked for it') \g /dev/null
SELECT results_eq(format($$SELECT body->'items'->0->>'id', body->'items'->0->>'reason', body->'items'->0->'from' FROM ask('GET', 'acme/holds', %L)$$, :'ann'), format($$VALUES (%L, 'a dispute', 'null'::jsonb)$$, :'hold'), 'a hold');
SELECT results_eq(format($$SELECT body->'items'->0->>'reason', body->'items'->0->'events' FROM ask('GET', 'acme/redactions', %L)$$, :'ann'), $$VALUES ('asked for it', '1'::jsonb)$$, 'a redaction');
SELECT results_eq(format($$SELECT body->'items' FROM unnest('{holds,redactions}'::text[]) w, ask('GET', 'other/' || w, %L)$$, :'bob'), $$VALUES ('[]'::jsonb), ('[]')$$, 'nobody else''s');
SELECT is(told('GET', 'acme/holds', :'mel'), '403 missing_capability');

-- Another organization's things are none, to the letter.
SELECT is_empty(format($$SELECT m, p, a.body, b.body FROM (VALUES ('GET', 'webhooks/%%s', 'h'), ('PATCH', 'webhooks/%%s', 'h'), ('DELETE', 'webhooks/%%s', 'h'), ('GET', 'webhooks/%%s/deliveries', 'h'),
		('POST', 'webhooks/%%s/rotate-secret', 'h'), ('POST', 'webhooks/%%s/test', 'h'), ('POST', 'webhooks/%%s/recover', 'h'), ('POST', 'webhooks/%%s/replay', 'h'),
		('GET', 'webhooks/deliveries/%%s', 'd'), ('POST', 'webhooks/deliveries/%%s/retry', 'd'), ('POST', 'realtime/secrets/%%s/rotate', 's'), ('DELETE', 'realtime/secrets/%%s', 's')) v (m, p, k),
	LATERAL ask(m, 'other/' || format(p, CASE k WHEN 'h' THEN %1$L WHEN 'd' THEN %2$L ELSE %3$L END), %4$L, '', '{}') a,
	LATERAL ask(m, 'other/' || format(p, 'f0000000-0000-4000-8000-000000000000'), %4$L, '', '{}') b
	WHERE a.status <> 404 OR b.status <> 404 OR a.body <> b.body$$, :'hook', :'delivery_id', :'id', :'bob'), 'what is another''s does not exist');
SELECT is(told('DELETE', 'acme/webhooks/' || :'hook', :'ann'), '204');
SELECT is(told('GET', 'acme/webhooks/' || :'hook', :'ann'), '404 not_found', 'what is deleted is gone');
SELECT * FROM finish();
