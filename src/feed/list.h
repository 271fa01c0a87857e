/*
 * feed/list.h
 *		Ordered lists of postings of one partition, and how they combine.
 */
#ifndef ACT_FEED_LIST_H
#define ACT_FEED_LIST_H

#include "feed/walk.h"

/* The indexes that every partition has. */
typedef enum ActIndex
{
	ACT_INDEX_KEY,				/* (organization, id) */
	ACT_INDEX_TYPE,				/* (organization, type, id) */
	ACT_INDEX_ACTOR,			/* (actor_hash, organization, id) */
	ACT_INDEX_SUBJECT,			/* (subject_hash, organization, id) */
	ACT_INDEX_BEHALF,			/* (on_behalf_of_hash, organization, id), partial */
	ACT_INDEX_COUNT
} ActIndex;

/* Values of a middle column: those listed, or all but those. */
typedef struct ActValues
{
	bool		negated;
	int			count;
	int32	   *list;			/* ascending, no duplicates */
} ActValues;

/* What the lists of one partition have in common. */
typedef struct ActFeedSource
{
	Relation	heap;
	Oid			indexes[ACT_INDEX_COUNT];
	Snapshot	snapshot;
	ScanDirection direction;
	int32		organization;
	pg_uuid_t	low;			/* both inclusive */
	pg_uuid_t	high;
	int			batch;			/* how many postings will likely be read */
} ActFeedSource;

/*
 * Postings in the order of the source's direction, by id.  An id has several
 * only where its row was rewritten: one of them is visible, and the reader must
 * look at it to know that it is still what was asked for.  Rows of one id come in no particular order (a btree
 * going backward gives the rows of a deduplicated entry forward).
 */
typedef struct ActList ActList;
struct ActList
{
	bool		valid;			/* is there a current posting? */
	bool		jumped;			/* the last seek descended the tree */
	ActPosting	at;				/* the current posting */
	const ActFeedSource *source;

	/* The next one. */
	void		(*advance) (ActList *list);

	/* The first at or beyond target; stays where it is if it is there. */
	void		(*seek) (ActList *list, const pg_uuid_t *target);
	void		(*close) (ActList *list);
};

/* Each opens at its first posting, in the current memory context. */

/* Postings of one value of an index; value 0 of ACT_INDEX_KEY is everything. */
extern ActList *act_list_one(const ActFeedSource *source, ActIndex index,
							 int32 value);

/* Postings of several values, merged. */
extern ActList *act_list_values(const ActFeedSource *source, ActIndex index,
								const ActValues *values);

/*
 * How much rarer one list is than the other that it is intersected with; kept
 * from month to month, starting as zeros.
 */
typedef struct ActRarity
{
	int			jumps;			/* of the other in a row */
	int			unasked;		/* left to show without asking the other */
} ActRarity;

/*
 * Postings of one (which it takes over) whose ids are among those of the values
 * in the index, too.  Some may be shown that are not: the reader must look at
 * the row anyway.
 */
extern ActList *act_list_both(ActList *one, ActIndex index,
							  const ActValues *values, ActRarity *rarity);

/*
 * Postings of base that have none of the listed types; takes base over, of
 * which NULL is everything.  *patience counts down what is read in vain; at zero the
 * list reads the other types instead of skipping these.
 */
extern ActList *act_list_without(const ActFeedSource *source, ActList *base,
								 const ActValues *types, int *patience);

/* <0, 0, >0: a comes before, is, comes after b in this direction. */
static inline int
act_id_order(ScanDirection direction, const pg_uuid_t *a, const pg_uuid_t *b)
{
	int			order = memcmp(a, b, UUID_LEN);

	return ScanDirectionIsForward(direction) ? order : -order;
}

/* The bounds in the order in which the source's lists meet them. */
static inline const pg_uuid_t *
act_source_start(const ActFeedSource *source)
{
	return ScanDirectionIsForward(source->direction) ?
		&source->low : &source->high;
}

static inline const pg_uuid_t *
act_source_end(const ActFeedSource *source)
{
	return ScanDirectionIsForward(source->direction) ?
		&source->high : &source->low;
}

/* A list walks over this many postings before it descends the tree again:
 * about half an index page, where a descent reads three. */
#define ACT_LIST_STEPS 100

#endif
