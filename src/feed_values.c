/*
 * feed_values.c
 *		Postings of several values of one index, merged into one stream.
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

#include "feed_stream.h"

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

typedef struct ValuesStream
{
	ActStream	base;
	ActWalk    *walk;
	const ActValues *values;
	int			batch;
	Run		  **runs;
	int			nruns;
	int			space;
	binaryheap *heap;			/* of the runs, the earliest posting on top */
	ScanDirection direction;
} ValuesStream;

static bool is_listed(const ActValues *values, int32 value);
static bool first_wanted(const ValuesStream *stream, int32 *value);
static bool next_wanted(const ValuesStream *stream, int32 *value);
static bool wanted_from(const ValuesStream *stream, int32 from, int32 *value);
static void descend(ValuesStream *stream, int32 value, const pg_uuid_t *from);
static void load(ValuesStream *stream);
static void load_each(ValuesStream *stream);
static Run *add_run(ValuesStream *stream, int32 value);
static void append(Run *run, const ActPosting *posting);
static void refill(ValuesStream *stream, Run *run, const pg_uuid_t *from,
				   bool inclusive);
static bool is_full(const Run *run, int batch, const ActPosting *posting);
static void settle(ValuesStream *stream);
static int	compare_runs(Datum a, Datum b, void *arg);
static void show_top(ValuesStream *stream);
static void advance_values(ActStream *base);
static void seek_values(ActStream *base, const pg_uuid_t *target);
static void close_values(ActStream *base);

ActStream *
act_stream_values(const ActSource *source, ActIndex index,
				  const ActValues *values)
{
	ValuesStream *stream;

	if (!values->negated && values->count == 1)
		return act_stream_one(source, index, values->list[0]);

	stream = palloc0(sizeof(ValuesStream));
	stream->base.source = source;
	stream->base.advance = advance_values;
	stream->base.seek = seek_values;
	stream->base.close = close_values;
	stream->direction = source->direction;
	stream->values = values;
	stream->batch = Min(Max(source->batch, BATCH_LEAST), BATCH_MOST);
	stream->walk = act_walk_open(source->heap, source->indexes[index],
								 source->snapshot, source->direction,
								 source->organization);
	if (ScanDirectionIsForward(source->direction) && index != ACT_INDEX_TYPE)
		load_each(stream);
	else
		load(stream);
	stream->heap = binaryheap_allocate(Max(stream->nruns, 1), compare_runs,
									   &stream->direction);
	for (int i = 0; i < stream->nruns; i++)
		binaryheap_add_unordered(stream->heap, PointerGetDatum(stream->runs[i]));
	binaryheap_build(stream->heap);
	show_top(stream);
	return &stream->base;
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

/* The first wanted value in the stream's direction; false if there is none. */
static bool
first_wanted(const ValuesStream *stream, int32 *value)
{
	return wanted_from(stream, ScanDirectionIsForward(stream->direction) ?
					   (stream->values->negated ? LEAST_TYPE : PG_INT32_MIN) :
					   PG_INT32_MAX, value);
}

/* The wanted value after *value. */
static bool
next_wanted(const ValuesStream *stream, int32 *value)
{
	if (ScanDirectionIsForward(stream->direction))
		return *value != PG_INT32_MAX &&
			wanted_from(stream, *value + 1, value);
	return *value != PG_INT32_MIN && wanted_from(stream, *value - 1, value);
}

/* The first wanted value at or beyond from. */
static bool
wanted_from(const ValuesStream *stream, int32 from, int32 *value)
{
	const ActValues *values = stream->values;
	bool		forward = ScanDirectionIsForward(stream->direction);

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
descend(ValuesStream *stream, int32 value, const pg_uuid_t *from)
{
	const ActValues *values = stream->values;
	bool		forward = ScanDirectionIsForward(stream->direction);
	int32		until;

	if (values->negated)
		until = forward ? PG_INT32_MAX : LEAST_TYPE;
	else
		until = values->list[forward ? values->count - 1 : 0];
	act_walk_seek_across(stream->walk, value, from, until);
}

/*
 * Reads the first batch of each wanted value, in one pass.  A wanted value of
 * which a batch is full has enough to fill a page alone, so that no older month
 * will be read: that bounds how often the pass has to descend.
 */
static void
load(ValuesStream *stream)
{
	const ActSource *source = stream->base.source;
	bool		forward = ScanDirectionIsForward(stream->direction);
	const pg_uuid_t *start = act_source_start(source);
	const pg_uuid_t *end = act_source_end(source);
	ActPosting	posting;
	int32		wanted;
	int32		value;
	int			skipped = 0;
	Run		   *run = NULL;

	if (!first_wanted(stream, &wanted))
		return;
	descend(stream, wanted, start);
	while (act_walk_step(stream->walk, &value, &posting))
	{
		if (forward ? value > wanted : value < wanted)
		{
			/* that was all of it */
			if (!wanted_from(stream, value, &wanted))
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
					run = add_run(stream, value);
				run->more = is_full(run, stream->batch, &posting);
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
				if (!next_wanted(stream, &wanted))
					break;
				run = NULL;
			}
		}
		if (++skipped > ACT_STREAM_STEPS)
		{
			descend(stream, wanted, start);
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
load_each(ValuesStream *stream)
{
	const pg_uuid_t *start = act_source_start(stream->base.source);

	for (int i = 0; i < stream->values->count; i++)
	{
		Run		   *run = add_run(stream, stream->values->list[i]);

		run->count = stream->batch / 2;
		refill(stream, run, start, true);
		if (run->count == 0)
			stream->nruns--;
	}
}

static Run *
add_run(ValuesStream *stream, int32 value)
{
	Run		   *run = palloc0(sizeof(Run));

	run->value = value;
	run->space = BATCH_LEAST;
	run->items = palloc(run->space * sizeof(ActPosting));
	if (stream->nruns == stream->space)
	{
		stream->space = Max(2 * stream->space, 8);
		stream->runs = stream->runs == NULL ?
			palloc(stream->space * sizeof(Run *)) :
			repalloc(stream->runs, stream->space * sizeof(Run *));
	}
	stream->runs[stream->nruns++] = run;
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
refill(ValuesStream *stream, Run *run, const pg_uuid_t *from, bool inclusive)
{
	int			batch = Min(2 * run->count, BATCH_MOST);
	ActPosting	posting;
	int32		value;

	act_walk_seek(stream->walk, run->value, from,
				  act_source_end(stream->base.source));
	run->count = run->at = 0;
	run->more = false;
	while (act_walk_step(stream->walk, &value, &posting))
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
settle(ValuesStream *stream)
{
	Run		   *run = (Run *) DatumGetPointer(binaryheap_first(stream->heap));

	if (run->at < run->count)
		binaryheap_replace_first(stream->heap, PointerGetDatum(run));
	else
		(void) binaryheap_remove_first(stream->heap);
	show_top(stream);
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
show_top(ValuesStream *stream)
{
	stream->base.valid = !binaryheap_empty(stream->heap);
	if (stream->base.valid)
	{
		Run		   *run = (Run *) DatumGetPointer(binaryheap_first(stream->heap));

		stream->base.at = run->items[run->at];
	}
}

static void
advance_values(ActStream *base)
{
	ValuesStream *stream = (ValuesStream *) base;
	Run		   *run = (Run *) DatumGetPointer(binaryheap_first(stream->heap));

	if (++run->at == run->count && run->more)
	{
		pg_uuid_t	last = run->items[run->count - 1].id;

		refill(stream, run, &last, false);
	}
	settle(stream);
}

/* Runs that are behind the target are on top, one after another. */
static void
seek_values(ActStream *base, const pg_uuid_t *target)
{
	ValuesStream *stream = (ValuesStream *) base;

	while (base->valid &&
		   act_id_order(stream->direction, &base->at.id, target) < 0)
	{
		Run		   *run = (Run *) DatumGetPointer(binaryheap_first(stream->heap));

		CHECK_FOR_INTERRUPTS();
		while (run->at < run->count &&
			   act_id_order(stream->direction, &run->items[run->at].id,
							target) < 0)
			run->at++;
		if (run->at == run->count && run->more)
			refill(stream, run, target, true);
		settle(stream);
	}
}

static void
close_values(ActStream *base)
{
	ValuesStream *stream = (ValuesStream *) base;

	act_walk_close(stream->walk);
	binaryheap_free(stream->heap);
	pfree(stream);
}
