/*
 * upkeep/personal.c
 *		Does a person stand in a personal field of a JSON document?
 *
 * In a field by its name, at any depth: whatever is inside of a personal field is
 * of the person, an array's elements and an object's members.  An iterator is used
 * that keeps its state in the heap, so that a document's depth costs no stack.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(act_names_person);

/* The fields around the value that is looked at, from outside in. */
typedef struct Fields
{
	JsonbValue *field;			/* type jbvNull: of an array, without a name */
	int			depth;
	int			size;
} Fields;

static void enter(Fields *around);
static bool is_person(const JsonbValue *value, const text *person);
static bool is_personal(const Fields *around, ArrayType *names);
static bool is_same_name(const char *a, int a_length, const char *b, int b_length);

/* _activity.names_person(document, person, fields) */
PGDLLEXPORT Datum
act_names_person(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	text	   *person = PG_GETARG_TEXT_PP(1);
	ArrayType  *names = PG_GETARG_ARRAYTYPE_P(2);
	Fields		around = {0};
	JsonbIterator *iterator = JsonbIteratorInit(&document->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				enter(&around);
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				around.depth--;
				break;
			case WJB_KEY:
				around.field[around.depth - 1] = value;
				break;
			default:
				if (is_person(&value, person) && is_personal(&around, names))
					PG_RETURN_BOOL(true);
		}
	PG_RETURN_BOOL(false);
}

static void
enter(Fields *around)
{
	if (around->depth == around->size)
	{
		around->size = Max(2 * around->size, 16);
		around->field = around->field == NULL ?
			palloc(around->size * sizeof(JsonbValue)) :
			repalloc(around->field, around->size * sizeof(JsonbValue));
	}
	around->field[around->depth++].type = jbvNull;
}

/* By its text, as the operator ->> has it. */
static bool
is_person(const JsonbValue *value, const text *person)
{
	const char *name = VARDATA_ANY(person);
	int			length = VARSIZE_ANY_EXHDR(person);

	if (value->type == jbvString)
		return value->val.string.len == length &&
			memcmp(value->val.string.val, name, length) == 0;
	if (value->type == jbvNumeric && length > 0 &&
		(name[0] == '-' || (name[0] >= '0' && name[0] <= '9')))
	{
		char	   *number =
			DatumGetCString(DirectFunctionCall1(numeric_out,
												NumericGetDatum(value->val.numeric)));
		bool		is_same = strlen(number) == length && memcmp(number, name, length) == 0;

		pfree(number);
		return is_same;
	}
	return false;
}

static bool
is_personal(const Fields *around, ArrayType *names)
{
	Datum	   *name;
	bool	   *is_null;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &name, &is_null, &count);
	for (int i = 0; i < count; i++)
		for (int j = 0; !is_null[i] && j < around->depth; j++)
			if (around->field[j].type == jbvString &&
				is_same_name(around->field[j].val.string.val, around->field[j].val.string.len,
							 VARDATA_ANY(DatumGetPointer(name[i])),
							 VARSIZE_ANY_EXHDR(DatumGetPointer(name[i]))))
				return true;
	return false;
}

/* user_id is userId is User-ID. */
static bool
is_same_name(const char *a, int a_length, const char *b, int b_length)
{
	int			i = 0;
	int			j = 0;

	for (;;)
	{
		while (i < a_length && (a[i] == '_' || a[i] == '-'))
			i++;
		while (j < b_length && (b[j] == '_' || b[j] == '-'))
			j++;
		if (i == a_length || j == b_length)
			return i == a_length && j == b_length;
		if (pg_ascii_tolower(a[i]) != pg_ascii_tolower(b[j]))
			return false;
		i++;
		j++;
	}
}
