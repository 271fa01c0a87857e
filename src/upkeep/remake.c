/*
 * upkeep/remake.c
 *		Indexes that were lost are made again.
 *
 * The guards let nobody drop them, but guards can be switched off, and CREATE
 * INDEX CONCURRENTLY leaves invalid ones behind.  Without them publishing and
 * the feed stand still, so this comes before anything else that upkeep does.
 */
#include "activity.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "upkeep/remake.h"

typedef struct Missing
{
	char	   *name;
	char	   *definition;
} Missing;

static void read_missing(void *argument);
static void make(void *argument);

void
act_remake_indexes(ActUpkeepReport report, void *state)
{
	List	   *list = NIL;
	ListCell   *cell;

	/* Whoever is in the way of looking is asked again next time. */
	(void) act_upkeep_attempt(read_missing, &list);
	foreach(cell, list)
	{
		Missing    *missing = lfirst(cell);
		char	   *name = psprintf("_activity.%s", missing->name);
		char	   *problem = NULL;

		if (act_upkeep_try(make, missing, &problem) == 0)
			report(state, "make", name, -1);
		else
			report(state, "skip", psprintf("%s can't be made: %s", name, problem),
				   -1);
	}
}

static void
read_missing(void *argument)
{
	List	  **list = argument;
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT name::text, definition FROM _activity.missing_index",
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read which indexes are missing");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Missing    *missing = palloc(sizeof(Missing));

		missing->name = SPI_getvalue(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, 1);
		missing->definition = SPI_getvalue(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 2);
		*list = lappend(*list, missing);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

static void
make(void *argument)
{
	Missing    *missing = argument;

	act_upkeep_run("DROP INDEX IF EXISTS _activity.%s",
				   quote_identifier(missing->name));
	act_upkeep_run("%s", missing->definition);
}
