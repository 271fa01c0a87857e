/*
 * track/tier.h
 *		Tiers of organizations and the features that they open.
 */
#ifndef ACT_TIER_H
#define ACT_TIER_H

#include "postgres.h"

typedef enum ActTier
{
	ACT_TIER_FREE,
	ACT_TIER_PREMIUM,
	ACT_TIER_ENTERPRISE
} ActTier;

/* The organization's tier; key 0 is an organization that we never met. */
extern ActTier act_tier_get(int32 organization);

extern void act_tier_set(int32 organization, ActTier tier);

/* free, premium or enterprise in any case of letters; false for other words. */
extern bool act_tier_parse(const char *name, int len, ActTier *tier);

extern bool act_tier_allows(const char *feature, int32 organization);

/* Throws 42501, naming the feature, the tier and what it needs, unless the
 * organization may use the feature. organization_id is for the message. */
extern void act_tier_require(const char *feature, int32 organization,
							 const char *organization_id);

#endif
