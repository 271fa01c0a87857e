/*
 * rate.h
 *		How often a token, and an address, may ask.
 */
#ifndef RATE_H
#define RATE_H

#include "http.h"

/* Counts the request; false if its token, session or address has asked too often. */
extern bool rate_takes(const Http *http);

/* Once a second: forgets who has rested. */
extern void rates_tick(void);

#endif
