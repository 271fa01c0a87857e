/*
 * track/change.h
 *		One change of a tracked table's row, turned into events.
 */
#ifndef ACT_CHANGE_H
#define ACT_CHANGE_H

#include "track/row.h"

/*
 * Records what a change means: inserted (old is NULL), deleted (new is NULL) or
 * updated.  The rows of one update may lie in two partitions, with a plan each
 * of the same tracking.  Leaves garbage in the current context.
 */
extern void act_change_record(const ActRow *old, const ActRow *new);

#endif
