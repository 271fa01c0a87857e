/*
 * numbers/fold.c
 *		Published events, added to the rollups in the transaction that publishes them.
 *
 * Nothing is looked up and nothing updated: each organization gets a row of cells
 * for a batch, with whatever the batch has of it, and maintain() puts them together
 * later (rollup.sql).  So two organizations never wait for each other, and what
 * a long snapshot keeps alive is what was published, once.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/measure.h"
#include "stream/subscriber.h"

/* Cells of one row. */
#define ROW_CELLS 4096

#define QUARTER_HOUR (INT64CONST(900) * USECS_PER_SEC)

/* What one event adds. */
typedef struct Cell
{
	int32		organization;
	int32		order;			/* of the cells, as they came */
	int32		quarter;		/* since 1970 */
	int32		type;
	text	   *actor;
	TimestampTz time;
	ActAmount	amount;			/* measure 0: the event itself */
} Cell;

/* What waits to be written; NULL: nothing. */
typedef struct Gathered
{
	MemoryContext context;
	MemoryContextCallback forget;
	int			count;
	int			room;
	Cell	   *cells;
} Gathered;

static Gathered *gathered = NULL;

static void take(const ActPublished *events, int count);
static void flush(void);

static const ActSubscriber subscriber = {
	.name = "rollups",
	.take = take,
	.flush = flush,
	.wants = act_measure_has
};

static text *resource_of(const ActAmount *amounts, int count);
static int	read_kept(const ActPublished *event,
					  ActAmount amounts[ACT_MEASURES_MAX]);
static Gathered *gather(void);
static void forget(void *argument);
static void add(Gathered *to, const ActPublished *event, text *actor,
				const ActAmount *amount);
static text *copy(text *value);
static void write_row(ActRowWriter *writer, const Cell *cells, int count);
static Datum array_of(const Cell *cells, int count, int column, bool *isnull);
static Datum value_of(const Cell *cell, int column, bool *isnull);
static int	compare(const void *a, const void *b);

/* The columns that are arrays, with the types of their elements. */
static const struct
{
	Oid			type;
	int			len;
	bool		by_value;
	char		align;
}			elements[] = {
	[ACT_ROLLUP_QUARTERS] = {INT4OID, 4, true, TYPALIGN_INT},
	[ACT_ROLLUP_MEASURES] = {INT4OID, 4, true, TYPALIGN_INT},
	[ACT_ROLLUP_TYPES] = {INT4OID, 4, true, TYPALIGN_INT},
	[ACT_ROLLUP_ACTORS] = {TEXTOID, -1, false, TYPALIGN_INT},
	[ACT_ROLLUP_RESOURCES] = {TEXTOID, -1, false, TYPALIGN_INT},
	[ACT_ROLLUP_UNITS] = {TEXTOID, -1, false, TYPALIGN_INT},
	[ACT_ROLLUP_NAMES] = {TEXTOID, -1, false, TYPALIGN_INT},
	[ACT_ROLLUP_EVENTS] = {INT4OID, 4, true, TYPALIGN_INT},
	[ACT_ROLLUP_AMOUNTS] = {NUMERICOID, -1, false, TYPALIGN_INT},
	[ACT_ROLLUP_UNMEASURED] = {INT4OID, 4, true, TYPALIGN_INT},
	[ACT_ROLLUP_FIRST_AT] = {TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	[ACT_ROLLUP_LAST_AT] = {TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
};

void
act_fold_init(void)
{
	act_subscriber_add(&subscriber);
}

static void
take(const ActPublished *events, int count)
{
	MemoryContext old;
	Gathered   *to = gather();

	old = MemoryContextSwitchTo(to->context);
	for (int i = 0; i < count; i++)
	{
		const ActPublished *event = &events[i];
		ActAmount	amounts[ACT_MEASURES_MAX];
		ActAmount	itself = {0};
		text	   *actor = copy(event->actor);
		int			measured = 0;

		if (event->redacted)
			measured = read_kept(event, amounts);
		else if (event->subject != NULL)
			measured = act_measure_event(event->type, event->recorded_at,
										 event->subject, event->metadata, amounts);
		itself.resource = resource_of(amounts, measured);
		add(to, event, actor, &itself);
		for (int n = 0; n < measured; n++)
			add(to, event, actor, &amounts[n]);
	}
	MemoryContextSwitchTo(old);
}

/* An event's own is that of the measure with the least number. */
static text *
resource_of(const ActAmount *amounts, int count)
{
	const ActAmount *least = NULL;

	for (int i = 0; i < count; i++)
		if (least == NULL || amounts[i].measure < least->measure)
			least = &amounts[i];
	return least == NULL ? NULL : least->resource;
}

/* What a redaction has kept of an event's amounts. */
static int
read_kept(const ActPublished *event, ActAmount amounts[ACT_MEASURES_MAX])
{
	ScanKeyData keys[2];
	ActRowScan	scan;
	HeapTuple	row;
	int			count = 0;

	ScanKeyInit(&keys[0], ACT_KEPT_AMOUNT_ORGANIZATION, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(event->organization));
	ScanKeyInit(&keys[1], ACT_KEPT_AMOUNT_EVENT, BTEqualStrategyNumber,
				F_UUID_EQ, UUIDPGetDatum(&event->id));
	act_row_begin(&scan, act_row_open("kept_amount", AccessShareLock),
				  "kept_amount_pkey", lengthof(keys), keys);
	while ((row = act_row_next(&scan)) != NULL && count < ACT_MEASURES_MAX)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		ActAmount  *amount = &amounts[count++];
		bool		isnull;
		Datum		value;

		memset(amount, 0, sizeof(ActAmount));
		amount->measure =
			DatumGetInt32(heap_getattr(row, ACT_KEPT_AMOUNT_MEASURE, desc, &isnull));
		value = heap_getattr(row, ACT_KEPT_AMOUNT_RESOURCE, desc, &isnull);
		amount->resource = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_NAME, desc, &isnull);
		amount->name = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_UNIT, desc, &isnull);
		amount->unit = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_AMOUNT, desc, &isnull);
		amount->amount = isnull ? NULL : DatumGetNumericCopy(value);
	}
	act_row_end(&scan);
	return count;
}

/* In the memory of the present (sub)transaction: what it undoes is not written. */
static Gathered *
gather(void)
{
	MemoryContext context;

	if (gathered != NULL)
		return gathered;
	context = AllocSetContextCreate(CurTransactionContext, "activity rollups",
									ALLOCSET_DEFAULT_SIZES);
	gathered = MemoryContextAllocZero(context, sizeof(Gathered));
	gathered->context = context;
	gathered->forget.func = forget;
	MemoryContextRegisterResetCallback(context, &gathered->forget);
	gathered->room = 1024;
	gathered->cells = MemoryContextAllocHuge(context,
											 gathered->room * sizeof(Cell));
	return gathered;
}

static void
forget(void *argument)
{
	gathered = NULL;
}

static void
add(Gathered *to, const ActPublished *event, text *actor, const ActAmount *amount)
{
	Cell	   *cell;

	if (to->count == to->room)
	{
		to->room *= 2;
		to->cells = repalloc_huge(to->cells, to->room * sizeof(Cell));
	}
	cell = &to->cells[to->count];
	cell->organization = event->organization;
	cell->order = to->count++;
	cell->quarter = (int32) ((event->occurred_at +
							  (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY) /
							 QUARTER_HOUR);
	cell->type = event->type;
	cell->actor = actor;
	cell->time = event->occurred_at;
	cell->amount = *amount;
}

static text *
copy(text *value)
{
	return value == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(value));
}

static void
flush(void)
{
	ActRowWriter writer;

	if (gathered == NULL)
		return;
	qsort(gathered->cells, gathered->count, sizeof(Cell), compare);
	act_row_begin_write(&writer, act_row_open("rollup", RowExclusiveLock));
	for (int first = 0; first < gathered->count;)
	{
		const Cell *cells = &gathered->cells[first];
		int			count = 1;

		while (first + count < gathered->count && count < ROW_CELLS &&
			   cells[count].organization == cells->organization)
			count++;
		write_row(&writer, cells, count);
		first += count;
	}
	act_row_end_write(&writer);
	MemoryContextDelete(gathered->context);
	Assert(gathered == NULL);
}

static void
write_row(ActRowWriter *writer, const Cell *cells, int count)
{
	Datum		values[ACT_ROLLUP_COLUMNS];
	bool		nulls[ACT_ROLLUP_COLUMNS] = {false};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity rollup row",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int32		first = cells->quarter;
	int32		last = cells->quarter;

	for (int i = 1; i < count; i++)
	{
		first = Min(first, cells[i].quarter);
		last = Max(last, cells[i].quarter);
	}
	values[ACT_ROLLUP_ORGANIZATION - 1] = Int32GetDatum(cells->organization);
	values[ACT_ROLLUP_KIND - 1] = Int32GetDatum(0);
	values[ACT_ROLLUP_FIRST - 1] = Int32GetDatum(first);
	values[ACT_ROLLUP_LAST - 1] = Int32GetDatum(last);
	values[ACT_ROLLUP_CELLS - 1] = Int32GetDatum(count);
	for (int column = ACT_ROLLUP_QUARTERS; column <= ACT_ROLLUP_COLUMNS; column++)
		values[column - 1] = array_of(cells, count, column, &nulls[column - 1]);
	act_row_write(writer, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* A column of these cells; null if all its elements are. */
static Datum
array_of(const Cell *cells, int count, int column, bool *isnull)
{
	Datum	   *values = palloc(count * sizeof(Datum));
	bool	   *nulls = palloc(count * sizeof(bool));
	int			lower = 1;

	*isnull = true;
	for (int i = 0; i < count; i++)
	{
		values[i] = value_of(&cells[i], column, &nulls[i]);
		*isnull &= nulls[i];
	}
	if (*isnull)
		return (Datum) 0;
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower,
											  elements[column].type,
											  elements[column].len,
											  elements[column].by_value,
											  elements[column].align));
}

static Datum
value_of(const Cell *cell, int column, bool *isnull)
{
	const ActAmount *amount = &cell->amount;
	bool		measured = amount->measure != 0;
	void	   *pointer = NULL;

	*isnull = false;
	switch (column)
	{
		case ACT_ROLLUP_QUARTERS:
			return Int32GetDatum(cell->quarter);
		case ACT_ROLLUP_MEASURES:
			return Int32GetDatum(amount->measure);
		case ACT_ROLLUP_TYPES:
			return Int32GetDatum(cell->type);
		case ACT_ROLLUP_EVENTS:
			return Int32GetDatum(1);
		case ACT_ROLLUP_UNMEASURED:
			return Int32GetDatum(measured && amount->amount == NULL ? 1 : 0);
		case ACT_ROLLUP_FIRST_AT:
		case ACT_ROLLUP_LAST_AT:
			*isnull = !measured;
			return TimestampTzGetDatum(cell->time);
		case ACT_ROLLUP_ACTORS:
			pointer = cell->actor;
			break;
		case ACT_ROLLUP_RESOURCES:
			pointer = amount->resource;
			break;
		case ACT_ROLLUP_UNITS:
			pointer = amount->unit;
			break;
		case ACT_ROLLUP_NAMES:
			pointer = amount->name;
			break;
		case ACT_ROLLUP_AMOUNTS:
			pointer = amount->amount;
			break;
		default:
			elog(ERROR, "a rollup has no column %d", column);
	}
	*isnull = pointer == NULL;
	return PointerGetDatum(pointer);
}

static int
compare(const void *a, const void *b)
{
	const Cell *one = a;
	const Cell *other = b;

	if (one->organization != other->organization)
		return one->organization < other->organization ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}
