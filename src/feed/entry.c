/*
 * feed/entry.c
 *		An event as people read it: activity.entry, and the same as JSON.
 *
 * Everything that shows events to somebody (feed, stream, webhooks) goes
 * through here, so that an event looks the same wherever it is met.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "base/compat.h"
#include "base/json.h"
#include "base/json_print.h"
#include "base/utf8.h"
#include "feed/entry.h"
#include "event/event.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_event_object);

static void *column(TupleTableSlot *row, int number);
static text *kind_text(Jsonb *subject);
static Jsonb *without(Jsonb *object, const char *key);
static void read_values(const Datum *values, const bool *nulls, ActEntry *entry);
static void push_name(JsonbParseState **state, const char *name);
static void push_string(JsonbParseState **state, const char *name,
						const char *string, int len);
static void push_text(JsonbParseState **state, const char *name,
					  const text *value);
static void push_jsonb(JsonbParseState **state, const char *name,
					   const Jsonb *value);

void
act_entry_read(TupleTableSlot *row, ActEntry *entry)
{
	char	   *id;
	int			len;

	slot_getallattrs(row);
	entry->id = *DatumGetUUIDP(row->tts_values[ACT_EVENT_ID - 1]);
	entry->occurred_at =
		DatumGetTimestampTz(row->tts_values[ACT_EVENT_OCCURRED_AT - 1]);
	entry->type = DatumGetInt32(row->tts_values[ACT_EVENT_TYPE - 1]);
	entry->actor_kind = column(row, ACT_EVENT_ACTOR_KIND);
	entry->actor_id = column(row, ACT_EVENT_ACTOR_ID);
	entry->actor_name = column(row, ACT_EVENT_ACTOR_NAME);
	entry->subject = column(row, ACT_EVENT_SUBJECT);
	entry->metadata = column(row, ACT_EVENT_METADATA);
	entry->description = column(row, ACT_EVENT_DESCRIPTION);
	entry->context = column(row, ACT_EVENT_CONTEXT);
	entry->on_behalf_of = column(row, ACT_EVENT_ON_BEHALF_OF);
	entry->recorded_at = row->tts_isnull[ACT_EVENT_RECORDED_AT - 1] ?
		entry->occurred_at :
		DatumGetTimestampTz(row->tts_values[ACT_EVENT_RECORDED_AT - 1]);
	entry->subject_kind = kind_text(entry->subject);
	id = act_event_subject_id(entry->subject, &len);
	entry->subject_id = id == NULL ? NULL : cstring_to_text_with_len(id, len);
}

void
act_entry_values(const ActEntry *entry, Datum *values, bool *nulls)
{
	const void *pointers[ACT_ENTRY_COLUMNS] = {
		&entry->id, NULL, NULL, entry->actor_kind, entry->actor_id,
		entry->actor_name, entry->subject_kind, entry->subject_id,
		entry->subject, entry->metadata, entry->description, entry->context,
		entry->on_behalf_of, NULL
	};

	for (int i = 0; i < ACT_ENTRY_COLUMNS; i++)
	{
		values[i] = PointerGetDatum(pointers[i]);
		nulls[i] = pointers[i] == NULL;
	}
	values[1] = TimestampTzGetDatum(entry->occurred_at);
	nulls[1] = false;
	values[2] = Int32GetDatum(entry->type);
	nulls[2] = false;
	values[13] = TimestampTzGetDatum(entry->recorded_at);
	nulls[13] = false;
}

JsonbValue *
act_entry_push_json(JsonbParseState **state, const ActEntry *entry)
{
	char	   *key = act_taxonomy_key(entry->type);
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&entry->id)));
	char	   *time = act_entry_time_text(entry->occurred_at);

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_string(state, "id", id, strlen(id));
	push_string(state, "occurred_at", time, strlen(time));
	push_string(state, "event_type", key, strlen(key));
	push_text(state, "actor_kind", entry->actor_kind);
	push_text(state, "actor_id", entry->actor_id);
	push_text(state, "actor_name", entry->actor_name);
	push_text(state, "subject_kind", entry->subject_kind);
	push_text(state, "subject_id", entry->subject_id);
	push_jsonb(state, "subject", entry->subject);
	push_jsonb(state, "metadata", entry->metadata);
	push_text(state, "description", entry->description);
	push_jsonb(state, "context", entry->context);
	push_jsonb(state, "on_behalf_of", entry->on_behalf_of);
	time = act_entry_time_text(entry->recorded_at);
	push_string(state, "recorded_at", time, strlen(time));
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

Jsonb *
act_entry_json(const ActEntry *entry)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(act_entry_push_json(&state, entry));
}

static void
append_string(StringInfo out, const char *before, const char *bytes, int len)
{
	appendStringInfoString(out, before);
	if (bytes == NULL)
		appendStringInfoString(out, "null");
	else
		act_json_print_string(bytes, len, act_json_append, out);
}

static void
append_text(StringInfo out, const char *before, const text *value)
{
	append_string(out, before, value == NULL ? NULL : VARDATA_ANY(value),
				  value == NULL ? 0 : VARSIZE_ANY_EXHDR(value));
}

static void
append_jsonb(StringInfo out, const char *before, Jsonb *value)
{
	appendStringInfoString(out, before);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		act_json_print(value, false, act_json_append, out);
}

/* Kind and id first, always strings; then whatever else the subject has. */
static void
append_subject(StringInfo out, const ActEntry *entry)
{
	Jsonb	   *rest = without(without(entry->subject, "kind"), "id");

	append_string(out, ",\"subject\":{\"kind\":",
				  entry->subject_kind ? VARDATA_ANY(entry->subject_kind) : "",
				  entry->subject_kind ? VARSIZE_ANY_EXHDR(entry->subject_kind) : 0);
	append_string(out, ",\"id\":",
				  entry->subject_id ? VARDATA_ANY(entry->subject_id) : "",
				  entry->subject_id ? VARSIZE_ANY_EXHDR(entry->subject_id) : 0);
	if (JB_ROOT_COUNT(rest) > 0)
	{
		int			brace = out->len;

		/* Printed with its braces, of which the first becomes a comma. */
		act_json_print(rest, false, act_json_append, out);
		out->data[brace] = ',';
	}
	else
		appendStringInfoChar(out, '}');
}

static Jsonb *
without(Jsonb *object, const char *key)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete,
											  JsonbPGetDatum(object),
											  CStringGetTextDatum(key)));
}

Jsonb *
act_entry_public_context(Jsonb *context)
{
	return without(without(context, "database_role"), "set_role");
}

void
act_entry_append_object(StringInfo out, const ActEntry *entry)
{
	int			begin = out->len;
	char	   *key = act_taxonomy_key(entry->type);
	char	   *dot = strchr(key, '.');
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&entry->id)));

	append_string(out, "{\"id\":", id, strlen(id));
	append_string(out, ",\"eventType\":", key, strlen(key));
	append_string(out, ",\"category\":", key, dot - key);
	append_string(out, ",\"action\":", dot + 1, strlen(dot + 1));
	append_text(out, ",\"actorUserId\":", entry->actor_id);
	if (entry->actor_id == NULL)
		appendStringInfoString(out, ",\"actor\":null");
	else
	{
		append_text(out, ",\"actor\":{\"kind\":", entry->actor_kind);
		append_text(out, ",\"id\":", entry->actor_id);
		append_text(out, ",\"name\":", entry->actor_name);
		appendStringInfoChar(out, '}');
	}
	append_jsonb(out, ",\"onBehalfOf\":", entry->on_behalf_of);
	append_subject(out, entry);
	append_jsonb(out, ",\"metadata\":", entry->metadata);
	append_text(out, ",\"description\":", entry->description);
	append_jsonb(out, ",\"context\":", act_entry_public_context(entry->context));
	appendStringInfo(out, ",\"occurredAt\":\"%s\"",
					 act_entry_time_text(entry->occurred_at));
	appendStringInfo(out, ",\"recordedAt\":\"%s\"}",
					 act_entry_time_text(entry->recorded_at));
	act_utf8_mend(out, begin);
}

/*
 * event_object(event activity.entry) - the event object of an entry that any
 * function of the extension has returned.
 */
PGDLLEXPORT Datum
act_event_object(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	ActEntry	entry;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	act_entry_read_argument(PG_GETARG_HEAPTUPLEHEADER(0), &entry);
	initStringInfo(&out);
	act_entry_append_object(&out, &entry);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

void
act_entry_read_argument(HeapTupleHeader header, ActEntry *entry)
{
	HeapTupleData tuple;
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	Datum		values[ACT_ENTRY_COLUMNS];
	bool		nulls[ACT_ENTRY_COLUMNS];

	if (desc->natts != ACT_ENTRY_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the event must be an activity.entry")));
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	heap_deform_tuple(&tuple, desc, values, nulls);
	ReleaseTupleDesc(desc);
	read_values(values, nulls, entry);
}

static void
read_values(const Datum *values, const bool *nulls, ActEntry *entry)
{
	static const bool wanted[ACT_ENTRY_COLUMNS] = {
		true, true, true, false, false, false, false, false, true, false, true,
		true, false, true
	};

	for (int i = 0; i < ACT_ENTRY_COLUMNS; i++)
		if (wanted[i] && nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the event lacks a part that every event has")));
#define TEXT(i) (nulls[i] ? NULL : DatumGetTextPP(values[i]))
#define JSON(i) (nulls[i] ? NULL : DatumGetJsonbP(values[i]))
	entry->id = *DatumGetUUIDP(values[0]);
	entry->occurred_at = DatumGetTimestampTz(values[1]);
	entry->type = DatumGetInt32(values[2]);
	entry->actor_kind = TEXT(3);
	entry->actor_id = TEXT(4);
	entry->actor_name = TEXT(5);
	entry->subject_kind = TEXT(6);
	entry->subject_id = TEXT(7);
	entry->subject = JSON(8);
	entry->metadata = JSON(9);
	entry->description = TEXT(10);
	entry->context = JSON(11);
	entry->on_behalf_of = JSON(12);
	entry->recorded_at = DatumGetTimestampTz(values[13]);
#undef TEXT
#undef JSON
	if (!JB_ROOT_IS_OBJECT(entry->subject) || !JB_ROOT_IS_OBJECT(entry->context))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subject and context of an event must be JSON objects")));
}

/* 2026-03-01T09:30:00.000000Z, whatever DateStyle and TimeZone say. */
char *
act_entry_time_text(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		microseconds;

	if (timestamp2tm(time, NULL, &tm, &microseconds, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
					tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) microseconds);
}

/*
 * A variable-length column, packed headers expanded; NULL for null.  Nothing
 * may point out of line: the partition can be dropped before the reader gets
 * to it.
 */
static void *
column(TupleTableSlot *row, int number)
{
	if (row->tts_isnull[number - 1])
		return NULL;
	return PG_DETOAST_DATUM(row->tts_values[number - 1]);
}

/* The subject's kind, palloc'd; NULL if it has none. */
static text *
kind_text(Jsonb *subject)
{
	JsonbValue	kind;

	if (act_json_find(subject, "kind", 4, &kind) == NULL ||
		kind.type != jbvString)
		return NULL;
	return cstring_to_text_with_len(kind.val.string.val, kind.val.string.len);
}

static void
push_name(JsonbParseState **state, const char *name)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &key);
}

static void
push_string(JsonbParseState **state, const char *name,
			const char *string, int len)
{
	JsonbValue	value;

	push_name(state, name);
	if (string == NULL)
		value.type = jbvNull;
	else
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = len;
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_text(JsonbParseState **state, const char *name, const text *value)
{
	if (value == NULL)
		push_string(state, name, NULL, 0);
	else
		push_string(state, name, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static void
push_jsonb(JsonbParseState **state, const char *name, const Jsonb *value)
{
	JsonbValue	binary;

	if (value == NULL)
	{
		push_string(state, name, NULL, 0);
		return;
	}
	push_name(state, name);
	binary.type = jbvBinary;
	binary.val.binary.data = unconstify(JsonbContainer *, &value->root);
	binary.val.binary.len = VARSIZE(value) - VARHDRSZ;
	pushJsonbValue(state, WJB_VALUE, &binary);
}
