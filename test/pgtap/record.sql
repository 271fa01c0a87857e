-- record() records who did what to what and when, or says what is wrong, and
-- does it inside the caller's transaction.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(48);
SET LOCAL TimeZone = 'UTC';

-- The newest event, as the table has it.
CREATE FUNCTION last_event() RETURNS _activity.event LANGUAGE sql AS $$
	SELECT e FROM _activity.event e ORDER BY id DESC LIMIT 1
$$;
CREATE FUNCTION events() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM _activity.event
$$;

-- What is recorded.
SELECT isnt(activity.record('acme', 'credit.charge', '{"kind": "credit"}',
	'{"amount": 0.0040, "model": "m"}'), NULL, 'returns an id');
SELECT is((last_event()).description, 'Charged 0.004 credits for m',
	'the description is rendered');
SELECT is((last_event()).metadata, '{"amount": 0.004, "model": "m"}', 'metadata is kept');
SELECT is((last_event()).actor_id, NULL, 'nobody set an actor: the system');
SELECT is((last_event()).context ->> 'database_role', session_user::text,
	'the context has the database role');
SELECT is((last_event()).xid, pg_current_xact_id(), 'the transaction is kept');
SELECT is((last_event()).subject_hash, NULL, 'a subject without id has no hash');

SELECT isnt(activity.record('acme', 'member.joined', '{"id": 7, "name": "Ann"}'), NULL);
SELECT is((last_event()).subject, '{"id": 7, "kind": "member", "name": "Ann"}',
	'the kind of the subject is added');
SELECT isnt((last_event()).subject_hash, NULL, 'a number is an id, too');
SELECT isnt(activity.record('acme', 'member.joined', '{"kind": "robot"}'), NULL);
SELECT is((last_event()).subject ->> 'kind', 'robot', 'but not changed');
SELECT isnt(activity.record('acme', 'auth.signin', NULL, description => 'By hand'), NULL);
SELECT is((last_event()).description, 'By hand', 'a description overrides the rendered one');

-- Time and id.
SELECT is(activity.event_time((last_event()).id), (last_event()).occurred_at,
	'the id holds the time');
SELECT is((SELECT count(*) FROM (
		SELECT e.id, activity.record('order', 'auth.signin') AS recorded
		FROM _activity.event e LIMIT 3) r), 3::bigint);
SELECT is((SELECT count(DISTINCT occurred_at) FROM _activity.event), events(),
	'no two events of a backend share a time');
SELECT lives_ok($$SELECT activity.record('acme', 'auth.signin',
	occurred_at => '2001-02-03 04:05:06.000007')$$, 'an import');
SELECT is((SELECT min(occurred_at) FROM _activity.event),
	'2001-02-03 04:05:06.000007', 'exact to the microsecond');
SELECT is((SELECT count(*) FROM generate_series(0, 2999) i
	WHERE activity.event_time(activity.event_id('2026-01-01'::timestamptz + i * interval '1 us'))
		<> '2026-01-01'::timestamptz + i * interval '1 us'), 0::bigint,
	'for every microsecond');
SELECT is(activity.record('acme', 'auth.signin', id => '0190f5fe-2c00-7000-8000-000000000001'),
	'0190f5fe-2c00-7000-8000-000000000001', 'a client may make the id');
CREATE TEMP TABLE before AS SELECT events();
SELECT is(activity.record('acme', 'auth.signup', '{"id": 1}', id => '0190f5fe-2c00-7000-8000-000000000001'),
	'0190f5fe-2c00-7000-8000-000000000001', 'the same again returns it');
SELECT is(events(), (TABLE before), 'and records nothing');
SELECT lives_ok($$SELECT activity.record('acme', 'auth.signin',
	id => '0190f5fe-2c01-7000-8000-000000000001',
	occurred_at => activity.event_time('0190f5fe-2c01-7000-8000-000000000001') + interval '999 us')$$,
	'an id to the millisecond fits an exact time');

-- What is wrong says so, with a code.
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', id => '0190f5fe-2c00-4000-8000-000000000001')$$,
	'22023', NULL, 'an id of another version');
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', id => '0190f5fe-2c00-7000-8000-000000000001', occurred_at => now())$$,
	'22023', NULL, 'id and time that differ');
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', occurred_at => '1969-12-31')$$,
	'22008', NULL, 'a time before 1970');
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', occurred_at => 'infinity')$$,
	'22008', NULL, 'infinity');
SELECT throws_ok($$SELECT activity.record(NULL, 'auth.signin')$$, '22004', NULL, 'no organization');
SELECT throws_ok($$SELECT activity.record('', 'auth.signin')$$, '22023', NULL, 'an empty organization');
SELECT throws_ok($$SELECT activity.record(repeat('x', 256), 'auth.signin')$$, '22023', NULL, 'a long one');
SELECT throws_ok($$SELECT activity.record('acme', NULL)$$, '22004', NULL, 'no event type');
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', '[]')$$, '22023', NULL, 'a subject that is no object');
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin', '{}', '"x"')$$, '22023', NULL, 'metadata that is no object');
SELECT throws_ok($$SELECT activity.record('acme', 'member.role_changed', '{"role": null}')$$,
	'AC002', NULL, 'a required field that is null');
SELECT throws_ok($$SET LOCAL activity.context = '[1]'$$, '22023', NULL, 'a context that is no object');
SELECT throws_ok($$SET LOCAL activity.context = '{"a": "\u0000"}'$$, '22023', NULL, 'nor what jsonb refuses');

-- Who.
SELECT lives_ok($$SELECT activity.set_actor('user_1', 'user', 'Bob', '{"ip": "192.0.2.1", "database_role": "forged"}')$$);
SELECT isnt(activity.record('acme', 'auth.signin'), NULL);
SELECT is((SELECT jsonb_build_array(actor_kind, actor_id, actor_name, context) FROM _activity.event WHERE actor_id = 'user_1'),
	jsonb_build_array('user', 'user_1', 'Bob', jsonb_build_object('ip', '192.0.2.1', 'database_role', session_user)),
	'the actor and where it came from, and the role can not be forged');
SELECT lives_ok($$SELECT activity.set_actor(NULL)$$);
SET LOCAL "request.jwt.claims" = '{"sub": "user_2", "role": "x"}';
SELECT isnt(activity.record('acme', 'auth.signin'), NULL);
SELECT is((SELECT count(*) FROM _activity.event WHERE actor_id = 'user_2' AND actor_kind = 'user'), 1::bigint,
	'the subject of the claims acts where no actor is set');
SET LOCAL "request.jwt.claims" = '{nonsense';
SELECT lives_ok($$SELECT activity.record('acme', 'auth.signin')$$, 'claims that are no JSON break nothing');

-- In the caller's transaction.
UPDATE before SET events = events();
DO $$
BEGIN
	PERFORM activity.record('acme', 'auth.signin');
	PERFORM activity.record('new one', 'auth.signin');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	NULL;
END
$$;
SELECT is(events(), (TABLE before), 'an exception block takes its events along');
SELECT lives_ok($$SELECT activity.record('new one', 'auth.signin')$$,
	'an organization met in it is met anew');
SELECT is((SELECT count(*) FROM _activity.event e JOIN _activity.organization o ON o.key = e.organization
	WHERE o.id = 'new one'), 1::bigint, 'under a key that exists');
SET LOCAL transaction_read_only = on;
SELECT throws_ok($$SELECT activity.record('acme', 'auth.signin')$$, '25006', NULL, 'read-only is respected');

SELECT * FROM finish();
ROLLBACK;
