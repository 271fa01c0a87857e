/*
 * webhook/webhook.h
 *		Webhooks: what the rest of the extension sees of them.
 */
#ifndef ACT_WEBHOOK_H
#define ACT_WEBHOOK_H

#include "datatype/timestamp.h"

#include "stream/subscriber.h"

/*
 * Makes one delivery per event and endpoint that wants it, in the publisher's
 * transaction.  Costs a look-up per event where nobody has an endpoint.
 * Throws for nothing that belongs to one event or endpoint.
 */
extern void act_webhook_fan_out(const ActPublished *events, int count);

/*
 * The current time of everything that waits: the wall clock, moved by the
 * setting activity.clock_offset, which only a superuser may set, so that tests
 * can live through weeks.
 */
extern TimestampTz act_webhook_clock(void);

extern TimestampTz act_webhook_later(TimestampTz time, const Interval *by);

extern void act_webhook_init(void);

#endif
