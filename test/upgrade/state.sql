-- What people see, and what the tables keep; the same before and after.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SET TimeZone = 'UTC';
SELECT 'event', e.* FROM _activity.event e ORDER BY organization, id;
SELECT 'feed', f.* FROM unnest('{north,south,west}'::text[]) o, activity.feed(o, page_size => 1000) f;
SELECT 'stream', "position", id, description FROM unnest('{north,south}'::text[]) o, activity.replay(o, max_events => 10000);
SELECT 'export', l FROM activity.event_types, activity.feed('north', page_size => 1000) f, activity.event_line('north', f, 'cloudevents') l WHERE key = 'auth.signin';
SELECT 'verify', v.* FROM unnest('{north,south,west}'::text[]) o, activity.verify(o) v;
SELECT 'checkpoint', c."position", c.hash FROM unnest('{north,south}'::text[]) o, activity.checkpoint(o) c;
-- What is built in becomes more.
SELECT 'type', t.* FROM activity.event_types t WHERE key <> 'compliance.imported' ORDER BY key;
SELECT 'tier', o, activity.organization_tier(o) FROM unnest('{north,south,west,new}'::text[]) o;
SELECT 'feature', f.* FROM activity.features f ORDER BY 2;
SELECT 'retention', organization, tier, keep, set_for FROM activity.retention ORDER BY 2, 3;
SELECT 'hold', h.* FROM activity.holds h;
SELECT 'redaction', r.* FROM activity.redactions r ORDER BY r::text;
SELECT 'measure', m.* FROM activity.measures m ORDER BY m::text;
SELECT 'tracked', t.* FROM activity.tracked t ORDER BY t::text;
SELECT 'gap', g.* FROM activity.gaps g ORDER BY g::text;
SELECT 'endpoint', e.* FROM activity.webhook_endpoints e ORDER BY e::text;
SELECT 'delivery', d.* FROM activity.webhook_deliveries d ORDER BY d::text;
SELECT 'attempt', a.* FROM activity.webhook_attempts a ORDER BY a::text;
SELECT 'connection', c.* FROM activity.connections c;
SELECT 'token', t.* FROM activity.tokens t;
SELECT 'consumer', name, organization, event_types, parked FROM activity.consumers ORDER BY 2;
SELECT 'usage', u.* FROM unnest('{north,south}'::text[]) o, activity.usage(o, '2000-01-01', '2100-01-01', 'minutes', 'resource') u;
SELECT 'revenue', u.* FROM unnest('{north,south}'::text[]) o, activity.revenue(o, '2000-01-01', '2100-01-01') u;
SELECT 'mrr', u.* FROM unnest('{north,south}'::text[]) o, activity.mrr(o) u;
SELECT 'rollups', u.* FROM unnest('{north,south}'::text[]) o, activity.rollup_verify(o, '2000-01-01', '2100-01-01') u;
SELECT 'problem', p.* FROM _activity.problem p;
