/*
 * export/scope.c
 *		Which events were published up to a cursor.
 *
 * An event does not know its position.  But what was published after the cursor
 * is usually little, and what is not published yet the publisher's progress
 * tells: everything else was published up to it.
 */
#include "activity.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "base/columns.h"
#include "export/scope.h"
#include "stream/progress.h"
#include "stream/stream.h"

struct ActExportScope
{
	ActProgress progress;
	int64		count;
	pg_uuid_t  *later;			/* ascending */
};

static void check(ActStreamReader *stream, int32 organization, const char *cursor,
				  int32 epoch, int64 position);
static int	compare(const void *a, const void *b);

ActExportScope *
act_export_scope(int32 organization, const char *cursor)
{
	ActExportScope *scope = palloc0(sizeof(ActExportScope));
	ActStreamReader *stream;
	ActStreamRow at;
	int32		epoch;
	int64		position;
	int64		room = 1024;

	act_stream_parse_cursor(cursor, &epoch, &position);
	stream = act_stream_open(GetActiveSnapshot());
	check(stream, organization, cursor, epoch, position);
	scope->later = palloc(room * sizeof(pg_uuid_t));
	act_stream_seek(stream, organization, position);
	while (act_stream_next(stream, &at))
	{
		CHECK_FOR_INTERRUPTS();
		if (scope->count == room)
		{
			room *= 2;
			scope->later = repalloc_huge(scope->later, room * sizeof(pg_uuid_t));
		}
		scope->later[scope->count++] = at.id;
	}
	act_stream_close(stream);
	qsort(scope->later, scope->count, sizeof(pg_uuid_t), compare);
	act_progress_read(GetActiveSnapshot(), &scope->progress);
	return scope;
}

void
act_export_scope_check(int32 organization, const char *cursor)
{
	ActStreamReader *stream = act_stream_open(GetActiveSnapshot());
	int32		epoch;
	int64		position;

	act_stream_parse_cursor(cursor, &epoch, &position);
	check(stream, organization, cursor, epoch, position);
	act_stream_close(stream);
}

/* As of replay(), but what comes after the cursor may be gone. */
static void
check(ActStreamReader *stream, int32 organization, const char *cursor,
	  int32 epoch, int64 position)
{
	ActStreamRow newest = {0};
	ActStreamRow at;

	(void) act_stream_newest(stream, organization, &newest);
	if (position > newest.position)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_CURSOR_FUTURE),
				 errmsg("cursor \"%s\" is ahead of the stream", cursor),
				 errdetail("The newest position is " INT64_FORMAT ".", newest.position)));
	if (position == 0)
		return;
	if (!act_stream_at(stream, organization, position, &at))
		ereport(ERROR,
				(errcode(ERRCODE_ACT_CURSOR_EXPIRED),
				 errmsg("cursor \"%s\" is older than what is kept", cursor)));
	if (act_stream_segment(stream, at.segment)->epoch != epoch)
		ereport(ERROR,
				(errcode(ERRCODE_ACT_CURSOR_FORKED),
				 errmsg("cursor \"%s\" points into a history that is not this one",
						cursor)));
}

bool
act_export_scope_has(const ActExportScope *scope, TupleTableSlot *row)
{
	bool		isnull;
	pg_uuid_t  *id = DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));
	FullTransactionId xid =
		DatumGetFullTransactionId(slot_getattr(row, ACT_EVENT_XID, &isnull));

	return act_progress_covers(&scope->progress, U64FromFullTransactionId(xid), id) &&
		bsearch(id, scope->later, scope->count, sizeof(pg_uuid_t), compare) == NULL;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

char *
act_export_scope_newest(int32 organization)
{
	ActStreamReader *stream = act_stream_open(GetActiveSnapshot());
	ActStreamRow newest;
	char	   *cursor = pstrdup("0.0");

	if (act_stream_newest(stream, organization, &newest))
		cursor = act_stream_cursor(act_stream_segment(stream, newest.segment)->epoch,
								   newest.position);
	act_stream_close(stream);
	return cursor;
}
