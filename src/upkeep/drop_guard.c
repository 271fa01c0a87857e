/*
 * upkeep/drop_guard.c
 *		DROP EXTENSION, DROP OWNED and DROP TABLE without CASCADE refuse to destroy
 *		events, and DROP INDEX takes none of the extension's.
 *
 * The monthly partitions are no members of the extension (partition.c says
 * why), and the server drops partitions along with their parent without asking
 * anybody.  An event trigger looks at the statement before it runs, since by
 * sql_drop nobody knows whether CASCADE was said.
 */
#include "activity.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/user.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "event/owner.h"
#include "upkeep/shape_guard.h"

static bool may_drop_extension(DropStmt *statement);
static bool may_drop_owned(DropOwnedStmt *statement, Oid event);
static void check_drop(DropStmt *statement);
static bool has_rows(Oid relid);

PG_FUNCTION_INFO_V1(act_guard_drop);

/*
 * guard_drop() - the event trigger; throws 2BP01 when the statement would take
 * events along and didn't say CASCADE.  Locks the events as the DROP itself
 * would, so that nothing is recorded between the look and the drop, but only
 * for somebody who may drop them.
 */
PGDLLEXPORT Datum
act_guard_drop(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;
	Oid			event;
	List	   *partitions;
	ListCell   *cell;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_drop() is an event trigger function")));

	if (creating_extension || IsBinaryUpgrade || act_upkeep_is_ours())
		PG_RETURN_NULL();
	event = get_relname_relid("event", get_namespace_oid("_activity", false));
	if (IsA(data->parsetree, DropStmt))
	{
		check_drop((DropStmt *) data->parsetree);
		if (!may_drop_extension((DropStmt *) data->parsetree))
			PG_RETURN_NULL();
	}
	else if (!IsA(data->parsetree, DropOwnedStmt) ||
			 !may_drop_owned((DropOwnedStmt *) data->parsetree, event))
		PG_RETURN_NULL();

	partitions = find_all_inheritors(event, AccessExclusiveLock, NULL);
	foreach(cell, partitions)
	{
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION &&
			has_rows(lfirst_oid(cell)))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop extension \"activity\" because it holds events"),
					 errdetail("Table \"%s\" has rows.",
							   get_rel_name(lfirst_oid(cell))),
					 errhint("Use DROP ... CASCADE to destroy them, too.")));
	}
	PG_RETURN_NULL();
}

/*
 * Throws for an index of the extension, and for a month or a segment that has
 * rows, unless CASCADE was said.  Members of the extension the server protects.
 */
static void
check_drop(DropStmt *statement)
{
	ListCell   *cell;

	if (statement->removeType == OBJECT_INDEX)
		act_shape_check_drop_index(statement);
	if (statement->removeType != OBJECT_TABLE ||
		statement->behavior == DROP_CASCADE)
		return;
	foreach(cell, statement->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst(cell));
		Oid			relid = RangeVarGetRelid(name, NoLock, true);

		if (!OidIsValid(relid) || !act_shape_is_own(relid) ||
			get_rel_relkind(relid) != RELKIND_RELATION ||
			!act_compat_owns_relation(relid, GetUserId()))
			continue;
		LockRelationOid(relid, AccessExclusiveLock);
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) &&
			has_rows(relid))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop table \"%s\" because it holds rows of extension \"activity\"",
							get_rel_name(relid)),
					 errdetail("activity.verify() would miss them ever after."),
					 errhint("activity.set_retention() lets events go; DROP TABLE ... CASCADE destroys them.")));
	}
}

/*
 * Does the statement drop this extension, without CASCADE, by somebody who may?
 * Anybody else gets the server's own error, and no lock.
 */
static bool
may_drop_extension(DropStmt *statement)
{
	ListCell   *cell;

	if (statement->removeType != OBJECT_EXTENSION ||
		statement->behavior == DROP_CASCADE)
		return false;
	foreach(cell, statement->objects)
	{
		if (strcmp(strVal(lfirst(cell)), "activity") == 0)
			return act_compat_owns_extension(get_extension_oid("activity", false),
											 GetUserId());
	}
	return false;
}

/* Does DROP OWNED, without CASCADE, name the owner of the events? */
static bool
may_drop_owned(DropOwnedStmt *statement, Oid event)
{
	List	   *roles = roleSpecsToIds(statement->roles);
	Relation	rel;
	Oid			owner;

	if (statement->behavior == DROP_CASCADE)
		return false;
	rel = table_open(event, AccessShareLock);
	owner = rel->rd_rel->relowner;
	table_close(rel, AccessShareLock);
	return list_member_oid(roles, owner) &&
		has_privs_of_role(GetUserId(), owner);
}

static bool
has_rows(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return found;
}
