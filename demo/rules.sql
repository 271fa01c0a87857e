\pset footer off
\echo '== What did the team do this week? activity.summary(''acme'', now() - interval ''7 days'', now())'
SELECT dimension, coalesce(name, key, 'the system') AS what, events,
	   to_char(latest, 'Dy HH24:MI') AS latest
FROM activity.summary('acme', now() - interval '7 days', now())
WHERE dimension <> 'event_type';

\echo '== Globex is on the free tier: it records, but does not read.'
SELECT * FROM activity.feed('globex');
\echo
\echo '== History stays as it was, also for a superuser.'
DELETE FROM _activity.event;
\echo
