/*
 * worker/hook.c
 *		Commands that the workers must know of.
 *
 * COMMIT PREPARED makes another transaction's events visible, in a session that
 * recorded nothing.  DROP DATABASE and its like need a database without
 * sessions, and a worker is one: it leaves when it is asked to, and the
 * launcher sends it back if the database is still there.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "wake/wake.h"
#include "worker/part.h"
#include "wake/slot.h"

static ProcessUtility_hook_type previous = NULL;

static void process(PlannedStmt *statement, const char *query,
					bool read_only_tree, ProcessUtilityContext context,
					ParamListInfo params, QueryEnvironment *environment,
					DestReceiver *dest, QueryCompletion *completion);
static bool may_empty(Node *command, const char *database);
static const char *needs_empty(Node *command);
static const char *template_of(CreatedbStmt *command);

void
act_worker_hook_init(void)
{
	previous = ProcessUtility_hook;
	ProcessUtility_hook = process;
}

static void
process(PlannedStmt *statement, const char *query, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *environment, DestReceiver *dest,
		QueryCompletion *completion)
{
	Node	   *command = statement->utilityStmt;
	const char *database = needs_empty(command);
	bool		commits_prepared = IsA(command, TransactionStmt) &&
		((TransactionStmt *) command)->kind == TRANS_STMT_COMMIT_PREPARED;
	bool		changes = IsA(command, CreateExtensionStmt) ||
		IsA(command, CreatedbStmt) || IsA(command, RenameStmt);

	if (database != NULL && !may_empty(command, database))
		database = NULL;
	if (database != NULL)
		act_worker_hold(database, true);
	PG_TRY();
	{
		if (previous)
			previous(statement, query, read_only_tree, context, params,
					 environment, dest, completion);
		else
			standard_ProcessUtility(statement, query, read_only_tree, context,
									params, environment, dest, completion);
	}
	PG_CATCH();
	{
		if (database != NULL)
		{
			act_worker_hold(database, false);
			act_worker_wake_launcher();
		}
		PG_RE_THROW();
	}
	PG_END_TRY();

	/* What has changed shows when it is committed; then the launcher looks. */
	if (database != NULL)
		act_worker_hold(database, false);
	if (commits_prepared)
		act_worker_wake();
	if (changes || database != NULL)
		act_worker_expect_change();
}

/* Whose command is sure to fail doesn't send a worker away. */
static bool
may_empty(Node *command, const char *database)
{
	HeapTuple	tuple;
	bool		may = superuser();

	if (may)
		return true;
	if (!IsA(command, CreatedbStmt))
	{
		Oid			oid = get_database_oid(database, true);

		return OidIsValid(oid) && act_compat_owns_database(oid, GetUserId());
	}
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* The database that the command can't have anybody in; NULL: none. */
static const char *
needs_empty(Node *command)
{
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) command)->dbname;
		case T_AlterDatabaseStmt:
			return ((AlterDatabaseStmt *) command)->dbname;
		case T_CreatedbStmt:
			return template_of((CreatedbStmt *) command);
		case T_RenameStmt:
			if (((RenameStmt *) command)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) command)->subname;
			return NULL;
		default:
			return NULL;
	}
}

static const char *
template_of(CreatedbStmt *command)
{
	ListCell   *cell;

	foreach(cell, command->options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}
