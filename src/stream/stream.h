/*
 * stream/stream.h
 *		The published order, as it is stored: segments, positions, hashes.
 */
#ifndef ACT_STREAM_H
#define ACT_STREAM_H

#include "access/genam.h"
#include "common/sha2.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/columns.h"
#include "event/incarnation.h"

typedef struct ActStreamRow
{
	int64		position;
	int32		organization;
	int32		segment;
	pg_uuid_t	id;				/* of zeros: what was here is not kept */
	uint8		hash[PG_SHA256_DIGEST_LENGTH];
} ActStreamRow;

typedef struct ActSegment
{
	int32		number;
	int32		epoch;
	TimestampTz started_at;
	uint32		timeline;
	int32		format;			/* of its digests */
	ActIdentity identity;
} ActSegment;

/* The stream as one snapshot shows it, open for reading. */
typedef struct ActStreamReader ActStreamReader;

/* Everything that it opens is closed by close, or by an error. */
extern ActStreamReader *act_stream_open(Snapshot snapshot);
/* Opens now what would be opened when it is needed. */
extern void act_stream_open_all(ActStreamReader *stream);
extern void act_stream_close(ActStreamReader *stream);

/* Every segment that ever was, ascending by number; and one by its number. */
extern const ActSegment *act_stream_segments(ActStreamReader *stream, int *count);
extern const ActSegment *act_stream_segment(ActStreamReader *stream, int32 number);

/* The newest row of the organization; the anchor, if nothing else is kept;
 * false if there never was one. */
extern bool act_stream_newest(ActStreamReader *stream, int32 organization,
							  ActStreamRow *row);

/* The row at this position, which may be an anchor, or the anchor there; false
 * if not kept. */
extern bool act_stream_at(ActStreamReader *stream, int32 organization,
						  int64 position, ActStreamRow *row);
extern bool act_stream_anchor_at(ActStreamReader *stream, int32 organization,
								 int64 position, ActStreamRow *row);

/* The newest anchor: what is at its position and before is not kept. */
extern bool act_stream_anchored(ActStreamReader *stream, int32 organization,
								ActStreamRow *row);

/* Makes act_stream_next return the rows after this position, ascending. */
extern void act_stream_seek(ActStreamReader *stream, int32 organization,
							int64 after);
extern bool act_stream_next(ActStreamReader *stream, ActStreamRow *row);

/* A cursor, palloc'd; parse throws ERRCODE_ACT_BAD_CURSOR. */
extern char *act_stream_cursor(int32 epoch, int64 position);
extern void act_stream_parse_cursor(const char *cursor, int32 *epoch,
									int64 *position);


/* A segment's index on (organization, position); throws 55000 if it has none. */
extern Oid	act_stream_key(Relation segment);

#endif
