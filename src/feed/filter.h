/*
 * feed/filter.h
 *		What a reader asked for: the arguments of feed(), checked.
 */
#ifndef ACT_FEED_FILTER_H
#define ACT_FEED_FILTER_H

#include "fmgr.h"
#include "executor/tuptable.h"
#include "utils/array.h"

#include "feed/search.h"
#include "feed/list.h"

/* The filter arguments, which feed, feed_page and feed_count begin with. */
#define ACT_FEED_ARG_ORGANIZATION	0
#define ACT_FEED_ARG_EVENT_TYPES	1
#define ACT_FEED_ARG_ACTOR			2
#define ACT_FEED_ARG_SUBJECT		3
#define ACT_FEED_ARG_SINCE			4
#define ACT_FEED_ARG_UNTIL			5
#define ACT_FEED_ARG_SEARCH			6

typedef struct ActFeedFilter
{
	int32		organization;
	bool		impossible;		/* no event can match; the rest is not set */

	/* Range, all inclusive; ids say it exactly, times pick the months. */
	pg_uuid_t	low;
	pg_uuid_t	high;
	TimestampTz earliest;
	TimestampTz latest;

	/* An empty list that is negated is no filter at all. */
	ActValues	types;
	ActValues	actors;			/* hashes; one, or no filter */
	ActValues	subjects;		/* hashes; one or two, or no filter */
	ActValues	behalves;		/* hashes; one, or no filter */

	text	   *actor;			/* NULL: any */
	text	   *subject;		/* NULL: any; an id or kind:id */
	text	   *on_behalf_of;	/* NULL: any */
	ActSearch  *search;			/* NULL: any */
} ActFeedFilter;

static inline bool
act_values_any(const ActValues *values)
{
	return values->negated && values->count == 0;
}

/* Is this one asked for? */
extern bool act_values_have(const ActValues *values, int32 value);

/*
 * Reads the filter arguments, after asking whether the organization and the
 * viewer (a text argument, number viewer_arg, which on_behalf_of follows; negative:
 * none) may read the feed.  Errors: 22004 for a null where there must be a value, 42501 and
 * ERRCODE_ACT_NOT_A_MEMBER for who may not, those of the taxonomy.
 */
extern ActFeedFilter *act_feed_filter_read(FunctionCallInfo fcinfo,
										   int viewer_arg);

/* The tier and viewer checks alone; the organization's key, 0 for unknown. */
extern int32 act_feed_filter_admit(FunctionCallInfo fcinfo, int viewer_arg);

/* Reads event_types, an array of text, into the filter. */
extern void act_feed_filter_types(ActFeedFilter *filter, ArrayType *words);

/* Narrows the range: both exclusive; since inclusive, until exclusive. */
extern void act_feed_filter_before(ActFeedFilter *filter, const pg_uuid_t *id);
extern void act_feed_filter_after(ActFeedFilter *filter, const pg_uuid_t *id);
extern void act_feed_filter_since(ActFeedFilter *filter, TimestampTz time);
extern void act_feed_filter_until(ActFeedFilter *filter, TimestampTz time);

/* A filter that takes every event of the organization. */
extern ActFeedFilter *act_feed_filter_all(int32 organization);

/* Whether a row that the indexes gave really matches. */
extern bool act_feed_filter_takes(const ActFeedFilter *filter,
								  TupleTableSlot *row);

#endif
