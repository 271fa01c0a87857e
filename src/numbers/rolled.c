/*
 * numbers/rolled.c
 *		The rollups' cells as rows.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"

PG_FUNCTION_INFO_V1(act_rolled);

extern PGDLLEXPORT Datum act_rolled(PG_FUNCTION_ARGS);

static void put_kind(ReturnSetInfo *result, int32 organization, int32 kind, int32 since, int32 until);
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
