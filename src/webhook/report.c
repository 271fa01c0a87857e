/*
 * webhook/report.c
 *		What came of an attempt.
 *
 * A report writes the attempt down and settles it if it can have the endpoint's
 * lock at once; else it wakes the endpoint, and the next visit settles it.  A
 * report for a delivery that isn't in flight under this number any more has
 * lost its lease: it is written down too, and counts only if it was a success.
 * Such a success waits for the lock, for nobody might settle it; but where a
 * batch names endpoints in another order than theirs, it leaves that to whoever
 * settles what began when the lease was lost.
 */
#include "activity.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "webhook/webhook.h"
#include "webhook/message.h"
#include "webhook/rules.h"
#include "webhook/store.h"

PG_FUNCTION_INFO_V1(act_report_delivery);

#define ERROR_MAX 2048			/* bytes */
#define RESPONSE_MAX (16 * 1024)

static void read_arguments(FunctionCallInfo fcinfo, WebhookAttempt *attempt,
						   TimestampTz *created_at);
static text *first_bytes(FunctionCallInfo fcinfo, int argument, int max);
static bool was_reported(const WebhookAttempt *attempt, TimestampTz created_at,
						 TimestampTz now, bool *held);
static int	find_flight(const WebhookState *state, const WebhookAttempt *attempt);
static bool leave_late(WebhookEndpoint *endpoint, WebhookState *state,
					   WebhookAttempt *attempt);
static bool get_lock_now(WebhookState *state, const WebhookAttempt *attempt,
						 int *flight);
static void settle_late(WebhookEndpoint *endpoint, WebhookAttempt *attempt,
						TimestampTz created_at, TimestampTz now);

/*
 * activity.report_delivery(delivery_id uuid, attempt int, status_code int,
 * error text, duration interval, response_body text, retry_after interval)
 * RETURNS boolean: whether the lease was held.  The same report again changes
 * nothing.
 */
PGDLLEXPORT Datum
act_report_delivery(PG_FUNCTION_ARGS)
{
	TimestampTz now = act_webhook_clock();
	WebhookAttempt attempt = {0};
	TimestampTz created_at;
	WebhookDelivery delivery;
	WebhookEndpoint *endpoint;
	WebhookState state;
	bool		locked;
	bool		settles_late;
	bool		held;
	int			flight;

	PreventCommandIfReadOnly("activity.report_delivery()");
	read_arguments(fcinfo, &attempt, &created_at);
	locked = act_store_try_lock(attempt.endpoint);
	endpoint = act_store_endpoint(attempt.endpoint);
	if (endpoint == NULL ||
		!act_store_delivery(attempt.endpoint, attempt.position, created_at, &delivery))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("delivery \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															PG_GETARG_DATUM(0)))),
				 errhint("Deliveries come from activity.claim_deliveries(); old ones are dropped by retention.")));

	(void) act_store_read_state(attempt.endpoint, &state);
	flight = find_flight(&state, &attempt);
	held = flight >= 0;
	attempt.reported_at = now;
	attempt.claimed_at = held ? state.flights[flight].claimed_at : DT_NOBEGIN;
	attempt.probe = held && state.flights[flight].probe;
	settles_late = !held && !endpoint->deleted &&
		act_rules_is_success(attempt.status_code) &&
		!leave_late(endpoint, &state, &attempt);

	if (was_reported(&attempt, delivery.created_at, now, &held))
		PG_RETURN_BOOL(held);
	if (!act_store_add_attempt(&attempt))
	{
		/* By somebody we have waited for, since. */
		if (!was_reported(&attempt, delivery.created_at, now, &held))
			elog(ERROR, "attempt %d is written down, but not found", attempt.attempt);
		PG_RETURN_BOOL(held);
	}
	if (settles_late)
		settle_late(endpoint, &attempt, delivery.created_at, now);
	else if (held && !endpoint->deleted)
	{
		if (locked || get_lock_now(&state, &attempt, &flight))
		{
			act_rules_settle(&state, endpoint, flight, &attempt, now);
			state.ready_at = now;
			act_store_write_state(&state);
		}
		else
			act_store_wake(list_make1_int(attempt.endpoint));
	}
	PG_RETURN_BOOL(held);
}

static void
read_arguments(FunctionCallInfo fcinfo, WebhookAttempt *attempt,
			   TimestampTz *created_at)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("delivery_id and attempt must not be null")));
	if (!act_message_parse_delivery_id(PG_GETARG_UUID_P(0), &attempt->endpoint,
									   &attempt->position, created_at))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("delivery \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															PG_GETARG_DATUM(0))))));
	attempt->attempt = PG_GETARG_INT32(1);
	if (attempt->attempt < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("attempts are numbered from 1, not %d", attempt->attempt)));
	attempt->status_code = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (attempt->status_code != 0 && attempt->status_code != -1 &&
		(attempt->status_code < 100 || attempt->status_code > 599))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d is no status code of HTTP", attempt->status_code),
				 errhint("Null means that no answer came, -1 that the sender could not try.")));
	attempt->error = first_bytes(fcinfo, 3, ERROR_MAX);
	attempt->duration = PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4);
	attempt->response_body = first_bytes(fcinfo, 5, RESPONSE_MAX);
	attempt->retry_after = PG_ARGISNULL(6) ? NULL : PG_GETARG_INTERVAL_P(6);
}

/* A text argument, cut between characters; NULL if it is null. */
static text *
first_bytes(FunctionCallInfo fcinfo, int argument, int max)
{
	text	   *whole;
	int			len;

	if (PG_ARGISNULL(argument))
		return NULL;
	whole = PG_GETARG_TEXT_PP(argument);
	len = VARSIZE_ANY_EXHDR(whole);
	return cstring_to_text_with_len(VARDATA_ANY(whole),
									pg_mbcliplen(VARDATA_ANY(whole), len, max));
}

/* Is the attempt written down; did it hold its lease? */
static bool
was_reported(const WebhookAttempt *attempt, TimestampTz created_at,
			 TimestampTz now, bool *held)
{
	ListCell   *lc;

	foreach(lc, act_store_attempts(attempt->endpoint, attempt->position,
								   attempt->attempt, created_at, now))
	{
		WebhookAttempt *other = lfirst(lc);

		if (other->attempt != attempt->attempt)
			continue;
		*held = !TIMESTAMP_NOT_FINITE(other->claimed_at);
		return true;
	}
	return false;
}

/* -1: not in flight, or under another number. */
static int
find_flight(const WebhookState *state, const WebhookAttempt *attempt)
{
	for (int i = 0; i < state->nflights; i++)
		if (state->flights[i].position == attempt->position &&
			state->flights[i].attempt == attempt->attempt)
			return i;
	return -1;
}

/*
 * True if the late success is for others to settle, and marked so; else we have
 * the endpoint's lock, whatever it takes if nobody else would.
 */
static bool
leave_late(WebhookEndpoint *endpoint, WebhookState *state,
		   WebhookAttempt *attempt)
{
	if (act_store_lock_in_order(endpoint->key))
		return false;
	if (act_rules_will_settle(state, attempt))
	{
		attempt->claimed_at = DT_NOEND;
		return true;
	}
	act_store_lock(endpoint->key);
	return false;
}

/* Asks for the lock again: we may have waited for its last holder. */
static bool
get_lock_now(WebhookState *state, const WebhookAttempt *attempt, int *flight)
{
	if (!act_store_try_lock(attempt->endpoint))
		return false;
	(void) act_store_read_state(attempt->endpoint, state);
	*flight = find_flight(state, attempt);
	return *flight >= 0;
}

/*
 * Under the lock.  A failure means nothing any more: the delivery was owed
 * again when the lease ended.
 */
static void
settle_late(WebhookEndpoint *endpoint, WebhookAttempt *attempt,
			TimestampTz created_at, TimestampTz now)
{
	WebhookState state;

	(void) act_store_read_state(endpoint->key, &state);
	act_rules_settle_late(&state, endpoint, attempt, created_at, now);
	state.ready_at = now;
	act_store_write_state(&state);
}
