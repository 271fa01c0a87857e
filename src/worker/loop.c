/*
 * worker/loop.c
 *		The background worker of one database: publishes what is committed.
 *
 * It sleeps until a writer's commit sets its latch.  Nothing is lost if it is
 * killed at any moment, since all that it knows is in the tables; and the slow
 * tick makes up for a wake-up that nobody could send.
 */
#include "activity.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "stream/publisher.h"
#include "wake/wake.h"
#include "worker/part.h"
#include "wake/slot.h"

/* The safety tick. */
#define TICK_MS 60000

/* Between two looks while somebody else is publishing: 20 ms, 40 … 640. */
#define BUSY_MS 20

/* A pause is so many times as long as the work before it, and at most so many
 * times as long as activity.publish_delay. */
#define PAUSE_RATIO 3
#define PAUSE_MOST 5

/* µs, of a long one */
#define PAUSE_SLICE 100000L

/* After failures in a row: 1 s, 2 s, 4 s … */
#define BACKOFF_MS 1000
#define BACKOFF_MOST_MS 60000

PGDLLEXPORT pg_noreturn void act_worker_main(Datum argument);

static ActWorkerSlot *slot;
static MemoryContext loop_context;
static int	failures_in_row = 0;
static bool was_busy = false;	/* somebody else was publishing */
static int	busy_in_row = 0;
static TimestampTz maintained_at = 0;	/* upkeep was started last */

/* Somebody told us to go. */
static volatile sig_atomic_t terminated = false;

static void terminate(SIGNAL_ARGS);
static void take_slot(int number);
static TimestampTz maintenance_due(void);
static bool work(void);
static bool publish(bool *more, bool *busy);
static void note_failure(ErrorData *error);
static void rest(bool failed, TimestampTz began);
static void pause_for(long left);
static void back_off(void);
static void set_state(ActWorkerState state);
static void at_exit(int code, Datum argument);

PGDLLEXPORT void
act_worker_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, terminate);
	BackgroundWorkerUnblockSignals();
	take_slot(DatumGetInt32(argument));
	loop_context = AllocSetContextCreate(TopMemoryContext, "activity publisher",
										 ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		TimestampTz began;
		bool		done;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (slot->leave)
			proc_exit(0);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		pg_atomic_fetch_add_u64(&slot->wakeups, 1);
		began = GetCurrentTimestamp();
		done = work();
		rest(!done, began);
	}
}

/* Signal handler: not a failure of ours, as the launcher is told. */
static void
terminate(SIGNAL_ARGS)
{
	terminated = true;
	die(postgres_signal_arg);
}

/* What a database or its owner has set for sessions must not reach us. */
void
act_worker_connect(ActWorkerSlot *to)
{
	static const char *const settings[][2] = {
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"search_path", "pg_catalog, pg_temp"},
		{"role", "none"},
#ifdef ACT_COMPAT_TRANSACTION_TIMEOUT
		{"transaction_timeout", "0"},
#endif
		{"session_replication_role", "origin"},
		{"jit", "off"},
	};

	BackgroundWorkerInitializeConnection(to->name, NULL, 0);
	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static void
take_slot(int number)
{
	slot = &act_worker_shared->slots[number];
	act_worker_connect(slot);
	before_shmem_exit(at_exit, (Datum) 0);
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	slot->pid = MyProcPid;
	slot->terminated = false;
	slot->latch = MyLatch;
	pg_atomic_write_u32(&slot->database, MyDatabaseId);
	pg_atomic_write_u32(&slot->state, ACT_WORKER_STARTING);
	LWLockRelease(act_worker_shared->lock);
}

/* From the interval as it is now, which a reload may have changed meanwhile. */
static TimestampTz
maintenance_due(void)
{
	return TimestampTzPlusMilliseconds(maintained_at,
									   (int64) act_setting_maintain_interval * 1000);
}

/* Publishes until nothing is left; false if it failed, which has been noted. */
static bool
work(void)
{
	volatile bool done = false;

	MemoryContextSwitchTo(loop_context);
	PG_TRY();
	{
		bool		more = true;

		while (more && !slot->leave)
		{
			CHECK_FOR_INTERRUPTS();
			if (!publish(&more, &was_busy))
				break;
		}
		if (pg_atomic_read_u32(&slot->state) == ACT_WORKER_PUBLISHING &&
			act_setting_maintain_interval > 0 &&
			GetCurrentTimestamp() >= maintenance_due())
		{
			maintained_at = GetCurrentTimestamp();
			act_worker_start_upkeep(slot - act_worker_shared->slots);
		}
		done = true;
		failures_in_row = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(loop_context);
		error = CopyErrorData();

		/* First, because what failed may hold the lock that is taken next. */
		AbortCurrentTransaction();
		MemoryContextSwitchTo(loop_context);
		note_failure(error);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextReset(loop_context);
	return done;
}

/* One batch in one transaction; false where there is no extension. */
static bool
publish(bool *more, bool *busy)
{
	bool		installed;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	*busy = false;
	installed = act_worker_lock_extension();
	if (installed)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		*busy = act_publisher_run(more) == ACT_PUBLISHER_BUSY;
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(loop_context);
	(void) pgstat_report_stat(false);
	set_state(installed ? ACT_WORKER_PUBLISHING : ACT_WORKER_WAITING);
	return installed;
}

/*
 * Keeps it from being dropped until the transaction ends, if it is there.  If
 * it is another one than before, who dropped that may have woken us before the
 * news of it, and what we remember of its tables is stale: wait for his locks.
 */
bool
act_worker_lock_extension(void)
{
	static Oid	known = InvalidOid;
	Oid			extension = get_extension_oid("activity", true);

	if (OidIsValid(known) && extension != known)
		LockDatabaseObject(ExtensionRelationId, known, 0, AccessShareLock);
	known = extension;
	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return get_extension_oid("activity", true) == extension;
}

/* Counts it, and logs it unless it is what was logged before. */
static void
note_failure(ErrorData *error)
{
	bool		again;

	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	again = failures_in_row > 0 &&
		strncmp(slot->error, error->message, ACT_WORKER_ERROR_MAX - 1) == 0;
	slot->failures++;
	slot->failed_at = GetCurrentTimestamp();
	strlcpy(slot->error, error->message, ACT_WORKER_ERROR_MAX);
	LWLockRelease(act_worker_shared->lock);
	failures_in_row++;
	set_state(ACT_WORKER_FAILING);
	if (!again)
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("publishing events failed: %s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : 0,
				 errcontext("activity publisher of database \"%s\"", slot->name)));
}

/*
 * Until the next commit or tick; after a failure until it is time to try again.
 * Under load the worker lets commits come together, because each publishing
 * costs as much as some dozen events; and the longer it took, the longer the
 * pause, so that where the writers use all there is, it takes less of it.
 */
static void
rest(bool failed, TimestampTz began)
{
	long		timeout = TICK_MS;
	long		unreported;

	if (failed)
	{
		back_off();
		return;
	}
	if (act_setting_publish_delay > 0)
	{
		long		spent = (long) (GetCurrentTimestamp() - began);
		long		delay = act_setting_publish_delay * 1000L;

		pause_for(Max(delay - spent, Min(spent * PAUSE_RATIO, delay * PAUSE_MOST)));
	}
	if (was_busy)
	{
		/* When he is done, what he left is ours; nobody will tell us. */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 BUSY_MS << Min(busy_in_row, 5), PG_WAIT_EXTENSION);
		busy_in_row++;
		return;
	}
	busy_in_row = 0;
	unreported = pgstat_report_stat(false);
	if (unreported > 0)
	{
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  unreported, PG_WAIT_EXTENSION) & WL_LATCH_SET)
			return;
		(void) pgstat_report_stat(true);
	}
	if (act_setting_maintain_interval > 0 && maintained_at != 0)
		timeout = Max(1, Min(timeout, TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
																	  maintenance_due())));
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout, PG_WAIT_EXTENSION);
}

/*
 * Microseconds in which no commit costs its writer a signal, as it would if we
 * waited for the latch; so who wants us to leave is looked for.
 */
static void
pause_for(long left)
{
	while (left > 0 && !slot->leave)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(Min(left, PAUSE_SLICE));
		left -= PAUSE_SLICE;
	}
}

/* Commits don't cut it short, but who wants us to leave does. */
static void
back_off(void)
{
	int			wait = Min(BACKOFF_MS << Min(failures_in_row - 1, 6),
						   BACKOFF_MOST_MS);
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait);

	while (wait > 0 && !slot->leave)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		wait = (int) TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
	}
}

static void
set_state(ActWorkerState state)
{
	if (pg_atomic_read_u32(&slot->state) != state)
		pg_atomic_write_u32(&slot->state, state);
}

static void
at_exit(int code, Datum argument)
{
	LWLockAcquire(act_worker_shared->lock, LW_EXCLUSIVE);
	pg_atomic_write_u32(&slot->state, ACT_WORKER_STOPPED);
	slot->pid = 0;
	slot->terminated = terminated;
	slot->latch = NULL;
	LWLockRelease(act_worker_shared->lock);
}
