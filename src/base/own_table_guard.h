/*
 * base/own_table_guard.h
 *		What somebody else has put on the extension's own tables.
 */
#ifndef ACT_PLANTED_H
#define ACT_PLANTED_H

#include "postgres.h"
#include "fmgr.h"

#include "postgres.h"

#include "utils/relcache.h"

/*
 * Throws 55000 if writing rows into the table's indexes would run anything but
 * the server's own comparisons.
 */
extern void act_planted_check_indexes(Relation rel);

/*
 * Throws 55000 if a statement on the table, its partitions included, would run
 * anything that is not the server's or ours: triggers, rules, policies,
 * constraints, defaults, generated columns, indexes, statistics, children.
 * A lock keeps it so until the transaction ends.
 */
extern void act_planted_check_relid(Oid relid);

/* The same by name in _activity. */
extern void act_planted_check_table(const char *name);

/* The same for this one, which the caller has locked, without its partitions. */
extern void act_planted_check(Relation rel);

/* Called once, at load: triggers that run this function are ours. */
extern void act_planted_own(PGFunction function);

#endif
