/*
 * stream/right.c
 *		The right to publish: one transaction has it at a time, for as short as can be.
 *
 * Whoever has the right has it until the end of the transaction, because the
 * positions that were given become final there.  A transaction that stays open
 * would keep everybody's events from being published.  So nobody gets the right
 * in a transaction that may stay open, and readers without the right to call
 * activity.publish() never do.
 */
#include "activity.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/portal.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "stream/right.h"

/* What of relation _activity.publication's lock tag is ours (health.sql). */
#define LOCK_SUBOBJECT PG_UINT16_MAX

/* This transaction has the right to publish; and may go on after publishing. */
static bool taken = false;
static bool goes_on = false;

PG_FUNCTION_INFO_V1(act_lock_publishing);

extern PGDLLEXPORT Datum act_lock_publishing(PG_FUNCTION_ARGS);

static bool is_alone(FunctionCallInfo fcinfo);

/* An advisory lock would be anybody's to take; this one is not. */
bool
act_right_take(void)
{
	LOCKTAG		tag;

	Assert(!RecoveryInProgress() && !IsInParallelMode());
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
					   act_relation_oid(ACT_REL_PUBLICATION), LOCK_SUBOBJECT);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	taken = true;

	/* Also where a client sends the next statement before it has the result. */
	MyXactFlags |= XACT_FLAGS_NEEDIMMEDIATECOMMIT;
	return true;
}

/*
 * lock_publishing(): what was published before is what others can have seen, and
 * what is published later knows what this transaction did.
 */
PGDLLEXPORT Datum
act_lock_publishing(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag;

	PreventCommandIfReadOnly("keeping others from publishing");
	PreventCommandDuringRecovery("keeping others from publishing");
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
					   act_relation_oid(ACT_REL_PUBLICATION), LOCK_SUBOBJECT);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	PG_RETURN_VOID();
}

void
act_right_require(FunctionCallInfo fcinfo, const char *function)
{
	const char *where = NULL;

	if (IsTransactionBlock())
		where = "in a transaction block";
	else if (IsSubTransaction())
		where = "in a subtransaction";
	else if (!is_alone(fcinfo) && !SPI_inside_nonatomic_context())
		where = "from a function";
	if (where != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot be called %s", function, where),
				 errdetail("As long as the transaction stays open, nobody else could publish."),
				 errhint("Call it as a statement of its own, or from a procedure that commits at once.")));
	goes_on = !is_alone(fcinfo);
}

bool
act_right_is_given(FunctionCallInfo fcinfo)
{
	Oid			publish;

	if (IsTransactionBlock() || IsSubTransaction() || !is_alone(fcinfo))
		return false;
	publish = LookupFuncName(list_make2(makeString("activity"),
										makeString("publish")),
							 0, NULL, true);
	return OidIsValid(publish) &&
		act_compat_may_execute(publish, GetUserId());
}

void
act_right_hide_own(Snapshot snapshot)
{
	if (taken && goes_on)
		snapshot->curcid = FirstCommandId;
}

void
act_right_forget(void)
{
	taken = goes_on = false;
}

/*
 * Is the function part of the very statement that the client sent, and not of
 * one that a function of it executes?  Then its look-up information belongs to
 * the statement's own memory.
 */
static bool
is_alone(FunctionCallInfo fcinfo)
{
	QueryDesc  *query = ActivePortal != NULL ? ActivePortal->queryDesc : NULL;

	return query != NULL && query->estate != NULL && fcinfo->flinfo != NULL &&
		fcinfo->flinfo->fn_mcxt == query->estate->es_query_cxt;
}
