\pset footer off
\set VERBOSITY default
\echo '== What did the team do this week? activity.summary(''acme'', now() - interval ''7 days'', now())'
SELECT * FROM activity.summary('acme', now() - interval '7 days', now());

\echo '== Globex is on the free tier: it records, but does not read.'
SELECT * FROM activity.feed('globex');
\echo
\echo '== History stays as it was, also for a superuser.'
DELETE FROM _activity.event;
\echo
