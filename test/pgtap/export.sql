-- Exports: every event that the filters take, once, in each format; cells that a
-- spreadsheet would run; the same bytes for the same cursor; and each is an event.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(44);
SELECT activity.set_tier('org', 'enterprise') \g /dev/null

CREATE FUNCTION one(format text, columns text[], description text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM activity.record('cells', 'order.created', '{"kind":"order","id":"o1"}', '{"amount":1,"currency":"usd"}', one.description);
	RETURN (SELECT line FROM activity.export('cells', one.format, one.columns, event_types => '{order.*}') WITH ORDINALITY e (line, n) WHERE n = 2);
END
$$;
SELECT activity.set_tier('cells', 'premium') \g /dev/null

-- Cells
SELECT is(one('csv', '{description}', text), cell || E'\r', format('a cell with %s', what)) FROM (VALUES
	('plain', 'plain', 'nothing special'),
	('a,b', '"a,b"', 'a comma'),
	('a"b', '"a""b"', 'a quote'),
	(E'a\nb', E'"a\nb"', 'a line feed'),
	(E'a\rb', E'"a\rb"', 'a carriage return'),
	('=1+1', '''=1+1', 'a formula'),
	('+x', '''+x', 'a plus'), ('-x', '''-x', 'a minus'), ('@x', '''@x', 'an at'),
	(E'\tx', E'''\tx', 'a tab'), (E'\rx', E'"''\rx"', 'a return first'),
	('=a,"b"', '"''=a,""b"""', 'a formula that is quoted'),
	('''x', '''''x', 'an apostrophe'),
	('-5', '-5', 'a number'), ('+1.5e-3', '+1.5e-3', 'a number with all'),
	('-5-3', '''-5-3', 'almost a number'), ('-', '''-', 'no number'), ('+1e', '''+1e', 'half a number'),
	(E'\u00fc\u4e2d', E'\u00fc\u4e2d', 'other letters'),
	('', '""', 'an empty text')) v (text, cell, what);
SET activity.export_guard = off;
SELECT is(one('csv', '{description}', '=1+1'), E'=1+1\r', 'as it is, if somebody wants that');
RESET activity.export_guard;
SELECT is(one('csv', '{actor,actor.name,subject.id,subject.kind,metadata.amount,metadata.none,metadata,onBehalfOf,eventType}', 'x'),
	E'system,,o1,order,1,,"{""amount"":1,""currency"":""usd""}",,order.created\r', 'columns by their names');

-- More than a page, with others of the same time
SET activity.actor_id = 'ann';
SELECT count(activity.record('org', (ARRAY['order.created', 'credit.charge'])[i % 2 + 1], jsonb_build_object('kind', 'order', 'id', i),
	'{"amount":1,"currency":"usd"}', occurred_at => now() - i / 3 * interval '1 second')) FROM generate_series(1, 2500) i \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT cursor FROM activity.stream_head('org') \gset
SELECT results_eq($$SELECT line FROM activity.export('org') line LIMIT 1$$, ARRAY[E'event_id,actor,category,action,description,timestamp\r'], 'a header');
SELECT is((SELECT count(*) FROM activity.export('org', up_to => :'cursor')), 2501::bigint, 'and a line for each event');
SELECT results_eq(format($$SELECT line::jsonb ->> 'id' FROM activity.export('org', 'ndjson', up_to => %L) line$$, :'cursor'),
	$$SELECT id::text FROM activity.events WHERE organization = 'org' AND event_type::text !~ '^compliance' ORDER BY id DESC$$, 'newest first, each once');
SELECT is((SELECT jsonb_array_length(string_agg(line, E'\n')::jsonb) FROM activity.export('org', 'json', up_to => :'cursor') line), 2500, 'one array');
SELECT is((SELECT string_agg(line, '')::jsonb FROM activity.export('org', 'json', actor => 'nobody') line), '[]'::jsonb, 'of nothing');
SELECT is((SELECT count(*) FROM activity.export('org', 'ndjson', event_types => '{credit.*}', subject => 'order:7')), 1::bigint, 'with the feed''s filters');
SELECT throws_ok($$SELECT activity.export('nobody')$$, '42501', NULL, 'an organization without the feed');

-- The envelopes
SELECT is((SELECT count(*) FROM activity.export('org', 'cloudevents', up_to => :'cursor') line, jsonb_to_record(line::jsonb)
	AS c (specversion text, id uuid, source text, type text, "time" timestamptz, subject text, datacontenttype text, data jsonb)
	WHERE specversion = '1.0' AND id::text = data ->> 'id' AND source = '/organizations/org' AND type = data ->> 'eventType'
	  AND "time" = (data ->> 'occurredAt')::timestamptz AND subject <> '' AND datacontenttype = 'application/json'), 2500::bigint, 'CloudEvents');
SELECT is((SELECT count(*) FROM activity.export('org', 'ocsf', up_to => :'cursor') line, jsonb_to_record(line::jsonb)
	AS c (class_uid int, category_uid int, activity_id int, type_uid int, "time" bigint, severity_id int, metadata jsonb, actor jsonb, api jsonb, src_endpoint jsonb)
	WHERE class_uid = 6003 AND category_uid = 6 AND activity_id IN (1, 99) AND type_uid = class_uid * 100 + activity_id AND severity_id = 1
	  AND "time" > 1000000000000 AND metadata ?& '{version,product,uid}' AND actor #>> '{user,uid}' = 'ann' AND api ? 'operation' AND src_endpoint <> '{}'),
	2500::bigint, 'OCSF');

SELECT is((SELECT count(*) FROM unnest('{ndjson,cloudevents,ocsf}'::text[]) f (ormat), activity.export('org', f.ormat, subject => 'order:7', up_to => :'cursor') line
	WHERE line = (SELECT activity.event_line('org', e, f.ormat) FROM activity.feed('org', subject => 'order:7') e)), 3::bigint, 'one event''s line is that of the export');
SELECT throws_ok($$SELECT activity.event_line('org', e, 'csv') FROM activity.feed('org', page_size => 1) e$$, '22023', NULL, 'of the formats that have one');
SELECT is(activity.event_line('org', NULL::activity.entry, 'ocsf'), NULL, 'none of none');

-- The same bytes, whatever comes later
SELECT md5(string_agg(line, E'\n')) AS sum FROM activity.export('org', 'csv', up_to => :'cursor') line \gset
SELECT activity.record('org', 'credit.charge', '{"kind":"order","id":"late"}', '{"amount":1}', occurred_at => now() - interval '1 minute') \g /dev/null
SELECT is((SELECT md5(string_agg(line, E'\n')) FROM activity.export('org', 'csv', up_to => :'cursor') line), :'sum', 'an import into its middle, unpublished');
SELECT activity.publish() \g /dev/null
SELECT is((SELECT md5(string_agg(line, E'\n')) FROM activity.export('org', 'csv', up_to => :'cursor') line), :'sum', 'and published');
SELECT throws_ok($$SELECT activity.export('org', up_to => '1.1')$$, 'AC011', NULL, 'a cursor of another history');
SELECT throws_ok(format($$SELECT activity.export('org', up_to => %L)$$, :'cursor' || '000'), 'AC012', NULL, 'one ahead');

-- It is an event
SELECT activity.export('org', 'ndjson', event_types => '{credit.charge}', up_to => :'cursor') LIMIT 3 \g /dev/null
SELECT results_eq($$SELECT metadata ->> 'format', (metadata ->> 'rows')::int, (metadata ->> 'complete')::bool, metadata #>> '{filters,event_types}', metadata ->> 'cursor'
	FROM activity.feed('org', event_types => '{compliance.exported}', page_size => 1)$$,
	format($$VALUES ('ndjson', 3, false, '{credit.charge}', %L)$$, :'cursor'), 'also one that was broken off');
SELECT encode(sha256(convert_to(string_agg(line || E'\n', ''), 'UTF8')), 'hex') AS digest FROM activity.export('org', 'csv', up_to => :'cursor') line \gset
SELECT is(:'digest', (SELECT metadata ->> 'sha256' FROM activity.feed('org', event_types => '{compliance.exported}', page_size => 1)), 'with the digest of its bytes');
BEGIN READ ONLY;
SELECT throws_ok($$SELECT activity.export('org')$$, '25006', NULL, 'and can''t be had without it');
ROLLBACK;

SELECT throws_ok($$SELECT activity.export('org', 'xls')$$, '22023', NULL, 'no such format');
SELECT throws_ok($$SELECT activity.export('org', columns => '{secret}')$$, '22023', NULL, 'no such column');
SELECT throws_ok($$SELECT activity.export('org', 'json', '{id}')$$, '22023', NULL, 'columns of csv alone');
SELECT * FROM finish();
