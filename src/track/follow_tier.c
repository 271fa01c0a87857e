/*
 * track/follow_tier.c
 *		The organization's tier, kept by a tracked table of subscriptions.
 *
 * A table may hold many subscriptions of one organization, old ones included,
 * so that the end of one is not the end of paying: then the others are asked.
 */
#include "activity.h"

#include "track/gap.h"
#include "event/organization.h"
#include "track/row_scan.h"
#include "track/tier.h"
#include "track/follow_tier.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

static bool is_live(const ActRow *row);
static bool row_tier(const ActRow *row, ActTier *tier);
static void set_tier(const ActRow *row, ActTier tier);
static bool find_best(const ActRow *row, void *arg);
static bool adopt(const ActRow *row, void *arg);

void
act_tracking_tier_set(const ActRow *row)
{
	ActTier		tier;

	if (row_tier(row, &tier))
		set_tier(row, tier);
}

void
act_tracking_tier_lose(const ActRow *row)
{
	ActPlan    *plan = row->plan;
	ActTier		best = ACT_TIER_FREE;
	ActScanKey	key = {"organization", NULL};
	int			len;
	char	   *text = act_tracked_text(row, plan->organization, &len);
	Oid			relid = plan->pooled.relid;
	Relation	table;

	if (text == NULL)
		return;
	key.text = pnstrdup(text, len);

	/* A partition's row: its organization may have others elsewhere. */
	while (get_rel_relispartition(relid))
		relid = get_partition_parent(relid, false);
	table = table_open(relid, AccessShareLock);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	act_row_scan(table, plan->argument, &key, 1, find_best, &best);
	PopActiveSnapshot();
	table_close(table, NoLock);
	set_tier(row, best);
}

void
act_tracking_tier_adopt(Relation table, const char *argument)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	act_row_scan(table, argument, NULL, 0, adopt, NULL);
	PopActiveSnapshot();
}

static bool
is_live(const ActRow *row)
{
	ActPlan    *plan = row->plan;

	return plan->tier >= 0 &&
		(plan->tier_machine < 0 ||
		 (plan->tier_live >> act_tracked_state(row, plan->tier_machine) & 1));
}

/* False, and a gap, when the tier's word has no meaning. */
static bool
row_tier(const ActRow *row, ActTier *tier)
{
	ActPlan    *plan = row->plan;
	int			len;
	char	   *text = act_tracked_text(row, plan->tier, &len);
	char	   *folded;
	ListCell   *cell;

	*tier = ACT_TIER_FREE;
	if (text == NULL)
		return true;
	folded = act_tracking_fold(text, len);
	foreach(cell, plan->tracking->tiers)
	{
		ActTierWord *word = lfirst(cell);

		if (strcmp(word->word, folded) == 0 && word->tier >= 0)
		{
			*tier = word->tier;
			return true;
		}
	}
	if (act_tier_parse(folded, strlen(folded), tier))
		return true;
	len = pg_mbcliplen(text, len, 64);
	act_gap_note(plan, psprintf("\"%.*s\" is no known tier", len, text),
				 psprintf("Say what it means: activity.track(..., rules => '{\"tiers\": [{\"%.*s\": \"premium\"}]}').",
						  len, text));
	return false;
}

static void
set_tier(const ActRow *row, ActTier tier)
{
	int			len;
	char	   *text = act_tracked_organization(row, &len);
	int32		organization;

	if (text == NULL)
		return;
	organization = act_organization_intern(text, len);
	if (act_tier_get(organization) != tier)
		act_tier_set(organization, tier);
}

static bool
find_best(const ActRow *row, void *arg)
{
	ActTier    *best = arg;
	ActTier		tier;

	if (is_live(row) && row_tier(row, &tier) && tier > *best)
		*best = tier;
	return *best < ACT_TIER_ENTERPRISE;
}

static bool
adopt(const ActRow *row, void *arg)
{
	if (is_live(row))
		act_tracking_tier_set(row);
	return true;
}
