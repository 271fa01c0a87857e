/*
 * export/export.c
 *		activity.export(): an organization's events as text, a line a row.
 *
 * An export may be as large as the database, so it is returned a value per call: the
 * feed is read a page at a time, by the id of the last event, and all pages with
 * the statement's one snapshot.  The export is itself an event (exported.h).
 */
#include "activity.h"

#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/columns.h"
#include "base/utf8.h"
#include "export/exported.h"
#include "export/line.h"
#include "export/proof.h"
#include "export/scope.h"
#include "feed/filter.h"
#include "feed/scan.h"
#include "record/record.h"

PG_FUNCTION_INFO_V1(act_export);

extern PGDLLEXPORT Datum act_export(PG_FUNCTION_ARGS);

#define ARG_FORMAT		1
#define ARG_COLUMNS		2
#define ARG_FILTERS		3		/* event_types to search, as feed() has them */
#define FILTERS			6
#define ARG_SINCE		6
#define ARG_UNTIL		7
#define ARG_UP_TO		9
#define ARG_VIEWER		10
#define ARG_ON_BEHALF_OF	11

/* What is read at once: as many events, or until it is as many bytes. */
#define PAGE_EVENTS 1000
#define PAGE_BYTES (256 * 1024)

typedef enum Format
{
	FORMAT_CSV, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CLOUDEVENTS, FORMAT_OCSF,
	FORMAT_PROOF
} Format;

static const char *const format_names[] = {
	"csv", "json", "ndjson", "cloudevents", "ocsf", "proof"
};

/* What is returned next. */
typedef struct Line
{
	text	   *text;
	bool		is_event;
	pg_uuid_t	id;				/* of the event */
} Line;

typedef struct Export
{
	MemoryContext context;		/* all of it lives here */
	MemoryContext page;			/* the lines of the page */
	MemoryContext scratch;		/* of one event */
	Format		format;
	char	   *organization;
	ActExportColumns *columns;	/* csv only */
	ActFeedFilter *filter;
	ActExportScope *scope;		/* NULL: everything */
	ActProof   *proof;			/* proof only */
	Jsonb	   *request;		/* the arguments that choose events */
	ActExported *exported;
	int64		made;			/* lines of events */
	bool		begun;			/* the page's first line is not the export's */
	bool		ended;			/* no page follows */
	bool		closed;			/* nor a closing line */
	int			lines;			/* of the page, and those returned */
	int			returned;
	Line		line[PAGE_EVENTS + 2];
} Export;

static Export *begin(FunctionCallInfo fcinfo);
static char *begin_scope(Export *export, FunctionCallInfo fcinfo);
static Format read_format(FunctionCallInfo fcinfo);
static ActFeedFilter *read_filter(FunctionCallInfo fcinfo);
static Jsonb *read_request(FunctionCallInfo fcinfo);
static char *argument_text(FunctionCallInfo fcinfo, int argument);
static void push_text(JsonbParseState **state, const char *key, const char *value);
static void read_page(Export *export);
static void open_lines(Export *export);
static void close_lines(Export *export);
static void read_events(Export *export);
static void add_event(Export *export, TupleTableSlot *row);
static void add_proof(void *state, const char *line, int len, const pg_uuid_t *id);
static void add_line(Export *export, const char *bytes, int len, const pg_uuid_t *id);
static void stop(Datum argument);

Datum
act_export(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *call;
	Export	   *export;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->user_fctx = export = begin(fcinfo);
		MemoryContextSwitchTo(old);
		RegisterExprContextCallback(result->econtext, stop, PointerGetDatum(export));
	}
	call = SRF_PERCALL_SETUP();
	export = call->user_fctx;
	while (export->returned == export->lines && !export->closed)
		read_page(export);
	if (export->returned < export->lines)
	{
		Line	   *line = &export->line[export->returned++];

		/* The line feed behind it, too, which is not returned. */
		act_exported_line(export->exported, VARDATA(line->text),
						  VARSIZE(line->text) - VARHDRSZ + 1,
						  line->is_event ? &line->id : NULL);
		SRF_RETURN_NEXT(call, PointerGetDatum(line->text));
	}
	act_exported_end(export->exported, true);
	UnregisterExprContextCallback(result->econtext, stop, PointerGetDatum(export));
	SRF_RETURN_DONE(call);
}

static Export *
begin(FunctionCallInfo fcinfo)
{
	Export	   *export = palloc0(sizeof(Export));
	char	   *cursor;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	/* A standby can record nothing; elsewhere nobody gets around it. */
	if (!RecoveryInProgress())
		PreventCommandIfReadOnly("activity.export()");
	act_record_flush();
	export->context = CurrentMemoryContext;
	export->page = AllocSetContextCreate(export->context, "activity export page",
										 ALLOCSET_DEFAULT_SIZES);
	export->scratch = AllocSetContextCreate(export->context, "activity export line",
											ALLOCSET_DEFAULT_SIZES);
	export->organization = text_to_cstring(PG_GETARG_TEXT_PP(0));
	export->format = read_format(fcinfo);
	if (!PG_ARGISNULL(ARG_COLUMNS) && export->format != FORMAT_CSV)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns are of format csv alone")));
	if (export->format == FORMAT_CSV)
		export->columns = act_export_columns(PG_ARGISNULL(ARG_COLUMNS) ? NULL :
											 PG_GETARG_ARRAYTYPE_P(ARG_COLUMNS));
	export->filter = read_filter(fcinfo);
	cursor = begin_scope(export, fcinfo);
	export->request = read_request(fcinfo);
	if (export->format == FORMAT_PROOF)
		export->proof = act_proof_begin(export->organization, export->filter, cursor);
	export->exported = act_exported_begin(export->organization,
										  format_names[export->format], cursor,
										  export->request);
	return export;
}

/* Up to which cursor: the given one, or the newest that there is. */
static char *
begin_scope(Export *export, FunctionCallInfo fcinfo)
{
	int32		organization = export->filter->organization;
	char	   *cursor;

	if (PG_ARGISNULL(ARG_UP_TO))
		return act_export_scope_newest(organization);
	cursor = text_to_cstring(PG_GETARG_TEXT_PP(ARG_UP_TO));
	if (export->format == FORMAT_PROOF)
		act_export_scope_check(organization, cursor);
	else
		export->scope = act_export_scope(organization, cursor);
	return cursor;
}

static Format
read_format(FunctionCallInfo fcinfo)
{
	char	   *name = PG_ARGISNULL(ARG_FORMAT) ? pstrdup("csv") :
		text_to_cstring(PG_GETARG_TEXT_PP(ARG_FORMAT));

	for (int i = 0; i < lengthof(format_names); i++)
		if (strcmp(name, format_names[i]) == 0)
			return (Format) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no format \"%s\"", name),
			 errhint("The formats are csv, json, ndjson, cloudevents, ocsf and proof.")));
}

/* The feed's own reading of the filters, which stand elsewhere among its arguments. */
static ActFeedFilter *
read_filter(FunctionCallInfo fcinfo)
{
	LOCAL_FCINFO(feed, FILTERS + 3);

	InitFunctionCallInfoData(*feed, fcinfo->flinfo, FILTERS + 3, fcinfo->fncollation,
							 NULL, NULL);
	feed->args[0] = fcinfo->args[0];
	for (int i = 0; i < FILTERS; i++)
		feed->args[1 + i] = fcinfo->args[ARG_FILTERS + i];
	feed->args[FILTERS + 1] = fcinfo->args[ARG_VIEWER];
	feed->args[FILTERS + 2] = fcinfo->args[ARG_ON_BEHALF_OF];
	return act_feed_filter_read(feed, FILTERS + 1);
}

/* What was asked for, as the event and a proof say it. */
static Jsonb *
read_request(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {
		NULL, NULL, "columns", "event_types", "actor", "subject", "since", "until",
		"search", NULL, "viewer", "on_behalf_of"
	};
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < lengthof(names); i++)
		if (names[i] != NULL && !PG_ARGISNULL(i))
			push_text(&state, names[i], argument_text(fcinfo, i));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The same in any session: not by its TimeZone or DateStyle. */
static char *
argument_text(FunctionCallInfo fcinfo, int argument)
{
	Datum		value = PG_GETARG_DATUM(argument);
	Oid			output;
	bool		varlena;

	if ((argument == ARG_SINCE || argument == ARG_UNTIL) &&
		!TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)))
		return act_entry_time_text(DatumGetTimestampTz(value));
	getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, argument), &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

static void
push_text(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue	part = {.type = jbvString};

	part.val.string.val = unconstify(char *, key);
	part.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &part);
	part.val.string.val = unconstify(char *, value);
	part.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &part);
}

/* The lines of the next events, with what stands before and after all of them. */
static void
read_page(Export *export)
{
	bool		first = !export->begun;

	MemoryContextReset(export->page);
	export->lines = export->returned = 0;
	export->begun = true;
	if (first)
		open_lines(export);
	if (export->ended || (export->filter->impossible && export->proof == NULL))
	{
		close_lines(export);
		export->ended = export->closed = true;
	}
	else if (export->proof != NULL)
		export->ended = !act_proof_page(export->proof, PAGE_EVENTS, PAGE_BYTES,
										add_proof, export);
	else
		read_events(export);
}

static void
open_lines(Export *export)
{
	MemoryContext old = MemoryContextSwitchTo(export->page);
	StringInfoData line;

	initStringInfo(&line);
	if (export->format == FORMAT_CSV)
		act_export_csv_header(&line, export->columns);
	else if (export->format == FORMAT_JSON)
		appendStringInfoChar(&line, '[');
	else if (export->format == FORMAT_PROOF)
		act_proof_header(export->proof, &line, export->request);
	if (line.len > 0)
		add_line(export, line.data, line.len, NULL);
	MemoryContextSwitchTo(old);
}

static void
close_lines(Export *export)
{
	MemoryContext old = MemoryContextSwitchTo(export->page);
	StringInfoData line;

	initStringInfo(&line);
	if (export->format == FORMAT_JSON)
		appendStringInfoChar(&line, ']');
	else if (export->format == FORMAT_PROOF)
		act_proof_end(export->proof, &line, act_exported_sha256(export->exported));
	if (line.len > 0)
		add_line(export, line.data, line.len, NULL);
	MemoryContextSwitchTo(old);
}

static void
read_events(Export *export)
{
	ActFeedScan *scan = act_feed_scan_begin(export->filter, BackwardScanDirection,
											PAGE_EVENTS);
	TupleTableSlot *row;
	pg_uuid_t	last;
	int			read = 0;
	Size		bytes = 0;

	while (read < PAGE_EVENTS && bytes < PAGE_BYTES &&
		   (row = act_feed_scan_next(scan)) != NULL)
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		last = *DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));
		read++;
		if (export->scope != NULL && !act_export_scope_has(export->scope, row))
			continue;
		add_event(export, row);
		bytes += VARSIZE(export->line[export->lines - 1].text);
	}
	export->ended = read < PAGE_EVENTS && bytes < PAGE_BYTES;
	act_feed_scan_end(scan);
	if (read > 0)
		act_feed_filter_before(export->filter, &last);
}

static void
add_event(Export *export, TupleTableSlot *row)
{
	MemoryContext old = MemoryContextSwitchTo(export->scratch);
	StringInfoData line;
	ActEntry	entry;

	initStringInfo(&line);
	act_entry_read(row, &entry);
	if (export->format == FORMAT_CSV)
		act_export_csv(&line, export->columns, &entry);
	else if (export->format == FORMAT_CLOUDEVENTS)
		act_export_cloudevent(&line, export->organization, &entry);
	else if (export->format == FORMAT_OCSF)
		act_export_ocsf(&line, export->organization, &entry);
	else
	{
		if (export->format == FORMAT_JSON && export->made > 0)
			appendStringInfoChar(&line, ',');
		act_entry_append_object(&line, &entry);
	}
	act_utf8_mend(&line, 0);
	add_line(export, line.data, line.len, &entry.id);
	export->made++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(export->scratch);
}

static void
add_proof(void *state, const char *line, int len, const pg_uuid_t *id)
{
	add_line(state, line, len, id);
}

/* Of an event, if it has an id. What is after the text's end is the line feed. */
static void
add_line(Export *export, const char *bytes, int len, const pg_uuid_t *id)
{
	Line	   *line = &export->line[export->lines++];

	Assert(export->lines <= lengthof(export->line));
	line->text = MemoryContextAlloc(export->page, VARHDRSZ + len + 1);
	SET_VARSIZE(line->text, VARHDRSZ + len);
	memcpy(VARDATA(line->text), bytes, len);
	VARDATA(line->text)[len] = '\n';
	line->is_event = id != NULL;
	if (id != NULL)
		line->id = *id;
}

/* The statement ends, or begins anew, before the last line was returned. */
static void
stop(Datum argument)
{
	act_exported_end(((Export *) DatumGetPointer(argument))->exported, false);
}
