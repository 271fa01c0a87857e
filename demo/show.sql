\pset footer off
\pset null ''
\echo
\echo '== The feed: activity.feed(''acme'', page_size => 12)'
SELECT to_char(occurred_at, 'Dy HH24:MI:SS') AS "when",
	   coalesce(actor_name, 'the system') AS who, event_type, description
FROM activity.feed('acme', page_size => 12);

\echo '== Filtered, a page at a time: activity.feed_page(''acme'','
\echo '==     event_types => ''{credit.*,!credit.reserve}'', actor => ''ada'', page_size => 3)'
SELECT activity.feed_page('acme', event_types => '{credit.*,!credit.reserve}',
						  actor => 'ada', page_size => 3) AS first \gset
SELECT to_char((item->>'occurred_at')::timestamptz, 'Dy HH24:MI:SS') AS "first page",
	   item->>'description' AS description
FROM jsonb_array_elements(:'first'::jsonb->'items') AS item;
SELECT :'first'::jsonb->>'next_cursor' AS cursor \gset
\echo '==     … before => ''':cursor''', the cursor that came with it:'
SELECT activity.feed_page('acme', event_types => '{credit.*,!credit.reserve}',
						  actor => 'ada', page_size => 3, before => :'cursor') AS next \gset
SELECT to_char((item->>'occurred_at')::timestamptz, 'Dy HH24:MI:SS') AS "second page",
	   item->>'description' AS description
FROM jsonb_array_elements(:'next'::jsonb->'items') AS item;

\echo '== An audit question: who changed whose role or access, from where?'
SELECT to_char(occurred_at, 'HH24:MI:SS') AS "when", actor_name AS who,
	   subject->>'name' AS whom, description,
	   metadata->>'previous_role' AS before, context->>'ip' AS ip,
	   context->>'database_role' AS role
FROM activity.events
WHERE organization = 'acme' AND activity.category(event_type) = 'membership'
  AND activity.action(event_type) <> 'joined'
ORDER BY occurred_at;
