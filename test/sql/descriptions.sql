-- Descriptions: the examples of the data folder, byte for byte, and every rule of
-- templates.
\pset null '(null)'
\set examples `cat "$PG_ABS_SRCDIR/../data/description_examples.tsv"`
CREATE TEMP TABLE example AS
	SELECT number - 1 AS number, split_part(line, E'\t', 1) AS key,
		split_part(line, E'\t', 2)::jsonb AS subject,
		nullif(split_part(line, E'\t', 3), '')::jsonb AS metadata,
		split_part(line, E'\t', 4) AS description
	FROM regexp_split_to_table(:'examples', E'\n') WITH ORDINALITY AS l (line, number)
	WHERE number > 1 AND line <> '';
SELECT count(*) FROM example;
SELECT number, key, description, activity.render_description(key, subject, metadata)
	FROM example
	WHERE activity.render_description(key, subject, metadata) COLLATE "C" IS DISTINCT FROM description
	ORDER BY number;
SELECT activity.render_description(key, subject, metadata) FROM example ORDER BY number;

-- One template for each rule.
CREATE FUNCTION pg_temp.render(template text, subject jsonb DEFAULT NULL, metadata jsonb DEFAULT NULL)
RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT activity.render_description(activity.define_event_type('test.rule', template), subject, metadata)
$$;
BEGIN;
-- A field, absent or null, alone and with alternatives.
SELECT pg_temp.render('{a}', '{"a":"x"}'), pg_temp.render('{a}'), pg_temp.render('{a}', '{"a":null}');
SELECT pg_temp.render('{a|b|Nobody}', '{"b":"x"}'), pg_temp.render('{a|b|Nobody}', '{"a":null}'),
	pg_temp.render('{a|b|Nobody}', '{"Nobody":"x"}'), pg_temp.render('{a|b}', '{"c":1}'),
	pg_temp.render('{a|no one at all}', '{"c":1}'), pg_temp.render('{a|b}', '{"a":""}');
-- Metadata wins, unless it is null.
SELECT pg_temp.render('{a}', '{"a":1}', '{"a":2}'), pg_temp.render('{a}', '{"a":1}', '{"a":null}');
-- A group goes when a field in it is absent; alternatives never are.
SELECT pg_temp.render('x[ a{a}][ b{b}].', '{"b":1}'), pg_temp.render('x[ a{a}][ b{b}].', '{"a":1,"b":2}'),
	pg_temp.render('x[ {a} and {b}].', '{"a":1}'), pg_temp.render('x[ {a|b}].'), pg_temp.render('[{a}]');
-- Doubled brackets, read from the left.
SELECT pg_temp.render('[[{a}]] {{{a}}} [[[{a}]', '{"a":1}'), pg_temp.render('.[{a}]]].', '{"a":1}'),
	pg_temp.render('.[{a}]]].'), pg_temp.render('[ [[{a}]] ]', '{"a":1}'), pg_temp.render('}}]]{{[['), pg_temp.render('$^\"''&<%s %d {a}', '{"a":"\\ \" %n $"}');
-- Names of fields.
SELECT pg_temp.render('{größe} {a-b} {A_1} {kind}', '{"größe":"L","a-b":2,"A_1":3,"kind":"k"}');
-- Numbers.
SELECT value, pg_temp.render('{a}', jsonb_build_object('a', value::jsonb)) FROM unnest(ARRAY[
	'1', '-1', '0', '-0', '-0.0', '0.000', '1.500', '100', '1e3', '1.0e3', '1E-7', '1.50e-3', '-12.3400',
	'123456789012345678901234567890.10', '10.000', '0.1e1', '1e20']) AS value;
SELECT length(pg_temp.render('{a}', '{"a":1e1000}'));
-- Booleans, arrays, objects, strings.
SELECT value, pg_temp.render('{a}', jsonb_build_object('a', value::jsonb)) FROM unnest(ARRAY[
	'true', 'false', '[]', '[10,5,1.000]', '["a","b c"]', '[[1.0,[2]],[],[null,true]]', '[{"a":1.0}]', '{}',
	'{"b":[1.0],"a":null}', '"<b>\"\\ \n\t€𝄞"', '""']) AS value;
-- The kind is there, as in what is recorded.
SELECT activity.define_event_type('test.rule', '{kind} {id}', subject_kind => 'thing');
SELECT activity.render_description('test.rule', '{"id":7}'), activity.render_description('test.rule'),
	activity.render_description('test.rule', '{"id":7,"kind":"other"}'),
	activity.render_description('test.rule', '{"id":7,"kind":null}');
ROLLBACK;

-- Only objects have fields.
SELECT activity.render_description('credit.charge', '[1]');
SELECT activity.render_description('credit.charge', '{}', '"amount"');
SELECT activity.render_description(NULL);

-- Every built-in template compiles and, given nothing, prints a sentence.
SELECT count(activity.render_description(key)) FROM activity.event_types WHERE built_in;
