/*
 * upkeep/shape_guard.c
 *		The extension's own tables keep their shape: which commands are let through.
 *
 * C functions read and write these tables by the numbers of their columns, and
 * find indexes by name.  So the rule is that nothing but an update of the
 * extension changes tables, columns, indexes and persistence, whoever asks.  What
 * stays allowed is what administrators need and what leaves the shape alone:
 * owners, tablespaces, storage parameters, statistics, triggers switched on and
 * off, partitions attached as a restore does, and further indexes that are not
 * unique.  It is a list of what may be done, because each new version of the
 * server brings further ways to change a table.
 *
 * Whoever must go around it, a superuser, disables the event triggers; that shows
 * in activity.health.
 */
#include "activity.h"

#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "upkeep/shape_guard.h"

static bool is_allowed(AlterTableType what);
static const char *what_it_changes(AlterTableType what);
static bool is_own_object(Oid catalog, Oid object);
static Oid	parent_of(Oid relid);
static bool is_own_unique_index(Oid relid, const IndexStmt *statement);
static bool has_columns(const IndexStmt *statement, const char *const names[2]);
static bool is_own_index(Oid table, Oid index);
pg_noreturn static void refuse(const char *what, Oid catalog, Oid object);

void
act_shape_check(const CollectedCommand *command, Oid catalog, Oid object)
{
	const Node *statement = command->parsetree;
	ListCell   *cell;

	if (!is_own_object(catalog, object))
		return;
	if (command->type == SCT_AlterTable)
	{
		foreach(cell, command->d.alterTable.subcmds)
		{
			const CollectedATSubcmd *sub = lfirst(cell);
			AlterTableType what = castNode(AlterTableCmd, sub->parsetree)->subtype;

			if (!is_allowed(what))
				refuse(what_it_changes(what), catalog, object);
		}
	}
	else if (command->type != SCT_Simple || statement == NULL)
		return;
	else if (IsA(statement, RenameStmt))
		refuse("name", catalog, object);
	else if (IsA(statement, AlterObjectSchemaStmt))
		refuse("schema", catalog, object);
	else if (IsA(statement, AlterSeqStmt))
		refuse("state", catalog, object);
	else if (IsA(statement, AlterEnumStmt))
		refuse("values", catalog, object);
	else if (IsA(statement, AlterExtensionContentsStmt))
		refuse("members", catalog, object);
	else if (IsA(statement, IndexStmt) &&
			 ((const IndexStmt *) statement)->unique &&
			 !is_own_unique_index(object, (const IndexStmt *) statement))
		refuse("unique indexes", catalog, object);
}

static bool
is_allowed(AlterTableType what)
{
	switch (what)
	{
		case AT_ChangeOwner:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplaceRelOptions:
		case AT_SetTableSpace:
		case AT_ClusterOn:
		case AT_DropCluster:
		case AT_ReplicaIdentity:
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
		case AT_AttachPartition:
		case AT_SetLogged:		/* as the extension made it */
			return true;
		default:
			return false;
	}
}

static const char *
what_it_changes(AlterTableType what)
{
	switch (what)
	{
		case AT_SetUnLogged:
			return "persistence";
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			return "partitions";
		default:
			return "columns or constraints";
	}
}

static void
refuse(const char *what, Oid catalog, Oid object)
{
	char	   *name;

	if (catalog == RelationRelationId)
		name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(object)),
										  get_rel_name(object));
	else
	{
		ObjectAddress address;

		ObjectAddressSet(address, catalog, object);
		name = getObjectDescription(&address, false);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the %s of %s can't be changed: it belongs to extension \"activity\"",
					what, name),
			 errhint("Only ALTER EXTENSION activity UPDATE changes it; what you need beside it goes into objects of your own.")));
}

static bool
is_own_object(Oid catalog, Oid object)
{
	if (catalog == RelationRelationId)
		return act_shape_is_own(object);
	if (catalog == ExtensionRelationId)
		return object == get_extension_oid("activity", true);
	if (catalog != NamespaceRelationId && catalog != TypeRelationId)
		return false;
	return OidIsValid(getExtensionOfObject(catalog, object)) &&
		getExtensionOfObject(catalog, object) == get_extension_oid("activity", true);
}

bool
act_shape_is_own(Oid relid)
{
	Oid			extension = get_extension_oid("activity", true);
	char		kind = get_rel_relkind(relid);

	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	for (; OidIsValid(relid); relid = parent_of(relid))
		if (OidIsValid(extension) &&
			getExtensionOfObject(RelationRelationId, relid) == extension)
			return true;
	return false;
}

/* The table that this is a partition of; InvalidOid: of none. */
static Oid
parent_of(Oid relid)
{
	return get_rel_relispartition(relid) ? get_partition_parent(relid, true) :
		InvalidOid;
}

/*
 * A restore makes the unique indexes of partitions again.  They are told by
 * their columns, or by a name that only such an index has; and whether it is the
 * right one is checked where the index is used.
 */
static bool
is_own_unique_index(Oid relid, const IndexStmt *statement)
{
	static const char *const keys[][2] = {
		{"organization", "id"},
		{"organization", "position"}
	};
	char		kind = get_rel_relkind(relid);
	Oid			table = kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX ?
		IndexGetRelation(relid, true) : relid;
	char	   *name;

	if (!OidIsValid(table) || !get_rel_relispartition(table))
		return false;
	for (int i = 0; i < lengthof(keys); i++)
		if (has_columns(statement, keys[i]))
			return true;
	if (statement->idxname == NULL)
		return false;
	name = get_rel_name(table);
	return strncmp(statement->idxname, name, strlen(name)) == 0 &&
		strcmp(statement->idxname + strlen(name), "_key") == 0;
}

static bool
has_columns(const IndexStmt *statement, const char *const names[2])
{
	if (list_length(statement->indexParams) != 2)
		return false;
	for (int i = 0; i < 2; i++)
	{
		const IndexElem *element = list_nth(statement->indexParams, i);

		if (element->name == NULL || strcmp(element->name, names[i]) != 0)
			return false;
	}
	return true;
}

/*
 * The indexes of the tables are listed (own_index.sql); those of a partition are
 * named like those of the default partition, or "<partition>_key".
 */
static bool
is_own_index(Oid table, Oid index)
{
	Oid			types[2] = {NAMEOID, NAMEOID};
	NameData	names[2];
	Datum		values[2];
	bool		found;

	namestrcpy(&names[0], get_rel_name(table));
	namestrcpy(&names[1], get_rel_name(index));
	values[0] = NameGetDatum(&names[0]);
	values[1] = NameGetDatum(&names[1]);
	SPI_connect();
	if (SPI_execute_with_args("SELECT FROM _activity.wanted_index w"
							  " WHERE w.relation OPERATOR(pg_catalog.=) $1"
							  " AND w.name OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the extension's indexes");
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

void
act_shape_check_drop_index(const DropStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst(cell));
		Oid			index = RangeVarGetRelid(name, NoLock, true);
		Oid			table;

		if (!OidIsValid(index) || !act_shape_is_own(index))
			continue;
		table = IndexGetRelation(index, true);
		if (is_own_index(table, index))
			refuse("indexes", RelationRelationId, table);
	}
}
