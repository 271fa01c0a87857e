/*
 * worker/upkeep.c
 *		The short-lived worker that does the upkeep of one database.
 *
 * A process of its own, because upkeep waits for locks and publishing must
 * not wait for it.  The publisher of the database starts one when it is due.
 */
#include "activity.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "upkeep/maintain.h"
#include "wake/wake.h"
#include "worker/part.h"
#include "wake/slot.h"

/* Rows that one call of maintain() moves or deletes. */
#define MAINTAIN_ROWS 100000

PGDLLEXPORT pg_noreturn void act_upkeep_main(Datum argument);

/* No worker is free, and that was said. */
static bool crowded = false;

static void run_maintenance(void);
static void log_maintenance(void *state, const char *action,
							const char *object, int64 rows);
static void at_exit(int code, Datum argument);

void
act_worker_start_upkeep(int number)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(number);
	strlcpy(worker.bgw_library_name, "activity", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "act_upkeep_main",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "activity upkeep %s",
			 act_worker_shared->slots[number].name);
	strlcpy(worker.bgw_type, "activity upkeep", sizeof(worker.bgw_type));
	if (RegisterDynamicBackgroundWorker(&worker, NULL))
	{
		crowded = false;
		return;
	}
	act_worker_note_failure(&act_worker_shared->slots[number],
							"no background worker is free for the upkeep");
	if (!crowded)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free for the upkeep of database \"%s\"",
						act_worker_shared->slots[number].name),
				 errhint("Raise max_worker_processes, or call activity.maintain().")));
	crowded = true;
}

PGDLLEXPORT void
act_upkeep_main(Datum argument)
{
	ActWorkerSlot *slot = &act_worker_shared->slots[DatumGetInt32(argument)];

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	act_worker_connect(slot);
	before_shmem_exit(at_exit, PointerGetDatum(slot));
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	slot->upkeep_pid = MyProcPid;
	LWLockRelease(act_worker_shared->lock);
	if (!slot->leave)
		run_maintenance();
	proc_exit(0);
}

/* In a transaction; an error ends the process, and is logged by that. */
static void
run_maintenance(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (act_worker_lock_extension())
		act_maintain(DT_NOEND, MAINTAIN_ROWS, log_maintenance, NULL);
	PopActiveSnapshot();
	CommitTransactionCommand();
	(void) pgstat_report_stat(true);
}

static void
log_maintenance(void *state, const char *action, const char *object, int64 rows)
{
	if (rows >= 0)
		ereport(LOG, (errmsg("activity: %s %s, " INT64_FORMAT " rows",
							 action, object, rows)));
	else
		ereport(LOG, (errmsg("activity: %s %s", action, object)));
}

static void
at_exit(int code, Datum argument)
{
	ActWorkerSlot *slot = (ActWorkerSlot *) DatumGetPointer(argument);

	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	if (slot->upkeep_pid == MyProcPid)
		slot->upkeep_pid = 0;
	LWLockRelease(act_worker_shared->lock);
}
