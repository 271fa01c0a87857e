/*
 * taxonomy/define.c
 *		activity.define_event_type(): the application's own event types.
 *
 * Definers are serialized by a lock on the table, held until commit: the table
 * is read in logical decoding, too (user_catalog_table), and ON CONFLICT
 * isn't allowed on such a table.  Calling it again with nothing new, as an
 * application may do whenever it starts, takes no lock and writes nothing.
 */
#include "activity.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "event/month.h"
#include "base/own_table_guard.h"
#include "taxonomy/taxonomy.h"

/* Bounds, in fields and bytes. */
#define REQUIRED_MAX	32
#define NAME_MAX_BYTES	127
#define MEANING_MAX		1000

PGDLLEXPORT PG_FUNCTION_INFO_V1(act_define_event_type);
PGDLLEXPORT PG_FUNCTION_INFO_V1(act_forget_event_types);

static void check_key(const char *key);
static void refuse_built_in(const char *key);
static void refuse_shared_code(const char *key);
static void check_required(ActEventType *type, ArrayType *required);
static char *optional_text(FunctionCallInfo fcinfo, int argument,
						   const char *name, int most);
static const char *family_of_category(const char *key);
static bool is_same(const ActEventType *a, const ActEventType *b);
static bool is_same_text(const char *a, const char *b);
static int32 store(const ActEventType *type);
static Datum required_datum(const ActEventType *type);

/* Adds an event type, or revises one; its code. */
Datum
act_define_event_type(PG_FUNCTION_ARGS)
{
	ActEventType type = {0};
	const ActEventType *known;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key, template and required must not be null"),
				 errhint("A type that requires no field has required => '{}'.")));

	PreventCommandIfReadOnly("activity.define_event_type()");
	act_partition_ensure_ahead();
	type.key = text_to_cstring(PG_GETARG_TEXT_PP(0));
	check_key(type.key);
	refuse_built_in(type.key);

	type.template_source = text_to_cstring(PG_GETARG_TEXT_PP(1));
	(void) act_template_compile(type.template_source, CurrentMemoryContext);
	check_required(&type, PG_GETARG_ARRAYTYPE_P(2));
	type.family = optional_text(fcinfo, 3, "family", NAME_MAX_BYTES);
	type.subject_kind = optional_text(fcinfo, 4, "subject_kind",
									  NAME_MAX_BYTES);
	type.meaning = optional_text(fcinfo, 5, "meaning", MEANING_MAX);
	if (type.family == NULL)
		type.family = family_of_category(type.key);

	known = act_taxonomy_find(type.key, strlen(type.key));
	if (known != NULL && is_same(known, &type))
		PG_RETURN_INT32(known->code);

	PG_RETURN_INT32(store(&type));
}

/* Statement trigger on the definitions: every backend reads them anew. */
Datum
act_forget_event_types(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("forget_event_types must be called as a trigger")));
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

/* Throws ERRCODE_ACT_BAD_EVENT_TYPE_KEY unless it is category.action. */
static void
check_key(const char *key)
{
	if (strlen(key) > ACT_KEY_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_EVENT_TYPE_KEY),
				 errmsg("bad event type key: it is %zu bytes long",
						strlen(key)),
				 errdetail("A key has at most %d bytes.", ACT_KEY_MAX)));
	if (!act_taxonomy_is_key(key))
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_EVENT_TYPE_KEY),
				 errmsg("bad event type key \"%s\"", key),
				 errhint("A key is category.action, both of lower-case letters, digits and \"_\", such as report.exported.")));
	if (strncmp(key, ACT_UNKNOWN_CATEGORY ".",
				strlen(ACT_UNKNOWN_CATEGORY) + 1) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_EVENT_TYPE_KEY),
				 errmsg("bad event type key \"%s\"", key),
				 errdetail("The category \"%s\" is reserved.",
						   ACT_UNKNOWN_CATEGORY)));
}

static void
refuse_built_in(const char *key)
{
	const ActEventType *type = act_taxonomy_find(key, strlen(key));

	if (type != NULL && type->built_in)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_EVENT_TYPE_KEY),
				 errmsg("event type \"%s\" is built in and can't be redefined",
						key),
				 errhint("Define a type with another key, or give activity.record() a description.")));
}

/* Throws if another definition has the key's code. */
static void
refuse_shared_code(const char *key)
{
	const ActEventType *type = act_taxonomy_get(act_taxonomy_code(key));

	if (type != NULL && strcmp(type->key, key) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_EVENT_TYPE_KEY),
				 errmsg("event type \"%s\" would have the same code as \"%s\"",
						key, type->key),
				 errdetail("The code of a type is a hash of its key."),
				 errhint("Choose another key.")));
}

/* Sets the required fields; throws for what no subject could have. */
static void
check_required(ActEventType *type, ArrayType *required)
{
	Datum	   *fields;
	bool	   *nulls;
	const char **names;
	int			i;
	int			j;

	deconstruct_array(required, TEXTOID, -1, false, TYPALIGN_INT,
					  &fields, &nulls, &type->nrequired);
	if (ARR_NDIM(required) > 1 || type->nrequired > REQUIRED_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("required must be a list of at most %d fields",
						REQUIRED_MAX)));
	names = palloc((type->nrequired + 1) * sizeof(char *));
	for (i = 0; i < type->nrequired; i++)
	{
		names[i] = nulls[i] ? "" : TextDatumGetCString(fields[i]);
		if (!act_template_is_name(names[i], strlen(names[i])))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("required has \"%s\", which is not the name of a field",
							names[i]),
					 errhint("Names consist of letters, digits, \"_\" and \"-\".")));
		for (j = 0; j < i; j++)
		{
			if (strcmp(names[i], names[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("required has the field \"%s\" twice",
								names[i])));
		}
	}
	type->required = names;
}

/* An argument that may be null, as a string; throws if empty or too long. */
static char *
optional_text(FunctionCallInfo fcinfo, int argument, const char *name,
			  int most)
{
	char	   *value;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (*value == '\0' || strlen(value) > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d bytes", name, most),
				 errhint("Leave it out, or say null, if there is none.")));
	return value;
}

/* The family of the built-in types of the key's category, or NULL. */
static const char *
family_of_category(const char *key)
{
	int			len = strcspn(key, ".");
	int			count = act_taxonomy_count();
	int			i;

	for (i = 0; i < count; i++)
	{
		const ActEventType *type = act_taxonomy_nth(i);

		if (type->built_in && strncmp(type->category, key, len) == 0 &&
			type->category[len] == '\0')
			return type->family;
	}
	return NULL;
}

/* Whether two definitions of one key say the same. */
static bool
is_same(const ActEventType *a, const ActEventType *b)
{
	int			i;

	if (!is_same_text(a->template_source, b->template_source) ||
		!is_same_text(a->family, b->family) ||
		!is_same_text(a->subject_kind, b->subject_kind) ||
		!is_same_text(a->meaning, b->meaning) ||
		a->nrequired != b->nrequired)
		return false;
	for (i = 0; i < a->nrequired; i++)
	{
		if (strcmp(a->required[i], b->required[i]) != 0)
			return false;
	}
	return true;
}

static bool
is_same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* Writes the definition; the code that it has or gets. */
static int32
store(const ActEventType *type)
{
	static const char *const revise =
		"UPDATE _activity.event_type_definition"
		" SET family = $2, subject_kind = $3, required = $4, template = $5,"
		" meaning = $6 WHERE key OPERATOR(pg_catalog.=) $1 RETURNING code";
	static const char *const add =
		"INSERT INTO _activity.event_type_definition"
		" (code, key, family, subject_kind, required, template, meaning)"
		" VALUES ($7, $1, $2, $3, $4, $5, $6) RETURNING code";
	Oid			types[7] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID,
	TEXTOID, INT4OID};
	const char *texts[6] = {type->key, type->family, type->subject_kind, NULL,
	type->template_source, type->meaning};
	Datum		values[7];
	char		nulls[8] = "       ";
	Datum		code;
	bool		is_null;
	int			i;

	for (i = 0; i < 6; i++)
	{
		if (i == 3)
			values[i] = required_datum(type);
		else if (texts[i] != NULL)
			values[i] = CStringGetTextDatum(texts[i]);
		else
			nulls[i] = 'n';
	}

	values[6] = Int32GetDatum(act_taxonomy_code(type->key));

	LockRelationOid(get_relname_relid("event_type_definition",
									  get_namespace_oid("_activity", false)),
					ShareRowExclusiveLock);
	act_planted_check_table("event_type_definition");
	refuse_shared_code(type->key);

	SPI_connect();
	if (SPI_execute_with_args(revise, 6, types, values, nulls, false, 0) !=
		SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not revise event type \"%s\"", type->key);
	if (SPI_processed == 0 &&
		SPI_execute_with_args(add, 7, types, values, nulls, false, 0) !=
		SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not add event type \"%s\"", type->key);
	code = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						 &is_null);
	SPI_finish();
	return DatumGetInt32(code);
}

static Datum
required_datum(const ActEventType *type)
{
	Datum		fields[REQUIRED_MAX];
	int			i;

	for (i = 0; i < type->nrequired; i++)
		fields[i] = CStringGetTextDatum(type->required[i]);
	return PointerGetDatum(construct_array(fields, type->nrequired, TEXTOID,
										   -1, false, TYPALIGN_INT));
}

void
act_event_type_define_init(void)
{
	act_planted_own(act_forget_event_types);
}
