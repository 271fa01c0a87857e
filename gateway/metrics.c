/*
 * metrics.c
 *		What is counted, for /metrics.
 */
#include "metrics.h"

Metrics		metrics;

const char *const outcome_names[OUTCOMES] = {
	"delivered", "refused", "name", "address", "connect", "tls", "timeout",
	"reset", "protocol", "own"
};
