/*
 * numbers/compact.c
 *		Rows as they were published, put into those that readers ask.
 *
 * A month of one kind is made anew where the new cells fall: the rows in their way
 * are taken out, all cells sorted, equal ones added up, and written.  Nobody else
 * does it to the organization meanwhile (rollup.sql: the lock of upkeep).
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"

PG_FUNCTION_INFO_V1(act_merge_rollup);

extern PGDLLEXPORT Datum act_merge_rollup(PG_FUNCTION_ARGS);

/* Cells of a row, about: all of a quarter hour are in one. */
#define ROW_CELLS 2000

typedef struct Merge
{
	int32		organization;
	ActRollupKind kind;
	int32		since;			/* the month */
	int32		until;
	int32		low;			/* where the new cells fall */
	int32		high;			/* not this one any more */
	int			ndropped;
	int32	   *dropped;		/* ascending */
	ActCell    *cells;
	int			count;
	int			room;
} Merge;

static void read_dropped(Merge *merge, ArrayType *array);
static void read_added(Merge *merge, Relation rel, ArrayType *tids);
static void take_rows(Merge *merge);
static bool is_in_the_way(const Merge *merge, HeapTuple row, TupleDesc desc);
static void add_row(Merge *merge, HeapTuple row, TupleDesc desc, bool is_new);
static bool wants(const Merge *merge, const ActCell *cell, bool is_new);
static void coarsen(const Merge *merge, ActCell *cell);
static void add_up(Merge *merge);
static void add_to(ActCell *sum, const ActCell *cell);
static int32 plus(int32 a, int32 b);
static int64 write_rows(const Merge *merge);
static int32 row_value(HeapTuple row, TupleDesc desc, int column);
static int	compare(const void *a, const void *b);
static int	compare_keys(const ActCell *a, const ActCell *b);
static int	compare_texts(const text *a, const text *b);
static int	compare_quarters(const void *a, const void *b);

/*
 * merge_rollup(key integer, kind integer, since integer, until integer, added tid[],
 * dropped integer[]) RETURNS bigint
 */
Datum
act_merge_rollup(PG_FUNCTION_ARGS)
{
	Merge		merge = {0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "activity compaction",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation	rel;
	int64		rows;

	merge.organization = PG_GETARG_INT32(0);
	merge.kind = (ActRollupKind) PG_GETARG_INT32(1);
	merge.low = merge.since = PG_GETARG_INT32(2);
	merge.high = merge.until = PG_GETARG_INT32(3);
	read_dropped(&merge, PG_GETARG_ARRAYTYPE_P(5));
	PushActiveSnapshot(GetLatestSnapshot());
	rel = act_row_open("rollup", RowExclusiveLock);
	read_added(&merge, rel, PG_GETARG_ARRAYTYPE_P(4));
	table_close(rel, NoLock);
	take_rows(&merge);
	PopActiveSnapshot();
	add_up(&merge);
	rows = write_rows(&merge);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_INT64(rows);
}

static void
read_dropped(Merge *merge, ArrayType *array)
{
	Datum	   *values;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &values, NULL,
					  &merge->ndropped);
	merge->dropped = palloc(Max(merge->ndropped, 1) * sizeof(int32));
	for (int i = 0; i < merge->ndropped; i++)
		merge->dropped[i] = DatumGetInt32(values[i]);
	qsort(merge->dropped, merge->ndropped, sizeof(int32), compare_quarters);
}

/* Rows by where they lie; they are left there. */
static void
read_added(Merge *merge, Relation rel, ArrayType *tids)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Datum	   *values;
	int			count;
	int32		low = PG_INT32_MAX;
	int32		high = PG_INT32_MIN;

	deconstruct_array(tids, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT, &values,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		ItemPointer tid = (ItemPointer) DatumGetPointer(values[i]);
		HeapTuple	row;
		bool		owned;

		if (!table_tuple_fetch_row_version(rel, tid, GetActiveSnapshot(), slot))
			continue;
		row = ExecFetchSlotHeapTuple(slot, false, &owned);
		low = Min(low, row_value(row, RelationGetDescr(rel), ACT_ROLLUP_FIRST));
		high = Max(high, row_value(row, RelationGetDescr(rel), ACT_ROLLUP_LAST));
		add_row(merge, row, RelationGetDescr(rel), true);
		if (owned)
			heap_freetuple(row);
	}
	ExecDropSingleTupleTableSlot(slot);
	/* Of the others a month is one row, or has few. */
	if (merge->kind == ACT_ROLLUP_EVERYTHING && merge->ndropped == 0)
	{
		merge->low = Max(low, merge->since);
		merge->high = high < merge->until ? high + 1 : merge->until;
	}
}

/* The rows of the kind that are in the way: read, and deleted. */
static void
take_rows(Merge *merge)
{
	ScanKeyData keys[4];
	ActRowScan	scan;
	HeapTuple	row;
	ItemPointer tids = NULL;
	int			count = 0;
	Relation	rel;

	ScanKeyInit(&keys[0], ACT_ROLLUP_KIND, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(merge->kind));
	ScanKeyInit(&keys[1], ACT_ROLLUP_ORGANIZATION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(merge->organization));
	ScanKeyInit(&keys[2], ACT_ROLLUP_FIRST, BTGreaterEqualStrategyNumber, F_INT4GE,
				Int32GetDatum(merge->since));
	ScanKeyInit(&keys[3], ACT_ROLLUP_FIRST, BTLessStrategyNumber, F_INT4LT,
				Int32GetDatum(merge->until));
	act_row_begin_at(&scan, act_row_open("rollup", RowExclusiveLock), "rollup_key",
					 lengthof(keys), keys, GetActiveSnapshot());
	while ((row = act_row_next(&scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);

		CHECK_FOR_INTERRUPTS();
		if (!is_in_the_way(merge, row, desc))
			continue;
		add_row(merge, row, desc, false);
		tids = tids == NULL ? palloc(sizeof(ItemPointerData)) :
			repalloc(tids, (count + 1) * sizeof(ItemPointerData));
		tids[count++] = row->t_self;
	}
	act_row_end(&scan);
	rel = act_row_open("rollup", RowExclusiveLock);
	for (int i = 0; i < count; i++)
		act_row_delete(rel, &tids[i]);
	table_close(rel, NoLock);
}

/* Small rows are taken along, so that they become large. */
static bool
is_in_the_way(const Merge *merge, HeapTuple row, TupleDesc desc)
{
	return row_value(row, desc, ACT_ROLLUP_LAST) < merge->until &&
		((row_value(row, desc, ACT_ROLLUP_FIRST) < merge->high &&
		  row_value(row, desc, ACT_ROLLUP_LAST) >= merge->low) ||
		 row_value(row, desc, ACT_ROLLUP_CELLS) < ROW_CELLS / 2);
}

static void
add_row(Merge *merge, HeapTuple row, TupleDesc desc, bool is_new)
{
	ActCell    *cells;
	int			count = act_cells_read(row, desc, &cells);

	if (merge->count + count > merge->room)
	{
		merge->room = Max(2 * merge->room, merge->count + count + 1024);
		merge->cells = merge->cells == NULL ?
			MemoryContextAllocHuge(CurrentMemoryContext, merge->room * sizeof(ActCell)) :
			repalloc_huge(merge->cells, merge->room * sizeof(ActCell));
	}
	for (int i = 0; i < count; i++)
	{
		ActCell    *cell = &cells[i];

		if (!wants(merge, cell, is_new))
			continue;
		coarsen(merge, cell);
		cell->order = merge->count;
		cell->named_at = cell->last_at;
		merge->cells[merge->count++] = *cell;
	}
	pfree(cells);
}

static bool
wants(const Merge *merge, const ActCell *cell, bool is_new)
{
	bool		counts = merge->kind >= ACT_ROLLUP_COUNTS;

	if (cell->quarter < merge->since || cell->quarter >= merge->until ||
		(merge->kind != ACT_ROLLUP_EVERYTHING && (cell->amount.measure == 0) != counts))
		return false;
	return is_new || merge->ndropped == 0 ||
		bsearch(&cell->quarter, merge->dropped, merge->ndropped, sizeof(int32),
				compare_quarters) == NULL;
}

/* What the kind does not tell apart. */
static void
coarsen(const Merge *merge, ActCell *cell)
{
	if (merge->kind == ACT_ROLLUP_DAYS || merge->kind == ACT_ROLLUP_DAILY_TYPES)
		cell->quarter -= cell->quarter % ACT_QUARTERS_OF_DAY;
	else if (merge->kind == ACT_ROLLUP_MONTHS)
		cell->quarter = merge->since;
	if (merge->kind >= ACT_ROLLUP_COUNTS)
		cell->actor = cell->amount.resource = NULL;
	cell->typeless |= merge->kind == ACT_ROLLUP_COUNTS;
	if (cell->typeless)
		cell->type = 0;
}

/* Equal cells become one; what comes to no event is left out. */
static void
add_up(Merge *merge)
{
	int			sums = 0;

	qsort(merge->cells, merge->count, sizeof(ActCell), compare);
	for (int i = 0; i < merge->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (sums > 0 && compare_keys(&merge->cells[sums - 1], &merge->cells[i]) == 0)
		{
			add_to(&merge->cells[sums - 1], &merge->cells[i]);
			continue;
		}
		if (sums > 0 && merge->cells[sums - 1].events == 0)
			sums--;
		merge->cells[sums++] = merge->cells[i];
	}
	if (sums > 0 && merge->cells[sums - 1].events == 0)
		sums--;
	merge->count = sums;
}

static void
add_to(ActCell *sum, const ActCell *cell)
{
	ActAmount  *total = &sum->amount;
	const ActAmount *amount = &cell->amount;

	/* The name that was seen last; of two at a time the lesser one. */
	if (amount->name != NULL &&
		(total->name == NULL || cell->named_at > sum->named_at ||
		 (cell->named_at == sum->named_at && compare_texts(amount->name, total->name) < 0)))
	{
		total->name = amount->name;
		sum->named_at = cell->named_at;
	}
	if (total->amount == NULL)
		total->amount = amount->amount;
	else if (amount->amount != NULL)
		total->amount = DatumGetNumeric(DirectFunctionCall2(numeric_add,
															NumericGetDatum(total->amount),
															NumericGetDatum(amount->amount)));
	sum->events = plus(sum->events, cell->events);
	sum->unmeasured = plus(sum->unmeasured, cell->unmeasured);
	if (cell->timeless)
		return;
	if (sum->timeless)
	{
		sum->timeless = false;
		sum->first_at = cell->first_at;
		sum->last_at = cell->last_at;
		return;
	}
	sum->first_at = Min(sum->first_at, cell->first_at);
	sum->last_at = Max(sum->last_at, cell->last_at);
}

static int32
plus(int32 a, int32 b)
{
	int32		sum;

	if (pg_add_s32_overflow(a, b, &sum))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("more events in one cell of the rollups than it can count")));
	return sum;
}

/* A month of everything, or of days, is several rows; else it is one. */
static int64
write_rows(const Merge *merge)
{
	bool		several = merge->kind == ACT_ROLLUP_EVERYTHING || merge->kind == ACT_ROLLUP_DAYS;
	ActRowWriter writer;
	int64		rows = 0;
	int			first = 0;
	int			quarter = 0;	/* where the present one begins */

	if (merge->count == 0)
		return 0;
	act_row_begin_write(&writer, act_row_open("rollup", RowExclusiveLock));
	for (int i = 1; i <= merge->count; i++)
	{
		if (i < merge->count)
		{
			if (merge->cells[i].quarter == merge->cells[i - 1].quarter)
				continue;
			quarter = i;
			if (!several || quarter / ROW_CELLS == first / ROW_CELLS)
				continue;
		}
		act_cells_write(&writer, merge->kind, &merge->cells[first], i - first);
		first = i;
		rows++;
	}
	act_row_end_write(&writer);
	return rows;
}

static int32
row_value(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;

	return DatumGetInt32(heap_getattr(row, column, desc, &isnull));
}

static int
compare(const void *a, const void *b)
{
	const ActCell *one = a;
	const ActCell *other = b;
	int			order = compare_keys(one, other);

	return order != 0 ? order : one->order < other->order ? -1 : one->order > other->order;
}

/* By what is not added up. */
static int
compare_keys(const ActCell *a, const ActCell *b)
{
	int			order;

	if (a->quarter != b->quarter)
		return a->quarter < b->quarter ? -1 : 1;
	if (a->amount.measure != b->amount.measure)
		return a->amount.measure < b->amount.measure ? -1 : 1;
	if (a->typeless != b->typeless)
		return a->typeless ? 1 : -1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if ((order = compare_texts(a->actor, b->actor)) != 0 ||
		(order = compare_texts(a->amount.resource, b->amount.resource)) != 0)
		return order;
	return compare_texts(a->amount.unit, b->amount.unit);
}

/* By bytes, as collation "C" has it; null is last. */
static int
compare_texts(const text *a, const text *b)
{
	int			lengths[2];
	int			order;

	if (a == NULL || b == NULL)
		return (a == NULL) - (b == NULL);
	lengths[0] = VARSIZE_ANY_EXHDR(a);
	lengths[1] = VARSIZE_ANY_EXHDR(b);
	order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(lengths[0], lengths[1]));
	return order != 0 ? order : lengths[0] - lengths[1];
}

static int
compare_quarters(const void *a, const void *b)
{
	int32		left = *(const int32 *) a;
	int32		right = *(const int32 *) b;

	return left < right ? -1 : left > right;
}
