/*
 * webhook/store.c
 *		Endpoints, their secrets, and how each of them stands.
 *
 * An endpoint's lock is an advisory one of our own tag.  Claims and reports
 * only try it, so that nobody waits behind a consumer that keeps a transaction
 * open, and two reports that name endpoints in different order can't deadlock.
 * Late successes wait, but in the order of endpoints only.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/own_row.h"
#include "webhook/columns.h"
#include "webhook/store.h"

/* Advisory locks of users have 1 or 2 in the tag's fourth field. */
#define LOCKTAG_OURS 4

/* Numbers per flight in in_flight. */
#define FLIGHT_NUMBERS 6

/* The last endpoint, in their order, that this transaction has locked; of one
 * that a subtransaction gave back again, it does no harm to say so. */
static int32 last_locked = 0;

static void set_lock_tag(LOCKTAG *tag, int32 endpoint);
static WebhookEndpoint *find_endpoint(const char *index, ScanKey key);
static void read_flights(WebhookState *state, ArrayType *array);
static Datum flights_array(const WebhookState *state);

void
act_store_forget_locks(void)
{
	last_locked = 0;
}

static void
set_lock_tag(LOCKTAG *tag, int32 endpoint)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, (uint32) endpoint, LOCKTAG_OURS);
}

bool
act_store_try_lock(int32 endpoint)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, endpoint);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	last_locked = Max(last_locked, endpoint);
	return true;
}

bool
act_store_lock_in_order(int32 endpoint)
{
	if (act_store_try_lock(endpoint))
		return true;
	if (endpoint < last_locked)
		return false;
	act_store_lock(endpoint);
	return true;
}

void
act_store_lock(int32 endpoint)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, endpoint);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	last_locked = Max(last_locked, endpoint);
}

WebhookEndpoint *
act_store_endpoint(int32 key)
{
	ScanKeyData scankey;

	ScanKeyInit(&scankey, ENDPOINT_KEY, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(key));
	return find_endpoint("webhook_endpoint_pkey", &scankey);
}

WebhookEndpoint *
act_store_endpoint_by_id(const pg_uuid_t *id)
{
	ScanKeyData scankey;

	ScanKeyInit(&scankey, ENDPOINT_ID, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(id));
	return find_endpoint("webhook_endpoint_id_key", &scankey);
}

static WebhookEndpoint *
find_endpoint(const char *index, ScanKey key)
{
	ActRowScan	scan;
	HeapTuple	row;
	WebhookEndpoint *endpoint = NULL;

	act_row_begin(&scan, act_row_open("webhook_endpoint", AccessShareLock),
				  index, 1, key);
	row = act_row_next(&scan);
	if (row != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		bool		isnull;
		Datum		value;

		endpoint = palloc(sizeof(WebhookEndpoint));
		value = heap_getattr(row, ENDPOINT_KEY, desc, &isnull);
		endpoint->key = DatumGetInt32(value);
		value = heap_getattr(row, ENDPOINT_ID, desc, &isnull);
		endpoint->id = *DatumGetUUIDP(value);
		value = heap_getattr(row, ENDPOINT_ORGANIZATION, desc, &isnull);
		endpoint->organization = DatumGetInt32(value);
		value = heap_getattr(row, ENDPOINT_URL, desc, &isnull);
		endpoint->url = TextDatumGetCString(value);
		endpoint->disabled = !heap_attisnull(row, ENDPOINT_DISABLED_AT, desc);
		endpoint->deleted = !heap_attisnull(row, ENDPOINT_DELETED_AT, desc);
	}
	act_row_end(&scan);
	return endpoint;
}

void
act_store_disable(int32 endpoint, const char *reason, TimestampTz now)
{
	ScanKeyData scankey;
	ActRowScan	scan;
	Datum		values[ENDPOINT_COLUMNS];
	bool		nulls[ENDPOINT_COLUMNS];
	HeapTuple	row;
	ItemPointerData tid;
	Relation	rel;

	ScanKeyInit(&scankey, ENDPOINT_KEY, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(endpoint));
	act_row_begin(&scan, act_row_open("webhook_endpoint", RowExclusiveLock),
				  "webhook_endpoint_pkey", 1, &scankey);
	row = act_row_next(&scan);
	if (row == NULL)
		elog(ERROR, "webhook endpoint %d does not exist", endpoint);
	row = heap_copytuple(row);
	heap_deform_tuple(row, RelationGetDescr(scan.rel), values, nulls);
	tid = row->t_self;
	act_row_end(&scan);

	values[ENDPOINT_DISABLED_AT - 1] = TimestampTzGetDatum(now);
	values[ENDPOINT_DISABLED_REASON - 1] = CStringGetTextDatum(reason);
	nulls[ENDPOINT_DISABLED_AT - 1] = nulls[ENDPOINT_DISABLED_REASON - 1] = false;
	rel = act_row_open("webhook_endpoint", RowExclusiveLock);
	act_row_delete(rel, &tid);
	CacheInvalidateRelcache(rel);
	act_row_insert(rel, values, nulls);
}

List *
act_store_secrets(int32 endpoint, TimestampTz now)
{
	ScanKeyData scankey;
	ActRowScan	scan;
	HeapTuple	row;
	List	   *secrets = NIL;

	ScanKeyInit(&scankey, SECRET_ENDPOINT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(endpoint));
	act_row_begin(&scan, act_row_open("webhook_secret", AccessShareLock),
				  "webhook_secret_pkey", 1, &scankey);
	while ((row = act_row_next(&scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		bool		isnull;
		Datum		value = heap_getattr(row, SECRET_EXPIRES_AT, desc, &isnull);

		if (!isnull && DatumGetTimestampTz(value) <= now)
			continue;
		value = heap_getattr(row, SECRET_SECRET, desc, &isnull);
		secrets = lcons(TextDatumGetCString(value), secrets);
	}
	act_row_end(&scan);
	return secrets;
}

static TimestampTz
time_or_none(HeapTuple row, AttrNumber column, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

static int64
number_of(HeapTuple row, AttrNumber column, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return TupleDescAttr(desc, column - 1)->atttypid == INT4OID ?
		DatumGetInt32(value) : DatumGetInt64(value);
}

bool
act_store_read_state(int32 endpoint, WebhookState *state)
{
	ScanKeyData scankey;
	ActRowScan	scan;
	HeapTuple	row;

	memset(state, 0, sizeof(WebhookState));
	state->endpoint = endpoint;
	state->fresh_at = state->retry_at = state->failing_since =
		state->succeeded_at = state->quarantined_at = state->probe_at = DT_NOBEGIN;
	state->ready_at = DT_NOEND;
	state->flow = act_setting_webhook_concurrency;
	ItemPointerSetInvalid(&state->tid);

	ScanKeyInit(&scankey, STATE_ENDPOINT, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(endpoint));
	act_row_begin(&scan, act_row_open("webhook_state", AccessShareLock),
				  "webhook_state_key", 1, &scankey);
	row = act_row_next(&scan);
	if (row != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		bool		isnull;

		state->tid = row->t_self;
		state->fresh_position = number_of(row, STATE_FRESH_POSITION, desc);
		state->fresh_at = time_or_none(row, STATE_FRESH_AT, desc);
		state->retry_at = time_or_none(row, STATE_RETRY_AT, desc);
		state->retry_number = number_of(row, STATE_RETRY_NUMBER, desc);
		state->ready_at = time_or_none(row, STATE_READY_AT, desc);
		state->failures = number_of(row, STATE_FAILURES, desc);
		state->probes = number_of(row, STATE_PROBES, desc);
		state->flow = number_of(row, STATE_FLOW, desc);
		state->failing_since = time_or_none(row, STATE_FAILING_SINCE, desc);
		state->succeeded_at = time_or_none(row, STATE_SUCCEEDED_AT, desc);
		state->quarantined_at = time_or_none(row, STATE_QUARANTINED_AT, desc);
		state->probe_at = time_or_none(row, STATE_PROBE_AT, desc);
		read_flights(state, DatumGetArrayTypeP(heap_getattr(row, STATE_IN_FLIGHT,
															desc, &isnull)));
	}
	act_row_end(&scan);
	return row != NULL;
}

void
act_store_write_state(WebhookState *state)
{
	Datum		values[STATE_COLUMNS];
	bool		nulls[STATE_COLUMNS] = {false};

	values[STATE_ENDPOINT - 1] = Int32GetDatum(state->endpoint);
	values[STATE_VERSION - 1] = Int64GetDatum(act_row_number("webhook_state_version"));
	values[STATE_FRESH_POSITION - 1] = Int64GetDatum(state->fresh_position);
	values[STATE_FRESH_AT - 1] = TimestampTzGetDatum(state->fresh_at);
	values[STATE_RETRY_AT - 1] = TimestampTzGetDatum(state->retry_at);
	values[STATE_RETRY_NUMBER - 1] = Int64GetDatum(state->retry_number);
	values[STATE_READY_AT - 1] = TimestampTzGetDatum(state->ready_at);
	values[STATE_FAILURES - 1] = Int32GetDatum(state->failures);
	values[STATE_PROBES - 1] = Int32GetDatum(state->probes);
	values[STATE_FLOW - 1] = Int32GetDatum(state->flow);
	values[STATE_FAILING_SINCE - 1] = TimestampTzGetDatum(state->failing_since);
	nulls[STATE_FAILING_SINCE - 1] = state->failing_since == DT_NOBEGIN;
	values[STATE_SUCCEEDED_AT - 1] = TimestampTzGetDatum(state->succeeded_at);
	nulls[STATE_SUCCEEDED_AT - 1] = state->succeeded_at == DT_NOBEGIN;
	values[STATE_QUARANTINED_AT - 1] = TimestampTzGetDatum(state->quarantined_at);
	nulls[STATE_QUARANTINED_AT - 1] = state->quarantined_at == DT_NOBEGIN;
	values[STATE_PROBE_AT - 1] = TimestampTzGetDatum(state->probe_at);
	nulls[STATE_PROBE_AT - 1] = state->probe_at == DT_NOBEGIN;
	values[STATE_IN_FLIGHT - 1] = flights_array(state);

	if (ItemPointerIsValid(&state->tid))
	{
		Relation	rel = act_row_open("webhook_state", RowExclusiveLock);

		act_row_delete(rel, &state->tid);
		table_close(rel, NoLock);
	}
	act_row_insert(act_row_open("webhook_state", RowExclusiveLock), values, nulls);
}

void
act_store_reserve_flights(WebhookState *state, int more)
{
	int			needed = state->nflights + more;

	if (needed <= state->room)
		return;
	if (state->flights == NULL)
		state->flights = palloc(needed * sizeof(WebhookFlight));
	else
		state->flights = repalloc(state->flights, needed * sizeof(WebhookFlight));
	state->room = needed;
}

static void
read_flights(WebhookState *state, ArrayType *array)
{
	Datum	   *numbers;
	int			count;

	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &numbers, NULL, &count);
	act_store_reserve_flights(state, count / FLIGHT_NUMBERS);
	for (int i = 0; i + FLIGHT_NUMBERS <= count; i += FLIGHT_NUMBERS)
	{
		WebhookFlight *flight = &state->flights[state->nflights++];
		uint64		attempts = DatumGetInt64(numbers[i + 4]);
		uint64		counts = DatumGetInt64(numbers[i + 5]);

		flight->position = DatumGetInt64(numbers[i]);
		flight->created_at = DatumGetInt64(numbers[i + 1]);
		flight->claimed_at = DatumGetInt64(numbers[i + 2]);
		flight->lease_until = DatumGetInt64(numbers[i + 3]);
		flight->attempt = attempts >> 32;
		flight->first_attempt = attempts & 0xffffffff;
		flight->tries = counts >> 32;
		flight->lost = (counts >> 16) & 0xffff;
		flight->probe = (counts & 1) != 0;
	}
}

static Datum
flights_array(const WebhookState *state)
{
	int			count = state->nflights * FLIGHT_NUMBERS;
	Datum	   *numbers = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < state->nflights; i++)
	{
		const WebhookFlight *flight = &state->flights[i];
		Datum	   *to = numbers + i * FLIGHT_NUMBERS;
		uint64		counts = ((uint64) flight->tries << 32) |
			((uint64) Min(flight->lost, 0xffff) << 16) | (flight->probe ? 1 : 0);

		to[0] = Int64GetDatum(flight->position);
		to[1] = Int64GetDatum(flight->created_at);
		to[2] = Int64GetDatum(flight->claimed_at);
		to[3] = Int64GetDatum(flight->lease_until);
		to[4] = Int64GetDatum(((uint64) flight->attempt << 32) |
							  (uint32) flight->first_attempt);
		to[5] = Int64GetDatum(counts);
	}
	return PointerGetDatum(construct_array(numbers, count, INT8OID, 8,
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
