/*
 * webhook/message.h
 *		What is sent: ids, bodies, headers; and what is recorded about it.
 */
#ifndef ACT_WEBHOOK_MESSAGE_H
#define ACT_WEBHOOK_MESSAGE_H

#include "utils/jsonb.h"
#include "webhook/store.h"

/*
 * A delivery's public id holds its endpoint, its position and the month that it
 * was made in, so that it is found without an index of its own.
 */
extern void act_message_delivery_id(int32 endpoint, int64 position,
									TimestampTz created_at, pg_uuid_t *id);

/* False: not one of ours.  *created_at is some moment of the month. */
extern bool act_message_parse_delivery_id(const pg_uuid_t *id, int32 *endpoint,
										  int64 *position, TimestampTz *created_at);

/*
 * The body in UTF-8, palloc'd: the same bytes for the same event, always, since
 * an event is never changed.  NULL when the event is no longer kept.
 */
extern char *act_message_body(const WebhookEndpoint *endpoint,
							  const WebhookDelivery *delivery);

/* The headers of an attempt: one signature per secret. */
extern Jsonb *act_message_headers(const WebhookDelivery *delivery, List *secrets,
								  const char *body, TimestampTz now);

/*
 * Records an event of the category webhook about the endpoint.  Metadata that is
 * NULL, 0 or absent is left out.
 */
extern void act_message_record(const char *type, const WebhookEndpoint *endpoint,
							   const char *reason);
extern void act_message_record_outcome(const char *type,
									   const WebhookEndpoint *endpoint,
									   const WebhookDelivery *delivery,
									   int attempts, int status_code,
									   const char *error);

#endif
