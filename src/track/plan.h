/*
 * track/plan.h
 *		How a table is tracked, bound to the table as it is now: columns by
 *		number, states by number, event types by code.
 */
#ifndef ACT_TRACKING_PLAN_H
#define ACT_TRACKING_PLAN_H

#include "track/tracking.h"
#include "base/cache.h"
#include "base/value.h"

#include "access/attnum.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

/* Numbers of the states that every machine has. */
#define ACT_ABSENT 0
#define ACT_UNKNOWN 1
#define ACT_STATES_MAX 64

typedef struct ActPlanColumn
{
	const char *name;			/* as rules say it */
	int			nparts;
	AttrNumber *parts;			/* 0 for a column that is gone */
	ActValueType *types;
	JsonbValue	constant;		/* if nparts is 0 */
	char	   *constant_text;	/* NULL for a constant null */
} ActPlanColumn;

typedef struct ActPlanTest
{
	int			column;			/* -1: always passes */
	const ActWords *is;
	int			state;
} ActPlanTest;

typedef struct ActPlanMachine
{
	const char *name;
	int			nstates;
	const char *states[ACT_STATES_MAX];
	int			ntests;
	ActPlanTest *tests;
} ActPlanMachine;

typedef struct ActPlanCondition
{
	bool		machine;		/* else column */
	int			index;
	const ActCondition *condition;
	uint64		from;			/* sets of states, if machine */
	uint64		to;
	uint64		is;
	uint64		was;
	bool		change;			/* asks for a change */
} ActPlanCondition;

typedef struct ActPlanField
{
	const ActField *field;
	int			nsources;
	int		   *sources;		/* columns */
	bool		required;
} ActPlanField;

typedef struct ActPlanRule
{
	int			operations;
	int32		type;			/* taxonomy code */
	char	   *subject_kind;	/* NULL: none */
	int			nconditions;
	ActPlanCondition *conditions;
	int			nchanged;
	int		   *changed;
	bool		any_change;
	int			nsubject;
	ActPlanField *subject;
	int			nmetadata;
	ActPlanField *metadata;
} ActPlanRule;

typedef struct ActPlan
{
	ActPooled	pooled;			/* by the trigger's OID, and of the table */
	char	   *table;			/* name, for messages */
	char	   *argument;		/* of the trigger */
	ActTracking *tracking;
	int			ncolumns;
	ActPlanColumn *columns;
	int			nwatched;
	int		   *watched;		/* columns whose change matters */
	bool		any_change;		/* some rule asks for any column */
	int			nall;
	AttrNumber *all;			/* the columns that "*" means */
	int			nmachines;
	ActPlanMachine *machines;
	int			nrules;
	ActPlanRule *rules;
	int			organization;	/* column */
	int			nidentity;
	int		   *identity;
	int			tier;			/* column, or -1 */
	int			tier_machine;	/* or -1 */
	uint64		tier_live;
	char	   *lost;			/* what the rules speak of and is gone, or NULL */
} ActPlan;

extern void act_tracking_plan_init(void);

/*
 * The plan of a row trigger on the table; good until the matching release, also
 * when the table is altered meanwhile.  What an error cut short holds it until
 * the transaction ends.
 */
extern ActPlan *act_tracking_plan_hold(Relation table, Oid trigger,
									   const char *argument);

/* Holds it once more. */
static inline void
act_tracking_plan_keep(ActPlan *plan)
{
	act_pool_pin(&plan->pooled);
}

static inline void
act_tracking_plan_release(ActPlan *plan)
{
	act_pool_unpin(&plan->pooled);
}

/* _activity.capture_row, by which triggers of ours are known. */
extern Oid	act_tracking_plan_function(void);

/* The column of that name, or -1. */
extern int	act_tracking_plan_column(const ActPlan *plan, const char *name);

#endif
