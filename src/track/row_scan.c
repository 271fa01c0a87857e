/*
 * track/row_scan.c
 *		The rows of a tracked table, partitions included.
 *
 * The indexes are walked here and not by a query, because a query would bind
 * names and operators of whoever made the table, and plan anew for each.  Texts
 * are compared once more after the index, so that a collation or an operator
 * class that calls different texts equal can't make two organizations one.
 */
#include "activity.h"

#include "track/row_scan.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"

typedef struct Key
{
	int			column;
	char	   *text;			/* as the column's type writes it */
	int			len;
	Datum		value;
	bool		has_value;		/* so that an index can be asked */
} Key;

static bool read_key(ActPlan *plan, const ActScanKey *asked, Key *key);
static bool as_value(ActValueType *type, const char *text, Datum *value);
static Relation best_index(Relation table, ActPlan *plan, const Key *keys,
						   int nkeys, ScanKeyData *scan_keys, int *nscan_keys);
static int	match_index(Relation index, ActPlan *plan, const Key *keys,
						int nkeys, ScanKeyData *scan_keys);
static bool visit(const ActRow *row, const Key *keys, int nkeys,
				  ActRowVisitor visitor, void *arg);

void
act_row_scan(Relation table, const char *argument, const ActScanKey *keys,
			 int nkeys, ActRowVisitor visitor, void *arg)
{
	List	   *relids;
	ListCell   *cell;
	bool		more = true;

	Assert(nkeys <= ACT_SCAN_KEYS_MAX);
	if (table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		(void) act_row_scan_one(table, argument, keys, nkeys, visitor, arg);
		return;
	}
	relids = find_all_inheritors(RelationGetRelid(table), AccessShareLock, NULL);
	foreach(cell, relids)
	{
		Relation	partition = table_open(lfirst_oid(cell), NoLock);

		if (more && partition->rd_rel->relkind == RELKIND_RELATION)
			more = act_row_scan_one(partition, argument, keys, nkeys, visitor, arg);
		table_close(partition, NoLock);
	}
}

Trigger *
act_row_scan_trigger(Relation table, const char *argument)
{
	Oid			function = act_tracking_plan_function();
	int			i;

	for (i = 0; table->trigdesc && i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		if (trigger->tgfoid == function && trigger->tgnargs == 1 &&
			strcmp(trigger->tgargs[0], argument) == 0)
			return trigger;
	}
	return NULL;
}

bool
act_row_scan_one(Relation table, const char *argument, const ActScanKey *keys,
				 int nkeys, ActRowVisitor visitor, void *arg)
{
	Trigger    *trigger = act_row_scan_trigger(table, argument);
	ActPlan    *plan;
	Key			found[ACT_SCAN_KEYS_MAX];
	ScanKeyData scan_keys[ACT_SCAN_KEYS_MAX];
	int			nscan_keys = 0;
	Relation	index;
	TupleTableSlot *slot;
	ActRow		row;
	bool		more = true;
	int			i;

	if (trigger == NULL)
		return true;
	plan = act_tracking_plan_hold(table, trigger->tgoid, argument);
	for (i = 0; i < nkeys; i++)
		if (!read_key(plan, &keys[i], &found[i]))
		{
			act_tracking_plan_release(plan);
			return true;
		}
	slot = table_slot_create(table, NULL);
	row.plan = plan;
	row.slot = slot;
	index = best_index(table, plan, found, nkeys, scan_keys, &nscan_keys);
	if (index)
	{
		IndexScanDesc scan = act_compat_index_beginscan(table, index,
														GetActiveSnapshot(),
														nscan_keys);

		index_rescan(scan, scan_keys, nscan_keys, NULL, 0);
		while (more && index_getnext_slot(scan, ForwardScanDirection, slot))
			more = visit(&row, found, nkeys, visitor, arg);
		index_endscan(scan);
		index_close(index, AccessShareLock);
	}
	else
	{
		TableScanDesc scan = table_beginscan(table, GetActiveSnapshot(), 0, NULL);

		while (more && table_scan_getnextslot(scan, ForwardScanDirection, slot))
			more = visit(&row, found, nkeys, visitor, arg);
		table_endscan(scan);
	}
	ExecDropSingleTupleTableSlot(slot);
	act_tracking_plan_release(plan);
	return more;
}

/* False when no row can have that value. */
static bool
read_key(ActPlan *plan, const ActScanKey *asked, Key *key)
{
	ActPlanColumn *column;

	key->column = act_tracking_plan_column(plan, asked->name);
	key->text = (char *) asked->text;
	key->len = strlen(asked->text);
	key->has_value = false;
	if (key->column < 0)
		return false;
	column = &plan->columns[key->column];
	if (column->nparts != 1 || column->parts[0] == InvalidAttrNumber)
		return true;
	if (!as_value(&column->types[0], asked->text, &key->value))
		return false;
	key->has_value = key->value != (Datum) 0 ||
		column->types[0].kind == ACT_VALUE_INT2 ||
		column->types[0].kind == ACT_VALUE_INT4 ||
		column->types[0].kind == ACT_VALUE_INT8;
	if (key->has_value)
		key->text = act_value_text(&column->types[0], key->value, &key->len);
	return true;
}

/*
 * The text as a value of the type; false when it can't be one.  Input functions
 * may throw, so that only types whose texts are known by sight are read; others
 * get a null pointer, and no index is asked.
 */
static bool
as_value(ActValueType *type, const char *text, Datum *value)
{
	size_t		len = strlen(text);
	const char *digits = text[0] == '-' ? text + 1 : text;
	long long	number;

	*value = (Datum) 0;
	switch (type->type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			*value = CStringGetTextDatum(text);
			return true;
		case UUIDOID:
			if (len != 36 || strspn(text, "0123456789abcdefABCDEF-") != len ||
				text[8] != '-' || text[13] != '-' || text[18] != '-' ||
				text[23] != '-' || strcspn(text, "-") != 8 ||
				strcspn(text + 24, "-") != 12)
				return false;
			if (strcspn(text + 9, "-") != 4 || strcspn(text + 14, "-") != 4 ||
				strcspn(text + 19, "-") != 4)
				return false;
			*value = DirectFunctionCall1(uuid_in, CStringGetDatum(text));
			return true;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			if (*digits == '\0' || strlen(digits) > 18 ||
				strspn(digits, "0123456789") != strlen(digits))
				return false;
			number = strtoll(text, NULL, 10);
			if ((type->type == INT2OID && number != (int16) number) ||
				(type->type == INT4OID && number != (int32) number))
				return false;
			*value = type->type == INT2OID ? Int16GetDatum(number) :
				type->type == INT4OID ? Int32GetDatum(number) :
				Int64GetDatum(number);
			return true;
		default:
			return true;
	}
}

/* The btree index that most of the keys lead into, opened, or NULL. */
static Relation
best_index(Relation table, ActPlan *plan, const Key *keys, int nkeys,
		   ScanKeyData *scan_keys, int *nscan_keys)
{
	List	   *indexes = nkeys > 0 ? RelationGetIndexList(table) : NIL;
	Relation	best = NULL;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		ScanKeyData matched[ACT_SCAN_KEYS_MAX];
		int			nmatched = match_index(index, plan, keys, nkeys, matched);

		if (nmatched <= *nscan_keys)
		{
			index_close(index, AccessShareLock);
			continue;
		}
		if (best)
			index_close(best, AccessShareLock);
		best = index;
		*nscan_keys = nmatched;
		memcpy(scan_keys, matched, sizeof(ScanKeyData) * nmatched);
	}
	return best;
}

/* How many leading columns of the index have a key. */
static int
match_index(Relation index, ActPlan *plan, const Key *keys, int nkeys,
			ScanKeyData *scan_keys)
{
	int			matched;

	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		RelationGetIndexPredicate(index) != NIL)
		return 0;
	for (matched = 0; matched < nkeys &&
		 matched < index->rd_index->indnkeyatts; matched++)
	{
		AttrNumber	number = index->rd_index->indkey.values[matched];
		Oid			type = index->rd_opcintype[matched];
		Oid			equal;
		int			i;

		for (i = 0; i < nkeys; i++)
			if (keys[i].has_value &&
				plan->columns[keys[i].column].parts[0] == number)
				break;
		if (number == InvalidAttrNumber || i == nkeys)
			break;
		equal = get_opfamily_member(index->rd_opfamily[matched], type, type,
									BTEqualStrategyNumber);
		if (!OidIsValid(equal))
			break;
		ScanKeyEntryInitialize(&scan_keys[matched], 0, matched + 1,
							   BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[matched],
							   get_opcode(equal), keys[i].value);
	}
	return matched;
}

static bool
visit(const ActRow *row, const Key *keys, int nkeys, ActRowVisitor visitor,
	  void *arg)
{
	int			i;

	CHECK_FOR_INTERRUPTS();
	for (i = 0; i < nkeys; i++)
	{
		int			len;
		char	   *text = act_tracked_text(row, keys[i].column, &len);

		if (text == NULL || len != keys[i].len ||
			memcmp(text, keys[i].text, len) != 0)
			return true;
	}
	return visitor(row, arg);
}
