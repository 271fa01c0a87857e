/*
 * upkeep/redact.c
 *		Erasing the personal part of events.
 *
 * The event stays: its type, its time, its position, and the commitment to what
 * was erased, from which its digest goes on being made.  Rows are rewritten by
 * one statement, under the lock of upkeep: what moves rows from one partition to
 * another relies on their not changing meanwhile.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "base/compat.h"
#include "event/append_only.h"
#include "event/event.h"
#include "event/owner.h"
#include "record/record.h"
#include "stream/chain.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_lock_upkeep);
PG_FUNCTION_INFO_V1(act_event_hash_of);
PG_FUNCTION_INFO_V1(act_commitment);
PG_FUNCTION_INFO_V1(act_redact_rows);
PG_FUNCTION_INFO_V1(act_record_own);

/* Who stands in a redacted event stays there if he was not meant; so a redaction of
 * the whole event must tell him from a pseudonym. */
#define IS_PSEUDONYM(id) \
	"(old.commitment IS NOT NULL AND EXISTS (SELECT FROM _activity.redaction r" \
	" WHERE r.organization OPERATOR(pg_catalog.=) $1" \
	" AND r.pseudonym OPERATOR(pg_catalog.=) " id "))"

/* $1 organization, $2 ids, $3 redaction, $4 person, $5 pseudonym, $6 parts,
 * $7 and $8 the times between which the ids lie, $9 the type of redactions, which
 * themselves are proof and stay. */
#define REDACT \
	"UPDATE _activity.event e SET salt = NULL," \
	" commitment = COALESCE(e.commitment, _activity.commitment(e))," \
	" actor_id = CASE WHEN its.actor THEN $5 ELSE e.actor_id END," \
	" actor_name = CASE WHEN its.actor THEN NULL ELSE e.actor_name END," \
	" actor_hash = CASE WHEN its.actor THEN _activity.event_hash($5) ELSE e.actor_hash END," \
	" on_behalf_of = CASE WHEN its.behalf THEN pg_catalog.jsonb_build_object('kind'," \
	" e.on_behalf_of OPERATOR(pg_catalog.->) 'kind', 'id', $5) ELSE e.on_behalf_of END," \
	" on_behalf_of_hash = CASE WHEN its.behalf THEN _activity.event_hash($5)" \
	" ELSE e.on_behalf_of_hash END," \
	" subject = pg_catalog.jsonb_build_object('kind'," \
	" e.subject OPERATOR(pg_catalog.->) 'kind', 'redacted', $3::pg_catalog.text)," \
	" subject_hash = NULL, metadata = NULL, context = '{}', description = '[redacted]'" \
	" FROM (SELECT old.ctid AS place, old.tableoid AS part," \
	" old.actor_id IS NOT NULL AND CASE WHEN $4 IS NULL" \
	" THEN pg_catalog.strpos($6, 'a') OPERATOR(pg_catalog.>) 0 AND NOT " \
	IS_PSEUDONYM("old.actor_id") \
	" ELSE old.actor_id OPERATOR(pg_catalog.=) $4 OR old.actor_name IS NOT DISTINCT FROM $4 END AS actor," \
	" old.on_behalf_of IS NOT NULL AND CASE WHEN $4 IS NULL" \
	" THEN pg_catalog.strpos($6, 'b') OPERATOR(pg_catalog.>) 0 AND NOT " \
	IS_PSEUDONYM("(old.on_behalf_of OPERATOR(pg_catalog.->>) 'id')") \
	" ELSE (old.on_behalf_of OPERATOR(pg_catalog.->>) 'id') IS NOT DISTINCT FROM $4" \
	" OR (old.on_behalf_of OPERATOR(pg_catalog.->>) 'name') IS NOT DISTINCT FROM $4 END AS behalf," \
	" old.commitment IS NOT NULL AS was" \
	" FROM _activity.event old" \
	" WHERE old.organization OPERATOR(pg_catalog.=) $1" \
	" AND old.id OPERATOR(pg_catalog.=) ANY ($2)" \
	" AND old.occurred_at BETWEEN $7 AND $8) its" \
	" WHERE e.organization OPERATOR(pg_catalog.=) $1" \
	" AND e.id OPERATOR(pg_catalog.=) ANY ($2)" \
	" AND e.occurred_at BETWEEN $7 AND $8" \
	" AND e.ctid OPERATOR(pg_catalog.=) its.place" \
	" AND e.tableoid OPERATOR(pg_catalog.=) its.part" \
	" AND e.type OPERATOR(pg_catalog.<>) $9" \
	" AND (NOT its.was OR its.actor OR its.behalf)"

static void times_of(ArrayType *ids, TimestampTz *earliest, TimestampTz *latest);

/* lock_upkeep() */
PGDLLEXPORT Datum
act_lock_upkeep(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("changing stored events");
	PreventCommandDuringRecovery("changing stored events");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this needs isolation level READ COMMITTED"),
				 errhint("An older snapshot doesn't see every event that it concerns.")));
	act_event_flush();
	act_upkeep_wait();
	PG_RETURN_VOID();
}

/* event_hash(id) */
PGDLLEXPORT Datum
act_event_hash_of(PG_FUNCTION_ARGS)
{
	text	   *id = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(act_event_hash(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)));
}

/* commitment(event) */
PGDLLEXPORT Datum
act_commitment(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(0);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	ActChain   *chain = act_chain_create();
	bytea	   *commitment = palloc(VARHDRSZ + ACT_CHAIN_BYTES);
	HeapTupleData tuple = {0};

	if (desc->natts < ACT_EVENT_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the argument must be an event")));
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	ItemPointerSetInvalid(&tuple.t_self);
	ExecStoreHeapTuple(&tuple, slot, false);
	SET_VARSIZE(commitment, VARHDRSZ + ACT_CHAIN_BYTES);
	act_chain_commitment(chain, slot, (uint8 *) VARDATA(commitment));
	act_chain_free(chain);
	ExecDropSingleTupleTableSlot(slot);
	ReleaseTupleDesc(desc);
	PG_RETURN_BYTEA_P(commitment);
}

/* redact_rows(organization, ids, redaction, person, pseudonym, parts) */
PGDLLEXPORT Datum
act_redact_rows(PG_FUNCTION_ARGS)
{
	Oid			types[] = {INT4OID, UUIDARRAYOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID};
	static const char redacted[] = "compliance.redacted";
	Datum		values[9];
	char		nulls[] = "         ";
	TimestampTz earliest;
	TimestampTz latest;
	int64		rows;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		PG_ARGISNULL(4) || PG_ARGISNULL(5))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("only the person may be null")));
	if (!act_upkeep_waited())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stored events are changed under the lock of upkeep only")));
	for (int i = 0; i < 6; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	times_of(PG_GETARG_ARRAYTYPE_P(1), &earliest, &latest);
	values[6] = TimestampTzGetDatum(earliest);
	values[7] = TimestampTzGetDatum(latest);
	values[8] = Int32GetDatum(act_taxonomy_require(redacted, strlen(redacted))->code);

	act_append_only_lift();
	PG_TRY();
	{
		SPI_connect();
		if (SPI_execute_with_args(REDACT, lengthof(types), types, values, nulls,
								  false, 0) != SPI_OK_UPDATE)
			elog(ERROR, "could not redact");
		rows = SPI_processed;
		SPI_finish();
	}
	PG_FINALLY();
	{
		act_append_only_restore();
	}
	PG_END_TRY();
	PG_RETURN_INT64(rows);
}

/* The times that the ids tell, so that only their months are looked at. */
static void
times_of(ArrayType *ids, TimestampTz *earliest, TimestampTz *latest)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	*earliest = DT_NOEND;
	*latest = DT_NOBEGIN;
	if (ARR_ELEMTYPE(ids) != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("ids must be an array of uuid")));
	deconstruct_array(ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		TimestampTz time;

		if (nulls[i])
			continue;
		if (!act_event_id_time(DatumGetUUIDP(elements[i]), &time))
		{
			/* What somebody wrote by hand can be anywhere. */
			*earliest = DT_NOBEGIN;
			*latest = DT_NOEND;
			return;
		}
		*earliest = Min(*earliest, time);
		*latest = Max(*latest, time);
	}
}

/* record_own(organization, event_type, subject, metadata, id) */
PGDLLEXPORT Datum
act_record_own(PG_FUNCTION_ARGS)
{
	ActHappening happening = {0};
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	text	   *organization;
	char	   *type;

	for (int i = 0; i < 4; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("only the id may be null")));
	organization = PG_GETARG_TEXT_PP(0);
	type = text_to_cstring(PG_GETARG_TEXT_PP(1));
	happening.organization = VARDATA_ANY(organization);
	happening.organization_len = VARSIZE_ANY_EXHDR(organization);
	happening.type = act_taxonomy_require(type, strlen(type))->code;
	happening.subject = PG_GETARG_JSONB_P(2);
	happening.metadata = PG_GETARG_JSONB_P(3);
	if (!act_taxonomy_is_own(happening.type) ||
		!JB_ROOT_IS_OBJECT(happening.subject) || !JB_ROOT_IS_OBJECT(happening.metadata))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not recorded by the extension itself", type)));
	happening.occurred_at = DT_NOBEGIN;
	if (!PG_ARGISNULL(4))
		happening.id = PG_GETARG_UUID_P(4);
	act_record(&happening, id);
	PG_RETURN_UUID_P(id);
}
