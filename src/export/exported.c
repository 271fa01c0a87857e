/*
 * export/exported.c
 *		The event of an export: what left the database, whatever became of the
 *		transaction.
 *
 * What was read has been read, also when the statement is cancelled, the savepoint
 * or the transaction rolled back, the connection cut.  So the event is no part of
 * the work that it tells of: a session keeps it in memory, and it is written when the
 * transaction commits, or if that fails, when the session's next one does, or when
 * the session ends.  Only a crash of the server in between loses it.  For the
 * same reason a transaction that has exported can't be prepared: another session
 * would decide on it.
 */
#include "activity.h"

#include <openssl/evp.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "export/exported.h"
#include "record/actor.h"
#include "record/record.h"
#include "taxonomy/taxonomy.h"

struct ActExported
{
	MemoryContext context;		/* all of it lives here */
	MemoryContextCallback at_reset;
	char	   *organization;
	char	   *format;
	char	   *cursor;
	char	   *receipt;		/* of an organization's export; else NULL */
	Jsonb	   *filters;
	ActActor	actor;			/* who exported: it may be another one later */
	Jsonb	   *actor_context;
	Jsonb	   *on_behalf_of;
	EVP_MD_CTX *hash;
	int64		rows;			/* of events */
	pg_uuid_t	last;			/* of these */
	TimestampTz ended_at;		/* 0: it still goes on */
	bool		complete;
	bool		late;			/* its transaction is over, and failed */
	bool		written;		/* in the present transaction */
};

bool		act_exported_waiting = false;

/* All whose event is not committed yet. */
static List *waiting = NIL;

static void *copy(const void *value);
static void free_hash(void *argument);
static void write_event(ActExported *exported);
static void write_late(ActExported *exported);
static Jsonb *metadata_of(const ActExported *exported);
static void push_string(JsonbParseState **state, const char *key, const char *value);
static void push_value(JsonbParseState **state, const char *key, JsonbValue *value);
static void at_exit(int code, Datum argument);

ActExported *
act_exported_begin(const char *organization, const char *format,
				   const char *cursor, Jsonb *filters)
{
	static bool registered = false;

	/* A standby can record nothing. */
	bool		records = !RecoveryInProgress();
	MemoryContext context = AllocSetContextCreate(records ? TopMemoryContext :
												  CurrentMemoryContext,
												  "activity exported",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ActExported *exported = palloc0(sizeof(ActExported));
	const ActActor *actor = act_actor_current();

	exported->context = context;
	exported->organization = pstrdup(organization);
	exported->format = pstrdup(format);
	exported->cursor = pstrdup(cursor);
	exported->filters = copy(filters);
	exported->actor = (ActActor)
	{
		copy(actor->kind), copy(actor->id), copy(actor->name)
	};
	exported->actor_context = copy(act_actor_context());
	exported->on_behalf_of = copy(act_actor_on_behalf_of());
	exported->at_reset.func = free_hash;
	exported->at_reset.arg = exported;
	MemoryContextRegisterResetCallback(context, &exported->at_reset);
	exported->hash = EVP_MD_CTX_new();
	if (exported->hash == NULL ||
		EVP_DigestInit_ex(exported->hash, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not compute SHA-256");

	if (records)
	{
		if (!registered)
			before_shmem_exit(at_exit, (Datum) 0);
		registered = true;
		MemoryContextSwitchTo(TopMemoryContext);
		waiting = lappend(waiting, exported);
		act_exported_waiting = true;
	}
	MemoryContextSwitchTo(old);
	return exported;
}

/* A text or jsonb; NULL for none. */
static void *
copy(const void *value)
{
	void	   *result;

	if (value == NULL)
		return NULL;
	result = palloc(VARSIZE_ANY(value));
	memcpy(result, value, VARSIZE_ANY(value));
	return result;
}


/* OpenSSL's memory goes with that of the export. */
static void
free_hash(void *argument)
{
	EVP_MD_CTX_free(((ActExported *) argument)->hash);
}

void
act_exported_receipt(ActExported *exported, const char *receipt)
{
	exported->receipt = MemoryContextStrdup(exported->context, receipt);
}

void
act_exported_line(ActExported *exported, const char *bytes, int len,
				  const pg_uuid_t *id)
{
	if (EVP_DigestUpdate(exported->hash, bytes, len) != 1)
		elog(ERROR, "could not compute SHA-256");
	if (id == NULL)
		return;
	exported->rows++;
	exported->last = *id;
}

char *
act_exported_sha256(const ActExported *exported)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(2 * sizeof(digest) + 1);
	bool		done = copy != NULL && EVP_MD_CTX_copy_ex(copy, exported->hash) == 1 &&
		EVP_DigestFinal_ex(copy, digest, NULL) == 1;

	EVP_MD_CTX_free(copy);
	if (!done)
		elog(ERROR, "could not compute SHA-256");
	hex[hex_encode((const char *) digest, sizeof(digest), hex)] = '\0';
	return hex;
}

void
act_exported_end(ActExported *exported, bool complete)
{
	if (exported->ended_at != 0)
		return;
	exported->complete = complete;
	exported->ended_at = GetCurrentTimestamp();
}

/*
 * What this transaction has exported must be written, or it fails; what an earlier
 * one has left must not stop it.
 */
void
act_exported_write(void)
{
	ListCell   *cell;

	if (XactReadOnly || RecoveryInProgress() || IsInParallelMode())
		return;
	foreach(cell, waiting)
	{
		ActExported *exported = lfirst(cell);

		if (exported->late)
			write_late(exported);
		else
			write_event(exported);
	}
}

/* A savepoint keeps its failure in. */
static void
write_late(ActExported *exported)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		/* Where there is no log any more, nothing is owed to it. */
		if (OidIsValid(get_extension_oid("activity", true)))
			write_event(exported);
		exported->written = true;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		exported->written = false;
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("an export of organization \"%s\" is not recorded yet: %s",
						exported->organization, error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

static void
write_event(ActExported *exported)
{
	JsonbParseState *state = NULL;
	ActHappening happening = {0};
	ActWho		who = {&exported->actor, exported->actor_context, exported->on_behalf_of};
	pg_uuid_t	id;

	act_exported_end(exported, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "kind", "export");
	happening.subject = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	happening.metadata = metadata_of(exported);
	happening.organization = exported->organization;
	happening.organization_len = strlen(exported->organization);
	happening.type = act_taxonomy_require("compliance.exported", 19)->code;
	happening.occurred_at = exported->late ? exported->ended_at : DT_NOBEGIN;
	happening.cut = true;
	(void) act_record_by(&happening, &who, &id);
	PopActiveSnapshot();
	exported->written = true;
}

static Jsonb *
metadata_of(const ActExported *exported)
{
	JsonbParseState *state = NULL;
	JsonbValue	value = {.type = jbvNumeric};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "format", exported->format);
	push_string(&state, "cursor", exported->cursor);
	push_string(&state, "sha256", act_exported_sha256(exported));
	if (exported->receipt != NULL)
		push_string(&state, "receipt", exported->receipt);
	value.val.numeric = int64_to_numeric(exported->rows);
	push_value(&state, "rows", &value);
	if (exported->rows > 0)
		push_string(&state, "last", DatumGetCString(DirectFunctionCall1(uuid_out,
																		UUIDPGetDatum(&exported->last))));
	value.type = jbvBool;
	value.val.boolean = exported->complete;
	push_value(&state, "complete", &value);
	value.type = jbvBinary;
	value.val.binary.data = &exported->filters->root;
	value.val.binary.len = VARSIZE_ANY_EXHDR(exported->filters);
	push_value(&state, "filters", &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
push_string(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue	part = {.type = jbvString};

	part.val.string.val = unconstify(char *, value);
	part.val.string.len = strlen(value);
	push_value(state, key, &part);
}

static void
push_value(JsonbParseState **state, const char *key, JsonbValue *value)
{
	JsonbValue	name = {.type = jbvString};

	name.val.string.val = unconstify(char *, key);
	name.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &name);
	pushJsonbValue(state, WJB_VALUE, value);
}

void
act_exported_refuse_prepare(void)
{
	ListCell   *cell;

	foreach(cell, waiting)
		if (!((ActExported *) lfirst(cell))->late)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has exported events"),
					 errhint("Commit it, or export in a transaction of its own.")));
}

void
act_exported_at_commit(void)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		ActExported *exported = lfirst(cell);

		/* One that has become read only since: as if it had failed. */
		exported->late = true;
		if (!exported->written)
			continue;
		waiting = foreach_delete_current(waiting, cell);
		MemoryContextDelete(exported->context);
	}
	act_exported_waiting = waiting != NIL;
}

void
act_exported_at_abort(void)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		ActExported *exported = lfirst(cell);

		act_exported_end(exported, false);
		exported->late = true;
		exported->written = false;
	}
}

/* The session ends: what it still owes is written, as temporary tables are dropped. */
static void
at_exit(int code, Datum argument)
{
	if (waiting == NIL)
		return;
	AbortOutOfAnyTransaction();
	StartTransactionCommand();

	/* Or default_transaction_read_only would be a way to leave no trace. */
	XactReadOnly = false;
	CommitTransactionCommand();
}
