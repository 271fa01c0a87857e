/*
 * base/value.c
 *		Column values of any type as text, as JSON, as numbers.
 *
 * to_jsonb() would do for all, at several times the cost; it is left for what
 * has parts.  What JSON can't say as a number (NaN) becomes a text, as there.
 */
#include "activity.h"

#include "base/json.h"
#include "base/value.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

static ActValueKind kind_of(Oid type);
static void learn_to_jsonb(ActValueType *type, MemoryContext context);

void
act_value_learn(ActValueType *type, Oid column_type, MemoryContext context)
{
	type->type = getBaseType(column_type);
	type->kind = kind_of(type->type);
	type->compare = NULL;
	get_typlenbyval(type->type, &type->len, &type->byval);
	if (type->kind == ACT_VALUE_STRUCTURE)
		learn_to_jsonb(type, context);
	else
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(type->type, &output, &varlena);
		fmgr_info_cxt(output, &type->function, context);
	}
	if (type->kind == ACT_VALUE_INT2 || type->kind == ACT_VALUE_INT4 ||
		type->kind == ACT_VALUE_INT8 || type->kind == ACT_VALUE_FLOAT4 ||
		type->kind == ACT_VALUE_FLOAT8 || type->kind == ACT_VALUE_NUMERIC ||
		type_is_enum(type->type))
	{
		TypeCacheEntry *cached = lookup_type_cache(type->type,
												   TYPECACHE_CMP_PROC);

		if (OidIsValid(cached->cmp_proc))
		{
			type->compare = MemoryContextAllocZero(context, sizeof(FmgrInfo));
			fmgr_info_cxt(cached->cmp_proc, type->compare, context);
		}
	}
}

char *
act_value_text(ActValueType *type, Datum value, int *len)
{
	char	   *text;

	switch (type->kind)
	{
		case ACT_VALUE_TEXT:
		case ACT_VALUE_PADDED_TEXT:
			{
				struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);

				text = VARDATA_ANY(packed);
				*len = VARSIZE_ANY_EXHDR(packed);
				if (type->kind == ACT_VALUE_PADDED_TEXT)
					while (*len > 0 && text[*len - 1] == ' ')
						(*len)--;
				return text;
			}
		case ACT_VALUE_BOOL:
			text = DatumGetBool(value) ? "true" : "false";
			break;
		case ACT_VALUE_JSONB:
		case ACT_VALUE_STRUCTURE:
			{
				JsonbValue	json;
				Jsonb	   *jsonb;

				act_value_json(type, value, &json);
				jsonb = JsonbValueToJsonb(&json);
				text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
				break;
			}
		case ACT_VALUE_TIME:
			text = JsonEncodeDateTime(NULL, value, type->type, NULL);
			break;
		default:
			text = OutputFunctionCall(&type->function, value);
	}
	*len = strlen(text);
	return text;
}

void
act_value_json(ActValueType *type, Datum value, JsonbValue *json)
{
	switch (type->kind)
	{
		case ACT_VALUE_BOOL:
			json->type = jbvBool;
			json->val.boolean = DatumGetBool(value);
			return;
		case ACT_VALUE_INT2:
		case ACT_VALUE_INT4:
		case ACT_VALUE_INT8:
		case ACT_VALUE_FLOAT4:
		case ACT_VALUE_FLOAT8:
		case ACT_VALUE_NUMERIC:
			json->val.numeric = act_value_number(type, value);
			json->type = jbvNumeric;
			if (json->val.numeric)
				return;
			break;
		case ACT_VALUE_JSONB:
		case ACT_VALUE_STRUCTURE:
			{
				Jsonb	   *jsonb;

				if (type->type == JSONOID)
				{
					/* json takes what jsonb doesn't; then the text is the value. */
					char	   *written = TextDatumGetCString(value);

					jsonb = act_json_read(written);
					if (jsonb == NULL)
					{
						json->type = jbvString;
						json->val.string.val = written;
						json->val.string.len = strlen(written);
						return;
					}
					value = JsonbPGetDatum(jsonb);
				}
				else if (type->kind == ACT_VALUE_STRUCTURE)
					value = FunctionCall1(&type->function, value);
				jsonb = DatumGetJsonbP(value);
				if (JB_ROOT_IS_SCALAR(jsonb))
					(void) JsonbExtractScalar(&jsonb->root, json);
				else
				{
					json->type = jbvBinary;
					json->val.binary.data = &jsonb->root;
					json->val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
				}
				return;
			}
		default:
			break;
	}
	json->type = jbvString;
	json->val.string.val = act_value_text(type, value, &json->val.string.len);
}

Numeric
act_value_number(ActValueType *type, Datum value)
{
	Numeric		number;

	switch (type->kind)
	{
		case ACT_VALUE_INT2:
			return int64_to_numeric(DatumGetInt16(value));
		case ACT_VALUE_INT4:
			return int64_to_numeric(DatumGetInt32(value));
		case ACT_VALUE_INT8:
			return int64_to_numeric(DatumGetInt64(value));
		case ACT_VALUE_FLOAT4:
			number = DatumGetNumeric(DirectFunctionCall1(float4_numeric, value));
			break;
		case ACT_VALUE_FLOAT8:
			number = DatumGetNumeric(DirectFunctionCall1(float8_numeric, value));
			break;
		case ACT_VALUE_NUMERIC:
			number = DatumGetNumeric(value);
			break;
		default:
			return NULL;
	}
	return numeric_is_nan(number) || numeric_is_inf(number) ? NULL : number;
}

static ActValueKind
kind_of(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return ACT_VALUE_TEXT;
		case BPCHAROID:
			return ACT_VALUE_PADDED_TEXT;
		case BOOLOID:
			return ACT_VALUE_BOOL;
		case INT2OID:
			return ACT_VALUE_INT2;
		case INT4OID:
			return ACT_VALUE_INT4;
		case INT8OID:
			return ACT_VALUE_INT8;
		case FLOAT4OID:
			return ACT_VALUE_FLOAT4;
		case FLOAT8OID:
			return ACT_VALUE_FLOAT8;
		case NUMERICOID:
			return ACT_VALUE_NUMERIC;
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return ACT_VALUE_TIME;
		case JSONBOID:
			return ACT_VALUE_JSONB;
		case JSONOID:
			return ACT_VALUE_STRUCTURE;
		default:
			if (OidIsValid(get_element_type(type)) || type_is_rowtype(type))
				return ACT_VALUE_STRUCTURE;
			return ACT_VALUE_OTHER;
	}
}

/* to_jsonb() asks the call's expression for the type of its argument. */
static void
learn_to_jsonb(ActValueType *type, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Const	   *argument = makeNullConst(type->type, -1, InvalidOid);

	fmgr_info_cxt(F_TO_JSONB, &type->function, context);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID,
											 list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &type->function);
	MemoryContextSwitchTo(old);
}
