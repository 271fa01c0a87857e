/*
 * wake/wake.c
 *		The background workers that publish, seen from the others.
 *
 * A committing writer wakes the worker of its database by its latch, once the
 * commit is visible: no lock, no I/O, and while the worker is busy nothing but
 * a look at a flag.
 */
#include "activity.h"

#include <signal.h>

#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#include "wake/wake.h"
#include "wake/slot.h"

PG_FUNCTION_INFO_V1(act_worker_status);

/* How long a database is left alone for somebody who needs it empty. */
#define HOLD_MS 15000

ActWorkerShared *act_worker_shared = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* Our database's slot, once found; slots don't move. */
static ActWorkerSlot *own_slot = NULL;

static bool recorded = false;
static bool changes = false;

static void request(void);
static void startup(void);
static ActWorkerSlot *find_meant(void);
static ActWorkerSlot *find_own(void);

void
act_worker_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(ActWorkerShared));
	RequestNamedLWLockTranche("activity", 1);
}

static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	act_worker_shared = ShmemInitStruct("activity", sizeof(ActWorkerShared),
										&found);
	if (!found)
	{
		memset(act_worker_shared, 0, sizeof(ActWorkerShared));
		act_worker_shared->lock = &GetNamedLWLockTranche("activity")->lock;
		for (int i = 0; i < ACT_WORKER_SLOTS; i++)
		{
			ActWorkerSlot *slot = &act_worker_shared->slots[i];

			pg_atomic_init_u32(&slot->database, InvalidOid);
			pg_atomic_init_u32(&slot->state, ACT_WORKER_STOPPED);
			pg_atomic_init_u64(&slot->wakeups, 0);
			pg_atomic_init_u64(&slot->published, 0);
			pg_atomic_init_u64(&slot->skipped, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

bool
act_worker_is_publishing(void)
{
	ActWorkerSlot *slot = find_own();

	return slot != NULL &&
		pg_atomic_read_u32(&slot->state) == ACT_WORKER_PUBLISHING;
}

bool
act_worker_notifies(void)
{
	return find_own() != NULL;
}

void
act_worker_expect(void)
{
	recorded = true;
}

void
act_worker_expect_change(void)
{
	changes = true;
}

void
act_worker_wake(void)
{
	ActWorkerSlot *slot = find_own();
	Latch	   *latch;

	if (slot == NULL)
		return;
	/* The memory of a latch stays; at worst some other process looks up. */
	latch = slot->latch;
	if (latch != NULL)
		SetLatch(latch);
}

void
act_worker_wake_launcher(void)
{
	Latch	   *latch = act_worker_shared ? act_worker_shared->launcher : NULL;

	if (latch != NULL)
		SetLatch(latch);
}

void
act_worker_note_failure(ActWorkerSlot *slot, const char *problem)
{
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	slot->failures++;
	slot->failed_at = GetCurrentTimestamp();
	strlcpy(slot->error, problem, ACT_WORKER_ERROR_MAX);
	LWLockRelease(act_worker_shared->lock);
}

void
act_worker_count(int64 events, int64 skipped)
{
	ActWorkerSlot *slot = find_own();

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->published, events);
	pg_atomic_fetch_add_u64(&slot->skipped, skipped);
}

void
act_worker_hold(const char *database, bool hold)
{
	if (act_worker_shared == NULL)
		return;
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ACT_WORKER_SLOTS; i++)
	{
		ActWorkerSlot *slot = &act_worker_shared->slots[i];

		if (strcmp(slot->name, database) != 0)
			continue;
		slot->leave = hold;
		slot->hold_until = hold ?
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), HOLD_MS) : 0;
		if (slot->latch != NULL)
			SetLatch(slot->latch);
		/* Its exit clears the number, under the lock that we hold. */
		if (hold && slot->upkeep_pid != 0)
			(void) kill(slot->upkeep_pid, SIGTERM);
	}
	LWLockRelease(act_worker_shared->lock);
}

/* The slot that is meant for this database, also if no worker was ever free. */
static ActWorkerSlot *
find_meant(void)
{
	ActWorkerSlot *slot = find_own();
	char	   *name;

	if (slot != NULL || act_worker_shared == NULL)
		return slot;
	name = get_database_name(MyDatabaseId);
	LWLockAcquire(act_worker_shared->lock, LW_SHARED);
	for (int i = 0; i < ACT_WORKER_SLOTS && slot == NULL; i++)
		if (name != NULL && strcmp(act_worker_shared->slots[i].name, name) == 0)
			slot = &act_worker_shared->slots[i];
	LWLockRelease(act_worker_shared->lock);
	return slot;
}

/* The slot of this database, NULL if no worker has ever been in it. */
static ActWorkerSlot *
find_own(void)
{
	if (act_worker_shared == NULL)
		return NULL;
	if (own_slot != NULL &&
		pg_atomic_read_u32(&own_slot->database) == MyDatabaseId)
		return own_slot;
	own_slot = NULL;
	for (int i = 0; i < ACT_WORKER_SLOTS && own_slot == NULL; i++)
		if (pg_atomic_read_u32(&act_worker_shared->slots[i].database) == MyDatabaseId)
			own_slot = &act_worker_shared->slots[i];
	return own_slot;
}

void
act_worker_wake_expecting(void)
{
	if (recorded || changes)
		act_worker_wake();
	if (changes)
		act_worker_wake_launcher();
	recorded = changes = false;
}

void
act_worker_expect_nothing(void)
{
	recorded = changes = false;
}

/* What the worker of this database is doing, for activity.health. */
PGDLLEXPORT Datum
act_worker_status(PG_FUNCTION_ARGS)
{
	static const char *const states[] = {
		"stopped", "starting", "waiting", "publishing", "failing"
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActWorkerSlot *slot = find_meant();
	Datum		values[8];
	bool		nulls[8] = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (slot == NULL)
		return (Datum) 0;
	LWLockAcquire(act_worker_shared->lock, LW_SHARED);
	values[0] = Int32GetDatum(slot->pid);
	nulls[0] = slot->pid == 0;
	values[1] = CStringGetTextDatum(states[pg_atomic_read_u32(&slot->state)]);
	values[2] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->wakeups));
	values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->published));
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->skipped));
	values[5] = Int64GetDatum(slot->failures);
	values[6] = TimestampTzGetDatum(slot->failed_at);
	nulls[6] = nulls[7] = slot->failed_at == 0;
	values[7] = CStringGetTextDatum(slot->error);
	LWLockRelease(act_worker_shared->lock);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
