/*
 * numbers/measure.c
 *		What the amounts of events mean.
 *
 * An event is measured by the version of a measure that was in force when the event
 * was recorded.  So the publisher, who folds it once, and whoever reads it again
 * later come to the same amount, however often the measure was revised meanwhile.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/cache.h"
#include "base/columns.h"
#include "base/own_row.h"
#include "base/own_table_guard.h"
#include "numbers/measure.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_measure_changed);
PG_FUNCTION_INFO_V1(act_measure_amounts);

extern PGDLLEXPORT Datum act_measure_changed(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_measure_amounts(PG_FUNCTION_ARGS);

/* Bytes of a resource or a unit; what is longer is cut. */
#define WORD_MAX 255

/*
 * Characters of a text that may be a number, and digits that a number may have before
 * its point: so many events as there may be never overflow a sum.
 */
#define NUMBER_MAX 1000

typedef struct Measure
{
	int32		number;
	const char *name;
	const char *amount;			/* fields, the first that is there: a|b */
	const char *unit;			/* the same; the last one is the unit itself */
	const char *resource;		/* the same as amount, or NULL */
	int32		direction;		/* 1 or -1 */
	TimestampTz valid_from;
	struct Measure *next;		/* of the type, by name, the newest first */
} Measure;

typedef struct OfType
{
	int32		type;			/* hash key */
	Measure    *first;
} OfType;

/* Where a field was found. */
typedef struct Field
{
	const char *name;
	int			len;
	bool		is_last;		/* of the alternatives */
	bool		is_found;
	JsonbValue	value;
} Field;

static void *read_measures(ActSet *set);

static ActSet measure_set = {
	.name = "measures",
	.fill = read_measures
};

static void add_measure(HTAB *types, HeapTuple row, TupleDesc desc);
static void evaluate(const Measure *measure, Jsonb *subject, Jsonb *metadata,
					 ActAmount *amount);
static bool find(const char *fields, Jsonb *subject, Jsonb *metadata,
				 Field *field);
static bool look_up(Field *field, Jsonb *subject, Jsonb *metadata);
static text *word_of(const JsonbValue *value);
static text *name_of(const Field *field, Jsonb *subject, Jsonb *metadata);
static Numeric number_of(const JsonbValue *value);
static bool is_too_large(Numeric number);
static bool is_number(const char *string, int len);

bool
act_measure_has(int32 type)
{
	return hash_search(act_set_get(&measure_set), &type, HASH_FIND, NULL) != NULL;
}

int
act_measure_event(int32 type, TimestampTz recorded_at, Jsonb *subject,
				  Jsonb *metadata, ActAmount amounts[ACT_MEASURES_MAX])
{
	HTAB	   *types = act_set_pin(&measure_set);
	OfType	   *its = hash_search(types, &type, HASH_FIND, NULL);
	const char *done = NULL;
	int			count = 0;

	for (Measure *measure = its != NULL ? its->first : NULL;
		 measure != NULL && count < ACT_MEASURES_MAX;
		 measure = measure->next)
	{
		if (measure->valid_from > recorded_at ||
			(done != NULL && strcmp(done, measure->name) == 0))
			continue;
		done = measure->name;
		evaluate(measure, subject, metadata, &amounts[count++]);
	}
	act_set_unpin(&measure_set, types);
	return count;
}

static void *
read_measures(ActSet *set)
{
	Oid			namespace = get_namespace_oid("_activity", false);
	HASHCTL		info = {0};
	HTAB	   *types;
	ActRowScan	scan;
	HeapTuple	row;

	act_set_depends(set, get_relname_relid("measure", namespace));
	act_set_depends(set, get_relname_relid("event_type_definition", namespace));
	info.keysize = sizeof(int32);
	info.entrysize = sizeof(OfType);
	info.hcxt = CurrentMemoryContext;
	types = hash_create("activity measures", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	act_row_begin(&scan, act_row_open("measure", AccessShareLock),
				  "measure_pkey", 0, NULL);
	while ((row = act_row_next(&scan)) != NULL)
		add_measure(types, row, RelationGetDescr(scan.rel));
	act_row_end(&scan);
	return types;
}

static void
add_measure(HTAB *types, HeapTuple row, TupleDesc desc)
{
	Datum		values[ACT_MEASURE_COLUMNS];
	bool		nulls[ACT_MEASURE_COLUMNS];
	Measure    *measure = palloc0(sizeof(Measure));
	char	   *key;
	const ActEventType *type;
	int32		code;
	bool		found;
	OfType	   *its;
	Measure   **place;

	for (int i = 0; i < ACT_MEASURE_COLUMNS; i++)
		values[i] = heap_getattr(row, i + 1, desc, &nulls[i]);
	key = TextDatumGetCString(values[ACT_MEASURE_EVENT_TYPE - 1]);
	type = act_taxonomy_find(key, strlen(key));
	if (type == NULL)
		return;
	code = type->code;
	measure->number = DatumGetInt32(values[ACT_MEASURE_NUMBER - 1]);
	measure->name = TextDatumGetCString(values[ACT_MEASURE_NAME - 1]);
	measure->amount = TextDatumGetCString(values[ACT_MEASURE_AMOUNT - 1]);
	measure->unit = TextDatumGetCString(values[ACT_MEASURE_UNIT - 1]);
	if (!nulls[ACT_MEASURE_RESOURCE - 1])
		measure->resource = TextDatumGetCString(values[ACT_MEASURE_RESOURCE - 1]);
	measure->direction = DatumGetInt32(values[ACT_MEASURE_DIRECTION - 1]);
	measure->valid_from = DatumGetTimestampTz(values[ACT_MEASURE_VALID_FROM - 1]);

	its = hash_search(types, &code, HASH_ENTER, &found);
	if (!found)
		its->first = NULL;
	for (place = &its->first; *place != NULL; place = &(*place)->next)
	{
		int			order = strcmp((*place)->name, measure->name);

		if (order > 0 || (order == 0 &&
						  ((*place)->valid_from < measure->valid_from ||
						   ((*place)->valid_from == measure->valid_from &&
							(*place)->number < measure->number))))
			break;
	}
	measure->next = *place;
	*place = measure;
}

static void
evaluate(const Measure *measure, Jsonb *subject, Jsonb *metadata,
		 ActAmount *amount)
{
	Field		field;

	memset(amount, 0, sizeof(ActAmount));
	amount->measure = measure->number;
	if (measure->resource != NULL &&
		find(measure->resource, subject, metadata, &field))
	{
		amount->resource = word_of(&field.value);
		amount->name = name_of(&field, subject, metadata);
	}
	if (find(measure->unit, subject, metadata, &field))
		amount->unit = word_of(&field.value);
	else if (field.len > 0)
		amount->unit = cstring_to_text_with_len(field.name, field.len);
	if (find(measure->amount, subject, metadata, &field))
		amount->amount = number_of(&field.value);
	if (amount->amount != NULL && measure->direction < 0)
		amount->amount =
			DatumGetNumeric(DirectFunctionCall1(numeric_uminus,
												NumericGetDatum(amount->amount)));
}

/*
 * The first of these fields that is there and a scalar; false if none is, with the
 * last of the names.
 */
static bool
find(const char *fields, Jsonb *subject, Jsonb *metadata, Field *field)
{
	const char *at = fields;

	field->is_found = false;
	do
	{
		field->name = at;
		field->len = strcspn(at, "|");
		at += field->len;
		field->is_last = *at == '\0';
		if (field->len > 0 && look_up(field, subject, metadata))
			field->is_found = true;
	} while (!field->is_found && *at++ != '\0');
	return field->is_found;
}

/* name, in metadata or else in subject; kind:name, in a subject of that kind. */
static bool
look_up(Field *field, Jsonb *subject, Jsonb *metadata)
{
	const char *colon = memchr(field->name, ':', field->len);
	const char *name = colon == NULL ? field->name : colon + 1;
	int			len = field->len - (int) (name - field->name);
	Jsonb	   *places[] = {colon == NULL ? metadata : NULL, subject};

	if (colon != NULL && subject != NULL && JB_ROOT_IS_OBJECT(subject))
	{
		JsonbValue	kind;

		if (getKeyJsonValueFromContainer(&subject->root, "kind", 4, &kind) == NULL ||
			kind.type != jbvString || kind.val.string.len != colon - field->name ||
			memcmp(kind.val.string.val, field->name, kind.val.string.len) != 0)
			return false;
	}
	for (int i = 0; i < lengthof(places); i++)
		if (places[i] != NULL && JB_ROOT_IS_OBJECT(places[i]) &&
			getKeyJsonValueFromContainer(&places[i]->root, name, len,
										 &field->value) != NULL &&
			(field->value.type == jbvString ||
			 field->value.type == jbvNumeric ||
			 field->value.type == jbvBool))
			return true;
	return false;
}

static text *
word_of(const JsonbValue *value)
{
	const char *string;
	int			len;

	if (value->type == jbvBool)
		return cstring_to_text(value->val.boolean ? "true" : "false");
	if (value->type == jbvNumeric)
	{
		string = DatumGetCString(DirectFunctionCall1(numeric_out,
													 NumericGetDatum(value->val.numeric)));
		len = strlen(string);
	}
	else
	{
		string = value->val.string.val;
		len = value->val.string.len;
	}
	if (len == 0)
		return NULL;
	return cstring_to_text_with_len(string, pg_mbcliplen(string, len, WORD_MAX));
}

/* Of agent_id it is agent_name, of a subject's own id its name, of others none. */
static text *
name_of(const Field *field, Jsonb *subject, Jsonb *metadata)
{
	static const char id[] = "_id";
	static const char word[] = "_name";
	int			stem = field->len - (int) strlen(id);
	const char *colon = memchr(field->name, ':', field->len);
	const char *suffix = word + 1;
	Field		name = {0};
	char	   *buffer;

	if (colon != NULL)
		stem = (int) (colon + 1 - field->name);
	else if (field->len == 2 && memcmp(field->name, "id", 2) == 0)
		stem = 0;
	else if (stem > 0 && memcmp(field->name + stem, id, strlen(id)) == 0)
		suffix = word;
	else
		return NULL;
	name.len = stem + (int) strlen(suffix);
	name.name = buffer = palloc(name.len);
	memcpy(buffer, field->name, stem);
	memcpy(buffer + stem, suffix, name.len - stem);
	return look_up(&name, subject, metadata) ? word_of(&name.value) : NULL;
}

static Numeric
number_of(const JsonbValue *value)
{
	char	   *string;

	if (value->type == jbvNumeric)
		return is_too_large(value->val.numeric) ? NULL :
			DatumGetNumericCopy(NumericGetDatum(value->val.numeric));
	if (value->type != jbvString ||
		!is_number(value->val.string.val, value->val.string.len))
		return NULL;
	string = pnstrdup(value->val.string.val, value->val.string.len);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(string),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

static bool
is_too_large(Numeric number)
{
	static Numeric limit = NULL;
	Datum		size = DirectFunctionCall1(numeric_abs, NumericGetDatum(number));

	if (limit == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		limit = DatumGetNumeric(DirectFunctionCall3(numeric_in,
													CStringGetDatum("1e" CppAsString2(NUMBER_MAX)),
													ObjectIdGetDatum(InvalidOid),
													Int32GetDatum(-1)));
		MemoryContextSwitchTo(old);
	}
	return DatumGetBool(DirectFunctionCall2(numeric_ge, size, NumericGetDatum(limit)));
}

/* Digits, a point among them perhaps, a sign before them perhaps. */
static bool
is_number(const char *string, int len)
{
	int			digits = 0;
	int			points = 0;

	if (len > NUMBER_MAX)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (string[i] >= '0' && string[i] <= '9')
			digits++;
		else if (string[i] == '.')
			points++;
		else if (i > 0 || (string[i] != '-' && string[i] != '+'))
			return false;
	}
	return digits > 0 && points <= 1;
}

/* measure_event(type, recorded_at, subject, metadata) */
PGDLLEXPORT Datum
act_measure_amounts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActAmount	amounts[ACT_MEASURES_MAX];
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	count = act_measure_event(PG_GETARG_INT32(0), PG_GETARG_TIMESTAMPTZ(1),
							  PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
							  PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3),
							  amounts);
	for (int i = 0; i < count; i++)
	{
		ActAmount  *it = &amounts[i];
		Datum		values[5] = {
			Int32GetDatum(it->measure), PointerGetDatum(it->resource),
			PointerGetDatum(it->name), PointerGetDatum(it->unit),
			PointerGetDatum(it->amount)
		};
		bool		nulls[5] = {
			false, it->resource == NULL, it->name == NULL, it->unit == NULL,
			it->amount == NULL
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Statement trigger on measure: every backend reads it anew. */
PGDLLEXPORT Datum
act_measure_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("measure_changed() is a trigger function")));
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);	/* of no row, which is not SQL's null */
}

void
act_numbers_init(void)
{
	act_planted_own(act_measure_changed);
	act_set_init(&measure_set);
	act_fold_init();
}
