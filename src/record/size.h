/*
 * record/size.h
 *		How large an event may be, and what is left of one that is larger.
 */
#ifndef ACT_SIZE_H
#define ACT_SIZE_H

#include "base/compat.h"
#include "event/event.h"

/*
 * Bytes that everything in an event which has no limit of its own may have
 * together: subject, metadata, context, description, actor, on_behalf_of.  Below
 * this bound a digest, a message or a webhook's body of the event always fits
 * into the server's buffers of 1 GB, even if every character is escaped.
 */
#define ACT_SIZE_BOUND (32 * 1024 * 1024)

/* Events of our own always fit into the least value of the setting. */
#define ACT_SIZE_LEAST (16 * 1024)

/*
 * Whether the event is within activity.max_event_size; the description may still
 * be NULL.  Small events are judged by their stored size alone.  Larger ones are
 * measured as JSON text, too, because text can be thousands of times as large
 * as what is stored (1e131071).
 */
extern bool act_size_fits(const ActEvent *event);

/* Throws 54000, with what to do. */
pg_noreturn extern void act_size_complain(void);

/*
 * Makes an event fit that does not: the largest members of subject, metadata and
 * context go first, their place is taken by the text "too large"; what is left of a
 * description is its beginning.  palloc's what it replaces.
 */
extern void act_size_cut(ActEvent *event);

#endif
