-- What the gateway may call, it can use with a secret that somebody showed, and
-- with nothing else: its role alone reads nothing.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(35);

CREATE ROLE regress_gateway;
SELECT lives_ok($$SELECT activity.allow('regress_gateway', 'serve')$$);
CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'org', 'ann', 'admin', 'active'), (2, 'other', 'bob', 'member', 'active');
SELECT activity.set_tier('org', 'enterprise'), activity.set_tier('other', 'enterprise') \g /dev/null
SELECT connection_id AS id, secret FROM activity.create_connection('org', 'ann') \gset
SELECT sha256(convert_to(:'secret', 'UTF8')) AS digest, sha256('nothing') AS wrong \gset
SELECT sha256(convert_to(secret, 'UTF8')) AS foreign_one FROM activity.create_connection('other', 'bob') \gset
SELECT activity.record('org', 'credit.charge', '{"amount": 1}') \g /dev/null
SELECT activity.record('org', 'order.created', '{"id": "o"}') \g /dev/null
SELECT activity.publish() \g /dev/null

-- The functions of schema activity that the right opens: these, and no relation.
SELECT set_eq($$SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'activity'::regnamespace
		AND has_function_privilege('regress_gateway', p.oid, 'execute')$$,
	'{serve_authenticate,serve_filter,serve_replay,serve_check,publish,claim_deliveries,report_delivery,retry_after,http,serve_lines}'::text[],
	'the right opens these functions');
SELECT is_empty($$SELECT c.relname FROM pg_class c
	WHERE c.relnamespace IN ('activity'::regnamespace, '_activity'::regnamespace) AND c.relkind IN ('r', 'v', 'p')
		AND has_table_privilege('regress_gateway', c.oid, 'select, insert, update, delete, truncate')$$, 'and no table');
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = '_activity'::regnamespace
	AND has_function_privilege('regress_gateway', p.oid, 'execute')$$, 'and no helper');
SET ROLE regress_gateway;
SELECT throws_ok($$SELECT activity.replay('org')$$, '42501', NULL, 'it reads no stream');
SELECT throws_ok($$SELECT activity.feed('org')$$, '42501', NULL, 'and no feed');
SELECT throws_ok($$SELECT activity.record('org', 'auth.signin')$$, '42501', NULL, 'and records nothing');
SELECT throws_ok($$TABLE activity.connections$$, '42501', NULL, 'and lists no secrets');

-- Whose secret
SELECT results_eq(format('SELECT connection_id, member, "position", earliest FROM activity.serve_authenticate(%L, %L)', 'org', :'digest'),
	format($$VALUES (%L::uuid, 'ann', 3::bigint, 1::bigint)$$, :'id'), 'whose it is and where the stream stands');
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, %L)', 'org', :'wrong'), '28P01', NULL, 'a secret that is none');
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, NULL)', 'org'), '28P01', NULL, 'nor is null');
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, %L)', 'org', :'foreign_one'), '42501', NULL, 'another organization''s');
SELECT throws_ok(format('SELECT activity.serve_authenticate(%L, %L)', 'none', :'digest'), '42501', NULL, 'an organization that does not exist');
SELECT throws_ok(format('SELECT activity.serve_authenticate(NULL, %L)', :'digest'), '42501', NULL, 'nor for null');

-- The stream
SELECT results_eq(format('SELECT "position", event_type, event::jsonb->>%L FROM activity.serve_replay(%L, %L, NULL)', 'eventType', 'org', :'digest'),
	$$VALUES (1::bigint, 'membership.joined', 'membership.joined'), (2, 'credit.charge', 'credit.charge'), (3, 'order.created', 'order.created')$$,
	'event objects in order');
SELECT cursor_after AS two FROM activity.serve_replay('org', :'digest', NULL) WHERE "position" = 2 \gset
SELECT results_eq(format('SELECT "position" FROM activity.serve_replay(%L, %L, %L)', 'org', :'digest', :'two'), 'VALUES (3::bigint)', 'after a cursor');
SELECT results_eq(format($$SELECT "position", event_type, event IS NULL FROM activity.serve_replay('org', %L, NULL, '{credit.*}')$$, :'digest'),
	$$VALUES (2::bigint, 'credit.charge', false), (3, NULL, true)$$, 'filtered, with where it has come to');
SELECT throws_ok(format('SELECT activity.serve_replay(%L, %L, NULL)', 'org', :'wrong'), '28P01', NULL, 'not without a secret');
SELECT throws_ok(format('SELECT activity.serve_replay(%L, %L, NULL)', 'org', :'foreign_one'), '42501', NULL, 'nor with another''s');
SELECT throws_ok(format('SELECT activity.serve_replay(%L, %L, %L)', 'org', :'digest', 'x'), 'AC013', NULL, 'the cursor''s errors come through');
SELECT throws_ok(format('SELECT activity.serve_replay(%L, %L, %L)', 'org', :'digest', split_part(:'two', '.', 1) || '.99'), 'AC012', NULL, 'this one too');

-- Filters
SELECT set_eq($$SELECT event_type FROM activity.serve_filter('{credit.charge,order.*,!order.item_removed}') WHERE taken$$,
	'{credit.charge,order.created,order.status_changed,order.item_added,order.item_updated}'::text[], 'words name types');
SELECT ok((SELECT bool_and(taken) AND count(*) > 80 FROM activity.serve_filter('{}')), 'no words take all');
SELECT ok((SELECT bool_and(taken = (event_type NOT LIKE 'credit.%')) FROM activity.serve_filter('{!credit.*}')), 'negations alone take the rest');
SELECT throws_ok($$SELECT activity.serve_filter('{no.such}')$$, 'AC001', NULL, 'unknown words are refused');

-- Who has lost what
SELECT results_eq(format($$SELECT * FROM activity.serve_check('{org,org,other}', ARRAY[%L, %L, %L]::bytea[])$$, :'digest', :'wrong', :'foreign_one'),
	$$VALUES (1, NULL, 3::bigint), (2, '28P01', NULL), (3, NULL, 1)$$, 'a check tells them apart');
SELECT results_eq(format($$SELECT problem FROM activity.serve_check('{other}', ARRAY[%L]::bytea[])$$, :'digest'), $$VALUES ('42501')$$, 'each with its organization');
SELECT is_empty($$SELECT FROM activity.serve_check('{}', '{}')$$, 'nothing asked, nothing told');
SELECT is_empty($$SELECT FROM activity.serve_check(NULL, NULL)$$, 'nor for null');
RESET ROLE;
DELETE FROM memberships WHERE id = 1;
SELECT results_eq(format($$SELECT problem FROM activity.serve_check('{org}', ARRAY[%L]::bytea[])$$, :'digest'), $$VALUES ('AC008')$$, 'the membership');
INSERT INTO memberships VALUES (1, 'org', 'ann', 'admin', 'active');
SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT results_eq(format($$SELECT problem FROM activity.serve_check('{org}', ARRAY[%L]::bytea[])$$, :'digest'), $$VALUES ('42501')$$, 'the tier');
SELECT activity.set_tier('org', 'enterprise') \g /dev/null
SELECT results_eq(format($$SELECT problem FROM activity.serve_check('{org}', ARRAY[%L]::bytea[])$$, :'digest'), $$VALUES (NULL::text)$$, 'and both again');
SELECT activity.revoke_connection(:'id') \g /dev/null
SELECT results_eq(format($$SELECT problem FROM activity.serve_check('{org}', ARRAY[%L]::bytea[])$$, :'digest'), $$VALUES ('AC021')$$, 'the secret');

-- One event that is large is still sent, and ends the batch.
SELECT secret AS second FROM activity.create_connection('org', 'ann') \gset
SELECT sha256(convert_to(:'second', 'UTF8')) AS digest \gset
SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', 1, 'note', repeat('x', 300000))) FROM generate_series(1, 3) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT results_eq(format($$SELECT count(*), sum((event IS NULL)::int) FROM activity.serve_replay('org', %L, NULL, '{credit.*}')$$, :'digest'),
	$$VALUES (2::bigint, 0::bigint)$$, 'a batch ends by its bytes');
SELECT set_eq($$SELECT key FROM activity.event_types$$, $$SELECT event_type FROM activity.serve_filter('{}')$$, 'the filter lists every type');
DROP OWNED BY regress_gateway;
DROP ROLE regress_gateway;
SELECT * FROM finish();
