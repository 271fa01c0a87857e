/*
 * event/owner.c
 *		How the extension works on its own tables, whoever is logged in.
 *
 * Making and dropping partitions is DDL on tables that applications write to
 * all the time.  Two things keep it from hurting them.  One transaction at a
 * time does it, by a lock of our own, and whoever comes second leaves.  And no
 * lock is waited for longer than LOCK_PATIENCE: while we stand in a lock's queue,
 * everybody who comes later stands behind us.  That is also shorter than
 * deadlock_timeout, so that a deadlock with us is ours to give up, never theirs.
 *
 * Locks are taken in this order, which is the order of those who record and
 * read: parent, default partition, monthly partition.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/own_table.h"
#include "event/event.h"
#include "event/owner.h"

#define LOCK_PATIENCE 100		/* ms */

#define SQL_MAX 4096			/* bytes; what varies in it are our own names */

/* What of relation _activity.event's lock tag is ours: no column has it. */
#define LOCK_SUBOBJECT PG_UINT16_MAX

/* Between begin and end. */
static bool running = false;

static void set_tag(LOCKTAG *tag, Oid event);
static ErrorData *attempt(void (*step) (void *), void *argument);
static void execute(const char *format, va_list arguments)
			pg_attribute_printf(1, 0);
static void set_for_upkeep(Relation event);

/* The lock that whoever does upkeep holds until the transaction ends. */
static void
set_tag(LOCKTAG *tag, Oid event)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, RelationRelationId, event,
					   LOCK_SUBOBJECT);
}

void
act_upkeep_wait(void)
{
	LOCKTAG		tag;

	set_tag(&tag, act_relation_oid(ACT_REL_EVENT));
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

bool
act_upkeep_waited(void)
{
	LOCKTAG		tag;

	set_tag(&tag, act_relation_oid(ACT_REL_EVENT));
	return act_compat_lock_held(&tag, ExclusiveLock);
}

bool
act_upkeep_is_ours(void)
{
	Oid			event = act_upkeep_table("event");
	LOCKTAG		tag;

	/* An error goes past end, but takes back the restriction and the lock. */
	if (!running || !InSecurityRestrictedOperation() || !OidIsValid(event))
		return false;
	set_tag(&tag, event);
	return act_compat_lock_held(&tag, ExclusiveLock);
}

bool
act_upkeep_begin(ActUpkeep *upkeep)
{
	Oid			event = act_upkeep_table("event");
	LOCKTAG		tag;
	Relation	rel;

	if (RecoveryInProgress() || XactReadOnly || IsInParallelMode() ||
		IsolationUsesXactSnapshot() || !OidIsValid(event))
		return false;
	set_tag(&tag, event);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;

	act_event_flush();
	rel = table_open(event, AccessShareLock);
	GetUserIdAndSecContext(&upkeep->user, &upkeep->security_context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   upkeep->security_context |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	upkeep->guc_level = NewGUCNestLevel();
	set_for_upkeep(rel);
	table_close(rel, NoLock);
	running = true;
	return true;
}

void
act_upkeep_end(const ActUpkeep *upkeep)
{
	running = false;
	AtEOXact_GUC(false, upkeep->guc_level);
	SetUserIdAndSecContext(upkeep->user, upkeep->security_context);
}

int
act_upkeep_attempt(void (*step) (void *), void *argument)
{
	ErrorData  *error = attempt(step, argument);
	int			sqlstate;

	if (error == NULL)
		return 0;
	sqlstate = error->sqlerrcode;
	if (sqlstate != ERRCODE_LOCK_NOT_AVAILABLE &&
		sqlstate != ERRCODE_OBJECT_IN_USE &&
		sqlstate != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		ReThrowError(error);
	FreeErrorData(error);
	return sqlstate;
}

int
act_upkeep_try(void (*step) (void *), void *argument, char **message)
{
	ErrorData  *error = attempt(step, argument);
	int			sqlstate;

	if (error == NULL)
		return 0;
	sqlstate = error->sqlerrcode;
	if (sqlstate == ERRCODE_QUERY_CANCELED ||
		sqlstate == ERRCODE_ASSERT_FAILURE ||
		ERRCODE_TO_CATEGORY(sqlstate) ==
		ERRCODE_TO_CATEGORY(ERRCODE_ADMIN_SHUTDOWN))
		ReThrowError(error);
	*message = pstrdup(error->message);
	FreeErrorData(error);
	return sqlstate;
}

int
act_upkeep_isolate(void (*step) (void *), void *argument, char **message)
{
	ErrorData  *error = attempt(step, argument);
	int			sqlstate;

	if (error == NULL)
		return 0;
	sqlstate = error->sqlerrcode;
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
			if (sqlstate != ERRCODE_OUT_OF_MEMORY)
				ReThrowError(error);
			break;
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_TO_CATEGORY(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE):
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
			ReThrowError(error);
			break;
		default:
			if (sqlstate == ERRCODE_ASSERT_FAILURE)
				ReThrowError(error);
	}
	*message = pstrdup(error->message);
	FreeErrorData(error);
	return sqlstate;
}

/* Runs step in a subtransaction; the error, with all of it undone, or NULL. */
static ErrorData *
attempt(void (*step) (void *), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

int64
act_upkeep_run(const char *format,...)
{
	int64		processed;
	va_list		arguments;

	va_start(arguments, format);
	execute(format, arguments);
	va_end(arguments);
	processed = (int64) SPI_processed;
	SPI_finish();
	return processed;
}

int64
act_upkeep_ask(const char *format,...)
{
	int64		answer = 0;
	va_list		arguments;

	va_start(arguments, format);
	execute(format, arguments);
	va_end(arguments);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			answer = DatumGetInt64(value);
	}
	SPI_finish();
	return answer;
}

/* Connects to SPI, which the caller finishes, and executes. */
static void
execute(const char *format, va_list arguments)
{
	char		sql[SQL_MAX];
	int			result;

	if (vsnprintf(sql, sizeof(sql), format, arguments) >= (int) sizeof(sql))
		elog(ERROR, "statement of upkeep is too long");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

Oid
act_upkeep_table(const char *name)
{
	Oid			namespace = get_namespace_oid("_activity", true);

	return OidIsValid(namespace) ? get_relname_relid(name, namespace) :
		InvalidOid;
}

/*
 * The settings of the caller that would reach into our statements.  New tables
 * go where the parent says (ALTER TABLE _activity.event SET TABLESPACE).
 */
static void
set_for_upkeep(Relation event)
{
	Oid			tablespace = event->rd_rel->reltablespace;
	char		patience[32];
	const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"lock_timeout", patience},
		{"default_table_access_method", "heap"},
		{"default_tablespace",
		OidIsValid(tablespace) ? get_tablespace_name(tablespace) : ""},
		{"client_min_messages", "warning"},
		{"DateStyle", "ISO, MDY"},
		{"TimeZone", "UTC"},
		{"jit", "off"}
	};

	snprintf(patience, sizeof(patience), "%d",
			 Max(1, Min(LOCK_PATIENCE, DeadlockTimeout / 2)));
	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
