/*
 * taxonomy/suggestion.h
 *		The errors for keys and categories that don't exist, with what may be meant.
 */
#ifndef ACT_SUGGESTION_H
#define ACT_SUGGESTION_H

#include "postgres.h"

#include "base/compat.h"

/*
 * Both report ERRCODE_ACT_UNKNOWN_EVENT_TYPE.  The first returns only if soft is
 * an ErrorSaveContext, as input functions may get one from PostgreSQL 16 on.
 */
extern void act_suggestion_report(const char *key, int len, struct Node *soft);
pg_noreturn extern void act_suggestion_throw_category(const char *category, int len);

#endif
