-- What turning the feed on takes: the extension, a right, and a line a table.
CREATE EXTENSION activity CASCADE;
\o /dev/null
SELECT activity.allow('backend', 'record'), activity.allow('backend', 'read');
\o

SELECT 'memberships' AS "table", string_agg(DISTINCT event_type::text, ', ') AS "will be recorded"
FROM activity.track('memberships', 'membership')
UNION ALL
SELECT 'invitations', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('invitations', 'invitation')
UNION ALL
SELECT 'subscriptions', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('subscriptions', 'subscription')
UNION ALL
SELECT 'credits', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('credits', 'credit')
UNION ALL
SELECT 'api_keys', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('api_keys', 'api_key')
UNION ALL
SELECT 'orders', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('orders', 'order')
UNION ALL
SELECT 'generations', string_agg(DISTINCT event_type::text, ', ')
FROM activity.track('generations', 'generation');
