-- An impersonation is told from the actor's own work wherever an event shows, and
-- an import from what was recorded at once.
\set ON_ERROR_STOP 1
SELECT plan(28);
SELECT activity.set_tier('o', 'enterprise');
SELECT count(*) FROM activity.create_webhook('o', 'https://hooks.example.com/in', '{credit.*,membership.*}');
CREATE TABLE members (id integer PRIMARY KEY, organization_id text, user_id text, role text);
SELECT count(*) FROM activity.track('members', 'membership');
INSERT INTO members VALUES (1, 'o', 'u1', 'member');
LISTEN activity;
BEGIN;
SELECT activity.set_actor('sam', 'staff', 'Sam', NULL, '{"kind": "customer", "id": "ann", "name": "Ann \\ \"A\""}');
SELECT activity.record('o', 'credit.charge', '{"amount": 1}');
UPDATE members SET role = 'admin';
COMMIT;
BEGIN;
SELECT activity.set_actor('sam', 'staff', 'Sam');
SELECT activity.record('o', 'credit.charge', '{"amount": 2}');
COMMIT;
-- Two settings and no code.
BEGIN;
SET LOCAL activity.actor_id = 'sam';
SET LOCAL activity.on_behalf_of_id = 'bob';
UPDATE members SET role = 'member';
COMMIT;
SELECT activity.record('o', 'credit.charge', '{"amount": 3}', occurred_at => '2020-02-02 02:02:02Z');
SELECT is(activity.publish() > 3, true, 'published');

SELECT is((SELECT count(*) FROM activity.feed('o', on_behalf_of => 'ann')), 2::bigint, 'the filter finds both');
SELECT is((SELECT count(*) FROM activity.feed('o', on_behalf_of => 'ann', actor => 'sam', event_types => '{credit.*}')), 1::bigint, 'with others');
SELECT is((SELECT count(*) FROM activity.feed('o', on_behalf_of => 'sam')), 0::bigint, 'an actor is not who he acts for');
SELECT is(activity.feed_count('o', on_behalf_of => 'bob'), 1::bigint, 'counts, too');
SELECT is((activity.feed_page('o', on_behalf_of => 'bob')->'items'->0->'on_behalf_of')::text, '{"id": "bob", "kind": "user"}', 'a page');
SELECT is((SELECT on_behalf_of->>'name' FROM activity.feed('o', '{credit.charge}') WHERE subject->>'amount' = '1'), 'Ann \ "A"', 'the name');
SELECT is((SELECT on_behalf_of FROM activity.feed('o', '{credit.charge}') WHERE subject->>'amount' = '2'), NULL, 'the next transaction is his own');
SELECT is((SELECT actor_id || ' ' || (on_behalf_of->>'id') FROM activity.feed('o', '{membership.role_changed}') WHERE on_behalf_of->>'id' = 'ann'), 'sam ann', 'a tracked change');
SELECT is((SELECT count(*) FROM activity.replay('o') WHERE on_behalf_of->>'id' IN ('ann', 'bob')), 3::bigint, 'replay');
SELECT is((SELECT count(*) FROM activity.events WHERE on_behalf_of->>'id' = 'ann'), 2::bigint, 'the view');
SELECT results_eq($$SELECT kind, key, name, events FROM activity.summary('o') WHERE dimension = 'on_behalf_of'$$,
	$$VALUES ('customer', 'ann', 'Ann \ "A"', 2::bigint), ('user', 'bob', NULL, 1)$$, 'the summary');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100) WHERE body::jsonb->'data'->'onBehalfOf'->>'id' = 'ann'), 2::bigint, 'webhook bodies');
SELECT is((SELECT activity.event_object(e)::jsonb->'onBehalfOf' FROM activity.feed('o', on_behalf_of => 'bob') e), '{"id": "bob", "kind": "user"}', 'the event object');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'the chain');

SELECT is((SELECT count(*) FROM activity.feed('o') WHERE recorded_at <> occurred_at), 1::bigint, 'one import');
SELECT cmp_ok((SELECT recorded_at FROM activity.feed('o', until => '2021-01-01')), '>', now() - interval '1 hour', 'is recorded now');
SELECT is((SELECT count(*) FROM activity.replay('o') WHERE recorded_at > occurred_at + interval '1 year'), 1::bigint, 'in the stream, too');
SELECT is((SELECT count(*) FROM activity.events WHERE recorded_at > occurred_at + interval '1 year'), 1::bigint, 'and in the view');

SELECT throws_ok($$SELECT activity.set_actor('a', on_behalf_of => '{"kind": "user"}')$$, '22023', NULL, 'nobody in particular');
SELECT throws_ok($$SELECT activity.set_actor('a', on_behalf_of => '["x"]')$$, '22023', NULL, 'an array');
SELECT throws_ok($$SELECT activity.set_actor('a', on_behalf_of => '{"id": {"x": 1}}')$$, '22023', NULL, 'an object as id');
SELECT throws_ok($$SELECT activity.set_actor('a', on_behalf_of => 'null')$$, '22023', NULL, 'a JSON null');
SELECT lives_ok($$SELECT activity.set_actor('a', on_behalf_of => '{"id": 17}')$$, 'a number is an id');
BEGIN;
SELECT activity.set_actor('a', on_behalf_of => '{"id": 17}');
SELECT activity.record('o', 'credit.charge', '{"amount": 4}');
SELECT is((SELECT count(*) FROM activity.feed('o', on_behalf_of => '17')), 1::bigint, 'and found by its text');
COMMIT;

-- The event object, byte by byte.
SELECT is(activity.event_object(ROW('0190f5fe-2c00-7000-8000-000000000001', '2024-07-27 20:59:53.728Z', 'credit.charge', NULL, NULL, NULL, NULL, NULL,
	'{}', NULL, 'Charged', '{"database_role": "x", "set_role": "y"}', NULL, '2024-07-27 20:59:54Z')::activity.entry),
	'{"id":"0190f5fe-2c00-7000-8000-000000000001","eventType":"credit.charge","category":"credit","action":"charge","actorUserId":null,"actor":null,'
	|| '"onBehalfOf":null,"subject":{"kind":"","id":""},"metadata":null,"description":"Charged","context":{},"occurredAt":"2024-07-27T20:59:53.728000Z",'
	|| '"recordedAt":"2024-07-27T20:59:54.000000Z"}', 'with nothing in it');
SELECT is(activity.event_object(ROW('0190f5fe-2c00-7000-8000-000000000001', '2024-07-27 20:59:53.728Z', 'credit.charge', 'user', 'u"1', NULL, 'credit', '7',
	'{"kind": "credit", "id": 7, "amount": 5.50, "deep": [1, {"b": null, "a": true}, []]}', '{"x": "\u0001\n\u00e9"}', E'a\tb', '{"ip": "::1"}',
	'{"kind": "user", "id": "z"}', '2024-07-27 20:59:53.728Z')::activity.entry),
	'{"id":"0190f5fe-2c00-7000-8000-000000000001","eventType":"credit.charge","category":"credit","action":"charge","actorUserId":"u\"1",'
	|| '"actor":{"kind":"user","id":"u\"1","name":null},"onBehalfOf":{"id":"z","kind":"user"},'
	|| '"subject":{"kind":"credit","id":"7","deep":[1,{"a":true,"b":null},[]],"amount":5.50},"metadata":{"x":"\u0001\né"},"description":"a\tb","context":{"ip":"::1"},'
	|| '"occurredAt":"2024-07-27T20:59:53.728000Z","recordedAt":"2024-07-27T20:59:53.728000Z"}', 'with everything in it');
SELECT throws_ok($$SELECT activity.event_object(ROW(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)::activity.entry)$$, '22004', NULL, 'no event');
SELECT * FROM finish();
