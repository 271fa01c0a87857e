-- What replay() shows is published for good, whatever becomes of the
-- transaction that asked: a cursor must not outlive the position that it names.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(11);

SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_readers LOCATION '';
SELECT activity.set_tier('org', 'enterprise') \g /dev/null
SELECT count(activity.record('org', 'auth.signin')) FROM generate_series(1, 3) \g /dev/null

SET default_tablespace = regress_readers;
BEGIN;
SELECT is((SELECT count(*) FROM activity.replay('org')), 0::bigint, 'in a block, what it has just published is not shown');
SELECT is((SELECT position FROM activity.stream_head('org')), 0::bigint, 'nor as the head');
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.replay('org')), 0::bigint, 'nor what publish() has');
SELECT is((SELECT position FROM activity.checkpoint('org')), 0::bigint, 'nor in a checkpoint');
ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM activity.feed('org') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT is((SELECT count(*) FROM activity.replay('org')), 0::bigint, 'nor in repeatable read');
COMMIT;
SELECT is((SELECT array_agg(position) FROM activity.replay('org')), '{1,2,3}', 'committed, it is');

SELECT activity.record('org', 'auth.signin') \g /dev/null
SELECT is((SELECT array_agg(position) FROM activity.replay('org')), '{1,2,3,4}', 'a statement by itself publishes and shows');
SELECT is((SELECT count(*) FROM activity.verify('org')), 0::bigint, 'the chain holds');

-- Each part of a large transaction reads all of it again, so there are few.
SELECT count(activity.record('org', 'auth.signin')) FROM generate_series(1, 500) \g /dev/null
SET activity.publish_batch = 1;
CREATE TEMPORARY TABLE part (n bigint);
DO $$
DECLARE
	n bigint;
BEGIN
	LOOP
		n := activity.publish();
		EXIT WHEN n = 0;
		INSERT INTO part VALUES (n);
		COMMIT;
	END LOOP;
END
$$;
SELECT is((SELECT sum(n) FROM part), 500::numeric, 'a large transaction is published in parts');
SELECT is((SELECT count(*) FROM part), 16::bigint, 'of which there are 16, however small a batch');

-- A reader's settings say nothing about where the stream is kept.
SELECT is((SELECT count(*) FROM pg_class WHERE relname ~ '^stream_1' AND reltablespace <> 0), 0::bigint, 'the stream is where its parent is');
SELECT * FROM finish();
RESET default_tablespace;
DROP TABLESPACE regress_readers;
