/*
 * export/scope.h
 *		Which events were published up to a cursor.
 */
#ifndef ACT_EXPORT_SCOPE_H
#define ACT_EXPORT_SCOPE_H

#include "executor/tuptable.h"

typedef struct ActExportScope ActExportScope;

/*
 * Reads with the active snapshot, into the current memory context: 16 bytes for
 * each event that was published after the cursor.  Throws ERRCODE_ACT_CURSOR_*
 * for a cursor of another history, ERRCODE_ACT_BAD_CURSOR.
 */
extern ActExportScope *act_export_scope(int32 organization, const char *cursor);

/* Throws as that does. */
extern void act_export_scope_check(int32 organization, const char *cursor);

/* Was the event of this row published at the cursor or before? */
extern bool act_export_scope_has(const ActExportScope *scope, TupleTableSlot *row);

/* The cursor of the newest event that is published, palloc'd. */
extern char *act_export_scope_newest(int32 organization);

#endif
