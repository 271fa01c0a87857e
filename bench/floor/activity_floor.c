/*
 * activity_floor.c
 *		What bench/record compares recording with: the CPU clock of a backend, a
 *		trigger that does nothing, and the floor.
 *
 * The floor is the least that any row trigger in C can do: it writes a finished
 * row with ExecSimpleRelationInsert, as logical replication's apply worker does.
 * The row is one that activity recorded, so it is as wide; only what the
 * indexes see (id, organization, subject) is new in each.  Nothing is checked,
 * rendered, attributed or looked up.
 */
#include "postgres.h"

#include <time.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "parser/parse_relation.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(floor_cpu);
PG_FUNCTION_INFO_V1(floor_empty);
PG_FUNCTION_INFO_V1(floor_record);

/* Columns of _activity.event that differ from row to row, from 0. */
#define ID 0
#define OCCURRED_AT 1
#define XID 2
#define SALT 3
#define ORGANIZATION 5
#define SUBJECT_HASH 8
#define COLUMNS 19

/* Columns of the measured table, from 1. */
#define ITS_ORGANIZATION 2
#define ITS_USER 3
#define ITS_ROLE 4
#define ITS_STATUS 5

/* A finished row for each of INSERT, UPDATE and DELETE. */
typedef struct Template
{
	bool		is_loaded;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
} Template;

static Template templates[3];

/* CPU that this process has used, in microseconds. */
Datum
floor_cpu(PG_FUNCTION_ARGS)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
		elog(ERROR, "no clock of the process: %m");
	PG_RETURN_FLOAT8(used.tv_sec * 1e6 + used.tv_nsec / 1e3);
}

/* A trigger that does nothing. */
Datum
floor_empty(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(NULL);
}

/* Reads the finished row of an operation; throws where there is none. */
static void
load(Template *template, const char *operation)
{
	char	   *query = psprintf("SELECT * FROM bench.template_%s", operation);
	TupleDesc	desc;

	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "bench.template_%s has no row", operation);
	desc = SPI_tuptable->tupdesc;
	if (desc->natts != COLUMNS)
		elog(ERROR, "an event has %d columns now", desc->natts);
	for (int i = 0; i < COLUMNS; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], desc, i + 1,
										  &template->nulls[i]);

		if (!template->nulls[i])
		{
			MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

			template->values[i] = datumCopy(value, column->attbyval,
											column->attlen);
			MemoryContextSwitchTo(old);
		}
	}
	SPI_finish();
	template->is_loaded = true;
}

/* A UUIDv7 of the time, with whatever random bits are cheap. */
static void
make_id(TimestampTz time, pg_uuid_t *id)
{
	int64		us = time + ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
							 USECS_PER_DAY);
	int64		ms = us / 1000;
	int			fraction = ((us % 1000) * 4096 + 999) / 1000;
	uint64		random = pg_prng_uint64(&pg_global_prng_state);

	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (ms >> (40 - 8 * i));
	id->data[6] = 0x70 | (unsigned char) (fraction >> 8);
	id->data[7] = (unsigned char) fraction;
	memcpy(&id->data[8], &random, 8);
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

static bool
same_column(TriggerData *data, int column)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	bool		isnull;
	Datum		old = heap_getattr(data->tg_trigtuple, column, desc, &isnull);
	Datum		new = heap_getattr(data->tg_newtuple, column, desc, &isnull);

	return datumIsEqual(old, new, false, -1);
}

static uint32
hash_of(TriggerData *data, int column)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	bool		isnull;
	text	   *value = DatumGetTextPP(heap_getattr(data->tg_trigtuple, column,
													desc, &isnull));

	return hash_bytes((unsigned char *) VARDATA_ANY(value),
					  VARSIZE_ANY_EXHDR(value));
}

static EState *
make_estate(Relation rel)
{
	EState	   *estate = CreateExecutorState();
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(rel);
	entry->relkind = rel->rd_rel->relkind;
	entry->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 160000
	{
		List	   *permissions = NIL;

		addRTEPermissionInfo(&permissions, entry);
#if PG_VERSION_NUM >= 180000
		ExecInitRangeTable(estate, list_make1(entry), permissions,
						   bms_make_singleton(1));
#else
		ExecInitRangeTable(estate, list_make1(entry), permissions);
#endif
	}
#else
	ExecInitRangeTable(estate, list_make1(entry));
#endif
	estate->es_output_cid = GetCurrentCommandId(true);
	return estate;
}

/* Writes a finished row into the table whose oid is the trigger's argument. */
Datum
floor_record(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	int			operation = TRIGGER_FIRED_BY_INSERT(data->tg_event) ? 0 :
		TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? 1 : 2;
	static const char *const operations[] = {"insert", "update", "delete"};
	Template   *template = &templates[operation];
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *info;
	TupleTableSlot *slot;
	pg_uuid_t	id;
	pg_uuid_t	salt;
	TimestampTz now;

	if (operation == 1 && same_column(data, ITS_ROLE) &&
		same_column(data, ITS_STATUS))
		return PointerGetDatum(NULL);
	if (!template->is_loaded)
		load(template, operations[operation]);

	rel = table_open(atooid(data->tg_trigger->tgargs[0]), RowExclusiveLock);
	estate = make_estate(rel);
	info = makeNode(ResultRelInfo);
	InitResultRelInfo(info, rel, 1, NULL, 0);
	ExecOpenIndices(info, false);
	slot = table_slot_create(rel, &estate->es_tupleTable);

	now = GetCurrentTimestamp();
	make_id(now, &id);
	memcpy(slot->tts_values, template->values, sizeof(template->values));
	memcpy(slot->tts_isnull, template->nulls, sizeof(template->nulls));
	slot->tts_values[ID] = UUIDPGetDatum(&id);
	slot->tts_values[OCCURRED_AT] = TimestampTzGetDatum(now);
	slot->tts_values[XID] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	for (int i = 0; i < 2; i++)
	{
		uint64		random = pg_prng_uint64(&pg_global_prng_state);

		memcpy(salt.data + 8 * i, &random, 8);
	}
	slot->tts_values[SALT] = UUIDPGetDatum(&salt);
	slot->tts_values[ORGANIZATION] =
		Int32GetDatum(hash_of(data, ITS_ORGANIZATION) & 0xffff);
	slot->tts_values[SUBJECT_HASH] = Int32GetDatum(hash_of(data, ITS_USER));
	ExecStoreVirtualTuple(slot);
	ExecSimpleRelationInsert(info, estate, slot);

	ExecCloseIndices(info);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	return PointerGetDatum(NULL);
}
