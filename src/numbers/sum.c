/*
 * numbers/sum.c
 *		Events in the rollups, summed up by steps of time and by what tells them apart.
 *
 * A timeline asks for a few sums of hundreds of thousands of cells.  They are added up
 * here, from the arrays that they are in, and only the sums become rows.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"

PG_FUNCTION_INFO_V1(act_rolled_counts);

extern PGDLLEXPORT Datum act_rolled_counts(PG_FUNCTION_ARGS);

/* What a sum is of; what is not told apart is 0 or NULL. */
typedef struct SumKey
{
	int32		quarter;
	int32		type;
	text	   *actor;
	text	   *resource;
} SumKey;

typedef struct Sum
{
	SumKey		key;
	int64		events;
	uint32		hash;
	char		status;
} Sum;

static uint32 hash_key(const SumKey *key);
static bool are_equal(const SumKey *a, const SumKey *b);

#define SH_PREFIX sums
#define SH_ELEMENT_TYPE Sum
#define SH_KEY_TYPE SumKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_key(&(key))
#define SH_EQUAL(table, a, b) are_equal(&(a), &(b))
#define SH_STORE_HASH
#define SH_GET_HASH(table, sum) (sum)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Counting
{
	MemoryContext context;		/* of the sums */
	MemoryContext scratch;		/* of a row */
	int32		since;
	int32		until;
	int			nsteps;
	Datum	   *steps;			/* quarter hours, ascending; none: each is one */
	int			columns;		/* that are read, and tell events apart */
	sums_hash  *sums;
} Counting;

static void read_steps(Counting *counting, ArrayType *array);
static void read_columns(Counting *counting, ArrayType *array);
static void count_kind(Counting *counting, int32 organization, int32 kind);
static void count_row(Counting *counting, HeapTuple row, TupleDesc desc);
static void add(Counting *counting, const SumKey *key, int32 events);
static bool is_same(const text *a, const text *b);
static text *keep(text *word);
static int	step_of(const Counting *counting, int32 quarter, int near);
static void put_sums(ReturnSetInfo *result, Counting *counting);

/*
 * rolled_counts(key integer, kinds integer[], since integer, until integer, steps
 * integer[], by text[]) RETURNS TABLE (quarter integer, type integer, actor text,
 * resource text, events integer)
 */
Datum
act_rolled_counts(PG_FUNCTION_ARGS)
{
	Counting	counting = {CurrentMemoryContext};
	Datum	   *kinds;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	counting.scratch = AllocSetContextCreate(CurrentMemoryContext, "activity rollup row",
											 ALLOCSET_DEFAULT_SIZES);
	counting.since = PG_GETARG_INT32(2);
	counting.until = PG_GETARG_INT32(3);
	read_steps(&counting, PG_GETARG_ARRAYTYPE_P(4));
	read_columns(&counting, PG_GETARG_ARRAYTYPE_P(5));
	counting.sums = sums_create(CurrentMemoryContext, 1024, NULL);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &kinds, NULL, &count);
	for (int i = 0; i < count; i++)
		count_kind(&counting, PG_GETARG_INT32(0), DatumGetInt32(kinds[i]));
	put_sums((ReturnSetInfo *) fcinfo->resultinfo, &counting);
	return (Datum) 0;
}

static void
read_steps(Counting *counting, ArrayType *array)
{
	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &counting->steps,
					  NULL, &counting->nsteps);
	for (int i = 1; i < counting->nsteps; i++)
		if (DatumGetInt32(counting->steps[i]) < DatumGetInt32(counting->steps[i - 1]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("steps must ascend")));
}

/* type, actor, resource */
static void
read_columns(Counting *counting, ArrayType *array)
{
	Datum	   *names;
	int			count;

	counting->columns = ACT_CELL_SET(ACT_ROLLUP_QUARTERS) | ACT_CELL_SET(ACT_ROLLUP_MEASURES) |
		ACT_CELL_SET(ACT_ROLLUP_EVENTS);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		const char *name = TextDatumGetCString(names[i]);

		if (strcmp(name, "type") == 0)
			counting->columns |= ACT_CELL_SET(ACT_ROLLUP_TYPES);
		else if (strcmp(name, "actor") == 0)
			counting->columns |= ACT_CELL_SET(ACT_ROLLUP_ACTORS);
		else if (strcmp(name, "resource") == 0)
			counting->columns |= ACT_CELL_SET(ACT_ROLLUP_RESOURCES);
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("events are not told apart by \"%s\"", name)));
	}
}

static void
count_kind(Counting *counting, int32 organization, int32 kind)
{
	ActRowScan	scan;
	HeapTuple	row;

	act_cells_begin(&scan, organization, kind, counting->until);
	while ((row = act_cells_next(&scan, counting->since)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(counting->scratch);

		CHECK_FOR_INTERRUPTS();
		count_row(counting, row, RelationGetDescr(scan.rel));
		MemoryContextSwitchTo(old);
		MemoryContextReset(counting->scratch);
	}
	act_row_end(&scan);
}

static void
count_row(Counting *counting, HeapTuple row, TupleDesc desc)
{
	Datum	   *values[ACT_CELL_COLUMNS];
	bool	   *nulls[ACT_CELL_COLUMNS];
	int			count = act_cells_arrays(row, desc, counting->columns, values, nulls);
	const Datum *measures = values[ACT_CELL_AT(ACT_ROLLUP_MEASURES)];
	int			step = 0;

#define HAS(column, i) \
	(values[ACT_CELL_AT(column)] != NULL && !nulls[ACT_CELL_AT(column)][i])
#define VALUE(column, i) (values[ACT_CELL_AT(column)][i])
	if (measures == NULL)
		act_cells_complain();
	for (int i = 0; i < count; i++)
	{
		int32		quarter = DatumGetInt32(VALUE(ACT_ROLLUP_QUARTERS, i));
		SumKey		key = {quarter};

		if (DatumGetInt32(measures[i]) > 0 || quarter < counting->since ||
			quarter >= counting->until)
			continue;
		if (counting->nsteps > 0)
		{
			step = step_of(counting, quarter, step);
			key.quarter = DatumGetInt32(counting->steps[step]);
		}
		if (HAS(ACT_ROLLUP_TYPES, i))
			key.type = DatumGetInt32(VALUE(ACT_ROLLUP_TYPES, i));
		if (HAS(ACT_ROLLUP_ACTORS, i))
			key.actor = (text *) DatumGetPointer(VALUE(ACT_ROLLUP_ACTORS, i));
		if (HAS(ACT_ROLLUP_RESOURCES, i))
			key.resource = (text *) DatumGetPointer(VALUE(ACT_ROLLUP_RESOURCES, i));
		add(counting, &key, DatumGetInt32(VALUE(ACT_ROLLUP_EVENTS, i)));
	}
#undef HAS
#undef VALUE
}

static void
add(Counting *counting, const SumKey *key, int32 events)
{
	bool		found;
	Sum		   *sum = sums_insert(counting->sums, *key, &found);

	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(counting->context);

		sum->key.actor = keep(key->actor);
		sum->key.resource = keep(key->resource);
		sum->events = 0;
		MemoryContextSwitchTo(old);
	}
	sum->events += events;
}

static text *
keep(text *word)
{
	return word == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(word));
}

/* The last step that has begun by then, or the first; near is where to look first. */
static int
step_of(const Counting *counting, int32 quarter, int near)
{
	const Datum *steps = counting->steps;
	int			low = 0;
	int			high = counting->nsteps - 1;

	if (DatumGetInt32(steps[near]) <= quarter &&
		(near == high || DatumGetInt32(steps[near + 1]) > quarter))
		return near;
	while (low < high)
	{
		int			middle = low + (high - low + 1) / 2;

		if (DatumGetInt32(steps[middle]) <= quarter)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* In as many rows as a sum takes that is more than an integer holds. */
static void
put_sums(ReturnSetInfo *result, Counting *counting)
{
	sums_iterator at;
	Sum		   *sum;

	sums_start_iterate(counting->sums, &at);
	while ((sum = sums_iterate(counting->sums, &at)) != NULL)
		while (sum->events != 0)
		{
			int32		events = (int32) Max(Min(sum->events, PG_INT32_MAX), PG_INT32_MIN);
			Datum		values[5] = {
				Int32GetDatum(sum->key.quarter), Int32GetDatum(sum->key.type),
				PointerGetDatum(sum->key.actor), PointerGetDatum(sum->key.resource),
				Int32GetDatum(events)
			};
			bool		nulls[5] = {
				false, (counting->columns & ACT_CELL_SET(ACT_ROLLUP_TYPES)) == 0,
				sum->key.actor == NULL, sum->key.resource == NULL, false
			};

			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			sum->events -= events;
		}
}

static uint32
hash_key(const SumKey *key)
{
	uint32		hash = hash_combine(murmurhash32(key->quarter), murmurhash32(key->type));

	if (key->actor != NULL)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) VARDATA_ANY(key->actor),
											 VARSIZE_ANY_EXHDR(key->actor)));
	if (key->resource != NULL)
		hash = hash_combine(hash, hash_bytes((const unsigned char *) VARDATA_ANY(key->resource),
											 VARSIZE_ANY_EXHDR(key->resource)));
	return hash;
}

static bool
are_equal(const SumKey *a, const SumKey *b)
{
	return a->quarter == b->quarter && a->type == b->type &&
		is_same(a->actor, b->actor) && is_same(a->resource, b->resource);
}

static bool
is_same(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}
