/*
 * webhook/claim.c
 *		What to send now, signed.
 *
 * A claim goes round the endpoints that have something to do, beginning after
 * the one where this session's last claim ended, and takes from each what the
 * endpoint may have in flight.  However many there are, it visits a few dozen, so
 * that neither its locks nor its time grow with them.  So an endpoint with a million deliveries waiting
 * delays another one by no more than its own few in flight.  An endpoint whose
 * lock somebody else holds is passed over: its deliveries are being claimed.
 *
 * A claim's reads per delivery don't depend on how many wait: new deliveries
 * and due retries are read from the endpoint's marks on, and the marks are in the
 * state, whose newest version comes first.
 */
#include "activity.h"

#include "access/xact.h"
#include "common/int.h"
#include "common/pg_prng.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/plant.h"
#include "event/aside.h"
#include "track/tier.h"
#include "webhook/webhook.h"
#include "webhook/message.h"
#include "webhook/rules.h"
#include "webhook/store.h"

PG_FUNCTION_INFO_V1(act_claim_deliveries);

/* How often to look at an endpoint that may send nothing for now. */
#define IDLE_INTERVAL USECS_PER_MINUTE

/*
 * Endpoints that a claim visits, each with a lock until the transaction ends, and
 * entries of either list that it looks at on the way.  The next claim goes on
 * from there.
 */
#define VISITS_MOST 50
#define LOOKS_MOST 1000

/* Bytes of bodies after which a claim has enough. */
#define BYTES_MOST (64 * 1024 * 1024)

/* Claims after a failure that are done carefully. */
#define CAREFUL_CLAIMS 100

#define RESULT_COLUMNS 5

/* The steps in activity.set_aside. */
#define CLAIM_STEP "claim"
#define DELIVER_STEP "deliver"

typedef struct Claim
{
	ReturnSetInfo *result;
	MemoryContext visit;		/* reset for each endpoint */
	TimestampTz now;
	Interval   *lease;
	int			wanted;
	int			claimed;
	Size		bytes;			/* of bodies */
	bool		careful;		/* each endpoint in a subtransaction */
	List	   *asides;			/* ActAside of claims and deliveries */
} Claim;

/* One of the two lists of endpoints that have something to do. */
typedef struct Round
{
	int32		(*next) (int32 *after, TimestampTz now, int *looks);
	int32	   *after;			/* where this session has come */
	int32		start;
	int			looks;			/* that are left */
	bool		wrapped;
	bool		over;
} Round;

/* A visit to one endpoint. */
typedef struct Visit
{
	Claim	   *claim;
	int32		key;
	WebhookEndpoint *endpoint;
	WebhookState state;
	List	   *secrets;
	bool		probe;
	List	   *rows;			/* Datum[RESULT_COLUMNS], for the result */
	Size		bytes;
} Visit;

/* One delivery's row of the result. */
typedef struct Rendering
{
	Visit	   *visit;
	const WebhookDelivery *delivery;
	const WebhookFlight *flight;
	pg_uuid_t	id;
	Datum	   *values;			/* NULL: the event has gone */
	Size		bytes;
} Rendering;

/* Where this session's next claim begins in each list: after this endpoint. */
static int32 after_woken;
static int32 after_busy;
static bool visited_any = false;

/* Claims that are still to be done carefully: the first one, and after a failure. */
static int	careful = 1;

static bool is_lease(const Interval *lease);
static void visit_all(Claim *claim);
static bool is_full(const Claim *claim);
static int32 next_endpoint(Round *round, TimestampTz now);
static void visit(Claim *claim, int32 key);
static void visit_locked(void *argument);
static ActAside *find_aside(const Claim *claim, const char *step,
							const char *item);
static ActAside *put_aside(Claim *claim, ActAside *aside, const char *step,
						   int32 organization, const char *item,
						   const ActFailure *failure);
static void render(void *argument);
static void owe_later(Visit *visit, const WebhookDelivery *delivery,
					  const WebhookFlight *flight, const ActAside *aside);
static char *uuid_text(const pg_uuid_t *id);
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
	if (!is_lease(claim.lease))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lease must be from one second to one day"),
				 errhint("It should be longer than an attempt may take, its timeouts included.")));

	InitMaterializedSRF(fcinfo, 0);
	claim.result = (ReturnSetInfo *) fcinfo->resultinfo;
	claim.visit = AllocSetContextCreate(CurrentMemoryContext,
										"activity webhook visit",
										ALLOCSET_DEFAULT_SIZES);
	claim.asides = list_concat(act_aside_list(CLAIM_STEP),
							   act_aside_list(DELIVER_STEP));
	claim.careful = careful > 0 || claim.asides != NIL;
	PG_TRY();
	{
		visit_all(&claim);
	}
	PG_CATCH();
	{
		careful = CAREFUL_CLAIMS;
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (careful > 0)
		careful--;
	MemoryContextDelete(claim.visit);
	return (Datum) 0;
}

/* From a second to a day, before it is added to anything. */
static bool
is_lease(const Interval *lease)
{
	int64		length;

	return lease->month == 0 &&
		!pg_mul_s64_overflow(lease->day, USECS_PER_DAY, &length) &&
		!pg_add_s64_overflow(length, lease->time, &length) &&
		length >= USECS_PER_SEC && length <= USECS_PER_DAY;
}

/*
 * Goes through both lists by turns, so that neither keeps the other waiting, once
 * round or as far as visits and looks go.
 */
static void
visit_all(Claim *claim)
{
	Round		rounds[] = {
		{act_store_next_woken, &after_woken},
		{act_store_next_busy, &after_busy}
	};
	int			visits = VISITS_MOST;

	if (!visited_any)
		after_woken = after_busy = pg_prng_uint32(&pg_global_prng_state) & 0x3ff;
	visited_any = true;
	for (int i = 0; i < lengthof(rounds); i++)
	{
		rounds[i].start = *rounds[i].after;
		rounds[i].looks = LOOKS_MOST;
	}
	for (int i = 0; visits > 0 && !is_full(claim); i = 1 - i)
	{
		MemoryContext old = MemoryContextSwitchTo(claim->visit);
		int32		key = next_endpoint(&rounds[i], claim->now);

		if (key != 0)
		{
			visits--;
			visit(claim, key);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(claim->visit);
		CHECK_FOR_INTERRUPTS();
		if (rounds[0].over && rounds[1].over)
			break;
	}
}

static bool
is_full(const Claim *claim)
{
	return claim->claimed >= claim->wanted || claim->bytes >= BYTES_MOST;
}

/* The next one of the list; 0: for this claim the list is over. */
static int32
next_endpoint(Round *round, TimestampTz now)
{
	while (!round->over)
	{
		int32		key = round->next(round->after, now, &round->looks);

		if (round->wrapped && *round->after > round->start)
			key = 0;
		if (key != 0)
			return key;
		if (round->looks <= 0 || round->wrapped || round->start <= 0)
			round->over = true;
		else
		{
			round->wrapped = true;
			*round->after = 0;
		}
	}
	return 0;
}

/*
 * Visits the endpoint, unless somebody else does.  A careful claim sets an
 * endpoint aside at which something fails that is not of a single delivery.
 */
static void
visit(Claim *claim, int32 key)
{
	Visit		visit = {claim, key};
	WebhookEndpoint *endpoint;
	ActAside   *aside = NULL;
	ActFailure	failure;
	ListCell   *cell;
	char	   *name;

	Assert(claim->claimed < claim->wanted);
	if (claim->careful)
	{
		endpoint = act_store_endpoint(key);
		name = endpoint == NULL ? psprintf("%d", key) : uuid_text(&endpoint->id);
		aside = find_aside(claim, CLAIM_STEP, name);
		if (aside != NULL && aside->next_attempt > GetCurrentTimestamp())
			return;
		if (!act_store_try_lock(key))
			return;
		if (!act_aside_try(visit_locked, &visit, &failure))
		{
			aside = put_aside(claim, aside, CLAIM_STEP,
							  endpoint == NULL ? 0 : endpoint->organization, name, &failure);
			/* It may be in the other list, too. */
			claim->asides = act_aside_keep(claim->asides, aside, MemoryContextGetParent(claim->visit));
			return;
		}
		if (aside != NULL)
			act_aside_clear(aside);
	}
	else if (act_store_try_lock(key))
		visit_locked(&visit);

	/* Only now: a row can't be taken back from the result. */
	foreach(cell, visit.rows)
	{
		bool		nulls[RESULT_COLUMNS] = {false};

		tuplestore_putvalues(claim->result->setResult, claim->result->setDesc,
							 lfirst(cell), nulls);
		claim->claimed++;
	}
	claim->bytes += visit.bytes;
}

static ActAside *
find_aside(const Claim *claim, const char *step, const char *item)
{
	ListCell   *cell;

	foreach(cell, claim->asides)
	{
		ActAside   *aside = lfirst(cell);

		if (strcmp(aside->step, step) == 0 && strcmp(aside->item, item) == 0)
			return aside;
	}
	return NULL;
}

static ActAside *
put_aside(Claim *claim, ActAside *aside, const char *step, int32 organization,
		  const char *item, const ActFailure *failure)
{
	if (aside == NULL)
	{
		aside = palloc0(sizeof(ActAside));
		aside->step = step;
		aside->organization = organization;
		aside->item = item;
	}
	act_aside_put(aside, failure);
	return aside;
}

/* Settles what was left unsettled, takes what may be sent, writes the state. */
static void
visit_locked(void *argument)
{
	Visit	   *visit = argument;
	Claim	   *claim = visit->claim;
	WebhookState *state = &visit->state;
	int			room;

	visit->endpoint = act_store_endpoint(visit->key);
	(void) act_store_read_state(visit->key, state);
	act_store_forget_wakes(visit->key);
	if (visit->endpoint != NULL && !visit->endpoint->deleted)
	{
		act_plant("claim", visit->endpoint->organization);
		settle_flights(visit);
	}
	if (visit->endpoint == NULL || visit->endpoint->deleted)
		state->ready_at = DT_NOEND;
	else if (visit->endpoint->disabled)
		state->ready_at = state->nflights > 0 ? claim->now + IDLE_INTERVAL : DT_NOEND;
	else if (!act_tier_allows("webhooks", visit->endpoint->organization))
		state->ready_at = claim->now + IDLE_INTERVAL;	/* it may come back */
	else
	{
		room = Min(act_rules_allowance(state, claim->now, &visit->probe),
				   claim->wanted - claim->claimed);
		if (room > 0)
			take(visit, room);
		act_rules_schedule_visit(state, has_fresh(visit), claim->now);
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

/* Hands one delivery out; 0 if there is nothing to send, or not now. */
static int
send(Visit *visit, const WebhookDelivery *delivery, WebhookFlight *flight)
{
	Claim	   *claim = visit->claim;
	Rendering	rendering = {visit, delivery, flight};
	ActAside   *aside = NULL;
	ActFailure	failure;

	act_message_delivery_id(delivery->endpoint, delivery->position,
							delivery->created_at, &rendering.id);
	if (claim->asides != NIL)
		aside = find_aside(claim, DELIVER_STEP, uuid_text(&rendering.id));
	if (!claim->careful)
		render(&rendering);
	else if (!act_aside_try(render, &rendering, &failure))
	{
		aside = put_aside(claim, aside, DELIVER_STEP, visit->endpoint->organization,
						  uuid_text(&rendering.id), &failure);
		owe_later(visit, delivery, flight, aside);
		return 0;
	}
	if (aside != NULL)
		act_aside_clear(aside);
	if (rendering.values == NULL)
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
	visit->rows = lappend(visit->rows, rendering.values);
	visit->bytes += rendering.bytes;
	return 1;
}

/* The row of the result, unless the event has gone. */
static void
render(void *argument)
{
	Rendering  *rendering = argument;
	Visit	   *visit = rendering->visit;
	const WebhookDelivery *delivery = rendering->delivery;
	char	   *body = act_message_body(visit->endpoint, delivery);
	Datum	   *values;

	act_plant("deliver", visit->endpoint->organization);
	if (body == NULL)
		return;
	values = palloc(RESULT_COLUMNS * sizeof(Datum));
	values[0] = UUIDPGetDatum(memcpy(palloc(UUID_LEN), &rendering->id, UUID_LEN));
	values[1] = Int32GetDatum(rendering->flight->attempt);
	values[2] = CStringGetTextDatum(visit->endpoint->url);
	values[3] = JsonbPGetDatum(act_message_headers(delivery, visit->secrets, body,
												   visit->claim->now));
	values[4] = CStringGetTextDatum(pg_any_to_server(body, strlen(body), PG_UTF8));
	rendering->bytes = strlen(body);
	rendering->values = values;
}

/* The delivery waits among the retries until what was set aside is due. */
static void
owe_later(Visit *visit, const WebhookDelivery *delivery,
		  const WebhookFlight *flight, const ActAside *aside)
{
	WebhookRetry retry = {
		.endpoint = delivery->endpoint,
		.attempt = flight->attempt,
		.position = delivery->position,
		.created_at = delivery->created_at,
		.first_attempt = flight->first_attempt,
		.tries = flight->tries,
		.lost = flight->lost
	};

	retry.due_at = visit->claim->now +
		(aside->next_attempt - GetCurrentTimestamp());
	act_store_add_retry(&visit->state, &retry);
}

static char *
uuid_text(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}
