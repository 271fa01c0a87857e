/*
 * event/aside.c
 *		What failed and was set aside, so that it is in nobody's way.
 *
 * Publishing, deliveries and upkeep work for all organizations at once.  An error
 * there would strike again and again, for everybody, if what it belongs to were
 * not left out.  So the work goes without subtransactions as long as nothing
 * fails, and after a failure in steps of one item each; what fails alone is put
 * into _activity.set_aside and tried again with longer and longer pauses.
 *
 * Each row belongs to one who holds a lock of his own: the right to publish, an
 * endpoint's lock, that of upkeep.  So nobody waits for a row here.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/own_row.h"
#include "event/aside.h"
#include "event/owner.h"

/* Pauses: 5 s, 10 s, 20 s ... 1 h. */
#define FIRST_PAUSE_MS 5000
#define LONGEST_PAUSE_MS (3600 * 1000)

#define REASON_MAX 1000			/* bytes */

static ActAside *read_row(HeapTuple row, TupleDesc columns);
static void write_row(ActAside *aside, const char *reason, const char *sqlstate);
static void remove_row(ActAside *aside);

bool
act_aside_try(void (*step) (void *), void *argument, ActFailure *failure)
{
	failure->sqlstate = act_upkeep_isolate(step, argument, &failure->message);
	return failure->sqlstate == 0;
}

List *
act_aside_list(const char *step)
{
	Relation	rel = act_row_open("set_aside", AccessShareLock);
	List	   *list = NIL;
	ActRowScan	scan;
	HeapTuple	row;

	if (rel == NULL)
		return NIL;
	if (RelationGetNumberOfBlocks(rel) == 0)
	{
		table_close(rel, NoLock);
		return NIL;
	}
	act_row_begin(&scan, rel, "set_aside_pkey", 0, NULL);
	while ((row = act_row_next(&scan)) != NULL)
	{
		ActAside   *aside = read_row(row, RelationGetDescr(rel));

		if (step == NULL || strcmp(aside->step, step) == 0)
			list = lappend(list, aside);
	}
	act_row_end(&scan);
	return list;
}

ActAside *
act_aside_find(const List *asides, int32 organization, const char *item)
{
	ListCell   *cell;

	foreach(cell, asides)
	{
		ActAside   *aside = lfirst(cell);

		if (aside->organization == organization && strcmp(aside->item, item) == 0)
			return aside;
	}
	return NULL;
}

void
act_aside_put(ActAside *aside, const ActFailure *failure)
{
	TimestampTz now = GetCurrentTimestamp();

	if (ItemPointerIsValid(&aside->tid))
		remove_row(aside);
	else
	{
		aside->since = now;
		aside->attempts = 0;
		ereport(LOG,
				(errcode(failure->sqlstate),
				 errmsg("activity: set aside by \"%s\", item \"%s\": %s", aside->step,
						aside->item, failure->message),
				 errhint("The view activity.set_aside shows what is; it is tried again.")));
	}
	aside->next_attempt =
		TimestampTzPlusMilliseconds(now,
									Min((int64) FIRST_PAUSE_MS << Min(aside->attempts, 20),
										LONGEST_PAUSE_MS));
	aside->attempts++;
	write_row(aside, failure->message, unpack_sql_state(failure->sqlstate));
}

List *
act_aside_keep(List *asides, const ActAside *aside, MemoryContext context)
{
	MemoryContext old;
	ActAside   *kept;

	if (list_member_ptr(asides, aside))
		return asides;
	old = MemoryContextSwitchTo(context);
	kept = palloc(sizeof(ActAside));
	*kept = *aside;
	kept->item = pstrdup(aside->item);
	asides = lappend(asides, kept);
	MemoryContextSwitchTo(old);
	return asides;
}

void
act_aside_move(ActAside *aside, int64 position)
{
	Assert(ItemPointerIsValid(&aside->tid));
	remove_row(aside);
	aside->position = position;
	aside->next_attempt = GetCurrentTimestamp();
	write_row(aside, "a part is done", "00000");
}

void
act_aside_clear(ActAside *aside)
{
	if (ItemPointerIsValid(&aside->tid))
		remove_row(aside);
	ItemPointerSetInvalid(&aside->tid);
}

static ActAside *
read_row(HeapTuple row, TupleDesc columns)
{
	ActAside   *aside = palloc0(sizeof(ActAside));
	Datum		values[ACT_SET_ASIDE_COLUMNS];
	bool		nulls[ACT_SET_ASIDE_COLUMNS];

	Assert(columns->natts >= ACT_SET_ASIDE_COLUMNS);
	for (int i = 0; i < ACT_SET_ASIDE_COLUMNS; i++)
		values[i] = heap_getattr(row, i + 1, columns, &nulls[i]);
	aside->step = TextDatumGetCString(values[ACT_SET_ASIDE_STEP - 1]);
	aside->organization = DatumGetInt32(values[ACT_SET_ASIDE_ORGANIZATION - 1]);
	aside->item = TextDatumGetCString(values[ACT_SET_ASIDE_ITEM - 1]);
	aside->position = DatumGetInt64(values[ACT_SET_ASIDE_POSITION - 1]);
	aside->since = DatumGetTimestampTz(values[ACT_SET_ASIDE_SINCE - 1]);
	aside->attempts = DatumGetInt32(values[ACT_SET_ASIDE_ATTEMPTS - 1]);
	aside->next_attempt = DatumGetTimestampTz(values[ACT_SET_ASIDE_NEXT_ATTEMPT - 1]);
	aside->tid = row->t_self;
	return aside;
}

static void
write_row(ActAside *aside, const char *reason, const char *sqlstate)
{
	Datum		values[ACT_SET_ASIDE_COLUMNS];
	bool		nulls[ACT_SET_ASIDE_COLUMNS] = {false};

	values[ACT_SET_ASIDE_STEP - 1] = CStringGetTextDatum(aside->step);
	values[ACT_SET_ASIDE_ORGANIZATION - 1] = Int32GetDatum(aside->organization);
	values[ACT_SET_ASIDE_ITEM - 1] = CStringGetTextDatum(aside->item);
	values[ACT_SET_ASIDE_POSITION - 1] = Int64GetDatum(aside->position);
	values[ACT_SET_ASIDE_REASON - 1] =
		PointerGetDatum(cstring_to_text_with_len(reason,
												 pg_mbcliplen(reason, strlen(reason),
															  REASON_MAX)));
	values[ACT_SET_ASIDE_SQLSTATE - 1] = CStringGetTextDatum(sqlstate);
	values[ACT_SET_ASIDE_SINCE - 1] = TimestampTzGetDatum(aside->since);
	values[ACT_SET_ASIDE_ATTEMPTS - 1] = Int32GetDatum(aside->attempts);
	values[ACT_SET_ASIDE_NEXT_ATTEMPT - 1] = TimestampTzGetDatum(aside->next_attempt);
	act_row_insert_at(act_row_open("set_aside", RowExclusiveLock), values, nulls,
					  &aside->tid);
}

static void
remove_row(ActAside *aside)
{
	Relation	rel = act_row_open("set_aside", RowExclusiveLock);

	act_row_delete(rel, &aside->tid);
	table_close(rel, NoLock);
}
