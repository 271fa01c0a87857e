/*
 * taxonomy/event_type.c
 *		The SQL type activity.event_type: a taxonomy code that reads as its key.
 *
 * It is a 4-byte value like an integer, so comparison and hashing are those of
 * integers (event_type.sql binds them).  What people and other databases see
 * is always the key, in the binary format, too, because an application's codes
 * differ between databases.
 *
 * A code whose definition is gone prints as unknown.<code>, so that no output,
 * a dump's least of all, fails; that form is also read back.
 *
 * While a dump is restored, views, defaults and other people's rows may name
 * types before the table of definitions has its rows.  Restoring sets
 * check_function_bodies off for the sake of such forward references, and then we
 * take any key of the right form for what its code will be.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "taxonomy/suggestion.h"
#include "taxonomy/taxonomy.h"

#define UNKNOWN_PREFIX ACT_UNKNOWN_CATEGORY "."

PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_in);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_out);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_recv);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_send);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_from_text);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_type_to_text);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_category);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_action);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_event_types);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_render_description);

static int32 parse_key(const char *key, int len, struct Node *soft);
static int32 parse_unknown(const char *key);
static Jsonb *with_kind(Jsonb *subject, const char *kind);
static Datum text_or_null(const char *string, bool *is_null);
static ArrayType *required_of(const ActEventType *type);
static void check_object(Jsonb *jsonb, const char *name);

Datum
act_event_type_in(PG_FUNCTION_ARGS)
{
	char	   *key = PG_GETARG_CSTRING(0);

	PG_RETURN_INT32(parse_key(key, strlen(key), fcinfo->context));
}

Datum
act_event_type_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(act_taxonomy_key(PG_GETARG_INT32(0)));
}

Datum
act_event_type_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			len;
	char	   *key = pq_getmsgtext(message, message->len - message->cursor,
									&len);

	PG_RETURN_INT32(parse_key(key, len, NULL));
}

Datum
act_event_type_send(PG_FUNCTION_ARGS)
{
	char	   *key = act_taxonomy_key(PG_GETARG_INT32(0));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendtext(&message, key, strlen(key));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
act_event_type_from_text(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(parse_key(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
							  NULL));
}

Datum
act_event_type_to_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(act_taxonomy_key(PG_GETARG_INT32(0))));
}

/* What stands before the dot of the key. */
Datum
act_category(PG_FUNCTION_ARGS)
{
	char	   *key = act_taxonomy_key(PG_GETARG_INT32(0));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(key, strcspn(key, ".")));
}

/* What stands behind it. */
Datum
act_action(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(strchr(act_taxonomy_key(PG_GETARG_INT32(0)),
											'.') + 1));
}

/* The rows of the view event_types. */
Datum
act_event_types(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			count;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	count = act_taxonomy_count();
	for (i = 0; i < count; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);
		Datum		values[10];
		bool		nulls[10] = {false};

		values[0] = text_or_null(type->key, &nulls[0]);
		values[1] = text_or_null(type->category, &nulls[1]);
		values[2] = text_or_null(type->action, &nulls[2]);
		values[3] = text_or_null(type->family, &nulls[3]);
		values[4] = text_or_null(type->synonym_of == 0 ? NULL :
								 act_taxonomy_key(type->synonym_of), &nulls[4]);
		values[5] = text_or_null(type->subject_kind, &nulls[5]);
		values[6] = PointerGetDatum(required_of(type));
		values[7] = text_or_null(type->template_source, &nulls[7]);
		values[8] = text_or_null(type->meaning, &nulls[8]);
		values[9] = BoolGetDatum(type->built_in);
		tuplestore_putvalues(result->setResult, result->setDesc,
							 values, nulls);
	}
	return (Datum) 0;
}

/* The description that an event would get; checks nothing but the shape. */
Datum
act_render_description(PG_FUNCTION_ARGS)
{
	const ActEventType *type;
	Jsonb	   *subject = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb	   *metadata = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	check_object(subject, "subject");
	check_object(metadata, "metadata");

	type = act_taxonomy_require_code(PG_GETARG_INT32(0));
	if (type->subject_kind != NULL)
		subject = with_kind(subject, type->subject_kind);
	PG_RETURN_TEXT_P(act_template_render(act_taxonomy_template(type),
										 subject, metadata));
}

/* The code of a key; an error, soft if so asked, when there is none. */
static int32
parse_key(const char *key, int len, struct Node *soft)
{
	const ActEventType *type = act_taxonomy_find(key, len);
	int32		code;

	if (type != NULL)
		return type->code;
	code = parse_unknown(pnstrdup(key, len));
	if (code == 0)
		act_suggestion_report(key, len, soft);
	return code;
}

/* The code of a key that is no type, but may stand for one; 0 if not. */
static int32
parse_unknown(const char *key)
{
	int			prefix = strlen(UNKNOWN_PREFIX);

	/* What act_taxonomy_key() made of a code that nobody knows. */
	if (strncmp(key, UNKNOWN_PREFIX, prefix) == 0)
	{
		const char *digits = key + prefix;
		int64		code;

		if (strlen(digits) > 10 || digits[strspn(digits, "0123456789")] != '\0')
			return 0;
		code = strtoll(digits, NULL, 10);
		return code >= ACT_FIRST_DEFINED_CODE && code <= PG_INT32_MAX ? code : 0;
	}

	/* A forward reference of a dump. */
	if (!check_function_bodies && act_taxonomy_is_key(key))
		return act_taxonomy_code(key);
	return 0;
}

static Datum
text_or_null(const char *string, bool *is_null)
{
	*is_null = (string == NULL);
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/* The required fields as text[]. */
static ArrayType *
required_of(const ActEventType *type)
{
	Datum	   *fields = palloc((type->nrequired + 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < type->nrequired; i++)
		fields[i] = CStringGetTextDatum(type->required[i]);
	return construct_array(fields, type->nrequired, TEXTOID, -1, false,
						   TYPALIGN_INT);
}

/* The subject as it is recorded: with the type's kind if it has none. */
static Jsonb *
with_kind(Jsonb *subject, const char *kind)
{
	JsonbParseState *state = NULL;
	JsonbValue	name = {.type = jbvString, .val.string = {4, "kind"}};
	JsonbValue	value = {.type = jbvString};
	JsonbValue	given;
	Jsonb	   *object;

	if (act_template_look_up(subject, NULL, "kind", 4, &given))
		return subject;
	value.val.string.val = unconstify(char *, kind);
	value.val.string.len = strlen(kind);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&state, WJB_KEY, &name);
	pushJsonbValue(&state, WJB_VALUE, &value);
	object = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	if (subject == NULL)
		return object;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
											  JsonbPGetDatum(subject),
											  JsonbPGetDatum(object)));
}

/* Throws unless it is absent or an object. */
static void
check_object(Jsonb *jsonb, const char *name)
{
	if (jsonb != NULL && !JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", name)));
}
