/*
 * feed/types.c
 *		Which event types the words of a filter take.
 *
 * The gateway filters what it has read once for many clients by this list, and
 * asks the database about types that are not in it.  So the words mean one thing
 * everywhere, and a type that is defined later is in no list that is older.
 */
#include "activity.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "feed/filter.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_serve_filter);

/* activity.serve_filter(event_types text[]) */
PGDLLEXPORT Datum
act_serve_filter(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActFeedFilter *filter = act_feed_filter_all(0);
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	act_feed_filter_types(filter, PG_GETARG_ARRAYTYPE_P(0));
	count = act_taxonomy_count();
	for (int i = 0; i < count; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);
		bool		listed = false;
		Datum		values[2];
		bool		nulls[2] = {0};

		for (int n = 0; n < filter->types.count && !listed; n++)
			listed = filter->types.list[n] == type->code;
		values[0] = CStringGetTextDatum(type->key);
		values[1] = BoolGetDatum(listed != filter->types.negated);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
