/*
 * base/version.c
 *		Which versions of the extension's catalog this library knows.
 *
 * A package replaces the library at once, for every database; what CREATE
 * EXTENSION made stays until ALTER EXTENSION UPDATE, in each database by itself.
 * So the library meets older catalogs, and a server that has preloaded an older
 * library meets newer ones.  It works with those that sql/releases.tsv calls
 * known, and refuses the others before it reads a table.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/version.h"
#include "base/version_data.h"

static const char *const known[] = {ACT_KNOWN_VERSIONS};

static char *installed_version(void);
static bool is_known(const char *version);

PG_FUNCTION_INFO_V1(act_version);

void
act_version_check(void)
{
	char	   *installed;

	if (creating_extension)
		return;
	installed = installed_version();
	if (installed == NULL || is_known(installed))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACT_CATALOG_VERSION),
			 errmsg("the library of activity %s does not know version %s of the extension",
					ACT_VERSION, installed),
			 errhint("Run ALTER EXTENSION activity UPDATE in this database. If that was done, this session, or a server with activity in shared_preload_libraries, still has the library from before: reconnect, or restart the server.")));
}

/* As the catalog has it; NULL where the extension isn't installed. */
static char *
installed_version(void)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("activity"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &isnull);

		version = TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
}

static bool
is_known(const char *version)
{
	for (int i = 0; i < lengthof(known); i++)
		if (strcmp(known[i], version) == 0)
			return true;
	return false;
}

/* activity.version(OUT library text, OUT installed text) */
PGDLLEXPORT Datum
act_version(PG_FUNCTION_ARGS)
{
	char	   *installed = installed_version();
	Datum		values[2] = {CStringGetTextDatum(ACT_VERSION)};
	bool		nulls[2] = {false, installed == NULL};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "activity.version() returns two texts");
	if (installed != NULL)
		values[1] = CStringGetTextDatum(installed);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
