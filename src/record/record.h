/*
 * record/record.h
 *		Recording one event: check, render, attach actor and context, write.
 */
#ifndef ACT_RECORD_H
#define ACT_RECORD_H

#include "event/id.h"
#include "record/actor.h"
#include "taxonomy/taxonomy.h"

typedef struct ActHappening
{
	const char *organization;	/* the application's id */
	int			organization_len;
	int32		type;			/* taxonomy code */
	Jsonb	   *subject;		/* an object; never NULL */
	Jsonb	   *metadata;		/* an object, or NULL */
	text	   *description;	/* NULL: render the type's template */
	TimestampTz occurred_at;	/* DT_NOBEGIN: now */
	const pg_uuid_t *id;		/* NULL: make one; else idempotent */
	bool		cut;			/* too large: record what fits, don't throw */
} ActHappening;

/* Who did it and where it came from, as of some time before (record/actor.h). */
typedef struct ActWho
{
	const ActActor *actor;
	Jsonb	   *context;
	Jsonb	   *on_behalf_of;	/* or NULL */
} ActWho;

/*
 * Records it in the current transaction; the id of the event into *id (which
 * of an event that exists already, if the caller gave that one's id).  An event
 * larger than activity.max_event_size throws 54000, or with happening->cut loses
 * what is too large (record/size.h): then the result is false.
 * Between act_record_open_batch and act_record_close_batch the rows are
 * computed at once but may be written together; close, any reading function of
 * ours, and the commit write what is left.
 */
extern bool act_record(const ActHappening *happening, pg_uuid_t *id);

/* The same, done by somebody who may not be the present actor. */
extern bool act_record_by(const ActHappening *happening, const ActWho *who,
						  pg_uuid_t *id);

extern void act_record_open_batch(void);
extern void act_record_close_batch(void);

/* Write what waits, so that the current command's readers can see it. */
extern void act_record_flush(void);

#endif
