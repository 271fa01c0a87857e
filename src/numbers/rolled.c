/*
 * numbers/rolled.c
 *		The rollups' cells as rows, and their events summed up by steps.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"

PG_FUNCTION_INFO_V1(act_rolled);
PG_FUNCTION_INFO_V1(act_rolled_counts);

extern PGDLLEXPORT Datum act_rolled(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_rolled_counts(PG_FUNCTION_ARGS);

/* Events from each step's beginning until that of the next. */
typedef struct Steps
{
	int			count;
	Datum	   *quarters;		/* ascending */
	int64	   *events;
} Steps;

static void put_kind(ReturnSetInfo *result, int32 organization, int32 kind, int32 since, int32 until);
static void sum_kind(Steps *steps, int32 organization, int32 kind, int32 since, int32 until);
static int	step_of(const Steps *steps, int32 quarter, int near);
static void put_row(ReturnSetInfo *result, HeapTuple row, TupleDesc desc, int32 since,
					int32 until);

/* rolled(key integer, kinds integer[], since integer, until integer) RETURNS TABLE (…) */
Datum
act_rolled(PG_FUNCTION_ARGS)
{
	Datum	   *kinds;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &kinds, NULL, &count);
	for (int i = 0; i < count; i++)
		put_kind((ReturnSetInfo *) fcinfo->resultinfo, PG_GETARG_INT32(0),
				 DatumGetInt32(kinds[i]), PG_GETARG_INT32(2), PG_GETARG_INT32(3));
	return (Datum) 0;
}

static void
put_kind(ReturnSetInfo *result, int32 organization, int32 kind, int32 since, int32 until)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "activity rollup row",
												  ALLOCSET_DEFAULT_SIZES);
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, kind, until);
	while ((row = act_cells_next(&scan, since)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(scratch);

		put_row(result, row, RelationGetDescr(scan.rel), since, until);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	act_row_end(&scan);
	MemoryContextDelete(scratch);
}

/* Cells of the time, column by column as the row has them. */
static void
put_row(ReturnSetInfo *result, HeapTuple row, TupleDesc desc, int32 since, int32 until)
{
	Datum	   *columns[ACT_CELL_COLUMNS];
	bool	   *column_nulls[ACT_CELL_COLUMNS];
	int			count = act_cells_columns(row, desc, columns, column_nulls);

	for (int i = 0; i < count; i++)
	{
		Datum		values[ACT_CELL_COLUMNS];
		bool		nulls[ACT_CELL_COLUMNS];
		int32		quarter = DatumGetInt32(columns[0][i]);

		if (quarter < since || quarter >= until)
			continue;
		for (int n = 0; n < ACT_CELL_COLUMNS; n++)
		{
			nulls[n] = columns[n] == NULL || column_nulls[n][i];
			values[n] = nulls[n] ? (Datum) 0 : columns[n][i];
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * rolled_counts(key integer, kinds integer[], since integer, until integer,
 * steps integer[]) RETURNS TABLE (quarter integer, events integer)
 */
Datum
act_rolled_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum	   *kinds;
	int			count;
	Steps		steps;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &kinds, NULL, &count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &steps.quarters, NULL, &steps.count);
	for (int i = 1; i < steps.count; i++)
		if (DatumGetInt32(steps.quarters[i]) < DatumGetInt32(steps.quarters[i - 1]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("steps must ascend")));
	if (steps.count == 0)
		return (Datum) 0;
	steps.events = palloc0(steps.count * sizeof(int64));
	for (int i = 0; i < count; i++)
		sum_kind(&steps, PG_GETARG_INT32(0), DatumGetInt32(kinds[i]), PG_GETARG_INT32(2),
				 PG_GETARG_INT32(3));
	for (int i = 0; i < steps.count; i++)
		/* In as many rows as that takes. */
		while (steps.events[i] != 0)
		{
			int32		events = (int32) Max(Min(steps.events[i], PG_INT32_MAX), PG_INT32_MIN);
			Datum		values[2] = {steps.quarters[i], Int32GetDatum(events)};
			bool		nulls[2] = {false, false};

			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			steps.events[i] -= events;
		}
	return (Datum) 0;
}

static void
sum_kind(Steps *steps, int32 organization, int32 kind, int32 since, int32 until)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, kind, until);
	while ((row = act_cells_next(&scan, since)) != NULL)
	{
		ActCount   *counts;
		int			count = act_cells_counts(row, RelationGetDescr(scan.rel), &counts);
		int			step = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
			if (counts[i].quarter >= since && counts[i].quarter < until)
			{
				step = step_of(steps, counts[i].quarter, step);
				steps->events[step] += counts[i].events;
			}
		pfree(counts);
	}
	act_row_end(&scan);
}

/* The last step that has begun by then, or the first; near is where to look first. */
static int
step_of(const Steps *steps, int32 quarter, int near)
{
	int			low = 0;
	int			high = steps->count - 1;

	if (DatumGetInt32(steps->quarters[near]) <= quarter &&
		(near == high || DatumGetInt32(steps->quarters[near + 1]) > quarter))
		return near;
	while (low < high)
	{
		int			middle = low + (high - low + 1) / 2;

		if (DatumGetInt32(steps->quarters[middle]) <= quarter)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}
