/*
 * webhook/rules.c
 *		What an attempt means for its delivery and its endpoint.
 *
 *	  an attempt is	  by its status		  the delivery			the endpoint
 *	  -------------	  -------------		  ------------			------------
 *	  a success		  2xx				  delivered				well again
 *	  a failure		  anything else		  tried again, or dead	one failure more
 *	  busy			  429 502 503 504	  the same, and not		one failure more
 *										  before Retry-After
 *	  gone			  410				  parked				disabled
 *	  ours			  -1, lease lost	  tried again			not charged
 *
 *	  active --10 failures in a row--> quarantined --a success--> active
 *	  active, quarantined --5 days without success, or gone--> disabled
 *
 * A quarantined endpoint gets one delivery at a time, at growing intervals, and
 * such a probe does not use up the delivery's tries.
 */
#include "activity.h"

#include <limits.h>
#include <math.h>

#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "webhook/webhook.h"
#include "webhook/message.h"
#include "webhook/rules.h"

typedef enum AttemptClass
{
	ATTEMPT_SUCCESS,
	ATTEMPT_FAILURE,
	ATTEMPT_BUSY,
	ATTEMPT_GONE,
	ATTEMPT_OURS
} AttemptClass;

/* The first that fits. */
static const struct
{
	int			from;
	int			to;
	AttemptClass class;
}			classes[] = {
	{-1, -1, ATTEMPT_OURS},
	{200, 299, ATTEMPT_SUCCESS},
	{410, 410, ATTEMPT_GONE},
	{429, 429, ATTEMPT_BUSY},
	{502, 504, ATTEMPT_BUSY},
	{INT_MIN, INT_MAX, ATTEMPT_FAILURE}
};

/* Seconds before the second, third … try. */
static const int schedule[ACT_WEBHOOK_TRIES - 1] = {
	5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600,
	24 * 3600
};

#define JITTER 0.2
#define QUARANTINE_FAILURES 10
#define PROBE_FIRST 60			/* seconds; doubles … */
#define PROBE_LONGEST 3600		/* … up to this */
#define DISABLE_DAYS 5
#define RETRY_AFTER_MAX (24 * USECS_PER_HOUR)

/* A state with flights is looked at this often, in case a report could not
 * have the lock. */
#define VISIT_INTERVAL USECS_PER_SEC

static AttemptClass classify(int status_code);
static Interval *within_bounds(Interval *asked);
static TimestampTz with_jitter(TimestampTz now, double seconds);
static void succeed(WebhookState *state, WebhookEndpoint *endpoint,
					TimestampTz now);
static void fail(WebhookState *state, WebhookEndpoint *endpoint,
				 AttemptClass class, bool probe, const char *what,
				 TimestampTz now);
static void owe_again(WebhookState *state, const WebhookFlight *flight,
					  TimestampTz due_at, int tries, int lost);
static void record_end(WebhookEndpoint *endpoint, const WebhookFlight *flight,
					   const WebhookAttempt *attempt, TimestampTz now);
static void record_outcome(const char *type, WebhookEndpoint *endpoint,
						   int64 position, TimestampTz created_at, int attempts,
						   const WebhookAttempt *attempt);
static WebhookAttempt *find_success(int32 endpoint, int64 position, int32 from,
									int32 before, TimestampTz since,
									TimestampTz now, bool *recorded);
static char *describe(const WebhookAttempt *attempt);

void
act_rules_settle(WebhookState *state, WebhookEndpoint *endpoint, int flight,
				 const WebhookAttempt *attempt, TimestampTz now)
{
	WebhookFlight settled = state->flights[flight];
	AttemptClass class = classify(attempt->status_code);
	bool		probe = settled.probe;
	int			attempts = settled.attempt - settled.first_attempt + 1;
	int			tries = settled.tries;
	TimestampTz due_at = now;

	Assert(flight >= 0 && flight < state->nflights);
	state->flights[flight] = state->flights[--state->nflights];
	if (class == ATTEMPT_SUCCESS)
	{
		bool		recorded = false;

		succeed(state, endpoint, now);
		if (attempts > 1)
			(void) find_success(endpoint->key, settled.position,
								settled.first_attempt, settled.attempt,
								settled.created_at, now, &recorded);
		if (!recorded)
			record_outcome("webhook.delivered", endpoint, settled.position,
						   settled.created_at, attempts, attempt);
		return;
	}

	if (class == ATTEMPT_OURS)
		due_at = with_jitter(now, schedule[Min(settled.lost, lengthof(schedule) - 1)]);
	else
	{
		fail(state, endpoint, class, probe, describe(attempt), now);
		if (class != ATTEMPT_GONE && !probe)
		{
			tries++;
			if (tries >= ACT_WEBHOOK_TRIES || settled.position < 0)
			{
				record_end(endpoint, &settled, attempt, now);
				return;
			}
			due_at = with_jitter(now, schedule[tries - 1]);
		}
	}
	if ((class == ATTEMPT_BUSY || class == ATTEMPT_OURS) &&
		attempt->retry_after != NULL)
		due_at = Max(due_at, act_webhook_later(now, within_bounds(attempt->retry_after)));
	owe_again(state, &settled, due_at, tries,
			  settled.lost + (class == ATTEMPT_OURS ? 1 : 0));
}

/* The first time at once, then by the schedule, in case it is the delivery
 * that breaks its consumers; never dead, for nobody was asked. */
void
act_rules_expire(WebhookState *state, int flight, TimestampTz now)
{
	WebhookFlight lost = state->flights[flight];
	TimestampTz due_at = now;

	state->flights[flight] = state->flights[--state->nflights];
	if (lost.lost > 0)
		due_at = with_jitter(now, schedule[Min(lost.lost, lengthof(schedule)) - 1]);
	owe_again(state, &lost, due_at, lost.tries, lost.lost + 1);
}

void
act_rules_settle_late(WebhookState *state, WebhookEndpoint *endpoint,
					  const WebhookAttempt *attempt, TimestampTz created_at,
					  TimestampTz now)
{
	List	   *attempts = act_store_attempts(endpoint->key, attempt->position, 1,
											  created_at, now);
	bool		before = false;
	ListCell   *lc;
	WebhookRetry retry;

	foreach(lc, attempts)
	{
		WebhookAttempt *other = lfirst(lc);

		if (other->attempt != attempt->attempt &&
			act_rules_is_success(other->status_code) &&
			!(other->claimed_at == DT_NOEND &&
			  act_rules_will_settle(state, other)))
			before = true;
	}
	if (act_store_retry_of(endpoint->key, attempt->position, &retry) &&
		retry.first_attempt <= attempt->attempt)
		act_store_remove_retry(&retry);
	succeed(state, endpoint, now);
	if (!before)
		record_outcome("webhook.delivered", endpoint, attempt->position,
					   created_at, attempt->attempt, attempt);
}

bool
act_rules_will_settle(const WebhookState *state, const WebhookAttempt *attempt)
{
	WebhookRetry retry;

	for (int i = 0; i < state->nflights; i++)
	{
		const WebhookFlight *flight = &state->flights[i];

		if (flight->position == attempt->position &&
			flight->first_attempt <= attempt->attempt &&
			flight->attempt > attempt->attempt)
			return true;
	}
	return act_store_retry_of(attempt->endpoint, attempt->position, &retry) &&
		retry.first_attempt <= attempt->attempt &&
		retry.attempt > attempt->attempt;
}

bool
act_rules_was_delivered(WebhookState *state, WebhookEndpoint *endpoint,
						const WebhookRetry *retry, TimestampTz now)
{
	bool		recorded;
	WebhookAttempt *success = find_success(endpoint->key, retry->position,
										   retry->first_attempt, retry->attempt,
										   retry->created_at, now, &recorded);

	if (success == NULL)
		return false;
	if (!recorded)
	{
		succeed(state, endpoint, now);
		record_outcome("webhook.delivered", endpoint, retry->position,
					   retry->created_at,
					   success->attempt - retry->first_attempt + 1, success);
	}
	return true;
}

/*
 * A success among the attempts from .. before - 1; NULL: none.  One that was
 * reported late was recorded then; another one was reported by somebody who
 * could not have the lock, while its lease was being taken away, or later
 * (DT_NOEND).
 */
static WebhookAttempt *
find_success(int32 endpoint, int64 position, int32 from, int32 before,
			 TimestampTz since, TimestampTz now, bool *recorded)
{
	WebhookAttempt *success = NULL;
	ListCell   *lc;

	*recorded = false;
	foreach(lc, act_store_attempts(endpoint, position, from, since, now))
	{
		WebhookAttempt *attempt = lfirst(lc);

		if (attempt->attempt >= before || !act_rules_is_success(attempt->status_code))
			continue;
		success = attempt;
		if (attempt->claimed_at == DT_NOBEGIN)
			*recorded = true;
	}
	return success;
}

int
act_rules_allowance(const WebhookState *state, TimestampTz now, bool *probe)
{
	*probe = state->quarantined_at != DT_NOBEGIN;
	if (*probe)
		return state->nflights == 0 && state->probe_at <= now ? 1 : 0;
	return Max(0, Min(state->flow, act_setting_webhook_concurrency) -
			   state->nflights);
}

void
act_rules_disable(WebhookEndpoint *endpoint, const char *reason, TimestampTz now)
{
	if (endpoint->disabled || endpoint->deleted)
		return;
	act_store_disable(endpoint->key, reason, now);
	endpoint->disabled = true;
	act_message_record("webhook.disabled", endpoint, reason);
}

void
act_rules_schedule_visit(WebhookState *state, bool fresh, TimestampTz now)
{
	WebhookRetry retry;
	TimestampTz ready_at = DT_NOEND;

	if (fresh)
		ready_at = now;
	else if (act_store_due(state, DT_NOEND, 1, &retry) > 0)
		ready_at = retry.due_at;
	if (ready_at != DT_NOEND)
	{
		bool		probe;

		if (state->quarantined_at != DT_NOBEGIN)
			ready_at = Max(ready_at, state->probe_at);
		if (state->nflights > 0 && act_rules_allowance(state, now, &probe) == 0)
			ready_at = Max(ready_at, now + VISIT_INTERVAL);
	}
	if (state->nflights > 0)
		ready_at = Min(ready_at, now + VISIT_INTERVAL);
	state->ready_at = ready_at;
}

bool
act_rules_is_success(int status_code)
{
	return classify(status_code) == ATTEMPT_SUCCESS;
}

static AttemptClass
classify(int status_code)
{
	int			i = 0;

	while (status_code < classes[i].from || status_code > classes[i].to)
		i++;
	return classes[i].class;
}

/* What a receiver asks for is any number; it must not overflow ours. */
static Interval *
within_bounds(Interval *asked)
{
	static Interval most = {.time = RETRY_AFTER_MAX};
	static Interval least = {0};

	asked = DatumGetIntervalP(DirectFunctionCall2(interval_smaller,
												  IntervalPGetDatum(asked),
												  IntervalPGetDatum(&most)));
	return DatumGetIntervalP(DirectFunctionCall2(interval_larger,
												 IntervalPGetDatum(asked),
												 IntervalPGetDatum(&least)));
}

static TimestampTz
with_jitter(TimestampTz now, double seconds)
{
	double		factor = 1 - JITTER +
		2 * JITTER * pg_prng_double(&pg_global_prng_state);

	return now + (TimestampTz) (seconds * factor * USECS_PER_SEC);
}

/* More may be in flight with each success, so that a queue that has waited
 * begins to flow slowly. */
static void
succeed(WebhookState *state, WebhookEndpoint *endpoint, TimestampTz now)
{
	state->failures = 0;
	state->failing_since = DT_NOBEGIN;
	state->succeeded_at = now;
	state->flow = Min(state->flow + 1, act_setting_webhook_concurrency);
	if (state->quarantined_at != DT_NOBEGIN)
	{
		state->quarantined_at = state->probe_at = DT_NOBEGIN;
		state->probes = 0;
		state->flow = 1;
		if (!endpoint->disabled && !endpoint->deleted)
			act_message_record("webhook.enabled", endpoint, "a probe succeeded");
	}
}

static void
fail(WebhookState *state, WebhookEndpoint *endpoint, AttemptClass class,
	 bool probe, const char *what, TimestampTz now)
{
	state->failures++;
	if (state->failing_since == DT_NOBEGIN)
		state->failing_since = now;
	state->flow = Max(1, state->flow / 2);

	if (probe && state->quarantined_at != DT_NOBEGIN)
	{
		double		wait;

		state->probes++;
		wait = PROBE_FIRST * pow(2, Min(state->probes, 16));
		state->probe_at = with_jitter(now, Min(wait, PROBE_LONGEST));
	}
	else if (state->failures >= QUARANTINE_FAILURES &&
			 state->quarantined_at == DT_NOBEGIN)
	{
		state->quarantined_at = now;
		state->probes = 0;
		state->probe_at = with_jitter(now, PROBE_FIRST);
		if (!endpoint->disabled && !endpoint->deleted)
			act_message_record("webhook.quarantined", endpoint,
							   psprintf("%d failures in a row, the last: %s",
										state->failures, what));
	}

	if (class == ATTEMPT_GONE)
		act_rules_disable(endpoint, "410 Gone", now);
	else if (now - state->failing_since >= DISABLE_DAYS * USECS_PER_DAY)
		act_rules_disable(endpoint, "no success for 5 days", now);
}

static void
owe_again(WebhookState *state, const WebhookFlight *flight, TimestampTz due_at,
		  int tries, int lost)
{
	WebhookRetry retry = {0};

	retry.attempt = flight->attempt + 1;
	retry.due_at = due_at;
	retry.position = flight->position;
	retry.created_at = flight->created_at;
	retry.first_attempt = flight->first_attempt;
	retry.tries = tries;
	retry.lost = lost;
	act_store_add_retry(state, &retry);
}

/* No more tries: a failure, unless an earlier attempt turns out to be a success. */
static void
record_end(WebhookEndpoint *endpoint, const WebhookFlight *flight,
		   const WebhookAttempt *attempt, TimestampTz now)
{
	bool		recorded;
	WebhookAttempt *success = find_success(endpoint->key, flight->position,
										   flight->first_attempt,
										   flight->attempt, flight->created_at,
										   now, &recorded);
	const WebhookAttempt *last = success != NULL ? success : attempt;

	if (!recorded)
		record_outcome(success != NULL ? "webhook.delivered" : "webhook.delivery_failed",
					   endpoint, flight->position, flight->created_at,
					   last->attempt - flight->first_attempt + 1, last);
}

/* A test is no event's delivery, so it is no outcome either. */
static void
record_outcome(const char *type, WebhookEndpoint *endpoint, int64 position,
			   TimestampTz created_at, int attempts,
			   const WebhookAttempt *attempt)
{
	WebhookDelivery delivery;

	if (position >= 0 && !endpoint->deleted &&
		act_store_delivery(endpoint->key, position, created_at, &delivery))
		act_message_record_outcome(type, endpoint, &delivery, attempts,
								   attempt->status_code,
								   act_rules_is_success(attempt->status_code) ?
								   NULL : describe(attempt));
}

/* "503", "503: body too large", "could not resolve host" */
static char *
describe(const WebhookAttempt *attempt)
{
	char	   *error = attempt->error == NULL ? NULL :
		text_to_cstring(attempt->error);

	if (attempt->status_code <= 0)
		return error != NULL ? error : pstrdup("no answer");
	if (error == NULL)
		return psprintf("%d", attempt->status_code);
	return psprintf("%d: %s", attempt->status_code, error);
}
