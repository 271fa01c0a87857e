/*
 * feed/filter.c
 *		What a reader asked for: the arguments of feed(), checked.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/json.h"
#include "feed/entry.h"
#include "event/event.h"
#include "event/id.h"
#include "feed/filter.h"
#include "track/member.h"
#include "event/organization.h"
#include "record/record.h"
#include "taxonomy/taxonomy.h"
#include "track/tier.h"

PG_FUNCTION_INFO_V1(act_type_codes);

static void list_rest(ActValues *types);
static int	compare_codes(const void *a, const void *b);
static void sort_codes(ActValues *values);
static void subtract(ActValues *values, const ActValues *excluded);
static void list_hash(ActValues *values, const text *id);
static void read_subject(ActFeedFilter *filter, text *subject);
static TimestampTz time_of(const pg_uuid_t *id, const char *argument);
static bool subject_matches(const ActFeedFilter *filter, Jsonb *subject);
static bool has_id(Jsonb *object, const text *wanted);
static bool same_text(const text *a, const text *b);
static bool is_text(JsonbValue *value, const char *bytes, int len);
static bool search_matches(const ActFeedFilter *filter, TupleTableSlot *row);

int32
act_feed_filter_admit(FunctionCallInfo fcinfo, int viewer_arg)
{
	char	   *organization;
	int32		key;

	if (PG_ARGISNULL(ACT_FEED_ARG_ORGANIZATION))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));

	/* Events of this very command may wait to be written together. */
	act_record_flush();

	organization = text_to_cstring(PG_GETARG_TEXT_PP(ACT_FEED_ARG_ORGANIZATION));
	key = act_organization_find(organization, strlen(organization));
	act_tier_require("feed", key, organization);
	if (viewer_arg >= 0 && !PG_ARGISNULL(viewer_arg))
		act_member_require(organization,
						   text_to_cstring(PG_GETARG_TEXT_PP(viewer_arg)));
	return key;
}

ActFeedFilter *
act_feed_filter_all(int32 organization)
{
	ActFeedFilter *filter = palloc0(sizeof(ActFeedFilter));

	filter->organization = organization;
	filter->impossible = organization == 0;
	memset(&filter->low, 0x00, UUID_LEN);
	memset(&filter->high, 0xff, UUID_LEN);
	filter->earliest = ACT_EVENT_ID_FIRST;
	filter->latest = ACT_EVENT_ID_LAST;
	filter->types.negated = true;
	filter->actors.negated = true;
	filter->subjects.negated = true;
	filter->behalves.negated = true;
	return filter;
}

ActFeedFilter *
act_feed_filter_read(FunctionCallInfo fcinfo, int viewer_arg)
{
	ActFeedFilter *filter =
		act_feed_filter_all(act_feed_filter_admit(fcinfo, viewer_arg));

	if (!PG_ARGISNULL(ACT_FEED_ARG_EVENT_TYPES))
		act_feed_filter_types(filter, PG_GETARG_ARRAYTYPE_P(ACT_FEED_ARG_EVENT_TYPES));
	if (!PG_ARGISNULL(ACT_FEED_ARG_ACTOR))
	{
		filter->actor = PG_GETARG_TEXT_PP(ACT_FEED_ARG_ACTOR);
		list_hash(&filter->actors, filter->actor);
	}
	if (viewer_arg >= 0 && !PG_ARGISNULL(viewer_arg + 1))
	{
		filter->on_behalf_of = PG_GETARG_TEXT_PP(viewer_arg + 1);
		list_hash(&filter->behalves, filter->on_behalf_of);
	}
	if (!PG_ARGISNULL(ACT_FEED_ARG_SUBJECT))
		read_subject(filter, PG_GETARG_TEXT_PP(ACT_FEED_ARG_SUBJECT));
	if (!PG_ARGISNULL(ACT_FEED_ARG_SINCE))
		act_feed_filter_since(filter,
							  PG_GETARG_TIMESTAMPTZ(ACT_FEED_ARG_SINCE));
	if (!PG_ARGISNULL(ACT_FEED_ARG_UNTIL))
		act_feed_filter_until(filter,
							  PG_GETARG_TIMESTAMPTZ(ACT_FEED_ARG_UNTIL));
	if (!PG_ARGISNULL(ACT_FEED_ARG_SEARCH))
		filter->search =
			act_search_prepare(PG_GETARG_TEXT_PP(ACT_FEED_ARG_SEARCH));
	return filter;
}

/*
 * Words are keys and category.*, each with an optional ! in front; an empty
 * array is no filter, as is null.  Words with ! alone exclude from everything,
 * beside others from these.
 */
void
act_feed_filter_types(ActFeedFilter *filter, ArrayType *words)
{
	ActValues	included = {0};
	ActValues	excluded = {0};
	Datum	   *datums;
	bool	   *nulls;
	int			count;
	bool		includes = false;

	deconstruct_array(words, TEXTOID, -1, false, TYPALIGN_INT,
					  &datums, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *word;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("event_types must not contain nulls")));
		word = TextDatumGetCString(datums[i]);
		if (word[0] == '!')
			act_taxonomy_match(word + 1, &excluded.list, &excluded.count);
		else
		{
			act_taxonomy_match(word, &included.list, &included.count);
			includes = true;
		}
	}
	sort_codes(&included);
	sort_codes(&excluded);
	if (includes)
	{
		subtract(&included, &excluded);
		filter->types = included;
	}
	else
	{
		excluded.negated = true;
		filter->types = excluded;
		if (excluded.count > act_taxonomy_count() / 2)
			list_rest(&filter->types);
	}
	if (!filter->types.negated && filter->types.count == 0)
		filter->impossible = true;
}

/*
 * Where more is excluded than is left, what is left is read as if it had been
 * asked for.
 */
static void
list_rest(ActValues *types)
{
	ActValues	rest = {0};
	int			count = act_taxonomy_count();

	rest.list = palloc(Max(count, 1) * sizeof(int32));
	for (int i = 0; i < count; i++)
		rest.list[rest.count++] = act_taxonomy_nth(i)->code;
	sort_codes(&rest);
	subtract(&rest, types);
	*types = rest;
}

static int
compare_codes(const void *a, const void *b)
{
	int32		one = *(const int32 *) a;
	int32		other = *(const int32 *) b;

	return one < other ? -1 : one > other;
}

/* Ascending, each once. */
static void
sort_codes(ActValues *values)
{
	int			kept = 0;

	qsort(values->list, values->count, sizeof(int32), compare_codes);
	for (int i = 0; i < values->count; i++)
		if (kept == 0 || values->list[kept - 1] != values->list[i])
			values->list[kept++] = values->list[i];
	values->count = kept;
}

/* Whether the list, or all but the list, has this code. */
bool
act_values_have(const ActValues *values, int32 code)
{
	bool		listed = values->count > 0 &&
		bsearch(&code, values->list, values->count, sizeof(int32),
				compare_codes) != NULL;

	return listed != values->negated;
}

static void
subtract(ActValues *values, const ActValues *excluded)
{
	ActValues	listed = *excluded;
	int			kept = 0;

	listed.negated = false;
	for (int i = 0; i < values->count; i++)
		if (!act_values_have(&listed, values->list[i]))
			values->list[kept++] = values->list[i];
	values->count = kept;
}

/* The one hash of an id. */
static void
list_hash(ActValues *values, const text *id)
{
	values->negated = false;
	values->count = 1;
	values->list = palloc(sizeof(int32));
	values->list[0] = act_event_hash(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id));
}

/* Ids may hold colons: 'a:b' is the id, or the kind a and the id b. */
static void
read_subject(ActFeedFilter *filter, text *subject)
{
	const char *bytes = VARDATA_ANY(subject);
	int			len = VARSIZE_ANY_EXHDR(subject);
	const char *colon = memchr(bytes, ':', len);

	filter->subject = subject;
	filter->subjects.negated = false;
	filter->subjects.list = palloc(2 * sizeof(int32));
	filter->subjects.list[0] = act_event_hash(bytes, len);
	filter->subjects.count = 1;
	if (colon != NULL)
	{
		filter->subjects.list[1] = act_event_hash(colon + 1,
												  bytes + len - colon - 1);
		filter->subjects.count = 2;
		sort_codes(&filter->subjects);
	}
}

void
act_feed_filter_before(ActFeedFilter *filter, const pg_uuid_t *id)
{
	pg_uuid_t	bound = *id;

	filter->latest = Min(filter->latest, time_of(id, "before"));
	for (int i = UUID_LEN - 1; i >= 0; i--)
		if (bound.data[i]-- != 0)
			break;
	if (memcmp(&bound, &filter->high, UUID_LEN) < 0)
		filter->high = bound;
}

void
act_feed_filter_after(ActFeedFilter *filter, const pg_uuid_t *id)
{
	pg_uuid_t	bound = *id;

	filter->earliest = Max(filter->earliest, time_of(id, "after"));
	for (int i = UUID_LEN - 1; i >= 0; i--)
		if (++bound.data[i] != 0)
			break;
	if (memcmp(&bound, &filter->low, UUID_LEN) > 0)
		filter->low = bound;
}

/*
 * A cursor is a position and nothing more: it is not looked up, so it may be
 * the id of an event that is gone, or of somebody else's.
 */
static TimestampTz
time_of(const pg_uuid_t *id, const char *argument)
{
	TimestampTz time;

	if (!act_event_id_time(id, &time))
		ereport(ERROR,
				(errcode(ERRCODE_ACT_BAD_CURSOR),
				 errmsg("\"%s\" is not the id of an event", argument),
				 errhint("Pass the id of the last or first event of the page that was shown.")));
	return time;
}

void
act_feed_filter_since(ActFeedFilter *filter, TimestampTz time)
{
	pg_uuid_t	bound;

	if (time <= ACT_EVENT_ID_FIRST)
		return;
	if (time > ACT_EVENT_ID_LAST)
	{
		filter->impossible = true;
		return;
	}
	filter->earliest = Max(filter->earliest, time);
	act_event_id_lowest(time, &bound);
	if (memcmp(&bound, &filter->low, UUID_LEN) > 0)
		filter->low = bound;
}

void
act_feed_filter_until(ActFeedFilter *filter, TimestampTz time)
{
	pg_uuid_t	bound;

	if (time > ACT_EVENT_ID_LAST)
		return;
	if (time <= ACT_EVENT_ID_FIRST)
	{
		filter->impossible = true;
		return;
	}
	filter->latest = Min(filter->latest, time - 1);
	act_event_id_highest(time - 1, &bound);
	if (memcmp(&bound, &filter->high, UUID_LEN) < 0)
		filter->high = bound;
}

/*
 * Hashes collide, an intersection may not have asked every index, and search is
 * asked of the row alone.
 */
bool
act_feed_filter_takes(const ActFeedFilter *filter, TupleTableSlot *row)
{
	bool		isnull;
	Datum		datum;

	if (!act_values_any(&filter->types))
	{
		datum = slot_getattr(row, ACT_EVENT_TYPE, &isnull);
		if (!act_values_have(&filter->types, DatumGetInt32(datum)))
			return false;
	}
	if (filter->actor != NULL)
	{
		datum = slot_getattr(row, ACT_EVENT_ACTOR_ID, &isnull);
		if (isnull || !same_text(DatumGetTextPP(datum), filter->actor))
			return false;
	}
	if (filter->subject != NULL)
	{
		datum = slot_getattr(row, ACT_EVENT_SUBJECT, &isnull);
		if (!subject_matches(filter, DatumGetJsonbP(datum)))
			return false;
	}
	if (filter->on_behalf_of != NULL)
	{
		datum = slot_getattr(row, ACT_EVENT_ON_BEHALF_OF, &isnull);
		if (isnull || !has_id(DatumGetJsonbP(datum), filter->on_behalf_of))
			return false;
	}
	return filter->search == NULL || search_matches(filter, row);
}

static bool
same_text(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static bool
has_id(Jsonb *object, const text *wanted)
{
	int			len;
	char	   *id = act_event_subject_id(object, &len);

	return id != NULL && len == VARSIZE_ANY_EXHDR(wanted) &&
		memcmp(id, VARDATA_ANY(wanted), len) == 0;
}

static bool
subject_matches(const ActFeedFilter *filter, Jsonb *subject)
{
	const char *wanted = VARDATA_ANY(filter->subject);
	int			wanted_len = VARSIZE_ANY_EXHDR(filter->subject);
	const char *colon = memchr(wanted, ':', wanted_len);
	int			kind_len = colon == NULL ? 0 : colon - wanted;
	JsonbValue	kind;
	int			len;
	char	   *id = act_event_subject_id(subject, &len);

	if (id == NULL)
		return false;
	if (len == wanted_len && memcmp(id, wanted, len) == 0)
		return true;
	return colon != NULL && len == wanted_len - kind_len - 1 &&
		memcmp(id, colon + 1, len) == 0 &&
		act_json_find(subject, "kind", 4, &kind) != NULL &&
		is_text(&kind, wanted, kind_len);
}

static bool
is_text(JsonbValue *value, const char *bytes, int len)
{
	return value->type == jbvString && value->val.string.len == len &&
		memcmp(value->val.string.val, bytes, len) == 0;
}

static bool
search_matches(const ActFeedFilter *filter, TupleTableSlot *row)
{
	static const AttrNumber searched[] = {ACT_EVENT_DESCRIPTION,
	ACT_EVENT_ACTOR_NAME};

	for (int i = 0; i < lengthof(searched); i++)
	{
		bool		isnull;
		Datum		datum = slot_getattr(row, searched[i], &isnull);

		if (!isnull)
		{
			text	   *found = DatumGetTextPP(datum);

			if (act_search_occurs(filter->search, VARDATA_ANY(found),
								  VARSIZE_ANY_EXHDR(found)))
				return true;
		}
	}
	return false;
}

/* type_codes(event_types text[]) RETURNS integer[]: the codes that they let through */
PGDLLEXPORT Datum
act_type_codes(PG_FUNCTION_ARGS)
{
	ActFeedFilter *filter = act_feed_filter_all(1);
	ActValues  *types = &filter->types;
	Datum	   *codes;

	act_feed_filter_types(filter, PG_GETARG_ARRAYTYPE_P(0));
	if (types->negated)
		list_rest(types);
	codes = palloc(Max(types->count, 1) * sizeof(Datum));
	for (int i = 0; i < types->count; i++)
		codes[i] = Int32GetDatum(types->list[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(codes, types->count, INT4OID,
										  sizeof(int32), true, TYPALIGN_INT));
}
