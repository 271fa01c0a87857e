/*
 * numbers/cell.h
 *		Cells of the rollups, and the rows that hold them (sql/rollup.sql).
 */
#ifndef ACT_CELL_H
#define ACT_CELL_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"

#include "base/columns.h"
#include "base/compat.h"
#include "base/own_row.h"
#include "numbers/measure.h"

/* rollup.kind */
typedef enum ActRollupKind
{
	ACT_ROLLUP_PUBLISHED, ACT_ROLLUP_EVERYTHING, ACT_ROLLUP_DAYS, ACT_ROLLUP_MONTHS,
	ACT_ROLLUP_COUNTS, ACT_ROLLUP_DAILY_TYPES, ACT_ROLLUP_SUMMARIES
} ActRollupKind;

/* Parts of a day and of an hour, both of UTC. */
#define ACT_QUARTER_HOUR (INT64CONST(900) * USECS_PER_SEC)
#define ACT_QUARTERS_OF_DAY 96

/* What events of one quarter hour, or of more, come to. */
typedef struct ActCell
{
	int32		organization;
	int32		order;			/* of cells, as they came */
	int32		quarter;		/* since 1970 */
	bool		typeless;		/* of any type */
	int32		type;
	text	   *actor;			/* NULL: none */
	ActAmount	amount;			/* measure 0: the events themselves; less: both,
								 * as the publisher writes it */
	int32		events;
	int32		unmeasured;		/* of these: what is no number */
	bool		timeless;		/* the times are null */
	TimestampTz first_at;
	TimestampTz last_at;
	TimestampTz named_at;		/* of a sum: when the name was seen last */
} ActCell;

/* The quarter hour of a time, and the first one of its month. */
extern int32 act_quarter_of(TimestampTz time);

/*
 * One row of these cells, which are all of one organization.  An array of
 * nothing but the usual is null: one event a cell, of which the last is the first.
 */
extern void act_cells_write(ActRowWriter *writer, ActRollupKind kind,
							const ActCell *const *cells, int count);

/*
 * Rows of one kind that have quarter hours from since until before until, with the
 * active snapshot: next is NULL after the last; act_row_end() ends it.
 */
extern void act_cells_begin(ActRowScan *scan, int32 organization, int32 kind, int32 until);
extern HeapTuple act_cells_next(ActRowScan *scan, int32 since);

/* Columns of a cell, from ACT_ROLLUP_QUARTERS on; where the one has its array, and a
 * set of some. */
#define ACT_CELL_COLUMNS (ACT_ROLLUP_COLUMNS - ACT_ROLLUP_QUARTERS + 1)
#define ACT_CELL_AT(column) ((column) - ACT_ROLLUP_QUARTERS)
#define ACT_CELL_SET(column) (1 << ACT_CELL_AT(column))

/*
 * Some of a row's arrays, as it has them: values[n] and nulls[n] of column n, both NULL
 * where all are null, the usual filled in; palloc'd, freed by the second one.  Returns
 * how many elements each has.  An event is in cells of measure 0 or less.
 */
extern int	act_cells_arrays(HeapTuple row, TupleDesc desc, int columns,
							 Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS]);
extern void act_cells_free(Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS]);

/* All of them, an event and an amount in one cell made two. */
extern int	act_cells_columns(HeapTuple row, TupleDesc desc,
							  Datum *values[ACT_CELL_COLUMNS], bool *nulls[ACT_CELL_COLUMNS]);

/* A row's cells, palloc'd with all that they point at; returns how many. */
extern int	act_cells_read(HeapTuple row, TupleDesc desc, ActCell **cells);

/* The error for what the extension can't have written; rows are as their owner left them. */
pg_noreturn extern void act_cells_complain(void);

#endif
