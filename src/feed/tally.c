/*
 * feed/tally.c
 *		Events counted by family, event type, actor and on behalf of whom.
 *
 * In whatever order they come, the name of an actor is the one that he had last.
 */
#include "activity.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/json.h"
#include "event/event.h"
#include "feed/tally.h"
#include "taxonomy/taxonomy.h"

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
	ActTallied	counted;
} Count;

struct ActTally
{
	MemoryContext context;
	MemoryContext scratch;		/* of an event */
	HTAB	   *types;
	HTAB	   *actors;
	HTAB	   *behalves;
};

static HTAB *make_counts(const char *name);
static uint32 hash_key(const void *key, Size size);
static int	compare_keys(const void *a, const void *b, Size size);
static void count(ActTally *tally, HTAB *counts, const char *bytes, int len,
				  const ActTallied *counted);
static void count_person(ActTally *tally, const ActTallied *counted);
static text *keep(const text *value);
static text *member(Jsonb *object, const char *name);
static text *column(TupleTableSlot *row, AttrNumber number);
static HTAB *name_types(ActTally *tally);
static void put(ReturnSetInfo *result, const char *dimension, HTAB *counts);
static int	compare_counts(const void *a, const void *b);

ActTally *
act_tally_make(void)
{
	ActTally   *tally = palloc(sizeof(ActTally));

	tally->context = CurrentMemoryContext;
	tally->scratch = AllocSetContextCreate(CurrentMemoryContext, "activity tally of an event",
										   ALLOCSET_SMALL_SIZES);
	tally->types = make_counts("activity types");
	tally->actors = make_counts("activity actors");
	tally->behalves = make_counts("activity on behalf of");
	return tally;
}

void
act_tally_event(ActTally *tally, TupleTableSlot *row)
{
	MemoryContext old = MemoryContextSwitchTo(tally->scratch);
	ActTallied	one = {.events = 1};
	Datum		behalf;
	bool		isnull;

	one.latest = DatumGetTimestampTz(slot_getattr(row, ACT_EVENT_OCCURRED_AT, &isnull));
	one.is_type = true;
	one.type = DatumGetInt32(slot_getattr(row, ACT_EVENT_TYPE, &isnull));
	act_tally_add(tally, &one);
	one.is_type = false;
	one.kind = column(row, ACT_EVENT_ACTOR_KIND);
	one.id = column(row, ACT_EVENT_ACTOR_ID);
	one.name = column(row, ACT_EVENT_ACTOR_NAME);
	act_tally_add(tally, &one);
	behalf = slot_getattr(row, ACT_EVENT_ON_BEHALF_OF, &isnull);
	if (!isnull)
	{
		Jsonb	   *object = DatumGetJsonbP(behalf);

		one.on_behalf = true;
		one.kind = member(object, "kind");
		one.id = member(object, "id");
		one.name = member(object, "name");
		act_tally_add(tally, &one);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(tally->scratch);
}

void
act_tally_add(ActTally *tally, const ActTallied *counted)
{
	if (counted->is_type)
		count(tally, tally->types, (const char *) &counted->type, sizeof(counted->type), counted);
	else
		count_person(tally, counted);
}

ActTallied *
act_tally_list(ActTally *tally, int *count)
{
	HTAB	   *all[] = {tally->types, tally->actors, tally->behalves};
	ActTallied *list;

	*count = 0;
	for (int i = 0; i < lengthof(all); i++)
		*count += hash_get_num_entries(all[i]);
	list = MemoryContextAllocHuge(CurrentMemoryContext, Max(*count, 1) * sizeof(ActTallied));
	*count = 0;
	for (int i = 0; i < lengthof(all); i++)
	{
		HASH_SEQ_STATUS each;
		Count	   *it;

		hash_seq_init(&each, all[i]);
		while ((it = hash_seq_search(&each)) != NULL)
			list[(*count)++] = it->counted;
	}
	return list;
}

void
act_tally_put(ActTally *tally, ReturnSetInfo *result)
{
	put(result, "family", name_types(tally));
	put(result, "event_type", tally->types);
	put(result, "actor", tally->actors);
	put(result, "on_behalf_of", tally->behalves);
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

/* Adds to the count of these bytes; what stays is copied. */
static void
count(ActTally *tally, HTAB *counts, const char *bytes, int len, const ActTallied *counted)
{
	MemoryContext old = MemoryContextSwitchTo(tally->context);
	Key			key = {bytes, len};
	bool		found;
	Count	   *it = hash_search(counts, &key, HASH_ENTER, &found);

	if (!found)
	{
		char	   *copy = palloc(Max(len, 1));

		memcpy(copy, bytes, len);
		it->key.bytes = copy;
		it->counted = *counted;
		it->counted.events = 0;
		it->counted.kind = keep(counted->kind);
		it->counted.id = keep(counted->id);
		it->counted.name = keep(counted->name);
	}
	else if (counted->latest > it->counted.latest)
	{
		it->counted.latest = counted->latest;
		if (it->counted.name != NULL)
			pfree(it->counted.name);
		it->counted.name = keep(counted->name);
	}
	it->counted.events += counted->events;
	MemoryContextSwitchTo(old);
}

static void
count_person(ActTally *tally, const ActTallied *counted)
{
	const text *parts[] = {counted->kind, counted->id != NULL ? counted->id : counted->name};
	char		fixed[256];
	char	   *bytes = fixed;
	int			len = 1;

	for (int i = 0; i < lengthof(parts); i++)
		len += parts[i] == NULL ? 1 : VARSIZE_ANY_EXHDR(parts[i]) + 1;
	if (len > sizeof(fixed))
		bytes = palloc(len);

	/* No text holds a zero byte, so zeros keep the parts apart. */
	len = 0;
	bytes[len++] = counted->id != NULL ? 'i' : counted->name != NULL ? 'n' : 's';
	for (int i = 0; i < lengthof(parts); i++)
	{
		int			part = parts[i] == NULL ? 0 : VARSIZE_ANY_EXHDR(parts[i]);

		if (part > 0)
			memcpy(bytes + len, VARDATA_ANY(parts[i]), part);
		len += part;
		bytes[len++] = '\0';
	}
	count(tally, counted->on_behalf ? tally->behalves : tally->actors, bytes, len, counted);
	if (bytes != fixed)
		pfree(bytes);
}

static text *
keep(const text *value)
{
	return value == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(value));
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

static text *
column(TupleTableSlot *row, AttrNumber number)
{
	bool		isnull;
	Datum		datum = slot_getattr(row, number, &isnull);

	return isnull ? NULL : DatumGetTextPP(datum);
}

/* Puts keys and meanings to the codes; returns the counts of their families. */
static HTAB *
name_types(ActTally *tally)
{
	HTAB	   *families = make_counts("activity families");
	HASH_SEQ_STATUS all;
	Count	   *it;

	hash_seq_init(&all, tally->types);
	while ((it = hash_seq_search(&all)) != NULL)
	{
		const ActEventType *type = act_taxonomy_get(it->counted.type);
		const char *family = type == NULL || type->family == NULL ? "" : type->family;
		ActTallied	of = {.events = it->counted.events,.latest = it->counted.latest};

		it->counted.id = cstring_to_text(act_taxonomy_key(it->counted.type));
		if (type != NULL && type->meaning != NULL)
			it->counted.name = cstring_to_text(type->meaning);
		if (family[0] != '\0')
			of.id = cstring_to_text(family);
		count(tally, families, family, strlen(family), &of);
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
		const ActTallied *counted = &sorted[i]->counted;
		text	   *texts[] = {counted->kind, counted->id, counted->name};
		Datum		values[RESULT_COLUMNS];
		bool		nulls[RESULT_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(dimension);
		for (int j = 0; j < lengthof(texts); j++)
		{
			values[1 + j] = PointerGetDatum(texts[j]);
			nulls[1 + j] = texts[j] == NULL;
		}
		values[4] = Int64GetDatum(counted->events);
		values[5] = TimestampTzGetDatum(counted->latest);
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

	if (one->counted.events != other->counted.events)
		return one->counted.events < other->counted.events ? 1 : -1;
	order = memcmp(one->key.bytes, other->key.bytes, least);
	return order != 0 ? order : one->key.len - other->key.len;
}
