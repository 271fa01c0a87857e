/*
 * webhook/request.c
 *		What people ask for: retries, tests, deliveries of the past; and small
 *		things that the SQL of the webhooks stands on.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "feed/entry.h"
#include "event/id.h"
#include "taxonomy/taxonomy.h"
#include "webhook/url.h"
#include "webhook/webhook.h"
#include "webhook/message.h"
#include "base/own_row.h"
#include "webhook/rules.h"
#include "webhook/store.h"

PG_FUNCTION_INFO_V1(act_webhook_lock);
PG_FUNCTION_INFO_V1(act_webhook_check);
PG_FUNCTION_INFO_V1(act_webhook_restart);
PG_FUNCTION_INFO_V1(act_webhook_queue);
PG_FUNCTION_INFO_V1(act_webhook_queue_test);
PG_FUNCTION_INFO_V1(act_webhook_delivery_id);
PG_FUNCTION_INFO_V1(act_webhook_delivery_key);
PG_FUNCTION_INFO_V1(act_webhook_deliver);

static WebhookEndpoint *require_endpoint(int32 key);
static void pass_requested(WebhookState *state, TimestampTz now);
static bool owe_now(WebhookState *state, const WebhookDelivery *delivery,
					bool unless_delivered, TimestampTz due_at, TimestampTz now);

/* _activity.lock_webhook(endpoint int): until the transaction ends */
PGDLLEXPORT Datum
act_webhook_lock(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("changing what an endpoint is owed");
	PreventCommandDuringRecovery("changing what an endpoint is owed");
	act_store_lock(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

/* _activity.check_webhook(url text, event_types text[]): throws */
PGDLLEXPORT Datum
act_webhook_check(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a webhook needs a url")));
	else
	{
		text	   *url = PG_GETARG_TEXT_PP(0);

		act_url_check(VARDATA_ANY(url), VARSIZE_ANY_EXHDR(url));
	}
	if (!PG_ARGISNULL(1))
	{
		Datum	   *patterns;
		bool	   *nulls;
		int			count;
		int32	   *codes = NULL;
		int			ncodes = 0;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
						  TYPALIGN_INT, &patterns, &nulls, &count);
		if (count == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("event_types must not be empty"),
					 errhint("Leave it null for every event.")));
		for (int i = 0; i < count; i++)
		{
			if (nulls[i])
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("event_types must not hold nulls")));
			act_taxonomy_match(TextDatumGetCString(patterns[i]), &codes, &ncodes);
		}
	}
	PG_RETURN_VOID();
}

/*
 * _activity.restart_webhook(endpoint int): well again, flowing slowly at first;
 * also the first state of a new endpoint.  Under its lock.
 */
PGDLLEXPORT Datum
act_webhook_restart(PG_FUNCTION_ARGS)
{
	TimestampTz now = act_webhook_clock();
	WebhookState state;

	if (act_store_read_state(require_endpoint(PG_GETARG_INT32(0))->key, &state))
		state.flow = 1;
	else
		state.fresh_at = state.retry_at = now;
	state.failures = state.probes = 0;
	state.failing_since = state.quarantined_at = state.probe_at = DT_NOBEGIN;
	state.ready_at = now;
	act_store_write_state(&state);
	PG_RETURN_VOID();
}

/* These functions are called by the extension's own SQL, but the owner of the
 * database can call them, too, with any number. */
static WebhookEndpoint *
require_endpoint(int32 key)
{
	WebhookEndpoint *endpoint = act_store_endpoint(key);

	if (endpoint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("webhook endpoint %d does not exist", key)));
	return endpoint;
}

/*
 * Puts one delivery among the retries, in a round of its own; false if it is on
 * its way already, or was delivered and unless_delivered.
 */
static bool
owe_now(WebhookState *state, const WebhookDelivery *delivery,
		bool unless_delivered, TimestampTz due_at, TimestampTz now)
{
	WebhookRetry retry = {0};
	ListCell   *lc;
	int32		last = 0;

	for (int i = 0; i < state->nflights; i++)
		if (state->flights[i].position == delivery->position)
			return false;
	if (delivery->position > state->fresh_position && !delivery->requested)
		return false;
	if (act_store_retry_of(state->endpoint, delivery->position, &retry))
	{
		act_store_remove_retry(&retry);
		last = retry.attempt - 1;
	}
	foreach(lc, act_store_attempts(state->endpoint, delivery->position, 1,
								   delivery->created_at, now))
	{
		WebhookAttempt *attempt = lfirst(lc);

		last = Max(last, attempt->attempt);
		if (unless_delivered && act_rules_is_success(attempt->status_code))
			return false;
	}
	retry.attempt = retry.first_attempt = last + 1;
	retry.due_at = due_at;
	retry.position = delivery->position;
	retry.created_at = delivery->created_at;
	retry.tries = retry.lost = 0;
	act_store_add_retry(state, &retry);
	return true;
}

/*
 * _activity.queue_webhook(endpoint int, position bigint[], created_at
 * timestamptz[], unless_delivered boolean) RETURNS bigint: how many are owed
 * now.  Under the endpoint's lock.
 */
PGDLLEXPORT Datum
act_webhook_queue(PG_FUNCTION_ARGS)
{
	TimestampTz now = act_webhook_clock();
	Datum	   *positions;
	Datum	   *times;
	int			count;
	int			ntimes;
	int64		queued = 0;
	WebhookState state;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity webhook queue",
												  ALLOCSET_DEFAULT_SIZES);

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &positions, NULL, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &times, NULL, &ntimes);
	if (count != ntimes)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("positions and created_at differ in length")));
	(void) act_store_read_state(require_endpoint(PG_GETARG_INT32(0))->key, &state);
	for (int i = 0; i < count; i++)
	{
		WebhookDelivery delivery;
		MemoryContext old = MemoryContextSwitchTo(scratch);

		/* Apart by a microsecond: the mark then passes them one by one. */
		if (act_store_delivery(state.endpoint, DatumGetInt64(positions[i]),
							   DatumGetTimestampTz(times[i]), &delivery) &&
			owe_now(&state, &delivery, PG_GETARG_BOOL(3), now + i, now))
			queued++;
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
		CHECK_FOR_INTERRUPTS();
	}
	if (queued > 0)
	{
		pass_requested(&state, now);
		state.ready_at = now;
		act_store_write_state(&state);
	}
	PG_RETURN_INT64(queued);
}

/*
 * Moves the mark of new deliveries past those that somebody requested, which
 * wait among the retries, so that no claim has to read over them.
 */
static void
pass_requested(WebhookState *state, TimestampTz now)
{
	WebhookDelivery rows[100];
	int			count;

	while ((count = act_store_fresh(state->endpoint, state->fresh_position,
									state->fresh_at, now, lengthof(rows), rows)) > 0)
	{
		for (int i = 0; i < count; i++)
		{
			if (!rows[i].requested)
				return;
			state->fresh_position = rows[i].position;
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * _activity.queue_webhook_test(endpoint int, number bigint) RETURNS uuid: a delivery of a message that is no event.  Under the endpoint's
 * lock.
 */
PGDLLEXPORT Datum
act_webhook_queue_test(PG_FUNCTION_ARGS)
{
	TimestampTz now = act_webhook_clock();
	WebhookEndpoint *endpoint = require_endpoint(PG_GETARG_INT32(0));
	int64		number = PG_GETARG_INT64(1);
	WebhookDelivery delivery = {0};
	WebhookState state;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	char	   *time = act_entry_time_text(now);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a test's number is positive")));
	delivery.endpoint = endpoint->key;
	delivery.position = -number;
	delivery.created_at = now;
	act_event_id_make(now, &delivery.event);
	delivery.requested = true;
	delivery.body = cstring_to_text(psprintf("{\"type\": \"webhook.test\", \"timestamp\": \"%s\", \"data\": {\"id\": \"%s\", \"occurred_at\": \"%s\", \"description\": \"This is a test of the webhook endpoint\"}}",
											 time,
											 DatumGetCString(DirectFunctionCall1(uuid_out,
																				 UUIDPGetDatum(&delivery.event))),
											 time));
	act_store_add_deliveries(&delivery, 1);
	(void) act_store_read_state(endpoint->key, &state);
	(void) owe_now(&state, &delivery, false, now, now);
	state.ready_at = now;
	act_store_write_state(&state);
	act_message_delivery_id(endpoint->key, delivery.position, now, id);
	PG_RETURN_UUID_P(id);
}

/* _activity.webhook_delivery_id(endpoint int, position bigint, created_at) */
PGDLLEXPORT Datum
act_webhook_delivery_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	act_message_delivery_id(PG_GETARG_INT32(0), PG_GETARG_INT64(1),
							PG_GETARG_TIMESTAMPTZ(2), id);
	PG_RETURN_UUID_P(id);
}

/* _activity.webhook_delivery_key(id uuid, OUT endpoint, OUT position, OUT
 * month): all null if it is none */
PGDLLEXPORT Datum
act_webhook_delivery_key(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};
	int32		endpoint = 0;
	int64		position = 0;
	TimestampTz month = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!act_message_parse_delivery_id(PG_GETARG_UUID_P(0), &endpoint, &position,
									   &month))
		memset(nulls, true, sizeof(nulls));
	values[0] = Int32GetDatum(endpoint);
	values[1] = Int64GetDatum(position);
	values[2] = TimestampTzGetDatum(month);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/*
 * _activity.deliver(organization int, type int, position bigint, event uuid):
 * what the publisher does for an event; for tests and measurements.
 */
PGDLLEXPORT Datum
act_webhook_deliver(PG_FUNCTION_ARGS)
{
	ActPublished event = {0};

	event.organization = PG_GETARG_INT32(0);
	event.type = PG_GETARG_INT32(1);
	event.position = PG_GETARG_INT64(2);
	event.id = *PG_GETARG_UUID_P(3);
	act_webhook_fan_out(&event, 1);
	PG_RETURN_VOID();
}
