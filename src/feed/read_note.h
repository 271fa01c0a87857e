/*
 * feed/read_note.h
 *		Who read the feed: noted once for each reader, organization and hour.
 */
#ifndef ACT_READ_NOTE_H
#define ACT_READ_NOTE_H

#include "feed/filter.h"

/*
 * Notes a read of the organization by the viewer, or, where that is NULL, by the
 * database role, if activity.record_reads is on and the transaction may write.
 */
extern void act_read_note(const ActFeedFilter *filter, const text *viewer);

/* For xact.c: write the notes of this transaction, and forget them. */
extern void act_read_note_write(void);
extern void act_read_note_forget(void);

#endif
