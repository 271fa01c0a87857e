-- Statements within statements, subtransactions within subtransactions: what is
-- recorded is what has happened and was not rolled back. First what once went
-- wrong, then random nestings against an oracle, a table of the test's own that
-- is written in the same subtransactions.
\set ON_ERROR_STOP 1
SELECT plan(13);
SET client_min_messages = error;

CREATE TABLE a (id int, org_id text, user_id text, role text, part int, hidden boolean)
	PARTITION BY LIST (part);
CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1);
CREATE TABLE a2 PARTITION OF a FOR VALUES IN (2);
CREATE TABLE b (id int, org_id text, user_id text, role text);
CREATE TABLE expected (what text, who text);
CREATE SEQUENCE number;
DO $$BEGIN
	PERFORM activity.track('a', 'membership');
	PERFORM activity.track('b', 'membership');
END$$;
CREATE VIEW recorded AS
	SELECT activity.action(event_type) AS what, subject_id AS who FROM activity.events WHERE organization = 'org';
CREATE FUNCTION recorded_of(who text) RETURNS text LANGUAGE sql AS
	$$SELECT string_agg(activity.action(event_type), ', ' ORDER BY id) FROM activity.events WHERE subject_id LIKE who$$;

-- Half a moved row and a statement of another trigger.
CREATE FUNCTION shadow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO b VALUES (1, 'org', 'shadow', 'viewer');
	RETURN NULL;
END
$$;
INSERT INTO a VALUES (1, 'org', 'mover', 'viewer', 1);
CREATE TRIGGER zzz AFTER DELETE ON a FOR EACH ROW EXECUTE FUNCTION shadow();
UPDATE a SET part = 2, role = 'admin';
DROP TRIGGER zzz ON a;
SELECT is(recorded_of('mover'), 'joined, role_changed', 'a moved row has one half and the other');
SELECT is(recorded_of('shadow'), 'joined', 'and no row of another statement');
DROP FUNCTION shadow;

-- The other half is kept out: the row is gone, whatever else goes on.
CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN NEW.hidden THEN NULL ELSE NEW END;
END
$$;
CREATE TRIGGER keep_out BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION keep_out();
UPDATE a SET part = 1, hidden = true;
SELECT is(recorded_of('mover'), 'joined, role_changed, removed', 'a row that came nowhere is gone');
INSERT INTO a VALUES (2, 'org', 'early', 'viewer', 1), (3, 'org', 'late', 'viewer', 1);
BEGIN;
UPDATE a1 SET role = 'admin';
SAVEPOINT s;
UPDATE a SET part = 2, hidden = true WHERE id = 2;
ROLLBACK TO s;
UPDATE a SET role = 'member';
COMMIT;
SELECT is(recorded_of('early'), 'joined, role_changed, role_changed', 'what was rolled back was not');

-- Gaps of an outer subtransaction outlive an inner one that is rolled back.
BEGIN;
SAVEPOINT s;
DO $$BEGIN
	INSERT INTO b VALUES (9, NULL, 'nobody', 'viewer');
END$$;
RELEASE s;
SAVEPOINT s;
ALTER TABLE b DISABLE TRIGGER activity_end;
INSERT INTO b VALUES (9, NULL, 'nobody', 'viewer');
ALTER TABLE b ENABLE TRIGGER activity_end;
SAVEPOINT t;
INSERT INTO b VALUES (9, NULL, 'nobody', 'viewer');
ROLLBACK TO t;
COMMIT;
SELECT is((SELECT sum(changes) FROM activity.gaps), 2::numeric, 'an inner rollback takes its own gaps alone');
DELETE FROM b WHERE org_id IS NULL;

-- Publishing that was rolled back.
BEGIN;
SAVEPOINT s;
DO $$BEGIN
	PERFORM activity.publish();
EXCEPTION WHEN OTHERS THEN NULL;
END$$;
ROLLBACK TO s;
INSERT INTO b VALUES (4, 'org', 'prepared', 'viewer');
PREPARE TRANSACTION 'nesting';
COMMIT PREPARED 'nesting';
SELECT is(recorded_of('prepared'), 'joined', 'what did not publish can be prepared');

-- A statement within a statement leaves the outer one's events together.
CREATE TABLE seen (events bigint);
CREATE FUNCTION within() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO seen SELECT count(*) FROM _activity.event WHERE subject->>'id' LIKE 'outer%';
	INSERT INTO b VALUES (100 + NEW.id, 'org', 'inner' || NEW.id, 'viewer');
	RETURN NULL;
END
$$;
CREATE TRIGGER zzz AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION within();
INSERT INTO a SELECT n, 'org', 'outer' || n, 'viewer', 1 FROM generate_series(10, 19) n;
DROP TRIGGER zzz ON a;
SELECT is((SELECT max(events) FROM seen), 0::bigint, 'an inner statement does not close the outer batch');
SELECT is(recorded_of('outer%'), array_to_string(array_fill('joined'::text, ARRAY[10]), ', '), 'and nothing is lost');

-- Random nestings.
CREATE FUNCTION say(what text, who text) RETURNS void LANGUAGE sql AS
	'INSERT INTO expected VALUES (what, who)';
CREATE FUNCTION write_b() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n   int := nextval('number');
	r   b;
BEGIN
	CASE floor(random() * 4)
	WHEN 0 THEN
		SELECT * INTO r FROM b WHERE random() < 0.2 LIMIT 1;
		DELETE FROM b WHERE id = r.id;
		PERFORM say(CASE WHEN r.org_id IS NULL THEN 'gap' ELSE 'removed' END, r.user_id) WHERE r.id IS NOT NULL;
	WHEN 1 THEN
		INSERT INTO b VALUES (n, NULL, 'n' || n, 'viewer');
		PERFORM say('gap', 'n' || n);
	ELSE
		INSERT INTO b SELECT n + m * 100000, 'org', 'b' || n || '_' || m, 'viewer' FROM generate_series(1, 2) m;
		PERFORM say('joined', 'b' || n || '_' || m) FROM generate_series(1, 2) m;
	END CASE;
END
$$;
CREATE FUNCTION within_a() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.3 THEN
		PERFORM write_b();
	END IF;
	IF random() < 0.3 THEN
		BEGIN
			PERFORM write_b();
			IF random() < 0.5 THEN RAISE 'no' USING ERRCODE = 'P0099'; END IF;
		EXCEPTION WHEN SQLSTATE 'P0099' THEN NULL;
		END;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa AFTER INSERT OR UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION within_a();
CREATE TRIGGER zzz AFTER INSERT OR UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION within_a();

CREATE FUNCTION write_a() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n       int := nextval('number');
	ids     int[] := ARRAY(SELECT id FROM a WHERE random() < 0.1);
	org     text := CASE WHEN random() < 0.8 THEN 'org' END;
	to_role text := (ARRAY['viewer', 'member', 'admin'])[1 + floor(random() * 3)];
BEGIN
	CASE floor(random() * 5)
	WHEN 0 THEN
		PERFORM say(CASE WHEN org_id IS NULL THEN 'gap' ELSE 'removed' END, user_id) FROM a WHERE id = ANY (ids);
		DELETE FROM a WHERE id = ANY (ids);
	WHEN 1 THEN
		PERFORM say(CASE WHEN org_id IS NULL THEN 'gap' ELSE 'removed' END, user_id) FROM a WHERE id = ANY (ids);
		UPDATE a SET hidden = true, part = 3 - part WHERE id = ANY (ids);
	WHEN 2 THEN
		PERFORM say(CASE WHEN org_id IS NULL THEN 'gap' ELSE 'role_changed' END, user_id)
		FROM a WHERE id = ANY (ids) AND role <> to_role;
		UPDATE a SET role = to_role, part = CASE WHEN id % 2 = n % 2 THEN part ELSE 3 - part END WHERE id = ANY (ids);
	ELSE
		PERFORM say(CASE WHEN org IS NULL THEN 'gap' ELSE 'joined' END, 'a' || n + m) FROM generate_series(0, 2) m;
		INSERT INTO a SELECT n + m, org, 'a' || n + m, to_role, 1 + n % 2 FROM generate_series(0, 2) m;
	END CASE;
END
$$;
CREATE FUNCTION play(depth int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	who text;
BEGIN
	FOR i IN 1 .. 3 LOOP
		CASE floor(random() * 8)
		WHEN 0, 1, 2 THEN PERFORM write_a();
		WHEN 3 THEN PERFORM write_b();
		WHEN 4 THEN
			who := 'r' || nextval('number');
			PERFORM activity.record('org', 'auth.signin', jsonb_build_object('id', who)), say('signin', who);
		WHEN 5 THEN
			BEGIN
				PERFORM activity.publish();
				RAISE 'no' USING ERRCODE = 'P0099';
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
		ELSE
			IF depth > 0 THEN
				BEGIN
					PERFORM play(depth - 1);
					IF random() < 0.4 THEN RAISE 'no' USING ERRCODE = 'P0099'; END IF;
				EXCEPTION WHEN SQLSTATE 'P0099' THEN NULL;
				END;
			END IF;
		END CASE;
	END LOOP;
END
$$;

DO $$BEGIN
	PERFORM say(what, who) FROM recorded;
	PERFORM say('gap', NULL) FROM activity.gaps, generate_series(1, changes);
	PERFORM setval('number', 1000);
	PERFORM setseed(0.24);
END$$;
\o /dev/null
SELECT unnest(ARRAY['BEGIN', 'SELECT play(3)', 'SAVEPOINT s', 'SELECT play(2)',
	CASE n % 3 WHEN 0 THEN 'ROLLBACK TO s' WHEN 1 THEN 'RELEASE s' ELSE 'SELECT 1' END, 'SELECT play(2)']
	|| CASE n % 7 WHEN 0 THEN ARRAY['ROLLBACK']
		WHEN 1 THEN ARRAY['PREPARE TRANSACTION ''nesting''', 'COMMIT PREPARED ''nesting''']
		WHEN 2 THEN ARRAY['PREPARE TRANSACTION ''nesting''', 'ROLLBACK PREPARED ''nesting''']
		ELSE ARRAY['COMMIT'] END)
FROM generate_series(1, 84) n \gexec
\o
SELECT is_empty('SELECT what, who FROM expected WHERE what <> ''gap'' EXCEPT ALL TABLE recorded', 'nothing is missing');
SELECT is_empty('TABLE recorded EXCEPT ALL SELECT what, who FROM expected', 'nothing is there that was not');
SELECT is((SELECT sum(changes) FROM activity.gaps), (SELECT count(*)::numeric FROM expected WHERE what = 'gap'), 'gaps are counted');
SELECT cmp_ok((SELECT count(*) FROM recorded), '>', 500::bigint, 'it was a lot');
SELECT cmp_ok((SELECT sum(changes) FROM activity.gaps), '>', 50::numeric, 'gaps among it');
SELECT * FROM finish();
