/*
 * export/exported.h
 *		The event of an export: what left the database, whatever became of the
 *		transaction.
 */
#ifndef ACT_EXPORT_EXPORTED_H
#define ACT_EXPORT_EXPORTED_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

typedef struct ActExported ActExported;

/*
 * An export begins; format and cursor may go away, and so may filters.  The result
 * lives until the event is committed, or the session ends; on a standby as long as the
 * current memory context.
 */
extern ActExported *act_exported_begin(const char *organization,
									   const char *format, const char *cursor,
									   Jsonb *filters);

/* By which the organization can be removed after it; copied. */
extern void act_exported_receipt(ActExported *exported, const char *receipt);

/* A line leaves, with its line feed; id is NULL where it is no event. */
extern void act_exported_line(ActExported *exported, const char *bytes, int len,
							  const pg_uuid_t *id);

/* The digest of what has left until now, in hexadecimal; palloc'd. */
extern char *act_exported_sha256(const ActExported *exported);

/* Nothing more leaves: the event is recorded at the end of the transaction. */
extern void act_exported_end(ActExported *exported, bool complete);

/* Steps of xact.c: are there exports to be recorded, and what becomes of them? */
extern bool act_exported_waiting;

extern void act_exported_write(void);
extern void act_exported_refuse_prepare(void);
extern void act_exported_at_commit(void);
extern void act_exported_at_abort(void);

#endif
