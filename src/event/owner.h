/*
 * event/owner.h
 *		How the extension works on its own tables, whoever is logged in.
 */
#ifndef ACT_UPKEEP_H
#define ACT_UPKEEP_H

#include "postgres.h"

typedef struct ActUpkeep
{
	Oid			user;			/* to go back to */
	int			security_context;
	int			guc_level;
} ActUpkeep;

/*
 * Between begin and end the backend is the owner of the events, as restricted
 * as VACUUM is, with search_path pinned, and waits for no lock longer than a
 * blink.  begin returns false, and nothing has changed, when another
 * transaction is at it, or when this one can't: it reads only, or its snapshot
 * is older than what must be moved.  The right to it is held until the
 * transaction ends.  An error undoes begin along with the (sub)transaction.
 */
extern bool act_upkeep_begin(ActUpkeep *upkeep);
extern void act_upkeep_end(const ActUpkeep *upkeep);

/*
 * Waits until nobody does upkeep, and keeps others from it until the transaction
 * ends; and whether this transaction has done so.
 */
extern void act_upkeep_wait(void);
extern bool act_upkeep_waited(void);

/*
 * Is what happens now done by upkeep?  The guards of the tables ask, because
 * upkeep makes and drops months by plain DDL.
 */
extern bool act_upkeep_is_ours(void);

/*
 * Runs step in a subtransaction.  Returns 0, or, with everything of it undone,
 * the SQLSTATE if somebody is in the way: a lock is not available, the table is
 * in use by this session, other objects depend on it.  Other errors go through.
 */
extern int	act_upkeep_attempt(void (*step) (void *), void *argument);

/*
 * The same for what must not stop the rest of upkeep: any error but a cancel or a
 * shutdown is caught, and its message, palloc'd, returned beside the SQLSTATE.
 */
extern int	act_upkeep_try(void (*step) (void *), void *argument,
						   char **message);

/*
 * The same for one item of many: what another item would fail for, too, is thrown,
 * such as a disk that is full, a lock that is not to be had, or a table that is not
 * as it should be.
 */
extern int	act_upkeep_isolate(void (*step) (void *), void *argument,
							   char **message);

/* Runs SQL, one or more statements, printf-like; the rows that it processed. */
extern int64 act_upkeep_run(const char *format,...) pg_attribute_printf(1, 2);

/* The same, for the first column of the first row, 8 bytes by value; null is 0. */
extern int64 act_upkeep_ask(const char *format,...) pg_attribute_printf(1, 2);

/* The OID of a table in _activity; InvalidOid when there is none. */
extern Oid	act_upkeep_table(const char *name);

/*
 * SQL for the time before which events are gone by right, once maintain() has
 * come to the end; keep is SQL for how long they are kept.  In UTC, as months
 * are (set_for_upkeep).
 */
#define ACT_UPKEEP_KEPT_SINCE(keep) "date_trunc('month', now() - " keep ")"

/*
 * SQL for the organizations, key, and how long each keeps its events; null is for
 * ever, and as long as its sums could not be sealed.
 */
#define ACT_UPKEEP_RETENTION \
	"(SELECT r.key, CASE WHEN aside.organization IS NULL THEN r.keep END AS keep" \
	" FROM _activity.retention_of r LEFT JOIN _activity.set_aside aside" \
	" ON aside.step = 'compact' AND aside.organization = r.key AND aside.item = 'seal')"

/* What was done, one call each; rows is -1 where none are meant. */
typedef void (*ActUpkeepReport) (void *state, const char *action,
								   const char *object, int64 rows);

#endif
