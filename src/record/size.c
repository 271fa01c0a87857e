/*
 * record/size.c
 *		How large an event may be, and what is left of one that is larger.
 *
 * Whoever digests, publishes, reads or sends an event later does so for many
 * organizations at once, so the one place where an event can be refused is where
 * it is recorded.  A writer of a tracked table asked for no event, and must not
 * fail for one: that event is cut instead.
 */
#include "activity.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "record/size.h"

/*
 * Stored bytes up to which the text of an event can be no danger: the worst that
 * a jsonb value can do is to print 128 kB for 16 bytes.
 */
#define SMALL 2048

/* Members are cut when they are larger than this part of the limit, then half
 * of that, and so on. */
#define FIRST_PART 4

#define TOO_LARGE "too large"

StaticAssertDecl(SMALL <= ACT_SIZE_LEAST, "small events fit");

static Size stored_size(const ActEvent *event);
static Size printed_size(const Jsonb *json, Size enough);
static Size string_size(const char *bytes, int len);
static Jsonb *without_large(Jsonb *json, Size most);
static bool is_larger(JsonbValue *value, Size most);
static text *beginning(text *value, Size most);

bool
act_size_fits(const ActEvent *event)
{
	Size		limit = act_setting_max_event_size;
	Size		size = stored_size(event);
	const Jsonb *parts[] = {event->subject, event->metadata, event->context,
	event->on_behalf_of};

	if (likely(size <= SMALL))
		return true;
	if (size > limit)
		return false;
	size = event->description == NULL ? 0 :
		VARSIZE_ANY_EXHDR(event->description);
	for (int i = 0; i < lengthof(parts) && size <= limit; i++)
		if (parts[i] != NULL)
			size += printed_size(parts[i], limit - size);
	return size <= limit;
}

void
act_size_complain(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the event is too large"),
			 errdetail("Subject, metadata, context and description may have %d kB together.",
					   act_setting_max_event_size / 1024),
			 errhint("Record where the data is rather than the data, or raise activity.max_event_size.")));
}

void
act_size_cut(ActEvent *event)
{
	Size		most = act_setting_max_event_size / FIRST_PART;

	while (!act_size_fits(event))
	{
		event->subject = without_large(event->subject, most);
		if (event->metadata != NULL)
			event->metadata = without_large(event->metadata, most);
		event->context = without_large(event->context, most);
		if (event->on_behalf_of != NULL)
			event->on_behalf_of = without_large(event->on_behalf_of, most);
		event->description = beginning(event->description, most);
		event->actor_kind = beginning(event->actor_kind, most);
		event->actor_id = beginning(event->actor_id, most);
		event->actor_name = beginning(event->actor_name, most);
		if (most == 0)
			break;
		most /= 2;
	}
	Assert(act_size_fits(event));
}

static Size
stored_size(const ActEvent *event)
{
	Size		size = VARSIZE_ANY(event->subject) + VARSIZE_ANY(event->context);

#define ADD(field) \
	if (event->field != NULL) \
		size += VARSIZE_ANY(event->field)
	ADD(metadata);
	ADD(description);
	ADD(on_behalf_of);
	ADD(actor_kind);
	ADD(actor_id);
	ADD(actor_name);
#undef ADD
	return size;
}

/* The length of its text, about; as soon as that is more than enough, no more
 * is counted. */
static Size
printed_size(const Jsonb *json, Size enough)
{
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &json->root));
	JsonbIteratorToken token;
	JsonbValue	value;
	Size		size = 0;

	while (size <= enough &&
		   (token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		size += 2;				/* brackets, colon, comma */
		if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM)
			continue;
		if (value.type == jbvString)
			size += string_size(value.val.string.val, value.val.string.len);
		else if (value.type == jbvNumeric)
		{
			char	   *number = DatumGetCString(DirectFunctionCall1(numeric_out,
																	 NumericGetDatum(value.val.numeric)));

			size += strlen(number);
			pfree(number);
		}
		else
			size += 4;
	}
	return size;
}

static Size
string_size(const char *bytes, int len)
{
	Size		size = len;

	for (int i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) bytes[i];

		if (unlikely(c < ' '))
			size += 5;
		else if (unlikely(c == '"' || c == '\\'))
			size++;
	}
	return size;
}

/*
 * The object with a word in place of each member of more than so many bytes; at
 * 0 with no member at all.
 */
static Jsonb *
without_large(Jsonb *json, Size most)
{
	JsonbParseState *state = NULL;
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	Assert(JB_ROOT_IS_OBJECT(json));
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	(void) JsonbIteratorNext(&it, &value, true);	/* the object begins */
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_END_OBJECT &&
		   most > 0)
	{
		if (token == WJB_KEY && value.val.string.len > most)
		{
			(void) JsonbIteratorNext(&it, &value, true);	/* its value */
			continue;
		}
		if (token == WJB_VALUE && is_larger(&value, most))
		{
			value.type = jbvString;
			value.val.string.val = TOO_LARGE;
			value.val.string.len = strlen(TOO_LARGE);
		}
		pushJsonbValue(&state, token, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static bool
is_larger(JsonbValue *value, Size most)
{
	if (value->type == jbvString)
		return string_size(value->val.string.val, value->val.string.len) >
			Max(most, strlen(TOO_LARGE));
	return printed_size(JsonbValueToJsonb(value), most) > most;
}

static text *
beginning(text *value, Size most)
{
	if (value == NULL || VARSIZE_ANY_EXHDR(value) <= most)
		return value;
	return cstring_to_text_with_len(VARDATA_ANY(value),
									pg_mbcliplen(VARDATA_ANY(value),
												 VARSIZE_ANY_EXHDR(value), most));
}
