/*
 * event/month.h
 *		The monthly partitions of the events.
 */
#ifndef ACT_PARTITION_H
#define ACT_PARTITION_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* A calendar month in UTC, counted from January of the year 0. */
typedef int ActMonth;

#define ACT_MONTH_FIRST (1970 * 12) /* an event's id begins in 1970 */

extern ActMonth act_partition_month(TimestampTz time);

/* Its first moment as SQL text; its table's name.  palloc'd. */
extern char *act_partition_start(ActMonth month);
extern char *act_partition_name(ActMonth month);

/* Is something there that has the name of its table, or of one of its indexes? */
extern bool act_partition_name_is_taken(ActMonth month);

/* An attached partition with bounds; DT_NOBEGIN, DT_NOEND where it has none. */
typedef struct ActPartition
{
	Oid			relid;
	TimestampTz since;			/* inclusive */
	TimestampTz until;			/* exclusive */
} ActPartition;

/* A palloc'd list of palloc'd ActPartition, oldest first, without the default. */
extern List *act_partition_list(void);
extern bool act_partition_covers(List *partitions, ActMonth month);

/*
 * A month in the making.  prepare makes its table and copies what the default
 * partition has of it, with no lock that anybody notices; after lock, attach
 * moves what came meanwhile and makes it a partition.  lock throws 55P03 if it
 * can't have the locks soon; they are held until the transaction ends.  All
 * three run within upkeep.h's begin and end.
 */
typedef struct ActNewPartition
{
	ActMonth	month;
	int64		moved;			/* rows from the default partition */
} ActNewPartition;

extern void act_partition_prepare(ActNewPartition *new, bool has_rows);
extern void act_partition_lock(void);
extern void act_partition_attach(ActNewPartition *new);

/*
 * For functions that set something up: makes this month and the months ahead,
 * if they are missing and no lock must be waited for.  Never throws for what
 * can be done later.
 */
extern void act_partition_ensure_ahead(void);

#endif
