/*
 * base/value.h
 *		Column values of any type as text, as JSON, as numbers; whether two are
 *		the same.
 */
#ifndef ACT_VALUE_H
#define ACT_VALUE_H

#include "postgres.h"
#include "fmgr.h"
#include "utils/jsonb.h"

typedef enum ActValueKind
{
	ACT_VALUE_TEXT,
	ACT_VALUE_PADDED_TEXT,		/* char(n) */
	ACT_VALUE_BOOL,
	ACT_VALUE_INT2,
	ACT_VALUE_INT4,
	ACT_VALUE_INT8,
	ACT_VALUE_FLOAT4,
	ACT_VALUE_FLOAT8,
	ACT_VALUE_NUMERIC,
	ACT_VALUE_TIME,				/* any type of time or date */
	ACT_VALUE_JSONB,
	ACT_VALUE_STRUCTURE,		/* arrays, rows and json: by to_jsonb */
	ACT_VALUE_OTHER				/* its text */
} ActValueKind;

/* How values of one type are read; lives as long as the context given. */
typedef struct ActValueType
{
	Oid			type;			/* below domains */
	ActValueKind kind;
	int16		len;
	bool		byval;
	FmgrInfo	function;		/* output function, or to_jsonb */
	FmgrInfo   *compare;		/* btree's, for numbers and enums; else NULL */
} ActValueType;

extern void act_value_learn(ActValueType *type, Oid column_type,
							MemoryContext context);

/* In the current context; may point into the value. */
extern char *act_value_text(ActValueType *type, Datum value, int *len);
extern void act_value_json(ActValueType *type, Datum value, JsonbValue *json);

/* The number, or NULL for what is none (NaN and infinity included). */
extern Numeric act_value_number(ActValueType *type, Datum value);

#endif
