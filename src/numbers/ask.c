/*
 * numbers/ask.c
 *		What the functions of analytics ask first: may they, and of what have the
 *		rollups not heard.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "event/id.h"
#include "event/organization.h"
#include "record/record.h"
#include "stream/backlog.h"
#include "track/member.h"
#include "track/tier.h"

PG_FUNCTION_INFO_V1(act_analytics_admit);
PG_FUNCTION_INFO_V1(act_unpublished);
PG_FUNCTION_INFO_V1(act_id_at);

extern PGDLLEXPORT Datum act_analytics_admit(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_unpublished(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_id_at(PG_FUNCTION_ARGS);

/* admit_analytics(organization, viewer): the key of the organization, 0 for unknown */
PGDLLEXPORT Datum
act_analytics_admit(PG_FUNCTION_ARGS)
{
	char	   *organization;
	int32		key;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	act_record_flush();
	organization = text_to_cstring(PG_GETARG_TEXT_PP(0));
	key = act_organization_find(organization, strlen(organization));
	act_tier_require("analytics", key, organization);
	if (!PG_ARGISNULL(1))
		act_member_require(organization, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_INT32(key);
}

/*
 * unpublished(organization): the ids of its committed events without a position, as
 * the caller's snapshot shows them.
 */
PGDLLEXPORT Datum
act_unpublished(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = GetActiveSnapshot();
	ActBacklog *backlog;
	ActProgress progress;
	ActUnpublished *events;
	ActShot		everything = {PG_UINT64_MAX, PG_UINT64_MAX, 0, NULL};
	uint64		last;
	bool		complete;
	int			dead;
	int			count;
	int			its = 0;
	Datum	   *ids;

	backlog = act_backlog_open(snapshot);
	act_progress_read(snapshot, &progress);

	/* What is over, and what is our own, the snapshot tells when a row is read. */
	count = act_backlog_find(backlog, &progress, &everything, PG_INT32_MAX - 1,
							 &events, &last, &complete, &dead);
	ids = MemoryContextAllocHuge(CurrentMemoryContext,
								 (count + 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
		if (events[i].organization == PG_GETARG_INT32(0))
			ids[its++] = UUIDPGetDatum(&events[i].id);
	act_backlog_close(backlog);
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, its, UUIDOID, UUID_LEN, false,
										  TYPALIGN_CHAR));
}

/* id_at(time): the smallest id of that time */
PGDLLEXPORT Datum
act_id_at(PG_FUNCTION_ARGS)
{
	TimestampTz time = PG_GETARG_TIMESTAMPTZ(0);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (time > ACT_EVENT_ID_LAST)
		memset(id, 0xff, UUID_LEN);
	else if (time < ACT_EVENT_ID_FIRST)
		memset(id, 0, UUID_LEN);
	else
		act_event_id_lowest(time, id);
	PG_RETURN_UUID_P(id);
}
