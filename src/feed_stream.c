/*
 * feed_stream.c
 *		Ordered streams of postings of one partition, and how they combine.
 *
 * Filters are combined on the indexes alone, by leapfrog: each stream is asked
 * for the first posting at or beyond where the other one stands, and the heap
 * is read only for what all of them have.  Whether a stream gets there by
 * stepping or by descending the tree again depends on how far it is, so two
 * dense streams cost their index pages, and a rare one makes the other jump.
 */
#include "activity.h"

#include "miscadmin.h"

#include "feed_stream.h"

typedef struct OneStream
{
	ActStream	base;
	ActWalk    *walk;
	int32		value;
} OneStream;

typedef struct BothStream
{
	ActStream	base;
	ActStream  *one;
	ActStream  *other;
} BothStream;

/* Either base without excluded, or all that is not excluded, and base. */
typedef struct WithoutStream
{
	ActStream	base;
	ActStream  *from;			/* NULL after the switch, if it was everything */
	bool		from_all;
	ActStream  *excluded;		/* NULL after the switch */
	ActStream  *others;			/* NULL before the switch */
	ActValues	unwanted;		/* types, listed */
	ActValues	wanted;			/* the same list, negated */
	int		   *patience;
} WithoutStream;

static void descend(OneStream *stream, const pg_uuid_t *from);
static void advance_one(ActStream *base);
static void seek_one(ActStream *base, const pg_uuid_t *target);
static void close_one(ActStream *base);
static void agree(BothStream *stream);
static void advance_both(ActStream *base);
static void seek_both(ActStream *base, const pg_uuid_t *target);
static void close_both(ActStream *base);
static ActStream *remaining(WithoutStream *stream);
static void settle(WithoutStream *stream);
static void switch_over(WithoutStream *stream);
static void advance_without(ActStream *base);
static void seek_without(ActStream *base, const pg_uuid_t *target);
static void close_without(ActStream *base);

ActStream *
act_stream_one(const ActSource *source, ActIndex index, int32 value)
{
	OneStream  *stream = palloc0(sizeof(OneStream));

	stream->base.source = source;
	stream->base.advance = advance_one;
	stream->base.seek = seek_one;
	stream->base.close = close_one;
	stream->value = value;
	stream->walk = act_walk_open(source->heap, source->indexes[index],
								 source->snapshot, source->direction,
								 source->organization);
	descend(stream, act_source_start(source));
	advance_one(&stream->base);
	return &stream->base;
}

static void
descend(OneStream *stream, const pg_uuid_t *from)
{
	act_walk_seek(stream->walk, stream->value, from,
				  act_source_end(stream->base.source));
}

static void
advance_one(ActStream *base)
{
	OneStream  *stream = (OneStream *) base;
	int32		value;

	base->valid = act_walk_step(stream->walk, &value, &base->at);
}

static void
seek_one(ActStream *base, const pg_uuid_t *target)
{
	ScanDirection direction = base->source->direction;

	for (int steps = 0; base->valid; steps++)
	{
		if (act_id_order(direction, &base->at.id, target) >= 0)
			return;
		if (steps == ACT_STREAM_STEPS)
			descend((OneStream *) base, target);
		advance_one(base);
	}
}

static void
close_one(ActStream *base)
{
	act_walk_close(((OneStream *) base)->walk);
	pfree(base);
}

ActStream *
act_stream_both(ActStream *one, ActStream *other)
{
	BothStream *stream = palloc0(sizeof(BothStream));

	stream->base.source = one->source;
	stream->base.advance = advance_both;
	stream->base.seek = seek_both;
	stream->base.close = close_both;
	stream->one = one;
	stream->other = other;
	agree(stream);
	return &stream->base;
}

/* Moves whichever is behind until both stand on the same id. */
static void
agree(BothStream *stream)
{
	ActStream  *one = stream->one;
	ActStream  *other = stream->other;
	ScanDirection direction = stream->base.source->direction;

	while (one->valid && other->valid)
	{
		int			order = act_id_order(direction, &one->at.id, &other->at.id);

		CHECK_FOR_INTERRUPTS();
		if (order == 0)
			break;
		if (order < 0)
			one->seek(one, &other->at.id);
		else
			other->seek(other, &one->at.id);
	}
	stream->base.valid = one->valid && other->valid;
	if (stream->base.valid)
		stream->base.at = one->at;
}

static void
advance_both(ActStream *base)
{
	BothStream *stream = (BothStream *) base;

	stream->one->advance(stream->one);
	agree(stream);
}

static void
seek_both(ActStream *base, const pg_uuid_t *target)
{
	BothStream *stream = (BothStream *) base;

	stream->one->seek(stream->one, target);
	agree(stream);
}

static void
close_both(ActStream *base)
{
	BothStream *stream = (BothStream *) base;

	stream->one->close(stream->one);
	stream->other->close(stream->other);
	pfree(base);
}

ActStream *
act_stream_without(const ActSource *source, ActStream *base,
				   const ActValues *types, int *patience)
{
	WithoutStream *stream = palloc0(sizeof(WithoutStream));

	stream->base.source = source;
	stream->base.advance = advance_without;
	stream->base.seek = seek_without;
	stream->base.close = close_without;
	stream->from_all = base == NULL;
	stream->unwanted = *types;
	stream->unwanted.negated = false;
	stream->wanted = *types;
	stream->wanted.negated = true;
	stream->patience = patience;
	stream->from = base;
	if (*patience <= 0)
		switch_over(stream);
	else
	{
		if (base == NULL)
			stream->from = act_stream_one(source, ACT_INDEX_KEY, 0);
		if (stream->from->valid)
			stream->excluded = act_stream_values(source, ACT_INDEX_TYPE,
												 &stream->unwanted);
	}
	settle(stream);
	return &stream->base;
}

/* What is read for candidates. */
static ActStream *
remaining(WithoutStream *stream)
{
	return stream->others != NULL ? stream->others : stream->from;
}

/* Stands still at the first candidate that is not excluded. */
static void
settle(WithoutStream *stream)
{
	ActStream  *from = remaining(stream);
	ActStream  *excluded = stream->excluded;
	ScanDirection direction = stream->base.source->direction;

	while (from->valid && excluded != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		excluded->seek(excluded, &from->at.id);
		if (!excluded->valid ||
			act_id_order(direction, &excluded->at.id, &from->at.id) != 0)
			break;
		from->advance(from);
		if (--*stream->patience <= 0 && from->valid)
		{
			switch_over(stream);
			from = remaining(stream);
			excluded = NULL;
		}
	}
	stream->base.valid = from->valid;
	if (from->valid)
		stream->base.at = from->at;
}

/* From here on, reads the types that are not excluded. */
static void
switch_over(WithoutStream *stream)
{
	const ActSource *source = stream->base.source;
	ActSource  *rest = palloc(sizeof(ActSource));

	*rest = *source;
	if (stream->from != NULL && stream->from->valid)
	{
		/* what lies behind needs no reading */
		if (ScanDirectionIsForward(source->direction))
			rest->low = stream->from->at.id;
		else
			rest->high = stream->from->at.id;
	}
	if (stream->excluded != NULL)
		stream->excluded->close(stream->excluded);
	stream->excluded = NULL;

	if (stream->from_all)
	{
		if (stream->from != NULL)
			stream->from->close(stream->from);
		stream->from = NULL;
		stream->others = act_stream_values(rest, ACT_INDEX_TYPE,
										   &stream->wanted);
	}
	else if (stream->from->valid)
	{
		stream->others = act_stream_both(stream->from,
										 act_stream_values(rest, ACT_INDEX_TYPE,
														   &stream->wanted));
		stream->from = NULL;
	}
}

static void
advance_without(ActStream *base)
{
	WithoutStream *stream = (WithoutStream *) base;
	ActStream  *from = remaining(stream);

	from->advance(from);
	settle(stream);
}

static void
seek_without(ActStream *base, const pg_uuid_t *target)
{
	WithoutStream *stream = (WithoutStream *) base;
	ActStream  *from = remaining(stream);

	from->seek(from, target);
	settle(stream);
}

static void
close_without(ActStream *base)
{
	WithoutStream *stream = (WithoutStream *) base;

	if (stream->from != NULL)
		stream->from->close(stream->from);
	if (stream->excluded != NULL)
		stream->excluded->close(stream->excluded);
	if (stream->others != NULL)
		stream->others->close(stream->others);
	pfree(base);
}
