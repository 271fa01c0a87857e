/*
 * feed/read_note.c
 *		Who read the feed: noted once for each reader, organization and hour.
 *
 * A read that wrote an event would drown the log in reads, so reads are counted:
 * in memory until the transaction commits, then one row for each reader and
 * organization, which upkeep folds into one event when the hour is over.  A
 * transaction that only reads, and a standby, can't write the row; their reads
 * are not noted (docs/feed.md says so).
 */
#include "activity.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/own_table.h"
#include "feed/read_note.h"

typedef struct Note
{
	int32		organization;
	char	   *reader;
	bool		is_member;		/* else a database role */
	int64		reads;
	char	   *filters;		/* which were set, with commas between */
} Note;

/* In TopTransactionContext. */
static List *notes = NIL;

static char *list_filters(const ActFeedFilter *filter);

void
act_read_note(const ActFeedFilter *filter, const text *viewer)
{
	MemoryContext old;
	char	   *reader;
	char	   *filters;
	Note	   *note;
	ListCell   *cell;

	if (!act_setting_record_reads || filter->organization == 0 ||
		XactReadOnly || RecoveryInProgress() || IsInParallelMode())
		return;
	reader = viewer != NULL ? text_to_cstring(viewer) :
		GetUserNameFromId(GetSessionUserId(), true);
	if (reader == NULL)
		return;
	filters = list_filters(filter);
	foreach(cell, notes)
	{
		note = lfirst(cell);
		if (note->organization == filter->organization &&
			note->is_member == (viewer != NULL) &&
			strcmp(note->reader, reader) == 0 &&
			strcmp(note->filters, filters) == 0)
		{
			note->reads++;
			return;
		}
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	note = palloc(sizeof(Note));
	note->organization = filter->organization;
	note->reader = pstrdup(reader);
	note->is_member = viewer != NULL;
	note->reads = 1;
	note->filters = pstrdup(filters);
	notes = lappend(notes, note);
	MemoryContextSwitchTo(old);
}

/* Their names and not their values, which may be as personal as what was read. */
static char *
list_filters(const ActFeedFilter *filter)
{
	StringInfoData out;
	const struct
	{
		const char *name;
		bool		set;
	}			parts[] = {
		{"event_types", !act_values_any(&filter->types)},
		{"actor", filter->actor != NULL},
		{"subject", filter->subject != NULL},
		{"on_behalf_of", filter->on_behalf_of != NULL},
		{"search", filter->search != NULL}
	};

	initStringInfo(&out);
	for (int i = 0; i < lengthof(parts); i++)
		if (parts[i].set)
			appendStringInfo(&out, "%s%s", out.len > 0 ? "," : "", parts[i].name);
	return out.data;
}

void
act_read_note_write(void)
{
	ListCell   *cell;

	foreach(cell, notes)
	{
		const Note *note = lfirst(cell);
		Datum		values[ACT_READ_NOTE_COLUMNS];
		bool		nulls[ACT_READ_NOTE_COLUMNS] = {false};

		values[ACT_READ_NOTE_ORGANIZATION - 1] = Int32GetDatum(note->organization);
		values[ACT_READ_NOTE_READER - 1] = CStringGetTextDatum(note->reader);
		values[ACT_READ_NOTE_IS_MEMBER - 1] = BoolGetDatum(note->is_member);
		values[ACT_READ_NOTE_READ_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[ACT_READ_NOTE_READS - 1] = Int64GetDatum(note->reads);
		values[ACT_READ_NOTE_FILTERS - 1] = CStringGetTextDatum(note->filters);
		act_relation_insert(ACT_REL_READ_NOTE, values, nulls);
	}
	notes = NIL;
}

void
act_read_note_forget(void)
{
	notes = NIL;
}
