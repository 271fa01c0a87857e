/*
 * event/incarnation.h
 *		Transaction ids that stay what they are when a dump is restored.
 */
#ifndef ACT_INCARNATION_H
#define ACT_INCARNATION_H

#include "access/transam.h"

/*
 * event.xid is <incarnation> << 44 | xid.  The first incarnation is 0, so that
 * in a database that was never restored these are the plain transaction ids.
 */
#define ACT_INCARNATION_SHIFT 44

/*
 * Of an event that was published elsewhere and moved here: the xid that it had there,
 * which its digest holds, and this bit.  No transaction of ours can have it, and
 * such an event is over and published.
 */
#define ACT_INCARNATION_ELSEWHERE (UINT64CONST(1) << 63)

/*
 * The current top-level transaction, as event.xid has it; for recorders only:
 * it sees to it that the incarnation is known in the database.
 */
extern FullTransactionId act_incarnation_xid(void);

/* The present incarnation; writes nothing. */
extern uint64 act_incarnation_number(void);

/* What makes an incarnation. */
typedef struct ActIdentity
{
	uint64		system_identifier;
	uint64		database;
	uint64		relation;
} ActIdentity;

extern ActIdentity act_incarnation_identity(void);

#endif
