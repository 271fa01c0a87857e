/*
 * metrics.h
 *		What is counted, for /metrics.
 */
#ifndef METRICS_H
#define METRICS_H

#include "gateway.h"

/* The classes of what can become of a delivery, in the order of outcome_names. */
typedef enum Outcome
{
	OUTCOME_DELIVERED,			/* 2xx */
	OUTCOME_REFUSED,			/* another status */
	OUTCOME_NAME,
	OUTCOME_ADDRESS,
	OUTCOME_CONNECT,
	OUTCOME_TLS,
	OUTCOME_TIMEOUT,
	OUTCOME_RESET,
	OUTCOME_PROTOCOL,
	OUTCOME_OWN,				/* our own failure */
	OUTCOMES
} Outcome;

extern const char *const outcome_names[OUTCOMES];

typedef struct Metrics
{
	int64_t		connections;	/* now */
	int64_t		connections_total;
	int64_t		connections_refused;
	int64_t		requests[6];	/* by the status's first digit */
	int64_t		clients_websocket;	/* now */
	int64_t		clients_sse;	/* now */
	int64_t		clients_total;
	int64_t		events_sent;
	int64_t		bytes_sent;
	int64_t		closed_slow;
	int64_t		closed_lost;	/* secret, membership, tier */
	int64_t		live_reads;
	int64_t		replays;
	int64_t		replayed_events;
	int64_t		resets;
	int64_t		notifications;
	int64_t		queries;
	int64_t		query_failures;
	int64_t		reader_queries;
	int64_t		reader_fallbacks;
	int64_t		database_losses;
	int64_t		claims;
	int64_t		claimed;
	int64_t		reported;
	int64_t		outcomes[OUTCOMES];
	double		lag_sum;		/* seconds from notification to the last client's write */
	int64_t		lag_count;
} Metrics;

extern Metrics metrics;

#endif
