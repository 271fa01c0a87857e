/*
 * base/json.c
 *		Reading JSON.
 *
 * Everything but act_json_read() throws 22023 that names the key.
 */
#include "activity.h"

#include "base/json.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

static MemoryContext parts;

void
act_json_begin(void)
{
	parts = AllocSetContextCreate(CurrentMemoryContext, "activity parts of JSON",
								  ALLOCSET_DEFAULT_SIZES);
}

void
act_json_end(void)
{
	MemoryContextDelete(parts);
	parts = NULL;
}

Jsonb *
act_json_part(JsonbValue *value)
{
	MemoryContext old = MemoryContextSwitchTo(parts);
	Jsonb	   *json = JsonbValueToJsonb(value);

	MemoryContextSwitchTo(old);
	return json;
}

/*
 * What stands in a setting or a column of the application's must not break its
 * transaction.  jsonb_in() computes and does nothing else, so that there is
 * nothing to roll back; before 16 it can't report softly, and its stack check
 * can't to this day.
 */
Jsonb *
act_json_read(const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile json = NULL;

	PG_TRY();
	{
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												  CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return json;
}

void
act_json_complain(const char *where, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" must be %s", where, expected),
			 errhint("docs/tracking.md describes columns and rules.")));
}

/* The value of a key; NULL when it is absent or null. */
JsonbValue *
act_json_get(const Jsonb *json, const char *key, JsonbValue *value)
{
	JsonbValue *found = act_json_find(json, key, strlen(key), value);

	return found && found->type != jbvNull ? found : NULL;
}

/* The object or array of a key; NULL when it is absent or null. */
Jsonb *
act_json_get_container(Jsonb *json, const char *key, bool array)
{
	JsonbValue	value;

	if (!act_json_get(json, key, &value))
		return NULL;
	if (value.type != jbvBinary ||
		JsonContainerIsArray(value.val.binary.data) != array)
		act_json_complain(key, array ? "an array" : "an object");
	return act_json_part(&value);
}

/* A scalar as text; NULL for what is none. */
char *
act_json_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

char *
act_json_get_text(Jsonb *json, const char *key)
{
	JsonbValue	value;

	if (!act_json_get(json, key, &value))
		return NULL;
	if (value.type != jbvString)
		act_json_complain(key, "a text");
	return act_json_text(&value);
}

bool
act_json_get_bool(Jsonb *json, const char *key, bool otherwise)
{
	JsonbValue	value;

	if (!act_json_get(json, key, &value))
		return otherwise;
	if (value.type != jbvBool)
		act_json_complain(key, "true or false");
	return value.val.boolean;
}

/* The members of an object, or the elements of an array. */
List *
act_json_members(Jsonb *json)
{
	MemoryContext old = MemoryContextSwitchTo(parts);
	List	   *list = NIL;
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *key = NULL;

	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = act_json_text(&value);
		else if (token == WJB_VALUE || token == WJB_ELEM)
		{
			ActJsonMember *member = palloc(sizeof(ActJsonMember));

			member->key = key;
			member->value = value;
			list = lappend(list, member);
		}
	}
	MemoryContextSwitchTo(old);
	return list;
}

/* A text, or an array of texts. */
List *
act_json_read_texts(const JsonbValue *value, const char *where)
{
	List	   *texts = NIL;
	ListCell   *cell;

	if (value->type == jbvString)
		return list_make1(act_json_text(value));
	if (value->type != jbvBinary ||
		!JsonContainerIsArray(value->val.binary.data))
		act_json_complain(where, "a text, or an array of texts");
	foreach(cell, act_json_members(act_json_part((JsonbValue *) value)))
	{
		ActJsonMember *member = lfirst(cell);

		if (member->value.type != jbvString)
			act_json_complain(where, "a text, or an array of texts");
		texts = lappend(texts, act_json_text(&member->value));
	}
	return texts;
}

List *
act_json_get_texts(Jsonb *json, const char *key)
{
	JsonbValue	value;

	if (!act_json_get(json, key, &value))
		return NIL;
	return act_json_read_texts(&value, key);
}

void
act_json_check_keys(Jsonb *json, const char *const *known, const char *where)
{
	ListCell   *cell;

	foreach(cell, act_json_members(json))
	{
		const char *key = ((ActJsonMember *) lfirst(cell))->key;
		const char *const *try = known;

		while (*try && strcmp(*try, key) != 0)
			try++;
		if (*try == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown key \"%s\" in \"%s\"", key, where),
					 errhint("docs/tracking.md describes columns and rules.")));
	}
}
