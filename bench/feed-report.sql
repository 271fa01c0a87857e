-- Prints what the pages of bench/feed cost, as markdown.
SET client_min_messages = warning;
SET plan_cache_mode = force_custom_plan;

CREATE FUNCTION bench.buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	FOR i IN 1 .. 2 LOOP
		EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	END LOOP;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint
		+ (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END
$$;

CREATE FUNCTION bench.measure(title text, query text, runs int DEFAULT 300)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	times float8[] := '{}';
	start timestamptz;
	found bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s) q', query) INTO found;
	FOR i IN 1 .. runs LOOP
		start := clock_timestamp();
		EXECUTE query;
		times := times || extract(epoch FROM clock_timestamp() - start)::float8 * 1000;
	END LOOP;
	RETURN format('| %s | %s | %s | %s | %s |', title, found, bench.buffers(query),
		(SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t)::numeric, 2) FROM unnest(times) t),
		(SELECT round(percentile_cont(0.99) WITHIN GROUP (ORDER BY t)::numeric, 2) FROM unnest(times) t));
END
$$;

-- Half way down the history of the largest organization.
SELECT activity.feed_count('org_1') / 2 AS depth \gset
SELECT id AS deep, occurred_at AS deep_at FROM _activity.event
WHERE organization = 1 ORDER BY organization DESC, id DESC OFFSET :depth LIMIT 1 \gset

SELECT '| events | largest organization | heap | indexes | depth |' ||
	E'\n|---|---|---|---|---|' || format(E'\n| %s | %s | %s | %s | %s |',
	(SELECT sum(reltuples)::bigint FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
	 WHERE inhparent = '_activity.event'::regclass),
	activity.feed_count('org_1'),
	(SELECT pg_size_pretty(sum(pg_table_size(inhrelid))) FROM pg_inherits
	 WHERE inhparent = '_activity.event'::regclass),
	(SELECT pg_size_pretty(sum(pg_indexes_size(inhrelid))) FROM pg_inherits
	 WHERE inhparent = '_activity.event'::regclass), :depth);

\echo
\echo '| page of 50 | events | buffers | p50 ms | p99 ms |'
\echo '|---|---|---|---|---|'
SELECT bench.measure('first page', $$SELECT * FROM activity.feed('org_1')$$);
SELECT bench.measure('at half depth', format($$SELECT * FROM activity.feed('org_1', before => %L)$$, :'deep'));
SELECT bench.measure('newer than half depth', format($$SELECT * FROM activity.feed('org_1', after => %L)$$, :'deep'));
SELECT bench.measure('first page, organization with few events', $$SELECT * FROM activity.feed('org_900')$$);
SELECT bench.measure('first page as JSON', $$SELECT activity.feed_page('org_1')$$);
\echo '| **one filter** | | | | |'
SELECT bench.measure('type, 30 %', $$SELECT * FROM activity.feed('org_1', '{credit.charge}')$$);
SELECT bench.measure('type, 0.1 %', $$SELECT * FROM activity.feed('org_1', '{order.status_changed}')$$);
SELECT bench.measure('type, 0.1 %, at half depth', format($$SELECT * FROM activity.feed('org_1', '{order.status_changed}', before => %L)$$, :'deep'));
SELECT bench.measure('type, about 60 events', $$SELECT * FROM activity.feed('org_1', '{billing.created}')$$);
SELECT bench.measure('type, about 14 events', $$SELECT * FROM activity.feed('org_1', '{bug_report.submitted}')$$);
SELECT bench.measure('type, absent', $$SELECT * FROM activity.feed('org_1', '{notification.received}')$$);
SELECT bench.measure('type and its synonym, 0.2 % each', $$SELECT * FROM activity.feed('org_1', '{member.removed}')$$);
SELECT bench.measure('credit.*, 45 %', $$SELECT * FROM activity.feed('org_1', '{credit.*}')$$);
SELECT bench.measure('subscription.*, 14 types', $$SELECT * FROM activity.feed('org_1', '{subscription.*}')$$);
SELECT bench.measure('member.* with synonyms, 12 types', $$SELECT * FROM activity.feed('org_1', '{member.*}')$$);
SELECT bench.measure('consent.*, 4 types, about 60 events', $$SELECT * FROM activity.feed('org_1', '{consent.*}')$$);
SELECT bench.measure('domain.*, 6 types, absent', $$SELECT * FROM activity.feed('org_1', '{domain.*}')$$);
SELECT bench.measure('domain.*, absent, organization with few events', $$SELECT * FROM activity.feed('org_900', '{domain.*}')$$);
SELECT bench.measure('three rare types, apart', $$SELECT * FROM activity.feed('org_1', '{bug_report.submitted,domain.domain_failed,notification.received}')$$);
SELECT bench.measure('!credit.*', $$SELECT * FROM activity.feed('org_1', '{!credit.*}')$$);
SELECT bench.measure('all excluded but 60 events', $$SELECT * FROM activity.feed('org_1',
	ARRAY(SELECT '!' || key FROM activity.event_types WHERE key <> 'billing.created'))$$);
SELECT bench.measure('all excluded but order.*', $$SELECT * FROM activity.feed('org_1',
	ARRAY(SELECT '!' || key FROM activity.event_types WHERE category <> 'order'))$$);
SELECT bench.measure('the busiest actor, 7 %', $$SELECT * FROM activity.feed('org_1', actor => 'u0')$$);
SELECT bench.measure('an actor with about 112 events', $$SELECT * FROM activity.feed('org_1', actor => 'occasional')$$);
SELECT bench.measure('actor, absent', $$SELECT * FROM activity.feed('org_1', actor => 'nobody')$$);
SELECT bench.measure('subject, 1 %', $$SELECT * FROM activity.feed('org_1', subject => 'shared')$$);
SELECT bench.measure('subject, about 10 events', $$SELECT * FROM activity.feed('org_1', subject => 's4711')$$);
SELECT bench.measure('subject as kind:id', $$SELECT * FROM activity.feed('org_1', subject => 'thing:s4711')$$);
SELECT bench.measure('subject, absent', $$SELECT * FROM activity.feed('org_1', subject => 'nothing')$$);
SELECT bench.measure('a week', $$SELECT * FROM activity.feed('org_1', since => '2025-03-01', until => '2025-03-08')$$);
SELECT bench.measure('search, every 100th event', $$SELECT * FROM activity.feed('org_1', search => 'SHARED')$$, 50);
SELECT bench.measure('search in vain, as JSON: 20,000 events', $$SELECT activity.feed_page('org_1', search => 'unheard')$$, 10);
\echo '| **two filters** | | | | |'
SELECT bench.measure('busiest actor, type 30 %', $$SELECT * FROM activity.feed('org_1', '{credit.charge}', 'u0')$$);
SELECT bench.measure('busiest actor, type 3 %, no event has both', $$SELECT * FROM activity.feed('org_1', '{order.created}', 'u0')$$, 50);
SELECT bench.measure('busiest actor, absent category', $$SELECT * FROM activity.feed('org_1', '{domain.*}', 'u0')$$);
SELECT bench.measure('busiest actor, !credit.*', $$SELECT * FROM activity.feed('org_1', '{!credit.*}', 'u0')$$);
SELECT bench.measure('rare actor, type 30 %', $$SELECT * FROM activity.feed('org_1', '{credit.charge}', 'occasional')$$);
SELECT bench.measure('rare subject, type 30 %', $$SELECT * FROM activity.feed('org_1', '{credit.charge}', subject => 's4711')$$);
SELECT bench.measure('busiest actor, subject 1 %', $$SELECT * FROM activity.feed('org_1', actor => 'u0', subject => 'shared')$$);
\echo '| **three filters** | | | | |'
SELECT bench.measure('busiest actor, subject 1 %, type 30 %', $$SELECT * FROM activity.feed('org_1', '{credit.charge}', 'u0', 'shared')$$, 100);
SELECT bench.measure('busiest actor, subject 1 %, type 3 %, none', $$SELECT * FROM activity.feed('org_1', '{order.created}', 'u0', 'shared')$$, 50);
\echo '| **counting** | | | | |'
SELECT bench.measure('all of the largest', $$SELECT activity.feed_count('org_1')$$, 5);
SELECT bench.measure('type, 30 %', $$SELECT activity.feed_count('org_1', '{credit.charge}')$$, 5);
SELECT bench.measure('the busiest actor', $$SELECT activity.feed_count('org_1', actor => 'u0')$$, 5);
SELECT bench.measure('summary of a week', $$SELECT * FROM activity.summary('org_1', '2025-12-25')$$, 5);
\echo '| **the view events** | | | | |'
SELECT bench.measure('a day of an organization, 10 events', $$SELECT * FROM activity.events WHERE organization = 'org_500'
	AND occurred_at >= '2025-03-01' AND occurred_at < '2025-03-02'$$, 20);
SELECT bench.measure('the newest 50 of an organization', $$SELECT * FROM activity.events WHERE organization = 'org_500'
	ORDER BY id DESC LIMIT 50$$, 20);
SELECT bench.measure('an event by organization and id', format($$SELECT * FROM activity.events WHERE organization = 'org_1'
	AND id = %L$$, :'deep'), 20);
\echo '| **in plain SQL, the same indexes** | | | | |'
SELECT bench.measure('first page', $$SELECT * FROM _activity.event WHERE organization = 1 ORDER BY id DESC LIMIT 50$$, 50);
SELECT bench.measure('OFFSET to half depth', format($$SELECT * FROM _activity.event WHERE organization = 1
	ORDER BY id DESC OFFSET %s LIMIT 50$$, :depth), 3);
SELECT bench.measure('c < x OR (c = x AND id < y), at half depth', format($$SELECT * FROM _activity.event
	WHERE organization = 1 AND (occurred_at < %1$L OR (occurred_at = %1$L AND id < %2$L))
	ORDER BY id DESC LIMIT 50$$, :'deep_at', :'deep'), 3);
SELECT bench.measure('type, 0.1 %', $$SELECT * FROM _activity.event WHERE organization = 1 AND type = 73 ORDER BY id DESC LIMIT 50$$, 10);
SELECT bench.measure('type, absent', $$SELECT * FROM _activity.event WHERE organization = 1 AND type = 82 ORDER BY id DESC LIMIT 50$$, 10);
SELECT bench.measure('domain.*, absent', $$SELECT * FROM _activity.event WHERE organization = 1
	AND type = ANY ('{25,26,27,28,29,30}') ORDER BY id DESC LIMIT 50$$, 5);
SELECT bench.measure('busiest actor, type 3 %, none', $$SELECT * FROM _activity.event WHERE organization = 1 AND type = 72
	AND actor_hash = hashtext('u0') AND actor_id = 'u0' ORDER BY id DESC LIMIT 50$$, 5);
