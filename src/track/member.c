/*
 * track/member.c
 *		Who is an active member: asked of the tracked membership tables.
 *
 * They are read as their owner reads them, without row-level security, as the
 * checks of foreign keys do: the answer is one bit about a member whom the
 * caller has named, and no right on the table is needed for it.
 */
#include "activity.h"

#include "track/member.h"
#include "track/row_scan.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(act_require_member);
PG_FUNCTION_INFO_V1(act_member_role);
PG_FUNCTION_INFO_V1(act_member_rows);
PG_FUNCTION_INFO_V1(act_members_tracked);

/* What is asked of the tables, and what they say. */
typedef struct Question
{
	ActScanKey	keys[2];
	int			nkeys;
	ActRowVisitor visitor;
	bool		asked;			/* some table is about members */
	bool		found;			/* he is an active one; nothing more is asked */
	bool		wants_role;
	char	   *role;			/* NULL: no table says it */
	ReturnSetInfo *rows;		/* of who is asked for, or NULL */
} Question;

static List *tracked_tables(void);
static bool is_about_members(Relation pg_trigger, HeapTuple trigger);
static Oid	table_of_trigger(Relation pg_trigger, Oid trigger);
static void ask_about(const char *organization, const char *member,
					  Question *question);
static void ask_tables(Question *question);
static void ask_table(Oid relid, Question *question);
static void ask(Relation table, const char *argument, Question *question);
static bool find_active(const ActRow *row, void *arg);
static bool add_row(const ActRow *row, void *arg);

/* Is this one an active member? */
static void
ask_about(const char *organization, const char *member, Question *question)
{
	question->keys[0] = (ActScanKey) {"organization", organization};
	question->keys[1] = (ActScanKey) {"member", member};
	question->nkeys = 2;
	question->visitor = find_active;
	ask_tables(question);
}

/* The scratch memory holds all but the role. */
static void
ask_tables(Question *question)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "activity member",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	ListCell   *cell;

	foreach(cell, tracked_tables())
	{
		ask_table(lfirst_oid(cell), question);
		if (question->found)
			break;
	}
	MemoryContextSwitchTo(old);
	if (question->role != NULL)
		question->role = pstrdup(question->role);
	MemoryContextDelete(scratch);
}

void
act_member_require(const char *organization, const char *member)
{
	Question	question = {0};

	ask_about(organization, member, &question);
	if (question.found)
		return;
	if (!question.asked)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no table of memberships is tracked"),
				 errhint("Track it: SELECT * FROM activity.track('memberships', 'membership');")));
	ereport(ERROR,
			(errcode(ERRCODE_ACT_NOT_A_MEMBER),
			 errmsg("\"%s\" is no active member of organization \"%s\"", member,
					organization)));
}

/*
 * Tables of memberships with a row trigger of ours, partitions left to their
 * parents.  The category is read from the trigger's argument in the catalog, so
 * that a table of another category, which somebody may have locked, is not waited
 * for.
 */
static List *
tracked_tables(void)
{
	Relation	pg_depend = table_open(DependRelationId, AccessShareLock);
	Relation	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(act_tracking_plan_function()));
	scan = systable_beginscan(pg_depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		Oid			relid;

		if (depend->classid != TriggerRelationId)
			continue;
		relid = table_of_trigger(pg_trigger, depend->objid);
		if (OidIsValid(relid))
			tables = list_append_unique_oid(tables, relid);
	}
	systable_endscan(scan);
	table_close(pg_trigger, AccessShareLock);
	table_close(pg_depend, AccessShareLock);
	return tables;
}

/*
 * A look for the two words, not a reading: whoever says more than the category in
 * these words is asked once more in ask(), which has the plan.
 */
static bool
is_about_members(Relation pg_trigger, HeapTuple trigger)
{
	bool		isnull;
	Datum		datum = heap_getattr(trigger, Anum_pg_trigger_tgargs,
									 RelationGetDescr(pg_trigger), &isnull);
	bytea	   *arguments = isnull ? NULL : DatumGetByteaPP(datum);
	char	   *text;

	if (arguments == NULL)
		return false;
	text = pnstrdup(VARDATA_ANY(arguments), VARSIZE_ANY_EXHDR(arguments));
	return strstr(text, "\"membership\"") != NULL ||
		strstr(text, "\"member\"") != NULL;
}

/* InvalidOid for triggers that a partition has from its parent. */
static Oid
table_of_trigger(Relation pg_trigger, Oid trigger)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(pg_trigger, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		!OidIsValid(((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid) &&
		is_about_members(pg_trigger, tuple))
		relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	systable_endscan(scan);
	return relid;
}

static void
ask_table(Oid relid, Question *question)
{
	Relation	table = try_table_open(relid, AccessShareLock);
	Oid			function = act_tracking_plan_function();
	Oid			user;
	int			context;
	int			i;

	if (table == NULL)
		return;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(table->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
	for (i = 0; !question->found && table->trigdesc &&
		 i < table->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &table->trigdesc->triggers[i];

		if (trigger->tgfoid == function && trigger->tgnargs == 1)
			ask(table, trigger->tgargs[0], question);
	}
	SetUserIdAndSecContext(user, context);
	table_close(table, AccessShareLock);
}

static void
ask(Relation table, const char *argument, Question *question)
{
	Trigger    *trigger = act_row_scan_trigger(table, argument);
	ActPlan    *plan = act_tracking_plan_hold(table, trigger->tgoid, argument);
	bool		about_members = strcmp(plan->tracking->category, "membership") == 0 ||
		strcmp(plan->tracking->category, "member") == 0;

	act_tracking_plan_release(plan);
	if (!about_members)
		return;
	question->asked = true;
	act_row_scan(table, argument, question->keys, question->nkeys,
				 question->visitor, question);
}

static bool
find_active(const ActRow *row, void *arg)
{
	Question   *question = arg;
	ActPlan    *plan = row->plan;
	int			role = question->wants_role ? act_tracking_plan_column(plan, "role") : -1;
	int			len;
	int			i;

	question->found = true;
	for (i = 0; i < plan->nmachines; i++)
		if (strcmp(plan->machines[i].name, "state") == 0)
		{
			const char *state = plan->machines[i].states[act_tracked_state(row, i)];

			question->found = strcmp(state, "active") == 0;
		}
	if (question->found && role >= 0)
	{
		char	   *text = act_tracked_text(row, role, &len);

		question->role = text == NULL ? NULL : pnstrdup(text, len);
	}
	return !question->found;
}

/* _activity.require_member(organization text, member text): throws AC008 */
PGDLLEXPORT Datum
act_require_member(PG_FUNCTION_ARGS)
{
	act_member_require(text_to_cstring(PG_GETARG_TEXT_PP(0)),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* member_role(organization text, member text) RETURNS text: null unless he is an
 * active member; empty if no table says which role he has */
PGDLLEXPORT Datum
act_member_role(PG_FUNCTION_ARGS)
{
	Question	question = {.wants_role = true};

	ask_about(text_to_cstring(PG_GETARG_TEXT_PP(0)),
			  text_to_cstring(PG_GETARG_TEXT_PP(1)), &question);
	if (!question.found)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(question.role ? question.role : ""));
}

/* Whether some tracked table is about members: members_tracked() RETURNS boolean */
PGDLLEXPORT Datum
act_members_tracked(PG_FUNCTION_ARGS)
{
	Question	question = {0};

	ask_about("", "", &question);
	PG_RETURN_BOOL(question.asked);
}

/*
 * member_rows(organization text, member text) RETURNS TABLE (organization text,
 * member text, name text, role text, state text): the rows of tracked tables that are
 * about this organization, this member, or both.
 */
PGDLLEXPORT Datum
act_member_rows(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"organization", "member"};
	Question	question = {.visitor = add_row};

	for (int i = 0; i < lengthof(names); i++)
		if (!PG_ARGISNULL(i))
			question.keys[question.nkeys++] =
				(ActScanKey) {names[i], text_to_cstring(PG_GETARG_TEXT_PP(i))};
	InitMaterializedSRF(fcinfo, 0);
	question.rows = (ReturnSetInfo *) fcinfo->resultinfo;
	if (question.nkeys > 0)
		ask_tables(&question);
	return (Datum) 0;
}

static bool
add_row(const ActRow *row, void *arg)
{
	static const char *const names[] = {"organization", "member", "name", "role"};
	Question   *question = arg;
	ActPlan    *plan = row->plan;
	Datum		values[lengthof(names) + 1];
	bool		nulls[lengthof(names) + 1];

	for (int i = 0; i < lengthof(names); i++)
	{
		int			column = act_tracking_plan_column(plan, names[i]);
		int			len;
		char	   *text = column < 0 ? NULL : act_tracked_text(row, column, &len);

		nulls[i] = text == NULL;
		values[i] = text == NULL ? (Datum) 0 :
			PointerGetDatum(cstring_to_text_with_len(text, len));
	}
	values[lengthof(names)] = CStringGetTextDatum("active");
	nulls[lengthof(names)] = false;
	for (int i = 0; i < plan->nmachines; i++)
		if (strcmp(plan->machines[i].name, "state") == 0)
			values[lengthof(names)] =
				CStringGetTextDatum(plan->machines[i].states[act_tracked_state(row, i)]);
	tuplestore_putvalues(question->rows->setResult, question->rows->setDesc, values,
						 nulls);
	return true;
}
