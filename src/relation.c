/*
 * relation.c
 *		The extension's own relations: found by name, written one row at a time.
 *
 * OIDs are looked up by name, because a dump, pg_upgrade, or DROP and CREATE
 * EXTENSION change them, and remembered until one of the relations is
 * invalidated, because the recording path asks for several per event.
 */
#include "activity.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "relation.h"

static const char *const names[ACT_REL_COUNT] = {
	[ACT_REL_EVENT] = "event",
	[ACT_REL_EVENT_DEFAULT] = "event_default",
	[ACT_REL_ORGANIZATION] = "organization",
	[ACT_REL_ORGANIZATION_ID_IDX] = "organization_id_idx",
	[ACT_REL_ORGANIZATION_KEY_IDX] = "organization_key_idx",
	[ACT_REL_ORGANIZATION_KEY] = "organization_key",
	[ACT_REL_ORGANIZATION_TIER] = "organization_tier",
	[ACT_REL_ORGANIZATION_TIER_PKEY] = "organization_tier_pkey",
	[ACT_REL_ORGANIZATION_TIER_NUMBER] = "organization_tier_number",
	[ACT_REL_FEATURE_OVERRIDE] = "feature_override",
	[ACT_REL_FEATURE_OVERRIDE_PKEY] = "feature_override_pkey",
	[ACT_REL_INCARNATION] = "incarnation",
	[ACT_REL_SEGMENT] = "segment",
	[ACT_REL_STREAM] = "stream",
	[ACT_REL_STREAM_ANCHOR] = "stream_anchor",
	[ACT_REL_STREAM_ANCHOR_PKEY] = "stream_anchor_pkey",
	[ACT_REL_EXPIRY] = "expiry",
	[ACT_REL_EXPIRY_PKEY] = "expiry_pkey",
	[ACT_REL_PUBLICATION] = "publication",
	[ACT_REL_PUBLICATION_PKEY] = "publication_pkey",
	[ACT_REL_GAP] = "gap"
};

/* InvalidOid: not looked up since the last invalidation. */
static Oid	oids[ACT_REL_COUNT];

static void forget(Datum arg, Oid relid);

void
act_relation_init(void)
{
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

/* Relcache callback; InvalidOid means that anything may have changed. */
static void
forget(Datum arg, Oid relid)
{
	for (int i = 0; i < ACT_REL_COUNT; i++)
		if (!OidIsValid(relid) || oids[i] == relid)
			oids[i] = InvalidOid;
}

Oid
act_relation_oid(ActRelation which)
{
	if (!OidIsValid(oids[which]))
	{
		Oid			namespace = get_namespace_oid("_activity", true);
		Oid			oid = InvalidOid;

		if (OidIsValid(namespace))
			oid = get_relname_relid(names[which], namespace);
		if (!OidIsValid(oid))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("extension \"activity\" is not installed in this database"),
					 errdetail("Relation \"_activity.%s\" does not exist.",
							   names[which]),
					 errhint("Run CREATE EXTENSION activity CASCADE.")));
		oids[which] = oid;
	}
	return oids[which];
}

void
act_relation_insert(ActRelation which, Datum *values, bool *nulls)
{
	Relation	rel = table_open(act_relation_oid(which), RowExclusiveLock);
	EState	   *estate = act_compat_estate(rel);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, &estate->es_tupleTable);
	int			columns = RelationGetDescr(rel)->natts;
	bool		pushed = false;
	ActUser		user;

	/* At PRE_COMMIT no snapshot is active; functions of an index want one. */
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		pushed = true;
	}
	InitResultRelInfo(target, rel, 1, NULL, 0);
	ExecOpenIndices(target, false);

	memcpy(slot->tts_values, values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, columns * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	act_relation_become_owner(rel, &user);
	table_tuple_insert(rel, slot, estate->es_output_cid, 0, NULL);
	act_compat_insert_index_tuples(target, slot, estate, false, NULL);
	act_relation_become(&user);

	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	if (pushed)
		PopActiveSnapshot();
	table_close(rel, NoLock);
}

/*
 * An index may compute something by a function of the table's owner, and that
 * must not run as whoever happens to record.  As VACUUM does it.
 */
void
act_relation_become_owner(Relation rel, ActUser *former)
{
	GetUserIdAndSecContext(&former->id, &former->context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   former->context | SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
}

void
act_relation_become(const ActUser *former)
{
	SetUserIdAndSecContext(former->id, former->context);
}
