/*
 * webhook/log.c
 *		Deliveries, attempts, and the retries that wait for their time.
 *
 * Deliveries and attempts are in monthly partitions, as far as there are any;
 * the default partition takes the rest.  The leaf of a month is found by its
 * name, so that no plan and no pruning stands between a claim and its index.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/own_row.h"
#include "webhook/columns.h"
#include "webhook/store.h"

/* The clock may have been set back by this much between two rows. */
#define CLOCK_SLACK USECS_PER_DAY

/* No scan goes back further than this. */
#define MONTHS_MAX 36

static Relation open_leaf(const char *parent, TimestampTz time, LOCKMODE lock,
						  char *name);
static List *leaves(const char *parent, TimestampTz since, TimestampTz until);
static void read_delivery(HeapTuple row, TupleDesc desc, WebhookDelivery *delivery);
static void read_retry(HeapTuple row, TupleDesc desc, WebhookRetry *retry);
static int	by_position(const void *a, const void *b);

/* Where a row of this time belongs; its name into name. */
static Relation
open_leaf(const char *parent, TimestampTz time, LOCKMODE lock, char *name)
{
	Relation	rel;

	act_row_leaf_name(parent, time, name);
	rel = act_row_open(name, lock);
	if (rel == NULL)
	{
		snprintf(name, NAMEDATALEN, "%s_default", parent);
		rel = act_row_open(name, lock);
	}
	return rel;
}

/*
 * The names of the partitions that hold rows of these times, oldest first, the
 * default one at the end; which of them exist is for the caller to see.
 */
static List *
leaves(const char *parent, TimestampTz since, TimestampTz until)
{
	List	   *names = NIL;
	char	   *name = palloc(NAMEDATALEN);
	char		last[NAMEDATALEN];

	since = Max(Min(since, until), until - MONTHS_MAX * 31 * USECS_PER_DAY) -
		CLOCK_SLACK;
	act_row_leaf_name(parent, until + CLOCK_SLACK, last);
	for (;; since += 28 * USECS_PER_DAY)
	{
		act_row_leaf_name(parent, Min(since, until + CLOCK_SLACK), name);
		if (names == NIL || strcmp(name, llast(names)) != 0)
		{
			names = lappend(names, name);
			name = palloc(NAMEDATALEN);
		}
		if (strcmp(llast(names), last) == 0)
			break;
	}
	snprintf(name, NAMEDATALEN, "%s_default", parent);
	return lappend(names, name);
}

static void
read_delivery(HeapTuple row, TupleDesc desc, WebhookDelivery *delivery)
{
	Datum		values[DELIVERY_COLUMNS];
	bool		nulls[DELIVERY_COLUMNS];

	heap_deform_tuple(row, desc, values, nulls);
	delivery->position = DatumGetInt64(values[DELIVERY_POSITION - 1]);
	delivery->created_at = DatumGetTimestampTz(values[DELIVERY_CREATED_AT - 1]);
	delivery->endpoint = DatumGetInt32(values[DELIVERY_ENDPOINT - 1]);
	delivery->type = DatumGetInt32(values[DELIVERY_TYPE - 1]);
	delivery->event = *DatumGetUUIDP(values[DELIVERY_EVENT - 1]);
	delivery->requested = DatumGetBool(values[DELIVERY_REQUESTED - 1]);
	delivery->body = nulls[DELIVERY_BODY - 1] ? NULL :
		DatumGetTextPCopy(values[DELIVERY_BODY - 1]);
}

bool
act_store_delivery(int32 endpoint, int64 position, TimestampTz created_at,
				   WebhookDelivery *delivery)
{
	char		name[NAMEDATALEN];
	char		index[NAMEDATALEN + 8];
	bool		found = false;

	act_row_leaf_name("webhook_delivery", created_at, name);
	for (int i = 0; i < 2 && !found; i++)
	{
		Relation	rel = act_row_open(name, AccessShareLock);
		ScanKeyData keys[2];
		ActRowScan	scan;
		HeapTuple	row;

		if (rel != NULL)
		{
			ScanKeyInit(&keys[0], DELIVERY_ENDPOINT, BTEqualStrategyNumber,
						F_INT4EQ, Int32GetDatum(endpoint));
			ScanKeyInit(&keys[1], DELIVERY_POSITION, BTEqualStrategyNumber,
						F_INT8EQ, Int64GetDatum(position));
			snprintf(index, sizeof(index), "%s_key", name);
			act_row_begin(&scan, rel, index, 2, keys);
			row = act_row_next(&scan);
			if (row != NULL)
			{
				found = true;
				read_delivery(row, RelationGetDescr(rel), delivery);
			}
			act_row_end(&scan);
		}
		snprintf(name, sizeof(name), "webhook_delivery_default");
	}
	return found;
}

void
act_store_add_deliveries(const WebhookDelivery *deliveries, int count)
{
	char		name[NAMEDATALEN];
	ActRowWriter writer;

	act_row_begin_write(&writer, open_leaf("webhook_delivery",
										   deliveries[0].created_at,
										   RowExclusiveLock, name));
	for (int i = 0; i < count; i++)
	{
		const WebhookDelivery *delivery = &deliveries[i];
		Datum		values[DELIVERY_COLUMNS];
		bool		nulls[DELIVERY_COLUMNS] = {false};

		Assert(delivery->created_at == deliveries[0].created_at);
		values[DELIVERY_POSITION - 1] = Int64GetDatum(delivery->position);
		values[DELIVERY_CREATED_AT - 1] = TimestampTzGetDatum(delivery->created_at);
		values[DELIVERY_ENDPOINT - 1] = Int32GetDatum(delivery->endpoint);
		values[DELIVERY_TYPE - 1] = Int32GetDatum(delivery->type);
		values[DELIVERY_EVENT - 1] = UUIDPGetDatum(&delivery->event);
		values[DELIVERY_REQUESTED - 1] = BoolGetDatum(delivery->requested);
		values[DELIVERY_BODY - 1] = PointerGetDatum(delivery->body);
		nulls[DELIVERY_BODY - 1] = delivery->body == NULL;
		act_row_write(&writer, values, nulls);
	}
	act_row_end_write(&writer);
}

/*
 * With one snapshot for all partitions: a later delivery must not be seen in
 * one of them while an earlier one, in another, is not, or that is passed over
 * for good.
 */
int
act_store_fresh(int32 endpoint, int64 after, TimestampTz since, TimestampTz now,
				int max, WebhookDelivery *rows)
{
	ListCell   *lc;
	WebhookDelivery *all;
	int			count = 0;
	List	   *names = leaves("webhook_delivery", since, now);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	all = palloc(sizeof(WebhookDelivery) * max * list_length(names));
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);
		Relation	rel = act_row_open(name, AccessShareLock);
		char		index[NAMEDATALEN + 8];
		ScanKeyData keys[2];
		ActRowScan	scan;
		HeapTuple	row;
		int			taken = 0;

		if (rel == NULL)
			continue;
		ScanKeyInit(&keys[0], DELIVERY_ENDPOINT, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(endpoint));
		ScanKeyInit(&keys[1], DELIVERY_POSITION, BTGreaterStrategyNumber,
					F_INT8GT, Int64GetDatum(after));
		snprintf(index, sizeof(index), "%s_key", name);
		act_row_begin_at(&scan, rel, index, 2, keys, snapshot);
		while (taken < max && (row = act_row_next(&scan)) != NULL)
		{
			read_delivery(row, RelationGetDescr(rel), &all[count++]);
			taken++;
		}
		act_row_end(&scan);
	}
	UnregisterSnapshot(snapshot);
	qsort(all, count, sizeof(WebhookDelivery), by_position);
	count = Min(count, max);
	memcpy(rows, all, count * sizeof(WebhookDelivery));
	pfree(all);
	return count;
}

static int
by_position(const void *a, const void *b)
{
	int64		x = ((const WebhookDelivery *) a)->position;
	int64		y = ((const WebhookDelivery *) b)->position;

	return x < y ? -1 : x > y;
}

List *
act_store_attempts(int32 endpoint, int64 position, int32 from,
				   TimestampTz since, TimestampTz now)
{
	List	   *attempts = NIL;
	ListCell   *lc;

	foreach(lc, leaves("webhook_attempt", since, now))
	{
		char	   *name = lfirst(lc);
		Relation	rel = act_row_open(name, AccessShareLock);
		char		index[NAMEDATALEN + 8];
		ScanKeyData keys[3];
		ActRowScan	scan;
		HeapTuple	row;

		if (rel == NULL)
			continue;
		ScanKeyInit(&keys[0], ATTEMPT_ENDPOINT, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(endpoint));
		ScanKeyInit(&keys[1], ATTEMPT_POSITION, BTEqualStrategyNumber,
					F_INT8EQ, Int64GetDatum(position));
		ScanKeyInit(&keys[2], ATTEMPT_ATTEMPT, BTGreaterEqualStrategyNumber,
					F_INT4GE, Int32GetDatum(from));
		snprintf(index, sizeof(index), "%s_key", name);
		act_row_begin(&scan, rel, index, 3, keys);
		while ((row = act_row_next(&scan)) != NULL)
		{
			WebhookAttempt *attempt = palloc0(sizeof(WebhookAttempt));
			Datum		values[ATTEMPT_COLUMNS];
			bool		nulls[ATTEMPT_COLUMNS];

			heap_deform_tuple(row, RelationGetDescr(rel), values, nulls);
			attempt->position = position;
			attempt->endpoint = endpoint;
			attempt->reported_at = DatumGetTimestampTz(values[ATTEMPT_REPORTED_AT - 1]);
			attempt->attempt = DatumGetInt32(values[ATTEMPT_ATTEMPT - 1]);
			attempt->claimed_at = nulls[ATTEMPT_CLAIMED_AT - 1] ? DT_NOBEGIN :
				DatumGetTimestampTz(values[ATTEMPT_CLAIMED_AT - 1]);
			attempt->status_code = nulls[ATTEMPT_STATUS_CODE - 1] ? 0 :
				DatumGetInt32(values[ATTEMPT_STATUS_CODE - 1]);
			attempt->probe = DatumGetBool(values[ATTEMPT_PROBE - 1]);
			if (!nulls[ATTEMPT_RETRY_AFTER - 1])
			{
				attempt->retry_after = palloc(sizeof(Interval));
				*attempt->retry_after = *DatumGetIntervalP(values[ATTEMPT_RETRY_AFTER - 1]);
			}
			if (!nulls[ATTEMPT_ERROR - 1])
				attempt->error = DatumGetTextPCopy(values[ATTEMPT_ERROR - 1]);
			attempts = lappend(attempts, attempt);
		}
		act_row_end(&scan);
	}
	return attempts;
}

bool
act_store_add_attempt(const WebhookAttempt *attempt)
{
	char		name[NAMEDATALEN];
	Datum		values[ATTEMPT_COLUMNS];
	bool		nulls[ATTEMPT_COLUMNS] = {false};

	values[ATTEMPT_POSITION - 1] = Int64GetDatum(attempt->position);
	values[ATTEMPT_REPORTED_AT - 1] = TimestampTzGetDatum(attempt->reported_at);
	values[ATTEMPT_ENDPOINT - 1] = Int32GetDatum(attempt->endpoint);
	values[ATTEMPT_ATTEMPT - 1] = Int32GetDatum(attempt->attempt);
	values[ATTEMPT_CLAIMED_AT - 1] = TimestampTzGetDatum(attempt->claimed_at);
	nulls[ATTEMPT_CLAIMED_AT - 1] = attempt->claimed_at == DT_NOBEGIN;
	values[ATTEMPT_STATUS_CODE - 1] = Int32GetDatum(attempt->status_code);
	nulls[ATTEMPT_STATUS_CODE - 1] = attempt->status_code == 0;
	values[ATTEMPT_PROBE - 1] = BoolGetDatum(attempt->probe);
	values[ATTEMPT_RETRY_AFTER - 1] = PointerGetDatum(attempt->retry_after);
	nulls[ATTEMPT_RETRY_AFTER - 1] = attempt->retry_after == NULL;
	values[ATTEMPT_DURATION - 1] = PointerGetDatum(attempt->duration);
	nulls[ATTEMPT_DURATION - 1] = attempt->duration == NULL;
	values[ATTEMPT_ERROR - 1] = PointerGetDatum(attempt->error);
	nulls[ATTEMPT_ERROR - 1] = attempt->error == NULL;
	values[ATTEMPT_RESPONSE_BODY - 1] = PointerGetDatum(attempt->response_body);
	nulls[ATTEMPT_RESPONSE_BODY - 1] = attempt->response_body == NULL;
	return act_row_insert_once(open_leaf("webhook_attempt", attempt->reported_at,
										 RowExclusiveLock, name), values, nulls);
}

static void
read_retry(HeapTuple row, TupleDesc desc, WebhookRetry *retry)
{
	Datum		values[RETRY_COLUMNS];
	bool		nulls[RETRY_COLUMNS];

	heap_deform_tuple(row, desc, values, nulls);
	retry->tid = row->t_self;
	retry->endpoint = DatumGetInt32(values[RETRY_ENDPOINT - 1]);
	retry->attempt = DatumGetInt32(values[RETRY_ATTEMPT - 1]);
	retry->due_at = DatumGetTimestampTz(values[RETRY_DUE_AT - 1]);
	retry->number = DatumGetInt64(values[RETRY_NUMBER - 1]);
	retry->position = DatumGetInt64(values[RETRY_POSITION - 1]);
	retry->created_at = DatumGetTimestampTz(values[RETRY_CREATED_AT - 1]);
	retry->first_attempt = DatumGetInt32(values[RETRY_FIRST_ATTEMPT - 1]);
	retry->tries = DatumGetInt32(values[RETRY_TRIES - 1]);
	retry->lost = DatumGetInt32(values[RETRY_LOST - 1]);
}

int
act_store_due(const WebhookState *state, TimestampTz until, int max,
			  WebhookRetry *rows)
{
	ScanKeyData keys[3];
	ActRowScan	scan;
	HeapTuple	row;
	int			count = 0;

	ScanKeyInit(&keys[0], RETRY_ENDPOINT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(state->endpoint));
	ScanKeyInit(&keys[1], RETRY_DUE_AT, BTGreaterEqualStrategyNumber,
				F_TIMESTAMPTZ_GE, TimestampTzGetDatum(state->retry_at));
	ScanKeyInit(&keys[2], RETRY_DUE_AT, BTLessEqualStrategyNumber,
				F_TIMESTAMPTZ_LE, TimestampTzGetDatum(until));
	act_row_begin(&scan, act_row_open("webhook_retry", AccessShareLock),
				  "webhook_retry_due", 3, keys);
	while (count < max && (row = act_row_next(&scan)) != NULL)
	{
		read_retry(row, RelationGetDescr(scan.rel), &rows[count]);
		if (rows[count].due_at > state->retry_at ||
			rows[count].number > state->retry_number)
			count++;
	}
	act_row_end(&scan);
	return count;
}

bool
act_store_retry_of(int32 endpoint, int64 position, WebhookRetry *retry)
{
	ScanKeyData keys[2];
	ActRowScan	scan;
	HeapTuple	row;

	ScanKeyInit(&keys[0], RETRY_ENDPOINT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(endpoint));
	ScanKeyInit(&keys[1], RETRY_POSITION, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(position));
	act_row_begin(&scan, act_row_open("webhook_retry", AccessShareLock),
				  "webhook_retry_key", 2, keys);
	row = act_row_next(&scan);
	if (row != NULL)
		read_retry(row, RelationGetDescr(scan.rel), retry);
	act_row_end(&scan);
	return row != NULL;
}

/* The due time moves past the state's mark, in case a clock was set back. */
void
act_store_add_retry(const WebhookState *state, WebhookRetry *retry)
{
	Datum		values[RETRY_COLUMNS];
	bool		nulls[RETRY_COLUMNS] = {false};

	retry->endpoint = state->endpoint;
	retry->due_at = Max(retry->due_at, state->retry_at + 1);
	retry->number = act_row_number("webhook_retry_number");
	values[RETRY_ENDPOINT - 1] = Int32GetDatum(retry->endpoint);
	values[RETRY_ATTEMPT - 1] = Int32GetDatum(retry->attempt);
	values[RETRY_DUE_AT - 1] = TimestampTzGetDatum(retry->due_at);
	values[RETRY_NUMBER - 1] = Int64GetDatum(retry->number);
	values[RETRY_POSITION - 1] = Int64GetDatum(retry->position);
	values[RETRY_CREATED_AT - 1] = TimestampTzGetDatum(retry->created_at);
	values[RETRY_FIRST_ATTEMPT - 1] = Int32GetDatum(retry->first_attempt);
	values[RETRY_TRIES - 1] = Int32GetDatum(retry->tries);
	values[RETRY_LOST - 1] = Int32GetDatum(retry->lost);
	act_row_insert(act_row_open("webhook_retry", RowExclusiveLock), values, nulls);
}

void
act_store_remove_retry(const WebhookRetry *retry)
{
	Relation	rel = act_row_open("webhook_retry", RowExclusiveLock);
	ItemPointerData tid = retry->tid;

	act_row_delete(rel, &tid);
	table_close(rel, NoLock);
}
