/*
 * export/csv.c
 *		Events as CSV (RFC 4180) that a spreadsheet reads and does not run.
 *
 * A cell that begins as a formula does gets an apostrophe in front, and so does
 * one that begins with an apostrophe: whoever takes one leading apostrophe from
 * every cell that has one gets back what was recorded, exactly.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "base/json.h"
#include "base/json_print.h"
#include "export/line.h"
#include "taxonomy/taxonomy.h"

typedef enum Field
{
	FIELD_ID, FIELD_ACTOR, FIELD_CATEGORY, FIELD_ACTION, FIELD_DESCRIPTION,
	FIELD_OCCURRED_AT, FIELD_RECORDED_AT, FIELD_EVENT_TYPE, FIELD_ACTOR_ID,
	FIELD_ACTOR_KIND, FIELD_ACTOR_NAME, FIELD_SUBJECT, FIELD_METADATA,
	FIELD_CONTEXT, FIELD_ON_BEHALF_OF
} Field;

typedef struct Column
{
	const char *name;
	Field		field;
	const char *key;			/* of the object; NULL: the whole of it */
} Column;

struct ActExportColumns
{
	int			count;
	Column		list[FLEXIBLE_ARRAY_MEMBER];
};

static const Column known[] = {
	{"event_id", FIELD_ID}, {"id", FIELD_ID},
	{"actor", FIELD_ACTOR},
	{"category", FIELD_CATEGORY}, {"action", FIELD_ACTION},
	{"description", FIELD_DESCRIPTION},
	{"timestamp", FIELD_OCCURRED_AT}, {"occurredAt", FIELD_OCCURRED_AT},
	{"recordedAt", FIELD_RECORDED_AT},
	{"eventType", FIELD_EVENT_TYPE},
	{"actorUserId", FIELD_ACTOR_ID}, {"actor.id", FIELD_ACTOR_ID},
	{"actor.kind", FIELD_ACTOR_KIND}, {"actor.name", FIELD_ACTOR_NAME},
	{"subject", FIELD_SUBJECT}, {"metadata", FIELD_METADATA},
	{"context", FIELD_CONTEXT}, {"onBehalfOf", FIELD_ON_BEHALF_OF}
};

static const char *const defaults[] = {
	"event_id", "actor", "category", "action", "description", "timestamp"
};

static Column find_column(const char *name);
static void append_field(StringInfo out, const Column *column,
						 const ActEntry *entry);
static void append_object(StringInfo out, Jsonb *object, const char *key);
static void append_text_cell(StringInfo out, const text *value);
static void append_cell(StringInfo out, const char *bytes, int len);
static bool is_number(const char *bytes, int len);

ActExportColumns *
act_export_columns(ArrayType *names)
{
	Datum	   *datums = NULL;
	bool	   *nulls = NULL;
	int			count = lengthof(defaults);
	ActExportColumns *columns;

	if (names != NULL)
		deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls,
						  &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns must not be empty"),
				 errhint("Pass null for the default ones.")));
	columns = palloc(offsetof(ActExportColumns, list) + count * sizeof(Column));
	columns->count = count;
	for (int i = 0; i < count; i++)
		columns->list[i] = find_column(names == NULL ? defaults[i] :
									   nulls[i] ? "null" :
									   TextDatumGetCString(datums[i]));
	return columns;
}

static Column
find_column(const char *name)
{
	for (int i = 0; i < lengthof(known); i++)
	{
		Column		column = known[i];
		int			len = strlen(column.name);

		if (strcmp(name, column.name) == 0)
			return column;
		if (column.field >= FIELD_SUBJECT && strncmp(name, column.name, len) == 0 &&
			name[len] == '.' && name[len + 1] != '\0')
		{
			column.key = pstrdup(name + len + 1);
			column.name = pstrdup(name);
			return column;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no column \"%s\" to export", name),
			 errhint("Columns are event_id, timestamp, the names of the event object, and subject, metadata, context or onBehalfOf with a field after a full stop.")));
}

void
act_export_csv_header(StringInfo out, const ActExportColumns *columns)
{
	for (int i = 0; i < columns->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		append_cell(out, columns->list[i].name, strlen(columns->list[i].name));
	}
	appendStringInfoChar(out, '\r');
}

void
act_export_csv(StringInfo out, const ActExportColumns *columns,
			   const ActEntry *entry)
{
	for (int i = 0; i < columns->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		append_field(out, &columns->list[i], entry);
	}
	appendStringInfoChar(out, '\r');
}

static void
append_field(StringInfo out, const Column *column, const ActEntry *entry)
{
	char	   *key;
	int			dot;

	switch (column->field)
	{
		case FIELD_ID:
			appendStringInfoString(out, DatumGetCString(DirectFunctionCall1(uuid_out,
																			UUIDPGetDatum(&entry->id))));
			break;
		case FIELD_ACTOR:
			if (entry->actor_id == NULL)
				appendStringInfoString(out, "system");
			else
				append_text_cell(out, entry->actor_id);
			break;
		case FIELD_CATEGORY:
		case FIELD_ACTION:
		case FIELD_EVENT_TYPE:
			key = act_taxonomy_key(entry->type);
			dot = strcspn(key, ".");
			if (column->field == FIELD_EVENT_TYPE)
				append_cell(out, key, strlen(key));
			else if (column->field == FIELD_CATEGORY)
				append_cell(out, key, dot);
			else
				append_cell(out, key + dot + 1, strlen(key + dot + 1));
			break;
		case FIELD_DESCRIPTION:
			append_text_cell(out, entry->description);
			break;
		case FIELD_OCCURRED_AT:
			appendStringInfoString(out, act_entry_time_text(entry->occurred_at));
			break;
		case FIELD_RECORDED_AT:
			appendStringInfoString(out, act_entry_time_text(entry->recorded_at));
			break;
		case FIELD_ACTOR_ID:
			append_text_cell(out, entry->actor_id);
			break;
		case FIELD_ACTOR_KIND:
			append_text_cell(out, entry->actor_id ? entry->actor_kind : NULL);
			break;
		case FIELD_ACTOR_NAME:
			append_text_cell(out, entry->actor_id ? entry->actor_name : NULL);
			break;
		case FIELD_SUBJECT:
			append_object(out, entry->subject, column->key);
			break;
		case FIELD_METADATA:
			append_object(out, entry->metadata, column->key);
			break;
		case FIELD_CONTEXT:
			append_object(out, act_entry_public_context(entry->context), column->key);
			break;
		case FIELD_ON_BEHALF_OF:
			append_object(out, entry->on_behalf_of, column->key);
			break;
	}
}

/* A field of it, or all of it as JSON; nothing for what is absent or null. */
static void
append_object(StringInfo out, Jsonb *object, const char *key)
{
	JsonbValue	value;
	StringInfoData printed;

	if (object == NULL ||
		(key != NULL && act_json_get(object, key, &value) == NULL))
		return;
	if (key != NULL && value.type == jbvString)
	{
		append_cell(out, value.val.string.val, value.val.string.len);
		return;
	}
	initStringInfo(&printed);
	act_json_print(key == NULL ? object : JsonbValueToJsonb(&value), false,
				   act_json_append, &printed);
	append_cell(out, printed.data, printed.len);
}

static void
append_text_cell(StringInfo out, const text *value)
{
	if (value != NULL)
		append_cell(out, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/* An empty text is "", so that it differs from nothing. */
static void
append_cell(StringInfo out, const char *bytes, int len)
{
	bool		guarded = act_setting_export_guard && len > 0 &&
		memchr("=+-@\t\r'", bytes[0], 7) != NULL && !is_number(bytes, len);
	bool		quoted = len == 0;

	for (int i = 0; i < len && !quoted; i++)
		quoted = bytes[i] == ',' || bytes[i] == '"' || bytes[i] == '\r' ||
			bytes[i] == '\n';
	if (quoted)
		appendStringInfoChar(out, '"');
	if (guarded)
		appendStringInfoChar(out, '\'');
	if (!quoted)
		appendBinaryStringInfo(out, bytes, len);
	else
	{
		for (int i = 0; i < len; i++)
		{
			if (bytes[i] == '"')
				appendStringInfoChar(out, '"');
			appendStringInfoChar(out, bytes[i]);
		}
		appendStringInfoChar(out, '"');
	}
}

/* A sign, digits, perhaps a fraction and an exponent. */
static bool
is_number(const char *bytes, int len)
{
	int			i = 0;
	int			digits = 0;

	if (i < len && (bytes[i] == '-' || bytes[i] == '+'))
		i++;
	for (; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
		digits++;
	if (i < len && bytes[i] == '.')
		for (i++; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
			digits++;
	if (digits > 0 && i < len && (bytes[i] == 'e' || bytes[i] == 'E'))
	{
		i++;
		if (i < len && (bytes[i] == '-' || bytes[i] == '+'))
			i++;
		if (i == len)
			return false;
		while (i < len && bytes[i] >= '0' && bytes[i] <= '9')
			i++;
	}
	return digits > 0 && i == len;
}
