/*
 * api.h
 *		Requests that the database answers.
 */
#ifndef API_H
#define API_H

#include "http.h"
#include "url.h"

/* /api/v1/...: what activity.http() says. */
extern void api_request(Http *http, const Url *url);

#endif
