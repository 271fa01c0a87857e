/*
 * feed/feed.h
 *		One page of the feed: which events, and in which direction.
 */
#ifndef ACT_FEED_H
#define ACT_FEED_H

#include "feed/filter.h"

#define ACT_FEED_PAGE_DEFAULT 50
#define ACT_FEED_PAGE_MOST 1000

typedef struct ActFeedPage
{
	ActFeedFilter *filter;
	int			size;

	/*
	 * Forward for the events directly newer than a cursor: the page is then
	 * read from its last row to its first.
	 */
	ScanDirection direction;
} ActFeedPage;

/* The size of a page, checked. */
extern int	act_feed_page_size(FunctionCallInfo fcinfo, int argument);

/* Reads and checks the arguments of feed() and feed_page(). */
extern void act_feed_page_read(FunctionCallInfo fcinfo, ActFeedPage *page);

#endif
