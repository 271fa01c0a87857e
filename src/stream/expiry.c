/*
 * stream/expiry.c
 *		What is gone by right: trim.c notes it, whoever reads the past asks.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_table.h"
#include "stream/expiry.h"

TimestampTz
act_expiry_before(int32 organization)
{
	Relation	rel = act_relation_open(ACT_REL_EXPIRY, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	TimestampTz before = DT_NOBEGIN;
	bool		isnull;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	scan = systable_beginscan(rel, act_relation_index(ACT_REL_EXPIRY_PKEY, rel), true,
							  GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		before = DatumGetTimestampTz(heap_getattr(tuple, ACT_EXPIRY_BEFORE, RelationGetDescr(rel),
												  &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return before;
}
