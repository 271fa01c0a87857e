/*
 * stream/publisher.c
 *		The one writer of the stream: gives committed events their positions.
 *
 * One publisher at a time, by a lock that is tried, never waited for: who
 * doesn't get it finds the work being done.  The lock comes first and the
 * snapshot after it, so that the snapshot shows what the publisher before us
 * did, whatever the isolation level of the caller; and that one snapshot serves
 * both to find the events and to say what has been found.
 *
 * Within a batch events are put in the order of their ids, which is the order
 * in which they happened, since one transaction can have seen what another,
 * with a larger transaction id, had committed before.
 */
#include "activity.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "event/aside.h"
#include "stream/backlog.h"
#include "stream/batch.h"
#include "stream/head.h"
#include "stream/publisher.h"
#include "stream/right.h"
#include "stream/stream.h"
#include "stream/subscriber.h"

PG_FUNCTION_INFO_V1(act_publish);
PG_FUNCTION_INFO_V1(act_publish_here);

/* A transaction too large for one batch is done in at most so many parts,
 * because each part has to read the ids of all its events again. */
#define PARTS 16

/* Rows that subscribers may make of a batch, such as deliveries, about. */
#define WEIGHT_MOST 100000

/* So many batches after a failure are done item by item. */
#define CAREFUL_BATCHES 10

/* Entries that rolled back and are worth a row to be rid of. */
#define MANY_DEAD 100

/* Batches that are still to be done item by item. */
static int	careful = 0;

static int64 publish_batches(bool *more);
static void run_by_hand(void *argument);
static void refuse_second_beginning(Snapshot snapshot);
static int64 publish_batch(Snapshot snapshot, bool *more);
static int	choose(ActProgress *progress, const ActShot *until,
				   ActUnpublished *events, int count, int passed, uint64 last,
				   bool complete, int most);
static bool is_of_one(const ActUnpublished *events, int count);
static void write_batch(Snapshot snapshot, ActBacklog *backlog,
						ActProgress *progress, const ActUnpublished *events,
						int count, List *asides);
static int	lighten(const ActUnpublished *events, int count);
static int	compare_ids(const void *a, const void *b);

/* activity.publish() */
PGDLLEXPORT Datum
act_publish(PG_FUNCTION_ARGS)
{
	int64		count;

	PreventCommandIfReadOnly("activity.publish()");
	PreventCommandDuringRecovery("activity.publish()");
	act_right_require(fcinfo, "activity.publish()");
	count = act_publisher_run_by_hand(NULL);
	PG_RETURN_INT64(count == ACT_PUBLISHER_BUSY ? 0 : count);
}

/*
 * The same wherever it is called.  Nothing declares it to SQL but tests, which see
 * in a subtransaction what publishing does and take it back.
 */
PGDLLEXPORT Datum
act_publish_here(PG_FUNCTION_ARGS)
{
	int64		count = act_publisher_run_by_hand(NULL);

	PG_RETURN_INT64(count == ACT_PUBLISHER_BUSY ? 0 : count);
}

int64
act_publisher_run(bool *more)
{
	int64		count = 0;
	bool		again = false;

	if (more != NULL)
		*more = false;
	if (RecoveryInProgress() || XactReadOnly || IsInParallelMode())
		return 0;
	if (!act_right_take())
		return ACT_PUBLISHER_BUSY;
	PG_TRY();
	{
		count = publish_batches(&again);
	}
	PG_CATCH();
	{
		careful = CAREFUL_BATCHES;
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (more != NULL)
		*more = again;
	return count;
}

/* A call by hand, to be tried. */
typedef struct ByHand
{
	bool	   *more;
	int64		count;
} ByHand;

int64
act_publisher_run_by_hand(bool *more)
{
	ByHand		call = {more};
	ActFailure	failure;

	if (careful > 0 || XactReadOnly ||
		!act_aside_try(run_by_hand, &call, &failure))
		run_by_hand(&call);
	return call.count;
}

static void
run_by_hand(void *argument)
{
	ByHand	   *call = argument;

	call->count = act_publisher_run(call->more);
}

/* A batch may hold nothing but what rolled back: then go on. */
static int64
publish_batches(bool *more)
{
	int64		count = 0;

	*more = true;
	while (*more && count == 0)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "activity publisher",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		PushActiveSnapshot(GetLatestSnapshot());
		count = publish_batch(GetActiveSnapshot(), more);
		PopActiveSnapshot();
		CommandCounterIncrement();
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		if (careful > 0)
			careful--;
	}
	return count;
}

/*
 * Nothing was published yet, says the table that knows; so no event may have a
 * position.  Or else that table was emptied, and all history would be published
 * a second time.
 */
static void
refuse_second_beginning(Snapshot snapshot)
{
	ActStreamReader *stream = act_stream_open(snapshot);
	int			count;

	(void) act_stream_segments(stream, &count);
	act_stream_close(stream);
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"_activity.publication\" is empty, but events have been published"),
				 errdetail("Publishing would begin at the first event again."),
				 errhint("Restore the table from a backup of the same time as the others.")));
}

/* Everything palloc'd here goes with the caller's context. */
static int64
publish_batch(Snapshot snapshot, bool *more)
{
	ActProgress progress;
	ActShot    *until;
	ActBacklog *backlog = act_backlog_open(snapshot);
	ActUnpublished *events;
	List	   *asides = act_aside_list(NULL);
	uint64		last;
	bool		complete;
	int			dead;
	int			count;
	int			part;
	int			limit = act_setting_publish_batch;

	act_progress_read(snapshot, &progress);
	if (progress.number == 0)
		refuse_second_beginning(snapshot);
	until = progress.target != NULL ? progress.target :
		act_progress_shot(snapshot);
	do
	{
		count = act_backlog_find(backlog, &progress, until, limit,
								 &events, &last, &complete, &dead);
		part = lighten(events, count);
		limit = Min(part, limit - 1);
	} while (part < count && limit > 0 && !is_of_one(events, count));
	*more = progress.target != NULL || !complete;
	if (count > 0 || *more || dead >= MANY_DEAD || act_batch_has_due(asides))
	{
		count = choose(&progress, until, events, count, dead, last, complete, part);
		*more = *more || progress.target != NULL;
		write_batch(snapshot, backlog, &progress, events, count, asides);
		count = progress.events;
	}
	act_backlog_close(backlog);
	return count;
}

/*
 * Puts what to publish now in its order at the front of events, and progress
 * to where that leads.  More events than a batch are those of one transaction:
 * of these the first part; passed are its entries that are not among events,
 * most of them because earlier parts had them; and no part has more than most.
 */
static int
choose(ActProgress *progress, const ActShot *until, ActUnpublished *events,
	   int count, int passed, uint64 last, bool complete, int most)
{
	int			part = Max(act_setting_publish_batch,
						   (int) (((int64) count + passed + PARTS - 1) / PARTS));

	/* Where each event makes many rows, reading the ids again is little. */
	if (most < count)
		part = Min(part, most);

	Assert(part > 0);
	qsort(events, count, sizeof(ActUnpublished), compare_ids);
	if (count > part && events[0].xid == last)
	{
		progress->within = true;
		progress->mark_id = events[part - 1].id;
		count = part;
		complete = false;
	}
	else
		progress->within = false;

	if (complete)
	{
		progress->settled = unconstify(ActShot *, until);
		progress->target = NULL;
		progress->mark_xid = 0;
		progress->within = false;
	}
	else
	{
		progress->target = unconstify(ActShot *, until);
		progress->mark_xid = last;
	}
	return count;
}

static void
write_batch(Snapshot snapshot, ActBacklog *backlog, ActProgress *progress,
			const ActUnpublished *events, int count, List *asides)
{
	/* A position that was shown to anybody must outlive a crash. */
	ForceSyncCommit();
	Assert(IsTransactionState() && !XactReadOnly);
	act_head_begin(progress->number);
	progress->events = count;
	if (count > 0 || act_batch_has_due(asides))
	{
		ActBatch   *batch = act_batch_open(snapshot, careful > 0 || asides != NIL,
										   asides);

		act_batch_try_again(batch);
		for (int i = 0; i < count; i++)
		{
			TupleTableSlot *event = act_backlog_fetch(backlog, &events[i]);

			if (event == NULL)
				elog(ERROR, "an event has vanished from a snapshot");
			act_batch_add(batch, event);
		}
		progress->events = act_batch_close(batch, &progress->segment);
	}
	act_progress_write(progress);
	act_head_end(progress->number);
}

/* Are they all of one transaction? */
static bool
is_of_one(const ActUnpublished *events, int count)
{
	for (int i = 1; i < count; i++)
		if (events[i].xid != events[0].xid)
			return false;
	return true;
}

/* How many of the events make a batch that is not too heavy, on an average. */
static int
lighten(const ActUnpublished *events, int count)
{
	int64		weight = 0;
	int32		organization = 0;
	int			its = 0;

	if ((int64) count * (act_setting_max_endpoints + 1) <= WEIGHT_MOST)
		return count;
	for (int i = 0; i < count; i++)
	{
		if (events[i].organization != organization)
			its = act_subscriber_weight(events[i].organization);
		organization = events[i].organization;
		weight += its;
	}
	if (weight <= WEIGHT_MOST)
		return count;
	return (int) Max(1, count * (double) WEIGHT_MOST / weight);
}

/* The time, then what is random. */
static int
compare_ids(const void *a, const void *b)
{
	return memcmp(&((const ActUnpublished *) a)->id,
				  &((const ActUnpublished *) b)->id, UUID_LEN);
}
