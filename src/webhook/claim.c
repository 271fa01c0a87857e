/*
 * webhook/claim.c
 *		What to send now, signed.
 *
 * A claim goes round the endpoints that have something to do, beginning after
 * the one where this session's last claim ended, and takes from each what the
 * endpoint may have in flight.  So an endpoint with a million deliveries waiting
 * delays another one by no more than its own few in flight.  An endpoint whose
 * lock somebody else holds is passed over: its deliveries are being claimed.
 *
 * A claim's reads per delivery don't depend on how many wait: new deliveries
 * and due retries are read from the endpoint's marks on, and the marks are in the
 * state, whose newest version comes first.
 */
#include "activity.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "track/tier.h"
#include "webhook/webhook.h"
#include "webhook/message.h"
#include "webhook/rules.h"
#include "webhook/store.h"

PG_FUNCTION_INFO_V1(act_claim_deliveries);

/* How often to look at an endpoint that may send nothing for now. */
#define IDLE_INTERVAL USECS_PER_MINUTE

typedef struct Claim
{
	ReturnSetInfo *result;
	MemoryContext visit;		/* reset for each endpoint */
	TimestampTz now;
	Interval   *lease;
	int			wanted;
	int			claimed;
} Claim;

/* A visit to one endpoint. */
typedef struct Visit
{
	Claim	   *claim;
	WebhookEndpoint *endpoint;
	WebhookState state;
	List	   *secrets;
	bool		probe;
} Visit;

/* Where this session's next claim begins: after this endpoint. */
static int32 last_visited;
static bool visited_any = false;

static void visit_all(Claim *claim);
static void visit(Claim *claim, int32 key);
static void take(Visit *visit, int room);
static void settle_flights(Visit *visit);
static int	take_due(Visit *visit, int room);
static int	take_fresh(Visit *visit, int room);
static bool has_fresh(Visit *visit);
static int	send(Visit *visit, const WebhookDelivery *delivery,
				 WebhookFlight *flight);

/* activity.claim_deliveries(max_deliveries int, lease interval) */
PGDLLEXPORT Datum
act_claim_deliveries(PG_FUNCTION_ARGS)
{
	Claim		claim = {0};

	PreventCommandIfReadOnly("activity.claim_deliveries()");
	PreventCommandDuringRecovery("activity.claim_deliveries()");
	claim.wanted = PG_GETARG_INT32(0);
	claim.lease = PG_GETARG_INTERVAL_P(1);
	claim.now = act_webhook_clock();
	if (claim.wanted < 1 || claim.wanted > 10000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_deliveries must be from 1 to 10000, not %d",
						claim.wanted)));
	if (act_webhook_later(claim.now, claim.lease) < claim.now + USECS_PER_SEC ||
		act_webhook_later(claim.now, claim.lease) > claim.now + USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease must be from one second to one day"),
				 errhint("It should be longer than an attempt may take, its timeouts included.")));

	InitMaterializedSRF(fcinfo, 0);
	claim.result = (ReturnSetInfo *) fcinfo->resultinfo;
	claim.visit = AllocSetContextCreate(CurrentMemoryContext,
										"activity webhook visit",
										ALLOCSET_DEFAULT_SIZES);
	visit_all(&claim);
	MemoryContextDelete(claim.visit);
	return (Datum) 0;
}

/* Once round. */
static void
visit_all(Claim *claim)
{
	int32		start;
	int32		key;
	bool		wrapped = false;

	if (!visited_any)
	{
		last_visited = pg_prng_uint32(&pg_global_prng_state) & 0x3ff;
		visited_any = true;
	}
	start = key = last_visited;
	while (claim->claimed < claim->wanted)
	{
		MemoryContext old = MemoryContextSwitchTo(claim->visit);

		key = act_store_next_ready(key, claim->now);
		if (key != 0 && (!wrapped || key <= start))
		{
			if (act_store_try_lock(key))
				visit(claim, key);
			last_visited = key;
		}
		else if (key == 0 && !wrapped && start > 0)
			wrapped = true;
		else
			claim->wanted = 0;	/* been everywhere */
		MemoryContextSwitchTo(old);
		MemoryContextReset(claim->visit);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Settles what was left unsettled, takes what may be sent, writes the state. */
static void
visit(Claim *claim, int32 key)
{
	Visit		visit = {0};
	WebhookState *state = &visit.state;
	int			room;

	visit.claim = claim;
	visit.endpoint = act_store_endpoint(key);
	(void) act_store_read_state(key, state);
	act_store_forget_wakes(key);
	if (visit.endpoint != NULL && !visit.endpoint->deleted)
		settle_flights(&visit);
	if (visit.endpoint == NULL || visit.endpoint->deleted)
		state->ready_at = DT_NOEND;
	else if (visit.endpoint->disabled)
		state->ready_at = state->nflights > 0 ? claim->now + IDLE_INTERVAL : DT_NOEND;
	else if (!act_tier_allows("webhooks", visit.endpoint->organization))
		state->ready_at = claim->now + IDLE_INTERVAL;	/* it may come back */
	else
	{
		room = Min(act_rules_allowance(state, claim->now, &visit.probe),
				   claim->wanted - claim->claimed);
		if (room > 0)
			take(&visit, room);
		act_rules_schedule_visit(state, has_fresh(&visit), claim->now);
	}
	act_store_write_state(state);
}

/* What is due has the first half, so that neither kind starves the other. */
static void
take(Visit *visit, int room)
{
	int			taken;

	visit->secrets = act_store_secrets(visit->endpoint->key, visit->claim->now);
	act_store_reserve_flights(&visit->state, room);
	taken = take_due(visit, (room + 1) / 2);
	taken += take_fresh(visit, room - taken);
	if (taken < room)
		(void) take_due(visit, room - taken);
}

/*
 * Every flight is looked up among the attempts: reports settle what they report
 * if they can have the lock, and else leave that to the next visit.
 */
static void
settle_flights(Visit *visit)
{
	WebhookState *state = &visit->state;
	TimestampTz now = visit->claim->now;

	for (int i = state->nflights - 1; i >= 0; i--)
	{
		WebhookFlight *flight = &state->flights[i];
		List	   *attempts = act_store_attempts(state->endpoint, flight->position,
												  flight->attempt,
												  flight->claimed_at, now);

		/* Of the last flight moved to i, we have been there. */
		if (attempts != NIL)
		{
			WebhookAttempt *attempt = linitial(attempts);

			act_rules_settle(state, visit->endpoint, i, attempt,
							 Min(attempt->reported_at, now));
		}
		else if (flight->lease_until <= now)
			act_rules_expire(state, i, now);
	}
}

/* Up to room deliveries whose time has come; how many. */
static int
take_due(Visit *visit, int room)
{
	WebhookState *state = &visit->state;
	TimestampTz now = visit->claim->now;
	WebhookRetry *retries = palloc(sizeof(WebhookRetry) * Max(room, 1));
	int			taken = 0;
	int			count;

	while (taken < room &&
		   (count = act_store_due(state, now, room - taken, retries)) > 0)
	{
		for (int i = 0; i < count; i++)
		{
			WebhookRetry *retry = &retries[i];
			WebhookFlight flight = {0};
			WebhookDelivery delivery;

			state->retry_at = retry->due_at;
			state->retry_number = retry->number;
			act_store_remove_retry(retry);
			if (retry->attempt > retry->first_attempt &&
				act_rules_was_delivered(state, visit->endpoint, retry, now))
				continue;
			if (!act_store_delivery(state->endpoint, retry->position,
									retry->created_at, &delivery))
				continue;		/* retention has dropped it */
			flight.attempt = retry->attempt;
			flight.first_attempt = retry->first_attempt;
			flight.tries = retry->tries;
			flight.lost = retry->lost;
			taken += send(visit, &delivery, &flight);
		}
	}
	pfree(retries);
	return taken;
}

/*
 * Up to room deliveries that were never tried; how many.  Requested ones are
 * passed over for good: they wait among the retries.
 */
static int
take_fresh(Visit *visit, int room)
{
	WebhookState *state = &visit->state;
	WebhookDelivery *fresh;
	int			taken = 0;
	int			count;

	if (room <= 0)
		return 0;
	fresh = palloc(sizeof(WebhookDelivery) * room);
	while (taken < room &&
		   (count = act_store_fresh(state->endpoint, state->fresh_position,
									state->fresh_at, visit->claim->now,
									room - taken, fresh)) > 0)
	{
		for (int i = 0; i < count; i++)
		{
			WebhookFlight flight = {0};

			state->fresh_position = fresh[i].position;
			if (fresh[i].requested)
				continue;		/* made later than those behind it, maybe */
			state->fresh_at = fresh[i].created_at;
			flight.attempt = flight.first_attempt = 1;
			taken += send(visit, &fresh[i], &flight);
		}
		CHECK_FOR_INTERRUPTS();
	}
	pfree(fresh);
	return taken;
}

static bool
has_fresh(Visit *visit)
{
	WebhookDelivery one;

	return act_store_fresh(visit->state.endpoint, visit->state.fresh_position,
						   visit->state.fresh_at, visit->claim->now, 1, &one) > 0;
}

/* Hands one delivery out; 0 if there is nothing to send any more. */
static int
send(Visit *visit, const WebhookDelivery *delivery, WebhookFlight *flight)
{
	Claim	   *claim = visit->claim;
	char	   *body = act_message_body(visit->endpoint, delivery);
	pg_uuid_t	id;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (body == NULL)
	{
		act_message_record_outcome("webhook.delivery_failed", visit->endpoint,
								   delivery, flight->attempt - 1, 0,
								   "the event is no longer kept");
		return 0;
	}
	flight->position = delivery->position;
	flight->created_at = delivery->created_at;
	flight->claimed_at = claim->now;
	flight->lease_until = act_webhook_later(claim->now, claim->lease);
	flight->probe = visit->probe;
	visit->state.flights[visit->state.nflights++] = *flight;
	claim->claimed++;

	act_message_delivery_id(delivery->endpoint, delivery->position,
							delivery->created_at, &id);
	values[0] = UUIDPGetDatum(&id);
	values[1] = Int32GetDatum(flight->attempt);
	values[2] = CStringGetTextDatum(visit->endpoint->url);
	values[3] = JsonbPGetDatum(act_message_headers(delivery, visit->secrets, body,
												   claim->now));
	values[4] = CStringGetTextDatum(pg_any_to_server(body, strlen(body), PG_UTF8));
	tuplestore_putvalues(claim->result->setResult, claim->result->setDesc,
						 values, nulls);
	return 1;
}
