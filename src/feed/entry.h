/*
 * feed/entry.h
 *		An event as people read it: activity.entry, and the same as JSON.
 */
#ifndef ACT_ENTRY_H
#define ACT_ENTRY_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* Columns of activity.entry, in their order (feed.sql). */
#define ACT_ENTRY_COLUMNS 14

/* Pointers are NULL for what the event does not have. */
typedef struct ActEntry
{
	pg_uuid_t	id;
	TimestampTz occurred_at;
	int32		type;
	text	   *actor_kind;
	text	   *actor_id;
	text	   *actor_name;
	text	   *subject_kind;	/* these two are of the subject */
	text	   *subject_id;
	Jsonb	   *subject;
	Jsonb	   *metadata;
	text	   *description;
	Jsonb	   *context;
	Jsonb	   *on_behalf_of;
	TimestampTz recorded_at;
} ActEntry;

/*
 * Reads a row of _activity.event or of a partition.  What was stored out of
 * line is fetched, in the caller's context; the rest points into the slot and
 * is good as long as the slot's row.
 */
extern void act_entry_read(TupleTableSlot *row, ActEntry *entry);

/* An argument of type activity.entry; throws for what no event could be. */
extern void act_entry_read_argument(HeapTupleHeader header, ActEntry *entry);

/* The columns of activity.entry; they point where the entry's fields point. */
extern void act_entry_values(const ActEntry *entry, Datum *values,
							 bool *nulls);

/*
 * Pushes one object with the names of activity.entry; fields that are absent
 * are null, occurred_at is act_entry_time_text's.  Returns what pushing its end
 * returned: the object, if *state was NULL.
 */
extern JsonbValue *act_entry_push_json(JsonbParseState **state,
									   const ActEntry *entry);

/* The same object alone. */
extern Jsonb *act_entry_json(const ActEntry *entry);

/* The context without what is the database's own business: its roles. */
extern Jsonb *act_entry_public_context(Jsonb *context);

/*
 * Appends the event object, the one shape in which events leave the database
 * (HTTP, stream frames, webhook bodies): compact JSON in camelCase, keys in a
 * fixed order, without the database's own part of the context.  Its bytes are
 * pinned by test/sql/event_object.sql.
 */
extern void act_entry_append_object(StringInfo out, const ActEntry *entry);

/* ISO 8601, UTC, microseconds: 2026-03-01T09:30:00.000000Z; palloc'd. */
extern char *act_entry_time_text(TimestampTz time);

#endif
