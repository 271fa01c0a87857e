-- Who reads the feed is recorded once for each reader, organization and hour.
\set ON_ERROR_STOP 1
SELECT plan(11);
SET activity.default_tier = 'enterprise';
SELECT activity.record('o', 'auth.signin'), activity.record('p', 'auth.signin');
CREATE TABLE members (id integer PRIMARY KEY, organization_id text, user_id text, status text);
SELECT count(*) FROM activity.track('members', 'membership');
INSERT INTO members VALUES (1, 'o', 'ann', 'active');
SELECT count(*) FROM activity.feed('o');
SELECT is((SELECT count(*) FROM _activity.read_note), 0::bigint, 'off, nothing is noted');
SET activity.record_reads = on;
SELECT count(*) FROM activity.feed('o', viewer => 'ann');
BEGIN;
SELECT count(*) FROM activity.feed('o', viewer => 'ann', actor => 'x');
SELECT count(*) FROM activity.feed('o', viewer => 'ann', actor => 'y'), activity.feed_page('o', viewer => 'ann');
COMMIT;
SELECT count(*) FROM activity.feed('p');
BEGIN;
SELECT count(*) FROM activity.feed('o', viewer => 'ann');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM activity.feed('o', viewer => 'ann');
COMMIT;
SELECT is((SELECT sum(reads) FROM _activity.read_note WHERE reader = 'ann'), 4::numeric, 'reads that committed');
SELECT is((SELECT count(*) FROM _activity.read_note), 4::bigint, 'a row for each transaction, reader and set of filters');
SELECT is(_activity.fold_reads('-infinity'), 0::bigint, 'not before the hour is over');
SELECT is(_activity.fold_reads('infinity'), 2::bigint, 'then one event for each reader');
SELECT is((SELECT count(*) FROM _activity.read_note), 0::bigint, 'and no note is left');
SELECT results_eq($$SELECT subject->>'kind', subject->>'id', metadata->>'reads', description FROM activity.feed('o', '{access.viewed}')$$,
	$$VALUES ('member', 'ann', '4', 'ann read the activity 4 times')$$, 'with its count');
SELECT is((SELECT metadata->'filters' FROM activity.feed('o', '{access.viewed}')), '["actor"]', 'and the filters, not what they said');
SELECT is((SELECT subject->>'kind' FROM activity.feed('p', '{access.viewed}')), 'database_role', 'without a viewer it is the role');
SELECT throws_ok($$SET LOCAL ROLE pg_monitor; SET activity.record_reads = off$$, '42501', NULL, 'nobody else turns it off');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'the proof is clean');
SELECT * FROM finish();
