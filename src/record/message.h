/*
 * record/message.h
 *		Live messages: what they look like, and sending them from the writer while
 *		nobody publishes.
 */
#ifndef ACT_NOTIFY_H
#define ACT_NOTIFY_H

#include "event/event.h"
#include "lib/stringinfo.h"

#define ACT_NOTIFY_CHANNEL "activity"

/* What of an event goes into a message; texts may be NULL. */
typedef struct ActMessage
{
	const char *organization;
	int			organization_len;
	int64		position;		/* 0: not published yet */
	const char *cursor;			/* NULL: not published yet */
	pg_uuid_t	id;
	int32		type;
	TimestampTz occurred_at;
	text	   *actor_kind;
	text	   *actor_id;
	text	   *actor_name;
	Jsonb	   *on_behalf_of;	/* or NULL */
	Jsonb	   *subject;
	text	   *description;
} ActMessage;

/*
 * Appends the message to payload, JSON of less than 8000 bytes; what does not
 * fit is left out, and "truncated": true says so.  Never throws for content.
 */
extern void act_notify_payload(const ActMessage *message, StringInfo payload);

/* The organization's own channel: NAMEDATALEN bytes at channel. */
extern void act_notify_channel(const char *organization, int len, char *channel);

/* Remembers a message about the event, to be sent when the writer commits. */
extern void act_notify_add(const ActEvent *event, const char *organization,
						   int organization_len);

/* Is there so much room in the notification queue that sending can't fail? */
extern bool act_notify_has_room(void);

/* Sends what this transaction is to send. */
extern void act_notify_send(void);

/* Forgets it at the end of the transaction, or what an aborted subtransaction
 * was to send; what a committed one left out is its parent's from then on. */
extern void act_notify_forget(void);
extern void act_notify_commit_sub(SubTransactionId mine, SubTransactionId parent);
extern void act_notify_abort_sub(SubTransactionId mine);

#endif
