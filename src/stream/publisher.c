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

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/async.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "stream/backlog.h"
#include "stream/chain.h"
#include "base/compat.h"
#include "event/event.h"
#include "stream/head.h"
#include "record/message.h"
#include "stream/publisher.h"
#include "stream/right.h"
#include "base/own_table.h"
#include "stream/segment.h"
#include "wake/wake.h"

PG_FUNCTION_INFO_V1(act_publish);
PG_FUNCTION_INFO_V1(act_publish_here);

/* Rows written to the stream at a time; each takes a slot. */
#define WRITE_ROWS 256

/* A transaction too large for one batch is done in at most so many parts,
 * because each part has to read the ids of all its events again. */
#define PARTS 16

/* Entries that rolled back and are worth a row to be rid of. */
#define MANY_DEAD 100

ActFanOut	act_publisher_fan_out = NULL;

/* What writing a batch needs. */
typedef struct Batch
{
	MemoryContext row_context;
	ActStreamReader  *stream;
	ActBacklog *backlog;
	ActSegmentTarget segment;
	ActChain   *chain;
	bool		sends;			/* notifications */
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *info;
	BulkInsertState bulk;
	int			waiting;		/* rows in slots */
	TupleTableSlot *slots[WRITE_ROWS];
	ActPublished published[WRITE_ROWS];
} Batch;

static void refuse_second_beginning(Snapshot snapshot);
static int64 publish_batch(Snapshot snapshot, bool *more);
static int	choose(ActProgress *progress, const ActShot *until,
				   ActUnpublished *events, int count, int passed, uint64 last,
				   bool complete);
static void write_batch(Snapshot snapshot, ActBacklog *backlog,
						ActProgress *progress, const ActUnpublished *events,
						int count);
static void open_batch(Batch *batch, Snapshot snapshot);
static void write_event(Batch *batch, const ActUnpublished *event);
static void notify(Batch *batch, ActHead *head, TupleTableSlot *event);
static void write_waiting(Batch *batch);
static void close_batch(Batch *batch);
static int	compare_ids(const void *a, const void *b);

/* activity.publish() */
PGDLLEXPORT Datum
act_publish(PG_FUNCTION_ARGS)
{
	int64		count;

	PreventCommandIfReadOnly("activity.publish()");
	PreventCommandDuringRecovery("activity.publish()");
	act_right_require(fcinfo, "activity.publish()");
	count = act_publisher_run(NULL);
	PG_RETURN_INT64(count == ACT_PUBLISHER_BUSY ? 0 : count);
}

/*
 * The same wherever it is called.  Nothing declares it to SQL but tests, which see
 * in a subtransaction what publishing does and take it back.
 */
PGDLLEXPORT Datum
act_publish_here(PG_FUNCTION_ARGS)
{
	int64		count = act_publisher_run(NULL);

	PG_RETURN_INT64(count == ACT_PUBLISHER_BUSY ? 0 : count);
}

int64
act_publisher_run(bool *more)
{
	bool		again = true;
	int64		count = 0;

	if (more != NULL)
		*more = false;
	if (RecoveryInProgress() || XactReadOnly || IsInParallelMode())
		return 0;
	if (!act_right_take())
		return ACT_PUBLISHER_BUSY;

	/* A batch may hold nothing but what rolled back: then go on. */
	while (again && count == 0)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "activity publisher",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		PushActiveSnapshot(GetLatestSnapshot());
		count = publish_batch(GetActiveSnapshot(), &again);
		PopActiveSnapshot();
		CommandCounterIncrement();
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	if (more != NULL)
		*more = again;
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
	uint64		last;
	bool		complete;
	int			dead;
	int			count;

	act_progress_read(snapshot, &progress);
	if (progress.number == 0)
		refuse_second_beginning(snapshot);
	until = progress.target != NULL ? progress.target :
		act_progress_shot(snapshot);
	count = act_backlog_find(backlog, &progress, until,
							 act_setting_publish_batch,
							 &events, &last, &complete, &dead);
	*more = progress.target != NULL || !complete;
	if (count > 0 || *more || dead >= MANY_DEAD)
	{
		count = choose(&progress, until, events, count, dead, last, complete);
		*more = *more || progress.target != NULL;
		write_batch(snapshot, backlog, &progress, events, count);
	}
	act_backlog_close(backlog);
	return count;
}

/*
 * Puts what to publish now in its order at the front of events, and progress
 * to where that leads.  More events than a batch are those of one transaction:
 * of these the first part; passed are its entries that are not among events,
 * most of them because earlier parts had them.
 */
static int
choose(ActProgress *progress, const ActShot *until, ActUnpublished *events,
	   int count, int passed, uint64 last, bool complete)
{
	int			part = Max(act_setting_publish_batch,
						   (int) (((int64) count + passed + PARTS - 1) / PARTS));

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
			const ActUnpublished *events, int count)
{
	/* A position that was shown to anybody must outlive a crash. */
	ForceSyncCommit();
	act_head_begin(progress->number);
	progress->events = count;
	if (count > 0)
	{
		Batch	   *batch = palloc0(sizeof(Batch));

		batch->backlog = backlog;
		open_batch(batch, snapshot);
		for (int i = 0; i < count; i++)
			write_event(batch, &events[i]);
		write_waiting(batch);
		progress->segment = batch->segment.number;
		close_batch(batch);
	}
	act_progress_write(progress);
	act_head_end(progress->number);
}

static void
open_batch(Batch *batch, Snapshot snapshot)
{
	batch->stream = act_stream_open(snapshot);
	batch->segment = act_segment_current(batch->stream);
	batch->chain = act_chain_create();
	batch->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "activity publisher row",
											   ALLOCSET_DEFAULT_SIZES);
	batch->sends = act_setting_notify != ACT_NOTIFY_OFF &&
		act_worker_notifies();
	if (batch->sends && !act_notify_has_room())
		batch->sends = false;

	batch->rel = table_open(batch->segment.relid, RowExclusiveLock);
	act_relation_check(batch->rel, ACT_REL_STREAM);
	(void) act_stream_key(batch->rel);	/* heads may be known without it */
	batch->estate = act_compat_estate(batch->rel);
	batch->info = makeNode(ResultRelInfo);
	InitResultRelInfo(batch->info, batch->rel, 1, NULL, 0);
	ExecOpenIndices(batch->info, false);
	act_relation_check_target(batch->info);
	batch->bulk = GetBulkInsertState();
}

/* Puts the event at the end of its organization's stream. */
static void
write_event(Batch *batch, const ActUnpublished *event)
{
	TupleTableSlot *row = act_backlog_fetch(batch->backlog, event);
	MemoryContext old;
	ActPublished *published;
	TupleTableSlot *slot;
	ActHead    *head;
	uint8		digest[ACT_CHAIN_BYTES];
	bytea	   *hash;

	if (row == NULL)
		elog(ERROR, "an event has vanished from a snapshot");
	if (batch->waiting == WRITE_ROWS)
		write_waiting(batch);
	old = MemoryContextSwitchTo(batch->row_context);
	slot_getallattrs(row);
	head = act_head_get(batch->stream, batch->chain,
						DatumGetInt32(row->tts_values[ACT_EVENT_ORGANIZATION - 1]));
	head->position++;
	act_chain_digest(batch->chain, row, head->id, digest);
	act_chain_extend(batch->chain, head->position, digest, head->hash);

	published = &batch->published[batch->waiting];
	published->organization = head->organization;
	published->type = DatumGetInt32(row->tts_values[ACT_EVENT_TYPE - 1]);
	published->position = head->position;
	published->id = event->id;
	published->occurred_at =
		DatumGetTimestampTz(row->tts_values[ACT_EVENT_OCCURRED_AT - 1]);

	if (batch->slots[batch->waiting] == NULL)
	{
		MemoryContextSwitchTo(old);
		batch->slots[batch->waiting] =
			table_slot_create(batch->rel, &batch->estate->es_tupleTable);
		MemoryContextSwitchTo(batch->row_context);
	}
	slot = batch->slots[batch->waiting++];
	ExecClearTuple(slot);
	hash = palloc(VARHDRSZ + ACT_CHAIN_BYTES);
	SET_VARSIZE(hash, VARHDRSZ + ACT_CHAIN_BYTES);
	memcpy(VARDATA(hash), head->hash, ACT_CHAIN_BYTES);
	slot->tts_values[ACT_STREAM_POSITION - 1] = Int64GetDatum(head->position);
	slot->tts_values[ACT_STREAM_ORGANIZATION - 1] = Int32GetDatum(head->organization);
	slot->tts_values[ACT_STREAM_SEGMENT - 1] = Int32GetDatum(batch->segment.number);
	slot->tts_values[ACT_STREAM_ID - 1] = UUIDPGetDatum(&published->id);
	slot->tts_values[ACT_STREAM_HASH - 1] = PointerGetDatum(hash);
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	memset(slot->tts_isnull, false, ACT_STREAM_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	if (batch->sends)
		notify(batch, head, row);
	MemoryContextSwitchTo(old);
}

static void
notify(Batch *batch, ActHead *head, TupleTableSlot *event)
{
	ActMessage	message = {0};
	StringInfoData payload;
	Datum	   *values = event->tts_values;
	bool	   *nulls = event->tts_isnull;

#define TEXT_OF(column) \
	(nulls[(column) - 1] ? NULL : DatumGetTextPP(values[(column) - 1]))
	message.organization = head->id;
	message.organization_len = strlen(head->id);
	message.position = head->position;
	message.cursor = act_stream_cursor(batch->segment.epoch, head->position);
	message.id = *DatumGetUUIDP(values[ACT_EVENT_ID - 1]);
	message.type = DatumGetInt32(values[ACT_EVENT_TYPE - 1]);
	message.occurred_at = DatumGetTimestampTz(values[ACT_EVENT_OCCURRED_AT - 1]);
	message.actor_kind = TEXT_OF(ACT_EVENT_ACTOR_KIND);
	message.actor_id = TEXT_OF(ACT_EVENT_ACTOR_ID);
	message.actor_name = TEXT_OF(ACT_EVENT_ACTOR_NAME);
	message.on_behalf_of = nulls[ACT_EVENT_BEHALF - 1] ? NULL :
		DatumGetJsonbP(values[ACT_EVENT_BEHALF - 1]);
	message.subject = DatumGetJsonbP(values[ACT_EVENT_SUBJECT - 1]);
	message.description = TEXT_OF(ACT_EVENT_DESCRIPTION);
#undef TEXT_OF
	initStringInfo(&payload);
	act_notify_payload(&message, &payload);
	if (act_setting_notify != ACT_NOTIFY_ORGANIZATION)
		Async_Notify(ACT_NOTIFY_CHANNEL, payload.data);
	if (act_setting_notify != ACT_NOTIFY_SHARED)
		Async_Notify(act_head_channel(head), payload.data);
}

static void
write_waiting(Batch *batch)
{
	int			count = batch->waiting;

	if (count == 0)
		return;
	table_multi_insert(batch->rel, batch->slots, count,
					   batch->estate->es_output_cid, 0, batch->bulk);
	for (int i = 0; i < count; i++)
	{
		act_compat_insert_index_tuples(batch->info, batch->slots[i],
									   batch->estate, false, NULL);
		ResetPerTupleExprContext(batch->estate);
	}
	batch->waiting = 0;
	MemoryContextReset(batch->row_context);
	if (act_publisher_fan_out != NULL)
	{
		CommandCounterIncrement();
		act_publisher_fan_out(batch->published, count);
	}
	act_worker_count(count, batch->sends ? 0 : count);
}

static void
close_batch(Batch *batch)
{
	FreeBulkInsertState(batch->bulk);
	ExecCloseIndices(batch->info);
	ExecResetTupleTable(batch->estate->es_tupleTable, false);
	FreeExecutorState(batch->estate);
	table_close(batch->rel, NoLock);
	act_chain_free(batch->chain);
	act_stream_close(batch->stream);
}

/* The time, then what is random. */
static int
compare_ids(const void *a, const void *b)
{
	return memcmp(&((const ActUnpublished *) a)->id,
				  &((const ActUnpublished *) b)->id, UUID_LEN);
}
