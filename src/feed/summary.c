/*
 * feed/summary.c
 *		activity.summary(): counts by family, event type, actor and on behalf of whom.
 *
 * One pass over the range, newest first, so that the name of an actor is the
 * one that he had last.
 */
#include "activity.h"

#include "common/hashfn.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/json.h"
#include "event/event.h"
#include "feed/filter.h"
#include "feed/scan.h"
#include "taxonomy/taxonomy.h"

#define ARG_SINCE 1
#define ARG_UNTIL 2

#define RESULT_COLUMNS 6

/* What is counted: the bytes of whatever tells one from another. */
typedef struct Key
{
	const char *bytes;
	int			len;
} Key;

typedef struct Count
{
	Key			key;			/* must be first */
	text	   *kind;
	text	   *id;
	text	   *name;
	int64		events;
	TimestampTz latest;
} Count;

PG_FUNCTION_INFO_V1(act_summary);

extern PGDLLEXPORT Datum act_summary(PG_FUNCTION_ARGS);

static HTAB *make_counts(const char *name);
static uint32 hash_key(const void *key, Size size);
static int	compare_keys(const void *a, const void *b, Size size);
static Count *count(HTAB *counts, const char *bytes, int len, int64 events,
					TimestampTz time, bool *is_new);
static void count_actor(HTAB *actors, TupleTableSlot *row, TimestampTz time);
static void count_behalf(HTAB *behalves, TupleTableSlot *row, TimestampTz time);
static void count_person(HTAB *persons, text *kind, text *id, text *name,
						 TimestampTz time);
static text *member(Jsonb *object, const char *name);
static text *column(TupleTableSlot *row, AttrNumber number);
static HTAB *name_types(HTAB *types);
static void put(ReturnSetInfo *result, const char *dimension, HTAB *counts);
static int	compare_counts(const void *a, const void *b);

/* activity.summary(organization, since, until) */
Datum
act_summary(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActFeedFilter *filter =
		act_feed_filter_all(act_feed_filter_admit(fcinfo, -1));
	HTAB	   *types = make_counts("activity types");
	HTAB	   *actors = make_counts("activity actors");
	HTAB	   *behalves = make_counts("activity on behalf of");
	ActFeedScan *scan;
	TupleTableSlot *row;

	if (!PG_ARGISNULL(ARG_SINCE))
		act_feed_filter_since(filter, PG_GETARG_TIMESTAMPTZ(ARG_SINCE));
	if (!PG_ARGISNULL(ARG_UNTIL))
		act_feed_filter_until(filter, PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	InitMaterializedSRF(fcinfo, 0);

	scan = act_feed_scan_begin(filter, BackwardScanDirection, PG_INT16_MAX);
	while ((row = act_feed_scan_next(scan)) != NULL)
	{
		bool		ignored;
		int32		type = DatumGetInt32(slot_getattr(row, ACT_EVENT_TYPE,
													  &ignored));
		TimestampTz time = DatumGetTimestampTz(slot_getattr(row,
															ACT_EVENT_OCCURRED_AT,
															&ignored));

		(void) count(types, (char *) &type, sizeof(type), 1, time, &ignored);
		count_actor(actors, row, time);
		count_behalf(behalves, row, time);
	}
	act_feed_scan_end(scan);

	put(result, "family", name_types(types));
	put(result, "event_type", types);
	put(result, "actor", actors);
	put(result, "on_behalf_of", behalves);
	return (Datum) 0;
}

static HTAB *
make_counts(const char *name)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Key);
	control.entrysize = sizeof(Count);
	control.hash = hash_key;
	control.match = compare_keys;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 64, &control,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static uint32
hash_key(const void *key, Size size)
{
	const Key  *it = key;

	return hash_bytes((const unsigned char *) it->bytes, it->len);
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	const Key  *one = a;
	const Key  *other = b;

	return one->len != other->len ||
		memcmp(one->bytes, other->bytes, one->len) != 0;
}

/* Adds events to the count of these bytes, which are copied if they are new. */
static Count *
count(HTAB *counts, const char *bytes, int len, int64 events,
	  TimestampTz time, bool *is_new)
{
	Key			key = {bytes, len};
	bool		found;
	Count	   *it = hash_search(counts, &key, HASH_ENTER, &found);

	*is_new = !found;
	if (!found)
	{
		char	   *copy = palloc(Max(len, 1));

		memcpy(copy, bytes, len);
		it->key.bytes = copy;
		it->kind = it->id = it->name = NULL;
		it->events = 0;
		it->latest = time;
	}
	it->events += events;
	it->latest = Max(it->latest, time);
	return it;
}

static void
count_actor(HTAB *actors, TupleTableSlot *row, TimestampTz time)
{
	count_person(actors, column(row, ACT_EVENT_ACTOR_KIND),
				 column(row, ACT_EVENT_ACTOR_ID),
				 column(row, ACT_EVENT_ACTOR_NAME), time);
}

static void
count_behalf(HTAB *behalves, TupleTableSlot *row, TimestampTz time)
{
	bool		isnull;
	Datum		datum = slot_getattr(row, ACT_EVENT_ON_BEHALF_OF, &isnull);
	Jsonb	   *object;

	if (isnull)
		return;
	object = DatumGetJsonbP(datum);
	count_person(behalves, member(object, "kind"), member(object, "id"),
				 member(object, "name"), time);
}

/* The text of a string in an object; NULL where there is none. */
static text *
member(Jsonb *object, const char *name)
{
	JsonbValue	found;

	if (act_json_find(object, name, strlen(name), &found) == NULL ||
		found.type != jbvString)
		return NULL;
	return cstring_to_text_with_len(found.val.string.val, found.val.string.len);
}

/* Somebody is a kind and an id; without an id, a name, or else the system. */
static void
count_person(HTAB *actors, text *kind, text *id, text *name, TimestampTz time)
{
	text	   *parts[] = {kind, id != NULL ? id : name};
	char		fixed[256];
	char	   *bytes = fixed;
	int			len = 1;
	bool		is_new;
	Count	   *it;

	for (int i = 0; i < lengthof(parts); i++)
		len += parts[i] == NULL ? 1 : VARSIZE_ANY_EXHDR(parts[i]) + 1;
	if (len > sizeof(fixed))
		bytes = palloc(len);

	/* No text holds a zero byte, so zeros keep the parts apart. */
	len = 0;
	bytes[len++] = id != NULL ? 'i' : name != NULL ? 'n' : 's';
	for (int i = 0; i < lengthof(parts); i++)
	{
		int			part = parts[i] == NULL ? 0 : VARSIZE_ANY_EXHDR(parts[i]);

		if (part > 0)
			memcpy(bytes + len, VARDATA_ANY(parts[i]), part);
		len += part;
		bytes[len++] = '\0';
	}
	it = count(actors, bytes, len, 1, time, &is_new);
	if (is_new)
	{
		it->kind = kind == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(kind));
		it->id = id == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(id));
		it->name = name == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(name));
	}
	if (bytes != fixed)
		pfree(bytes);
}

static text *
column(TupleTableSlot *row, AttrNumber number)
{
	bool		isnull;
	Datum		datum = slot_getattr(row, number, &isnull);

	return isnull ? NULL : DatumGetTextPP(datum);
}

/* Puts keys and meanings to the codes; returns the counts of their families. */
static HTAB *
name_types(HTAB *types)
{
	HTAB	   *families = make_counts("activity families");
	HASH_SEQ_STATUS all;
	Count	   *it;

	hash_seq_init(&all, types);
	while ((it = hash_seq_search(&all)) != NULL)
	{
		const ActEventType *type;
		const char *family;
		Count	   *of;
		bool		is_new;
		int32		code;

		memcpy(&code, it->key.bytes, sizeof(code));
		it->id = cstring_to_text(act_taxonomy_key(code));
		type = act_taxonomy_get(code);
		if (type != NULL && type->meaning != NULL)
			it->name = cstring_to_text(type->meaning);
		family = type == NULL || type->family == NULL ? "" : type->family;
		of = count(families, family, strlen(family), it->events, it->latest,
				   &is_new);
		if (is_new && family[0] != '\0')
			of->id = cstring_to_text(family);
	}
	return families;
}

/* The most frequent first. */
static void
put(ReturnSetInfo *result, const char *dimension, HTAB *counts)
{
	int			size = hash_get_num_entries(counts);
	Count	  **sorted = palloc(Max(size, 1) * sizeof(Count *));
	HASH_SEQ_STATUS all;

	hash_seq_init(&all, counts);
	for (int i = 0; i < size; i++)
		sorted[i] = hash_seq_search(&all);
	hash_seq_term(&all);
	qsort(sorted, size, sizeof(Count *), compare_counts);

	for (int i = 0; i < size; i++)
	{
		text	   *texts[] = {sorted[i]->kind, sorted[i]->id, sorted[i]->name};
		Datum		values[RESULT_COLUMNS];
		bool		nulls[RESULT_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(dimension);
		for (int j = 0; j < lengthof(texts); j++)
		{
			values[1 + j] = PointerGetDatum(texts[j]);
			nulls[1 + j] = texts[j] == NULL;
		}
		values[4] = Int64GetDatum(sorted[i]->events);
		values[5] = TimestampTzGetDatum(sorted[i]->latest);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static int
compare_counts(const void *a, const void *b)
{
	const Count *one = *(Count *const *) a;
	const Count *other = *(Count *const *) b;
	int			least = Min(one->key.len, other->key.len);
	int			order;

	if (one->events != other->events)
		return one->events < other->events ? 1 : -1;
	order = memcmp(one->key.bytes, other->key.bytes, least);
	return order != 0 ? order : one->key.len - other->key.len;
}
