/*
 * planted.h
 *		What somebody else has put on the extension's own tables.
 */
#ifndef ACT_PLANTED_H
#define ACT_PLANTED_H

#include "postgres.h"

#include "storage/lockdefs.h"
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
 * The lock is kept until the transaction ends.
 */
extern void act_planted_check_tree(Oid relid, LOCKMODE lock);

/* The same with a lock that keeps it so, by OID, or by name in _activity. */
extern void act_planted_check_relid(Oid relid);
extern void act_planted_check_table(const char *name);

#endif
