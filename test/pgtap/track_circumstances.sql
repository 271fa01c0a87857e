-- A tracked table records the same facts whatever way its rows change, whoever
-- changes them, and whatever becomes of the table.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(77);
SET LOCAL client_min_messages = error;

CREATE TABLE seen (id uuid);
CREATE FUNCTION said() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	SELECT array_agg(split_part(e.event_type::text, '.', 2) || ' ' || coalesce(e.subject_id, '-') ORDER BY e.id) INTO result
	FROM activity.events e WHERE e.id NOT IN (SELECT id FROM public.seen);
	INSERT INTO public.seen SELECT e.id FROM activity.events e WHERE e.id NOT IN (SELECT id FROM public.seen);
	RETURN coalesce(result, '{}');
END
$$;
CREATE FUNCTION track(tracked regclass, category text, columns jsonb DEFAULT NULL,
	rules jsonb DEFAULT NULL, on_unknown text DEFAULT 'warn') RETURNS void LANGUAGE sql AS $$
	SELECT activity.track(tracked, category, columns, rules, on_unknown)
$$;

-- Ways in which rows change.
CREATE TABLE m (org_id text, user_id text, role text, status text, note text,
	PRIMARY KEY (org_id, user_id));
DO $$BEGIN PERFORM track('m', 'membership'); END$$;
COPY m FROM stdin;
o	u1	admin	active	x
o	u2	viewer	active	x
\.
SELECT is(said(), '{joined u1,joined u2}', 'COPY');
INSERT INTO m VALUES ('o', 'u1', 'owner', 'active', 'x'), ('o', 'u3', 'viewer', 'active', 'x')
	ON CONFLICT (org_id, user_id) DO UPDATE SET role = EXCLUDED.role;
SELECT is(said(), '{role_changed u1,joined u3}', 'ON CONFLICT DO UPDATE');
INSERT INTO m VALUES ('o', 'u1', 'owner', 'active', 'x') ON CONFLICT DO NOTHING;
SELECT is(said(), '{}', 'ON CONFLICT DO NOTHING');
MERGE INTO m USING (VALUES ('u1', 'admin'), ('u2', NULL), ('u4', 'viewer')) AS s (user_id, role)
	ON m.org_id = 'o' AND m.user_id = s.user_id
	WHEN MATCHED AND s.role IS NULL THEN DELETE
	WHEN MATCHED THEN UPDATE SET role = s.role
	WHEN NOT MATCHED THEN INSERT VALUES ('o', s.user_id, s.role, 'active', 'x');
SELECT set_eq('SELECT unnest(said())', ARRAY['role_changed u1', 'removed u2', 'joined u4'], 'MERGE');
UPDATE m SET note = 'y';
UPDATE m SET role = role, status = status;
SELECT is(said(), '{}', 'changes that touch nothing record nothing');
WITH gone AS (DELETE FROM m WHERE user_id = 'u4' RETURNING *)
	INSERT INTO m SELECT org_id, 'u5', role, status, note FROM gone;
SELECT set_eq('SELECT unnest(said())', ARRAY['removed u4', 'joined u5'], 'two changes in one statement');
SAVEPOINT a;
UPDATE m SET role = 'none';
ROLLBACK TO a;
SELECT is(said(), '{}', 'what is rolled back did not happen');
DO $$
BEGIN
	UPDATE m SET status = 'suspended' WHERE user_id = 'u5';
	BEGIN
		UPDATE m SET status = 'active' WHERE user_id = 'u5';
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	UPDATE m SET role = 'admin' WHERE user_id = 'u5';
END
$$;
SELECT is(said(), '{deactivated u5,role_changed u5}', 'an exception block');
TRUNCATE m;
SELECT set_eq('SELECT unnest(said())', ARRAY['removed u1', 'removed u3', 'removed u5'], 'TRUNCATE removes every member');
TRUNCATE m;
SELECT is(said(), '{}', 'of an empty table none');

-- Foreign keys: the organization is gone when its members follow.
CREATE TABLE orgs (id text PRIMARY KEY);
CREATE TABLE c (organization_id text REFERENCES orgs ON DELETE CASCADE ON UPDATE CASCADE, user_id text);
DO $$BEGIN PERFORM track('c', 'member'); END$$;
INSERT INTO orgs VALUES ('o'), ('p');
INSERT INTO c VALUES ('o', 'u1'), ('p', 'u2');
DELETE FROM orgs WHERE id = 'o';
SELECT is(said(), '{joined u1,joined u2,removed u1}', 'a cascade');
UPDATE orgs SET id = 'q';
SELECT is(said(), '{removed u2,joined u2}', 'a cascading update of the organization');
TRUNCATE orgs CASCADE;
SELECT is(said(), '{removed u2}', 'TRUNCATE CASCADE');

-- BEFORE triggers: what they make of a row is what counts.
CREATE TABLE b (org_id text, user_id text, role text, status text);
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.role = 'skip' THEN RETURN NULL; END IF;
	NEW.status := CASE NEW.role WHEN 'out' THEN 'suspended' ELSE 'active' END;
	RETURN NEW;
END
$$;
CREATE TRIGGER meddle BEFORE INSERT OR UPDATE ON b FOR EACH ROW EXECUTE FUNCTION meddle();
DO $$BEGIN PERFORM track('b', 'membership'); END$$;
INSERT INTO b VALUES ('o', 'u1', 'admin', 'removed');
UPDATE b SET role = 'out';
UPDATE b SET role = 'skip';
SELECT is(said(), '{joined u1,deactivated u1,role_changed u1}', 'values changed by BEFORE triggers');
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.role := OLD.role; NEW.status := OLD.status; RETURN NEW; END $$;
CREATE TRIGGER zz BEFORE UPDATE ON b FOR EACH ROW EXECUTE FUNCTION undo();
UPDATE b SET role = 'else', status = 'active';
SELECT is(said(), '{}', 'a change that a BEFORE trigger takes back');

-- Columns: generated, dropped, added, altered, renamed.
CREATE TABLE g (gone1 int, org_id text, gone2 text, user_id text, is_off boolean DEFAULT false,
	status text GENERATED ALWAYS AS (CASE WHEN is_off THEN 'inactive' ELSE 'active' END) STORED,
	gone3 int, role varchar(20), name text);
ALTER TABLE g DROP COLUMN gone1, DROP COLUMN gone2;
DO $$BEGIN PERFORM track('g', 'membership'); END$$;
INSERT INTO g (org_id, user_id, role, name) VALUES ('o', 'u1', 'admin', 'Ann');
UPDATE g SET is_off = true;
SELECT is(said(), '{joined u1,deactivated u1}', 'generated columns, dropped ones before');
ALTER TABLE g DROP COLUMN gone3;
ALTER TABLE g ADD COLUMN extra int DEFAULT 7;
UPDATE g SET role = 'viewer';
SELECT is(said(), '{role_changed u1}', 'columns dropped and added later');
ALTER TABLE g ALTER COLUMN role TYPE char(10);
UPDATE g SET role = 'owner';
SELECT is((SELECT description FROM activity.events ORDER BY id DESC LIMIT 1), 'Member role changed to owner', 'another type');
DO $$BEGIN PERFORM said(); END$$;
ALTER TABLE g RENAME COLUMN role TO "The Role";
ALTER TABLE g RENAME COLUMN user_id TO who;
UPDATE g SET "The Role" = 'admin';
SELECT is(said(), '{role_changed u1}', 'renamed columns');
SELECT is((SELECT columns ->> 'role' FROM activity.tracked WHERE tracked = 'g'::regclass), 'The Role', 'are followed');
ALTER TABLE g RENAME COLUMN who TO role;
DELETE FROM g;
SELECT is(said(), '{removed u1}', 'also when a name comes to mean another column');
SELECT throws_ok('ALTER TABLE g DROP COLUMN role', '2BP01', NULL, 'a column that recording needs is not dropped');
SELECT throws_ok('ALTER TABLE g DROP COLUMN org_id', '2BP01', NULL, 'nor the organization');
SELECT throws_ok('ALTER TABLE g DROP COLUMN status', '2BP01', NULL, 'nor the state');
SELECT lives_ok('ALTER TABLE g DROP COLUMN name', 'one that it can do without is');
INSERT INTO g (org_id, role) VALUES ('o', 'u2');
SELECT is(said(), '{joined u2}', 'and recording goes on');
SELECT lives_ok($$SELECT activity.untrack('g')$$);
SELECT lives_ok('ALTER TABLE g DROP COLUMN role', 'untracked, it may go');
CREATE DOMAIN team_name AS text;
CREATE TABLE d (org_id team_name, user_id int);
DO $$BEGIN PERFORM track('d', 'membership'); END$$;
SELECT throws_ok('DROP DOMAIN team_name CASCADE', '2BP01', NULL, 'nor does it go with its type');
INSERT INTO d VALUES ('o', 5);
SELECT is(said(), '{joined 5}', 'a domain and a number');

-- Names and keys.
CREATE SCHEMA "odd ""schema""";
CREATE TABLE "odd ""schema"""."Tàble '1'" ("Org'" text, "a\b" uuid, "rôle" text, "x.y" int,
	PRIMARY KEY ("x.y", "a\b"));
SELECT lives_ok($$SELECT activity.track('"odd ""schema"""."Tàble ''1''"', 'membership',
	'{"organization": "Org''", "member": "a\\b", "role": "rôle"}')$$, 'odd names in another schema');
INSERT INTO "odd ""schema"""."Tàble '1'" VALUES ('o', '00000000-0000-0000-0000-00000000000a', 'admin', 1);
ALTER TABLE "odd ""schema"""."Tàble '1'" RENAME COLUMN "rôle" TO "r'\""";
UPDATE "odd ""schema"""."Tàble '1'" SET "r'\""" = 'é';
SELECT is(said(), '{joined 00000000-0000-0000-0000-00000000000a,role_changed 00000000-0000-0000-0000-00000000000a}',
	'record, renamed or not');
ALTER SCHEMA "odd ""schema""" RENAME TO other;
ALTER TABLE other."Tàble '1'" RENAME TO plain;
ALTER TABLE other.plain SET SCHEMA public;
DELETE FROM plain;
SELECT is(said(), '{removed 00000000-0000-0000-0000-00000000000a}', 'a table that moves and gets another name');
CREATE TABLE k (org_id text, shop int, number text, status text, PRIMARY KEY (shop, number));
DO $$BEGIN PERFORM track('k', 'order'); END$$;
INSERT INTO k VALUES ('o', 3, 'a/b', 'new');
CREATE TABLE t (org_id text, code text PRIMARY KEY, status text);
DO $$BEGIN PERFORM track('t', 'order'); END$$;
INSERT INTO t VALUES ('o', 'R-1', 'new');
CREATE TABLE n (org_id text, status text);
DO $$BEGIN PERFORM track('n', 'order'); END$$;
INSERT INTO n VALUES ('o', 'new');
SELECT is(said(), '{created 3/a/b,created R-1,created -}', 'composite and text primary keys, or none');

-- Partitions.
CREATE TABLE p (org_id text, user_id text, status text, region text, role text) PARTITION BY LIST (region);
CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu');
CREATE TABLE p_us (junk int, role text, region text, status text, user_id text, org_id text);
ALTER TABLE p_us DROP COLUMN junk;
ALTER TABLE p ATTACH PARTITION p_us FOR VALUES IN ('us');
DO $$BEGIN PERFORM track('p', 'membership'); END$$;
INSERT INTO p VALUES ('o', 'u1', 'active', 'eu', 'admin'), ('o', 'u2', 'active', 'us', 'admin');
UPDATE p SET role = 'viewer' WHERE user_id = 'u2';
SELECT is(said(), '{joined u1,joined u2,role_changed u2}', 'partitions with other column numbers');
UPDATE p SET region = 'us' WHERE user_id = 'u1';
SELECT is(said(), '{}', 'moving a row changes nothing for the member');
UPDATE p SET region = CASE region WHEN 'us' THEN 'eu' ELSE 'us' END, role = 'owner';
SELECT set_eq('SELECT unnest(said())', ARRAY['role_changed u1', 'role_changed u2'], 'a row that moves and changes is an update');
UPDATE p SET region = 'us', role = 'admin', org_id = 'p' WHERE user_id = 'u1';
SELECT is(said(), '{removed u1,joined u1}', 'a row that moves to another organization, too');
CREATE TABLE p_as PARTITION OF p FOR VALUES IN ('as');
UPDATE p SET region = 'as' WHERE user_id = 'u1';
UPDATE p_as SET role = 'viewer';
SELECT is(said(), '{role_changed u1}', 'later partitions, and statements on a partition itself');
CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep_out BEFORE INSERT ON p_us FOR EACH ROW EXECUTE FUNCTION keep_out();
UPDATE p SET region = 'us' WHERE user_id = 'u1';
SELECT is(said(), '{removed u1}', 'a row that is kept out of where it moves is gone');
DROP TRIGGER keep_out ON p_us;
INSERT INTO p VALUES ('o', 'u3', 'active', 'as', 'admin'), ('o', 'u4', 'active', 'us', 'admin');
SELECT set_eq('SELECT unnest(said())', ARRAY['joined u3', 'joined u4']);
TRUNCATE p_as;
SELECT is(said(), '{removed u3}', 'TRUNCATE of a partition');
TRUNCATE p;
SELECT set_eq('SELECT unnest(said())', ARRAY['removed u2', 'removed u4'], 'TRUNCATE of all, each once');
CREATE TABLE p_af (LIKE p);
ALTER TABLE p ATTACH PARTITION p_af FOR VALUES IN ('af');
INSERT INTO p VALUES ('o', 'u5', 'active', 'af', 'admin');
TRUNCATE p_af;
SELECT is(said(), '{joined u5,removed u5}', 'TRUNCATE of a partition that was attached later');
ALTER TABLE p RENAME COLUMN role TO job;
INSERT INTO p VALUES ('o', 'u6', 'active', 'us', 'admin');
UPDATE p SET job = 'viewer';
SELECT is(said(), '{joined u6,role_changed u6}', 'a column that is renamed everywhere');
DO $$BEGIN PERFORM track('p', 'membership', rules => '{"states": {"gone": "removed"}}'); END$$;
UPDATE p SET status = 'gone';
SELECT is(said(), '{removed u6}', 'tracked anew, the partitions follow');
SELECT throws_ok($$SELECT activity.track('p_us', 'membership')$$, 'AC007', NULL, 'a partition is tracked by its parent');
SELECT throws_ok($$SELECT activity.untrack('p_us')$$, 'AC007', NULL, 'and untracked by it');
ALTER TABLE p DETACH PARTITION p_us;
DELETE FROM p_us;
SELECT is(said(), '{}', 'a detached partition is no longer tracked');
SELECT is((SELECT count(*) FROM activity.tracked WHERE tracked = 'p'::regclass), 1::bigint, 'one line says so');
SELECT lives_ok($$SELECT activity.untrack('p')$$);
INSERT INTO p VALUES ('o', 'u6', 'active', 'eu', 'admin');
TRUNCATE p;
SELECT is(said(), '{}', 'untracked');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text ~ '^p(_|$)' AND tgname ~ 'activity'
	AND tgrelid <> 'p_us'::regclass), 0::bigint, 'no trigger is left');

-- Replication.
CREATE TABLE r (org_id text, user_id text);
DO $$BEGIN PERFORM track('r', 'membership'); END$$;
SET LOCAL session_replication_role = replica;
INSERT INTO r VALUES ('o', 'u1');
SELECT is(said(), '{}', 'in replication nothing is recorded a second time');
SET LOCAL session_replication_role = origin;
DO $$BEGIN PERFORM track('r', 'membership', rules => '{"replica": true}'); END$$;
SET LOCAL session_replication_role = replica;
INSERT INTO r VALUES ('o', 'u2');
TRUNCATE r;
SET LOCAL session_replication_role = origin;
SELECT is(said(), '{joined u2,removed u1,removed u2}', 'unless the table asks for it');

-- Who changes the table, and how the session is set.
CREATE TABLE u (org_id text, user_id text, status text);
DO $$BEGIN PERFORM track('u', 'membership'); END$$;
ALTER TABLE u ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE ROLE activity_test_plain;
CREATE POLICY own ON u TO activity_test_plain USING (org_id = 'o');
GRANT INSERT, SELECT, UPDATE, DELETE, TRUNCATE ON u TO activity_test_plain;
SET LOCAL ROLE activity_test_plain;
SET LOCAL search_path = '';
INSERT INTO public.u VALUES ('o', 'u1', 'active');
UPDATE public.u SET status = 'odd';
RESET ROLE;
SET LOCAL search_path = public;
SELECT is(said(), '{joined u1}', 'an ordinary user without any right, search_path or sight of other rows');
SELECT is((SELECT sum(changes) FROM activity.gaps WHERE tracked = 'public.u'), 1::numeric, 'whose unknown state is counted');
INSERT INTO u VALUES ('p', 'u2', 'active');
SET LOCAL ROLE activity_test_plain;
TRUNCATE u;
RESET ROLE;
SELECT is((said())[2:], '{removed u1,removed u2}', 'TRUNCATE sees the rows that row-level security hides');

-- A table altered, replaced, dropped.
CREATE TABLE z (org_id text, user_id text, name text, prefix text);
DO $$BEGIN PERFORM track('z', 'membership'); PERFORM track('z', 'api_key'); PERFORM track('z', 'membership'); END$$;
SELECT is((SELECT array_agg(category ORDER BY category) FROM activity.tracked WHERE tracked = 'z'::regclass),
	'{api_key,membership}', 'one table may be of two categories, each once');
INSERT INTO z VALUES ('o', 'u1', 'ci', 'x');
SELECT set_eq('SELECT unnest(said())', ARRAY['created -', 'joined u1'], 'and records both');
ALTER TABLE z DISABLE TRIGGER activity_api_key;
SELECT is((SELECT enabled FROM activity.tracked WHERE tracked = 'z'::regclass AND category = 'api_key'), false, 'disabled is seen');
DROP TABLE z;
SELECT is((SELECT count(*) FROM activity.tracked WHERE category = 'api_key'), 0::bigint, 'a dropped table is no longer tracked');

-- A table that the session is at work with.
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE w (org_id text, user_id text, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO w VALUES ('o', 'u0', NULL), ('o', 'u1', 1);
SELECT lives_ok($$SELECT activity.track('w', 'membership')$$, 'a table with deferred checks to come');
SELECT lives_ok($$SELECT activity.track('w', 'membership')$$, 'twice');
INSERT INTO w VALUES ('o', 'u2', 1);
INSERT INTO parent VALUES (1);
SELECT is(said(), '{joined u2}', 'records from then on');
SET CONSTRAINTS ALL IMMEDIATE;

-- A bulk load.
CREATE TABLE l (org_id text, user_id text);
DO $$BEGIN PERFORM track('l', 'membership'); END$$;
SET LOCAL activity.capture = off;
INSERT INTO l SELECT 'o', i FROM generate_series(1, 1000) i;
TRUNCATE l;
SET LOCAL activity.capture = on;
INSERT INTO l VALUES ('o', 'u1');
SELECT is(said(), '{joined u1}', 'activity.capture turns recording off');
SELECT is((SELECT format('%s: %s by %s', reason, changes, database_roles) FROM activity.gaps WHERE tracked = 'public.l'),
	format('activity.capture was off: 2000 by {%s}', session_user), 'which is recorded');
SELECT is((SELECT gaps FROM activity.tracked WHERE tracked = 'l'::regclass), 2000::bigint, 'and seen beside the table');
SET LOCAL ROLE activity_test_plain;
SELECT throws_ok('SET activity.capture = off', '42501', NULL, 'only a superuser may');
RESET ROLE;

-- A bulk change in one statement, below and above work_mem.
CREATE TABLE bulk (org_id text, user_id int, role text, status text);
INSERT INTO bulk SELECT 'bulk' || i % 10, i, 'viewer', 'active' FROM generate_series(1, 100000) i;
DO $$BEGIN PERFORM track('bulk', 'membership'); END$$;
SET LOCAL work_mem = '64kB';
UPDATE bulk SET role = 'admin';
SELECT is((SELECT array_agg(n) FROM (SELECT count(*) AS n FROM activity.events
	WHERE organization ~ '^bulk' AND event_type = 'membership.role_changed'
	  AND metadata = '{"previous_role": "viewer"}' GROUP BY organization) c),
	array_fill(10000::bigint, ARRAY[10]), '100,000 rows above work_mem');
SET LOCAL work_mem = '256MB';
UPDATE bulk SET role = 'owner', status = CASE user_id % 2 WHEN 0 THEN 'active' ELSE 'suspended' END;
SELECT is((SELECT array_agg(n ORDER BY n) FROM (SELECT count(*) AS n FROM activity.events
	WHERE organization ~ '^bulk' AND (metadata ? 'previous_status' OR metadata ->> 'previous_role' = 'admin')
	GROUP BY event_type) c), '{50000,100000}', 'and below, two events for some');
SELECT is((SELECT count(DISTINCT id) FROM activity.events WHERE organization ~ '^bulk'), 250000::bigint, 'none twice');
TRUNCATE bulk;
SELECT is((SELECT count(*) FROM activity.events WHERE organization ~ '^bulk' AND event_type = 'membership.removed'),
	100000::bigint, 'TRUNCATE of 100,000 rows');

-- What can be no organization's id does not break the writer.
CREATE TABLE odd (org_id text, user_id text, role text);
SELECT track('odd', 'membership') IS NULL AS done \gset
DELETE FROM seen; SELECT said() IS NULL AS done \gset
SELECT lives_ok($$INSERT INTO odd VALUES ('', 'e', 'x'), (repeat('o', 256), 'l', 'x'), (repeat('o', 255), 'f', 'x')$$,
	'a row may name what is no organization');
SELECT is(said(), ARRAY['joined f'], 'what fits is recorded');
SELECT is((SELECT sum(changes) FROM activity.gaps WHERE reason LIKE '%1 to 255 bytes'), 2::numeric, 'the rest is counted');
SELECT track('odd', 'membership', on_unknown => 'error') IS NULL AS done \gset
SELECT throws_ok($$INSERT INTO odd VALUES ('', 'e', 'x')$$, 'AC006', NULL, 'or is an error where that was asked for');

SELECT * FROM finish();
ROLLBACK;
