/*
 * track/preset.h
 *		Finds out how a table is to be tracked: the preset of its category, the
 *		table's columns, and what the caller says.
 */
#ifndef ACT_PRESET_H
#define ACT_PRESET_H

#include "base/compat.h"
#include "track/tracking.h"

#include "utils/rel.h"

/*
 * How to track the table: every name resolved, every rule checked against the
 * taxonomy.  columns and rules are what the caller of activity.track() gave, or
 * NULL.  Throws ERRCODE_ACT_UNTRACKABLE, and says what would help.
 */
extern ActTracking *act_preset_resolve(Relation table, const char *category,
									   Jsonb *columns, Jsonb *rules);

/* The first column of those names that the table has, or NULL. */
extern char *act_preset_column(Relation table, const List *names);

/* A name's column could not be found: throws. */
pg_noreturn extern void act_preset_complain(Relation table, const char *category,
											const char *problem,
											const char *name,
											const List *looked_for);

/* preset_rule.c: keeps the rules that can work, completes them, checks them. */
extern void act_preset_check_rules(Relation table, ActTracking *tracking,
								   const List *given);

/* preset_generic.c: for categories that have no preset. */
extern ActTracking *act_preset_generic(const char *category);

#endif
