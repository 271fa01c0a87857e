-- The routes of the HTTP API. This table drives dispatch, Allow, which parameters
-- are taken, and the OpenAPI document: none can say what the others do not.

CREATE TYPE _activity.http_request AS (
	method       text,
	id           text,      -- the last part of the path that is a name
	parameters   jsonb,     -- of the query, checked
	headers      jsonb,     -- names in lower case
	body         jsonb,
	organization text,
	member       text,
	role         text,
	token        uuid,
	label        text,
	kind         text,      -- token or session
	capabilities text[],
	expires_at   timestamptz
);
CREATE TYPE _activity.http_answer AS (
	status  integer,
	headers jsonb,
	body    text
);

-- Literal parts stand before names in the same place, because the first that fits
-- is taken. A capability that is null asks for nobody, an empty one for anybody who
-- is known.
CREATE FUNCTION _activity.http_routes()
RETURNS TABLE (method text, depth integer, pattern text, capability text, feature text, handler text,
	parameters text[], summary text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 60
BEGIN ATOMIC
	VALUES
	('GET', 1, '/openapi.json', NULL, NULL, 'http_openapi', '{}'::text[], 'This document'),
	('POST', 1, '/session', NULL, NULL, 'http_session_open', '{}'::text[], 'Make a session of a code'),
	('GET', 1, '/session', '', NULL, 'http_session', '{}', 'Who am I'),
	('DELETE', 1, '/session', '', NULL, 'http_session_close', '{}', 'End the session'),
	('GET', 2, '/organizations/my-memberships', '', NULL, 'http_memberships', '{}', 'The organizations of the token''s member'),
	('POST', 2, '/organizations/members', 'read', NULL, 'http_members', '{}', 'Members of the token''s organization'),
	('GET', 3, '/organizations/{organization}/activity', 'read', 'feed', 'http_activity',
		'{eventType,actorUserId,subject,onBehalfOf,from,to,search,limit,page,before,after,count}', 'A page of events, newest first'),
	('POST', 3, '/organizations/{organization}/activity', 'record', NULL, 'http_record', '{}', 'Record an event'),
	('GET', 4, '/organizations/{organization}/activity/summary', 'read', 'feed', 'http_summary', '{from,to}', 'Counts by family, event type and actor'),
	('GET', 4, '/organizations/{organization}/activity/types', 'read', NULL, 'http_types', '{}', 'The event types'),
	('GET', 4, '/organizations/{organization}/activity/checkpoint', 'read', 'feed', 'http_checkpoint', '{position}', 'The hash chain at a position'),
	('GET', 4, '/organizations/{organization}/activity/verify', 'read', 'feed', 'http_verify', '{progress}', 'Recompute the hash chain'),
	('GET', 4, '/organizations/{organization}/activity/export', 'export', 'feed', 'http_export',
		'{format,columns,eventType,actorUserId,subject,onBehalfOf,from,to,search,upTo}', 'Export events'),
	('GET', 4, '/organizations/{organization}/activity/{id}', 'read', 'feed', 'http_event', '{}', 'One event'),
	('GET', 5, '/organizations/{organization}/activity/{id}/position', 'read', 'feed', 'http_position', '{}', 'Where an event stands in the stream and the hash chain'),
	('GET', 4, '/organizations/{organization}/analytics/revenue', 'analytics', 'analytics', 'http_revenue', '{from,to,currency}', 'Revenue by agent'),
	('GET', 4, '/organizations/{organization}/analytics/mrr', 'analytics', 'analytics', 'http_mrr', '{asOf,currency}', 'Monthly recurring revenue'),
	('GET', 4, '/organizations/{organization}/analytics/usage', 'analytics', 'analytics', 'http_usage', '{from,to,limit,measure}', 'Credits by plan'),
	('GET', 4, '/organizations/{organization}/analytics/customers', 'analytics', 'analytics', 'http_customers', '{from,to,limit}', 'Customers by what they spent'),
	('GET', 4, '/organizations/{organization}/analytics/conversion', 'analytics', 'analytics', 'http_conversion', '{from,to,fromType,toType}', 'From sessions to purchases'),
	('GET', 4, '/organizations/{organization}/analytics/credits-by-member', 'analytics', 'analytics', 'http_credits_by_member', '{from,to,planId,limit*}', 'Credits by member'),
	('GET', 4, '/organizations/{organization}/analytics/timeline', 'analytics', 'analytics', 'http_timeline',
		'{from,to,step,timeZone,by,eventType,actorUserId}', 'Events over time'),
	('GET', 4, '/organizations/{organization}/analytics/amounts', 'analytics', 'analytics', 'http_amounts', '{from,to,step,timeZone,measure}', 'What a measure adds up to, over time'),
	('GET', 4, '/organizations/{organization}/analytics/mrr-timeline', 'analytics', 'analytics', 'http_mrr_timeline', '{from,to,step,timeZone}', 'Monthly recurring revenue over time'),
	('GET', 4, '/organizations/{organization}/analytics/active-members', 'analytics', 'analytics', 'http_active_members', '{from,to,step,timeZone}', 'Active members over time'),
	('GET', 3, '/organizations/{organization}/holds', 'administer', NULL, 'http_holds', '{}', 'Legal holds'),
	('GET', 3, '/organizations/{organization}/redactions', 'administer', NULL, 'http_redactions', '{}', 'What was erased'),
	('GET', 4, '/organizations/{organization}/realtime/secrets', 'stream', 'stream', 'http_secrets', '{}', 'One''s own secrets for the stream'),
	('POST', 4, '/organizations/{organization}/realtime/secrets', 'stream', 'stream', 'http_secret_create', '{}', 'Make a secret'),
	('DELETE', 5, '/organizations/{organization}/realtime/secrets/{id}', 'stream', 'stream', 'http_secret_revoke', '{}', 'Revoke a secret'),
	('POST', 6, '/organizations/{organization}/realtime/secrets/{id}/rotate', 'stream', 'stream', 'http_secret_rotate', '{}', 'Replace a secret'),
	('GET', 3, '/organizations/{organization}/webhooks', 'read', 'webhooks', 'http_webhooks', '{}', 'The webhooks'),
	('POST', 3, '/organizations/{organization}/webhooks', 'webhooks', 'webhooks', 'http_webhook_create', '{}', 'Register a webhook'),
	('GET', 5, '/organizations/{organization}/webhooks/deliveries/{id}', 'read', 'webhooks', 'http_delivery', '{}', 'A delivery with its tries'),
	('POST', 6, '/organizations/{organization}/webhooks/deliveries/{id}/retry', 'webhooks', 'webhooks', 'http_delivery_retry', '{}', 'Send a delivery again'),
	('GET', 4, '/organizations/{organization}/webhooks/{id}', 'read', 'webhooks', 'http_webhook', '{}', 'A webhook'),
	('PATCH', 4, '/organizations/{organization}/webhooks/{id}', 'webhooks', 'webhooks', 'http_webhook_change', '{}', 'Change a webhook'),
	('DELETE', 4, '/organizations/{organization}/webhooks/{id}', 'webhooks', 'webhooks', 'http_webhook_delete', '{}', 'Remove a webhook'),
	('GET', 5, '/organizations/{organization}/webhooks/{id}/deliveries', 'read', 'webhooks', 'http_deliveries', '{page,limit,status}', 'What is and was sent'),
	('POST', 5, '/organizations/{organization}/webhooks/{id}/rotate-secret', 'webhooks', 'webhooks', 'http_webhook_rotate', '{}', 'Replace the signing secret'),
	('POST', 5, '/organizations/{organization}/webhooks/{id}/test', 'webhooks', 'webhooks', 'http_webhook_test', '{}', 'Send a test message'),
	('POST', 5, '/organizations/{organization}/webhooks/{id}/recover', 'webhooks', 'webhooks', 'http_webhook_recover', '{}', 'Send what was not delivered'),
	('POST', 5, '/organizations/{organization}/webhooks/{id}/replay', 'webhooks', 'webhooks', 'http_webhook_replay', '{}', 'Send a time''s events again');
END;
COMMENT ON FUNCTION _activity.http_routes() IS
	'the routes below /api/v1: method, slashes, pattern, what the caller must be able to, the feature that the tier must open, handler';

CREATE FUNCTION _activity.http_parameter()
RETURNS TABLE (name text, kind text, low bigint, high bigint, preset text, meaning text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 40
BEGIN ATOMIC
	VALUES
	('eventType', 'words', NULL::bigint, NULL::bigint, NULL::text, 'event types and families (credit.*), ! before either excludes; repeatable, or with commas'),
	('actorUserId', 'text', NULL, NULL, NULL, 'id of the actor'),
	('subject', 'text', NULL, NULL, NULL, 'id of the subject, or kind:id'),
	('onBehalfOf', 'text', NULL, NULL, NULL, 'id of whom the actor acted for'),
	('from', 'time', NULL, NULL, NULL, 'not before this time'),
	('to', 'time', NULL, NULL, NULL, 'before this time'),
	('search', 'text', NULL, NULL, NULL, 'words in the description or the actor''s name'),
	('limit', 'integer', 1, 200, '50', 'most items'),
	('limit*', 'integer', 1, 1000, '100', 'most items'),
	('page', 'integer', 1, 2147483647, '1', 'number of the page'),
	('before', 'uuid', NULL, NULL, NULL, 'cursor: what is older'),
	('after', 'uuid', NULL, NULL, NULL, 'cursor: what is newer'),
	('count', 'boolean', NULL, NULL, NULL, 'whether the total is counted; by default unless there is a cursor'),
	('progress', 'boolean', NULL, NULL, 'false', 'answer in lines that tell how far it is; the last one is the verification without its problems, each a line of its own'),
	('format', 'csv,json,ndjson,cloudevents,ocsf,proof', NULL, NULL, 'csv', 'how events are written'),
	('columns', 'words', NULL, NULL, NULL, 'columns of csv, in order; with commas, or repeated'),
	('upTo', 'text', NULL, NULL, NULL, 'a cursor of the stream: the same one gives the same bytes'),
	('asOf', 'time', NULL, NULL, NULL, 'at this time; now by default'),
	('currency', 'text', NULL, NULL, NULL, 'this currency alone'),
	('measure', 'measure', NULL, NULL, 'credits_burned', 'what is added up'),
	('fromType', 'type', NULL, NULL, 'auth.signin', 'event type that is a session'),
	('toType', 'type', NULL, NULL, 'plan.purchased', 'event type that is a purchase'),
	('planId', 'text', NULL, NULL, NULL, 'id of a plan, or of another resource'),
	('step', 'quarterHour,hour,day,week,month,quarter,year', NULL, NULL, 'day', 'how long each step is'),
	('timeZone', 'zone', NULL, NULL, 'UTC', 'whose days and hours they are'),
	('by', 'eventType,category,family,actor,resource', NULL, NULL, NULL, 'what is told apart'),
	('status', 'pending,in_flight,delivered,failed,dead', NULL, NULL, NULL, 'where a delivery stands'),
	('position', 'integer', 0, 9007199254740991, NULL, 'position in the stream; the newest by default');
END;
COMMENT ON FUNCTION _activity.http_parameter() IS
	'parameters of queries: what kind of value they have, from which to which';

CREATE FUNCTION _activity.http_parameters(query text) RETURNS text[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_http_parameters';
COMMENT ON FUNCTION _activity.http_parameters(text) IS
	'names and values of a query, one after the other; errors: 22P02, 22021';

CREATE FUNCTION _activity.http_segments(path text) RETURNS text[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_http_segments';
COMMENT ON FUNCTION _activity.http_segments(text) IS
	'the parts of a path, decoded; errors: 22P02, 22021';

CREATE FUNCTION _activity.http_time(words text) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_http_time';
COMMENT ON FUNCTION _activity.http_time(text) IS
	'a date, or a time with its offset, in ISO 8601; null for anything else';

CREATE FUNCTION _activity.json_offset(words text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_json_offset';
COMMENT ON FUNCTION _activity.json_offset(text) IS
	'the byte at which the text is no JSON; null if all of it is';

CREATE FUNCTION _activity.near_word(word text, words text[]) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_near_word';
COMMENT ON FUNCTION _activity.near_word(text, text[]) IS
	'the one of these words that was probably meant; null if none is near';

CREATE FUNCTION _activity.http_call(handler text, request _activity.http_request) RETURNS _activity.http_answer
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'act_http_call';
COMMENT ON FUNCTION _activity.http_call(text, _activity.http_request) IS
	'what the handler of this name answers';

-- Percent signs, too, are characters of a path: but none of a pattern's.
CREATE FUNCTION _activity.http_shape(pattern text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN replace(replace(pattern, '{organization}', '_%'), '{id}', '_%');
COMMENT ON FUNCTION _activity.http_shape(text) IS
	'what paths of a route are LIKE; as many slashes say that no part takes two';

CREATE TYPE _activity.http_route AS (method text, depth integer, pattern text, capability text, feature text, handler text,
	parameters text[], summary text);

CREATE FUNCTION _activity.http_find_route(method text, path text) RETURNS _activity.http_route
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'act_http_find_route';
COMMENT ON FUNCTION _activity.http_find_route(text, text) IS
	'the first row of http_routes() that a request fits; null if there is none';
