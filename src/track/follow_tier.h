/*
 * track/follow_tier.h
 *		The organization's tier, kept by a tracked table of subscriptions.
 */
#ifndef ACT_TRACKING_TIER_H
#define ACT_TRACKING_TIER_H

#include "track/change.h"

/* The row pays: its organization has its tier from now on. */
extern void act_tracking_tier_set(const ActRow *row);

/* The row pays no more: the organization has the best of its other rows that
 * do, or else it is free. */
extern void act_tracking_tier_lose(const ActRow *row);

/* Set the tiers that the rows of a table say now. */
extern void act_tracking_tier_adopt(Relation table, const char *argument);

#endif
