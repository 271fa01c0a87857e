/*
 * actor.h
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

/* Of the settings, else of request.jwt.claims; good until the next call. */
extern const ActActor *act_actor_current(void);

/*
 * activity.context and the database role, as stored with events; good until
 * the next call.
 */
extern Jsonb *act_actor_context(void);

/* Is it a JSON object that jsonb takes?  Never throws for what isn't. */
extern bool act_actor_is_json_object(const char *json);

extern void act_actor_init(void);

#endif
