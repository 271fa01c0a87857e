/*
 * stream/batch.c
 *		A batch of events on their way into the stream.
 *
 * What can fail for one event alone is computed before anything is changed: the
 * digest, the message.  So an event that fails in a careful batch leaves no trace
 * in the heads, and the others are published as if it were not there.  It
 * gets a position when it succeeds, like one that was committed late.
 */
#include "activity.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/async.h"
#include "executor/executor.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "base/plant.h"
#include "event/aside.h"
#include "event/event.h"
#include "event/lookup.h"
#include "record/message.h"
#include "stream/batch.h"
#include "stream/chain.h"
#include "stream/head.h"
#include "stream/segment.h"
#include "stream/stream.h"
#include "stream/subscriber.h"
#include "wake/wake.h"

/* Rows written to the stream at a time; each takes a slot. */
#define WRITE_ROWS 256

/* Events of one batch that may fail before it is taken for everybody's failure. */
#define FAILED_MOST 100

/* The step in activity.set_aside. */
#define STEP "publish"

struct ActBatch
{
	MemoryContext row_context;
	ActStreamReader  *stream;
	ActSegmentTarget segment;
	ActChain   *chain;
	bool		sends;			/* notifications */
	bool		careful;		/* each item in a subtransaction */
	int			added;
	int			failed;
	List	   *asides;			/* ActAside, of every step */
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *info;
	BulkInsertState bulk;
	int			waiting;		/* rows in slots */
	TupleTableSlot *slots[WRITE_ROWS];
	ActPublished published[WRITE_ROWS];
};

/* What is computed of an event before anything is written. */
typedef struct Preparation
{
	ActBatch   *batch;
	TupleTableSlot *row;
	ActHead    *head;
	uint8		hash[ACT_CHAIN_BYTES];
	StringInfoData payload;		/* NULL data: nothing to send */
} Preparation;

static bool write_event(ActBatch *batch, TupleTableSlot *row, ActAside *aside);
static void prepare(void *argument);
static void append(ActBatch *batch, Preparation *preparation,
				   MemoryContext context);
static void make_payload(Preparation *preparation);
static void write_waiting(ActBatch *batch);
static void set_aside(ActBatch *batch, TupleTableSlot *row, ActAside *aside,
					  const ActFailure *failure);
static bool is_due_event(const ActAside *aside, TimestampTz now);

ActBatch *
act_batch_open(Snapshot snapshot, bool careful, List *asides)
{
	ActBatch   *batch = palloc0(sizeof(ActBatch));

	batch->careful = careful;
	batch->asides = asides;
	batch->stream = act_stream_open(snapshot);
	batch->segment = act_segment_current(batch->stream);

	/* Not in a subtransaction, which would close them again. */
	if (careful)
		act_stream_open_all(batch->stream);
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
	return batch;
}

void
act_batch_add(ActBatch *batch, TupleTableSlot *event)
{
	(void) write_event(batch, event, NULL);
}

/*
 * Puts the event at the end of its organization's stream; false if it failed by
 * itself and was set aside.  A caller that tries again has it from aside.
 */
static bool
write_event(ActBatch *batch, TupleTableSlot *row, ActAside *aside)
{
	Preparation preparation = {batch, row};
	MemoryContext old;
	ActFailure	failure;

	if (batch->waiting == WRITE_ROWS)
		write_waiting(batch);
	slot_getallattrs(row);
	old = MemoryContextSwitchTo(batch->row_context);
	if (!batch->careful)
		prepare(&preparation);
	else if (!act_aside_try(prepare, &preparation, &failure))
	{
		MemoryContextSwitchTo(old);
		set_aside(batch, row, aside, &failure);
		return false;
	}
	append(batch, &preparation, old);
	MemoryContextSwitchTo(old);
	return true;
}

/* Whatever can fail for this event alone; nothing is changed by it. */
static void
prepare(void *argument)
{
	Preparation *preparation = argument;
	ActBatch   *batch = preparation->batch;
	TupleTableSlot *row = preparation->row;
	int32		organization =
		DatumGetInt32(row->tts_values[ACT_EVENT_ORGANIZATION - 1]);
	uint8		digest[ACT_CHAIN_BYTES];
	ActHead    *head;

	/* A failure may have left half of a digest. */
	if (batch->careful)
		act_chain_begin(batch->chain);
	act_plant("head", organization);
	head = act_head_get(batch->stream, batch->chain, organization);
	act_plant("digest", organization);
	act_chain_digest(batch->chain, row, head->id, digest);
	memcpy(preparation->hash, head->hash, ACT_CHAIN_BYTES);
	act_chain_extend(batch->chain, head->position + 1, digest, preparation->hash);
	preparation->head = head;
	act_plant("notify", organization);
	if (batch->sends)
		make_payload(preparation);
}

/* Into a slot that waits, the position and all that goes with it. */
static void
append(ActBatch *batch, Preparation *preparation, MemoryContext context)
{
	ActHead    *head = preparation->head;
	TupleTableSlot *row = preparation->row;
	ActPublished *published = &batch->published[batch->waiting];
	TupleTableSlot *slot;
	bytea	   *hash;

	Assert(batch->waiting < WRITE_ROWS);
	Assert(head->position >= 0);
	batch->added++;
	head->position++;
	memcpy(head->hash, preparation->hash, ACT_CHAIN_BYTES);
	act_subscriber_describe(row, published);
	published->position = head->position;

	if (batch->slots[batch->waiting] == NULL)
	{
		MemoryContextSwitchTo(context);
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
	if (!batch->sends)
		return;
	if (act_setting_notify != ACT_NOTIFY_ORGANIZATION)
		Async_Notify(ACT_NOTIFY_CHANNEL, preparation->payload.data);
	if (act_setting_notify != ACT_NOTIFY_SHARED)
		Async_Notify(act_head_channel(head), preparation->payload.data);
}

static void
make_payload(Preparation *preparation)
{
	ActMessage	message = {0};
	ActHead    *head = preparation->head;
	TupleTableSlot *event = preparation->row;
	Datum	   *values = event->tts_values;
	bool	   *nulls = event->tts_isnull;

#define TEXT_OF(column) \
	(nulls[(column) - 1] ? NULL : DatumGetTextPP(values[(column) - 1]))
	message.organization = head->id;
	message.organization_len = strlen(head->id);
	message.position = head->position + 1;
	message.cursor = act_stream_cursor(preparation->batch->segment.epoch,
									   head->position + 1);
	message.id = *DatumGetUUIDP(values[ACT_EVENT_ID - 1]);
	message.type = DatumGetInt32(values[ACT_EVENT_TYPE - 1]);
	message.occurred_at = DatumGetTimestampTz(values[ACT_EVENT_OCCURRED_AT - 1]);
	message.actor_kind = TEXT_OF(ACT_EVENT_ACTOR_KIND);
	message.actor_id = TEXT_OF(ACT_EVENT_ACTOR_ID);
	message.actor_name = TEXT_OF(ACT_EVENT_ACTOR_NAME);
	message.on_behalf_of = nulls[ACT_EVENT_ON_BEHALF_OF - 1] ? NULL :
		DatumGetJsonbP(values[ACT_EVENT_ON_BEHALF_OF - 1]);
	message.subject = DatumGetJsonbP(values[ACT_EVENT_SUBJECT - 1]);
	message.description = TEXT_OF(ACT_EVENT_DESCRIPTION);
#undef TEXT_OF
	initStringInfo(&preparation->payload);
	act_notify_payload(&message, &preparation->payload);
}

static void
write_waiting(ActBatch *batch)
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
	CommandCounterIncrement();
	if (batch->careful)
		act_subscriber_tell_each(batch->published, count, &batch->asides);
	else
		act_subscriber_tell(batch->published, count);
	MemoryContextReset(batch->row_context);
	act_worker_count(count, batch->sends ? 0 : count);
}

/* A new one, or, that the caller has, again. */
static void
set_aside(ActBatch *batch, TupleTableSlot *row, ActAside *aside,
		  const ActFailure *failure)
{
	/* So many don't fail by themselves. */
	if (++batch->failed > FAILED_MOST)
		ereport(ERROR,
				(errcode(failure->sqlstate),
				 errmsg("too many events of a batch can't be published: %s",
						failure->message)));
	if (aside == NULL)
	{
		aside = palloc0(sizeof(ActAside));
		aside->step = STEP;
		aside->organization =
			DatumGetInt32(row->tts_values[ACT_EVENT_ORGANIZATION - 1]);
		aside->item = DatumGetCString(DirectFunctionCall1(uuid_out,
														  row->tts_values[ACT_EVENT_ID - 1]));
	}
	act_aside_put(aside, failure);
}

void
act_batch_try_again(ActBatch *batch)
{
	TimestampTz now = GetCurrentTimestamp();
	ActLookup  *lookup;
	ListCell   *cell;

	if (batch->asides == NIL)
		return;
	Assert(batch->careful);
	lookup = act_lookup_open(GetActiveSnapshot());
	foreach(cell, batch->asides)
	{
		ActAside   *aside = lfirst(cell);
		TupleTableSlot *row;

		if (!is_due_event(aside, now))
			continue;
		row = act_lookup_event(lookup, aside->organization,
							   DatumGetUUIDP(DirectFunctionCall1(uuid_in,
																 CStringGetDatum(aside->item))));
		/* Retention may have been here first. */
		if (row == NULL || write_event(batch, row, aside))
			act_aside_clear(aside);
	}
	act_lookup_close(lookup);
}

bool
act_batch_has_due(const List *asides)
{
	TimestampTz now = asides == NIL ? 0 : GetCurrentTimestamp();
	ListCell   *cell;

	foreach(cell, asides)
	{
		ActAside   *aside = lfirst(cell);

		if (is_due_event(aside, now) ||
			(aside->next_attempt <= now && act_subscriber_is_one(aside->step)))
			return true;
	}
	return false;
}

static bool
is_due_event(const ActAside *aside, TimestampTz now)
{
	return aside->next_attempt <= now && strcmp(aside->step, STEP) == 0;
}

int
act_batch_close(ActBatch *batch, int32 *segment)
{
	int			added = batch->added;

	write_waiting(batch);
	Assert(batch->waiting == 0);
	act_subscriber_flush();
	act_subscriber_catch_up(batch->asides);
	*segment = batch->segment.number;
	FreeBulkInsertState(batch->bulk);
	ExecCloseIndices(batch->info);
	ExecResetTupleTable(batch->estate->es_tupleTable, false);
	FreeExecutorState(batch->estate);
	table_close(batch->rel, NoLock);
	act_chain_free(batch->chain);
	act_stream_close(batch->stream);
	return added;
}
