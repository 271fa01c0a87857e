/*
 * track/tracking.h
 *		How a tracked table is tracked: the JSON in its trigger's argument, read.
 *
 * The same language says what a preset is (data/presets.json), what a caller of
 * activity.track() adds, and what a trigger keeps.  Rules speak of columns by a
 * name of their own ("role"); "columns" alone says which column of the table that
 * is, so that a renamed column changes one place.
 */
#ifndef ACT_TRACKING_H
#define ACT_TRACKING_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#define ACT_ON_INSERT 1
#define ACT_ON_UPDATE 2
#define ACT_ON_DELETE 4

/* States that every state machine has. */
#define ACT_STATE_ABSENT "absent"	/* there is no row */
#define ACT_STATE_UNKNOWN "unknown" /* a word that nobody gave a meaning */

/* A set of values; words are folded (act_tracking_fold). */
typedef struct ActWords
{
	bool		given;			/* else anything will do */
	bool		null;
	bool		any;			/* "*": all but null */
	bool		positive;		/* ">0" */
	bool		negative;		/* "<0" */
	List	   *words;			/* of char * */
} ActWords;

/* Where the values of a name come from: columns, or a constant. */
typedef struct ActSource
{
	char	   *name;
	List	   *columns;		/* of char *; in a preset the usual names */
	Jsonb	   *constant;		/* an array of one scalar, or NULL */
	bool		unused;			/* the caller said null */
} ActSource;

typedef struct ActStateTest
{
	char	   *name;			/* NULL: always passes */
	ActWords	is;
	char	   *state;
} ActStateTest;

/* The state is that of the first test that passes. */
typedef struct ActStateMachine
{
	char	   *name;
	List	   *tests;			/* of ActStateTest * */
} ActStateMachine;

typedef struct ActCondition
{
	char	   *name;			/* of a column or a state machine */
	ActWords	from;			/* changed, and was one of these */
	ActWords	to;				/* changed, and is one of these */
	ActWords	is;				/* whether changed or not */
	ActWords	was;
	bool		changed;
	int			moved;			/* 1 up, -1 down, 0 not asked */
} ActCondition;

typedef enum ActFieldKind
{
	ACT_FIELD_NEW,				/* the row's value, deleted rows included */
	ACT_FIELD_OLD,				/* the previous value, where it differs */
	ACT_FIELD_ABS,
	ACT_FIELD_DIFFERENCE,		/* how far a number moved, never negative */
	ACT_FIELD_FIRST,			/* the first of several that is not null */
	ACT_FIELD_VALUE				/* a constant */
} ActFieldKind;

typedef struct ActField
{
	char	   *name;
	ActFieldKind kind;
	List	   *sources;		/* of char * */
	Jsonb	   *value;
} ActField;

typedef struct ActRule
{
	char	   *event;
	char	   *only;			/* presets: for this category alone */
	bool		optional;		/* presets: dropped if a required field lacks */
	int			operations;		/* ACT_ON_*; as written or derived */
	List	   *conditions;		/* of ActCondition *; all must hold */
	List	   *changed;		/* of char *: one of them must have changed */
	bool		any_change;		/* "*": any column at all */
	List	   *subject;		/* of ActField * */
	List	   *metadata;
	bool		subject_given;
} ActRule;

/* A word of the tier column, in ascending order. */
typedef struct ActTierWord
{
	char	   *word;
	int			tier;			/* ActTier, or -1 */
} ActTierWord;

typedef struct ActTracking
{
	char	   *category;
	char	   *id;				/* one activity.track() call; survives renames */
	bool		strict;			/* on_unknown = 'error' */
	List	   *sources;		/* of ActSource * */
	List	   *machines;		/* of ActStateMachine * */
	List	   *rules;			/* of ActRule * */
	List	   *identity;		/* of char *: another value is another thing */
	List	   *ignored;		/* of char *: columns that "*" leaves out */
	List	   *tiers;			/* of ActTierWord * */
	char	   *tier_name;		/* column that the tier follows, or NULL */
	char	   *tier_machine;
	List	   *tier_live;		/* of char *: states that pay */

	/* Only in presets and in what callers of track() give. */
	List	   *categories;
	List	   *needs;			/* of List * of char *: one of each */
	char	   *words;			/* the name whose words "states" extends */
	List	   *extra_words;	/* of ActStateTest *, for that name */
	List	   *extra_metadata; /* of ActField *, for every rule */
	bool		replace;		/* "preset": false */
	bool		replica;
} ActTracking;

/*
 * Reads it, in the current memory context; throws 22023 that says where the
 * mistake is.  The array form is that of rules alone.
 */
extern ActTracking *act_tracking_read(Jsonb *json);

/* The argument of a trigger of the table; throws unless track() can have made it
 * as far as the tracking's category and id go. */
extern ActTracking *act_tracking_read_argument(const char *argument,
											   const char *table);

/* "columns" alone, as callers give it. */
extern List *act_tracking_read_sources(Jsonb *json);

/* Appends the JSON text that act_tracking_read reads. */
extern void act_tracking_write(StringInfo out, const ActTracking *tracking);

extern ActSource *act_tracking_source(const ActTracking *tracking,
									  const char *name);
extern ActStateMachine *act_tracking_machine(const ActTracking *tracking,
											 const char *name);
extern bool act_tracking_has_word(const List *words, const char *word);

/* Lower case, '-' and ' ' as '_', trimmed; palloc'd. */
extern char *act_tracking_fold(const char *word, int len);

/* Whether a field that the rule's event type requires comes from the name. */
extern bool act_tracking_requires(const ActRule *rule, const char *name);

/* Which operations a rule can fire on, and its condition for people. */
extern int	act_tracking_operations(const ActTracking *tracking,
									const ActRule *rule);
extern char *act_tracking_condition(const ActTracking *tracking,
									const ActRule *rule);

#endif
