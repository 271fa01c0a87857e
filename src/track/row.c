/*
 * track/row.c
 *		A tracked table's row, as a plan reads it.
 */
#include "activity.h"

#include "event/organization.h"
#include "track/row.h"

#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

/* The first test that passes says it; none: the state is unknown. */
int
act_tracked_state(const ActRow *row, int machine)
{
	const ActPlanMachine *rules = &row->plan->machines[machine];
	int			i;

	for (i = 0; i < rules->ntests; i++)
		if (rules->tests[i].column < 0 ||
			act_tracked_matches(row, rules->tests[i].column, rules->tests[i].is))
			return rules->tests[i].state;
	return ACT_UNKNOWN;
}

char *
act_tracked_text(const ActRow *row, int column, int *len)
{
	ActPlanColumn *source = &row->plan->columns[column];
	StringInfoData joined;
	int			i;

	if (source->nparts == 0)
	{
		*len = source->constant_text ? strlen(source->constant_text) : 0;
		return source->constant_text;
	}
	if (source->nparts == 1)
	{
		bool		isnull;
		Datum		value = act_tracked_value(row, column, 0, &isnull);

		return isnull ? NULL : act_value_text(&source->types[0], value, len);
	}
	initStringInfo(&joined);
	for (i = 0; i < source->nparts; i++)
	{
		bool		isnull;
		Datum		value = act_tracked_value(row, column, i, &isnull);
		int			part_len;

		if (i > 0)
			appendStringInfoChar(&joined, '/');
		if (!isnull)
		{
			char	   *part = act_value_text(&source->types[i], value, &part_len);

			appendBinaryStringInfo(&joined, part, part_len);
		}
	}
	*len = joined.len;
	return joined.data;
}

char *
act_tracked_organization(const ActRow *row, int *len)
{
	char	   *text = row->plan->organization < 0 ? NULL :
		act_tracked_text(row, row->plan->organization, len);

	return text != NULL && *len > 0 && *len <= ACT_ORGANIZATION_MAX ? text : NULL;
}

bool
act_tracked_json(const ActRow *row, int column, JsonbValue *json)
{
	ActPlanColumn *source = &row->plan->columns[column];

	if (source->nparts == 0)
	{
		*json = source->constant;
		return json->type != jbvNull;
	}
	if (source->nparts == 1)
	{
		bool		isnull;
		Datum		value = act_tracked_value(row, column, 0, &isnull);

		if (isnull)
			return false;
		act_value_json(&source->types[0], value, json);
		return json->type != jbvNull;
	}
	json->type = jbvString;
	json->val.string.val = act_tracked_text(row, column, &json->val.string.len);
	return true;
}

bool
act_tracked_matches(const ActRow *row, int column, const ActWords *words)
{
	ListCell   *cell;
	int			len;
	char	   *text;

	if (!words->given)
		return true;
	text = act_tracked_text(row, column, &len);
	if (text == NULL)
		return words->null;
	if (words->any)
		return true;
	foreach(cell, words->words)
		if (act_tracked_is_word(text, len, lfirst(cell)))
			return true;
	if (words->positive || words->negative)
	{
		JsonbValue	json;

		if (act_tracked_json(row, column, &json) && json.type == jbvNumeric)
		{
			int			sign = DatumGetInt32(DirectFunctionCall2(numeric_cmp,
																 NumericGetDatum(json.val.numeric),
																 NumericGetDatum(int64_to_numeric(0))));

			return sign > 0 ? words->positive : sign < 0 && words->negative;
		}
	}
	return false;
}

/* datum_image_eq(), at a third of its cost for what is not toasted. */
static inline bool
is_same_value(Datum old, Datum new, bool byval, int16 len)
{
	if (byval)
		return old == new;
	if (len == -1)
	{
		struct varlena *a = (struct varlena *) DatumGetPointer(old);
		struct varlena *b = (struct varlena *) DatumGetPointer(new);

		if (VARATT_IS_SHORT(a) && VARATT_IS_SHORT(b))
			return VARSIZE_SHORT(a) == VARSIZE_SHORT(b) &&
				memcmp(a, b, VARSIZE_SHORT(a)) == 0;
	}
	return datum_image_eq(old, new, byval, len);
}

/* By their bytes: 1.0 is not 1.00, and that is worth no more thought. */
bool
act_tracked_same(const ActRow *old, const ActRow *new, int column)
{
	ActPlanColumn *source = &new->plan->columns[column];
	int			i;

	for (i = 0; i < source->nparts; i++)
	{
		bool		old_null;
		bool		new_null;
		Datum		old_value = act_tracked_value(old, column, i, &old_null);
		Datum		new_value = act_tracked_value(new, column, i, &new_null);

		if (old_null != new_null)
			return false;
		if (!old_null &&
			!is_same_value(old_value, new_value, source->types[i].byval,
						   source->types[i].len))
			return false;
	}
	return true;
}

/* Whether no column differs that "*" means; partitions by column name. */
bool
act_tracked_same_row(const ActRow *old, const ActRow *new)
{
	TupleDesc	desc = new->slot->tts_tupleDescriptor;
	TupleDesc	old_desc = old->slot->tts_tupleDescriptor;
	int			i;

	for (i = 0; i < new->plan->nall; i++)
	{
		AttrNumber	number = new->plan->all[i];
		AttrNumber	old_number = number;
		Form_pg_attribute attribute = TupleDescAttr(desc, number - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value;
		Datum		new_value;

		if (old->plan != new->plan)
			old_number = get_attnum(old->plan->pooled.relid,
									NameStr(attribute->attname));
		if (old_number <= 0 || old_number > old_desc->natts)
			continue;
		if (TupleDescAttr(old_desc, old_number - 1)->atttypid !=
			attribute->atttypid)
			return false;
		old_value = slot_getattr(old->slot, old_number, &old_null);
		new_value = slot_getattr(new->slot, number, &new_null);
		if (old_null != new_null ||
			(!old_null && !is_same_value(old_value, new_value,
										 attribute->attbyval,
										 attribute->attlen)))
			return false;
	}
	return true;
}

Datum
act_tracked_value(const ActRow *row, int column, int part, bool *isnull)
{
	AttrNumber	number = row->plan->columns[column].parts[part];

	if (number == InvalidAttrNumber)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return slot_getattr(row->slot, number, isnull);
}

/* Whether the text, folded as act_tracking_fold does, is the word. */
bool
act_tracked_is_word(const char *text, int len, const char *word)
{
	int			i;

	while (len > 0 && text[len - 1] == ' ')
		len--;
	while (len > 0 && *text == ' ')
		text++, len--;
	for (i = 0; i < len; i++)
	{
		unsigned char c = text[i];

		c = c == '-' || c == ' ' ? '_' : pg_ascii_tolower(c);
		if (word[i] == '\0' || c != (unsigned char) word[i])
			return false;
	}
	return word[len] == '\0';
}
