-- What replay() shows is published for good, whatever becomes of the
-- transaction that asked: a cursor must not outlive the position that it names.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(19);

SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_readers LOCATION '';
SELECT activity.set_tier('org', 'enterprise') \g /dev/null
SELECT count(activity.record('org', 'auth.signin')) FROM generate_series(1, 3) \g /dev/null

SET default_tablespace = regress_readers;
-- Nobody holds the right to publish in a transaction that may stay open.
BEGIN;
SELECT is((SELECT count(*) FROM activity.replay('org')), 0::bigint, 'in a block, replay() does not publish');
SELECT is((SELECT position FROM activity.stream_head('org')), 0::bigint, 'nor does stream_head()');
SELECT is((SELECT position FROM activity.checkpoint('org')), 0::bigint, 'nor checkpoint()');
SELECT is((SELECT publishing_pid FROM activity.health), NULL, 'the right is free');
SELECT throws_ok('SELECT activity.publish()', '25001', NULL, 'publish() is refused');
ROLLBACK;
CREATE FUNCTION pg_temp.publish() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN activity.publish(); END';
CREATE FUNCTION pg_temp.read() RETURNS bigint LANGUAGE sql AS $$SELECT count(*) FROM activity.replay('org')$$;
SELECT throws_ok('SELECT pg_temp.publish()', '25001', NULL, 'in a function, too');
\set ON_ERROR_STOP 0
SELECT pg_temp.publish();
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '25001', 'at the top, too');
SELECT activity.publish() \; SELECT 1;
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '25001', 'and in front of other statements');
\set ON_ERROR_STOP 1
SELECT is(pg_temp.read(), 0::bigint, 'a function that reads does not publish');
CREATE ROLE regress_reader;
SELECT activity.allow('regress_reader', 'read') \g /dev/null
SET ROLE regress_reader;
SELECT count(*) AS read FROM activity.replay('org') \gset
SELECT position AS head FROM activity.stream_head('org') \gset
\set ON_ERROR_STOP 0
SELECT activity.publish();
\set ON_ERROR_STOP 1
RESET ROLE;
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '42501', 'who may read may not publish');
SELECT is(:read, 0, 'not by reading either');
SELECT is(:head, 0, 'nor by asking for the head');
DROP OWNED BY regress_reader;
DROP ROLE regress_reader;

-- In a procedure it is not shown before it is committed.
CREATE TEMPORARY TABLE shown (n bigint);
DO $$
BEGIN
	PERFORM activity.publish();
	INSERT INTO shown SELECT count(*) FROM activity.replay('org');
	COMMIT;
	INSERT INTO shown SELECT count(*) FROM activity.replay('org');
END
$$;
SELECT is((SELECT array_agg(n) FROM shown), '{0,3}', 'a procedure sees what it has published when it has committed');
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
