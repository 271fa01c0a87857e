-- Whatever statements change a tracked table, what is recorded is the difference
-- between the table before and after, put into words. Random statements on a
-- partitioned table, some rolled back, against a comparison of two copies.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(4);
SET LOCAL client_min_messages = error;

CREATE TABLE m (id int, org_id text, user_id text, role text, status text, removed_at int, shard int)
	PARTITION BY LIST (shard);
CREATE TABLE m0 PARTITION OF m FOR VALUES IN (0);
CREATE TABLE m1 (shard int, gone int, removed_at int, status text, role text, user_id text, org_id text, id int);
ALTER TABLE m1 DROP COLUMN gone;
ALTER TABLE m ATTACH PARTITION m1 FOR VALUES IN (1);
CREATE UNIQUE INDEX ON m (id, shard);
CREATE TABLE before (LIKE m);
DO $$BEGIN PERFORM activity.track('m', 'membership'); END$$;

-- The state of a row, and the events between two rows, said once more.
CREATE FUNCTION state(r m) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN r.id IS NULL THEN 'absent'
		WHEN r.removed_at IS NOT NULL THEN 'removed'
		WHEN lower(r.status) IN ('suspended', 'inactive') THEN 'inactive'
		WHEN lower(r.status) = 'invited' THEN 'pending'
		WHEN coalesce(lower(r.status), 'active') = 'active' THEN 'active'
		ELSE 'unknown' END
$$;
CREATE FUNCTION events_between(o m, n m) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	os text := state(o);
	ns text := state(n);
	none m;
BEGIN
	IF o.id IS NOT NULL AND n.id IS NOT NULL AND (o.org_id, o.user_id) <> (n.org_id, n.user_id) THEN
		RETURN QUERY SELECT * FROM events_between(o, none) UNION ALL SELECT * FROM events_between(none, n);
		RETURN;
	END IF;
	RETURN QUERY SELECT format('%s %s %s', coalesce(n.org_id, o.org_id), coalesce(n.user_id, o.user_id), e)
	FROM unnest(ARRAY[
		CASE WHEN os IN ('absent', 'pending', 'removed') AND ns = 'active' THEN 'joined as ' || coalesce(n.role, '') END,
		CASE WHEN os IN ('active', 'unknown') AND ns = 'inactive' THEN 'deactivated' END,
		CASE WHEN os IN ('inactive', 'unknown') AND ns = 'active' THEN 'reactivated' END,
		CASE WHEN os IN ('active', 'inactive', 'unknown') AND ns IN ('removed', 'absent') THEN 'removed' END,
		CASE WHEN o.id IS NOT NULL AND n.id IS NOT NULL AND o.role IS DISTINCT FROM n.role
			AND os IN ('active', 'inactive', 'unknown') AND ns IN ('active', 'inactive', 'unknown')
			THEN 'role ' || coalesce(o.role, '') || ' to ' || coalesce(n.role, 'none') END]) e
	WHERE e IS NOT NULL;
END
$$;
CREATE FUNCTION recorded(since uuid) RETURNS text[] LANGUAGE sql AS $$
	SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM (
		SELECT format('%s %s %s', organization, subject_id, CASE activity.action(event_type)
			WHEN 'joined' THEN 'joined as ' || coalesce(subject ->> 'role', '')
			WHEN 'role_changed' THEN 'role ' || coalesce(metadata ->> 'previous_role', '') || ' to ' || (subject ->> 'role')
			ELSE activity.action(event_type) END) AS t
		FROM activity.events WHERE since IS NULL OR id > since) s
$$;
CREATE FUNCTION pick(VARIADIC words text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT words[1 + floor(random() * array_length(words, 1))]
$$;
CREATE FUNCTION statement() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	word text := quote_nullable(pick('active', 'Active', 'suspended', 'inactive', 'invited', 'odd', NULL));
	role text := quote_nullable(pick('admin', 'viewer', NULL));
	chosen text := format('id %% %s = %s', 1 + floor(random() * 4), floor(random() * 3));
BEGIN
	RETURN CASE floor(random() * 12)
		WHEN 0 THEN format('INSERT INTO m SELECT i, %L, ''u'' || i, %s, %s, NULL, i %% 2 FROM generate_series(%s, %s) i WHERE i NOT IN (SELECT id FROM m)',
			pick('o', 'p'), role, word, floor(random() * 20), 10 + floor(random() * 20))
		WHEN 1 THEN format('UPDATE m SET status = %s WHERE %s', word, chosen)
		WHEN 2 THEN format('UPDATE m SET role = %s, status = %s WHERE %s', role, word, chosen)
		WHEN 3 THEN format('UPDATE m SET shard = 1 - shard WHERE %s', chosen)
		WHEN 4 THEN format('UPDATE m SET shard = 1 - shard, role = %s WHERE %s', role, chosen)
		WHEN 5 THEN format('UPDATE m SET shard = 1 - shard, org_id = %L WHERE %s', pick('o', 'p'), chosen)
		WHEN 6 THEN format('DELETE FROM m WHERE %s', chosen)
		WHEN 7 THEN format('UPDATE m SET removed_at = %s WHERE %s', pick('NULL', '1'), chosen)
		WHEN 8 THEN format('UPDATE m1 SET user_id = user_id || %L WHERE %s', pick('', 'x'), chosen)
		WHEN 9 THEN format('MERGE INTO m USING generate_series(0, 30, 3) AS i ON m.id = i WHEN MATCHED AND i %% 2 = 0 THEN UPDATE SET status = %s'
			' WHEN MATCHED AND i > 20 THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (i, ''o'', ''u'' || i, %s, ''active'', NULL, 0)', word, role)
		WHEN 10 THEN format('WITH d AS (DELETE FROM m WHERE %s RETURNING *) INSERT INTO m SELECT id + 100, org_id, user_id || ''+'', role, status, removed_at, 1 - shard FROM d'
			' WHERE NOT EXISTS (SELECT FROM m t WHERE t.id = d.id + 100)', chosen)
		ELSE CASE WHEN random() < 0.3 THEN 'TRUNCATE ' || pick('m', 'm1') ELSE 'UPDATE m SET role = role' END
	END;
END
$$;

CREATE TABLE outcome (n int, command text, wanted text[], got text[]);
CREATE FUNCTION run(number int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	command text := statement();
	last    uuid := (SELECT id FROM activity.events ORDER BY id DESC LIMIT 1);
	wanted  text[];
BEGIN
	DELETE FROM before;
	INSERT INTO before SELECT * FROM m;
	BEGIN
		EXECUTE command;
		IF random() < 0.2 THEN RAISE 'no' USING ERRCODE = 'P0099'; END IF;
	EXCEPTION WHEN SQLSTATE 'P0099' OR unique_violation THEN NULL;
	END;
	SELECT coalesce(array_agg(e ORDER BY e), '{}') INTO wanted
	FROM (SELECT b.id, ROW(b.id, b.org_id, b.user_id, b.role, b.status, b.removed_at, b.shard)::m AS o,
				 ROW(m.id, m.org_id, m.user_id, m.role, m.status, m.removed_at, m.shard)::m AS n
		  FROM before b FULL JOIN m ON m.id = b.id) rows
		 CROSS JOIN LATERAL events_between(o, n) e;
	INSERT INTO outcome VALUES (number, command, wanted, recorded(last));
END
$$;

SELECT setseed(0.42);
DO $$BEGIN PERFORM run(n) FROM generate_series(1, 400) n; END$$;
SELECT is_empty('SELECT * FROM outcome WHERE wanted <> got', 'what is recorded is what changed');
SELECT cmp_ok((SELECT sum(cardinality(wanted)) FROM outcome), '>', 300::bigint, 'and that was a lot');
SELECT is((SELECT count(DISTINCT split_part(w, ' ', 3)) FROM outcome, unnest(wanted) w), 5::bigint, 'of every kind');
SELECT cmp_ok((SELECT sum(changes) FROM activity.gaps), '>', 0::numeric, 'unknown states among them');

SELECT * FROM finish();
ROLLBACK;
