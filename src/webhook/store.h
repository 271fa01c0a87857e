/*
 * webhook/store.h
 *		The rows of webhooks: read through their indexes, written one by one.
 *
 * Reads are of the moment, not of the statement's or transaction's snapshot:
 * whoever has just got an endpoint's lock must see what its last holder did.
 */
#ifndef ACT_WEBHOOK_STORE_H
#define ACT_WEBHOOK_STORE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

/* A delivery that is being sent. */
typedef struct WebhookFlight
{
	int64		position;
	TimestampTz created_at;		/* of the delivery */
	TimestampTz claimed_at;
	TimestampTz lease_until;
	int32		attempt;
	int32		first_attempt;	/* of this round */
	int			tries;			/* that counted, in this round */
	int			lost;			/* leases and failures of our own side */
	bool		probe;
} WebhookFlight;

/* How an endpoint stands.  Times are DT_NOBEGIN where there is none. */
typedef struct WebhookState
{
	int32		endpoint;
	ItemPointerData tid;		/* of the version that was read; or invalid */
	int64		fresh_position;
	TimestampTz fresh_at;
	TimestampTz retry_at;
	int64		retry_number;
	TimestampTz ready_at;		/* DT_NOEND: when woken */
	int			failures;
	int			probes;
	int			flow;
	TimestampTz failing_since;
	TimestampTz succeeded_at;
	TimestampTz quarantined_at;
	TimestampTz probe_at;
	int			nflights;
	WebhookFlight *flights;		/* room for more than nflights; see reserve */
	int			room;
} WebhookState;

typedef struct WebhookEndpoint
{
	int32		key;
	pg_uuid_t	id;
	int32		organization;
	char	   *url;
	bool		disabled;
	bool		deleted;
} WebhookEndpoint;

typedef struct WebhookDelivery
{
	int64		position;
	TimestampTz created_at;
	int32		endpoint;
	int32		type;
	pg_uuid_t	event;
	bool		requested;
	text	   *body;			/* of a test; else NULL */
} WebhookDelivery;

typedef struct WebhookAttempt
{
	int64		position;
	TimestampTz reported_at;
	int32		endpoint;
	int32		attempt;
	TimestampTz claimed_at;		/* DT_NOBEGIN: late; DT_NOEND: late, and a
								 * success that is settled by others */
	int			status_code;	/* 0: no answer; -1: our own failure */
	bool		probe;
	Interval   *retry_after;	/* NULL: none */
	Interval   *duration;		/* NULL: unknown */
	text	   *error;			/* NULL: none */
	text	   *response_body;	/* NULL: none */
} WebhookAttempt;

typedef struct WebhookRetry
{
	ItemPointerData tid;
	int32		endpoint;
	int32		attempt;
	TimestampTz due_at;
	int64		number;
	int64		position;
	TimestampTz created_at;
	int32		first_attempt;
	int			tries;
	int			lost;
} WebhookRetry;

/*
 * The endpoint's lock, held until the transaction ends.  In order means that it
 * is waited for only if the transaction has none of a later endpoint: those who
 * wait so can't be in a deadlock.
 */
extern bool act_store_try_lock(int32 endpoint);
extern bool act_store_lock_in_order(int32 endpoint);
extern void act_store_lock(int32 endpoint);
/* The transaction has ended, and its locks with it. */
extern void act_store_forget_locks(void);

/* NULL: there is none.  palloc'd. */
extern WebhookEndpoint *act_store_endpoint(int32 key);
extern WebhookEndpoint *act_store_endpoint_by_id(const pg_uuid_t *id);

/* Writes the endpoint's row anew; under its lock. */
extern void act_store_disable(int32 endpoint, const char *reason, TimestampTz now);

/* The texts of the secrets that sign now, newest first. */
extern List *act_store_secrets(int32 endpoint, TimestampTz now);

/* The newest version; false: there is none, *state is one to begin with. */
extern bool act_store_read_state(int32 endpoint, WebhookState *state);

/* Replaces the version that was read; only under the endpoint's lock. */
extern void act_store_write_state(WebhookState *state);
extern void act_store_reserve_flights(WebhookState *state, int more);

/* False: not there.  created_at tells the month, exact or not. */
extern bool act_store_delivery(int32 endpoint, int64 position,
							   TimestampTz created_at, WebhookDelivery *delivery);
/* All of them made at the same time. */
extern void act_store_add_deliveries(const WebhookDelivery *deliveries, int count);

/*
 * Up to max rows with a position after the mark, in order of position, all of
 * them made at fresh_at or later.
 */
extern int	act_store_fresh(int32 endpoint, int64 after, TimestampTz since,
							TimestampTz now, int max, WebhookDelivery *rows);

/* Attempts of a delivery that were reported since, from a number on; a List of
 * palloc'd WebhookAttempt in no order, without the texts. */
extern List *act_store_attempts(int32 endpoint, int64 position,
								int32 from, TimestampTz since, TimestampTz now);
extern bool act_store_add_attempt(const WebhookAttempt *attempt);

/* Up to max rows after the state's mark and due, in order. */
extern int	act_store_due(const WebhookState *state, TimestampTz until, int max,
						  WebhookRetry *rows);
extern bool act_store_retry_of(int32 endpoint, int64 position, WebhookRetry *retry);
extern void act_store_add_retry(const WebhookState *state, WebhookRetry *retry);
extern void act_store_remove_retry(const WebhookRetry *retry);

/* Keys of endpoints that have something new. */
extern void act_store_wake(const List *endpoints);

/* Removes what woke the endpoint, as far as this moment shows it. */
extern void act_store_forget_wakes(int32 endpoint);

/*
 * The next endpoint after this key that was woken, or that has something to do by
 * now; 0: none.  A call takes from looks what it looks at, a few buffers each, and
 * gives up when nothing is left of them; *after is how far it came then.
 */
extern int32 act_store_next_woken(int32 *after, TimestampTz now, int *looks);
extern int32 act_store_next_busy(int32 *after, TimestampTz now, int *looks);

#endif
