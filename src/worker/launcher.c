/*
 * worker/launcher.c
 *		Sees to it that each database in activity.databases has its worker.
 *
 * It is connected to no database, so that it can tell which exist and keep
 * none from being dropped.  It sleeps until a worker ends, the configuration
 * changes or somebody wakes it; only while a database is missing or a worker
 * has just ended does it look again by itself.
 */
#include "activity.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "wake/wake.h"
#include "worker/part.h"
#include "wake/slot.h"

/* Between two attempts at one worker, twice as long each time that it didn't
 * last; and while a database is missing. */
#define RESTART_MS 1000
#define RESTART_MOST_MS 60000
#define LASTING_MS 10000
#define MISSING_MS 60000

PGDLLEXPORT pg_noreturn void act_launcher_main(Datum argument);

/* What is known of each slot's worker besides. */
typedef struct Charge
{
	BackgroundWorkerHandle *handle; /* NULL: none was started */
	TimestampTz started_at;
	int			delay;			/* ms, before the next attempt */
	bool		missing;		/* its database is, and that was said */
	bool		crowded;		/* no worker is free, and that was said */
} Charge;

static Charge charges[ACT_WORKER_SLOTS];

static void assign_slots(void);
static long start_workers(void);
static bool is_running(Charge *charge, const ActWorkerSlot *slot);
static bool exists(const char *database);
static bool start_worker(int number, Charge *charge);
static void at_exit(int code, Datum argument);

void
act_worker_launcher_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "activity", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "act_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "activity launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "activity launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

PGDLLEXPORT void
act_launcher_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(at_exit, (Datum) 0);
	act_worker_shared->launcher = MyLatch;
	assign_slots();
	for (;;)
	{
		long		timeout;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			assign_slots();
		}
		timeout = start_workers();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
	}
}

/* One slot for each name in activity.databases; who isn't there leaves. */
static void
assign_slots(void)
{
	char	   *list = pstrdup(act_setting_databases ? act_setting_databases : "");
	List	   *names = NIL;
	ListCell   *cell;

	if (!SplitIdentifierString(list, ',', &names))
	{
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("activity.databases is no list of names: nothing is published in the background"),
				 errhint("Write names of databases with commas between, odd ones in double quotes.")));
		names = NIL;
	}
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ACT_WORKER_SLOTS; i++)
	{
		ActWorkerSlot *slot = &act_worker_shared->slots[i];
		bool		listed = false;

		foreach(cell, names)
		{
			if (strcmp(slot->name, lfirst(cell)) == 0)
			{
				listed = true;
				names = foreach_delete_current(names, cell);
			}
		}
		slot->leave = slot->name[0] != '\0' && !listed;
		if (slot->leave && slot->latch != NULL)
			SetLatch(slot->latch);
		else if (slot->leave)
		{
			slot->name[0] = '\0';
			slot->leave = false;
			pg_atomic_write_u32(&slot->database, InvalidOid);
		}
	}
	for (int i = 0; i < ACT_WORKER_SLOTS && names != NIL; i++)
	{
		ActWorkerSlot *slot = &act_worker_shared->slots[i];

		if (slot->name[0] != '\0')
			continue;
		strlcpy(slot->name, linitial(names), NAMEDATALEN);
		slot->hold_until = 0;
		charges[i].started_at = 0;
		charges[i].missing = charges[i].crowded = false;
		names = list_delete_first(names);
	}
	LWLockRelease(act_worker_shared->lock);
	if (names != NIL)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("activity.databases names more than %d databases",
						ACT_WORKER_SLOTS),
				 errhint("Call activity.publish() regularly in the others.")));
	list_free(names);
	pfree(list);
}

/* Starts those that are not running; the time to look again, or -1. */
static long
start_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		timeout = -1;
	bool		freed = false;

#define LOOK_IN(ms) (timeout = timeout < 0 ? (ms) : Min(timeout, (ms)))
	for (int i = 0; i < ACT_WORKER_SLOTS; i++)
	{
		ActWorkerSlot *slot = &act_worker_shared->slots[i];
		Charge	   *charge = &charges[i];

		if (slot->name[0] == '\0' || is_running(charge, slot))
			continue;
		if (slot->leave && slot->hold_until == 0)
			freed = true;
		else if (slot->hold_until > now)
			LOOK_IN(Max(1, TimestampDifferenceMilliseconds(now, slot->hold_until)));
		else if (charge->started_at != 0 &&
				 !TimestampDifferenceExceeds(charge->started_at, now,
											 charge->delay))
			LOOK_IN(charge->delay);
		else if (!exists(slot->name))
		{
			if (!charge->missing)
				ereport(LOG,
						(errmsg("database \"%s\" of activity.databases does not exist yet",
								slot->name)));
			charge->missing = true;
			LOOK_IN(MISSING_MS);
		}
		else if (!start_worker(i, charge))
			LOOK_IN(MISSING_MS);
	}
#undef LOOK_IN
	if (freed)
		assign_slots();
	return timeout;
}

/* If not, it has the next attempt's delay: longer each time that one fails soon. */
static bool
is_running(Charge *charge, const ActWorkerSlot *slot)
{
	pid_t		pid;

	if (charge->handle == NULL)
		return false;
	if (GetBackgroundWorkerPid(charge->handle, &pid) != BGWH_STOPPED)
		return true;
	pfree(charge->handle);
	charge->handle = NULL;
	/* Who was terminated has not failed. */
	if (slot->terminated ||
		TimestampDifferenceExceeds(charge->started_at, GetCurrentTimestamp(),
								   LASTING_MS))
		charge->delay = RESTART_MS;
	else
		charge->delay = Min(Max(charge->delay, RESTART_MS / 2) * 2,
							RESTART_MOST_MS);
	return false;
}

/* By a scan of the heap: without a database there are no indexes to use. */
static bool
exists(const char *database)
{
	bool		found = false;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (!found && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		found = form->datallowconn &&
			strcmp(NameStr(form->datname), database) == 0;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return found;
}

static bool
start_worker(int number, Charge *charge)
{
	BackgroundWorker worker = {0};
	MemoryContext old;
	bool		started;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(number);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "activity", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "act_worker_main",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "activity publisher %s",
			 act_worker_shared->slots[number].name);
	strlcpy(worker.bgw_type, "activity publisher", sizeof(worker.bgw_type));

	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	act_worker_shared->slots[number].leave = false;
	act_worker_shared->slots[number].hold_until = 0;
	LWLockRelease(act_worker_shared->lock);
	charge->started_at = GetCurrentTimestamp();
	old = MemoryContextSwitchTo(TopMemoryContext);
	started = RegisterDynamicBackgroundWorker(&worker, &charge->handle);
	MemoryContextSwitchTo(old);
	if (!started)
		act_worker_note_failure(&act_worker_shared->slots[number],
								"no background worker is free");
	if (!started && !charge->crowded)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free to publish the events of database \"%s\"",
						act_worker_shared->slots[number].name),
				 errhint("Raise max_worker_processes.")));
	charge->missing = false;
	charge->crowded = !started;
	return started;
}

static void
at_exit(int code, Datum argument)
{
	act_worker_shared->launcher = NULL;
}
