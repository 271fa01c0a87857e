/*
 * base/own_table.c
 *		The extension's own relations: found by name, written one row at a time.
 *
 * OIDs are looked up by name, because a dump, pg_upgrade, or DROP and CREATE
 * EXTENSION change them, and remembered until one of the relations is
 * invalidated, because the recording path asks for several per event.
 *
 * The tables are their owner's, who restores dumps and need not be a superuser;
 * but we read them without a look at their types, and write them as whoever
 * records, a superuser or the background worker among them.  So an altered
 * table is refused before it is touched, and neither triggers nor checks nor
 * expressions of indexes run.
 */
#include "activity.h"

#include <ctype.h>

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/cache.h"
#include "base/compat.h"
#include "base/own_table_guard.h"
#include "base/columns.h"
#include "base/own_table.h"
#include "base/version.h"

/*
 * Tables with their columns, which are
 *
 *		i int4, l int8, t text, u uuid, z timestamptz, x xid8, j jsonb, b bytea,
 *		o bool, s pg_snapshot, v interval, a text[], n int8[],
 *		e four bytes by value (an enum),
 *
 * and in capitals if not null; indexes with the numbers of their columns;
 * sequences.
 */
static const struct
{
	const char *name;
	const char *columns;
}			relations[ACT_REL_COUNT] = {
	[ACT_REL_EVENT] = {"event", ACT_EVENT_TYPES},
	[ACT_REL_EVENT_DEFAULT] = {"event_default", ACT_EVENT_TYPES},
	[ACT_REL_ORGANIZATION] = {"organization", ACT_ORGANIZATION_TYPES},
	[ACT_REL_ORGANIZATION_ID_IDX] = {"organization_id_idx", "21"},
	[ACT_REL_ORGANIZATION_KEY_IDX] = {"organization_key_idx", "1"},
	[ACT_REL_ORGANIZATION_KEY] = {"organization_key", NULL},
	[ACT_REL_ORGANIZATION_TIER] = {"organization_tier", ACT_ORGANIZATION_TIER_TYPES},
	[ACT_REL_ORGANIZATION_TIER_PKEY] = {"organization_tier_pkey", "12"},
	[ACT_REL_ORGANIZATION_TIER_NUMBER] = {"organization_tier_number", NULL},
	[ACT_REL_FEATURE_OVERRIDE] = {"feature_override", ACT_FEATURE_OVERRIDE_TYPES},
	[ACT_REL_FEATURE_OVERRIDE_PKEY] = {"feature_override_pkey", "1"},
	[ACT_REL_INCARNATION] = {"incarnation", ACT_INCARNATION_TYPES},
	[ACT_REL_SEGMENT] = {"segment", ACT_SEGMENT_TYPES},
	[ACT_REL_STREAM] = {"stream", ACT_STREAM_TYPES},
	[ACT_REL_STREAM_ANCHOR] = {"stream_anchor", ACT_STREAM_ANCHOR_TYPES},
	[ACT_REL_STREAM_ANCHOR_PKEY] = {"stream_anchor_pkey", "12"},
	[ACT_REL_EXPIRY] = {"expiry", ACT_EXPIRY_TYPES},
	[ACT_REL_EXPIRY_PKEY] = {"expiry_pkey", "1"},
	[ACT_REL_PUBLICATION] = {"publication", ACT_PUBLICATION_TYPES},
	[ACT_REL_PUBLICATION_PKEY] = {"publication_pkey", "1"},
	[ACT_REL_GAP] = {"gap", ACT_GAP_TYPES},
	[ACT_REL_READ_NOTE] = {"read_note", ACT_READ_NOTE_TYPES}
};

/* InvalidOid: not looked up since the last invalidation. */
static Oid	oids[ACT_REL_COUNT];

/* The relation that was found to be as it should, until it is invalidated. */
static Oid	checked[ACT_REL_COUNT];

/* The catalog's version was looked at since the last invalidation. */
static bool version_checked = false;

/* Under debug_discard_caches every look at a catalog invalidates everything. */
#define CHECKS_MAX 10

/*
 * A table that was found to have these columns and plain indexes, until it is
 * invalidated, as a new index does.  While it stands in the pool its index list
 * is the one that was checked, so that ExecOpenIndices(), called next, opens no
 * other.
 */
typedef struct TableCheck
{
	ActPooled	pooled;
	const char *columns;		/* NULL: being checked, or refused */
} TableCheck;

static ActPool checks = {.max = 1000};

static void forget(Oid relid);
static TableCheck *start_check(Oid relid);
static void check_parent(Relation rel, const char *columns, char strategy,
						 AttrNumber column);
static bool has_columns(Relation rel, const char *columns);
static bool is_of_type(Form_pg_attribute column, char letter);
pg_noreturn static void refuse(Relation rel);

void
act_relation_init(void)
{
	act_pool_init(&checks);
	act_cache_subscribe(forget);
}

static void
forget(Oid relid)
{
	act_pool_forget(&checks, relid);
	for (int i = 0; i < ACT_REL_COUNT; i++)
	{
		if (!OidIsValid(relid) || oids[i] == relid)
		{
			oids[i] = InvalidOid;
			version_checked = false;
		}
		if (!OidIsValid(relid) || checked[i] == relid)
			checked[i] = InvalidOid;
	}
}

const char *
act_relation_problem(ActRelation which, const char **name)
{
	const char *columns = relations[which].columns;
	const char *problem = NULL;
	Oid			oid;
	Relation	rel;

	*name = relations[which].name;
	oid = get_relname_relid(*name, get_namespace_oid("_activity", false));
	if (!OidIsValid(oid))
		return "is missing";
	if (columns == NULL || isdigit((unsigned char) columns[0]))
		return NULL;
	rel = relation_open(oid, AccessShareLock);
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		problem = "is no table";
	else if (!has_columns(rel, columns))
		problem = "has other columns than the extension made";
	relation_close(rel, AccessShareLock);
	return problem;
}

Oid
act_relation_oid(ActRelation which)
{
	if (!OidIsValid(oids[which]))
	{
		Oid			namespace = get_namespace_oid("_activity", true);
		Oid			oid = InvalidOid;

		if (OidIsValid(namespace))
			oid = get_relname_relid(relations[which].name, namespace);
		if (!OidIsValid(oid))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("extension \"activity\" is not installed in this database"),
					 errdetail("Relation \"_activity.%s\" does not exist.",
							   relations[which].name),
					 errhint("Run CREATE EXTENSION activity CASCADE.")));
		if (!version_checked)
			act_version_check();
		version_checked = !creating_extension;
		oids[which] = oid;
	}
	return oids[which];
}

/* Asked again when the event table has changed, as it does in each upgrade. */
void
act_relation_check_version(void)
{
	if (!creating_extension)
		(void) act_relation_oid(ACT_REL_EVENT);
}

Relation
act_relation_open(ActRelation which, LOCKMODE lock)
{
	Relation	rel = table_open(act_relation_oid(which), lock);

	if (checked[which] == RelationGetRelid(rel))
		return rel;
	if (which == ACT_REL_EVENT)
		check_parent(rel, relations[which].columns, PARTITION_STRATEGY_RANGE,
					 2);
	else if (which == ACT_REL_STREAM)
		check_parent(rel, relations[which].columns, PARTITION_STRATEGY_LIST,
					 3);
	else
		act_relation_check(rel, which);
	checked[which] = RelationGetRelid(rel);
	return rel;
}

Relation
act_relation_open_index(ActRelation which, Relation table)
{
	Relation	index = index_open(act_relation_oid(which), AccessShareLock);

	act_relation_check_index(index, table, relations[which].columns);
	return index;
}

Oid
act_relation_index(ActRelation which, Relation table)
{
	Relation	index = act_relation_open_index(which, table);
	Oid			oid = RelationGetRelid(index);

	index_close(index, NoLock);
	return oid;
}

void
act_relation_check(Relation rel, ActRelation like)
{
	act_relation_check_columns(rel, relations[like].columns);
}

void
act_relation_check_columns(Relation rel, const char *columns)
{
	TableCheck *check = (TableCheck *) act_pool_find(&checks, RelationGetRelid(rel));
	bool		disturbed = true;

	if (check != NULL && check->columns == columns)
		return;

	/* Until nothing was invalidated meanwhile, which might be a new index. */
	for (int attempt = 0; disturbed && attempt < CHECKS_MAX; attempt++)
	{
		check = start_check(RelationGetRelid(rel));
		act_pool_pin(&check->pooled);
		if (rel->rd_rel->relkind != RELKIND_RELATION ||
			!has_columns(rel, columns))
			refuse(rel);
		act_planted_check_indexes(rel);
		disturbed = check->pooled.stale;
		check->columns = columns;
		act_pool_unpin(&check->pooled);
	}
}

static TableCheck *
start_check(Oid relid)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext,
												  "activity table check",
												  ALLOCSET_SMALL_SIZES);
	TableCheck *check = MemoryContextAllocZero(context, sizeof(TableCheck));

	check->pooled.key = relid;
	check->pooled.relid = relid;
	check->pooled.context = context;
	act_pool_add(&checks, &check->pooled);
	return check;
}

/* A parent's bounds are those of one column, by range or by list. */
static void
check_parent(Relation rel, const char *columns, char strategy, AttrNumber column)
{
	HeapTuple	tuple;
	Form_pg_partitioned_table key;
	bool		same;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE ||
		!has_columns(rel, columns))
		refuse(rel);

	/* Not by the relcache, which would compute an expression of the key. */
	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(RelationGetRelid(rel)));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "table %u has no partition key", RelationGetRelid(rel));
	key = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	same = key->partstrat == strategy && key->partnatts == 1 &&
		key->partattrs.values[0] == column;
	ReleaseSysCache(tuple);
	if (!same)
		refuse(rel);
}

static bool
has_columns(Relation rel, const char *columns)
{
	TupleDesc	desc = RelationGetDescr(rel);

	int			known = strlen(columns);

	/* Who added a column and dropped it again has left a place without a name. */
	if (desc->natts < known)
		return false;
	for (int i = known; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			return false;
	for (int i = 0; i < known; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped ||
			!is_of_type(column, pg_ascii_tolower(columns[i])) ||
			(isupper((unsigned char) columns[i]) &&
			 !act_compat_is_not_null(desc, i)))
			return false;
	}
	return true;
}

static bool
is_of_type(Form_pg_attribute column, char letter)
{
	switch (letter)
	{
		case 'i':
			return column->atttypid == INT4OID;
		case 'l':
			return column->atttypid == INT8OID;
		case 't':
			return column->atttypid == TEXTOID;
		case 'u':
			return column->atttypid == UUIDOID;
		case 'z':
			return column->atttypid == TIMESTAMPTZOID;
		case 'x':
			return column->atttypid == XID8OID;
		case 'j':
			return column->atttypid == JSONBOID;
		case 'b':
			return column->atttypid == BYTEAOID;
		case 'o':
			return column->atttypid == BOOLOID;
		case 's':
			return column->atttypid == PG_SNAPSHOTOID;
		case 'v':
			return column->atttypid == INTERVALOID;
		case 'a':
			return column->atttypid == TEXTARRAYOID;
		case 'n':
			return column->atttypid == INT8ARRAYOID;
		case 'k':
			return column->atttypid == NUMERICOID;
		case 'q':
			return column->atttypid == INT4ARRAYOID;
		case 'm':
			return column->atttypid == NUMERICARRAYOID;
		case 'y':
			return column->atttypid == TIMESTAMPTZARRAYOID;
		default:
			return column->attlen == 4 && column->attbyval;
	}
}

void
act_relation_check_index(Relation index, Relation table, const char *keys)
{
	Form_pg_index form = index->rd_index;
	bool		same = form->indrelid == RelationGetRelid(table) &&
		index->rd_rel->relam == BTREE_AM_OID &&
		form->indnkeyatts >= strlen(keys);

	for (int i = 0; same && keys[i] != '\0'; i++)
		same = form->indkey.values[i] == keys[i] - '0';
	if (!same)
		refuse(index);
}

void
act_relation_check_target(ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
		if (target->ri_IndexRelationInfo[i]->ii_Expressions != NIL)
			refuse(target->ri_IndexRelationDescs[i]);
}

bool
act_relation_insert_once(ResultRelInfo *target, TupleTableSlot *slot,
						 EState *estate)
{
	Relation	rel = target->ri_RelationDesc;

	for (;;)
	{
		ItemPointerData conflict;
		uint32		token;
		bool		lost = false;

		ItemPointerSetInvalid(&slot->tts_tid);
		if (!act_compat_check_constraints(target, slot, estate, &conflict))
			return false;
		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		table_tuple_insert_speculative(rel, slot, estate->es_output_cid, 0, NULL,
									   token);
		act_compat_insert_index_tuples(target, slot, estate, true, &lost);
		table_tuple_complete_speculative(rel, slot, token, !lost);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		if (!lost)
			return true;
	}
}

static void
refuse(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("\"_activity.%s\" is not as the extension made it",
					RelationGetRelationName(rel)),
			 errhint("Undo what ALTER TABLE, CREATE INDEX or a restore has changed there.")));
}

void
act_relation_fill(TupleTableSlot *slot, const Datum *values, const bool *nulls,
				  int columns)
{
	int			all = slot->tts_tupleDescriptor->natts;

	Assert(columns <= all);
	memcpy(slot->tts_values, values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, columns * sizeof(bool));
	memset(slot->tts_isnull + columns, true, (all - columns) * sizeof(bool));
	ExecStoreVirtualTuple(slot);
}

void
act_relation_insert(ActRelation which, Datum *values, bool *nulls)
{
	Relation	rel = act_relation_open(which, RowExclusiveLock);
	EState	   *estate = act_compat_estate(rel);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, &estate->es_tupleTable);
	bool		pushed = false;

	/* At PRE_COMMIT no snapshot is active; unique indexes want one. */
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		pushed = true;
	}
	InitResultRelInfo(target, rel, 1, NULL, 0);
	ExecOpenIndices(target, false);
	act_relation_check_target(target);

	act_relation_fill(slot, values, nulls, strlen(relations[which].columns));
	table_tuple_insert(rel, slot, estate->es_output_cid, 0, NULL);
	act_compat_insert_index_tuples(target, slot, estate, false, NULL);

	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	if (pushed)
		PopActiveSnapshot();
	table_close(rel, NoLock);
}

Oid
act_relation_index_on(Relation rel, int ncolumns, const AttrNumber *columns)
{
	List	   *indexes = RelationGetIndexList(rel);
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		fits = form->indisvalid &&
			form->indnkeyatts >= ncolumns &&
			index->rd_rel->relam == BTREE_AM_OID &&
			RelationGetIndexPredicate(index) == NIL;

		for (int i = 0; fits && i < ncolumns; i++)
			fits = form->indkey.values[i] == columns[i];
		index_close(index, NoLock);
		if (fits)
		{
			found = lfirst_oid(cell);
			break;
		}
	}
	list_free(indexes);
	return found;
}
