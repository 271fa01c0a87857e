-- What bench/feed reads: events as a product makes them, a few types and people
-- behind most of them, and beside these what a reader may look for in vain.
SET client_min_messages = warning;
CREATE EXTENSION activity CASCADE;
CREATE SCHEMA bench;
ALTER SYSTEM SET activity.default_tier = 'enterprise';
SELECT pg_reload_conf() \g /dev/null

INSERT INTO _activity.organization
SELECT n, 'org_' || n FROM generate_series(1, 1000) n;
SELECT setval('_activity.organization_key', 1001) \g /dev/null

-- Of u in [0, 1): the types of most events first, then the rest; the domain.*
-- and notification.* types are left out, and the rare ones have dice of their own.
CREATE TABLE bench.share (code int, upto float8);
WITH common (key, share) AS (VALUES
	('credit.charge', 0.30), ('credit.reserve', 0.15), ('generation.succeeded', 0.12),
	('generation.pending', 0.10), ('auth.signin', 0.08), ('agent.created', 0.04),
	('order.created', 0.03), ('generation.failed', 0.02), ('account.updated', 0.02),
	('order.status_changed', 0.001)),
type AS (
	SELECT code, code::activity.event_type::text AS key FROM generate_series(1, 89) code
	WHERE activity.category(code::activity.event_type)
		NOT IN ('domain', 'notification', 'consent', 'bug_report', 'billing')),
share AS (
	SELECT code, COALESCE(share, 0.139 / count(*) FILTER (WHERE share IS NULL) OVER ()) AS share
	FROM type LEFT JOIN common USING (key))
INSERT INTO bench.share
SELECT code, sum(share) OVER (ORDER BY share DESC, code) FROM share;

-- The type of u, by its hundred-thousandths.
CREATE FUNCTION bench.types() RETURNS int[] LANGUAGE sql STABLE AS $$
	SELECT array_agg(COALESCE(
		(SELECT code FROM bench.share WHERE upto > n / 100000.0 ORDER BY upto LIMIT 1), 65)
		ORDER BY n)
	FROM generate_series(0, 99999) n
$$;

DO $$
DECLARE
	start timestamptz;
	name  text;
BEGIN
	FOR month IN 0 .. 23 LOOP
		start := ('2024-01-01'::timestamp + month * interval '1 month') AT TIME ZONE 'UTC';
		name := 'event_' || to_char(start AT TIME ZONE 'UTC', 'YYYY_MM');
		EXECUTE format('CREATE TABLE _activity.%I PARTITION OF _activity.event '
					   'FOR VALUES FROM (%L) TO (%L)', name, start,
					   ((start AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
	END LOOP;
END
$$;

CREATE PROCEDURE bench.load(month int, events bigint) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := ('2024-01-01'::timestamp + month * interval '1 month') AT TIME ZONE 'UTC';
	until timestamptz := ((start AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
	name  text := 'event_' || to_char(start AT TIME ZONE 'UTC', 'YYYY_MM');
	count int := events / 24;
	types int[] := bench.types();
BEGIN
	PERFORM setseed(month / 24.0);
	EXECUTE format('TRUNCATE _activity.%I', name);
	EXECUTE format($sql$
		INSERT INTO _activity.%I (id, occurred_at, xid, salt, organization, type, actor_hash, subject_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context)
		SELECT activity.event_id(t), t, '3'::xid8, gen_random_uuid(), organization, type,
			   hashtext(actor), hashtext(subject), 'user', actor, 'Person ' || actor,
			   'Something with ' || subject || ' was done by ' || actor,
			   jsonb_build_object('kind', 'thing', 'id', subject, 'name', 'Thing ' || subject),
			   jsonb_build_object('amount', n %% 100, 'model', 'm-' || n %% 7),
			   '{"ip": "203.0.113.7", "request_id": "7f1c9e0a4b", "database_role": "app"}'
		FROM (
			SELECT n, $1 + (n + random()) * $2 AS t, organization,
				   CASE WHEN organization > 1 THEN type
						WHEN dice < 14e-6 THEN 88           -- bug_report.submitted
						WHEN dice < 74e-6 THEN 84 + n %% 4  -- consent.*
						WHEN dice < 134e-6 THEN 77          -- billing.created
						ELSE type END AS type,
				   CASE WHEN other < 112e-6 THEN 'occasional'
						-- The busiest actor never makes an order.
						WHEN type = 72 AND actor = 0 THEN 'u1'
						ELSE 'u' || actor END AS actor,
				   CASE WHEN another < 0.01 THEN 'shared' ELSE 's' || subject END AS subject
			FROM (
				SELECT n, CASE WHEN random() < 0.1 THEN 1
							   ELSE 2 + floor(999 * power(random(), 2)) END::int AS organization,
					   $4[1 + floor(random() * 100000)::int] AS type,
					   random() AS dice, random() AS other, random() AS another,
					   floor(200 * power(random(), 2))::int AS actor,
					   floor(100000 * random())::int AS subject
				FROM generate_series(0, $3 - 1) n OFFSET 0) drawn) event
		$sql$, name)
	USING start, (until - start) / count, count, types;
	EXECUTE format('CREATE UNIQUE INDEX ON _activity.%I (organization, id)', name);
	EXECUTE format('CREATE INDEX ON _activity.%I (organization, type, id)', name);
	EXECUTE format('CREATE INDEX ON _activity.%I (actor_hash, organization, id)', name);
	EXECUTE format('CREATE INDEX ON _activity.%I (subject_hash, organization, id)', name);
	EXECUTE format('CREATE INDEX ON _activity.%I (on_behalf_of_hash, organization, id) WHERE on_behalf_of_hash IS NOT NULL', name);
END
$$;
