/*
 * stream.h
 *		Requests for a stream.
 */
#ifndef STREAM_H
#define STREAM_H

#include "http.h"
#include "url.h"

/* GET /api/v1/organizations/{organization}/stream: answers the request. */
extern void stream_request(Http *http, const Url *url);

/* Adds the words of a list with commas to an array literal that is begun. */
extern void stream_add_words(Buffer *array, const char *list);

#endif
