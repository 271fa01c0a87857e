-- What the feed promises beside showing the right events (feed_property.sql has
-- that): who may read, how pages follow one another while events arrive, where a
-- search stops, what a page reads.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(49);
SET LOCAL activity.notify = off;
SELECT activity.set_tier('acme', 'premium');

-- Errors, by their codes.
SELECT throws_ok($$SELECT * FROM activity.feed('globex')$$, '42501', NULL, 'free may not');
SELECT throws_ok($$SELECT * FROM activity.feed(NULL)$$, '22004');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', page_size => 0)$$, '22023');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', page_size => -5)$$, '22023');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', page_size => 1001)$$, '22023');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', '{nothing.there}')$$, 'AC001');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', '{!nothing.*}')$$, 'AC001');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', '{*}')$$, 'AC001');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', '{!}')$$, 'AC001');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', '{NULL}')$$, '22004');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', before => gen_random_uuid())$$, 'AC013');
SELECT throws_ok($$SELECT activity.feed_page('acme', after => gen_random_uuid())$$, 'AC013');
SELECT lives_ok($$SELECT * FROM activity.feed('acme', page_size => NULL)$$, 'no page_size is 50');

-- Members may, others may not.
CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT count(*) FROM activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'acme', 'ann', 'admin', 'active'), (2, 'acme', 'bob', 'member', 'deactivated'),
	(3, 'globex', 'eve', 'admin', 'active');
SELECT lives_ok($$SELECT * FROM activity.feed('acme', viewer => 'ann')$$, 'a member reads');
SELECT throws_ok($$SELECT * FROM activity.feed('acme', viewer => 'bob')$$, 'AC008', NULL, 'who was deactivated does not');
SELECT throws_ok($$SELECT activity.feed_page('acme', viewer => 'eve')$$, 'AC008', NULL, 'nor a member of another organization');
SELECT throws_ok($$SELECT activity.feed_count('acme', viewer => 'eve')$$, 'AC008');
SELECT activity.untrack('memberships') \g /dev/null

-- Pages while events arrive: newer ones, and older ones that are imported.
SELECT activity.set_tier('busy', 'premium');
SELECT activity.record('busy', 'auth.signin', jsonb_build_object('id', n)) FROM generate_series(1, 9) n \g /dev/null
SELECT id AS third FROM activity.feed('busy', page_size => 3) ORDER BY id LIMIT 1 \gset
SELECT activity.record('busy', 'auth.signup', '{"id": "new"}') \g /dev/null
SELECT activity.record('busy', 'auth.signup', '{"id": "old"}', occurred_at => '2001-01-01') \g /dev/null
SELECT is(ARRAY(SELECT subject_id FROM activity.feed('busy', before => :'third', page_size => 3)),
	'{6,5,4}', 'the second page goes on where the first ended');
SELECT is(ARRAY(SELECT subject_id FROM activity.feed('busy', after => :'third', page_size => 3)),
	'{new,9,8}', 'what came in is newer');
SELECT is((SELECT subject_id FROM activity.feed('busy', before => :'third', page_size => 100) ORDER BY id LIMIT 1),
	'old', 'an import is at its time');

-- A cursor is a place in time: whose id it was doesn't matter.
SELECT id AS foreign FROM activity.events WHERE organization = 'acme' LIMIT 1 \gset
SELECT is(ARRAY(SELECT subject_id FROM activity.feed('busy', before => :'foreign')),
	'{old}', 'an id of another organization is only its time');

-- feed_page: to the end and back, and on from the newest.
SELECT activity.feed_page('busy', page_size => 4) AS p1 \gset
SELECT activity.feed_page('busy', page_size => 4, before => (:'p1'::jsonb->>'next_cursor')::uuid) AS p2 \gset
SELECT activity.feed_page('busy', page_size => 4, before => (:'p2'::jsonb->>'next_cursor')::uuid) AS p3 \gset
SELECT is(:'p3'::jsonb->'has_more', 'false', 'the last page says so');
SELECT is(:'p3'::jsonb->'next_cursor', 'null', 'and has no next');
SELECT is(jsonb_array_length(:'p3'::jsonb->'items'), 3, '4 + 4 + 3 events');
SELECT is(activity.feed_page('busy', page_size => 4, after => (:'p3'::jsonb->>'prev_cursor')::uuid)->'items',
	:'p2'::jsonb->'items', 'previous of the last is the second');
SELECT is(activity.feed_page('busy', page_size => 4, after => (:'p2'::jsonb->>'prev_cursor')::uuid)->'items',
	:'p1'::jsonb->'items', 'previous of the second is the first');
SELECT activity.feed_page('busy', after => (:'p1'::jsonb->>'prev_cursor')::uuid) AS none \gset
SELECT is(:'none'::jsonb, jsonb_build_object('items', '[]'::jsonb, 'has_more', false, 'next_cursor', NULL,
	'prev_cursor', :'p1'::jsonb->'prev_cursor'), 'nothing newer yet: ask again with the same cursor');
SELECT activity.record('busy', 'auth.signup', '{"id": "newest"}') \g /dev/null
SELECT is(activity.feed_page('busy', after => (:'none'::jsonb->>'prev_cursor')::uuid)->'items'->0->>'subject_id',
	'newest', 'and there it is');
SELECT is(jsonb_path_query_array(:'p1', '$.items[*].id'),
	(SELECT jsonb_agg(id ORDER BY id DESC) FROM activity.feed('busy', page_size => 4, before => activity.event_id(
		(:'p1'::jsonb->'items'->0->>'occurred_at')::timestamptz + interval '1 microsecond'))),
	'occurred_at is exact');

-- A hash is not enough.
INSERT INTO _activity.event_default (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
SELECT activity.event_id('1999-01-01Z'), '1999-01-01Z', '3', gen_random_uuid(), organization,
	type, hashtext('ann'), hashtext('x'), 'user', 'mallory', NULL, 'd', '{"id": "y"}', NULL, '{}'
FROM _activity.event e JOIN _activity.organization o ON o.key = e.organization WHERE o.id = 'busy' LIMIT 1;
SELECT is_empty($$SELECT * FROM activity.feed('busy', actor => 'ann')$$, 'another actor of the same hash');
SELECT is_empty($$SELECT * FROM activity.feed('busy', subject => 'x')$$, 'another subject of the same hash');
SELECT is(activity.feed_count('busy', subject => 'x') + activity.feed_count('busy', actor => 'ann'), 0::bigint);

-- A large organization: 24 months, 2,500 events in each, a few types and actors
-- behind them; and what there is none or little of.
SET LOCAL activity.default_tier = premium;
INSERT INTO _activity.organization VALUES (1000001, 'large');
DO $$
DECLARE
	start timestamptz;
	name  text;
BEGIN
	FOR month IN 0 .. 23 LOOP
		start := ('2010-01-01'::timestamp + month * interval '1 month') AT TIME ZONE 'UTC';
		name := 'event_' || to_char(start AT TIME ZONE 'UTC', 'YYYY_MM');
		EXECUTE format('CREATE TABLE _activity.%I PARTITION OF _activity.event FOR VALUES FROM (%L) TO (%L)',
			name, start, (start AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
		EXECUTE format($sql$
			INSERT INTO _activity.%I (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
			SELECT activity.event_id(t), t, '3', gen_random_uuid(), 1000001,
				CASE WHEN n %% 1000 = 5 THEN 2 WHEN n %% 3 = 0 THEN 65 WHEN n %% 3 = 1 THEN 21 ELSE 81 END,
				hashtext(actor), hashtext('s' || n %% 100), 'user', actor, NULL,
				CASE WHEN n = 1700 AND $1 < '2010-03-01' THEN 'Needle' ELSE 'Hay ' || n END,
				jsonb_build_object('kind', 'thing', 'id', 's' || n %% 100), NULL, '{}'
			FROM (SELECT n, $1 + n * interval '10 minutes' AS t,
						 CASE WHEN n %% 310 = 7 THEN 'rare' ELSE 'u' || n %% 7 END AS actor
				  FROM generate_series(1, 2500) n) x
			$sql$, name) USING start;
		EXECUTE format('CREATE UNIQUE INDEX ON _activity.%I (organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (organization, type, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (actor_hash, organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (subject_hash, organization, id)', name);
		EXECUTE format('CREATE INDEX ON _activity.%I (on_behalf_of_hash, organization, id) WHERE on_behalf_of_hash IS NOT NULL', name);
	END LOOP;
END
$$;

-- A rare filter beside a frequent one, where the index of the frequent one is not
-- asked about each event.
SELECT is(ARRAY(SELECT id FROM activity.feed('large', types, actor, page_size => 1000)),
	ARRAY(SELECT e.id FROM _activity.event e WHERE organization = 1000001 AND actor_id = actor
		  AND activity.category(type::activity.event_type) = category ORDER BY id DESC LIMIT 1000),
	format('%s and %s', types, actor))
FROM (VALUES ('{credit.*}'::text[], 'credit', 'rare'), ('{credit.charge}', 'credit', 'rare'), ('{generation.*}', 'generation', 'rare'),
	('{member.*}', 'member', 'rare'), ('{member.*}', 'member', 'u1'), ('{auth.*}', 'auth', 'u1'),
	('{!credit.*,!generation.*,!member.*}', 'auth', 'rare')) f (types, category, actor);

-- A search that finds nothing soon gives back a cursor, and ends where it must.
CREATE FUNCTION pg_temp.follow(arguments text, cursor_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	page  jsonb;
	at    text;
	pages int := 0;
	found int := 0;
BEGIN
	LOOP
		EXECUTE format('SELECT activity.feed_page(%s, %s => %L)', arguments, cursor_name,
			coalesce(at, CASE cursor_name WHEN 'after' THEN activity.event_id('2000-01-01Z')::text END)) INTO page;
		pages := pages + 1;
		found := found + jsonb_array_length(page->'items');
		at := page->>CASE cursor_name WHEN 'after' THEN 'prev_cursor' ELSE 'next_cursor' END;
		IF NOT (page->>'has_more')::boolean THEN
			RETURN format('%s pages, %s events', pages, found);
		END IF;
	END LOOP;
END
$$;
SELECT is(pg_temp.follow($$'large', search => 'NEEDLE'$$, 'before'), '3 pages, 2 events',
	'60,000 events are three pages of a search');
SELECT is(pg_temp.follow($$'large', search => 'nEEdle'$$, 'after'), '3 pages, 2 events', 'and the other way');
SELECT is(activity.feed_page('large', search => 'hay 1', page_size => 5)->'has_more', 'true');
SELECT is((SELECT count(*) FROM activity.feed('large', search => 'needle')), 2::bigint, 'feed reads on');

-- What a page reads, catalogs aside: bounds are loose, a plan gone wrong is ten
-- times as much.
CREATE FUNCTION pg_temp.buffers(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	FOR i IN 1 .. 2 LOOP
		EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
	END LOOP;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END
$$;
SELECT is(ARRAY(SELECT format('%s: %s buffers', what, buffers) FROM (
	SELECT what, most, pg_temp.buffers('SELECT * FROM activity.feed(''large''' || arguments || ')') AS buffers
	FROM (VALUES
		('first page', '', 30),
		('deep', $$, before => activity.event_id('2010-07-15')$$, 30),
		('newer', $$, after => activity.event_id('2010-07-15')$$, 30),
		('common type', $$, '{credit.charge}'$$, 40),
		('rare type', $$, '{member.joined}'$$, 120),
		('absent type', $$, '{order.created}'$$, 80),
		('absent category', $$, '{subscription.*}'$$, 80),
		('categories apart', $$, '{member.*,domain.*,consent.*}'$$, 250),
		('exclusion', $$, '{!credit.*}'$$, 60),
		('all excluded but a rare one', $$, ARRAY(SELECT '!' || key FROM activity.event_types
			WHERE key !~ '^member')$$, 120),
		('actor', $$, actor => 'u3'$$, 60),
		('absent actor', $$, actor => 'nobody'$$, 80),
		('subject', $$, subject => 's17'$$, 80),
		('kind and id', $$, subject => 'thing:s17'$$, 120),
		('absent subject', $$, subject => 'thing:none'$$, 110),
		('a day', $$, since => '2010-07-15', until => '2010-07-16'$$, 30),
		('two filters', $$, '{credit.charge}', 'u3'$$, 60),
		('two that never meet', $$, '{member.joined}', 'u1', since => '2011-01-01'$$, 400),
		('a rare one and a frequent one', $$, '{credit.charge}', 'rare',
			since => '2010-11-01'$$, 300),
		('three', $$, '{credit.charge}', 'u3', 's17'$$, 700)
	) c (what, arguments, most)) m WHERE buffers > most), '{}', 'pages read as little as they should');
SELECT cmp_ok(pg_temp.buffers($$SELECT activity.feed_count('large')$$), '<', 4000, 'counting reads no row twice');

-- The view reads the months that it must.
ANALYZE _activity.event, _activity.organization;
SELECT cmp_ok(pg_temp.buffers($$SELECT * FROM activity.events WHERE occurred_at >= '2010-05-01'
	AND occurred_at < '2010-06-01'$$), '<', 400, 'events of a month');

-- It reads; it may be asked anywhere.
SELECT is((SELECT count(*) FROM generate_series(1, 3) n, LATERAL activity.feed('busy', page_size => n)), 6::bigint);
SET LOCAL transaction_read_only = on;
SELECT is((SELECT count(*) FROM activity.feed('busy', page_size => 3)), 3::bigint, 'in a read-only transaction');
SELECT is((SELECT count(*) FROM activity.summary('busy', NULL)), 5::bigint);

SELECT * FROM finish();
ROLLBACK;
