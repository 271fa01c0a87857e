/*
 * track/tier.c
 *		Tiers of organizations and the features that they open.
 *
 * Setting a tier appends a row: two subscriptions of one organization that
 * change at the same time neither wait for each other nor deadlock, and the
 * history of tiers is there to be looked at.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "event/organization.h"
#include "event/month.h"
#include "base/own_table.h"
#include "track/tier.h"

PG_FUNCTION_INFO_V1(act_set_tier);
PG_FUNCTION_INFO_V1(act_organization_tier);
PG_FUNCTION_INFO_V1(act_require_feature);

static const char *const names[] = {
	[ACT_TIER_FREE] = "free",
	[ACT_TIER_PREMIUM] = "premium",
	[ACT_TIER_ENTERPRISE] = "enterprise"
};

/* The least tier of each feature, unless feature_override has another. */
static const struct
{
	const char *feature;
	ActTier		tier;
}			features[] = {
	{"feed", ACT_TIER_PREMIUM},
	{"webhooks", ACT_TIER_PREMIUM},
	{"analytics", ACT_TIER_PREMIUM},
	{"stream", ACT_TIER_ENTERPRISE}
};

/* The enum's value, as its rows hold it. */
static Oid
tier_oid(ActTier tier)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("tier"),
									   ObjectIdGetDatum(get_namespace_oid("activity", false)));

	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
						   ObjectIdGetDatum(type),
						   CStringGetDatum(names[tier]));
}

static ActTier
tier_of_oid(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	ActTier		tier = ACT_TIER_FREE;
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no enum value has OID %u", value);
	name = NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel);
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			tier = i;
	ReleaseSysCache(tuple);
	return tier;
}

ActTier
act_tier_get(int32 organization)
{
	Relation	rel;
	Relation	index;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	ActTier		tier = act_setting_default_tier;

	if (organization == 0)
		return tier;
	rel = act_relation_open(ACT_REL_ORGANIZATION_TIER, AccessShareLock);
	index = act_relation_open_index(ACT_REL_ORGANIZATION_TIER_PKEY, rel);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(organization));
	scan = systable_beginscan_ordered(rel, index, GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		tier = tier_of_oid(DatumGetObjectId(heap_getattr(tuple, ACT_ORGANIZATION_TIER_TIER,
														 RelationGetDescr(rel),
														 &isnull)));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return tier;
}

void
act_tier_set(int32 organization, ActTier tier)
{
	Datum		values[ACT_ORGANIZATION_TIER_COLUMNS];
	bool		nulls[ACT_ORGANIZATION_TIER_COLUMNS] = {false};

	values[ACT_ORGANIZATION_TIER_ORGANIZATION - 1] = Int32GetDatum(organization);
	values[ACT_ORGANIZATION_TIER_NUMBER - 1] = Int64GetDatum(nextval_internal(act_relation_oid(ACT_REL_ORGANIZATION_TIER_NUMBER),
											   false));
	values[ACT_ORGANIZATION_TIER_TIER - 1] = ObjectIdGetDatum(tier_oid(tier));
	values[ACT_ORGANIZATION_TIER_SET_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	act_relation_insert(ACT_REL_ORGANIZATION_TIER, values, nulls);
}

bool
act_tier_parse(const char *name, int len, ActTier *tier)
{
	for (int i = 0; i < lengthof(names); i++)
		if (strlen(names[i]) == len && pg_strncasecmp(name, names[i], len) == 0)
		{
			*tier = i;
			return true;
		}
	return false;
}

/* Throws 22023 for a feature that there is none of, so that a slip is no gate. */
static ActTier
built_in(const char *feature)
{
	for (int i = 0; i < lengthof(features); i++)
		if (strcmp(features[i].feature, feature) == 0)
			return features[i].tier;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no feature \"%s\"", feature),
			 errhint("activity.features lists them.")));
}

/* The least tier that opens the feature. */
static ActTier
needed(const char *feature)
{
	Relation	rel = act_relation_open(ACT_REL_FEATURE_OVERRIDE, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	ActTier		tier = built_in(feature);

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(feature));
	key.sk_collation = TupleDescAttr(RelationGetDescr(rel), 0)->attcollation;
	scan = systable_beginscan(rel, act_relation_index(ACT_REL_FEATURE_OVERRIDE_PKEY, rel),
							  true, GetActiveSnapshot(), 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		tier = tier_of_oid(DatumGetObjectId(heap_getattr(tuple, ACT_FEATURE_OVERRIDE_TIER,
														 RelationGetDescr(rel),
														 &isnull)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tier;
}

bool
act_tier_allows(const char *feature, int32 organization)
{
	ActTier		least = needed(feature);

	return least == ACT_TIER_FREE || act_tier_get(organization) >= least;
}

void
act_tier_require(const char *feature, int32 organization,
				 const char *organization_id)
{
	ActTier		least = needed(feature);
	ActTier		tier;

	if (least == ACT_TIER_FREE)
		return;
	tier = act_tier_get(organization);
	if (tier < least)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("organization \"%s\" may not use \"%s\": its tier is %s, the feature needs %s",
						organization_id, feature, names[tier], names[least]),
				 errhint("Raise the tier with activity.set_tier('%s', '%s'), or change the feature's tier in activity.features.",
						 organization_id, names[least])));
}

/* activity.set_tier(organization, tier) */
PGDLLEXPORT Datum
act_set_tier(PG_FUNCTION_ARGS)
{
	text	   *id = PG_GETARG_TEXT_PP(0);
	ActTier		tier = tier_of_oid(PG_GETARG_OID(1));
	int32		key;

	PreventCommandIfReadOnly("activity.set_tier()");
	key = act_organization_intern(VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id));
	act_tier_set(key, tier);
	act_partition_ensure_ahead();
	PG_RETURN_VOID();
}

/* activity.organization_tier(organization) */
PGDLLEXPORT Datum
act_organization_tier(PG_FUNCTION_ARGS)
{
	text	   *id = PG_GETARG_TEXT_PP(0);
	int32		key = act_organization_find(VARDATA_ANY(id),
											VARSIZE_ANY_EXHDR(id));

	PG_RETURN_OID(tier_oid(act_tier_get(key)));
}

/* _activity.require_feature(feature text, organization text) RETURNS int: the
 * organization's key; throws 42501 unless its tier allows the feature */
PGDLLEXPORT Datum
act_require_feature(PG_FUNCTION_ARGS)
{
	char	   *feature = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *organization = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int32		key = act_organization_find(organization, strlen(organization));

	act_tier_require(feature, key, organization);
	if (key == 0)
		key = act_organization_intern(organization, strlen(organization));
	PG_RETURN_INT32(key);
}
