-- Audits across organizations find what the feeds of all of them have, page by page.
\set ON_ERROR_STOP 1
SELECT plan(17);
SELECT setseed(0.5);
SET activity.default_tier = 'enterprise';
SELECT activity.maintain(since => now() - interval '4 months') \g /dev/null
SELECT count(activity.set_actor('u' || floor(random() * 5), on_behalf_of => CASE WHEN random() < 0.2 THEN '{"id": "boss"}'::jsonb END)),
	count(activity.record('org' || floor(random() * 7), (ARRAY['credit.charge', 'auth.signin', 'order.created'])[1 + floor(random() * 3)]::activity.event_type,
		jsonb_build_object('id', 's' || floor(random() * 9), 'kind', 'thing', 'amount', 1, 'order_id', 1),
		occurred_at => now() - random() * interval '5 months'))
FROM generate_series(1, 600) g;
SELECT activity.record('org1', 'auth.signin', occurred_at => '1999-01-01');
CREATE TEMPORARY TABLE every AS SELECT o AS organization, f.* FROM
	(SELECT DISTINCT id AS o FROM _activity.organization) k, activity.feed(o, page_size => 1000) f;
CREATE FUNCTION pg_temp.all_pages(VARIADIC names text[]) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
	cursor uuid;
	page uuid[];
	found uuid[] := '{}';
BEGIN
	LOOP
		EXECUTE format('SELECT array_agg(id) FROM activity.audit(page_size => 37, before => %L %s)', cursor,
			(SELECT coalesce(', ' || string_agg(n, ', '), '') FROM unnest(names) n WHERE n <> '')) INTO page;
		EXIT WHEN page IS NULL;
		found := found || page;
		cursor := page[cardinality(page)];
	END LOOP;
	RETURN found;
END $$;
SELECT is(pg_temp.all_pages(''), (SELECT array_agg(id ORDER BY id DESC) FROM every), 'everything, newest first');
SELECT is(pg_temp.all_pages('actor => ''u2'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE actor_id = 'u2'), 'an actor');
SELECT is(pg_temp.all_pages('subject => ''s3'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE subject_id = 's3'), 'a subject');
SELECT is(pg_temp.all_pages('subject => ''thing:s3'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE subject_id = 's3'), 'with its kind');
SELECT is(pg_temp.all_pages('on_behalf_of => ''boss'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE on_behalf_of->>'id' = 'boss'), 'on behalf of');
SELECT is(pg_temp.all_pages('event_types => ''{credit.*}'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE event_type = 'credit.charge'), 'a category');
SELECT is(pg_temp.all_pages('event_types => ''{!credit.*}''', 'actor => ''u1'''), (SELECT array_agg(id ORDER BY id DESC) FROM every
	WHERE event_type <> 'credit.charge' AND actor_id = 'u1'), 'all but a category, of an actor');
SELECT is(pg_temp.all_pages('since => now() - interval ''70 days''', 'until => now() - interval ''30 days'''),
	(SELECT array_agg(id ORDER BY id DESC) FROM every WHERE occurred_at >= now() - interval '70 days' AND occurred_at < now() - interval '30 days'), 'a time');
SELECT is(pg_temp.all_pages('search => ''CHARGED'''), (SELECT array_agg(id ORDER BY id DESC) FROM every WHERE description ~* 'charged'), 'a word');
SELECT id AS middle FROM every ORDER BY id DESC OFFSET 300 LIMIT 1 \gset
SELECT is((SELECT array_agg(id) FROM activity.audit(after => :'middle', page_size => 20)),
	(SELECT array_agg(id ORDER BY id DESC) FROM (SELECT id FROM every WHERE id > :'middle' ORDER BY id LIMIT 20) p), 'the page before');
SELECT is((SELECT array_agg(a.organization ORDER BY a.id) FROM activity.audit(page_size => 1000) a), (SELECT array_agg(organization ORDER BY id) FROM every), 'whose they are');
SELECT is((SELECT count(*) FROM activity.audit(since => '2050-01-01')), 0::bigint, 'nothing in the future');
SELECT throws_ok($$SELECT * FROM activity.audit('{no.such}')$$, 'AC001', NULL, 'an unknown type');
SELECT throws_ok($$SELECT * FROM activity.audit(page_size => 0)$$, '22023', NULL, 'an empty page');
SELECT throws_ok($$SELECT * FROM activity.audit(before => gen_random_uuid())$$, 'AC013', NULL, 'no cursor');
CREATE ROLE regress_audit;
SELECT activity.allow('regress_audit', 'read');
SET ROLE regress_audit;
SELECT throws_ok($$SELECT * FROM activity.audit()$$, '42501', NULL, 'readers of a feed audit nothing');
RESET ROLE;
SELECT activity.allow('regress_audit', 'administer');
SET ROLE regress_audit;
SELECT lives_ok($$SELECT * FROM activity.audit()$$, 'administrators do');
RESET ROLE;
SELECT * FROM finish();
DROP OWNED BY regress_audit;
DROP ROLE regress_audit;
