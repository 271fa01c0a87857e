/*
 * export/export.c
 *		activity.export(): an organization's events as text, a line a row.
 *
 * An export may be as large as the database, so it is returned a value per call: the
 * feed is read a page at a time, by the id of the last event, and all pages with
 * the statement's one snapshot.  The export is itself an event, recorded when the last
 * line was returned, or when the reader stops before that.  What fails outright takes its
 * transaction with it, and so its event.
 */
#include "activity.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "base/columns.h"
#include "export/line.h"
#include "export/scope.h"
#include "feed/filter.h"
#include "feed/scan.h"
#include "record/record.h"
#include "taxonomy/taxonomy.h"

PG_FUNCTION_INFO_V1(act_export);

extern PGDLLEXPORT Datum act_export(PG_FUNCTION_ARGS);

#define ARG_FORMAT		1
#define ARG_COLUMNS		2
#define ARG_FILTERS		3		/* event_types to search, as feed() has them */
#define FILTERS			6
#define ARG_UP_TO		9
#define ARG_VIEWER		10
#define ARG_ON_BEHALF_OF	11

/* What is read at once: as many events, or until it is as many bytes. */
#define PAGE_EVENTS 1000
#define PAGE_BYTES (256 * 1024)

typedef enum Format
{
	FORMAT_CSV, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CLOUDEVENTS, FORMAT_OCSF
} Format;

static const char *const format_names[] = {
	"csv", "json", "ndjson", "cloudevents", "ocsf"
};

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
	char	   *cursor;			/* up to which, or the newest there is */
	Jsonb	   *request;		/* the arguments, for the event */
	pg_cryptohash_ctx *hash;
	int64		made;			/* lines of events */
	int64		events;			/* of these, returned */
	bool		begun;			/* the page's first line is not the export's */
	bool		ended;			/* no page follows */
	bool		closed;			/* nor a closing line */
	bool		recorded;
	int			lines;			/* of the page, and those returned */
	int			returned;
	text	   *line[PAGE_EVENTS + 2];
	bool		is_event[PAGE_EVENTS + 2];
} Export;

static Export *begin(FunctionCallInfo fcinfo);
static Format read_format(FunctionCallInfo fcinfo);
static ActFeedFilter *read_filter(FunctionCallInfo fcinfo);
static Jsonb *read_request(FunctionCallInfo fcinfo, const Export *export);
static void push_text(JsonbParseState **state, const char *key, const char *value);
static void read_page(Export *export);
static void add_event(Export *export, TupleTableSlot *row);
static void add_line(Export *export, const char *bytes, int len, bool is_event);
static void stop(Datum argument);
static void record(Export *export, bool complete);
static char *digest_of(Export *export);

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
		text	   *line = export->line[export->returned];

		if (export->is_event[export->returned++])
			export->events++;
		if (pg_cryptohash_update(export->hash, (uint8 *) VARDATA_ANY(line),
								 VARSIZE_ANY_EXHDR(line)) < 0 ||
			pg_cryptohash_update(export->hash, (const uint8 *) "\n", 1) < 0)
			elog(ERROR, "could not compute SHA-256");
		SRF_RETURN_NEXT(call, PointerGetDatum(line));
	}
	record(export, true);
	UnregisterExprContextCallback(result->econtext, stop, PointerGetDatum(export));
	SRF_RETURN_DONE(call);
}

static Export *
begin(FunctionCallInfo fcinfo)
{
	Export	   *export = palloc0(sizeof(Export));

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
	if (!PG_ARGISNULL(ARG_UP_TO))
	{
		export->cursor = text_to_cstring(PG_GETARG_TEXT_PP(ARG_UP_TO));
		export->scope = act_export_scope(export->filter->organization, export->cursor);
	}
	else
		export->cursor = act_export_scope_newest(export->filter->organization);
	export->request = read_request(fcinfo, export);
	export->hash = pg_cryptohash_create(PG_SHA256);
	if (export->hash == NULL || pg_cryptohash_init(export->hash) < 0)
		elog(ERROR, "could not compute SHA-256");
	return export;
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
			 errhint("The formats are csv, json, ndjson, cloudevents and ocsf.")));
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

/* What was asked for, as the event's metadata begins with it. */
static Jsonb *
read_request(FunctionCallInfo fcinfo, const Export *export)
{
	static const char *const names[] = {
		NULL, NULL, "columns", "event_types", "actor", "subject", "since", "until",
		"search", NULL, "viewer", "on_behalf_of"
	};
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < lengthof(names); i++)
	{
		char	   *value;
		Oid			output;
		bool		varlena;

		if (names[i] == NULL || PG_ARGISNULL(i))
			continue;
		getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, i), &output, &varlena);
		value = OidOutputFunctionCall(output, PG_GETARG_DATUM(i));
		push_text(&state, names[i], value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
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
	ActFeedScan *scan;
	TupleTableSlot *row;
	pg_uuid_t	last;
	int			read = 0;
	Size		bytes = 0;

	MemoryContextReset(export->page);
	export->lines = export->returned = 0;
	export->begun = true;
	if (first && export->format == FORMAT_CSV)
	{
		StringInfoData header;

		initStringInfo(&header);
		act_export_csv_header(&header, export->columns);
		add_line(export, header.data, header.len, false);
	}
	else if (first && export->format == FORMAT_JSON)
		add_line(export, "[", 1, false);

	if (export->ended || export->filter->impossible)
	{
		if (export->format == FORMAT_JSON)
			add_line(export, "]", 1, false);
		export->ended = export->closed = true;
		return;
	}
	scan = act_feed_scan_begin(export->filter, BackwardScanDirection, PAGE_EVENTS);
	while (read < PAGE_EVENTS && bytes < PAGE_BYTES &&
		   (row = act_feed_scan_next(scan)) != NULL)
	{
		bool		isnull;
		pg_uuid_t	id = *DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));

		CHECK_FOR_INTERRUPTS();
		last = id;
		read++;
		if (export->scope != NULL && !act_export_scope_has(export->scope, row))
			continue;
		add_event(export, row);
		bytes += VARSIZE_ANY(export->line[export->lines - 1]);
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
	switch (export->format)
	{
		case FORMAT_CSV:
			act_export_csv(&line, export->columns, &entry);
			break;
		case FORMAT_JSON:
			if (export->made > 0)
				appendStringInfoChar(&line, ',');
			act_entry_append_object(&line, &entry);
			break;
		case FORMAT_NDJSON:
			act_entry_append_object(&line, &entry);
			break;
		case FORMAT_CLOUDEVENTS:
			act_export_cloudevent(&line, export->organization, &entry);
			break;
		case FORMAT_OCSF:
			act_export_ocsf(&line, export->organization, &entry);
			break;
	}
	add_line(export, line.data, line.len, true);
	export->made++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(export->scratch);
}

static void
add_line(Export *export, const char *bytes, int len, bool is_event)
{
	MemoryContext old = MemoryContextSwitchTo(export->page);

	Assert(export->lines < lengthof(export->line));
	export->is_event[export->lines] = is_event;
	export->line[export->lines++] = cstring_to_text_with_len(bytes, len);
	MemoryContextSwitchTo(old);
}

/* The statement ends, or begins anew, before the last line was returned. */
static void
stop(Datum argument)
{
	Export	   *export = (Export *) DatumGetPointer(argument);
	bool		bare = !ActiveSnapshotSet();

	if (bare)
		PushActiveSnapshot(GetTransactionSnapshot());
	record(export, false);
	if (bare)
		PopActiveSnapshot();
}

static void
record(Export *export, bool complete)
{
	JsonbParseState *state = NULL;
	ActHappening happening = {0};
	JsonbValue	value = {.type = jbvBinary};
	pg_uuid_t	id;

	if (export->recorded)
		return;
	export->recorded = true;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "kind", "export");
	happening.subject = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));

	state = NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "format", format_names[export->format]);
	push_text(&state, "cursor", export->cursor);
	push_text(&state, "sha256", digest_of(export));
	value.type = jbvString;
	value.val.string.val = "rows";
	value.val.string.len = 4;
	pushJsonbValue(&state, WJB_KEY, &value);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(export->events);
	pushJsonbValue(&state, WJB_VALUE, &value);
	value.type = jbvString;
	value.val.string.val = "complete";
	value.val.string.len = 8;
	pushJsonbValue(&state, WJB_KEY, &value);
	value.type = jbvBool;
	value.val.boolean = complete;
	pushJsonbValue(&state, WJB_VALUE, &value);
	value.type = jbvString;
	value.val.string.val = "filters";
	value.val.string.len = 7;
	pushJsonbValue(&state, WJB_KEY, &value);
	value.type = jbvBinary;
	value.val.binary.data = &export->request->root;
	value.val.binary.len = VARSIZE_ANY_EXHDR(export->request);
	pushJsonbValue(&state, WJB_VALUE, &value);
	happening.metadata = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));

	if (RecoveryInProgress())
		return;
	happening.organization = export->organization;
	happening.organization_len = strlen(export->organization);
	happening.type = act_taxonomy_require("compliance.exported", 19)->code;
	happening.occurred_at = DT_NOBEGIN;
	happening.cut = true;
	(void) act_record(&happening, &id);
}

static char *
digest_of(Export *export)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *text = palloc(2 * sizeof(digest) + 1);

	if (pg_cryptohash_final(export->hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(export->hash);
	export->hash = NULL;
	for (int i = 0; i < sizeof(digest); i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
	return text;
}
