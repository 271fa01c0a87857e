-- A viewer is an active member by the tracked tables, or sees nothing.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(23);
SET LOCAL client_min_messages = error;
SELECT activity.set_tier('o', 'premium');
SELECT activity.set_tier('p', 'premium');
CREATE FUNCTION sees(member text, organization text DEFAULT 'o') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM activity.feed(organization, viewer => member);
	RETURN 'yes';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION track(tracked regclass, category text, columns jsonb DEFAULT NULL, rules jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$ SELECT activity.track(tracked, category, columns, rules) $$;

SELECT is(sees('u1'), '55000', 'no table of members is tracked');
CREATE TABLE orders (id int, org_id text, status text);
DO $$BEGIN PERFORM track('orders', 'order'); END$$;
SELECT is(sees('u1'), '55000', 'orders have no members');
CREATE TABLE m (org_id text, user_id text, status text, removed_at timestamptz, PRIMARY KEY (org_id, user_id));
DO $$BEGIN PERFORM track('m', 'membership'); END$$;
SELECT is(sees('u1'), 'AC008', 'nobody is a member');
INSERT INTO m VALUES ('o', 'u1', 'active'), ('o', 'u2', 'suspended'), ('o', 'u3', 'pending'), ('o', 'u4', 'odd'), ('p', 'u5', 'active');
SELECT is(sees('u1'), 'yes', 'an active one');
SELECT is(ARRAY[sees('u2'), sees('u3'), sees('u4'), sees('u5'), sees('u6'), sees('')],
	array_fill('AC008'::text, ARRAY[6]), 'suspended, pending, of unknown state, elsewhere, nobody');
SELECT is(sees('u5', 'p'), 'yes', 'at home');
UPDATE m SET removed_at = now() WHERE user_id = 'u1';
SELECT is(sees('u1'), 'AC008', 'removed');
ALTER TABLE m RENAME COLUMN user_id TO who;
UPDATE m SET removed_at = NULL;
SELECT is(sees('u1'), 'yes', 'back, by a renamed column');

-- Several tables, partitions, types.
CREATE TABLE n (id serial, team_id text, user_id uuid, is_active boolean) PARTITION BY LIST (is_active);
CREATE TABLE n_active PARTITION OF n FOR VALUES IN (true);
CREATE TABLE n_other PARTITION OF n DEFAULT;
CREATE INDEX ON n (user_id);
DO $$BEGIN PERFORM track('n', 'member'); END$$;
INSERT INTO n (team_id, user_id, is_active) VALUES
	('o', '00000000-0000-0000-0000-00000000000a', true), ('o', '00000000-0000-0000-0000-00000000000b', false);
SELECT is(sees('00000000-0000-0000-0000-00000000000a'), 'yes', 'in another table');
SELECT is(sees('00000000-0000-0000-0000-00000000000A'), 'yes', 'a uuid in capitals');
SELECT is(sees('00000000-0000-0000-0000-00000000000b'), 'AC008', 'inactive');
SELECT is(sees('u1'), 'yes', 'still in the first, though no uuid');
CREATE TABLE i (org_id text, user_id bigint PRIMARY KEY);
DO $$BEGIN PERFORM track('i', 'membership'); END$$;
INSERT INTO i VALUES ('o', 42);
SELECT is(sees('42'), 'yes', 'a number');
SELECT is(ARRAY[sees('43'), sees('42 '), sees('99999999999999999999'), sees('-'), sees($$42' OR true --$$)],
	array_fill('AC008'::text, ARRAY[5]), 'other texts are not that number');
CREATE TYPE who AS ENUM ('ann', 'bob');
CREATE TABLE e (org_id text, user_id who);
DO $$BEGIN PERFORM track('e', 'membership'); END$$;
INSERT INTO e VALUES ('o', 'ann');
SELECT is(ARRAY[sees('ann'), sees('bob'), sees('cid')], '{yes,AC008,AC008}', 'any other type');

-- The table is read as its owner reads it.
CREATE ROLE activity_test_reader;
SELECT activity.allow('activity_test_reader', 'read');
ALTER TABLE m ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE FUNCTION pg_temp.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
SET LOCAL ROLE activity_test_reader;
SELECT throws_ok('SELECT * FROM public.m', '42501', NULL, 'a reader has no right on the table');
SELECT is(sees('u1'), 'yes', 'and none is needed');
SELECT is(sees('u2'), 'AC008');
RESET ROLE;
DO $$BEGIN PERFORM activity.untrack(t.tracked) FROM activity.tracked t; END$$;
SELECT is(sees('u1'), '55000', 'untracked');
SELECT is((SELECT count(*) FROM activity.tracked), 0::bigint);

-- No lock is asked for on tables of other categories, which may be locked.
CREATE TABLE c (id integer PRIMARY KEY, org_id text, amount integer);
DO $$BEGIN PERFORM track('c', 'credit', columns => '{"organization": "org_id"}'); PERFORM track('m', 'membership', columns => '{"member": "who"}'); END$$;
SELECT is(sees('u1'), 'yes', 'beside a table of another category');
SELECT is((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'c'::regclass AND mode = 'AccessShareLock'), 0::bigint,
	'which was not locked');

-- A feature that does not exist opens nothing by its tier.
SELECT throws_ok($$SELECT _activity.require_feature('fed', 'o')$$, '22023', 'there is no feature "fed"', 'a slip is told');

SELECT * FROM finish();
ROLLBACK;
