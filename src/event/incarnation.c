/*
 * event/incarnation.c
 *		Transaction ids that stay what they are when a dump is restored.
 *
 * The publisher finds new events by their transaction ids.  In another cluster
 * these begin again at 3, while restored events keep those of the old cluster:
 * an event of now could look older than all that was published, and be skipped
 * for ever, or a restored one be found again when the counter gets there.  So
 * each life of the database in a cluster has a number, which is the upper part
 * of what is stored.  Ids of a later life are larger than all of earlier ones,
 * and everything of an earlier life is over: the publisher needs no special
 * case.
 *
 * The number follows from the rows that other incarnations left in the table:
 * theirs come only by a restore, before anybody records.  So every recorder
 * finds the same number without talking to others, and until a row with it is
 * committed each transaction that records writes one; several rows that say
 * the same do no harm.
 */
#include "activity.h"

#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "event/incarnation.h"
#include "base/own_table.h"

/* Columns of _activity.incarnation, in their order (stream.sql). */
#define NUMBER 0
#define SYSTEM_IDENTIFIER 1
#define DATABASE 2
#define RELATION 3
#define COLUMNS 4

/* The answer, final once a committed row says so, for the table of this OID. */
static Oid	known_for = InvalidOid;
static uint64 known_number;

static uint64 look(bool *exists, bool *is_final);
static void write_row(uint64 number);

FullTransactionId
act_incarnation_xid(void)
{
	uint64		xid = U64FromFullTransactionId(GetTopFullTransactionId());

	if (unlikely(known_for != act_relation_oid(ACT_REL_INCARNATION)))
	{
		bool		exists;
		bool		is_final;
		uint64		number = look(&exists, &is_final);

		if (!exists)
			write_row(number);
		if (!is_final)
			return FullTransactionIdFromU64(number << ACT_INCARNATION_SHIFT | xid);
		known_number = number;
		known_for = act_relation_oid(ACT_REL_INCARNATION);
	}
	return FullTransactionIdFromU64(known_number << ACT_INCARNATION_SHIFT | xid);
}

uint64
act_incarnation_number(void)
{
	bool		exists;
	bool		is_final;

	if (known_for == act_relation_oid(ACT_REL_INCARNATION))
		return known_number;
	return look(&exists, &is_final);
}

ActIdentity
act_incarnation_identity(void)
{
	ActIdentity identity;

	identity.system_identifier = GetSystemIdentifier();
	identity.database = MyDatabaseId;
	identity.relation = act_relation_oid(ACT_REL_INCARNATION);
	return identity;
}

/*
 * Our number; whether a row says so already, and whether it is another
 * transaction's, committed, so that it will stay.
 */
static uint64
look(bool *exists, bool *is_final)
{
	Relation	rel = act_relation_open(ACT_REL_INCARNATION, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, SnapshotSelf, 0, NULL);
	ActIdentity self = act_incarnation_identity();
	uint64		number = 0;

	*exists = *is_final = false;
	while (!*is_final && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		uint64		row;
		bool		isnull;

		slot_getallattrs(slot);
		row = DatumGetInt32(slot->tts_values[NUMBER]);
		if ((uint64) DatumGetInt64(slot->tts_values[SYSTEM_IDENTIFIER]) ==
			self.system_identifier &&
			(uint64) DatumGetInt64(slot->tts_values[DATABASE]) == self.database &&
			(uint64) DatumGetInt64(slot->tts_values[RELATION]) == self.relation)
		{
			Datum		xmin = slot_getsysattr(slot,
											   MinTransactionIdAttributeNumber,
											   &isnull);

			*exists = true;
			number = row;
			*is_final =
				!TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
		}
		else if (!*exists && row >= number)
			number = row + 1;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return number;
}

static void
write_row(uint64 number)
{
	ActIdentity self = act_incarnation_identity();
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {0};

	values[NUMBER] = Int32GetDatum((int32) number);
	values[SYSTEM_IDENTIFIER] = Int64GetDatum((int64) self.system_identifier);
	values[DATABASE] = Int64GetDatum((int64) self.database);
	values[RELATION] = Int64GetDatum((int64) self.relation);
	act_relation_insert(ACT_REL_INCARNATION, values, nulls);
}
