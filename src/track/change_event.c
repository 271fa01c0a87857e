/*
 * track/change_event.c
 *		The event that a rule makes of a change: its organization, subject and
 *		metadata.
 *
 * A value that is null is left out.  If the event type requires it, the event
 * says "none" instead of failing, because the fact did happen and the writer is
 * not to blame; it is counted as a gap.
 */
#include "activity.h"

#include "track/change_event.h"
#include "track/gap.h"
#include "record/record.h"
#include "taxonomy/taxonomy.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

static Jsonb *build(const ActPlanField *fields, int nfields,
					const char *kind, const ActPlanRule *rule,
					const ActRow *old, const ActRow *new, bool *whole);
static void push_piece(JsonbParseState **state, JsonbIteratorToken token,
					  const char *text);
static bool field_json(const ActPlanField *field, const ActRow *old,
					   const ActRow *new, JsonbValue *json);
static bool number_json(const ActPlanField *field, const ActRow *old,
						const ActRow *new, JsonbValue *json);
static Numeric number(const ActRow *row, int column);
static void say_none(const ActPlanField *field, const ActPlanRule *rule,
					 const ActPlan *plan, JsonbValue *json);

void
act_change_event_record(const ActPlanRule *rule, const ActRow *old,
						const ActRow *new)
{
	const ActRow *row = new ? new : old;
	ActPlan    *plan = row->plan;
	ActHappening happening = {0};
	pg_uuid_t	id;
	bool		whole = true;

	happening.organization = act_tracked_organization(row,
													  &happening.organization_len);
	if (happening.organization == NULL)
	{
		int			len;

		act_gap_note(plan, plan->organization < 0 ?
					 "the column that names the organization is gone" :
					 act_tracked_text(row, plan->organization, &len) == NULL ?
					 "a row names no organization" :
					 "a row's organization is no id of 1 to 255 bytes",
					 "Only changes of rows with an organization are recorded.");
		return;
	}
	happening.type = rule->type;
	happening.subject = build(rule->subject, rule->nsubject,
							  rule->subject_kind, rule, old, new, &whole);
	if (rule->nmetadata > 0)
		happening.metadata = build(rule->metadata, rule->nmetadata, NULL, rule,
								   old, new, &whole);
	if (happening.metadata && JB_ROOT_COUNT(happening.metadata) == 0)
		happening.metadata = NULL;
	happening.occurred_at = DT_NOBEGIN;
	happening.cut = true;
	if (!act_record(&happening, &id) || !whole)
		act_gap_note(plan, "a change is larger than activity.max_event_size",
					 "It was recorded without what is too large.");
}

/*
 * The kind is written here, which spares act_record() a second pass.  A text that
 * is larger than an event may be is left out here, since jsonb takes none of more
 * than 256 MB; then *whole is false.
 */
static Jsonb *
build(const ActPlanField *fields, int nfields, const char *kind,
	  const ActPlanRule *rule, const ActRow *old, const ActRow *new, bool *whole)
{
	static const char too_large[] = "too large";
	JsonbParseState *state = NULL;
	JsonbValue *object;
	int			i;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (kind)
	{
		push_piece(&state, WJB_KEY, "kind");
		push_piece(&state, WJB_VALUE, kind);
	}
	for (i = 0; i < nfields; i++)
	{
		JsonbValue	value;

		if (!field_json(&fields[i], old, new, &value))
		{
			if (!fields[i].required)
				continue;
			say_none(&fields[i], rule, (new ? new : old)->plan, &value);
		}
		push_piece(&state, WJB_KEY, fields[i].field->name);
		if (unlikely(value.type == jbvString &&
					 value.val.string.len > act_setting_max_event_size))
		{
			value.val.string.val = (char *) too_large;
			value.val.string.len = strlen(too_large);
			*whole = false;
		}
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object);
}

static void
push_piece(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) text;
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

/* False when there is nothing to say. */
static bool
field_json(const ActPlanField *field, const ActRow *old, const ActRow *new,
		   JsonbValue *json)
{
	const ActRow *row = new ? new : old;
	int			i;

	switch (field->field->kind)
	{
		case ACT_FIELD_VALUE:
			if (JB_ROOT_IS_SCALAR(field->field->value))
				return JsonbExtractScalar(&field->field->value->root, json) &&
					json->type != jbvNull;
			json->type = jbvBinary;
			json->val.binary.data = &field->field->value->root;
			json->val.binary.len = VARSIZE(field->field->value) - VARHDRSZ;
			return true;
		case ACT_FIELD_ABS:
		case ACT_FIELD_DIFFERENCE:
			return field->nsources > 0 && number_json(field, old, new, json);
		case ACT_FIELD_OLD:
			return old && new && field->nsources > 0 &&
				!act_tracked_same(old, new, field->sources[0]) &&
				act_tracked_json(old, field->sources[0], json);
		default:
			break;
	}
	for (i = 0; i < field->nsources; i++)
	{
		int			column = field->sources[i];

		/* Ids are text everywhere, whatever the column's type. */
		if (strcmp(field->field->name, "id") == 0)
		{
			json->type = jbvString;
			json->val.string.val = act_tracked_text(row, column,
												   &json->val.string.len);
			if (json->val.string.val)
				return true;
		}
		else if (act_tracked_json(row, column, json))
			return true;
	}
	return false;
}

static bool
number_json(const ActPlanField *field, const ActRow *old, const ActRow *new,
			JsonbValue *json)
{
	int			column = field->sources[0];
	Numeric		value = number(new ? new : old, column);

	if (value == NULL)
		return false;
	if (field->field->kind == ACT_FIELD_DIFFERENCE && old && new)
	{
		Numeric		before = number(old, column);

		if (before)
			value = DatumGetNumeric(DirectFunctionCall2(numeric_sub,
														NumericGetDatum(value),
														NumericGetDatum(before)));
	}
	json->type = jbvNumeric;
	json->val.numeric = DatumGetNumeric(DirectFunctionCall1(numeric_abs,
															NumericGetDatum(value)));
	return true;
}

static Numeric
number(const ActRow *row, int column)
{
	JsonbValue	json;

	if (!act_tracked_json(row, column, &json) || json.type != jbvNumeric)
		return NULL;
	return json.val.numeric;
}

static void
say_none(const ActPlanField *field, const ActPlanRule *rule,
		 const ActPlan *plan, JsonbValue *json)
{
	act_gap_note(plan, psprintf("\"%s\" requires \"%s\", which is null",
								act_taxonomy_require_code(rule->type)->key,
								field->field->name),
				 "The event was recorded with \"none\" in its place.");
	json->type = jbvString;
	json->val.string.val = "none";
	json->val.string.len = 4;
}
