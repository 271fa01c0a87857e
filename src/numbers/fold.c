/*
 * numbers/fold.c
 *		Published events, added to the rollups in the transaction that publishes them.
 *
 * Nothing is looked up and nothing updated: each organization gets a row of cells
 * for a batch, with whatever the batch has of it, and maintain() puts them together
 * later (rollup.sql).  So two organizations never wait for each other, and what
 * a long snapshot keeps alive is what was published, once.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_row.h"
#include "numbers/cell.h"
#include "numbers/measure.h"
#include "stream/subscriber.h"

#define ST_SORT sort_keys
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Cells of one row. */
#define ROW_CELLS 4096

/* What waits to be written; NULL: nothing. */
typedef struct Gathered
{
	MemoryContext context;
	MemoryContextCallback forget;
	int			count;
	int			room;
	ActCell    *cells;
} Gathered;

static Gathered *gathered = NULL;

static void take(const ActPublished *events, int count);
static void flush(void);

static const ActSubscriber subscriber = {
	.name = "rollups",
	.take = take,
	.flush = flush,
	.wants = act_measure_has
};

static void take_along(ActAmount *amounts, int count);
static int	read_kept(const ActPublished *event,
					  ActAmount amounts[ACT_MEASURES_MAX]);
static Gathered *gather(void);
static void forget(void *argument);
static void add(Gathered *to, const ActPublished *event, text *actor,
				const ActAmount *amount);
static text *copy(text *value);
static uint64 *sort(void);

void
act_fold_init(void)
{
	act_subscriber_add(&subscriber);
}

static void
take(const ActPublished *events, int count)
{
	MemoryContext old;
	Gathered   *to = gather();

	old = MemoryContextSwitchTo(to->context);
	for (int i = 0; i < count; i++)
	{
		const ActPublished *event = &events[i];
		ActAmount	amounts[ACT_MEASURES_MAX];
		ActAmount	itself = {0};
		text	   *actor = copy(event->actor);
		int			measured = 0;

		if (event->redacted)
			measured = read_kept(event, amounts);
		else if (event->subject != NULL)
			measured = act_measure_event(event->type, event->recorded_at,
										 event->subject, event->metadata, amounts);
		if (measured == 0)
			add(to, event, actor, &itself);
		else
			take_along(amounts, measured);
		for (int n = 0; n < measured; n++)
			add(to, event, actor, &amounts[n]);
	}
	MemoryContextSwitchTo(old);
}

/* An event goes with the amount of the least measure, whose resource is its own. */
static void
take_along(ActAmount *amounts, int count)
{
	ActAmount  *least = &amounts[0];

	for (int i = 1; i < count; i++)
		if (amounts[i].measure < least->measure)
			least = &amounts[i];
	least->measure = -least->measure;
}

/* What a redaction has kept of an event's amounts. */
static int
read_kept(const ActPublished *event, ActAmount amounts[ACT_MEASURES_MAX])
{
	ScanKeyData keys[2];
	ActRowScan	scan;
	HeapTuple	row;
	int			count = 0;

	ScanKeyInit(&keys[0], ACT_KEPT_AMOUNT_ORGANIZATION, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(event->organization));
	ScanKeyInit(&keys[1], ACT_KEPT_AMOUNT_EVENT, BTEqualStrategyNumber,
				F_UUID_EQ, UUIDPGetDatum(&event->id));
	act_row_begin(&scan, act_row_open("kept_amount", AccessShareLock),
				  "kept_amount_pkey", lengthof(keys), keys);
	while ((row = act_row_next(&scan)) != NULL && count < ACT_MEASURES_MAX)
	{
		TupleDesc	desc = RelationGetDescr(scan.rel);
		ActAmount  *amount = &amounts[count++];
		bool		isnull;
		Datum		value;

		memset(amount, 0, sizeof(ActAmount));
		amount->measure =
			DatumGetInt32(heap_getattr(row, ACT_KEPT_AMOUNT_MEASURE, desc, &isnull));
		value = heap_getattr(row, ACT_KEPT_AMOUNT_RESOURCE, desc, &isnull);
		amount->resource = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_NAME, desc, &isnull);
		amount->name = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_UNIT, desc, &isnull);
		amount->unit = isnull ? NULL : DatumGetTextPCopy(value);
		value = heap_getattr(row, ACT_KEPT_AMOUNT_AMOUNT, desc, &isnull);
		amount->amount = isnull ? NULL : DatumGetNumericCopy(value);
	}
	act_row_end(&scan);
	return count;
}

/* In the memory of the present (sub)transaction: what it undoes is not written. */
static Gathered *
gather(void)
{
	MemoryContext context;

	if (gathered != NULL)
		return gathered;
	context = AllocSetContextCreate(CurTransactionContext, "activity rollups",
									ALLOCSET_DEFAULT_SIZES);
	gathered = MemoryContextAllocZero(context, sizeof(Gathered));
	gathered->context = context;
	gathered->forget.func = forget;
	MemoryContextRegisterResetCallback(context, &gathered->forget);
	gathered->room = 1024;
	gathered->cells = MemoryContextAllocHuge(context,
											 gathered->room * sizeof(ActCell));
	return gathered;
}

static void
forget(void *argument)
{
	gathered = NULL;
}

static void
add(Gathered *to, const ActPublished *event, text *actor, const ActAmount *amount)
{
	ActCell    *cell;

	if (to->count == to->room)
	{
		to->room *= 2;
		to->cells = repalloc_huge(to->cells, to->room * sizeof(ActCell));
	}
	cell = &to->cells[to->count];
	cell->organization = event->organization;
	to->count++;
	cell->quarter = act_quarter_of(event->occurred_at);
	cell->typeless = false;
	cell->type = event->type;
	cell->actor = actor;
	cell->events = 1;
	cell->unmeasured = amount->measure != 0 && amount->amount == NULL ? 1 : 0;
	cell->timeless = amount->measure == 0;
	cell->first_at = cell->last_at = event->occurred_at;
	cell->amount = *amount;
}

static text *
copy(text *value)
{
	return value == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(value));
}

static void
flush(void)
{
	ActRowWriter writer;
	const ActCell **cells;
	uint64	   *keys;

	if (gathered == NULL)
		return;
	keys = sort();
	cells = MemoryContextAlloc(gathered->context, ROW_CELLS * sizeof(ActCell *));
	act_row_begin_write(&writer, act_row_open("rollup", RowExclusiveLock));
	for (int first = 0; first < gathered->count;)
	{
		int			count = 0;

		while (first + count < gathered->count && count < ROW_CELLS &&
			   keys[first + count] >> 32 == keys[first] >> 32)
		{
			cells[count] = &gathered->cells[(uint32) keys[first + count]];
			count++;
		}
		act_cells_write(&writer, ACT_ROLLUP_PUBLISHED, cells, count);
		first += count;
	}
	act_row_end_write(&writer);
	MemoryContextDelete(gathered->context);
	Assert(gathered == NULL);
}

/*
 * The cells by organization, in the order in which they came: keys of which the upper
 * half is the one and the lower half the other, because cells are large to move.
 */
static uint64 *
sort(void)
{
	uint64	   *keys = MemoryContextAllocHuge(gathered->context,
											  gathered->count * sizeof(uint64));

	for (int i = 0; i < gathered->count; i++)
		keys[i] = (uint64) (uint32) gathered->cells[i].organization << 32 | (uint32) i;
	sort_keys(keys, gathered->count);
	return keys;
}
