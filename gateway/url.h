/*
 * url.h
 *		The target of a request: path and query.
 */
#ifndef URL_H
#define URL_H

#include "buffer.h"

#define SEGMENTS_MOST 16

typedef struct Url
{
	int			count;
	char	   *segments[SEGMENTS_MOST];	/* decoded */
	char	   *path;			/* as it came, without the query */
	char	   *query;			/* as it came; empty if there is none */
} Url;

/*
 * Splits at the slashes first and decodes then, so that %2F is part of a segment.
 * False for what is no path: bad escapes, NUL, bytes that are not UTF-8, too many
 * segments.
 */
extern bool url_parse(const char *target, Url *url);
extern void url_free(Url *url);

/*
 * The next name=value of a query, decoded, to be freed; false at the end.  What
 * can't be decoded is left out.
 */
extern bool url_next_parameter(const char **query, char **name, char **value);

#endif
