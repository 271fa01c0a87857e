-- The HTTP API describes itself: OpenAPI 3.1, made of the table of routes.

-- Bodies and answers of the handlers, by the names of schemas. A test sees that every
-- route has its row.
CREATE FUNCTION _activity.http_shapes()
RETURNS TABLE (handler text, request text, status integer, answer text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 60
BEGIN ATOMIC
	VALUES
	('http_openapi', NULL::text, 200, 'OpenApi'::text),
	('http_session_open', 'SessionCode', 201, 'Session'),
	('http_session', NULL, 200, 'Session'),
	('http_session_close', NULL, 204, NULL),
	('http_memberships', NULL, 200, 'Memberships'),
	('http_members', 'MemberQuery', 200, 'Members'),
	('http_activity', NULL, 200, 'EventPage'),
	('http_record', 'NewEvent', 201, 'Event'),
	('http_summary', NULL, 200, 'Summary'),
	('http_types', NULL, 200, 'EventTypes'),
	('http_checkpoint', NULL, 200, 'Checkpoint'),
	('http_verify', NULL, 200, 'Verification'),
	('http_export', NULL, 200, 'Export'),
	('http_event', NULL, 200, 'Event'),
	('http_position', NULL, 200, 'Position'),
	('http_revenue', NULL, 200, 'Revenue'),
	('http_mrr', NULL, 200, 'Mrr'),
	('http_usage', NULL, 200, 'Usage'),
	('http_customers', NULL, 200, 'Customers'),
	('http_conversion', NULL, 200, 'Conversion'),
	('http_credits_by_member', NULL, 200, 'CreditsByMember'),
	('http_timeline', NULL, 200, 'Timeline'),
	('http_amounts', NULL, 200, 'Amounts'),
	('http_mrr_timeline', NULL, 200, 'MrrTimeline'),
	('http_active_members', NULL, 200, 'ActiveMembers'),
	('http_holds', NULL, 200, 'Holds'),
	('http_redactions', NULL, 200, 'Redactions'),
	('http_secrets', NULL, 200, 'RealtimeSecrets'),
	('http_secret_create', 'NewRealtimeSecret', 201, 'RealtimeSecretShown'),
	('http_secret_revoke', NULL, 204, NULL),
	('http_secret_rotate', NULL, 201, 'RealtimeSecretShown'),
	('http_webhooks', NULL, 200, 'Webhooks'),
	('http_webhook_create', 'NewWebhook', 201, 'Webhook'),
	('http_delivery', NULL, 200, 'DeliveryDetail'),
	('http_delivery_retry', NULL, 202, 'DeliveryRetried'),
	('http_webhook', NULL, 200, 'Webhook'),
	('http_webhook_change', 'WebhookChange', 200, 'Webhook'),
	('http_webhook_delete', NULL, 204, NULL),
	('http_deliveries', NULL, 200, 'DeliveryPage'),
	('http_webhook_rotate', 'Rotation', 200, 'Webhook'),
	('http_webhook_test', NULL, 202, 'TestSent'),
	('http_webhook_recover', 'Period', 202, 'Redelivered'),
	('http_webhook_replay', 'Period', 202, 'Redelivered');
END;
COMMENT ON FUNCTION _activity.http_shapes() IS
	'for each handler the schema of the body that it takes, and the status and schema of what it answers';

-- One schema in few letters: "name: type" with ? for what may be null, [] for arrays,
-- a capital for another schema, and * behind the name of what may be missing.
CREATE FUNCTION _activity.http_schemas() RETURNS TABLE (name text, fields text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 60
BEGIN ATOMIC
	VALUES
	('Problem', 'type: string, title: string, status: integer, code: string, message: string, detail: string, parameter*: string, hint*: string'),
	('SessionCode', 'code: string'),
	('Session', 'kind: string, organization: string?, member: string?, role: string?, capabilities: string[], tier: string?, features: object?, label: string?, expiresAt: time?'),
	('Membership', 'orgId: string, orgName: string, role: string, orgType: string, isAdmin: boolean, hasSubscriptionHistory: boolean, group: object?'),
	('MemberQuery', 'role*: string?, isActive*: boolean?, page*: number?, offset*: number?, environment*: string?'),
	('Members', 'totalResults: integer, members: Member[], page: integer, offset: integer, totalActiveAdmins: integer'),
	('Member', 'id: string, userId: string, orgId: string, userAddress: string, name: string?, role: string, isActive: boolean, createdAt: time, updatedAt: time'),
	('Person', 'kind: string?, id: string, name: string?'),
	('NewPerson', 'kind*: string?, id: string, name*: string?'),
	('Subject', 'kind: string, id: string, ...'),
	('Event', 'id: uuid, eventType: EventType, category: string, action: string, actorUserId: string?, actor: Person?, onBehalfOf: object?, subject: Subject, metadata: object?, description: string, context: object, occurredAt: time, recordedAt: time'),
	('EventPage', 'items: Event[], total*: integer, nextCursor: uuid?, prevCursor: uuid?, hasMore: boolean'),
	('NewEvent', 'id*: string?, eventType: EventType, subject*: object?, metadata*: object?, description*: string?, occurredAt*: string?, actor*: NewPerson?, onBehalfOf*: NewPerson?, context*: object?'),
	('Summary', 'items: SummaryRow[]'),
	('SummaryRow', 'dimension: string, kind: string?, key: string?, name: string?, events: integer, latest: time'),
	('EventTypes', 'items: EventTypeInfo[]'),
	('EventTypeInfo', 'key: string, category: string, action: string, family: string?, synonymOf: string?, subjectKind: string?, required: string[]?, template: string?, meaning: string?, builtIn: boolean'),
	('Checkpoint', 'position: integer, hash: string, events: integer, takenAt: time'),
	('Verification', 'valid: boolean, problems: VerificationProblem[], position: integer, events: integer, hash: string, verifiedAt: time'),
	('VerificationProblem', 'position: integer?, problem: string'),
	('Position', 'position: integer?, cursor: string?, hash: string?'),
	('Revenue', 'items: RevenueRow[], totalRevenue: string?, currency: string?'),
	('RevenueRow', 'agentId: string, agentName: string, totalRevenue: string, transactionCount: integer, currency: string?'),
	('Mrr', 'mrr: string?, activeSubscriptions: integer, currency: string?, items: MrrRow[]'),
	('MrrRow', 'currency: string?, mrr: string, subscriptions: integer'),
	('Usage', 'items: UsageRow[]'),
	('UsageRow', 'planId: string, planName: string, creditsBurned: string, uniqueUsers: integer, unit: string?, events: integer, firstAt: time?, lastAt: time?'),
	('Customers', 'items: Customer[], totalCustomers: integer'),
	('Customer', 'customerId: string, userId: string, name: string?, totalSpent: string, currency: string?, transactions: integer, firstSeenAt: time?, lastActiveAt: time?'),
	('Conversion', 'sessions: integer, purchases: integer, conversionRate: number?'),
	('CreditsByMember', 'items: MemberCredits[]'),
	('MemberCredits', 'memberId: string, memberAddress: string, name: string?, totalCreditsBurned: string, unit: string?, burnCount: integer, firstBurnAt: time?, lastBurnAt: time?'),
	('Timeline', 'step: string, timeZone: string, items: TimelineRow[]'),
	('TimelineRow', 'bucket: time, key: string?, events: integer'),
	('Amounts', 'measure: string, step: string, timeZone: string, items: AmountsRow[]'),
	('AmountsRow', 'bucket: time, unit: string?, amount: string, events: integer'),
	('MrrTimeline', 'step: string, timeZone: string, items: MrrTimelineRow[]'),
	('MrrTimelineRow', 'bucket: time, currency: string?, mrr: string, subscriptions: integer'),
	('ActiveMembers', 'step: string, timeZone: string, items: ActiveMembersRow[]'),
	('ActiveMembersRow', 'bucket: time, members: integer'),
	('Holds', 'items: Hold[]'),
	('Hold', 'id: uuid, actor: string?, subject: string?, from: time?, to: time?, reason: string, placedAt: time, placedBy: string, releasedAt: time?, releasedBy: string?, releaseReason: string?'),
	('Redactions', 'items: Redaction[]'),
	('Redaction', 'id: uuid, redactedAt: time, reason: string, pseudonym: string, events: integer, deliveries: integer, actor: string?'),
	('RealtimeSecret', 'id: uuid, label: string?, lastFour: string, createdAt: time, lastUsedAt: time?, status: string'),
	('NewRealtimeSecret', 'label: string'),
	('RealtimeSecretShown', 'id: uuid, label: string?, secret: string, lastFour: string, createdAt: time'),
	('NewWebhook', 'url: string, eventTypes*: string[]?, description*: string?'),
	('WebhookChange', 'url*: string?, eventTypes*: string[]?, description*: string?, enabled*: boolean?'),
	('Webhook', 'id: uuid, url: string, eventTypes: string[], description: string?, enabled: boolean, status: string, reason: string?, secretHint: string?, secret*: string, createdAt: time, disabledAt: time?, quarantinedAt: time?, nextProbeAt: time?, failures: integer?, failingSince: time?, lastSuccessAt: time?, inFlight: integer?'),
	('Rotation', 'overlapSeconds*: number?'),
	('TestSent', 'deliveryId: uuid'),
	('Period', 'from: string, to*: string?'),
	('Redelivered', 'deliveries: integer'),
	('DeliveryPage', 'items: Delivery[], total: integer, page: integer, limit: integer'),
	('Delivery', 'id: uuid, webhookId: uuid, eventId: uuid, eventType: string, createdAt: time, status: string, attempts: integer, nextAttemptAt: time?, responseStatus: integer?, error: string?, lastAttemptAt: time?'),
	('DeliveryDetail', 'id: uuid, webhookId: uuid, eventId: uuid, eventType: string, createdAt: time, status: string, attempts: integer, nextAttemptAt: time?, responseStatus: integer?, error: string?, lastAttemptAt: time?, payload: object?, tries: Try[]'),
	('Try', 'attempt: integer, sentAt: time?, reportedAt: time, responseStatus: integer?, error: string?, durationMs: number?, responseBody: string?, probe: boolean'),
	('DeliveryRetried', 'id: string, queued: boolean');
END;
COMMENT ON FUNCTION _activity.http_schemas() IS
	'what bodies and answers consist of';

CREATE FUNCTION _activity.http_type_schema(word text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plain  text := rtrim(word, '?');
	schema jsonb;
BEGIN
	IF plain LIKE '%[]' THEN
		schema := jsonb_build_object('type', 'array', 'items', _activity.http_type_schema(rtrim(plain, '[]')));
	ELSE
		schema := CASE plain WHEN 'time' THEN '{"type": "string", "format": "date-time"}' WHEN 'uuid' THEN '{"type": "string", "format": "uuid"}'
			WHEN 'object' THEN '{"type": "object", "additionalProperties": true}'
			ELSE CASE WHEN plain ~ '^[A-Z]' THEN jsonb_build_object('$ref', '#/components/schemas/' || plain)
				ELSE jsonb_build_object('type', plain) END END;
	END IF;
	IF plain = word THEN
		RETURN schema;
	ELSIF schema ? '$ref' THEN
		RETURN jsonb_build_object('anyOf', jsonb_build_array(schema, '{"type": "null"}'::jsonb));
	END IF;
	RETURN schema || jsonb_build_object('type', jsonb_build_array(schema->'type', 'null'));
END
$$;
COMMENT ON FUNCTION _activity.http_type_schema(text) IS
	'a word of http_schemas() as JSON Schema';

CREATE FUNCTION _activity.http_schema(fields text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object('type', 'object', 'additionalProperties', bool_or(f.field = '...'),
		'properties', jsonb_object_agg(rtrim(f.part[1], '*'), _activity.http_type_schema(f.part[2])) FILTER (WHERE f.field <> '...'),
		'required', coalesce(jsonb_agg(f.part[1] ORDER BY f.n) FILTER (WHERE f.part[1] NOT LIKE '%*' AND f.field <> '...'), '[]'))
	FROM (SELECT field, n, string_to_array(field, ': ') AS part FROM unnest(string_to_array(fields, ', ')) WITH ORDINALITY u (field, n)) f
$$;
COMMENT ON FUNCTION _activity.http_schema(text) IS
	'a row of http_schemas() as JSON Schema';

CREATE FUNCTION _activity.http_component_schemas() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_object_agg(s.name, _activity.http_schema(s.fields)) || jsonb_build_object(
		'EventType', jsonb_build_object('type', 'string', 'enum', (SELECT jsonb_agg(t.key ORDER BY t.key) FROM activity.event_types t)),
		'Memberships', '{"type": "array", "items": {"$ref": "#/components/schemas/Membership"}}'::jsonb,
		'Webhooks', '{"type": "array", "items": {"$ref": "#/components/schemas/Webhook"}}'::jsonb,
		'RealtimeSecrets', '{"type": "array", "items": {"$ref": "#/components/schemas/RealtimeSecret"}}'::jsonb,
		'OpenApi', '{"type": "object", "additionalProperties": true}'::jsonb)
	FROM _activity.http_schemas() s
$$;
COMMENT ON FUNCTION _activity.http_component_schemas() IS
	'the schemas of the OpenAPI document';

CREATE FUNCTION _activity.http_openapi_parameters(route_pattern text, names text[]) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(jsonb_agg(parameter ORDER BY n), '[]') FROM (
		SELECT 0 AS n, jsonb_build_object('name', part[1], 'in', 'path', 'required', true, 'schema', '{"type": "string", "minLength": 1}'::jsonb) AS parameter
		FROM regexp_matches(route_pattern, '\{(\w+)\}', 'g') part
		UNION ALL
		SELECT w.n, jsonb_build_object('name', rtrim(p.name, '*'), 'in', 'query', 'required', false, 'description', p.meaning)
			|| CASE p.kind WHEN 'words' THEN '{"style": "form", "explode": false}' ELSE '{}' END::jsonb
			|| jsonb_build_object('schema', CASE p.kind
				WHEN 'words' THEN '{"type": "array", "items": {"type": "string"}}'
				WHEN 'integer' THEN jsonb_strip_nulls(jsonb_build_object('type', 'integer', 'minimum', p.low, 'maximum', p.high, 'default', p.preset::bigint))
				WHEN 'text' THEN '{"type": "string"}' WHEN 'zone' THEN '{"type": "string", "examples": ["Europe/Berlin"]}'
				WHEN 'type' THEN '{"$ref": "#/components/schemas/EventType"}' WHEN 'measure' THEN '{"type": "string"}' WHEN 'boolean' THEN '{"type": "boolean"}'
				WHEN 'uuid' THEN '{"type": "string", "format": "uuid"}'
				WHEN 'time' THEN '{"type": "string", "description": "a date, or a time with its offset (ISO 8601)", "examples": ["2026-03-01", "2026-03-01T09:30:00Z"]}'
				ELSE jsonb_build_object('type', 'string', 'enum', to_jsonb(string_to_array(p.kind, ','))) END)
		FROM unnest(names) WITH ORDINALITY w (name, n) JOIN _activity.http_parameter() p ON p.name = w.name
	) all_of_them
$$;
COMMENT ON FUNCTION _activity.http_openapi_parameters(text, text[]) IS
	'the parameters of a route';

CREATE FUNCTION _activity.http_openapi_responses(method text, pattern text, capability text, shape_status integer, answer text, example jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH problem AS (SELECT jsonb_build_object('content', jsonb_build_object('application/problem+json', jsonb_build_object('schema',
			jsonb_build_object('$ref', '#/components/schemas/Problem')))) AS content),
	good AS (SELECT CASE WHEN answer IS NULL THEN '{}' WHEN answer = 'Export' THEN
			'{"content": {"text/csv": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}}, "application/x-ndjson": {"schema": {"type": "string"}}}}'
		ELSE jsonb_build_object('content', jsonb_build_object('application/json', jsonb_build_object('schema',
				jsonb_build_object('$ref', '#/components/schemas/' || answer)) || coalesce(jsonb_build_object('example', example), '{}'))
			|| CASE answer WHEN 'Verification' THEN '{"application/x-ndjson": {"schema": {"type": "string"}}}'::jsonb ELSE '{}' END) END AS content)
	SELECT jsonb_object_agg(r.status, r.response) FROM (
		SELECT shape_status::text AS status, good.content || jsonb_build_object('description', 'done') AS response FROM good
		UNION ALL
		SELECT '200', good.content || jsonb_build_object('description', 'it was done before') FROM good WHERE method = 'POST' AND shape_status = 201
		UNION ALL
		SELECT '304', jsonb_build_object('description', 'it is what If-None-Match says') WHERE method = 'GET'
		UNION ALL
		SELECT s.status, problem.content || jsonb_build_object('description', s.words)
		FROM problem, (VALUES ('400', 'bad input', true), ('401', 'no token, or none that is valid', capability IS NOT NULL OR method = 'POST'),
			('403', 'wrong organization, no member, or no capability, tier', capability IS NOT NULL OR method = 'POST'),
			('404', 'there is none', pattern LIKE '%{id}%'),
			('409', 'not in the present state', true), ('413', 'too large', method <> 'GET'), ('415', 'no JSON', method <> 'GET'),
			('422', 'a url that is refused, or an Idempotency-Key of another request', method <> 'GET'),
			('429', 'too many requests', true), ('503', 'not at the moment', true)) s (status, words, there_is)
		WHERE s.there_is) r
$$;
COMMENT ON FUNCTION _activity.http_openapi_responses(text, text, text, integer, text, jsonb) IS
	'what a route answers';

-- Examples keep theirs.
CREATE FUNCTION _activity.http_openapi_part(object jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT jsonb_object_agg(f.key, f.value) FROM pg_catalog.jsonb_each(object) f WHERE f.value <> 'null');
COMMENT ON FUNCTION _activity.http_openapi_part(jsonb) IS
	'the object without its own fields that are null';

CREATE FUNCTION _activity.http_openapi_paths() RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_object_agg(pattern, operations) FROM (
		SELECT r.pattern, jsonb_object_agg(lower(r.method), _activity.http_openapi_part(jsonb_build_object(
			'operationId', substr(s.handler, 6), 'summary', r.summary,
			'tags', jsonb_build_array(coalesce(substring(r.pattern FROM '^/organizations/\{organization\}/([\w-]+)'), CASE WHEN r.pattern LIKE '/organizations/%' THEN 'members' END, 'session')),
			'description', CASE WHEN r.capability <> '' THEN format('Needs the capability "%s"', r.capability)
				|| coalesce(format(', and a tier with the feature "%s"', r.feature), '') || '.' END,
			'security', CASE WHEN r.capability IS NULL THEN '[]' ELSE '[{"token": []}, {"session": []}]' END::jsonb,
			'parameters', _activity.http_openapi_parameters(r.pattern, r.parameters)
				|| CASE WHEN r.method = 'POST' AND r.capability <> '' THEN
					'[{"name": "Idempotency-Key", "in": "header", "required": false, "schema": {"type": "string", "minLength": 1, "maxLength": 255}}]' ELSE '[]' END::jsonb,
			'requestBody', CASE WHEN s.request IS NOT NULL THEN jsonb_build_object('required', s.request NOT IN ('Rotation', 'MemberQuery'),
				'content', jsonb_build_object('application/json', jsonb_build_object('schema', jsonb_build_object('$ref', '#/components/schemas/' || s.request))
					|| CASE WHEN x.request IS NULL THEN '{}' ELSE jsonb_build_object('example', x.request) END)) END,
			'responses', _activity.http_openapi_responses(r.method, r.pattern, r.capability, s.status, s.answer, x.answer)))) AS operations
		FROM _activity.http_routes() r JOIN _activity.http_shapes() s ON s.handler = r.handler
		LEFT JOIN _activity.http_examples() x ON x.handler = r.handler
		GROUP BY r.pattern) p
$$;
COMMENT ON FUNCTION _activity.http_openapi_paths() IS
	'the paths of the OpenAPI document';

CREATE FUNCTION _activity.http_openapi(request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN _activity.http_json(json_build_object('openapi', '3.1.0',
		'info', json_build_object('title', 'activity', 'summary', 'The activity feed and audit log of an organization',
			'version', (SELECT x.extversion FROM pg_extension x WHERE x.extname = 'activity'), 'license', json_build_object('name', 'PostgreSQL', 'identifier', 'PostgreSQL')),
		'servers', json_build_array(json_build_object('url', rtrim(current_setting('activity.gateway_url'), '/') || '/api/v1')),
		'paths', _activity.http_openapi_paths(),
		'components', json_build_object('schemas', _activity.http_component_schemas(), 'securitySchemes', json_build_object(
			'token', json_build_object('type', 'http', 'scheme', 'bearer', 'description', 'a token, act:...'),
			'session', json_build_object('type', 'apiKey', 'in', 'cookie', 'name', 'activity_session'))))::text);
END
$$;
COMMENT ON FUNCTION _activity.http_openapi(_activity.http_request) IS
	'GET /openapi.json';
