/*
 * event/append_only.c
 *		Tables that take no UPDATE, DELETE or TRUNCATE.
 *
 * Privileges bind neither the owner nor a superuser, so a trigger says no.  It
 * is a statement's trigger: it refuses before a row is looked at, and costs an
 * INSERT nothing.  It fires for the table that a statement names and not for its
 * partitions, so every partition needs its own; and ALWAYS, or else
 * session_replication_role = replica goes around it.
 *
 * What it can't stop is DDL by the owner: DROP TABLE, or disabling the trigger.
 */
#include "activity.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "event/append_only.h"
#include "base/own_table_guard.h"

static int	lifted = 0;

PG_FUNCTION_INFO_V1(act_refuse_change);

void
act_append_only_lift(void)
{
	lifted++;
}

void
act_append_only_restore(void)
{
	Assert(lifted > 0);
	lifted--;
}

/*
 * refuse_change() - the trigger; throws ERRCODE_ACT_APPEND_ONLY.
 */
PGDLLEXPORT Datum
act_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	const char *command;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("refuse_change() is a trigger function")));
	if (lifted > 0)
		PG_RETURN_POINTER(NULL);

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		command = "UPDATE";
	else if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
		command = "DELETE";
	else
		command = "TRUNCATE";
	ereport(ERROR,
			(errcode(ERRCODE_ACT_APPEND_ONLY),
			 errmsg("%s is not possible: \"%s\" is append-only",
					command, RelationGetRelationName(data->tg_relation)),
			 errhint("Only activity.maintain() removes events, when the time set by activity.set_retention() is over.")));
	PG_RETURN_POINTER(NULL);
}

void
act_append_only_init(void)
{
	act_planted_own(act_refuse_change);
}
