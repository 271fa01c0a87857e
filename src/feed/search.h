/*
 * feed/search.h
 *		Case-insensitive search for a piece of text.
 */
#ifndef ACT_FEED_SEARCH_H
#define ACT_FEED_SEARCH_H

#include "postgres.h"

typedef struct ActSearch ActSearch;

/* Prepares to look for this text; NULL if it is empty. */
extern ActSearch *act_search_prepare(const text *wanted);

/* Whether it occurs in these bytes, in any case of letters. */
extern bool act_search_occurs(ActSearch *search, const char *bytes, int len);

#endif
