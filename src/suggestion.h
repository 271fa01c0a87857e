/*
 * suggestion.h
 *		The errors for keys and categories that don't exist, with what may be meant.
 */
#ifndef ACT_SUGGESTION_H
#define ACT_SUGGESTION_H

#include "postgres.h"

/* Throw ERRCODE_ACT_UNKNOWN_EVENT_TYPE. */
extern void pg_attribute_noreturn() act_suggestion_throw(const char *key, int len);
extern void pg_attribute_noreturn() act_suggestion_throw_category(const char *category, int len);

#endif
