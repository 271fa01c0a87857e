/*
 * route.h
 *		Which part answers a request.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "http.h"

extern void route_request(Http *http);

#endif
