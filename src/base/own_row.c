/*
 * base/own_row.c
 *		Rows of private tables, by the names of table and index: read as of now,
 *		written through the executor's own routines.
 *
 * No SPI: who claims has no right on these tables, a plan could choose another
 * index than the one whose near end is alive, and a transaction in REPEATABLE
 * READ would not see what the last holder of an endpoint's lock has done.
 */
#include "activity.h"

#include "access/relscan.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/compat.h"
#include "base/own_table.h"
#include "base/own_row.h"

/* The tables and their columns, as relation.h writes them. */
static const char *const tables[][2] = {
	{"webhook_endpoint", "IUITatZztz"},
	{"webhook_secret", "ILTZz"},
	{"webhook_delivery", "LZIIUOt"},
	{"webhook_attempt", "LZIIziOvvtt"},
	{"webhook_state", "ILLZZLZIIIzzzzN"},
	{"webhook_retry", "IIZLLZIII"},
	{"webhook_wake", "IL"},
	{"set_aside", "TITLTTZIZ"},
	{"measure", ACT_MEASURE_TYPES},
	{"rollup", ACT_ROLLUP_LETTERS},
	{"kept_amount", ACT_KEPT_AMOUNT_TYPES}
};

static Oid
find(const char *name)
{
	Oid			namespace = get_namespace_oid("_activity", true);

	return OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
}

void
act_row_leaf_name(const char *parent, TimestampTz time, char *name)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	snprintf(name, NAMEDATALEN, "%s_%04d_%02d", parent, tm.tm_year, tm.tm_mon);
}

Relation
act_row_open(const char *table, LOCKMODE lock)
{
	Oid			oid = find(table);
	Relation	rel = OidIsValid(oid) ? try_table_open(oid, lock) : NULL;

	if (rel == NULL)
		return NULL;
	act_relation_check_version();
	for (int i = 0; i < lengthof(tables); i++)
		if (strncmp(table, tables[i][0], strlen(tables[i][0])) == 0)
		{
			act_relation_check_columns(rel, tables[i][1]);
			return rel;
		}
	act_relation_check(rel, ACT_REL_EVENT);
	return rel;
}

void
act_row_begin(ActRowScan *scan, Relation rel, const char *index,
			  int nkeys, ScanKey keys)
{
	act_row_begin_at(scan, rel, index, nkeys, keys, GetLatestSnapshot());
}

void
act_row_begin_at(ActRowScan *scan, Relation rel, const char *index,
				 int nkeys, ScanKey keys, Snapshot snapshot)
{
	Oid			oid = find(index);

	if (rel == NULL || !OidIsValid(oid))
		elog(ERROR, "table of index \"_activity.%s\" does not exist", index);
	scan->rel = rel;
	scan->index = index_open(oid, AccessShareLock);
	act_relation_check_index(scan->index, rel, "");
	scan->snapshot = RegisterSnapshot(snapshot);
	scan->scan = systable_beginscan_ordered(rel, scan->index, scan->snapshot,
											nkeys, keys);
}

HeapTuple
act_row_next(ActRowScan *scan)
{
	return systable_getnext_ordered(scan->scan, ForwardScanDirection);
}

TupleTableSlot *
act_row_slot(ActRowScan *scan)
{
	return scan->scan->slot;
}

void
act_row_end(ActRowScan *scan)
{
	systable_endscan_ordered(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	index_close(scan->index, AccessShareLock);
	table_close(scan->rel, NoLock);
}

static void
begin_write(ActRowWriter *writer, Relation rel, bool speculative)
{
	if (rel == NULL)
		elog(ERROR, "a table of the webhooks does not exist");
	writer->rel = rel;
	writer->pushed = !ActiveSnapshotSet();
	if (writer->pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	writer->estate = act_compat_estate(rel);
	writer->info = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->info, rel, 1, NULL, 0);
	ExecOpenIndices(writer->info, speculative);
	act_relation_check_target(writer->info);
	writer->waiting = 0;
	memset(writer->slots, 0, sizeof(writer->slots));
}

void
act_row_begin_write(ActRowWriter *writer, Relation rel)
{
	begin_write(writer, rel, false);
}

static TupleTableSlot *
fill(ActRowWriter *writer, int number, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = writer->slots[number];
	int			columns = RelationGetDescr(writer->rel)->natts;

	if (slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(writer->estate->es_query_cxt);

		slot = writer->slots[number] =
			table_slot_create(writer->rel, &writer->estate->es_tupleTable);
		MemoryContextSwitchTo(old);
	}
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, columns * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	return slot;
}

static void
write_waiting(ActRowWriter *writer)
{
	if (writer->waiting > 0)
		table_multi_insert(writer->rel, writer->slots, writer->waiting,
						   writer->estate->es_output_cid, 0, NULL);
	for (int i = 0; i < writer->waiting; i++)
	{
		act_compat_insert_index_tuples(writer->info, writer->slots[i], writer->estate,
									   false, NULL);
		ResetPerTupleExprContext(writer->estate);
	}
	writer->waiting = 0;
}

void
act_row_write(ActRowWriter *writer, const Datum *values, const bool *nulls)
{
	if (writer->waiting == ACT_ROW_SLOTS)
		write_waiting(writer);
	/* What values point at may be gone before it is written. */
	ExecMaterializeSlot(fill(writer, writer->waiting++, values, nulls));
}

void
act_row_end_write(ActRowWriter *writer)
{
	write_waiting(writer);
	ExecCloseIndices(writer->info);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	FreeExecutorState(writer->estate);
	if (writer->pushed)
		PopActiveSnapshot();
	table_close(writer->rel, NoLock);
	CommandCounterIncrement();
}

void
act_row_insert_at(Relation rel, const Datum *values, const bool *nulls,
				  ItemPointer tid)
{
	ActRowWriter writer;

	act_row_begin_write(&writer, rel);
	act_row_write(&writer, values, nulls);
	write_waiting(&writer);
	*tid = writer.slots[0]->tts_tid;
	act_row_end_write(&writer);
}

void
act_row_insert(Relation rel, const Datum *values, const bool *nulls)
{
	ActRowWriter writer;

	act_row_begin_write(&writer, rel);
	act_row_write(&writer, values, nulls);
	act_row_end_write(&writer);
}

bool
act_row_insert_once(Relation rel, const Datum *values, const bool *nulls)
{
	ActRowWriter writer;
	bool		inserted;

	begin_write(&writer, rel, true);
	inserted = act_relation_insert_once(writer.info, fill(&writer, 0, values, nulls),
										writer.estate);
	act_row_end_write(&writer);
	return inserted;
}

void
act_row_delete(Relation rel, ItemPointer tid)
{
	simple_table_tuple_delete(rel, tid, NULL);
	CommandCounterIncrement();
}

int64
act_row_number(const char *sequence)
{
	Oid			oid = find(sequence);

	if (!OidIsValid(oid))
		elog(ERROR, "sequence \"_activity.%s\" does not exist", sequence);
	return nextval_internal(oid, false);
}
