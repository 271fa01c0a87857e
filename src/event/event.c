/*
 * event/event.c
 *		The event row and its only writer.
 *
 * Rows go in as COPY puts them in: table_tuple_insert or table_multi_insert,
 * then ExecInsertIndexTuples.  ExecSimpleRelationInsert would also compile and
 * check the partition's bounds for each row; here the partition is found from
 * the same bounds, so a row can't be in the wrong one.
 *
 * A bulk change calls us once per row.  Opening the partition and its indexes
 * each time would cost as much as the insert, so the triggers of a tracked
 * table open a batch before the statement and close it after.  The rows of a
 * batch belong to the subtransaction that opened it: they are written before
 * it ends, and forgotten if it aborts.  In a deeper subtransaction rows are
 * written at once, because that one may abort alone.
 */
#include "activity.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "base/hash.h"
#include "base/json.h"
#include "event/event.h"
#include "event/incarnation.h"
#include "base/own_table.h"
#include "wake/wake.h"

/* A batch is written when it has this many rows or bytes. */
#define BATCH_ROWS 1000
#define BATCH_BYTES (1024 * 1024)

/* Rows handed to the table at a time; each takes a slot. */
#define INSERT_ROWS 100

typedef struct Batch
{
	SubTransactionId owner;		/* invalid when no batch is open */
	int			statements;		/* of the owner that have opened it */
	MemoryContext context;		/* the rows; NULL before the first */
	HeapTuple	rows[BATCH_ROWS];
	TimestampTz times[BATCH_ROWS];
	int			count;
	Size		bytes;
	bool		behalf;			/* some row has somebody on whose behalf it is */
} Batch;

/* An open partition, ready to be written to. */
typedef struct Target
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *info;
	bool		pushed;			/* a snapshot, to be popped */
} Target;

static Batch batch;

static void form(const ActEvent *event, pg_uuid_t *salt, Datum *values,
				 bool *nulls);
static Oid	partition_of(Relation parent, TimestampTz time);
static Oid	lock_partition(Relation parent, TimestampTz time);
static void open_target(Target *target, Oid partition, bool speculative,
						bool behalf);
static void open_most_indexes(ResultRelInfo *info, bool speculative);
static Oid	behalf_index(Relation rel);
static bool is_behalf_index(Oid index, Relation rel);
static void close_target(Target *target);
static void insert_one(Target *target, TupleTableSlot *slot);
static HeapTuple form_tuple(TupleDesc desc, const Datum *values,
							const bool *nulls);
static void insert_run(Oid partition, int first, int count);
static void add_to_batch(Relation parent, TimestampTz time, Datum *values,
						 bool *nulls);
static void forget_rows(void);

void
act_event_write(const ActEvent *event)
{
	Relation	parent = act_relation_open(ACT_REL_EVENT, RowExclusiveLock);
	Datum		values[ACT_EVENT_COLUMNS];
	bool		nulls[ACT_EVENT_COLUMNS];
	pg_uuid_t	salt;

	Assert(event->organization > 0 && event->type != 0);
	Assert(event->subject != NULL && event->context != NULL);
	form(event, &salt, values, nulls);
	if (batch.owner == GetCurrentSubTransactionId())
		add_to_batch(parent, event->occurred_at, values, nulls);
	else
	{
		Target		target;
		TupleTableSlot *slot;

		open_target(&target, lock_partition(parent, event->occurred_at), false,
					event->on_behalf_of != NULL);
		slot = table_slot_create(target.rel, &target.estate->es_tupleTable);
		act_relation_fill(slot, values, nulls, ACT_EVENT_COLUMNS);
		insert_one(&target, slot);
		close_target(&target);
	}
	table_close(parent, NoLock);
}

bool
act_event_write_once(const ActEvent *event)
{
	Relation	parent = act_relation_open(ACT_REL_EVENT, RowExclusiveLock);
	Datum		values[ACT_EVENT_COLUMNS];
	bool		nulls[ACT_EVENT_COLUMNS];
	pg_uuid_t	salt;
	Target		target;
	TupleTableSlot *slot;
	bool		inserted;

	act_event_flush();
	open_target(&target, lock_partition(parent, event->occurred_at), true,
				event->on_behalf_of != NULL);
	slot = table_slot_create(target.rel, &target.estate->es_tupleTable);
	form(event, &salt, values, nulls);
	act_relation_fill(slot, values, nulls, ACT_EVENT_COLUMNS);
	inserted = act_relation_insert_once(target.info, slot, target.estate);
	close_target(&target);
	table_close(parent, NoLock);
	return inserted;
}

/* A statement within a statement joins the batch that is open. */
void
act_event_open_batch(void)
{
	if (batch.owner == InvalidSubTransactionId)
	{
		Assert(batch.count == 0);
		batch.owner = GetCurrentSubTransactionId();
		batch.statements = 0;
	}
	if (batch.owner == GetCurrentSubTransactionId())
		batch.statements++;
}

static void
add_to_batch(Relation parent, TimestampTz time, Datum *values, bool *nulls)
{
	MemoryContext old;
	HeapTuple	row;

	if (batch.context == NULL)
		batch.context = AllocSetContextCreate(TopTransactionContext,
											  "activity batch",
											  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(batch.context);
	row = form_tuple(RelationGetDescr(parent), values, nulls);
	MemoryContextSwitchTo(old);

	batch.rows[batch.count] = row;
	batch.times[batch.count] = time;
	batch.count++;
	batch.bytes += row->t_len;
	batch.behalf |= !nulls[ACT_EVENT_ON_BEHALF_OF - 1];
	if (batch.count == BATCH_ROWS || batch.bytes >= BATCH_BYTES)
		act_event_flush();
}

/* Columns that were added and dropped stand behind the known ones, and are null. */
static HeapTuple
form_tuple(TupleDesc desc, const Datum *values, const bool *nulls)
{
	Datum	   *all_values;
	bool	   *all_nulls;

	if (likely(desc->natts == ACT_EVENT_COLUMNS))
		return heap_form_tuple(desc, (Datum *) values, (bool *) nulls);
	all_values = palloc0(desc->natts * sizeof(Datum));
	all_nulls = palloc(desc->natts * sizeof(bool));
	memcpy(all_values, values, ACT_EVENT_COLUMNS * sizeof(Datum));
	memset(all_nulls, true, desc->natts * sizeof(bool));
	memcpy(all_nulls, nulls, ACT_EVENT_COLUMNS * sizeof(bool));
	return heap_form_tuple(desc, all_values, all_nulls);
}

void
act_event_close_batch(void)
{
	if (batch.owner == GetCurrentSubTransactionId() && --batch.statements <= 0)
		act_event_end_batch();
}

void
act_event_end_batch(void)
{
	if (batch.owner != GetCurrentSubTransactionId())
		return;
	act_event_flush();
	Assert(batch.count == 0);
	batch.owner = InvalidSubTransactionId;
}

void
act_event_flush(void)
{
	Relation	parent;
	int			first = 0;

	if (batch.count == 0 || batch.owner != GetCurrentSubTransactionId())
		return;

	parent = act_relation_open(ACT_REL_EVENT, RowExclusiveLock);
	while (first < batch.count)
	{
		Oid			partition = lock_partition(parent, batch.times[first]);
		int			end = first + 1;

		while (end < batch.count &&
			   partition_of(parent, batch.times[end]) == partition)
			end++;
		insert_run(partition, first, end - first);
		first = end;
	}
	table_close(parent, NoLock);

	forget_rows();
}

char *
act_event_subject_id(Jsonb *subject, int *len)
{
	JsonbValue	found;

	if (act_json_find(subject, "id", 2, &found) == NULL)
		return NULL;
	if (found.type == jbvString)
	{
		*len = found.val.string.len;
		return found.val.string.val;
	}
	if (found.type == jbvNumeric)
	{
		char	   *number = DatumGetCString(DirectFunctionCall1(numeric_out,
																 NumericGetDatum(found.val.numeric)));

		*len = strlen(number);
		return number;
	}
	return NULL;
}

int32
act_event_hash(const char *id, int len)
{
	uint32		hash = act_hash_bytes((const unsigned char *) id, len);

	for (int i = len - 1; i >= 0; i--)
		if (id[i] == ':')
		{
			uint32		part = act_hash_bytes((const unsigned char *) id + i + 1,
											  len - i - 1);

			return (int32) ((part & 0xffff0000) | (hash & 0x0000ffff));
		}
	return (int32) hash;
}

/* The values point at the event and at salt, which is filled. */
static void
form(const ActEvent *event, pg_uuid_t *salt, Datum *values, bool *nulls)
{
	int			id_len;
	char	   *id;

	memset(nulls, false, ACT_EVENT_COLUMNS * sizeof(bool));
#define PUT(column, datum) (values[(column) - 1] = (datum))
#define PUT_POINTER(column, pointer) \
	(nulls[(column) - 1] = (pointer) == NULL, PUT(column, PointerGetDatum(pointer)))

	act_worker_expect();
	PUT(ACT_EVENT_ID, UUIDPGetDatum(&event->id));
	PUT(ACT_EVENT_OCCURRED_AT, TimestampTzGetDatum(event->occurred_at));
	PUT(ACT_EVENT_XID, FullTransactionIdGetDatum(act_incarnation_xid()));
	for (int i = 0; i < 2; i++)
	{
		uint64		random = act_event_id_random();

		memcpy(salt->data + i * sizeof(random), &random, sizeof(random));
	}
	PUT(ACT_EVENT_SALT, UUIDPGetDatum(salt));
	if (event->recorded_at == DT_NOBEGIN)
		nulls[ACT_EVENT_RECORDED_AT - 1] = true;
	else
		PUT(ACT_EVENT_RECORDED_AT, TimestampTzGetDatum(event->recorded_at));
	PUT(ACT_EVENT_ORGANIZATION, Int32GetDatum(event->organization));
	PUT(ACT_EVENT_TYPE, Int32GetDatum(event->type));

	if (event->actor_id != NULL)
		PUT(ACT_EVENT_ACTOR_HASH,
			Int32GetDatum(act_event_hash(VARDATA_ANY(event->actor_id),
										 VARSIZE_ANY_EXHDR(event->actor_id))));
	else
		nulls[ACT_EVENT_ACTOR_HASH - 1] = true;
	id = act_event_subject_id(event->subject, &id_len);
	if (id != NULL)
		PUT(ACT_EVENT_SUBJECT_HASH, Int32GetDatum(act_event_hash(id, id_len)));
	else
		nulls[ACT_EVENT_SUBJECT_HASH - 1] = true;
	id = event->on_behalf_of == NULL ? NULL :
		act_event_subject_id(event->on_behalf_of, &id_len);
	if (id != NULL)
		PUT(ACT_EVENT_ON_BEHALF_OF_HASH, Int32GetDatum(act_event_hash(id, id_len)));
	else
		nulls[ACT_EVENT_ON_BEHALF_OF_HASH - 1] = true;

	PUT_POINTER(ACT_EVENT_ACTOR_KIND, event->actor_kind);
	PUT_POINTER(ACT_EVENT_ACTOR_ID, event->actor_id);
	PUT_POINTER(ACT_EVENT_ACTOR_NAME, event->actor_name);
	PUT_POINTER(ACT_EVENT_DESCRIPTION, event->description);
	PUT_POINTER(ACT_EVENT_SUBJECT, event->subject);
	PUT_POINTER(ACT_EVENT_METADATA, event->metadata);
	PUT_POINTER(ACT_EVENT_CONTEXT, event->context);
	PUT_POINTER(ACT_EVENT_ON_BEHALF_OF, event->on_behalf_of);
	nulls[ACT_EVENT_COMMITMENT - 1] = true;
#undef PUT_POINTER
#undef PUT
}

/*
 * The partition that takes this time, by the bounds as the parent has them.
 * The caller's lock on the parent keeps partitions from going away.
 */
static Oid
partition_of(Relation parent, TimestampTz time)
{
	PartitionDesc partitions = RelationGetPartitionDesc(parent, true);
	PartitionBoundInfo bounds = partitions->boundinfo;
	int			low = -1;		/* the last bound known to be <= time */
	int			high = partitions->nparts > 0 ? bounds->ndatums - 1 : -1;
	int			found;

	while (low < high)
	{
		int			middle = (low + high + 1) / 2;
		PartitionRangeDatumKind kind = bounds->kind[middle][0];

		if (kind == PARTITION_RANGE_DATUM_MINVALUE ||
			(kind == PARTITION_RANGE_DATUM_VALUE &&
			 DatumGetTimestampTz(bounds->datums[middle][0]) <= time))
			low = middle;
		else
			high = middle - 1;
	}
	found = partitions->nparts > 0 && bounds->ndatums > 0 ?
		bounds->indexes[low + 1] : -1;
	if (found < 0 && partitions->nparts > 0)
		found = bounds->default_index;
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("no partition of \"_activity.event\" takes %s",
						timestamptz_to_str(time)),
				 errhint("Its default partition was detached; attach it again.")));
	return partitions->oids[found];
}

/*
 * The same, locked.  While we waited for the lock on the default partition, the
 * month may have got a partition of its own; once we have it, none can.
 */
static Oid
lock_partition(Relation parent, TimestampTz time)
{
	Oid			partition = partition_of(parent, time);

	for (;;)
	{
		Oid			now;

		LockRelationOid(partition, RowExclusiveLock);
		now = partition_of(parent, time);
		if (now == partition)
			return partition;
		UnlockRelationOid(partition, RowExclusiveLock);
		partition = now;
	}
}

static void
open_target(Target *target, Oid partition, bool speculative, bool behalf)
{
	target->rel = table_open(partition, NoLock);

	/* Rows are formed for the parent; a partition made by hand may differ. */
	act_relation_check(target->rel, ACT_REL_EVENT);

	/* At PRE_COMMIT no snapshot is active. */
	target->pushed = !ActiveSnapshotSet();
	if (target->pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	target->estate = act_compat_estate(target->rel);

	/* Not by InitResultRelInfo, which copies triggers that never fire here. */
	target->info = makeNode(ResultRelInfo);
	target->info->ri_RangeTableIndex = 1;
	target->info->ri_RelationDesc = target->rel;
	if (behalf)
		ExecOpenIndices(target->info, speculative);
	else
		open_most_indexes(target->info, speculative);
	act_relation_check_target(target->info);
}

/*
 * ExecOpenIndices without the index of those for whom actors acted, which
 * no row goes into: to open it would cost each event as much as one of the others.
 */
static void
open_most_indexes(ResultRelInfo *info, bool speculative)
{
	Relation	rel = info->ri_RelationDesc;
	Oid			partial = behalf_index(rel);
	List	   *oids = RelationGetIndexList(rel);
	ListCell   *cell;

	info->ri_IndexRelationDescs = palloc(list_length(oids) * sizeof(Relation));
	info->ri_IndexRelationInfo = palloc(list_length(oids) * sizeof(IndexInfo *));
	foreach(cell, oids)
	{
		int			i = info->ri_NumIndices;
		Relation	index;

		if (lfirst_oid(cell) == partial)
			continue;
		index = index_open(lfirst_oid(cell), RowExclusiveLock);
		info->ri_IndexRelationDescs[i] = index;
		info->ri_IndexRelationInfo[i] = BuildIndexInfo(index);
		if (speculative && index->rd_index->indisunique)
			BuildSpeculativeIndexInfo(index, info->ri_IndexRelationInfo[i]);
		info->ri_NumIndices++;
	}
	list_free(oids);
}

/* What was found for the last partition is looked at again: it may be gone. */
static Oid
behalf_index(Relation rel)
{
	static Oid	last = InvalidOid;
	List	   *oids;
	ListCell   *cell;

	if (OidIsValid(last) && is_behalf_index(last, rel))
		return last;
	last = InvalidOid;
	oids = RelationGetIndexList(rel);
	foreach(cell, oids)
		if (is_behalf_index(lfirst_oid(cell), rel))
			last = lfirst_oid(cell);
	list_free(oids);
	return last;
}

static bool
is_behalf_index(Oid index, Relation rel)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		is;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	is = form->indrelid == RelationGetRelid(rel) && form->indnkeyatts == 3 &&
		form->indkey.values[0] == ACT_EVENT_ON_BEHALF_OF_HASH &&
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	ReleaseSysCache(tuple);
	return is;
}

static void
close_target(Target *target)
{
	ExecCloseIndices(target->info);
	ExecResetTupleTable(target->estate->es_tupleTable, false);
	FreeExecutorState(target->estate);
	if (target->pushed)
		PopActiveSnapshot();
	table_close(target->rel, NoLock);
}

static void
insert_one(Target *target, TupleTableSlot *slot)
{
	table_tuple_insert(target->rel, slot, target->estate->es_output_cid, 0,
					   NULL);
	act_compat_insert_index_tuples(target->info, slot, target->estate,
								   false, NULL);
}

/* Rows [first, first + count) of the batch, which are of one partition. */
static void
insert_run(Oid partition, int first, int count)
{
	TupleTableSlot *slots[INSERT_ROWS];
	Target		target;
	BulkInsertState bulk;

	open_target(&target, partition, false, batch.behalf);
	bulk = count >= INSERT_ROWS ? GetBulkInsertState() : NULL;
	for (int i = 0; i < Min(count, INSERT_ROWS); i++)
		slots[i] = table_slot_create(target.rel, &target.estate->es_tupleTable);

	for (int done = 0; done < count;)
	{
		int			now = Min(count - done, INSERT_ROWS);

		for (int i = 0; i < now; i++)
			ExecForceStoreHeapTuple(batch.rows[first + done + i], slots[i],
									false);
		if (now == 1)
			insert_one(&target, slots[0]);
		else
		{
			table_multi_insert(target.rel, slots, now,
							   target.estate->es_output_cid, 0, bulk);
			for (int i = 0; i < now; i++)
			{
				act_compat_insert_index_tuples(target.info, slots[i],
											   target.estate, false, NULL);
				ResetPerTupleExprContext(target.estate);
			}
		}
		done += now;
	}
	if (bulk != NULL)
		FreeBulkInsertState(bulk);
	close_target(&target);
}

/* The rows of the batch are written, or belong to what is rolled back. */
static void
forget_rows(void)
{
	batch.count = 0;
	batch.bytes = 0;
	batch.behalf = false;
	if (batch.context != NULL)
		MemoryContextReset(batch.context);
}

void
act_event_forget_batch(void)
{
	/* The context goes with the transaction's. */
	batch.context = NULL;
	batch.owner = InvalidSubTransactionId;
	forget_rows();
}

void
act_event_abort_sub(SubTransactionId mine)
{
	if (batch.owner != mine)
		return;
	batch.owner = InvalidSubTransactionId;
	forget_rows();
}
