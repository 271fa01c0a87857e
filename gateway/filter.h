/*
 * filter.h
 *		Which event types a client wants.
 */
#ifndef FILTER_H
#define FILTER_H

#include "database.h"
#include "map.h"

/*
 * The words of a subscription, and what they meant when the database was asked.
 * Clients with the same words share one.
 */
typedef struct Filter
{
	int			users;
	char	   *words;			/* a PostgreSQL array literal; the key */
	Map		   *types;			/* of every type there was; NULL: not known yet */
	Query	   *query;			/* that asks */
	bool		stale;			/* a type has come that is not in types */
} Filter;

typedef enum Verdict
{
	FILTER_TAKES, FILTER_LEAVES_OUT,
	FILTER_UNKNOWN				/* the database has to be asked */
} Verdict;

extern void filters_open(void);

/* The filter of these words.  It may not be known yet, and the words may be wrong. */
extern Filter *filter_get(const char *words);
extern void filter_release(Filter *filter);

/* Are the words known to be right? */
extern bool filter_is_known(const Filter *filter);

/* NULL takes everything. */
extern Verdict filter_judge(Filter *filter, const char *event_type);

/* Once a second: asks again about those that are stale. */
extern void filters_tick(void);

#endif
