-- activity.event_type as a type: input, output, casts, operators, indexes.
SELECT 'credit.charge'::activity.event_type, 'CREDIT.Charge'::activity.event_type,
	CAST('Api_Key.created'::text AS activity.event_type);
SELECT pg_column_size('credit.charge'::activity.event_type);
SELECT activity.category('domain.domain_created'), activity.action('domain.domain_created');

-- What is wrong is said, with what may be meant.
\set VERBOSITY default
\set SHOW_CONTEXT never
\pset null '(null)'
SELECT 'credit.chrage'::activity.event_type;
SELECT ' credit.charge'::activity.event_type;
SELECT 'credits.charge'::activity.event_type;
SELECT 'apikey.rotated'::activity.event_type;
SELECT 'creditCharge'::activity.event_type;
SELECT 'organization.role_changed'::activity.event_type;
SELECT 'credit.spend'::activity.event_type;
SELECT 'credit'::activity.event_type;
SELECT 'teleport.beamed'::activity.event_type;
SELECT ''::activity.event_type;
SELECT (repeat('x', 126) || 'üü')::activity.event_type;
SELECT 'unknown.42'::activity.event_type;
SELECT 'unknown.99999999999'::activity.event_type;
\set VERBOSITY sqlstate
SELECT 'credit.chrage'::activity.event_type;
\set VERBOSITY default

-- A code whose definition is gone still prints, and is read back.
SELECT 'unknown.20000'::activity.event_type,
	activity.category('unknown.20000'), activity.action('unknown.20000');
SELECT activity.render_description('unknown.20000');

-- text and varchar are taken silently, the other way must be asked for.
CREATE TEMP TABLE happened (type activity.event_type, note text);
INSERT INTO happened SELECT key, key FROM activity.event_types WHERE built_in;
INSERT INTO happened VALUES ('order.created'::varchar(30), 'order.created');
SELECT count(*) FROM happened WHERE type::text = note;
INSERT INTO happened (note) SELECT 'credit.charge'::activity.event_type;
SELECT lower(type) FROM happened;

-- Operators are found whatever the search_path, with literals, text and arrays.
SET search_path = '';
SELECT count(*) FROM pg_temp.happened WHERE type = 'order.created';
SELECT count(*) FROM pg_temp.happened WHERE type <> 'order.created'::text;
SELECT count(*) FROM pg_temp.happened WHERE type = ANY ('{order.created,credit.charge}');
SELECT count(*) FROM pg_temp.happened WHERE type IN ('order.created', 'credit.add');
SELECT 'member.joined'::activity.event_type = 'membership.joined' AS a_synonym_is_another_type;
RESET search_path;

-- Order is the order of codes.
SELECT array_agg(type ORDER BY type) = array_agg(type ORDER BY note_number) AS in_order
	FROM (SELECT key::activity.event_type AS type, row_number() OVER () AS note_number
		FROM activity.event_types WHERE built_in) t;
SELECT 'member.invited'::activity.event_type < 'member.joined',
	'member.invited'::activity.event_type <= 'member.joined',
	'member.invited'::activity.event_type > 'member.joined',
	'member.invited'::activity.event_type >= 'member.joined';

-- Both kinds of index, merge and hash joins, grouping, distinct, partitioning.
CREATE INDEX happened_btree ON happened (type);
CREATE INDEX happened_hash ON happened USING hash (type);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM happened WHERE type = 'order.created';
DROP INDEX happened_hash;
EXPLAIN (COSTS OFF) SELECT * FROM happened WHERE type > 'order.created' ORDER BY type;
SELECT count(*) FROM happened WHERE type > 'order.created';
RESET enable_seqscan;
RESET enable_bitmapscan;
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM happened a JOIN happened b USING (type);
RESET enable_hashjoin;
SET enable_mergejoin = off;
SELECT count(*) FROM happened a JOIN happened b USING (type);
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(*), count(DISTINCT type) FROM happened;
SELECT type, count(*) FROM happened GROUP BY type HAVING count(*) > 1;
CREATE TEMP TABLE by_type (type activity.event_type) PARTITION BY LIST (type);
CREATE TEMP TABLE by_type_1 PARTITION OF by_type FOR VALUES IN ('credit.charge');
INSERT INTO by_type VALUES ('Credit.Charge');
SELECT * FROM by_type_1;

-- The binary format is the key, because codes differ between databases.
SELECT _activity.event_type_send('credit.charge') = convert_to('credit.charge', 'UTF8') AS is_the_key;
CREATE TEMP TABLE copied (LIKE happened);
SELECT format('%s/event_type_values.copy', current_setting('data_directory')) AS file \gset
COPY happened TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*) FROM copied WHERE type = note;

-- Also in parallel workers.
CREATE TABLE public.happened_shared AS SELECT * FROM happened;
ALTER TABLE public.happened_shared SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM public.happened_shared WHERE type::text = note AND note::activity.event_type = type;
SELECT count(*) FROM public.happened_shared WHERE type::text = note AND note::activity.event_type = type;
DROP TABLE public.happened_shared;
