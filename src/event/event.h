/*
 * event/event.h
 *		The event row and its only writer.
 */
#ifndef ACT_EVENT_H
#define ACT_EVENT_H

#include "utils/jsonb.h"

#include "base/columns.h"
#include "event/id.h"

typedef struct ActEvent
{
	pg_uuid_t	id;
	TimestampTz occurred_at;	/* the time in id */
	TimestampTz recorded_at;	/* DT_NOBEGIN: the same */
	int32		organization;
	int32		type;
	text	   *actor_kind;		/* these three NULL: the system */
	text	   *actor_id;
	text	   *actor_name;		/* or just this one: not known */
	text	   *description;
	Jsonb	   *subject;
	Jsonb	   *metadata;		/* or NULL */
	Jsonb	   *context;
	Jsonb	   *on_behalf_of;	/* or NULL */
} ActEvent;

/*
 * Writes the event in the current transaction.  While a batch is open in this
 * subtransaction the row is formed now and written with the others.
 */
extern void act_event_write(const ActEvent *event);

/* Writes it unless the organization has an event of this id: then false. */
extern bool act_event_write_once(const ActEvent *event);

/*
 * The first statement that opens a batch owns it, together with those within it
 * in the same subtransaction; the last one that closes it writes it.
 */
extern void act_event_open_batch(void);
extern void act_event_close_batch(void);

/* Closes it, whoever has it open: the subtransaction ends. */
extern void act_event_end_batch(void);

/* Writes what waits; a no-op in a subtransaction of the one that opened it. */
extern void act_event_flush(void);

/* The text of an object's "id" (string or number), NULL if it has none. */
extern char *act_event_subject_id(Jsonb *subject, int *len);

/*
 * The hash in actor_hash, subject_hash and on_behalf_of_hash.  Its upper half is
 * that of what follows the last colon, so that 'order:17' and '17' are neighbours.
 */
extern int32 act_event_hash(const char *id, int len);

/* The batch is forgotten: at the end of the transaction, or if it is the aborted
 * subtransaction's. */
extern void act_event_forget_batch(void);
extern void act_event_abort_sub(SubTransactionId mine);

#endif
