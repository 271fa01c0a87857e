/*
 * xact.c
 *		What happens when a transaction or a subtransaction ends, in order.
 *
 * PostgreSQL calls callbacks in the opposite order of their registration, so
 * with a callback in each file the order of lines in _PG_init would be the order
 * of work at commit, and moving a line could lose events.  So nobody else
 * registers any, and each step stands here with what it needs before it.
 *
 * In parallel workers nothing is recorded, and PREPARE in them is none.
 */
#include "activity.h"

#include "access/xact.h"

#include "base/cache.h"
#include "event/event.h"
#include "event/organization.h"
#include "export/exported.h"
#include "feed/read_note.h"
#include "record/message.h"
#include "stream/head.h"
#include "stream/right.h"
#include "track/capture.h"
#include "track/gap.h"
#include "wake/wake.h"
#include "webhook/store.h"

/* Writes what waits, while rows can still be written; any step may throw. */
static void
write_what_waits(void)
{
	/* A row that moves may turn out to be gone: an event, or a gap. */
	act_capture_finish();

	/* Into a table of its own. */
	act_gap_flush();

	/* Events of their own, also of exports whose transaction has failed. */
	if (act_exported_waiting)
		act_exported_write();

	/* The same of who read. */
	act_read_note_write();

	/* All events are in the batch now. */
	act_event_end_batch();
}

/* Forgets what was of the transaction; nothing throws. */
static void
forget_all(void)
{
	act_right_forget();
	act_store_forget_locks();
	act_gap_forget();
	act_read_note_forget();
	act_event_forget_batch();
	act_notify_forget();

	/* Last, because whoever held something has let go of it now. */
	act_cache_end_transaction();
}

static void
at_commit(void)
{
	if (act_exported_waiting)
		act_exported_at_commit();

	/* Our rows are visible to whom we wake. */
	act_worker_wake_expecting();
	act_organization_settle(true);
	forget_all();
}

/* Rolled back, or prepared, which is to be decided by somebody else. */
static void
at_no_commit(void)
{
	act_worker_expect_nothing();
	act_organization_settle(false);

	/* Before the cache, since it holds a plan. */
	act_capture_forget();
	forget_all();
}

static void
at_xact(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			if (act_exported_waiting)
				act_exported_refuse_prepare();
			write_what_waits();
			break;
		case XACT_EVENT_PRE_COMMIT:
			write_what_waits();

			/* Never before PREPARE, which refuses transactions that notify. */
			act_notify_send();
			break;
		case XACT_EVENT_COMMIT:
			at_commit();
			break;
		case XACT_EVENT_PREPARE:
			at_no_commit();
			break;
		case XACT_EVENT_ABORT:
			/* The streams' ends as we know them may be what was rolled back. */
			act_head_forget();
			if (act_exported_waiting)
				act_exported_at_abort();
			at_no_commit();
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			break;
	}
}

static void
at_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
		   void *arg)
{
	switch (event)
	{
		case SUBXACT_EVENT_START_SUB:
			break;
		case SUBXACT_EVENT_PRE_COMMIT_SUB:
			/* While the rows can still be written as its own. */
			act_capture_finish();
			act_event_end_batch();
			break;
		case SUBXACT_EVENT_COMMIT_SUB:
			act_gap_commit_sub(mine, parent);
			act_notify_commit_sub(mine, parent);
			break;
		case SUBXACT_EVENT_ABORT_SUB:
			act_head_forget();

			/* What it learned might be the key of its own row. */
			act_organization_settle(false);
			act_capture_abort_sub(mine);
			act_gap_abort_sub(mine);
			act_event_abort_sub(mine);
			act_notify_abort_sub(mine);
			break;
	}
}

void
act_xact_init(void)
{
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
}
