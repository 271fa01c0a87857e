/*
 * feed/entry.c
 *		An event as people read it: activity.entry, and the same as JSON.
 *
 * Everything that shows events to somebody (feed, stream, webhooks) goes
 * through here, so that an event looks the same wherever it is met.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "feed/entry.h"
#include "event/event.h"
#include "taxonomy/taxonomy.h"

static void *column(TupleTableSlot *row, int number);
static text *kind_text(Jsonb *subject);
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
		entry->subject, entry->metadata, entry->description, entry->context
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
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

Jsonb *
act_entry_json(const ActEntry *entry)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(act_entry_push_json(&state, entry));
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

	if (getKeyJsonValueFromContainer(&subject->root, "kind", 4, &kind) == NULL ||
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
