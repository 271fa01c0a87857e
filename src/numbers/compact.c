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
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"

PG_FUNCTION_INFO_V1(act_merge_rollup);
PG_FUNCTION_INFO_V1(act_merge_rollups);

extern PGDLLEXPORT Datum act_merge_rollup(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_merge_rollups(PG_FUNCTION_ARGS);

/* Cells of a row, about: all of a quarter hour are in one. */
#define ROW_CELLS 2000

/* Cells, with room for more. */
typedef struct Cells
{
	ActCell    *cells;
	int			count;
	int			room;
} Cells;

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
	Cells		cells;
} Merge;

static void read_dropped(Merge *merge, ArrayType *array);
static void read_added(Cells *added, ArrayType *tids);
static int64 merge_month(Merge *merge, const Cells *added);
static int64 merge_kind(Merge *merge, const Cells *added);
static void take_summaries(const Merge *merge, const Cells *added);
static void delete_rows(ItemPointer tids, int count);
static bool has_quarter(const Cells *cells, int32 since, int32 until);
static void take_rows(Merge *merge);
static bool is_in_the_way(const Merge *merge, HeapTuple row, TupleDesc desc);
static ActCell *make_room(Cells *cells, int count);
static void add_cell(Merge *merge, const ActCell *cell, bool is_new);
static bool wants(const Merge *merge, const ActCell *cell, bool is_new);
static void coarsen(const Merge *merge, ActCell *cell);
static void add_up(Cells *cells);
static void add_to(ActCell *sum, const ActCell *cell);
static int32 month_first(int32 quarter);
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
	Cells		added = {0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "activity compaction",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int64		rows;

	merge.organization = PG_GETARG_INT32(0);
	if (PG_GETARG_INT32(1) < ACT_ROLLUP_EVERYTHING || PG_GETARG_INT32(1) > ACT_ROLLUP_DAILY_TYPES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no rollups of kind %d", PG_GETARG_INT32(1))));
	merge.kind = (ActRollupKind) PG_GETARG_INT32(1);
	merge.since = PG_GETARG_INT32(2);
	merge.until = PG_GETARG_INT32(3);
	read_added(&added, PG_GETARG_ARRAYTYPE_P(4));
	read_dropped(&merge, PG_GETARG_ARRAYTYPE_P(5));
	rows = merge_kind(&merge, &added);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_INT64(rows);
}

/* merge_rollups(key integer, added tid[]) RETURNS integer[]: the months that changed */
Datum
act_merge_rollups(PG_FUNCTION_ARGS)
{
	Cells		added = {0};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "activity compaction",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ArrayType  *changed;
	Datum	   *months = NULL;
	int			count = 0;

	read_added(&added, PG_GETARG_ARRAYTYPE_P(1));
	for (int first = 0; first < added.count;)
	{
		Merge		merge = {0};
		Cells		part = {&added.cells[first], 1};

		merge.organization = PG_GETARG_INT32(0);
		merge.since = month_first(part.cells->quarter);
		merge.until = month_first(merge.since + 32 * ACT_QUARTERS_OF_DAY);
		while (first + part.count < added.count &&
			   part.cells[part.count].quarter < merge.until)
			part.count++;
		merge_month(&merge, &part);
		first += part.count;
		months = months == NULL ? palloc(sizeof(Datum)) :
			repalloc(months, (count + 1) * sizeof(Datum));
		months[count++] = Int32GetDatum(merge.since);
	}
	MemoryContextSwitchTo(old);
	changed = construct_array(months, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);
	MemoryContextDelete(context);
	PG_RETURN_ARRAYTYPE_P(changed);
}

/* All kinds of a month that the cells are of. */
static int64
merge_month(Merge *merge, const Cells *added)
{
	int64		rows = 0;

	for (int kind = ACT_ROLLUP_EVERYTHING; kind <= ACT_ROLLUP_DAILY_TYPES; kind++)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "activity compaction of a month",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		merge->kind = (ActRollupKind) kind;
		memset(&merge->cells, 0, sizeof(merge->cells));
		rows += merge_kind(merge, added);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	take_summaries(merge, added);
	return rows;
}

/* Days that are counted for summary() and get more events are not any more. */
static void
take_summaries(const Merge *merge, const Cells *added)
{
	ActRowScan	scan;
	HeapTuple	row;
	ItemPointerData tids[31];
	int			count = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	act_cells_begin(&scan, merge->organization, ACT_ROLLUP_SUMMARIES, merge->until);
	while (count < lengthof(tids) && (row = act_cells_next(&scan, merge->since)) != NULL)
	{
		int32		day = row_value(row, RelationGetDescr(scan.rel), ACT_ROLLUP_FIRST);

		if (has_quarter(added, day, day + ACT_QUARTERS_OF_DAY))
			tids[count++] = row->t_self;
	}
	act_row_end(&scan);
	PopActiveSnapshot();
	delete_rows(tids, count);
}

/* Is one of these cells, which are in order, from since until before until? */
static bool
has_quarter(const Cells *cells, int32 since, int32 until)
{
	int			low = 0;
	int			high = cells->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (cells->cells[middle].quarter < since)
			low = middle + 1;
		else
			high = middle;
	}
	return low < cells->count && cells->cells[low].quarter < until;
}

/* How many rows it wrote. */
static int64
merge_kind(Merge *merge, const Cells *added)
{
	merge->low = merge->since;
	merge->high = merge->until;
	/* Of the other kinds a month is one row, or has few. */
	if (merge->kind == ACT_ROLLUP_EVERYTHING && merge->ndropped == 0 && added->count > 0)
	{
		merge->low = Max(added->cells[0].quarter, merge->since);
		merge->high = Min(added->cells[added->count - 1].quarter + 1, merge->until);
	}
	for (int i = 0; i < added->count; i++)
		add_cell(merge, &added->cells[i], true);
	take_rows(merge);
	add_up(&merge->cells);
	return write_rows(merge);
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

/* The cells of rows, by where these lie, where they are left; by quarters. */
static void
read_added(Cells *added, ArrayType *tids)
{
	Relation	rel = act_row_open("rollup", RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Datum	   *values;
	int			count;

	deconstruct_array(tids, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT, &values,
					  NULL, &count);
	PushActiveSnapshot(GetLatestSnapshot());
	for (int i = 0; i < count; i++)
	{
		ItemPointer tid = (ItemPointer) DatumGetPointer(values[i]);
		ActCell    *cells;
		HeapTuple	row;
		bool		owned;
		int			its;

		if (ItemPointerGetBlockNumberNoCheck(tid) >= RelationGetNumberOfBlocks(rel) ||
			!ItemPointerIsValid(tid) ||
			!table_tuple_fetch_row_version(rel, tid,
										   GetActiveSnapshot(), slot))
			continue;
		row = ExecFetchSlotHeapTuple(slot, false, &owned);
		its = act_cells_read(row, RelationGetDescr(rel), &cells);
		memcpy(make_room(added, its), cells, its * sizeof(ActCell));
		added->count += its;
		pfree(cells);
		if (owned)
			heap_freetuple(row);
	}
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	for (int i = 0; i < added->count; i++)
		added->cells[i].order = i;
	qsort(added->cells, added->count, sizeof(ActCell), compare);
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

	ScanKeyInit(&keys[0], ACT_ROLLUP_KIND, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(merge->kind));
	ScanKeyInit(&keys[1], ACT_ROLLUP_ORGANIZATION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(merge->organization));
	ScanKeyInit(&keys[2], ACT_ROLLUP_FIRST, BTGreaterEqualStrategyNumber, F_INT4GE,
				Int32GetDatum(merge->since));
	ScanKeyInit(&keys[3], ACT_ROLLUP_FIRST, BTLessStrategyNumber, F_INT4LT,
				Int32GetDatum(merge->until));
	PushActiveSnapshot(GetLatestSnapshot());
	act_row_begin_at(&scan, act_row_open("rollup", RowExclusiveLock), "rollup_key",
					 lengthof(keys), keys, GetActiveSnapshot());
	while ((row = act_row_next(&scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		ActCell    *cells;
		int			its;

		CHECK_FOR_INTERRUPTS();
		if (!is_in_the_way(merge, row, desc))
			continue;
		its = act_cells_read(row, desc, &cells);
		for (int i = 0; i < its; i++)
			add_cell(merge, &cells[i], false);
		tids = tids == NULL ? palloc(sizeof(ItemPointerData)) :
			repalloc(tids, (count + 1) * sizeof(ItemPointerData));
		tids[count++] = row->t_self;
	}
	act_row_end(&scan);
	PopActiveSnapshot();
	delete_rows(tids, count);
}

static void
delete_rows(ItemPointer tids, int count)
{
	Relation	rel = act_row_open("rollup", RowExclusiveLock);

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

/* Where so many more go, which are not counted yet. */
static ActCell *
make_room(Cells *cells, int count)
{
	if (cells->count + count > cells->room)
	{
		cells->room = Max(2 * cells->room, cells->count + count + 256);
		cells->cells = cells->cells == NULL ?
			MemoryContextAllocHuge(CurrentMemoryContext, cells->room * sizeof(ActCell)) :
			repalloc_huge(cells->cells, cells->room * sizeof(ActCell));
	}
	return &cells->cells[cells->count];
}

static void
add_cell(Merge *merge, const ActCell *cell, bool is_new)
{
	ActCell    *its;

	if (!wants(merge, cell, is_new))
		return;
	its = make_room(&merge->cells, 1);
	*its = *cell;
	its->order = merge->cells.count++;
	its->named_at = cell->last_at;
	coarsen(merge, its);
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
add_up(Cells *cells)
{
	int			sums = 0;

	qsort(cells->cells, cells->count, sizeof(ActCell), compare);
	for (int i = 0; i < cells->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (sums > 0 && compare_keys(&cells->cells[sums - 1], &cells->cells[i]) == 0)
		{
			add_to(&cells->cells[sums - 1], &cells->cells[i]);
			continue;
		}
		if (sums > 0 && cells->cells[sums - 1].events == 0)
			sums--;
		cells->cells[sums++] = cells->cells[i];
	}
	if (sums > 0 && cells->cells[sums - 1].events == 0)
		sums--;
	cells->count = sums;
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
	const ActCell **cells;

	if (merge->cells.count == 0)
		return 0;
	cells = MemoryContextAllocHuge(CurrentMemoryContext,
								   merge->cells.count * sizeof(ActCell *));
	for (int i = 0; i < merge->cells.count; i++)
		cells[i] = &merge->cells.cells[i];
	act_row_begin_write(&writer, act_row_open("rollup", RowExclusiveLock));
	for (int i = 1; i <= merge->cells.count; i++)
	{
		if (i < merge->cells.count)
		{
			if (cells[i]->quarter == cells[i - 1]->quarter)
				continue;
			quarter = i;
			if (!several || quarter / ROW_CELLS == first / ROW_CELLS)
				continue;
		}
		act_cells_write(&writer, merge->kind, &cells[first], i - first);
		first = i;
		rows++;
	}
	act_row_end_write(&writer);
	return rows;
}

/* The first quarter hour of the month (UTC). */
static int32
month_first(int32 quarter)
{
	int			year;
	int			month;
	int			day;

	j2date(quarter / ACT_QUARTERS_OF_DAY + UNIX_EPOCH_JDATE, &year, &month, &day);
	return (date2j(year, month, 1) - UNIX_EPOCH_JDATE) * ACT_QUARTERS_OF_DAY;
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
