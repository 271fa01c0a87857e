/*
 * status.h
 *		How the gateway does: /healthz and /metrics.
 */
#ifndef STATUS_H
#define STATUS_H

#include "http.h"

extern void status_health(Http *http);
extern void status_metrics(Http *http);

#endif
