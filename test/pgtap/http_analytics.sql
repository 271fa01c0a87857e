-- The HTTP API: the numbers are those of the functions, as strings, and no currency is
-- added to another.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT no_plan();

SELECT activity.set_tier('acme', 'premium') \g /dev/null
SELECT token FROM activity.create_token('acme', NULL, '{analytics}') \gset
CREATE FUNCTION said(token text, report text, query text DEFAULT '') RETURNS jsonb LANGUAGE sql AS $$
	SELECT h.body::jsonb || CASE WHEN h.status = 200 THEN '{}' ELSE jsonb_build_object('status', h.status) END FROM activity.http('GET', '/api/v1/organizations/acme/analytics/' || $2, $3,
		jsonb_build_object('authorization', 'Bearer ' || $1), '') h
$$;
SELECT is(said(:'token', 'revenue'), '{"items": [], "totalRevenue": "0", "currency": null}');
SELECT is(said(:'token', 'mrr'), '{"mrr": "0", "activeSubscriptions": 0, "currency": null, "items": []}');
SELECT is(said(:'token', 'conversion'), '{"sessions": 0, "purchases": 0, "conversionRate": null}');
SELECT is(said(:'token', 'customers'), '{"items": [], "totalCustomers": 0}');

CREATE FUNCTION happen(who text, type text, at timestamptz, metadata jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT activity.set_actor(who, 'user', initcap(who));
	SELECT activity.record('acme', type::activity.event_type, jsonb_build_object('kind', 'thing', 'id', 'x'), metadata, occurred_at => at);
$$;
SELECT happen('ann', 'plan.purchased', '2026-01-01 00:00Z', '{"amount": "10.50", "currency": "usd", "agent_id": "a1", "agent_name": "One", "plan_id": "p1", "name": "P"}'),
	happen('bob', 'plan.purchased', '2026-01-31 23:59:59.999Z', '{"amount": 1e20, "currency": "usd", "agent_id": "a2", "plan_id": "p1", "name": "P"}'),
	happen('ann', 'auth.signin', '2026-01-02 00:00Z', '{}'), happen('bob', 'auth.signin', '2026-01-02 00:00Z', '{}'),
	happen('ann', 'credit.charge', '2026-01-03 00:00Z', '{"amount": 7, "plan_id": "p1", "plan_name": "Pro"}'),
	happen('bob', 'credit.charge', '2026-01-03 12:00Z', '{"amount": 3, "plan_id": "p1", "plan_name": "Pro"}'),
	happen('ann', 'subscription.active', '2026-01-01 00:00Z', '{"amount": 20, "interval": "month", "currency": "usd"}') \g /dev/null
SELECT activity.publish() \g /dev/null

SELECT is(said(:'token', 'revenue'), '{"items": [{"agentId": "a2", "agentName": "a2", "totalRevenue": "100000000000000000000", "transactionCount": 1, "currency": "usd"},
	{"agentId": "a1", "agentName": "One", "totalRevenue": "10.5", "transactionCount": 1, "currency": "usd"}], "totalRevenue": "100000000000000000010.5", "currency": "usd"}', 'all of time, exactly');
SELECT is(said(:'token', 'revenue', 'from=2026-01-01&to=2026-01-31T23:59:59.999Z')->>'totalRevenue', '100000000000000000010.5', 'to is inclusive');
SELECT is(said(:'token', 'revenue', 'to=2026-01-31T23:59:59.998Z')->>'totalRevenue', '10.5', 'to the microsecond');
SELECT happen('ann', 'order.created', '2026-02-01 00:00Z', '{"amount": 5, "currency": "eur", "agent_id": "a1"}') \g /dev/null
SELECT is(said(:'token', 'revenue')->'totalRevenue', 'null', 'currencies are not added up');
SELECT is(said(:'token', 'revenue', 'currency=EUR') - 'items', '{"totalRevenue": "5", "currency": "eur"}', 'one is chosen');
SELECT is(said(:'token', 'mrr'), '{"mrr": "20", "activeSubscriptions": 1, "currency": "usd", "items": [{"currency": "usd", "mrr": "20", "subscriptions": 1}]}');
SELECT is(said(:'token', 'mrr', 'asOf=2025-12-31')->>'mrr', '0', 'as of then');
SELECT is((said(:'token', 'usage')#>'{items,0}') - '{firstAt,lastAt}'::text[], '{"planId": "p1", "planName": "Pro", "creditsBurned": "10", "uniqueUsers": 2, "unit": "credits", "events": 2}');
SELECT is(said(:'token', 'customers', 'limit=1')#>>'{items,0,customerId}' || (said(:'token', 'customers', 'limit=1')->>'totalCustomers') || jsonb_array_length(said(:'token', 'customers', 'limit=1')->'items'), 'bob21', 'the best, of how many');
SELECT is(said(:'token', 'conversion', 'to=2026-12-31'), '{"sessions": 2, "purchases": 2, "conversionRate": 1}');
SELECT is((said(:'token', 'credits-by-member', 'planId=p1')#>'{items,0}') - '{firstBurnAt,unit,name}'::text[], '{"memberId": "ann", "memberAddress": "ann", "totalCreditsBurned": "7", "burnCount": 1, "lastBurnAt": "2026-01-03T00:00:00.000000Z"}');
SELECT is(said(:'token', 'credits-by-member', 'planId=none')->'items', '[]');
SELECT is(said(:'token', 'timeline', 'from=2026-01-02&to=2026-01-04&eventType=credit.*'),
	'{"step": "day", "timeZone": "UTC", "items": [{"bucket": "2026-01-02T00:00:00.000000Z", "key": null, "events": 0}, {"bucket": "2026-01-03T00:00:00.000000Z", "key": null, "events": 2}]}', 'over time');
SELECT is((SELECT jsonb_agg(i->>'key') FROM jsonb_array_elements(said(:'token', 'timeline', 'from=2026-01-01&to=2026-01-05&by=eventType&step=year&actorUserId=bob')->'items') i), '["auth.signin", "credit.charge"]', 'by type');
SELECT is(said(:'token', 'active-members', 'from=2026-01-01&to=2026-01-03'), '{"step": "day", "timeZone": "UTC", "items": [{"bucket": "2026-01-01T00:00:00.000000Z", "members": 1}, {"bucket": "2026-01-02T00:00:00.000000Z", "members": 2}]}');
SELECT is((SELECT jsonb_agg(i - 'bucket') FROM jsonb_array_elements(said(:'token', 'amounts', 'from=2026-01-02&to=2026-01-04')->'items') i),
	'[{"unit": null, "amount": "0", "events": 0}, {"unit": "credits", "amount": "10", "events": 2}]', 'a measure over time');
SELECT is((SELECT sum((i->>'amount')::numeric) FROM jsonb_array_elements(said(:'token', 'amounts', 'from=2026-01-01&to=2026-02-01&measure=revenue&step=week&timeZone=Asia/Kathmandu')->'items') i WHERE i->>'unit' = 'usd'),
	100000000000000000010.5, 'exactly, whatever the step and the zone');
SELECT is((SELECT jsonb_agg(i - 'bucket') FROM jsonb_array_elements(said(:'token', 'mrr-timeline', 'from=2025-12-30&to=2026-02-01&step=month')->'items') i),
	'[{"currency": null, "mrr": "0", "subscriptions": 0}, {"currency": "usd", "mrr": "20", "subscriptions": 1}]', 'recurring revenue at the end of each step');
SELECT is(said(:'token', 'amounts', 'from=2025-01-01&to=2026-01-01&step=hour')->>'parameter', 'step', 'not in too many steps');
SELECT results_eq(format($$SELECT q, b->>'status', b->>'parameter' FROM (VALUES ('revenue', 'from=x'), ('mrr', 'asOf=now'), ('usage', 'limit=201'), ('usage', 'measure=none'), ('credits-by-member', 'limit=1001'), ('credits-by-member', 'limit%%2A=1'),
		('timeline', 'timeZone=Nowhere'), ('timeline', 'timeZone=UTC%%2B3'), ('timeline', 'step=fortnight'), ('timeline', 'by=mood'), ('conversion', 'fromType=no.such'), ('revenue', 'limit=1')) v (r, q), LATERAL said(%L, r, q) b$$, :'token'),
	$$VALUES ('from=x', '400', 'from'), ('asOf=now', '400', 'asOf'), ('limit=201', '400', 'limit'), ('measure=none', '400', 'measure'), ('limit=1001', '400', 'limit'), ('limit%2A=1', '400', 'limit*'),
		('timeZone=Nowhere', '400', 'timeZone'), ('timeZone=UTC%2B3', '400', 'timeZone'), ('step=fortnight', '400', 'step'), ('by=mood', '400', 'by'), ('fromType=no.such', '400', 'fromType'), ('limit=1', '400', 'limit')$$, 'each names its parameter');
SELECT is(said(:'token', 'credits-by-member', 'limit=1000') ? 'items', true);
SELECT is(said(:'token', 'timeline', 'from=1970-01-01&to=2026-01-01&step=quarterHour')->>'status', '413', 'too many steps');
SELECT activity.set_tier('acme', 'free') \g /dev/null
SELECT is(said(:'token', 'mrr')->>'code', 'tier');
SELECT * FROM finish();
