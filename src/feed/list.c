/*
 * feed/list.c
 *		Ordered lists of postings of one partition, and how they combine.
 *
 * Filters are combined on the indexes alone, by leapfrog: each list is asked
 * for the first posting at or beyond where the other one stands, and the heap
 * is read only for what all of them have.  Whether a list gets there by
 * stepping or by descending the tree again depends on how far it is, so two
 * dense lists cost their index pages, and a rare one makes the other jump.
 */
#include "activity.h"

#include "miscadmin.h"

#include "feed/list.h"

typedef struct OneList
{
	ActList		base;
	ActWalk    *walk;
	int32		value;
} OneList;

typedef struct BothList
{
	ActList		base;
	ActList    *one;
	ActList    *other;			/* NULL: not asked yet */
	ActIndex	index;			/* what other is made of */
	const ActValues *values;
	ActFeedSource	rest;			/* where other begins */
	ActRarity  *rarity;
} BothList;

/*
 * Where one has so few that other jumps for each of them, it costs less to
 * look at the row than to ask other: after so many jumps in a row, so many of
 * one are not asked about.
 */
#define JUMPS 4
#define UNASKED 64

/* Either base without excluded, or all that is not excluded, and base. */
typedef struct WithoutList
{
	ActList		base;
	ActList    *from;			/* NULL after the switch, if it was everything */
	bool		from_all;
	ActList    *excluded;		/* NULL after the switch */
	ActList    *others;			/* NULL before the switch */
	ActValues	unwanted;		/* types, listed */
	ActValues	wanted;			/* the same list, negated */
	int		   *patience;
	ActRarity	rarity;
} WithoutList;

static void descend(OneList *list, const pg_uuid_t *from);
static void advance_one(ActList *base);
static void seek_one(ActList *base, const pg_uuid_t *target);
static void close_one(ActList *base);
static void open_other(BothList *list);
static void agree(BothList *list);
static void advance_both(ActList *base);
static void seek_both(ActList *base, const pg_uuid_t *target);
static void close_both(ActList *base);
static ActList *remaining(WithoutList *list);
static void settle(WithoutList *list);
static void switch_over(WithoutList *list);
static void advance_without(ActList *base);
static void seek_without(ActList *base, const pg_uuid_t *target);
static void close_without(ActList *base);

ActList *
act_list_one(const ActFeedSource *source, ActIndex index, int32 value)
{
	OneList    *list = palloc0(sizeof(OneList));

	list->base.source = source;
	list->base.advance = advance_one;
	list->base.seek = seek_one;
	list->base.close = close_one;
	list->value = value;
	list->walk = act_walk_open(source->heap, source->indexes[index],
							   source->snapshot, source->direction,
							   source->organization);
	descend(list, act_source_start(source));
	advance_one(&list->base);
	return &list->base;
}

static void
descend(OneList *list, const pg_uuid_t *from)
{
	act_walk_seek(list->walk, list->value, from,
				  act_source_end(list->base.source));
}

static void
advance_one(ActList *base)
{
	OneList    *list = (OneList *) base;
	int32		value;

	base->valid = act_walk_step(list->walk, &value, &base->at);
}

static void
seek_one(ActList *base, const pg_uuid_t *target)
{
	ScanDirection direction = base->source->direction;

	base->jumped = false;
	for (int steps = 0; base->valid; steps++)
	{
		if (act_id_order(direction, &base->at.id, target) >= 0)
			return;
		if (steps == ACT_LIST_STEPS)
		{
			descend((OneList *) base, target);
			base->jumped = true;
		}
		advance_one(base);
	}
}

static void
close_one(ActList *base)
{
	act_walk_close(((OneList *) base)->walk);
	pfree(base);
}

ActList *
act_list_both(ActList *one, ActIndex index, const ActValues *values,
			  ActRarity *rarity)
{
	BothList   *list = palloc0(sizeof(BothList));

	list->base.source = one->source;
	list->base.advance = advance_both;
	list->base.seek = seek_both;
	list->base.close = close_both;
	list->one = one;
	list->index = index;
	list->values = values;
	list->rarity = rarity;
	agree(list);
	return &list->base;
}

/* From where one stands: what lies before is nobody's business. */
static void
open_other(BothList *list)
{
	list->rest = *list->base.source;
	if (ScanDirectionIsForward(list->rest.direction))
		list->rest.low = list->one->at.id;
	else
		list->rest.high = list->one->at.id;
	list->other = act_list_values(&list->rest, list->index, list->values);
}

/* Moves whichever is behind until both stand on the same id. */
static void
agree(BothList *list)
{
	ActList    *one = list->one;
	ActRarity  *rarity = list->rarity;
	ScanDirection direction = list->base.source->direction;

	list->base.valid = one->valid;
	while (one->valid && rarity->unasked == 0)
	{
		ActList    *other = list->other;
		int			order;

		CHECK_FOR_INTERRUPTS();
		if (other == NULL)
		{
			open_other(list);
			other = list->other;
			other->jumped = true;
		}
		else
			other->seek(other, &one->at.id);
		if (!other->jumped || !other->valid)
			rarity->jumps = 0;
		else if (++rarity->jumps == JUMPS)
		{
			rarity->jumps = 0;
			rarity->unasked = UNASKED;
		}

		list->base.valid = other->valid;
		if (!other->valid)
			return;
		order = act_id_order(direction, &one->at.id, &other->at.id);
		Assert(order <= 0);
		if (order == 0)
			break;
		one->seek(one, &other->at.id);
		if (one->jumped)
			rarity->jumps = 0;
		list->base.valid = one->valid;
	}
	if (list->base.valid)
		list->base.at = one->at;
	if (rarity->unasked > 0)
		rarity->unasked--;
}

static void
advance_both(ActList *base)
{
	BothList   *list = (BothList *) base;

	list->one->advance(list->one);
	agree(list);
}

static void
seek_both(ActList *base, const pg_uuid_t *target)
{
	BothList   *list = (BothList *) base;

	list->one->seek(list->one, target);
	base->jumped = list->one->jumped;
	agree(list);
}

static void
close_both(ActList *base)
{
	BothList   *list = (BothList *) base;

	list->one->close(list->one);
	if (list->other != NULL)
		list->other->close(list->other);
	pfree(base);
}

ActList *
act_list_without(const ActFeedSource *source, ActList *base,
				 const ActValues *types, int *patience)
{
	WithoutList *list = palloc0(sizeof(WithoutList));

	list->base.source = source;
	list->base.advance = advance_without;
	list->base.seek = seek_without;
	list->base.close = close_without;
	list->from_all = base == NULL;
	list->unwanted = *types;
	list->unwanted.negated = false;
	list->wanted = *types;
	list->wanted.negated = true;
	list->patience = patience;
	list->from = base;
	if (*patience <= 0)
		switch_over(list);
	else
	{
		if (base == NULL)
			list->from = act_list_one(source, ACT_INDEX_KEY, 0);
		if (list->from->valid)
			list->excluded = act_list_values(source, ACT_INDEX_TYPE,
											 &list->unwanted);
	}
	settle(list);
	return &list->base;
}

/* What is read for candidates. */
static ActList *
remaining(WithoutList *list)
{
	return list->others != NULL ? list->others : list->from;
}

/* Stands still at the first candidate that is not excluded. */
static void
settle(WithoutList *list)
{
	ActList    *from = remaining(list);
	ActList    *excluded = list->excluded;
	ScanDirection direction = list->base.source->direction;

	while (from->valid && excluded != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		excluded->seek(excluded, &from->at.id);
		if (!excluded->valid ||
			act_id_order(direction, &excluded->at.id, &from->at.id) != 0)
			break;
		from->advance(from);
		if (--*list->patience <= 0 && from->valid)
		{
			switch_over(list);
			from = remaining(list);
			excluded = NULL;
		}
	}
	list->base.valid = from->valid;
	if (from->valid)
		list->base.at = from->at;
}

/* From here on, reads the types that are not excluded. */
static void
switch_over(WithoutList *list)
{
	const ActFeedSource *source = list->base.source;
	ActFeedSource  *rest = palloc(sizeof(ActFeedSource));

	*rest = *source;
	if (list->from != NULL && list->from->valid)
	{
		/* what lies behind needs no reading */
		if (ScanDirectionIsForward(source->direction))
			rest->low = list->from->at.id;
		else
			rest->high = list->from->at.id;
	}
	if (list->excluded != NULL)
		list->excluded->close(list->excluded);
	list->excluded = NULL;

	if (list->from_all)
	{
		if (list->from != NULL)
			list->from->close(list->from);
		list->from = NULL;
		list->others = act_list_values(rest, ACT_INDEX_TYPE,
									   &list->wanted);
	}
	else if (list->from->valid)
	{
		list->others = act_list_both(list->from, ACT_INDEX_TYPE, &list->wanted,
									 &list->rarity);
		list->from = NULL;
	}
}

static void
advance_without(ActList *base)
{
	WithoutList *list = (WithoutList *) base;
	ActList    *from = remaining(list);

	from->advance(from);
	settle(list);
}

static void
seek_without(ActList *base, const pg_uuid_t *target)
{
	WithoutList *list = (WithoutList *) base;
	ActList    *from = remaining(list);

	from->seek(from, target);
	base->jumped = from->jumped;
	settle(list);
}

static void
close_without(ActList *base)
{
	WithoutList *list = (WithoutList *) base;

	if (list->from != NULL)
		list->from->close(list->from);
	if (list->excluded != NULL)
		list->excluded->close(list->excluded);
	if (list->others != NULL)
		list->others->close(list->others);
	pfree(base);
}
