/*
 * base/own_row.h
 *		Rows of private tables, by the names of table and index: read as of now,
 *		written through the executor's own routines.
 */
#ifndef ACT_WEBHOOK_ROW_H
#define ACT_WEBHOOK_ROW_H

#include "access/genam.h"
#include "datatype/timestamp.h"
#include "nodes/execnodes.h"
#include "utils/snapshot.h"

/* The table of schema _activity, opened; NULL: there is none of this name. */
extern Relation act_row_open(const char *table, LOCKMODE lock);

/* The name of the monthly partition, "<parent>_YYYY_MM" in UTC, into name
 * (NAMEDATALEN). */
extern void act_row_leaf_name(const char *parent, TimestampTz time, char *name);

typedef struct ActRowScan
{
	Relation	rel;
	Relation	index;
	Snapshot	snapshot;
	SysScanDesc scan;
} ActRowScan;

/*
 * A scan of an index in its order.  Takes over the table, which is closed at
 * the end; keys have the table's column numbers.
 */
extern void act_row_begin(ActRowScan *scan, Relation rel, const char *index,
						  int nkeys, ScanKey keys);

/* The same with a snapshot of the caller's, so that several scans agree. */
extern void act_row_begin_at(ActRowScan *scan, Relation rel, const char *index,
							 int nkeys, ScanKey keys, Snapshot snapshot);
extern HeapTuple act_row_next(ActRowScan *scan);

/* The row that next returned, as a slot. */
extern TupleTableSlot *act_row_slot(ActRowScan *scan);
extern void act_row_end(ActRowScan *scan);

/* Rows that are written together. */
#define ACT_ROW_SLOTS 64

/* A table that is being written to. */
typedef struct ActRowWriter
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *info;
	int			waiting;		/* rows in slots, complete in themselves */
	TupleTableSlot *slots[ACT_ROW_SLOTS];
	bool		pushed;
} ActRowWriter;

/* Takes over the table, which is closed at the end; its lock stays.  What was
 * written can be read after close, and may be in error until then. */
extern void act_row_begin_write(ActRowWriter *writer, Relation rel);
extern void act_row_write(ActRowWriter *writer, const Datum *values,
						  const bool *nulls);
extern void act_row_end_write(ActRowWriter *writer);

/* One row, at once; the latter waits for who is inserting the same key, and is
 * false if there is one. */
extern void act_row_insert(Relation rel, const Datum *values, const bool *nulls);
/* The same; where it lies goes into *tid. */
extern void act_row_insert_at(Relation rel, const Datum *values,
							  const bool *nulls, ItemPointer tid);
extern bool act_row_insert_once(Relation rel, const Datum *values,
								const bool *nulls);
extern void act_row_delete(Relation rel, ItemPointer tid);

/* The next number of a sequence of schema _activity, whoever asks. */
extern int64 act_row_number(const char *sequence);

#endif
