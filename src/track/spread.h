/*
 * track/spread.h
 *		Tables of Citus: their shards are tracked, too.
 */
#ifndef ACT_TRACK_SPREAD_H
#define ACT_TRACK_SPREAD_H

#include "postgres.h"

/*
 * Between begin and end what is done to a table's triggers is done here alone,
 * since Citus carries no such command.  An error undoes begin.
 */
extern int	act_spread_begin(void);
extern void act_spread_end(int level);

/*
 * Runs the command, in which %s stands for the shard and %% for a per cent sign, on
 * each placement of the table, if it is one of Citus.
 */
extern void act_spread_run(Oid relid, const char *command);

/* A literal for it; NULL is null.  palloc'd. */
extern char *act_spread_literal(const char *text);

#endif
