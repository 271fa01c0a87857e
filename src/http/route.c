/*
 * http/route.c
 *		Which route a request takes.
 *
 * The table of routes is SQL (_activity.http_routes()), and each backend reads it once:
 * it is of constants, and to plan and scan it cost more than the page that was asked for.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(act_http_find_route);

#define COLUMNS 8				/* of _activity.http_routes() */
#define ROUTES_MOST 200
#define COLUMN_METHOD 0
#define COLUMN_PATTERN 2

typedef struct Route
{
	char	   *method;
	char	   *pattern;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
} Route;

/* In TopMemoryContext. */
static Route *routes;
static int	nroutes = 0;

static void read_routes(void);
static bool fits(const char *pattern, const char *path);

/* http_find_route(method text, path text) RETURNS record: null if there is none */
PGDLLEXPORT Datum
act_http_find_route(PG_FUNCTION_ARGS)
{
	char	   *method = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TupleDesc	desc;

	if (nroutes == 0)
		read_routes();
	for (int i = 0; i < nroutes; i++)
		if (strcmp(routes[i].method, method) == 0 && fits(routes[i].pattern, path))
		{
			if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
				desc->natts != COLUMNS)
				elog(ERROR, "a route has %d columns", COLUMNS);
			PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
															  routes[i].values,
															  routes[i].nulls)));
		}
	PG_RETURN_NULL();
}

/* Literal parts are equal, names are anything but nothing. */
static bool
fits(const char *pattern, const char *path)
{
	while (*pattern == '/' && *path == '/')
	{
		size_t		of_pattern = strcspn(++pattern, "/");
		size_t		of_path = strcspn(++path, "/");

		if (*pattern == '{' ? of_path == 0 :
			of_pattern != of_path || strncmp(pattern, path, of_path) != 0)
			return false;
		pattern += of_pattern;
		path += of_path;
	}
	return *pattern == '\0' && *path == '\0';
}

static void
read_routes(void)
{
	MemoryContext old;
	int			count;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT method, depth, pattern, capability, feature, handler,"
					" parameters, summary FROM _activity.http_routes()", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the routes");
	count = SPI_processed;
	if (count > ROUTES_MOST)
		elog(ERROR, "there are too many routes");
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (routes == NULL)
		routes = palloc0(ROUTES_MOST * sizeof(Route));
	for (int i = 0; i < count; i++)
	{
		Route	   *route = &routes[i];

		for (int n = 0; n < COLUMNS; n++)
		{
			Form_pg_attribute column = TupleDescAttr(SPI_tuptable->tupdesc, n);

			route->values[n] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
											 n + 1, &route->nulls[n]);
			if (!route->nulls[n])
				route->values[n] = datumCopy(route->values[n], column->attbyval,
											 column->attlen);
		}
		route->method = TextDatumGetCString(route->values[COLUMN_METHOD]);
		route->pattern = TextDatumGetCString(route->values[COLUMN_PATTERN]);
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	nroutes = count;
}
