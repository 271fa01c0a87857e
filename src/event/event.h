/*
 * event/event.h
 *		The event row and its only writer.
 */
#ifndef ACT_EVENT_H
#define ACT_EVENT_H

#include "event/id.h"
#include "utils/jsonb.h"

/* Columns of _activity.event, in their order (tables.sql). */
#define ACT_EVENT_ID			1
#define ACT_EVENT_OCCURRED_AT	2
#define ACT_EVENT_XID			3
#define ACT_EVENT_SALT			4
#define ACT_EVENT_ORGANIZATION	5
#define ACT_EVENT_TYPE			6
#define ACT_EVENT_ACTOR_HASH	7
#define ACT_EVENT_SUBJECT_HASH	8
#define ACT_EVENT_ACTOR_KIND	9
#define ACT_EVENT_ACTOR_ID		10
#define ACT_EVENT_ACTOR_NAME	11
#define ACT_EVENT_DESCRIPTION	12
#define ACT_EVENT_SUBJECT		13
#define ACT_EVENT_METADATA		14
#define ACT_EVENT_CONTEXT		15
#define ACT_EVENT_COLUMNS		15

typedef struct ActEvent
{
	pg_uuid_t	id;
	TimestampTz occurred_at;	/* the time in id */
	int32		organization;
	int32		type;
	text	   *actor_kind;		/* these three NULL: the system */
	text	   *actor_id;
	text	   *actor_name;		/* or just this one: not known */
	text	   *description;
	Jsonb	   *subject;
	Jsonb	   *metadata;		/* or NULL */
	Jsonb	   *context;
} ActEvent;

/*
 * Writes the event in the current transaction.  While a batch is open in this
 * subtransaction the row is formed now and written with the others.
 */
extern void act_event_write(const ActEvent *event);

/* Writes it unless the organization has an event of this id: then false. */
extern bool act_event_write_once(const ActEvent *event);

extern void act_event_open_batch(void);
extern void act_event_close_batch(void);

/* Writes what waits; a no-op in a subtransaction of the one that opened it. */
extern void act_event_flush(void);

/* The text of the subject's "id" (string or number), NULL if it has none. */
extern char *act_event_subject_id(Jsonb *subject, int *len);

/*
 * The hash in actor_hash and subject_hash.  Its upper half is that of what
 * follows the last colon, so that a filter 'order:17', which may mean the id
 * 17 as well, finds both side by side in the index.
 */
extern int32 act_event_hash(const char *id, int len);

extern void act_event_init(void);

#endif
