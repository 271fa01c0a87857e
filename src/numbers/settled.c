/*
 * numbers/settled.c
 *		Of which time the rollups that are put together tell, and what they lack.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"
#include "numbers/settled.h"
#include "stream/backlog.h"
#include "stream/expiry.h"

/* So many that are not published are looked at, or else nothing is known. */
#define UNPUBLISHED_MOST 20000

#define UNIX_EPOCH \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)
#define UNIX_9999 INT64CONST(253370764800)	/* as far as quarter hours are told */

PG_FUNCTION_INFO_V1(act_rollup_is_held);

extern PGDLLEXPORT Datum act_rollup_is_held(PG_FUNCTION_ARGS);

static int64 quarters_up(TimestampTz time, int width);
static bool has_set_aside(int32 organization, const char *step);

TimestampTz
act_quarter_start(int32 quarter)
{
	return quarter * ACT_QUARTER_HOUR - UNIX_EPOCH;
}

bool
act_settled_within(int32 organization, TimestampTz earliest, TimestampTz latest, int width,
				   int32 *first, int32 *last)
{
	TimestampTz opens = Max(earliest, act_expiry_before(organization));
	TimestampTz closes = latest;
	TimestampTz end = UNIX_9999 * USECS_PER_SEC - UNIX_EPOCH;

	*first = (int32) (opens <= -UNIX_EPOCH ? 0 :
					  opens >= end ? UNIX_9999 / 900 : quarters_up(opens, width));
	if (closes >= end)
		closes = end;
	else if (closes < -UNIX_EPOCH)
		return false;
	*last = (int32) quarters_up(closes + 1, width);
	if (act_quarter_start(*last) > closes + 1)
		*last -= width;
	return *first < *last;
}

/* The first bucket that begins at this time, which is after 1970, or later. */
static int64
quarters_up(TimestampTz time, int width)
{
	int64		length = width * ACT_QUARTER_HOUR;

	return (time + UNIX_EPOCH + length - 1) / length * width;
}

bool
act_settled_in_turn(int32 organization)
{
	return !has_set_aside(organization, "publish") && !has_set_aside(organization, "rollups");
}

static bool
has_set_aside(int32 organization, const char *step)
{
	ScanKeyData keys[2];
	ActRowScan	scan;
	bool		found;

	ScanKeyInit(&keys[0], ACT_SET_ASIDE_STEP, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(step));
	ScanKeyInit(&keys[1], ACT_SET_ASIDE_ORGANIZATION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	act_row_begin_at(&scan, act_row_open("set_aside", AccessShareLock), "set_aside_pkey",
					 lengthof(keys), keys, GetActiveSnapshot());
	found = act_row_next(&scan) != NULL;
	act_row_end(&scan);
	return found;
}

bool
act_settled_lacks(int32 organization, void (*tell) (void *state, TupleTableSlot *row), void *state)
{
	ActShot		everything = {PG_UINT64_MAX, PG_UINT64_MAX, 0, NULL};
	ActBacklog *backlog = act_backlog_open(GetActiveSnapshot());
	ActProgress progress;
	ActUnpublished *events;
	uint64		last;
	bool		complete;
	int			dead;
	int			count;

	act_progress_read(GetActiveSnapshot(), &progress);
	count = act_backlog_find(backlog, &progress, &everything, UNPUBLISHED_MOST, &events,
							 &last, &complete, &dead);
	for (int i = 0; complete && i < count; i++)
	{
		TupleTableSlot *row;

		if (events[i].organization == organization &&
			(row = act_backlog_fetch(backlog, &events[i])) != NULL)
			tell(state, row);
	}
	act_backlog_close(backlog);
	return complete;
}

/*
 * rollup_is_held(key integer) RETURNS boolean: may somebody still see the organization's
 * rollups as they were before they were put together last?  Then what was
 * replaced is still there, and will be whatever VACUUM does.
 */
Datum
act_rollup_is_held(PG_FUNCTION_ARGS)
{
	Relation	rel = act_row_open("rollup", AccessShareLock);
	TransactionId horizon = GetOldestNonRemovableTransactionId(rel);
	ActRowScan	scan;
	HeapTuple	row;
	bool		held = false;

	table_close(rel, NoLock);
	act_cells_begin(&scan, PG_GETARG_INT32(0), ACT_ROLLUP_DAILY_TYPES, PG_INT32_MAX);
	while (!held && (row = act_cells_next(&scan, PG_INT32_MIN)) != NULL)
		held = !TransactionIdPrecedes(HeapTupleHeaderGetXmin(row->t_data), horizon);
	act_row_end(&scan);
	PG_RETURN_BOOL(held);
}
