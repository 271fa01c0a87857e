/*
 * feed/values.c
 *		Postings of several values of one index, merged into one list.
 *
 * A family of eight event types over two years of months would cost 8 * 24
 * descents if every type had a scan of its own.  Here one walk passes over all
 * of them: it takes the first few postings of each value that it meets, and
 * where the next wanted value is near it just walks there.  Types that stand
 * side by side and have little or nothing in a month (which is when older
 * months must be read at all) share one descent.
 */
#include "activity.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"

#include "feed/list.h"

#define BATCH_LEAST 16
#define BATCH_MOST 1024

/* Values that are not listed one by one are types; there is none below. */
#define LEAST_TYPE 1

/* Postings of one value that were read and not yet given away. */
typedef struct Run
{
	int32		value;
	ActPosting *items;
	int			space;
	int			count;
	int			at;
	bool		more;			/* the index has more behind the last item */
} Run;

typedef struct ValuesList
{
	ActList		base;
	ActWalk    *walk;
	const ActValues *values;
	int			batch;
	Run		  **runs;
	int			nruns;
	int			space;
	binaryheap *heap;			/* of the runs, the earliest posting on top */
	ScanDirection direction;
} ValuesList;

static bool is_listed(const ActValues *values, int32 value);
static bool first_wanted(const ValuesList *list, int32 *value);
static bool next_wanted(const ValuesList *list, int32 *value);
static bool wanted_from(const ValuesList *list, int32 from, int32 *value);
static void descend(ValuesList *list, int32 value, const pg_uuid_t *from);
static void load(ValuesList *list);
static void load_each(ValuesList *list);
static Run *add_run(ValuesList *list, int32 value);
static void append(Run *run, const ActPosting *posting);
static void refill(ValuesList *list, Run *run, const pg_uuid_t *from,
				   bool inclusive);
static bool is_full(const Run *run, int batch, const ActPosting *posting);
static void settle(ValuesList *list);
static int	compare_runs(Datum a, Datum b, void *arg);
static void show_top(ValuesList *list);
static void advance_values(ActList *base);
static void seek_values(ActList *base, const pg_uuid_t *target);
static void close_values(ActList *base);

ActList *
act_list_values(const ActFeedSource *source, ActIndex index,
				const ActValues *values)
{
	ValuesList *list;

	if (!values->negated && values->count == 1)
		return act_list_one(source, index, values->list[0]);

	list = palloc0(sizeof(ValuesList));
	list->base.source = source;
	list->base.advance = advance_values;
	list->base.seek = seek_values;
	list->base.close = close_values;
	list->direction = source->direction;
	list->values = values;
	list->batch = Min(Max(source->batch, BATCH_LEAST), BATCH_MOST);
	list->walk = act_walk_open(source->heap, source->indexes[index],
							   source->snapshot, source->direction,
							   source->organization);
	/* Hashes come first in their indexes: other organizations stand between two. */
	if (index != ACT_INDEX_TYPE)
		load_each(list);
	else
		load(list);
	list->heap = binaryheap_allocate(Max(list->nruns, 1), compare_runs,
									 &list->direction);
	for (int i = 0; i < list->nruns; i++)
		binaryheap_add_unordered(list->heap, PointerGetDatum(list->runs[i]));
	binaryheap_build(list->heap);
	show_top(list);
	return &list->base;
}

static bool
is_listed(const ActValues *values, int32 value)
{
	int			low = 0;
	int			high = values->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (values->list[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < values->count && values->list[low] == value;
}

/* The first wanted value in the list's direction; false if there is none. */
static bool
first_wanted(const ValuesList *list, int32 *value)
{
	return wanted_from(list, ScanDirectionIsForward(list->direction) ?
					   (list->values->negated ? LEAST_TYPE : PG_INT32_MIN) :
					   PG_INT32_MAX, value);
}

/* The wanted value after *value. */
static bool
next_wanted(const ValuesList *list, int32 *value)
{
	if (ScanDirectionIsForward(list->direction))
		return *value != PG_INT32_MAX &&
			wanted_from(list, *value + 1, value);
	return *value != PG_INT32_MIN && wanted_from(list, *value - 1, value);
}

/* The first wanted value at or beyond from. */
static bool
wanted_from(const ValuesList *list, int32 from, int32 *value)
{
	const ActValues *values = list->values;
	bool		forward = ScanDirectionIsForward(list->direction);

	if (values->negated)
	{
		while (from >= LEAST_TYPE && is_listed(values, from))
		{
			if (from == PG_INT32_MAX && forward)
				return false;
			from += forward ? 1 : -1;
		}
		*value = from;
		return from >= LEAST_TYPE;
	}
	for (int i = 0; i < values->count; i++)
	{
		int32		listed = values->list[forward ? i : values->count - 1 - i];

		if (forward ? listed >= from : listed <= from)
		{
			*value = listed;
			return true;
		}
	}
	return false;
}

/* The walk goes on to the last wanted value. */
static void
descend(ValuesList *list, int32 value, const pg_uuid_t *from)
{
	const ActValues *values = list->values;
	bool		forward = ScanDirectionIsForward(list->direction);
	int32		until;

	if (values->negated)
		until = forward ? PG_INT32_MAX : LEAST_TYPE;
	else
		until = values->list[forward ? values->count - 1 : 0];
	act_walk_seek_across(list->walk, value, from, until);
}

/*
 * Reads the first batch of each wanted value, in one pass.  A wanted value of
 * which a batch is full has enough to fill a page alone, so that no older month
 * will be read: that bounds how often the pass has to descend.
 */
static void
load(ValuesList *list)
{
	const ActFeedSource *source = list->base.source;
	bool		forward = ScanDirectionIsForward(list->direction);
	const pg_uuid_t *start = act_source_start(source);
	const pg_uuid_t *end = act_source_end(source);
	ActPosting	posting;
	int32		wanted;
	int32		value;
	int			skipped = 0;
	Run		   *run = NULL;

	if (!first_wanted(list, &wanted))
		return;
	descend(list, wanted, start);
	while (act_walk_step(list->walk, &value, &posting))
	{
		if (forward ? value > wanted : value < wanted)
		{
			/* that was all of it */
			if (!wanted_from(list, value, &wanted))
				break;
			run = NULL;
		}
		if (value == wanted)
		{
			int			early = memcmp(&posting.id, start, UUID_LEN);
			int			late = memcmp(&posting.id, end, UUID_LEN);
			bool		more = forward ? late <= 0 : late >= 0;

			if (more && (forward ? early >= 0 : early <= 0))
			{
				if (run == NULL)
					run = add_run(list, value);
				run->more = is_full(run, list->batch, &posting);
				if (!run->more)
				{
					append(run, &posting);
					skipped = 0;
					continue;
				}
				more = false;
			}
			if (!more)
			{
				if (!next_wanted(list, &wanted))
					break;
				run = NULL;
			}
		}
		if (++skipped > ACT_LIST_STEPS)
		{
			descend(list, wanted, start);
			skipped = 0;
		}
	}
}

/*
 * The same with a descent for each value.  In the indexes on actors and
 * subjects the events without one, which may be most, come last: a walk
 * forward that finds no greater value would run through all of them.
 */
static void
load_each(ValuesList *list)
{
	const pg_uuid_t *start = act_source_start(list->base.source);

	for (int i = 0; i < list->values->count; i++)
	{
		Run		   *run = add_run(list, list->values->list[i]);

		run->count = list->batch / 2;
		refill(list, run, start, true);
		if (run->count == 0)
			list->nruns--;
	}
}

static Run *
add_run(ValuesList *list, int32 value)
{
	Run		   *run = palloc0(sizeof(Run));

	run->value = value;
	run->space = BATCH_LEAST;
	run->items = palloc(run->space * sizeof(ActPosting));
	if (list->nruns == list->space)
	{
		list->space = Max(2 * list->space, 8);
		list->runs = list->runs == NULL ?
			palloc(list->space * sizeof(Run *)) :
			repalloc(list->runs, list->space * sizeof(Run *));
	}
	list->runs[list->nruns++] = run;
	return run;
}

static void
append(Run *run, const ActPosting *posting)
{
	if (run->count == run->space)
	{
		run->space *= 2;
		run->items = repalloc(run->items, run->space * sizeof(ActPosting));
	}
	run->items[run->count++] = *posting;
}

/* A batch never ends between two rows of one id: the next one starts behind it. */
static bool
is_full(const Run *run, int batch, const ActPosting *posting)
{
	return run->count >= batch &&
		memcmp(&run->items[run->count - 1].id, &posting->id, UUID_LEN) != 0;
}

/* Reads on from an id, twice as much each time. */
static void
refill(ValuesList *list, Run *run, const pg_uuid_t *from, bool inclusive)
{
	int			batch = Min(2 * run->count, BATCH_MOST);
	ActPosting	posting;
	int32		value;

	act_walk_seek(list->walk, run->value, from,
				  act_source_end(list->base.source));
	run->count = run->at = 0;
	run->more = false;
	while (act_walk_step(list->walk, &value, &posting))
	{
		if (!inclusive && memcmp(&posting.id, from, UUID_LEN) == 0)
			continue;
		if (is_full(run, batch, &posting))
		{
			run->more = true;
			break;
		}
		append(run, &posting);
	}
}

/* Restores the heap after the run on top moved, and shows who is on top. */
static void
settle(ValuesList *list)
{
	Run		   *run = (Run *) DatumGetPointer(binaryheap_first(list->heap));

	if (run->at < run->count)
		binaryheap_replace_first(list->heap, PointerGetDatum(run));
	else
		(void) binaryheap_remove_first(list->heap);
	show_top(list);
}

/* binaryheap keeps the greatest on top: the earliest is the greatest. */
static int
compare_runs(Datum a, Datum b, void *arg)
{
	Run		   *one = (Run *) DatumGetPointer(a);
	Run		   *other = (Run *) DatumGetPointer(b);

	return -act_id_order(*(ScanDirection *) arg, &one->items[one->at].id,
						 &other->items[other->at].id);
}

static void
show_top(ValuesList *list)
{
	list->base.valid = !binaryheap_empty(list->heap);
	if (list->base.valid)
	{
		Run		   *run = (Run *) DatumGetPointer(binaryheap_first(list->heap));

		list->base.at = run->items[run->at];
	}
}

static void
advance_values(ActList *base)
{
	ValuesList *list = (ValuesList *) base;
	Run		   *run = (Run *) DatumGetPointer(binaryheap_first(list->heap));

	if (++run->at == run->count && run->more)
	{
		pg_uuid_t	last = run->items[run->count - 1].id;

		refill(list, run, &last, false);
	}
	settle(list);
}

/* Runs that are behind the target are on top, one after another. */
static void
seek_values(ActList *base, const pg_uuid_t *target)
{
	ValuesList *list = (ValuesList *) base;

	base->jumped = false;
	while (base->valid &&
		   act_id_order(list->direction, &base->at.id, target) < 0)
	{
		Run		   *run = (Run *) DatumGetPointer(binaryheap_first(list->heap));

		CHECK_FOR_INTERRUPTS();
		while (run->at < run->count &&
			   act_id_order(list->direction, &run->items[run->at].id,
							target) < 0)
			run->at++;
		if (run->at == run->count && run->more)
		{
			refill(list, run, target, true);
			base->jumped = true;
		}
		settle(list);
	}
}

static void
close_values(ActList *base)
{
	ValuesList *list = (ValuesList *) base;

	act_walk_close(list->walk);
	binaryheap_free(list->heap);
	pfree(list);
}
