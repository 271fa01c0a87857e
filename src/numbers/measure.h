/*
 * numbers/measure.h
 *		What the amounts of events mean.
 */
#ifndef ACT_MEASURE_H
#define ACT_MEASURE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Measures of one event type, by name. */
#define ACT_MEASURES_MAX 16

/* What an event comes to in one measure. */
typedef struct ActAmount
{
	int32		measure;		/* number */
	text	   *resource;		/* NULL: none */
	text	   *name;			/* of the resource, or NULL */
	text	   *unit;			/* NULL: none */
	Numeric		amount;			/* NULL: no number */
} ActAmount;

/* Has such an event any measure? */
extern bool act_measure_has(int32 type);

/*
 * The amounts of an event that was recorded then, palloc'd parts; returns how many.
 * metadata may be NULL, and so may subject: then there is nothing to be read.
 */
extern int	act_measure_event(int32 type, TimestampTz recorded_at,
							  Jsonb *subject, Jsonb *metadata,
							  ActAmount amounts[ACT_MEASURES_MAX]);

extern void act_numbers_init(void);
extern void act_fold_init(void);

#endif
