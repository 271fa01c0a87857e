-- An event that is larger than activity.max_event_size is refused where it is recorded,
-- however it is large; a tracked row loses what is too large, and is counted.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(25);
SET LOCAL client_min_messages = error;

CREATE FUNCTION refused(metadata jsonb, description text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM activity.record('acme', 'auth.signin', '{}', refused.metadata, refused.description);
	RETURN NULL;
EXCEPTION WHEN program_limit_exceeded THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION object_of(size integer, filler text DEFAULT 'x') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('x', repeat(filler, size))
$$;
CREATE FUNCTION last_event() RETURNS _activity.event LANGUAGE sql AS $$
	SELECT e FROM _activity.event e ORDER BY id DESC LIMIT 1
$$;

SELECT is(current_setting('activity.max_event_size'), '1MB', 'the limit is 1 MB');
SELECT throws_ok($$SET activity.max_event_size = '8kB'$$, '22023', NULL, 'and at least 16 kB');
SELECT throws_ok($$SET activity.max_event_size = '33MB'$$, '22023', NULL, 'at most 32 MB');

SELECT is(refused(object_of(1000000)), NULL, 'a megabyte of metadata, less a little');
SELECT is(refused(object_of(1048576)), '54000', 'and one more byte than a megabyte');
SELECT is(refused('{}', repeat('x', 1048576)), '54000', 'a description counts');
SELECT is(refused(object_of(524288), repeat('x', 524288)), '54000', 'and all counts together');
SELECT is(refused(object_of(150000, chr(1))), NULL, 'what must be escaped');
SELECT is(refused(object_of(200000, chr(1))), '54000', 'counts as it is printed');
SELECT is(refused((SELECT jsonb_build_object('x', jsonb_agg(1e131071::numeric)) FROM generate_series(1, 200))),
	'54000', 'numbers count as they are printed');
SELECT is(refused((SELECT jsonb_object_agg(i, repeat('"', 100)) FROM generate_series(1, 5200) i)),
	'54000', 'in whatever number of members');
SAVEPOINT a;
SET LOCAL activity.max_event_size = '2MB';
SELECT is(refused(object_of(1048576)), NULL, 'the limit can be raised');
SELECT set_config('activity.context', object_of(2000000)::text, true) IS NOT NULL AS set \gset
SELECT is(refused(object_of(500000)), '54000', 'the context counts');
SELECT set_config('activity.context', '', true), set_config('activity.actor_name', repeat('x', 3000000), true),
	set_config('activity.actor_id', 'u', true) \gset a_
SELECT is(refused('{}'), '54000', 'and so does the actor');
ROLLBACK TO a;

SELECT activity.define_event_type('big.thing', '{x} {x} {x} {x} {x} {x} {x} {x} {x} {x}') \gset
SELECT throws_ok($$SELECT activity.record('acme', 'big.thing', object_of(200000))$$, '54000', NULL,
	'a template can''t multiply what is small');
SELECT throws_like($$SELECT activity.record('acme', 'big.thing', object_of(2000000))$$, '%too large%',
	'the message says so');

SET LOCAL activity.max_event_size = '32MB';
SELECT is(refused('{}', repeat(chr(1), 33000000)), NULL, 'the largest event is recorded');
SET LOCAL activity.max_event_size = '1MB';

-- Tracked rows.
CREATE TABLE m (org_id text, user_id text, role text, status text, PRIMARY KEY (org_id, user_id));
DO $$BEGIN PERFORM activity.track('m', 'membership'); END$$;
INSERT INTO m VALUES ('o', 'u1', repeat('r', 3000000), 'active');
SELECT is((last_event()).subject ->> 'id', 'u1', 'a row that is too large is recorded');
SELECT is((last_event()).subject ->> 'role', 'too large', 'without what is too large');
SELECT ok(length((last_event()).description) < 1000, 'also in the description');
SELECT is((SELECT sum(changes) FROM activity.gaps WHERE reason LIKE '%max_event_size%'), 1::numeric, 'and counted');
INSERT INTO m SELECT 'o', 'v' || i, 'r', 'active' FROM generate_series(1, 3) i;
SELECT is((SELECT sum(changes) FROM activity.gaps WHERE reason LIKE '%max_event_size%'), 1::numeric, 'ordinary ones are not');
SELECT set_config('activity.context', object_of(3000000)::text, true) IS NOT NULL AS set \gset
INSERT INTO m VALUES ('o', 'u2', 'r', 'active');
SELECT is((last_event()).context ->> 'x', 'too large', 'the context is cut');
SELECT is((last_event()).context ->> 'database_role', session_user::text, 'but for what is ours');
INSERT INTO m VALUES ('o', 'u3', repeat('r', 280000000), 'active');
SELECT is((last_event()).subject ->> 'role', 'too large', 'what jsonb can not hold is left out, too');
SELECT * FROM finish();
ROLLBACK;
