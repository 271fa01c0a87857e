/*
 * http/call.c
 *		From a route to its handler.
 *
 * A handler is found by the name that the table of routes has.  A call by EXECUTE
 * would be parsed and planned anew for each request.
 */
#include "activity.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "event/organization.h"
#include "track/tier.h"

PG_FUNCTION_INFO_V1(act_http_call);
PG_FUNCTION_INFO_V1(act_organization_key);
PG_FUNCTION_INFO_V1(act_tier_allows_feature);

/* http_call(handler text, request _activity.http_request) RETURNS _activity.http_answer */
PGDLLEXPORT Datum
act_http_call(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	Oid			handler = LookupFuncName(list_make2(makeString("_activity"),
													makeString(name)),
										 1, &type, false);

	PG_RETURN_DATUM(OidFunctionCall1(handler, PG_GETARG_DATUM(1)));
}

/* organization_key(organization text) RETURNS integer: made if need be */
PGDLLEXPORT Datum
act_organization_key(PG_FUNCTION_ARGS)
{
	text	   *id = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(act_organization_intern(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)));
}

/* tier_allows(feature text, organization text) RETURNS boolean */
PGDLLEXPORT Datum
act_tier_allows_feature(PG_FUNCTION_ARGS)
{
	char	   *feature = text_to_cstring(PG_GETARG_TEXT_PP(0));
	text	   *id = PG_GETARG_TEXT_PP(1);

	PG_RETURN_BOOL(act_tier_allows(feature,
								   act_organization_find(VARDATA_ANY(id),
														 VARSIZE_ANY_EXHDR(id))));
}
