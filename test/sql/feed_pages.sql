-- The feed as a person reads it: pages, filters, JSON, counts, and what it says
-- to who asks for the impossible.
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET activity.notify = off;
SET activity.context = '{"request_id": "r1"}';
SELECT activity.set_tier('acme', 'premium');

BEGIN;
SELECT activity.set_actor('ann', name => 'Åsa Öberg');
SELECT count(activity.record('acme', 'credit.charge', '{"kind": "credit", "id": 7}',
	jsonb_build_object('amount', n), occurred_at => '2026-03-01 09:00Z'::timestamptz + n * interval '1 minute'))
FROM generate_series(1, 5) n;
SELECT count(activity.record('acme', 'member.joined', '{"id": "u9", "name": "Bo"}', '{"role": "admin"}',
	occurred_at => '2026-03-01 09:02:30.000001Z'));
SELECT activity.set_actor(NULL);
SELECT count(activity.record('acme', 'order.created', '{"kind": "order", "id": "17"}',
	description => 'Order 17 of ΟΔΟΣ 5', occurred_at => '2026-02-14 12:00Z'));
SELECT count(activity.record('acme', 'account.updated', occurred_at => '2026-03-01 09:10Z'));
SELECT count(activity.record('globex', 'account.updated', occurred_at => '2026-03-01 09:10Z'));
COMMIT;

-- Newest first; the system has no actor.
SELECT occurred_at, event_type, actor_kind, actor_id, actor_name, subject_kind, subject_id,
	   metadata, description, context - 'database_role' AS context
FROM activity.feed('acme');

-- One filter each.
\set page 'SELECT occurred_at::time, event_type, description FROM activity.feed'
:page('acme', ARRAY['credit.*'], page_size => 2);
:page('acme', ARRAY['membership.joined']); -- a synonym
:page('acme', ARRAY['!credit.*', '!order.created']);
:page('acme', ARRAY['credit.*', 'order.*', '!credit.charge']);
:page('acme', '{}', page_size => 1);
:page('acme', actor => 'ann', page_size => 1);
:page('acme', subject => '17');
:page('acme', subject => 'order:17');
:page('acme', subject => 'member:17');
:page('acme', subject => '7', page_size => 1);
:page('acme', search => 'åSA', page_size => 1);
:page('acme', search => 'οδοσ');
:page('acme', search => '%');
:page('acme', since => '2026-03-01 09:04Z', until => '2026-03-01 09:05Z');
:page('acme', since => '2026-03-01 09:05Z', until => '2026-03-01 09:04Z');
:page('acme', '{credit.*}', 'ann', '7', '2026-03-01 09:02Z', '2026-03-01 09:04Z', 'charged');
:page('acme', '{order.*}', 'ann');

-- Older and newer than an event, and between two.
SELECT id AS middle FROM activity.feed('acme', '{member.joined}') \gset
SELECT id AS oldest FROM activity.feed('acme', '{order.created}') \gset
:page('acme', before => :'middle');
:page('acme', after => :'middle', page_size => 2);
:page('acme', before => :'middle', after => :'oldest');
:page('acme', after => activity.event_id('2026-03-01 09:10Z'::timestamptz + interval '1 second'));

-- As JSON.
SELECT jsonb_pretty(jsonb_set(activity.feed_page('acme', '{member.joined}') #- '{items,0,id}' #- '{items,0,recorded_at}',
	'{items,0,context}', '"…"') - '{next_cursor,prev_cursor}'::text[]);
SELECT jsonb_array_length(p->'items') AS items, p->'has_more' AS has_more,
	   p->>'next_cursor' = p->'items'->1->>'id' AS next_is_last,
	   p->>'prev_cursor' = p->'items'->0->>'id' AS previous_is_first
FROM activity.feed_page('acme', page_size => 2) p;
SELECT activity.feed_page('acme', '{domain.*}');

-- How many, and what the team did.
SELECT activity.feed_count('acme'), activity.feed_count('acme', '{credit.*,member.joined}'),
	   activity.feed_count('acme', '{!credit.*}'), activity.feed_count('acme', actor => 'ann'),
	   activity.feed_count('acme', search => 'charged', until => '2026-03-01 09:03Z');
SELECT * FROM activity.summary('acme', '2026-03-01', '2026-04-01');
SELECT count(*) FROM activity.summary('acme', NULL, '2026-03-01');
SELECT organization, event_type, subject_kind, subject_id FROM activity.events
WHERE occurred_at = '2026-03-01 09:10Z' ORDER BY organization;

-- Who may not, and what can't be.
SELECT * FROM activity.feed('globex');
SELECT * FROM activity.feed('nobody');
SELECT activity.feed_page('globex');
SELECT activity.feed_count('globex');
SELECT * FROM activity.summary('globex');
SELECT * FROM activity.feed('acme', viewer => 'u9');
SELECT * FROM activity.feed(NULL);
SELECT * FROM activity.feed('acme', page_size => 0);
SELECT activity.feed_page('acme', page_size => 1001);
SELECT * FROM activity.feed('acme', ARRAY['credit.charged']);
SELECT * FROM activity.feed('acme', ARRAY['!credits.*', '!kredit.*']);
SELECT * FROM activity.feed('acme', ARRAY['credit.*', NULL]);
SELECT * FROM activity.feed('acme', before => '9b2e1c0a-6d2f-4c55-9d6a-0d7c3a1f5e21');
SELECT activity.feed_page('acme', after => '00000000-0000-0000-0000-000000000000');

DROP EXTENSION activity CASCADE;
CREATE EXTENSION activity;
