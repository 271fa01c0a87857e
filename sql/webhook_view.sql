-- Webhooks: what people see.

CREATE VIEW activity.webhook_endpoints WITH (security_barrier) AS
SELECT e.id AS endpoint_id, o.id COLLATE "default" AS organization, e.url, e.event_types, e.description,
	CASE WHEN e.disabled_at IS NOT NULL THEN 'disabled'
		 WHEN s.quarantined_at IS NOT NULL THEN 'quarantined'
		 ELSE 'active' END AS status,
	e.disabled_reason AS reason,
	e.created_at, e.disabled_at, s.quarantined_at, s.probe_at AS next_probe_at,
	s.failures, s.failing_since, s.succeeded_at AS last_success_at,
	cardinality(s.in_flight) / 6 AS in_flight,
	(SELECT count(*)::integer FROM _activity.webhook_secret k
	 WHERE k.endpoint = e.key
	   AND (k.expires_at IS NULL OR k.expires_at > _activity.webhook_now())) AS secrets
FROM _activity.webhook_endpoint e
CROSS JOIN LATERAL (
	SELECT o.id FROM _activity.organization o WHERE o.key = e.organization LIMIT 1) o
LEFT JOIN _activity.webhook_state s ON s.endpoint = e.key
WHERE e.deleted_at IS NULL;
COMMENT ON VIEW activity.webhook_endpoints IS
	'the endpoints: where to, which events, how they are; failures are those in a row, secrets how many sign now';

CREATE VIEW activity.webhook_deliveries WITH (security_barrier) AS
SELECT _activity.webhook_delivery_id(d.endpoint, d.position, d.created_at) AS delivery_id,
	e.id AS endpoint_id, o.id COLLATE "default" AS organization, d.event AS event_id,
	CASE WHEN d.position < 0 THEN 'webhook.test'
		 ELSE d.type::activity.event_type::text END AS event_type,
	d.created_at,
	CASE WHEN flight.attempt > coalesce(a.last, 0) AND e.deleted_at IS NULL THEN 'sending'
		 WHEN (r.position IS NOT NULL OR d.position > s.fresh_position AND NOT d.requested
			   OR flight.attempt IS NOT NULL AND NOT coalesce(a.delivered, false))
			  AND e.deleted_at IS NULL
			 THEN CASE WHEN e.disabled_at IS NULL THEN 'waiting' ELSE 'parked' END
		 WHEN a.delivered THEN 'delivered'
		 ELSE 'dead' END AS status,
	coalesce(a.attempts, 0) AS attempts,
	CASE WHEN e.disabled_at IS NULL AND e.deleted_at IS NULL THEN r.due_at END AS next_attempt_at,
	flight.lease_until,
	a.last_status_code, a.last_error, a.last_reported_at
FROM _activity.webhook_delivery d
JOIN _activity.webhook_endpoint e ON e.key = d.endpoint
CROSS JOIN LATERAL (
	SELECT o.id FROM _activity.organization o WHERE o.key = e.organization LIMIT 1) o
LEFT JOIN _activity.webhook_state s ON s.endpoint = d.endpoint
LEFT JOIN _activity.webhook_retry r ON r.endpoint = d.endpoint AND r.position = d.position
LEFT JOIN LATERAL (
	SELECT (s.in_flight[i + 4] >> 32)::integer AS attempt,
		timestamptz '2000-01-01 00:00:00+00' + s.in_flight[i + 3] * interval '1 microsecond' AS lease_until
	FROM generate_series(1, cardinality(s.in_flight), 6) i
	WHERE s.in_flight[i] = d.position LIMIT 1) flight ON true
LEFT JOIN LATERAL (
	SELECT count(*) AS attempts, max(t.attempt) AS last,
		bool_or(t.status_code BETWEEN 200 AND 299) AS delivered,
		(array_agg(t.status_code ORDER BY t.attempt DESC))[1] AS last_status_code,
		(array_agg(t.error ORDER BY t.attempt DESC))[1] AS last_error,
		max(t.reported_at) AS last_reported_at
	FROM _activity.webhook_attempt t
	WHERE t.endpoint = d.endpoint AND t.position = d.position) a ON true;
COMMENT ON VIEW activity.webhook_deliveries IS
	'what is or was owed to endpoints, and where it stands: waiting, sending, delivered, dead, or parked with its disabled endpoint';

CREATE VIEW activity.webhook_attempts WITH (security_barrier) AS
SELECT _activity.webhook_delivery_id(d.endpoint, d.position, d.created_at) AS delivery_id,
	e.id AS endpoint_id, o.id COLLATE "default" AS organization, d.event AS event_id, t.attempt,
	nullif(t.claimed_at, 'infinity') AS sent_at, t.reported_at, t.status_code, t.error, t.duration,
	t.retry_after, t.response_body, t.probe, coalesce(t.claimed_at, 'infinity') = 'infinity' AS late
FROM _activity.webhook_attempt t
JOIN _activity.webhook_delivery d ON d.endpoint = t.endpoint AND d.position = t.position
JOIN _activity.webhook_endpoint e ON e.key = t.endpoint
CROSS JOIN LATERAL (
	SELECT o.id FROM _activity.organization o WHERE o.key = e.organization LIMIT 1) o;
COMMENT ON VIEW activity.webhook_attempts IS
	'every attempt that was reported; late ones had lost their lease';
