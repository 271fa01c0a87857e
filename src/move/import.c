/*
 * move/import.c
 *		activity.import_organization(): an organization arrives, line by line.
 *
 * It is an aggregate, so that the lines can come out of any table or function, are
 * read with the rights of whoever calls it, and are never all in memory.  Lines
 * of a kind are handed to SQL some hundreds at a time, with what is known
 * so far: the organization's key, and which numbers stand for which.
 */
#include "activity.h"

#include <openssl/evp.h>

#include "catalog/pg_type.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "event/append_only.h"
#include "event/incarnation.h"
#include "event/owner.h"
#include "move/move.h"

PG_FUNCTION_INFO_V1(act_import_line);
PG_FUNCTION_INFO_V1(act_import_end);
PG_FUNCTION_INFO_V1(act_own_xid);
PG_FUNCTION_INFO_V1(act_moved_xid);
PG_FUNCTION_INFO_V1(act_event_type_code);
PG_FUNCTION_INFO_V1(act_remove_rows);

extern PGDLLEXPORT Datum act_import_line(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_import_end(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_own_xid(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_moved_xid(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_event_type_code(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_remove_rows(PG_FUNCTION_ARGS);

/* Lines that are handed on at once, or until they are as many bytes. */
#define PAGE_LINES 500
#define PAGE_BYTES (1024 * 1024)

#define KIND_MAX 32

typedef struct Arrival
{
	MemoryContext context;
	MemoryContext page;
	EVP_MD_CTX *sha256;			/* of the lines before the last */
	MemoryContextCallback at_reset;
	char		kind[KIND_MAX]; /* of the lines that wait */
	Datum		lines[PAGE_LINES];
	int			count;
	Size		bytes;
	int64		total;			/* lines until now */
	bool		ended;			/* the last one has come */
	Jsonb	   *known;			/* what SQL knows */
} Arrival;

static Arrival *begin(MemoryContext context);
static void free_sha256(void *argument);
static void read_kind(const Arrival *arrival, const text *line, char *kind);
static void hand_on(Arrival *arrival);
static void end(Arrival *arrival, text *line);
pg_noreturn static void refuse(int64 line, const char *problem);

/* import_line(internal, line text) RETURNS internal */
Datum
act_import_line(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext old;
	Arrival    *arrival;
	text	   *line;
	char		kind[KIND_MAX];

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "import_line() is part of an aggregate");
	arrival = PG_ARGISNULL(0) ? begin(context) : (Arrival *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1))
		refuse(arrival->total + 1, "is null");
	line = PG_GETARG_TEXT_PP(1);
	if (arrival->ended)
		refuse(arrival->total + 1, "comes after the end");
	read_kind(arrival, line, kind);
	if ((arrival->total == 0) != (strcmp(kind, "organization") == 0))
		refuse(arrival->total + 1, arrival->total == 0 ?
			   "is not the beginning of an organization's export" : "begins another organization");
	if (arrival->count == PAGE_LINES || arrival->bytes >= PAGE_BYTES ||
		strcmp(kind, arrival->kind) != 0)
		hand_on(arrival);
	if (strcmp(kind, "end") == 0)
		end(arrival, line);
	else
	{
		if (EVP_DigestUpdate(arrival->sha256, VARDATA_ANY(line), VARSIZE_ANY_EXHDR(line)) != 1 ||
			EVP_DigestUpdate(arrival->sha256, "\n", 1) != 1)
			elog(ERROR, "could not compute SHA-256");
		old = MemoryContextSwitchTo(arrival->page);
		strlcpy(arrival->kind, kind, KIND_MAX);
		arrival->lines[arrival->count++] = datumCopy(PointerGetDatum(line), false, -1);
		arrival->bytes += VARSIZE_ANY(line);
		MemoryContextSwitchTo(old);
	}
	arrival->total++;
	PG_RETURN_POINTER(arrival);
}

/* import_end(internal) RETURNS text */
Datum
act_import_end(PG_FUNCTION_ARGS)
{
	Arrival    *arrival = PG_ARGISNULL(0) ? NULL : (Arrival *) PG_GETARG_POINTER(0);
	Oid			type = JSONBOID;
	Datum		known;
	text	   *receipt;
	MemoryContext context = CurrentMemoryContext;
	bool		isnull;

	if (arrival == NULL)
		PG_RETURN_NULL();
	if (!arrival->ended)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_MOVE),
				 errmsg("the export ends after line " INT64_FORMAT ", before its last line", arrival->total),
				 errhint("A whole file ends with a line \"end\".")));
	known = JsonbPGetDatum(arrival->known);
	SPI_connect();
	if (SPI_execute_with_args("SELECT _activity.move_arrived($1)", 1, &type, &known, NULL,
							  false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not end an import");
	receipt = DatumGetTextPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	receipt = (text *) DatumGetPointer(SPI_datumTransfer(PointerGetDatum(receipt), false, -1));
	SPI_finish();
	Assert(CurrentMemoryContext == context);
	(void) context;
	PG_RETURN_TEXT_P(receipt);
}

static Arrival *
begin(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Arrival    *arrival = palloc0(sizeof(Arrival));

	PreventCommandIfReadOnly("activity.import_organization()");
	PreventCommandDuringRecovery("activity.import_organization()");
	arrival->context = context;
	arrival->page = AllocSetContextCreate(context, "activity arrival", ALLOCSET_DEFAULT_SIZES);
	arrival->sha256 = EVP_MD_CTX_new();
	arrival->at_reset.func = free_sha256;
	arrival->at_reset.arg = arrival;
	MemoryContextRegisterResetCallback(context, &arrival->at_reset);
	if (arrival->sha256 == NULL ||
		EVP_DigestInit_ex(arrival->sha256, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	MemoryContextSwitchTo(old);
	return arrival;
}

static void
free_sha256(void *argument)
{
	EVP_MD_CTX_free(((Arrival *) argument)->sha256);
}

/* {"line":"<kind>", as export_organization() writes it */
static void
read_kind(const Arrival *arrival, const text *line, char *kind)
{
	static const char begins[] = "{\"line\":\"";
	int			len = sizeof(begins) - 1;
	const char *bytes = VARDATA_ANY(line);
	int			size = VARSIZE_ANY_EXHDR(line);
	int			n = 0;

	if (size > len && memcmp(bytes, begins, len) == 0)
		while (n < KIND_MAX - 1 && len + n < size && bytes[len + n] >= 'a' && bytes[len + n] <= 'z')
		{
			kind[n] = bytes[len + n];
			n++;
		}
	kind[n] = '\0';
	if (n == 0 || len + n >= size || bytes[len + n] != '"')
		refuse(arrival->total + 1, "is no line of an organization's export");
}

static void
hand_on(Arrival *arrival)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, INT8OID, JSONBOID};
	Datum		values[4];
	char		nulls[] = "    ";
	bool		isnull;
	Datum		known;

	if (arrival->count == 0)
		return;
	SPI_connect();
	values[0] = CStringGetTextDatum(arrival->kind);
	values[1] = PointerGetDatum(construct_array(arrival->lines, arrival->count, TEXTOID, -1,
												false, TYPALIGN_INT));
	values[2] = Int64GetDatum(arrival->total - arrival->count + 1);
	values[3] = JsonbPGetDatum(arrival->known);
	nulls[3] = arrival->known == NULL ? 'n' : ' ';
	if (SPI_execute_with_args("SELECT _activity.move_in($1, $2, $3, $4)", lengthof(types),
							  types, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not import lines");
	known = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
	{
		MemoryContext old = MemoryContextSwitchTo(arrival->context);
		Jsonb	   *next = (Jsonb *) PG_DETOAST_DATUM_COPY(known);

		if (arrival->known != NULL)
			pfree(arrival->known);
		arrival->known = next;
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	MemoryContextReset(arrival->page);
	arrival->count = 0;
	arrival->bytes = 0;
	CHECK_FOR_INTERRUPTS();
}

/* The last line must be what we would write ourselves. */
static void
end(Arrival *arrival, text *line)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[2 * sizeof(digest) + 1];
	char	   *given = text_to_cstring(line);
	char	   *count = psprintf("{\"line\":\"end\",\"lines\":" INT64_FORMAT ",\"events\":", arrival->total);
	char	   *tail;

	if (EVP_DigestFinal_ex(arrival->sha256, digest, NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	hex[hex_encode((const char *) digest, sizeof(digest), hex)] = '\0';
	tail = psprintf(",\"sha256\":\"%s\"}", hex);
	if (strncmp(given, count, strlen(count)) != 0)
		refuse(arrival->total + 1, "counts other lines than there are: some are missing, or too many");
	if (strlen(given) < strlen(tail) || strcmp(given + strlen(given) - strlen(tail), tail) != 0)
		refuse(arrival->total + 1, "has another SHA-256 than the lines before it: they were changed, or are in another order");
	arrival->ended = true;
}

static void
refuse(int64 line, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACT_BAD_MOVE),
			 errmsg("line " INT64_FORMAT " of the export %s", line, problem),
			 errhint("Import the lines of activity.export_organization() as they are, all of them, in their order.")));
}

void
act_move_call(const char *sql, int32 organization)
{
	Oid			type = INT4OID;
	Datum		key = Int32GetDatum(organization);

	SPI_connect();
	if (SPI_execute_with_args(sql, 1, &type, &key, NULL, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	SPI_finish();
}

Jsonb *
act_move_no_filters(void)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* own_xid(): what an event has that is recorded by this transaction. */
Datum
act_own_xid(PG_FUNCTION_ARGS)
{
	PG_RETURN_FULLTRANSACTIONID(act_incarnation_xid());
}

/* moved_xid(xid): of one recorded elsewhere, and back. */
Datum
act_moved_xid(PG_FUNCTION_ARGS)
{
	uint64		xid = U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(0));

	PG_RETURN_FULLTRANSACTIONID(FullTransactionIdFromU64(xid ^ ACT_INCARNATION_ELSEWHERE));
}

/* move_code(event_type): how events have it; a synonym is another. */
Datum
act_event_type_code(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_INT32(0));
}

/*
 * remove_rows(organization, all): what only this may do to append-only tables,
 * under the lock of upkeep.  The newest anchor stays, so that no position is given
 * twice, unless it is all that there is and the stream itself comes back.
 */
Datum
act_remove_rows(PG_FUNCTION_ARGS)
{
	static const char *const statements[] = {
		"INSERT INTO _activity.stream_anchor SELECT s.organization, s.position, s.segment, s.hash"
		" FROM _activity.stream s WHERE s.organization = $1 ORDER BY s.position DESC LIMIT 1"
		" ON CONFLICT DO NOTHING",
		"DELETE FROM _activity.stream_anchor a WHERE a.organization = $1"
		" AND a.position < (SELECT max(n.position) FROM _activity.stream_anchor n WHERE n.organization = $1)",
		"DELETE FROM _activity.stream s WHERE s.organization = $1",
		"DELETE FROM _activity.event e WHERE e.organization = $1",
		"DELETE FROM _activity.redaction r WHERE r.organization = $1",
		"DELETE FROM _activity.expiry x WHERE x.organization = $1",
		"DELETE FROM _activity.stream_anchor a WHERE a.organization = $1"
	};
	int			first = PG_GETARG_BOOL(1) ? 0 : lengthof(statements) - 1;
	int			end = PG_GETARG_BOOL(1) ? lengthof(statements) - 1 : lengthof(statements);

	if (!act_upkeep_waited())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("events are removed under the lock of upkeep only")));
	act_append_only_lift();
	PG_TRY();
	{
		for (int i = first; i < end; i++)
			act_move_call(statements[i], PG_GETARG_INT32(0));
	}
	PG_FINALLY();
	{
		act_append_only_restore();
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}
