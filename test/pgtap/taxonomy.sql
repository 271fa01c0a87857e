-- The taxonomy: what is built in is what the data says, filters find synonyms, and
-- each right opens what it should and no more.
\set ON_ERROR_STOP 1
\set types `cat data/taxonomy.tsv; tail -n +2 data/taxonomy-own.tsv`
BEGIN;
SELECT plan(25);

CREATE TEMP TABLE data AS
	SELECT number - 1 AS code, split_part(line, E'\t', 1) AS key, split_part(line, E'\t', 2) AS family,
		nullif(split_part(line, E'\t', 3), '') AS synonym_of, nullif(split_part(line, E'\t', 4), '') AS subject_kind,
		string_to_array(split_part(line, E'\t', 5), ',') AS required, split_part(line, E'\t', 6) AS template,
		split_part(line, E'\t', 7) AS meaning
	FROM regexp_split_to_table(:'types', E'\n') WITH ORDINALITY AS l (line, number)
	WHERE number > 1 AND line <> '';

SELECT is((SELECT count(*) FROM data WHERE code <= 89 AND split_part(key, '.', 1) NOT IN ('compliance', 'access')), 89::bigint, 'the data has 89 types');
SELECT is((SELECT count(*) FROM data WHERE code > 89), 11::bigint, 'and those that the extension alone records');
SELECT throws_ok($$SELECT activity.record('acme', 'compliance.redacted', '{"reason":"x","events":1}')$$, '42501', NULL, 'which nobody else does');
SELECT is((SELECT count(synonym_of) FROM data), 9::bigint, 'nine of them are synonyms');
SELECT set_eq(
	'SELECT key, family, synonym_of, subject_kind, required, template, meaning FROM activity.event_types WHERE built_in',
	'SELECT key, family, synonym_of, subject_kind, required, template, meaning FROM data',
	'the view shows the data');
SELECT is_empty($$ SELECT key FROM activity.event_types WHERE category || '.' || action <> key
	OR activity.category(key) <> category OR activity.action(key) <> action $$,
	'a key is category and action');
SELECT results_eq('SELECT key::activity.event_type::text FROM data ORDER BY key::activity.event_type',
	'SELECT key FROM data ORDER BY code', 'codes follow the lines of the data');
-- Codes are stored in events for ever: these must never change.
SELECT results_eq($$ SELECT key FROM activity.event_types ORDER BY key::activity.event_type LIMIT 3 $$,
	$$ VALUES ('member.invited'), ('member.joined'), ('member.role_changed') $$, 'the first codes');

-- Filters.
SELECT activity.set_tier('acme', 'enterprise');
SELECT activity.record('acme', t.key, (SELECT jsonb_object_agg(f, 'x') FROM unnest(t.required) f))
	FROM activity.event_types t WHERE t.required <> '{}' AND category NOT IN ('compliance', 'access');
SELECT activity.record('acme', t.key) FROM activity.event_types t WHERE t.required = '{}' AND category NOT IN ('compliance', 'access');
CREATE FUNCTION pg_temp.found(VARIADIC words text[]) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT event_type::text FROM activity.feed('acme', event_types => words, page_size => 100)
$$;
SELECT set_eq($$ SELECT pg_temp.found('member.joined') $$, '{member.joined,membership.joined}'::text[], 'a synonym');
SELECT set_eq($$ SELECT pg_temp.found('Membership.JOINED') $$, '{member.joined,membership.joined}'::text[], 'the other way');
SELECT set_eq($$ SELECT pg_temp.found('webhook.failed', 'apikey.created') $$,
	'{webhook.failed,webhook.delivery_failed,apikey.created,api_key.created}'::text[], 'two of them');
SELECT set_eq($$ SELECT pg_temp.found('invitation.*') $$,
	'{invitation.sent,invitation.revoked,invitation.expired,member.invited}'::text[], 'a category with its synonyms');
SELECT is((SELECT count(*) FROM activity.feed('acme', page_size => 100)), 89::bigint, 'everything');
SELECT throws_ok($$ SELECT pg_temp.found('credits.*', 'membr.*') $$, 'AC001', NULL, 'an unknown category');
SELECT throws_ok($$ SELECT pg_temp.found('credit') $$, 'AC001', NULL, 'a category is no key');

-- Required fields.
SELECT throws_ok($$ SELECT activity.record('acme', 'invitation.sent', '{"email":null,"to":"x"}', '{"role":"owner","by":1}') $$,
	'AC002', 'event type "invitation.sent" requires the field "email"', 'null is missing');
SELECT throws_ok($$ SELECT activity.record('acme', 'invitation.sent') $$,
	'AC002', 'event type "invitation.sent" requires the fields "email", "role"', 'both are missing');
SELECT lives_ok($$ SELECT activity.record('acme', 'invitation.sent', '{"email":""}', '{"role":false}') $$,
	'empty and false are there');

-- Rights.
CREATE ROLE regress_taxonomy_reader;
CREATE ROLE regress_taxonomy_writer;
CREATE ROLE regress_taxonomy_admin;
CREATE ROLE regress_taxonomy_nobody;
SELECT activity.allow('regress_taxonomy_reader', 'read');
SELECT activity.allow('regress_taxonomy_writer', 'record');
SELECT activity.allow('regress_taxonomy_admin', 'administer');
CREATE FUNCTION pg_temp.as_role(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE query INTO result;
	RESET ROLE;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
\set define 'SELECT activity.define_event_type(\'report.exported\', \'Exported\')'
SELECT is(pg_temp.as_role('regress_taxonomy_reader', :'define'), '42501', 'a reader defines nothing');
SELECT is(pg_temp.as_role('regress_taxonomy_writer', :'define'), '42501', 'a writer defines nothing');
SELECT is(pg_temp.as_role('regress_taxonomy_admin', :'define'), 'report.exported', 'an administrator does');
SELECT is(pg_temp.as_role('regress_taxonomy_reader', 'SELECT count(*) FROM activity.event_types'), '101', 'a reader sees the types');
SELECT is(pg_temp.as_role('regress_taxonomy_writer', $$ SELECT max(key::activity.event_type::text)
	FROM activity.event_types WHERE key = 'credit.add'::activity.event_type $$), 'credit.add', 'a writer casts and compares');
SELECT is(pg_temp.as_role('regress_taxonomy_reader', $$ SELECT activity.render_description('report.exported') $$), 'Exported',
	'a reader previews');
SELECT is(pg_temp.as_role('regress_taxonomy_nobody', 'SELECT count(*) FROM activity.event_types'), '42501', 'others see nothing');

SELECT * FROM finish();
ROLLBACK;
