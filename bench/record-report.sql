-- Prints what bench/record measured, as markdown.
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;

UPDATE bench.variant SET log = CASE
	WHEN name ~ '^tracked' THEN
		(SELECT array_agg(relid) FROM pg_partition_tree('_activity.event') WHERE isleaf)
	WHEN name = 'jsontriga' THEN
		(SELECT array_agg(c.oid::regclass) FROM pg_class c
		 WHERE relnamespace = to_regnamespace('pgq') AND relname ~ '^event_\d+_\d+$')
	WHEN name IN ('table_log', 'hstore_audit') THEN ARRAY[to_regclass(name || '.log')]
	ELSE log END;

-- The lower quartile of the rounds: a busy machine only ever adds.
CREATE VIEW bench.quartile AS
SELECT round > 1000 AS of_indexes, variant, operation,
	   percentile_cont(0.25) WITHIN GROUP (ORDER BY cpu) AS cpu,
	   percentile_cont(0.25) WITHIN GROUP (ORDER BY wal) AS wal
FROM bench.result GROUP BY 1, 2, 3;

CREATE VIEW bench.above AS
SELECT q.of_indexes, v.number, q.variant, v.title, q.operation,
	   q.cpu - u.cpu AS cpu, q.wal - u.wal AS wal
FROM bench.quartile q
JOIN bench.quartile u ON u.operation = q.operation AND u.variant = 'untracked'
	AND NOT u.of_indexes
JOIN bench.variant v ON v.name = q.variant;

CREATE FUNCTION bench.stored(log regclass[]) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	one    regclass;
	bytes  bigint := 0;
	events bigint := 0;
	n      bigint;
BEGIN
	FOREACH one IN ARRAY coalesce(log, '{}') LOOP
		EXECUTE format('SELECT count(*) FROM %s', one) INTO n;
		bytes := bytes + CASE WHEN n > 0 THEN pg_total_relation_size(one) ELSE 0 END;
		events := events + n;
	END LOOP;
	RETURN round(bytes::numeric / nullif(events, 0));
END
$$;

\echo '### CPU per event above an untracked table, µs'
\echo
\echo '| recorded by | INSERT | UPDATE | change of no interest | DELETE | bulk UPDATE, per row | WAL B | stored B |'
\echo '|---|---|---|---|---|---|---|---|'
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s |', title,
	round(max(cpu) FILTER (WHERE operation = 'insert')::numeric, 1),
	round(max(cpu) FILTER (WHERE operation = 'update')::numeric, 1),
	round(max(cpu) FILTER (WHERE operation = 'no interest')::numeric, 1),
	round(max(cpu) FILTER (WHERE operation = 'delete')::numeric, 1),
	round(max(cpu) FILTER (WHERE operation = 'bulk')::numeric, 1),
	round(max(wal) FILTER (WHERE operation = 'bulk')::numeric),
	coalesce((SELECT bench.stored(v.log) FROM bench.variant v WHERE v.name = a.variant)::text, '–'))
FROM bench.above a
WHERE NOT of_indexes AND variant <> 'untracked'
GROUP BY number, variant, title ORDER BY number;
\echo
SELECT 'The untracked statement itself: ' || string_agg(
	format('%s %s', operation, round(cpu::numeric, 1)), ', ' ORDER BY operation) || '.'
FROM bench.quartile WHERE variant = 'untracked' AND NOT of_indexes;
SELECT format('%s of the floor: INSERT %s, UPDATE %s, DELETE %s, bulk %s.', t.title,
	round(max(t.cpu / f.cpu) FILTER (WHERE t.operation = 'insert')::numeric, 2),
	round(max(t.cpu / f.cpu) FILTER (WHERE t.operation = 'update')::numeric, 2),
	round(max(t.cpu / f.cpu) FILTER (WHERE t.operation = 'delete')::numeric, 2),
	round(max(t.cpu / f.cpu) FILTER (WHERE t.operation = 'bulk')::numeric, 2))
FROM bench.above t JOIN bench.above f USING (of_indexes, operation)
WHERE NOT of_indexes AND f.variant = 'floor'
  AND t.variant ~ '^(tracked|plpgsql)'
GROUP BY t.number, t.title ORDER BY t.number;
\echo
\echo '### Bytes per event'
\echo
\echo '| | B |'
\echo '|---|---|'
WITH leaf AS (
	SELECT relid FROM pg_partition_tree('_activity.event')
	WHERE isleaf AND pg_relation_size(relid) > 1024 * 1024
), events AS (
	SELECT sum((xpath('/row/n/text()', query_to_xml(
		format('SELECT count(*) AS n FROM %s', relid), false, true, '')))[1]::text::bigint) AS n
	FROM leaf
)
SELECT format('| %s | %s |', what, round(sum(bytes) / (SELECT n FROM events)))
FROM (
	SELECT 0 AS number, 'heap' AS what, pg_table_size(relid) AS bytes FROM leaf
	UNION ALL
	SELECT 1, 'index ' || regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', ''),
		   pg_relation_size(indexrelid)
	FROM leaf JOIN pg_index ON indrelid = relid
) parts
GROUP BY number, what ORDER BY number, what;

\echo
\echo '### What an index costs: the floor with all of them, less the floor without it'
\echo
\echo '| index | INSERT, µs | UPDATE, µs | bulk, µs a row | WAL, B |'
\echo '|---|---|---|---|---|'
SELECT format('| %s | %s | %s | %s | %s |', w.title,
	round(max(f.cpu - w.cpu) FILTER (WHERE operation = 'insert')::numeric, 1),
	round(max(f.cpu - w.cpu) FILTER (WHERE operation = 'update')::numeric, 1),
	round(max(f.cpu - w.cpu) FILTER (WHERE operation = 'bulk')::numeric, 1),
	round(max(f.wal - w.wal) FILTER (WHERE operation = 'bulk')::numeric))
FROM bench.above f JOIN bench.above w USING (of_indexes, operation)
WHERE of_indexes AND f.variant = 'without_nothing' AND w.variant ~ '^without_'
  AND w.variant <> f.variant
GROUP BY w.number, w.title ORDER BY w.number;
