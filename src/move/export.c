/*
 * move/export.c
 *		activity.export_organization(): all that an organization has, a line a row.
 *
 * Each section of the file is a query.  All of them begin in the first call, with
 * one snapshot, and are read a page at a time, so that memory is bounded.  That it
 * left is an event, as with every export (exported.h).
 */
#include "activity.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "event/event.h"
#include "event/id.h"
#include "event/organization.h"
#include "export/exported.h"
#include "export/scope.h"
#include "move/move.h"
#include "record/record.h"
#include "stream/progress.h"

PG_FUNCTION_INFO_V1(act_export_organization);
PG_FUNCTION_INFO_V1(act_present_receipt);

extern PGDLLEXPORT Datum act_export_organization(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum act_present_receipt(PG_FUNCTION_ARGS);

/* Lines that are read at once. */
#define PAGE_LINES 200

/* In this order; _activity.move_<section>() is its query, of the organization's key. */
static const char *const sections[] = {
	"head", "definitions", "rules", "events", "stream", "numbers", "webhooks",
	"access", "consumers"
};

typedef struct Moving
{
	MemoryContext context;
	MemoryContext page;			/* the lines that were read */
	int32		key;			/* of the organization */
	ActExported *exported;
	char	   *portals[lengthof(sections)];	/* NULL: it is over */
	int			section;		/* that is being read */
	text	   *lines[PAGE_LINES];
	int			count;
	int			returned;
	int64		total;			/* lines before the last one */
	int64		events;
	bool		ended;			/* the last line was made */
} Moving;

static Moving *begin(FunctionCallInfo fcinfo);
static void open_sections(Moving *moving);
static void read_page(Moving *moving);
static void fetch(Moving *moving);
static void end_line(Moving *moving);
static int	set_for_text(void);
static bool is_event(const text *line, pg_uuid_t *id);
static void close_sections(Moving *moving);
static void stop(Datum argument);
static char *present_receipt(void);

/* export_organization(organization text, closing boolean) RETURNS SETOF text */
Datum
act_export_organization(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *call;
	Moving	   *moving;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->user_fctx = moving = begin(fcinfo);
		MemoryContextSwitchTo(old);
		RegisterExprContextCallback(result->econtext, stop, PointerGetDatum(moving));
	}
	call = SRF_PERCALL_SETUP();
	moving = call->user_fctx;
	while (moving->returned == moving->count && !moving->ended)
		read_page(moving);
	if (moving->returned < moving->count)
		SRF_RETURN_NEXT(call, PointerGetDatum(moving->lines[moving->returned++]));
	act_exported_end(moving->exported, true);
	UnregisterExprContextCallback(result->econtext, stop, PointerGetDatum(moving));
	SRF_RETURN_DONE(call);
}

static Moving *
begin(FunctionCallInfo fcinfo)
{
	Moving	   *moving = palloc0(sizeof(Moving));
	char	   *organization;
	bool		closing = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	if (!RecoveryInProgress() || closing)
		PreventCommandIfReadOnly("activity.export_organization()");
	act_record_flush();
	organization = text_to_cstring(PG_GETARG_TEXT_PP(0));
	moving->key = act_organization_find(organization, strlen(organization));
	if (moving->key == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no organization \"%s\"", organization)));
	moving->context = CurrentMemoryContext;
	moving->page = AllocSetContextCreate(moving->context, "activity move page",
										 ALLOCSET_DEFAULT_SIZES);

	/* Whose lock we have claims nothing after our snapshot. */
	if (closing)
		act_move_call("SELECT _activity.move_lock($1)", moving->key);
	PushActiveSnapshot(GetLatestSnapshot());
	moving->exported = act_exported_begin(organization, "organization",
										  act_export_scope_newest(moving->key),
										  act_move_no_filters());
	act_exported_receipt(moving->exported, present_receipt());
	open_sections(moving);
	PopActiveSnapshot();
	if (closing)
		act_move_call("SELECT _activity.move_close($1)", moving->key);
	return moving;
}

static void
open_sections(Moving *moving)
{
	Oid			type = INT4OID;
	Datum		key = Int32GetDatum(moving->key);
	int			level = set_for_text();

	SPI_connect();
	for (int i = 0; i < lengthof(sections); i++)
	{
		char	   *sql = psprintf("SELECT _activity.move_%s()", sections[i]);
		Portal		portal;

		if (SPI_execute(sql, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "could not find the query of \"%s\"", sections[i]);
		sql = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		portal = SPI_cursor_open_with_args(NULL, sql, 1, &type, &key, NULL, true,
										   CURSOR_OPT_NO_SCROLL);
		moving->portals[i] = MemoryContextStrdup(moving->context, portal->name);
	}
	SPI_finish();
	AtEOXact_GUC(false, level);
}

/* Times and intervals as text that any session reads alike. */
static int
set_for_text(void)
{
	static const char *const settings[][2] = {
		{"TimeZone", "UTC"}, {"IntervalStyle", "iso_8601"}, {"bytea_output", "hex"},
		{"extra_float_digits", "1"}
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
read_page(Moving *moving)
{
	MemoryContextReset(moving->page);
	moving->count = moving->returned = 0;
	if (moving->section < lengthof(sections))
		fetch(moving);
	else
		end_line(moving);
}

static void
fetch(Moving *moving)
{
	int			level = set_for_text();
	Portal		portal;

	SPI_connect();
	portal = SPI_cursor_find(moving->portals[moving->section]);
	if (!PortalIsValid(portal))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_CURSOR_STATE),
				 errmsg("somebody closed what the export reads from")));
	SPI_cursor_fetch(portal, true, PAGE_LINES);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(moving->page);
		text	   *packed = DatumGetTextPP(value);
		int			len = VARSIZE_ANY_EXHDR(packed);
		text	   *line = palloc(VARHDRSZ + len + 1);
		pg_uuid_t	id;
		bool		event;

		/* The line feed behind it is hashed, too, and not returned. */
		SET_VARSIZE(line, VARHDRSZ + len);
		memcpy(VARDATA(line), VARDATA_ANY(packed), len);
		VARDATA(line)[len] = '\n';
		event = is_event(line, &id);
		moving->events += event;
		act_exported_line(moving->exported, VARDATA(line), len + 1, event ? &id : NULL);
		moving->lines[moving->count++] = line;
		moving->total++;
		MemoryContextSwitchTo(old);
	}
	if (SPI_processed == 0)
	{
		SPI_cursor_close(portal);
		moving->portals[moving->section++] = NULL;
	}
	SPI_finish();
	AtEOXact_GUC(false, level);
}

static bool
is_event(const text *line, pg_uuid_t *id)
{
	static const char begins[] = ACT_MOVE_EVENT;
	int			len = sizeof(begins) - 1;
	char		text[37];

	if (VARSIZE(line) - VARHDRSZ < len + 36 || memcmp(VARDATA(line), begins, len) != 0)
		return false;
	memcpy(text, VARDATA(line) + len, 36);
	text[36] = '\0';
	return act_event_id_parse(text, id);
}

static void
end_line(Moving *moving)
{
	MemoryContext old = MemoryContextSwitchTo(moving->page);
	char	   *line = psprintf("{\"line\":\"end\",\"lines\":" INT64_FORMAT ",\"events\":" INT64_FORMAT
								",\"sha256\":\"%s\"}\n", moving->total, moving->events,
								act_exported_sha256(moving->exported));
	int			len = strlen(line);

	moving->lines[moving->count++] = cstring_to_text_with_len(line, len - 1);
	act_exported_line(moving->exported, line, len, NULL);
	moving->ended = true;
	MemoryContextSwitchTo(old);
}

static void
close_sections(Moving *moving)
{
	for (int i = 0; i < lengthof(sections); i++)
	{
		Portal		portal = moving->portals[i] == NULL ? NULL :
			GetPortalByName(moving->portals[i]);

		if (PortalIsValid(portal))
			PortalDrop(portal, false);
		moving->portals[i] = NULL;
	}
}

/* The statement ends before the last line was returned. */
static void
stop(Datum argument)
{
	Moving	   *moving = (Moving *) DatumGetPointer(argument);

	close_sections(moving);
	act_exported_end(moving->exported, false);
}

/* present_receipt(): what is visible now, as event.xid has it. */
Datum
act_present_receipt(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(present_receipt()));
}

static char *
present_receipt(void)
{
	ActShot    *shot = act_progress_shot(GetActiveSnapshot());
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", shot->xmin, shot->xmax);
	for (uint32 i = 0; i < shot->nrunning; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i > 0 ? "," : "", shot->running[i]);
	return text.data;
}
