/*
 * http/check_export.c
 *		What can be wrong with an export is told before its first line is out.
 *
 * Once a status line is sent there is no other way to say it than to break off.
 */
#include "activity.h"

#include "utils/array.h"
#include "utils/builtins.h"

#include "event/organization.h"
#include "export/line.h"
#include "export/scope.h"
#include "feed/filter.h"

PG_FUNCTION_INFO_V1(act_check_export);

/* check_export(organization text, columns text[], event_types text[], up_to text) */
PGDLLEXPORT Datum
act_check_export(PG_FUNCTION_ARGS)
{
	text	   *organization;
	int32		key;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	organization = PG_GETARG_TEXT_PP(0);
	key = act_organization_find(VARDATA_ANY(organization),
								VARSIZE_ANY_EXHDR(organization));
	if (!PG_ARGISNULL(1))
		(void) act_export_columns(PG_GETARG_ARRAYTYPE_P(1));
	if (!PG_ARGISNULL(2))
		act_feed_filter_types(act_feed_filter_all(key), PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3))
		(void) act_export_scope(key, text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_VOID();
}
