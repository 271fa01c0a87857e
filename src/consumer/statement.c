/*
 * consumer/statement.c
 *		The statements on the tables of consumers, each planned once in a session.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "base/own_table.h"
#include "consumer/statement.h"

#define ARGUMENTS_MOST 7

static struct
{
	const char *text;
	Oid			types[ARGUMENTS_MOST];	/* ended by InvalidOid, if not full */
	SPIPlanPtr	plan;
}			statements[ACT_CONSUMER_STATEMENTS] = {
	[ACT_CONSUMER_FIND] = {
		"SELECT number, organization, event_types, pg_catalog.gen_random_uuid(),"
		" pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) $2"
		" FROM _activity.consumer WHERE name OPERATOR(pg_catalog.=) $1",
		{TEXTOID, INTERVALOID}
	},
	/* Whatever the planner believes: organizations in their order, a probe each. */
	[ACT_CONSUMER_SWEEP] = {
		"SELECT o.key, m.epoch, coalesce(m.position, 0),"
		" m.leased_until > clock_timestamp(),"
		" EXISTS (SELECT FROM _activity.consumer_parked p WHERE p.consumer = $1"
		" AND p.organization = o.key AND p.due)"
		" FROM (SELECT DISTINCT key FROM _activity.organization"
		" WHERE key > $2 AND key <= $3 ORDER BY key LIMIT $4) o"
		" LEFT JOIN LATERAL (SELECT * FROM _activity.consumer_mark m"
		" WHERE m.consumer = $1 AND m.organization = o.key LIMIT 1) m ON true"
		" ORDER BY o.key",
		{INT4OID, INT4OID, INT4OID, INT4OID}
	},
	[ACT_CONSUMER_ADD_MARK] = {
		"INSERT INTO _activity.consumer_mark (consumer, organization, epoch, position)"
		" VALUES ($1, $2, 0, 0) ON CONFLICT DO NOTHING",
		{INT4OID, INT4OID}
	},
	[ACT_CONSUMER_LOCK_MARK] = {
		"SELECT epoch, position, leased_until > clock_timestamp()"
		" FROM _activity.consumer_mark WHERE consumer = $1 AND organization = $2"
		" FOR UPDATE SKIP LOCKED",
		{INT4OID, INT4OID}
	},
	[ACT_CONSUMER_PARKED] = {
		"SELECT array_agg(position) FROM _activity.consumer_parked"
		" WHERE consumer = $1 AND organization = $2 AND position > $3",
		{INT4OID, INT4OID, INT8OID}
	},
	[ACT_CONSUMER_TAKE_DUE] = {
		"WITH due AS (SELECT position FROM _activity.consumer_parked"
		" WHERE consumer = $1 AND organization = $2 AND due ORDER BY position LIMIT $4),"
		" leased AS (UPDATE _activity.consumer_parked p SET lease = $3 FROM due"
		" WHERE p.consumer = $1 AND p.organization = $2 AND p.position = due.position"
		" RETURNING p.position)"
		" SELECT position FROM leased ORDER BY position",
		{INT4OID, INT4OID, UUIDOID, INT4OID}
	},
	[ACT_CONSUMER_MOVE_MARK] = {
		"UPDATE _activity.consumer_mark SET epoch = $3, position = $4,"
		" lease = NULL, leased_until = NULL"
		" WHERE consumer = $1 AND organization = $2",
		{INT4OID, INT4OID, INT4OID, INT8OID}
	},
	[ACT_CONSUMER_LEASE_MARK] = {
		"UPDATE _activity.consumer_mark SET lease_epoch = $3, lease_position = $4,"
		" given_position = $5, lease = $6, leased_until = $7, polled_at = clock_timestamp()"
		" WHERE consumer = $1 AND organization = $2",
		{INT4OID, INT4OID, INT4OID, INT8OID, INT8OID, UUIDOID, TIMESTAMPTZOID}
	},
	[ACT_CONSUMER_ADD_LEASE] = {
		"INSERT INTO _activity.consumer_lease (lease, consumer, leased_until, organizations)"
		" VALUES ($1, $2, $3, $4)",
		{UUIDOID, INT4OID, TIMESTAMPTZOID, INT4ARRAYOID}
	},
	[ACT_CONSUMER_MARKS] = {
		"SELECT c.number, o.key, coalesce(m.position, 0) FROM _activity.consumer c"
		" JOIN (SELECT DISTINCT key, id FROM _activity.organization) o"
		" ON c.organization IS NULL OR o.id = c.organization"
		" LEFT JOIN _activity.consumer_mark m"
		" ON m.consumer = c.number AND m.organization = o.key",
		{InvalidOid}
	}
};

int
act_consumer_run(ActConsumerStatement which, Datum *arguments)
{
	int			result;

	if (statements[which].plan == NULL)
	{
		int			count = 0;
		SPIPlanPtr	plan;

		while (count < ARGUMENTS_MOST && OidIsValid(statements[which].types[count]))
			count++;
		plan = SPI_prepare(statements[which].text, count, statements[which].types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not plan statement %d of consumers", which);
		statements[which].plan = plan;
	}
	result = SPI_execute_plan(statements[which].plan, arguments, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "statement %d of consumers failed: %s", which,
			 SPI_result_code_string(result));
	return (int) SPI_processed;
}

Datum
act_consumer_value(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
						 isnull);
}

/*
 * Held until the end of the transaction.  Consumers whose numbers are the same in
 * 16 bits share it: then one of them is passed over for a moment.
 */
bool
act_consumer_try_lock(int32 consumer, int32 organization)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, act_relation_oid(ACT_REL_STREAM),
					   (uint32) organization, (uint16) consumer);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}
