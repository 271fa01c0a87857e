/*
 * track/row.h
 *		A tracked table's row, as a plan reads it.
 */
#ifndef ACT_TRACKED_ROW_H
#define ACT_TRACKED_ROW_H

#include "track/plan.h"

/* A row as one plan reads it. */
typedef struct ActRow
{
	ActPlan    *plan;
	TupleTableSlot *slot;
} ActRow;

/* The state of a row, by a machine of its plan. */
extern int	act_tracked_state(const ActRow *row, int machine);

/* Whether a column is the same in both rows. */
extern bool act_tracked_same(const ActRow *old, const ActRow *new, int column);

/* A column's value as text: NULL for null. */
extern char *act_tracked_text(const ActRow *row, int column, int *len);

/* As JSON; false for null. */
extern bool act_tracked_json(const ActRow *row, int column, JsonbValue *json);

/* Whether the value is in the set. */
extern bool act_tracked_matches(const ActRow *row, int column,
							   const ActWords *words);

/* Whether no column differs that "*" means; partitions by column name. */
extern bool act_tracked_same_row(const ActRow *old, const ActRow *new);

/* One of the values that a column of the plan consists of. */
extern Datum act_tracked_value(const ActRow *row, int column, int part,
							   bool *isnull);

/* Whether the text, folded as act_tracking_fold does, is the word. */
extern bool act_tracked_is_word(const char *text, int len, const char *word);

/*
 * The organization that the row names; NULL if it names none, or what can be
 * none's id.
 */
extern char *act_tracked_organization(const ActRow *row, int *len);

#endif
