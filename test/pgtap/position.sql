-- An event's position is found by its id, wherever imports lie, and agrees with replay().
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(5);

SELECT activity.set_tier('org', 'enterprise') \g /dev/null
SELECT count(activity.record('org', 'auth.signin')) FROM generate_series(1, 1500) \g /dev/null
SELECT count(activity.record('org', 'auth.signin', occurred_at => now() - n * interval '1 hour')) FROM generate_series(1, 1500) n \g /dev/null
SELECT count(activity.record('org', 'auth.signin')) FROM generate_series(1, 1500) \g /dev/null
SELECT count(activity.record('other', 'auth.signin')) FROM generate_series(1, 10) \g /dev/null
SELECT is_empty($$SELECT * FROM _activity.event_position('org', (SELECT id FROM activity.events WHERE organization = 'org' LIMIT 1), now())$$,
	'none before it is published');
SELECT activity.publish() \g /dev/null
CREATE TEMP TABLE streamed AS SELECT r."position", r.cursor, r.id, r.recorded_at FROM activity.replay('org', NULL, max_events => 10000) r;
SELECT cmp_ok(count(*), '>=', 4500::bigint, 'there are as many as were recorded') FROM streamed;
SELECT is_empty($$SELECT s."position", p.* FROM streamed s
	LEFT JOIN LATERAL _activity.event_position('org', s.id, s.recorded_at) p ON true
	WHERE (s."position", s.cursor) IS DISTINCT FROM (p."position", p.cursor) LIMIT 5$$, 'each event is where replay() has it');
SELECT is((SELECT hash FROM _activity.event_position('org', s.id, s.recorded_at)), (SELECT hash FROM activity.checkpoint('org', s."position")),
	'with the hash of the checkpoint there') FROM streamed s WHERE s."position" = 1234;
SELECT is_empty($$SELECT * FROM _activity.event_position('other', (SELECT id FROM streamed LIMIT 1), now())$$, 'none in another organization');
SELECT finish();
