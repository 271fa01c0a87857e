/*
 * numbers/cell.c
 *		Cells of the rollups, and the rows that hold them.
 *
 * A row has a column of arrays for each field of a cell.  So a reader who wants two
 * fields detoasts two columns, and what is null everywhere takes no room.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "numbers/cell.h"

static Datum array_of(const ActCell *const *cells, int count, int column, bool *isnull);
static bool is_usual(const ActCell *cell, int column);
static int	split(Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS], int count);
static void split_column(int column, const int *from, int total, Datum **values, bool **nulls);
static void fill_in(int columns, Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS],
					int count);
static Datum value_of(const ActCell *cell, int column, bool *isnull);
static void read_value(ActCell *cell, int column, Datum value, bool isnull);

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

int32
act_quarter_of(TimestampTz time)
{
	return (int32) ((time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY) /
					ACT_QUARTER_HOUR);
}

void
act_cells_write(ActRowWriter *writer, ActRollupKind kind, const ActCell *const *cells, int count)
{
	Datum		values[ACT_ROLLUP_COLUMNS];
	bool		nulls[ACT_ROLLUP_COLUMNS] = {false};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity rollup row",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int32		first = cells[0]->quarter;
	int32		last = cells[0]->quarter;

	for (int i = 1; i < count; i++)
	{
		first = Min(first, cells[i]->quarter);
		last = Max(last, cells[i]->quarter);
	}
	values[ACT_ROLLUP_ORGANIZATION - 1] = Int32GetDatum(cells[0]->organization);
	values[ACT_ROLLUP_KIND - 1] = Int32GetDatum(kind);
	values[ACT_ROLLUP_FIRST - 1] = Int32GetDatum(first);
	values[ACT_ROLLUP_LAST - 1] = Int32GetDatum(last);
	values[ACT_ROLLUP_CELLS - 1] = Int32GetDatum(count);
	for (int column = ACT_ROLLUP_QUARTERS; column <= ACT_ROLLUP_COLUMNS; column++)
		values[column - 1] = array_of(cells, count, column, &nulls[column - 1]);
	act_row_write(writer, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* A column of these cells; null if all its elements are, or are the usual. */
static Datum
array_of(const ActCell *const *cells, int count, int column, bool *isnull)
{
	Datum	   *values = palloc(count * sizeof(Datum));
	bool	   *nulls = palloc(count * sizeof(bool));
	int			lower = 1;

	*isnull = true;
	for (int i = 0; i < count; i++)
	{
		values[i] = value_of(cells[i], column, &nulls[i]);
		*isnull &= nulls[i] || is_usual(cells[i], column);
	}
	if (*isnull)
		return (Datum) 0;
	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower,
											  elements[column].type,
											  elements[column].len,
											  elements[column].by_value,
											  elements[column].align));
}

/* What fill_in() and read_value() take for granted where nothing is. */
static bool
is_usual(const ActCell *cell, int column)
{
	switch (column)
	{
		case ACT_ROLLUP_EVENTS:
			return cell->events == 1;
		case ACT_ROLLUP_UNMEASURED:
			return cell->unmeasured == 0;
		case ACT_ROLLUP_LAST_AT:
			return cell->last_at == cell->first_at;
		default:
			return false;
	}
}

static Datum
value_of(const ActCell *cell, int column, bool *isnull)
{
	const ActAmount *amount = &cell->amount;
	void	   *pointer = NULL;

	*isnull = false;
	switch (column)
	{
		case ACT_ROLLUP_QUARTERS:
			return Int32GetDatum(cell->quarter);
		case ACT_ROLLUP_MEASURES:
			return Int32GetDatum(amount->measure);
		case ACT_ROLLUP_TYPES:
			*isnull = cell->typeless;
			return Int32GetDatum(cell->type);
		case ACT_ROLLUP_EVENTS:
			return Int32GetDatum(cell->events);
		case ACT_ROLLUP_UNMEASURED:
			return Int32GetDatum(cell->unmeasured);
		case ACT_ROLLUP_FIRST_AT:
			*isnull = cell->timeless;
			return TimestampTzGetDatum(cell->first_at);
		case ACT_ROLLUP_LAST_AT:
			*isnull = cell->timeless;
			return TimestampTzGetDatum(cell->last_at);
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

void
act_cells_begin(ActRowScan *scan, int32 organization, int32 kind, int32 until)
{
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], ACT_ROLLUP_KIND, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(kind));
	ScanKeyInit(&keys[1], ACT_ROLLUP_ORGANIZATION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	ScanKeyInit(&keys[2], ACT_ROLLUP_FIRST, BTLessStrategyNumber, F_INT4LT,
				Int32GetDatum(until));
	act_row_begin_at(scan, act_row_open("rollup", AccessShareLock), "rollup_key",
					 lengthof(keys), keys, GetActiveSnapshot());
}

HeapTuple
act_cells_next(ActRowScan *scan, int32 since)
{
	HeapTuple	row;

	while ((row = act_row_next(scan)) != NULL)
	{
		bool		isnull;
		Datum		last = heap_getattr(row, ACT_ROLLUP_LAST, RelationGetDescr(scan->rel), &isnull);

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt32(last) >= since)
			return row;
	}
	return NULL;
}

int
act_cells_arrays(HeapTuple row, TupleDesc desc, int columns, Datum *values[ACT_CELL_COLUMNS],
				 bool *nulls[ACT_CELL_COLUMNS])
{
	bool		isnull;
	int			count = DatumGetInt32(heap_getattr(row, ACT_ROLLUP_CELLS, desc, &isnull));

	for (int i = 0; i < ACT_CELL_COLUMNS; i++)
	{
		int			column = ACT_ROLLUP_QUARTERS + i;
		Datum		value;
		int			there;

		values[i] = NULL;
		nulls[i] = NULL;
		if ((columns & ACT_CELL_SET(column)) == 0)
			continue;
		value = heap_getattr(row, column, desc, &isnull);
		if (isnull && column != ACT_ROLLUP_QUARTERS)
			continue;
		if (isnull)
			act_cells_complain();
		deconstruct_array(DatumGetArrayTypePCopy(value), elements[column].type,
						  elements[column].len, elements[column].by_value,
						  elements[column].align, &values[i], &nulls[i], &there);
		if (there != count)
			act_cells_complain();
	}
	fill_in(columns, values, nulls, count);
	return count;
}

void
act_cells_free(Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS])
{
	for (int n = 0; n < ACT_CELL_COLUMNS; n++)
		if (values[n] != NULL)
		{
			pfree(values[n]);
			pfree(nulls[n]);
		}
}

int
act_cells_columns(HeapTuple row, TupleDesc desc, Datum *values[ACT_CELL_COLUMNS],
				  bool *nulls[ACT_CELL_COLUMNS])
{
	return split(values, nulls,
				 act_cells_arrays(row, desc, (1 << ACT_CELL_COLUMNS) - 1, values, nulls));
}

/* What act_cells_write() has left out because it is the usual. */
static void
fill_in(int columns, Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS], int count)
{
	const int	events = ACT_CELL_AT(ACT_ROLLUP_EVENTS);
	const int	first_at = ACT_CELL_AT(ACT_ROLLUP_FIRST_AT);
	const int	last_at = ACT_CELL_AT(ACT_ROLLUP_LAST_AT);

	if ((columns & ACT_CELL_SET(ACT_ROLLUP_EVENTS)) != 0 && values[events] == NULL)
	{
		values[events] = palloc(count * sizeof(Datum));
		nulls[events] = palloc0(count * sizeof(bool));
		for (int i = 0; i < count; i++)
			values[events][i] = Int32GetDatum(1);
	}
	if ((columns & ACT_CELL_SET(ACT_ROLLUP_LAST_AT)) != 0 && values[last_at] == NULL &&
		values[first_at] != NULL)
	{
		values[last_at] = palloc(count * sizeof(Datum));
		nulls[last_at] = palloc(count * sizeof(bool));
		memcpy(values[last_at], values[first_at], count * sizeof(Datum));
		memcpy(nulls[last_at], nulls[first_at], count * sizeof(bool));
	}
}

/* Cells that are an amount and its event become two; returns how many there are then. */
static int
split(Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS], int count)
{
	const Datum *measures = values[ACT_CELL_AT(ACT_ROLLUP_MEASURES)];
	int		   *from;
	int			total = count;
	int			at = 0;

	for (int i = 0; i < count && measures != NULL; i++)
		total += DatumGetInt32(measures[i]) < 0;
	if (total == count)
		return count;
	from = palloc(total * sizeof(int));
	for (int i = 0; i < count; i++)
	{
		if (DatumGetInt32(measures[i]) < 0)
			from[at++] = -i - 1;	/* the event of it */
		from[at++] = i;
	}
	for (int n = 0; n < ACT_CELL_COLUMNS; n++)
		if (values[n] != NULL)
			split_column(ACT_ROLLUP_QUARTERS + n, from, total, &values[n], &nulls[n]);
	pfree(from);
	return total;
}

static void
split_column(int column, const int *from, int total, Datum **values, bool **nulls)
{
	Datum	   *its = palloc(total * sizeof(Datum));
	bool	   *missing = palloc(total * sizeof(bool));

	for (int i = 0; i < total; i++)
	{
		bool		is_event = from[i] < 0;
		int			source = is_event ? -from[i] - 1 : from[i];

		its[i] = (*values)[source];
		missing[i] = (*nulls)[source];
		if (column == ACT_ROLLUP_MEASURES)
			its[i] = Int32GetDatum(is_event ? 0 : abs(DatumGetInt32(its[i])));
		else if (column == ACT_ROLLUP_UNMEASURED && is_event)
			its[i] = Int32GetDatum(0);
		else if (column == ACT_ROLLUP_UNITS || column == ACT_ROLLUP_NAMES ||
				 column == ACT_ROLLUP_AMOUNTS || column == ACT_ROLLUP_FIRST_AT ||
				 column == ACT_ROLLUP_LAST_AT)
			missing[i] |= is_event;
	}
	pfree(*values);
	pfree(*nulls);
	*values = its;
	*nulls = missing;
}

int
act_cells_read(HeapTuple row, TupleDesc desc, ActCell **cells)
{
	Datum	   *values[ACT_CELL_COLUMNS];
	bool	   *nulls[ACT_CELL_COLUMNS];
	bool		isnull;
	int32		organization = DatumGetInt32(heap_getattr(row, ACT_ROLLUP_ORGANIZATION, desc, &isnull));
	int			count = act_cells_columns(row, desc, values, nulls);

	*cells = MemoryContextAllocExtended(CurrentMemoryContext, Max(count, 1) * sizeof(ActCell),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < count; i++)
	{
		ActCell    *cell = &(*cells)[i];

		cell->organization = organization;
		cell->typeless = cell->timeless = true;
		for (int n = 0; n < ACT_CELL_COLUMNS; n++)
			if (values[n] != NULL)
				read_value(cell, ACT_ROLLUP_QUARTERS + n, values[n][i], nulls[n][i]);
	}
	act_cells_free(values, nulls);
	return count;
}

void
act_cells_complain(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of _activity.rollup has columns that differ in length")));
}

static void
read_value(ActCell *cell, int column, Datum value, bool isnull)
{
	ActAmount  *amount = &cell->amount;
	void	   *pointer = isnull ? NULL : DatumGetPointer(value);

	switch (column)
	{
		case ACT_ROLLUP_QUARTERS:
			cell->quarter = DatumGetInt32(value);
			break;
		case ACT_ROLLUP_MEASURES:
			amount->measure = DatumGetInt32(value);
			break;
		case ACT_ROLLUP_TYPES:
			cell->typeless = isnull;
			cell->type = DatumGetInt32(value);
			break;
		case ACT_ROLLUP_EVENTS:
			cell->events = DatumGetInt32(value);
			break;
		case ACT_ROLLUP_UNMEASURED:
			cell->unmeasured = isnull ? 0 : DatumGetInt32(value);
			break;
		case ACT_ROLLUP_FIRST_AT:
			cell->timeless = isnull;
			cell->first_at = DatumGetTimestampTz(value);
			break;
		case ACT_ROLLUP_LAST_AT:
			cell->last_at = DatumGetTimestampTz(value);
			break;
		case ACT_ROLLUP_ACTORS:
			cell->actor = pointer;
			break;
		case ACT_ROLLUP_RESOURCES:
			amount->resource = pointer;
			break;
		case ACT_ROLLUP_UNITS:
			amount->unit = pointer;
			break;
		case ACT_ROLLUP_NAMES:
			amount->name = pointer;
			break;
		case ACT_ROLLUP_AMOUNTS:
			amount->amount = (Numeric) pointer;
			break;
	}
}
