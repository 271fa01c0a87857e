/*
 * webhook/url.h
 *		Which addresses a webhook may be sent to.
 */
#ifndef ACT_URL_H
#define ACT_URL_H

#include "postgres.h"

#define ACT_URL_MAX 2048		/* bytes */

/*
 * Why the address can't be used, a constant or palloc'd phrase that ends
 * "url …"; NULL if it can.  Looks at the text alone: what a name resolves to
 * is for whoever connects to check.
 */
extern const char *act_url_problem(const char *url, int len);

/* Throws ERRCODE_ACT_BAD_URL with the problem, if there is one. */
extern void act_url_check(const char *url, int len);

#endif
