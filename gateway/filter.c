/*
 * filter.c
 *		Which event types a client wants.
 *
 * What words mean is the database's to say.  It tells once for all types that
 * there are; about one that is defined later, the database is asked by reading the
 * stream through it, until the list has been asked for again.  Words that are
 * wrong stay unknown, and so end the first reading of whoever said them.
 */
#include "filter.h"

#include "log.h"

static Map *filters;
static char taken;
static char left_out;

static void ask(Filter *filter);
static void free_filter(Filter *filter);

void
filters_open(void)
{
	filters = map_make();
}

bool
filter_is_known(const Filter *filter)
{
	return filter == NULL || filter->types != NULL;
}

Filter *
filter_get(const char *words)
{
	Filter	   *filter = map_get(filters, words, strlen(words));

	if (filter == NULL)
	{
		filter = allocate(sizeof(Filter));
		filter->words = copy_text(words);
		map_put(filters, words, strlen(words), filter);
		ask(filter);
	}
	filter->users++;
	return filter;
}

void
filter_release(Filter *filter)
{
	if (filter == NULL || --filter->users > 0)
		return;
	map_remove(filters, filter->words, strlen(filter->words));
	free_filter(filter);
}

static void
free_filter(Filter *filter)
{
	if (filter->query)
		query_forget(filter->query);
	if (filter->types)
		map_free(filter->types);
	free(filter->words);
	free(filter);
}

static void
answered(void *arg, const Answer *answer)
{
	Filter	   *filter = arg;

	filter->query = NULL;
	if (answer->away)
	{
		filter->stale = true;	/* once a second */
		return;
	}
	if (answer->result)
	{
		if (filter->types)
			map_free(filter->types);
		filter->types = map_make();
		for (int i = 0; i < PQntuples(answer->result); i++)
			map_put(filter->types, PQgetvalue(answer->result, i, 0),
					PQgetlength(answer->result, i, 0),
					*PQgetvalue(answer->result, i, 1) == 't' ? &taken : &left_out);
	}
}

static void
ask(Filter *filter)
{
	const char *parameters[1] = {filter->words};

	filter->stale = false;
	filter->query = database_ask(PRIORITY_FIRST,
								 "SELECT event_type, taken FROM activity.serve_filter($1::text[])",
								 1, parameters, answered, filter);
}

Verdict
filter_judge(Filter *filter, const char *event_type)
{
	void	   *verdict;

	if (filter == NULL)
		return FILTER_TAKES;
	verdict = filter->types ? map_get(filter->types, event_type, strlen(event_type)) : NULL;
	if (verdict)
		return verdict == &taken ? FILTER_TAKES : FILTER_LEAVES_OUT;
	filter->stale = true;
	return FILTER_UNKNOWN;
}

static void
refresh(void *value, void *arg)
{
	Filter	   *filter = value;

	if (filter->stale && filter->query == NULL)
		ask(filter);
}

void
filters_tick(void)
{
	map_each(filters, refresh, NULL);
}
