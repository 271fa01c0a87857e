/*
 * upkeep/call.c
 *		activity.maintain(), for whoever calls it by hand.
 */
#include "activity.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "event/month.h"
#include "upkeep/maintain.h"

static void put_row(void *state, const char *action, const char *object,
					int64 rows);

PG_FUNCTION_INFO_V1(act_maintain_call);
PG_FUNCTION_INFO_V1(act_ensure_partitions);

/*
 * maintain(since timestamptz, max_rows integer)
 * RETURNS TABLE (action text, object text, rows bigint)
 */
PGDLLEXPORT Datum
act_maintain_call(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_ARGISNULL(0) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(0);
	int32		max_rows = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);

	if (max_rows <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be positive")));
	PreventCommandIfReadOnly("activity.maintain()");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("activity.maintain() needs isolation level READ COMMITTED"),
				 errhint("An older snapshot doesn't see every row that must be moved.")));
	InitMaterializedSRF(fcinfo, 0);
	act_maintain(since, max_rows, put_row, fcinfo->resultinfo);
	return (Datum) 0;
}

static void
put_row(void *state, const char *action, const char *object, int64 rows)
{
	ReturnSetInfo *result = state;
	Datum		values[3] = {
		CStringGetTextDatum(action),
		CStringGetTextDatum(object),
		Int64GetDatum(rows)
	};
	bool		nulls[3] = {false, false, rows < 0};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* ensure_partitions() - for set-up functions that are written in SQL. */
PGDLLEXPORT Datum
act_ensure_partitions(PG_FUNCTION_ARGS)
{
	act_partition_ensure_ahead();
	PG_RETURN_VOID();
}
