/*
 * track/row_scan.h
 *		The rows of a tracked table, partitions included: all, or those with
 *		given values, by an index where there is one.
 */
#ifndef ACT_ROW_SCAN_H
#define ACT_ROW_SCAN_H

#include "track/change.h"

/* Called for each row; false ends the scan. */
typedef bool (*ActRowVisitor) (const ActRow *row, void *arg);

#define ACT_SCAN_KEYS_MAX 2

/* A column, by its name in rules, and the text that its value must be. */
typedef struct ActScanKey
{
	const char *name;
	const char *text;
} ActScanKey;

/*
 * Visits what the active snapshot sees of a table that the row trigger with
 * this argument tracks; the caller holds a lock on the table.
 */
extern void act_row_scan(Relation table, const char *argument,
						 const ActScanKey *keys, int nkeys,
						 ActRowVisitor visitor, void *arg);

/* Those of one table or partition; false when the visitor has seen enough. */
extern bool act_row_scan_one(Relation table, const char *argument,
							 const ActScanKey *keys, int nkeys,
							 ActRowVisitor visitor, void *arg);

/* The row trigger of ours that has this argument, or NULL. */
extern Trigger *act_row_scan_trigger(Relation table, const char *argument);

#endif
