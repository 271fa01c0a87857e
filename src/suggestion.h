/*
 * suggestion.h
 *		The errors for keys and categories that don't exist, with what may be meant.
 */
#ifndef ACT_SUGGESTION_H
#define ACT_SUGGESTION_H

#include "postgres.h"

#include "compat.h"

/* Throw ERRCODE_ACT_UNKNOWN_EVENT_TYPE. */
pg_noreturn extern void act_suggestion_throw(const char *key, int len);
pg_noreturn extern void act_suggestion_throw_category(const char *category, int len);

#endif
