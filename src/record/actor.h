/*
 * record/actor.h
 *		Who did it, and where it came from.
 */
#ifndef ACT_ACTOR_H
#define ACT_ACTOR_H

#include "postgres.h"
#include "utils/jsonb.h"

typedef struct ActActor
{
	text	   *kind;			/* all NULL: the system */
	text	   *id;
	text	   *name;			/* NULL: not known */
} ActActor;

/*
 * Whom the actor acts for, {"kind", "id", "name"} of the settings; NULL for
 * nobody; good until the next call.
 */
extern Jsonb *act_actor_on_behalf_of(void);

/* Of the settings, else of request.jwt.claims; good until the next call. */
extern const ActActor *act_actor_current(void);

/*
 * activity.context and the database role, as stored with events; good until
 * the next call.
 */
extern Jsonb *act_actor_context(void);

/* The text as a JSON object; NULL if it is none that jsonb takes. */
extern Jsonb *act_actor_read_object(const char *text);

extern void act_actor_init(void);

#endif
