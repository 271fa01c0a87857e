/*
 * feed_stream.h
 *		Ordered streams of postings of one partition, and how they combine.
 */
#ifndef ACT_FEED_STREAM_H
#define ACT_FEED_STREAM_H

#include "feed_walk.h"

/* The indexes that every partition has. */
typedef enum ActIndex
{
	ACT_INDEX_KEY,				/* (organization, id) */
	ACT_INDEX_TYPE,				/* (organization, type, id) */
	ACT_INDEX_ACTOR,			/* (organization, actor_hash, id) */
	ACT_INDEX_SUBJECT,			/* (organization, subject_hash, id) */
	ACT_INDEX_COUNT
} ActIndex;

/* Values of a middle column: those listed, or all but those. */
typedef struct ActValues
{
	bool		negated;
	int			count;
	int32	   *list;			/* ascending, no duplicates */
} ActValues;

/* What the streams of one partition have in common. */
typedef struct ActSource
{
	Relation	heap;
	Oid			indexes[ACT_INDEX_COUNT];
	Snapshot	snapshot;
	ScanDirection direction;
	int32		organization;
	pg_uuid_t	low;			/* both inclusive */
	pg_uuid_t	high;
	int			batch;			/* how many postings will likely be read */
} ActSource;

/*
 * Postings in the order of the source's direction, by id.  An id has several
 * only where its row was rewritten: one of them is visible, all have the same
 * type, and the reader must look at the row to know that the rest is still
 * what was asked for.  Rows of one id come in no particular order (a btree
 * going backward gives the rows of a deduplicated entry forward).
 */
typedef struct ActStream ActStream;
struct ActStream
{
	bool		valid;			/* is there a current posting? */
	ActPosting	at;				/* the current posting */
	const ActSource *source;

	/* The next one. */
	void		(*advance) (ActStream *stream);

	/* The first at or beyond target; stays where it is if it is there. */
	void		(*seek) (ActStream *stream, const pg_uuid_t *target);
	void		(*close) (ActStream *stream);
};

/* Each opens at its first posting, in the current memory context. */

/* Postings of one value of an index; value 0 of ACT_INDEX_KEY is everything. */
extern ActStream *act_stream_one(const ActSource *source, ActIndex index,
								 int32 value);

/* Postings of several values, merged. */
extern ActStream *act_stream_values(const ActSource *source, ActIndex index,
									const ActValues *values);

/* Postings of one whose ids other has, too; takes both over. */
extern ActStream *act_stream_both(ActStream *one, ActStream *other);

/*
 * Postings of base that have none of the listed types; takes base over, of
 * which NULL is everything.  *patience counts down what is read in vain; at zero the
 * stream reads the other types instead of skipping these.
 */
extern ActStream *act_stream_without(const ActSource *source, ActStream *base,
									 const ActValues *types, int *patience);

/* <0, 0, >0: a comes before, is, comes after b in this direction. */
static inline int
act_id_order(ScanDirection direction, const pg_uuid_t *a, const pg_uuid_t *b)
{
	int			order = memcmp(a, b, UUID_LEN);

	return ScanDirectionIsForward(direction) ? order : -order;
}

/* The bounds in the order in which the source's streams meet them. */
static inline const pg_uuid_t *
act_source_start(const ActSource *source)
{
	return ScanDirectionIsForward(source->direction) ?
		&source->low : &source->high;
}

static inline const pg_uuid_t *
act_source_end(const ActSource *source)
{
	return ScanDirectionIsForward(source->direction) ?
		&source->high : &source->low;
}

/* A stream walks over this many postings before it descends the tree again:
 * about half an index page, where a descent reads three. */
#define ACT_STREAM_STEPS 100

#endif
