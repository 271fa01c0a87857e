-- What turning the feed on takes: the extension, a right, and a line a table.
CREATE EXTENSION activity CASCADE;
\o /dev/null
SELECT activity.allow('backend', 'record'), activity.allow('backend', 'read');
\o

\pset footer off
SELECT 'memberships' AS "table", string_agg(DISTINCT activity.action(event_type), ', ') AS "will be recorded"
FROM activity.track('memberships', 'membership')
UNION ALL
SELECT 'invitations', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('invitations', 'invitation')
UNION ALL
SELECT 'subscriptions', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('subscriptions', 'subscription')
UNION ALL
SELECT 'credits', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('credits', 'credit')
UNION ALL
SELECT 'api_keys', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('api_keys', 'api_key')
UNION ALL
SELECT 'orders', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('orders', 'order')
UNION ALL
SELECT 'generations', string_agg(DISTINCT activity.action(event_type), ', ')
FROM activity.track('generations', 'generation');
