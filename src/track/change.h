/*
 * track/change.h
 *		One change of a tracked table's row, turned into events.
 */
#ifndef ACT_CHANGE_H
#define ACT_CHANGE_H

#include "track/plan.h"

/* A row as one plan reads it. */
typedef struct ActRow
{
	ActPlan    *plan;
	TupleTableSlot *slot;
} ActRow;

/*
 * Records what a change means: inserted (old is NULL), deleted (new is NULL) or
 * updated.  The rows of one update may lie in two partitions, with a plan each
 * of the same tracking.  Leaves garbage in the current context.
 */
extern void act_change_record(const ActRow *old, const ActRow *new);

/* The state of a row, by a machine of its plan. */
extern int	act_change_state(const ActRow *row, int machine);

/* Whether a column is the same in both rows. */
extern bool act_change_same(const ActRow *old, const ActRow *new, int column);

/* A column's value as text: NULL for null. */
extern char *act_change_text(const ActRow *row, int column, int *len);

/* As JSON; false for null. */
extern bool act_change_json(const ActRow *row, int column, JsonbValue *json);

/* Whether the value is in the set. */
extern bool act_change_matches(const ActRow *row, int column,
							   const ActWords *words);

#endif
