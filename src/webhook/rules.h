/*
 * webhook/rules.h
 *		What an attempt means for its delivery and its endpoint.
 */
#ifndef ACT_WEBHOOK_RULES_H
#define ACT_WEBHOOK_RULES_H

#include "webhook/store.h"

/* Attempts of a round; the last failure makes the delivery dead. */
#define ACT_WEBHOOK_TRIES 10

/*
 * Settles one flight by what was reported of it, under the endpoint's lock:
 * takes it out of the state, moves the endpoint's health, puts the delivery
 * where it belongs now, and records what happened.  now: when it was reported.
 * Changes *endpoint when it disables it.  The caller writes the state.
 */
extern void act_rules_settle(WebhookState *state, WebhookEndpoint *endpoint,
							 int flight, const WebhookAttempt *attempt,
							 TimestampTz now);

/* Settles a flight whose lease ended without a report: owed again. */
extern void act_rules_expire(WebhookState *state, int flight, TimestampTz now);

/*
 * A success that was reported after its lease was lost: counts as delivered,
 * unless it is already, and nothing is retried any more.
 */
extern void act_rules_settle_late(WebhookState *state, WebhookEndpoint *endpoint,
								  const WebhookAttempt *attempt,
								  TimestampTz created_at, TimestampTz now);

/*
 * Whether a success that is written down now is found by whoever settles a later
 * attempt, or begins one.
 */
extern bool act_rules_will_settle(const WebhookState *state,
								  const WebhookAttempt *attempt);

/*
 * Whether an earlier attempt of the round turned out to have delivered it, so
 * that the retry has nothing to do.  Records the success if nobody has.
 */
extern bool act_rules_was_delivered(WebhookState *state, WebhookEndpoint *endpoint,
									const WebhookRetry *retry, TimestampTz now);

/* How many may be sent to the endpoint now; *probe: only to see if it is well. */
extern int	act_rules_allowance(const WebhookState *state, TimestampTz now,
								bool *probe);

extern void act_rules_disable(WebhookEndpoint *endpoint, const char *reason,
							  TimestampTz now);

/* Sets ready_at by what is left to do; fresh: deliveries that are new are. */
extern void act_rules_schedule_visit(WebhookState *state, bool fresh,
									 TimestampTz now);

extern bool act_rules_is_success(int status_code);

#endif
