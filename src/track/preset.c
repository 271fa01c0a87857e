/*
 * track/preset.c
 *		Finds out how a table is to be tracked.
 *
 * Presets are data (data/presets.json, compiled in), in the language that
 * callers use, too.  Several may serve one category, for tables of different
 * shapes; the first whose needs the table's columns meet is taken.
 */
#include "activity.h"

#include "track/preset.h"
#include "track/preset_data.h"

#include "access/attnum.h"
#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static const char *const organization_names[] = {
	"organization_id", "organisation_id", "org_id", "team_id", "account_id",
	"workspace_id", "tenant_id", "organization", "organisation", "org", "team",
	"workspace", "tenant", NULL
};

/* What changes whenever anything does. */
static const char *const ignored_names[] = {
	"updated_at", "modified_at", "changed_at", "last_updated_at", "updated_by",
	"last_seen_at", "last_used_at", "lock_version", "row_version", "xmin", NULL
};

static ActTracking *choose(Relation table, const char *category,
						   List *columns);
static bool resolve_sources(Relation table, ActTracking *tracking,
							const char *category, List *columns,
							const List **missing);
static void resolve_given(Relation table, ActSource *source,
						  const char *category);
static void resolve_organization(Relation table, ActTracking *tracking,
								 const char *category);
static void resolve_id(Relation table, ActTracking *tracking);
pg_noreturn static void complain_of_needs(Relation table, const char *category,
										  ActTracking *preset,
										  const List *need);
static void merge(ActTracking *tracking, const char *category,
				  ActTracking *given);
static void add_words(ActTracking *tracking, List *extra);
static void drop_tests(ActTracking *tracking);
static List *names_of(const char *const *names);
static char *columns_of(Relation table);

ActTracking *
act_preset_resolve(Relation table, const char *category, Jsonb *columns,
				   Jsonb *rules)
{
	List	   *named = columns ? act_tracking_read_sources(columns) : NIL;
	ActTracking *given = rules ? act_tracking_read(rules) : NULL;
	ActTracking *tracking;
	ListCell   *cell;

	foreach(cell, named)
		resolve_given(table, lfirst(cell), category);
	if (given && given->replace)
	{
		const List *missing;

		tracking = palloc0(sizeof(ActTracking));
		(void) resolve_sources(table, tracking, category, named, &missing);
	}
	else
		tracking = choose(table, category, named);
	tracking->category = pstrdup(category);
	resolve_organization(table, tracking, category);
	resolve_id(table, tracking);
	if (tracking->ignored == NIL)
		tracking->ignored = names_of(ignored_names);
	if (given)
		merge(tracking, category, given);
	drop_tests(tracking);
	act_preset_check_rules(table, tracking, given ? given->rules : NIL);
	return tracking;
}

char *
act_preset_column(Relation table, const List *names)
{
	ListCell   *cell;

	foreach(cell, names)
		if (get_attnum(RelationGetRelid(table), lfirst(cell)) > 0)
			return lfirst(cell);
	return NULL;
}

void
act_preset_complain(Relation table, const char *category, const char *problem,
					const char *name, const List *looked_for)
{
	StringInfoData looked;
	ListCell   *cell;

	initStringInfo(&looked);
	foreach(cell, looked_for)
		appendStringInfo(&looked, "%s%s", looked.len ? ", " : "",
						 (char *) lfirst(cell));
	ereport(ERROR,
			(errcode(ERRCODE_ACT_UNTRACKABLE),
			 errmsg("cannot track table \"%s\" as \"%s\": %s",
					RelationGetRelationName(table), category, problem),
			 looked.len ?
			 errdetail("Looked for %s. The table's columns are %s.", looked.data,
					   columns_of(table)) :
			 errdetail("The table's columns are %s.", columns_of(table)),
			 name ?
			 errhint("Name it: SELECT * FROM activity.track(%s, %s, columns => '{\"%s\": \"...\"}');",
					 quote_literal_cstr(quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
																   RelationGetRelationName(table))),
					 quote_literal_cstr(category), name) : 0));
	pg_unreachable();
}

/* The first preset of the category that the table can serve. */
static ActTracking *
choose(Relation table, const char *category, List *columns)
{
	Jsonb	   *presets = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															 CStringGetDatum(preset_data)));
	ActTracking *first = NULL;
	const List *first_missing = NIL;
	const List *missing;
	int			i;

	for (i = 0; i < (int) JB_ROOT_COUNT(presets); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(&presets->root, i);
		ActTracking *preset = act_tracking_read(JsonbValueToJsonb(value));

		if (!act_tracking_has_word(preset->categories, category))
			continue;
		if (resolve_sources(table, preset, category, columns, &missing))
			return preset;
		if (first == NULL)
		{
			first = act_tracking_read(JsonbValueToJsonb(value));
			first_missing = missing;
		}
	}
	if (first)
		complain_of_needs(table, category, first, first_missing);
	first = act_preset_generic(category);
	(void) resolve_sources(table, first, category, columns, &missing);
	return first;
}

/*
 * Puts columns of the table in the place of usual names, and leaves out what
 * the table lacks; false, and which, when it lacks what the preset needs.
 */
static bool
resolve_sources(Relation table, ActTracking *tracking, const char *category,
				List *columns, const List **missing)
{
	List	   *usual = tracking->sources;
	ListCell   *cell;
	ListCell   *name;

	tracking->sources = list_copy(columns);
	foreach(cell, usual)
	{
		ActSource  *source = lfirst(cell);
		char	   *column;

		if (act_tracking_source(tracking, source->name))
			continue;
		column = act_preset_column(table, source->columns);
		if (column == NULL)
			continue;
		source->columns = list_make1(column);
		tracking->sources = lappend(tracking->sources, source);
	}
	foreach(cell, tracking->needs)
	{
		bool		met = false;

		foreach(name, (List *) lfirst(cell))
		{
			ActSource  *source = act_tracking_source(tracking, lfirst(name));

			met |= source && !source->unused;
		}
		if (!met)
		{
			*missing = lfirst(cell);
			return false;
		}
	}
	return true;
}

/* What the caller named must exist. */
static void
resolve_given(Relation table, ActSource *source, const char *category)
{
	ListCell   *cell;

	foreach(cell, source->columns)
		if (get_attnum(RelationGetRelid(table), lfirst(cell)) <= 0)
			act_preset_complain(table, category,
								psprintf("it has no column \"%s\" for \"%s\"",
										 (char *) lfirst(cell), source->name),
								source->name, NIL);
}

static void
resolve_organization(Relation table, ActTracking *tracking,
					 const char *category)
{
	List	   *names = names_of(organization_names);
	ActSource  *source = act_tracking_source(tracking, "organization");
	char	   *column;

	if (source && !source->unused)
	{
		if (list_length(source->columns) > 1)
			act_preset_complain(table, category,
								"the organization is one column",
								"organization", NIL);
		return;
	}
	column = act_preset_column(table, names);
	if (column == NULL || source)
		act_preset_complain(table, category, "no column says the organization",
							"organization", names);
	source = palloc0(sizeof(ActSource));
	source->name = pstrdup("organization");
	source->columns = list_make1(column);
	tracking->sources = lcons(source, tracking->sources);
}

/* The column id, else the primary key; a table may have neither. */
static void
resolve_id(Relation table, ActTracking *tracking)
{
	ActSource  *source = act_tracking_source(tracking, "id");
	Oid			key;
	HeapTuple	tuple;
	Form_pg_index index;
	int			i;

	if (source)
		return;
	source = palloc0(sizeof(ActSource));
	source->name = pstrdup("id");
	source->columns = list_make1(pstrdup("id"));
	if (act_preset_column(table, source->columns))
	{
		tracking->sources = lappend(tracking->sources, source);
		return;
	}
	key = act_compat_primary_key(table);
	if (!OidIsValid(key))
		return;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(key));
	index = (Form_pg_index) GETSTRUCT(tuple);
	source->columns = NIL;
	for (i = 0; i < index->indnkeyatts; i++)
		source->columns = lappend(source->columns,
								  get_attname(RelationGetRelid(table),
											  index->indkey.values[i], false));
	ReleaseSysCache(tuple);
	tracking->sources = lappend(tracking->sources, source);
}

static void
complain_of_needs(Relation table, const char *category, ActTracking *preset,
				  const List *need)
{
	List	   *looked_for = NIL;
	ListCell   *cell;

	foreach(cell, need)
	{
		ActSource  *source = act_tracking_source(preset, lfirst(cell));

		if (source)
			looked_for = list_concat_unique_ptr(looked_for, source->columns);
	}
	act_preset_complain(table, category,
						psprintf("no column says the %s", (char *) linitial(need)),
						linitial(need), looked_for);
}

/* Adds what the caller says to the preset; its rules replace those of the same
 * event type. */
static void
merge(ActTracking *tracking, const char *category, ActTracking *given)
{
	ListCell   *cell;

	foreach(cell, given->rules)
	{
		ActRule    *rule = lfirst(cell);
		ListCell   *other;

		foreach(other, tracking->rules)
		{
			ActRule    *preset = lfirst(other);
			const char *event = preset->event;

			if (event[0] == '@')
				event = psprintf("%s%s", category, event + 1);
			if (pg_strcasecmp(event, rule->event) == 0 &&
				!list_member_ptr(given->rules, preset))
				tracking->rules = foreach_delete_current(tracking->rules, other);
		}
	}
	tracking->rules = list_concat(tracking->rules, given->rules);
	foreach(cell, given->machines)
	{
		ActStateMachine *machine = lfirst(cell);
		ActStateMachine *preset = act_tracking_machine(tracking, machine->name);

		if (preset)
			preset->tests = machine->tests;
		else
			tracking->machines = lappend(tracking->machines, machine);
	}
	add_words(tracking, given->extra_words);
	if (given->tiers)
		tracking->tiers = given->tiers;
	if (given->tier_name)
	{
		tracking->tier_name = given->tier_name;
		tracking->tier_machine = given->tier_machine;
		tracking->tier_live = given->tier_live;
	}
	if (given->ignored)
		tracking->ignored = given->ignored;
	if (given->identity)
		tracking->identity = given->identity;
	tracking->extra_metadata = given->extra_metadata;
	tracking->replica = given->replica;
}

/* Words of the caller come before those of the preset. */
static void
add_words(ActTracking *tracking, List *extra)
{
	ActStateMachine *machine = act_tracking_machine(tracking, "state");
	ListCell   *cell;

	if (extra == NIL)
		return;
	if (machine == NULL || tracking->words == NULL ||
		act_tracking_source(tracking, tracking->words) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"states\" gives words a meaning, but no column holds such words")));
	foreach(cell, extra)
		((ActStateTest *) lfirst(cell))->name = tracking->words;
	machine->tests = list_concat(list_copy(extra), machine->tests);
}

/* Leaves out tests of what the table lacks. */
static void
drop_tests(ActTracking *tracking)
{
	ListCell   *cell;
	ListCell   *test_cell;

	foreach(cell, tracking->machines)
	{
		ActStateMachine *machine = lfirst(cell);

		foreach(test_cell, machine->tests)
		{
			ActStateTest *test = lfirst(test_cell);
			ActSource  *source;

			if (test->name == NULL)
				continue;
			source = act_tracking_source(tracking, test->name);
			if (source == NULL || source->unused)
				machine->tests = foreach_delete_current(machine->tests,
														test_cell);
		}
	}
}

static List *
names_of(const char *const *names)
{
	List	   *list = NIL;

	for (; *names; names++)
		list = lappend(list, pstrdup(*names));
	return list;
}

static char *
columns_of(Relation table)
{
	TupleDesc	desc = RelationGetDescr(table);
	StringInfoData columns;
	int			i;

	initStringInfo(&columns);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped)
			appendStringInfo(&columns, "%s%s", columns.len ? ", " : "",
							 quote_identifier(NameStr(attribute->attname)));
	}
	return columns.data;
}
