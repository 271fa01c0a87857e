/*
 * stream/verify.c
 *		verify() and checkpoint(): what a verification finds, as rows and as lines.
 */
#include "activity.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/json_print.h"
#include "event/organization.h"
#include "feed/entry.h"
#include "record/record.h"
#include "stream/chain.h"
#include "stream/right.h"
#include "stream/stream.h"
#include "stream/verification.h"

PG_FUNCTION_INFO_V1(act_verify);
PG_FUNCTION_INFO_V1(act_verify_lines);
PG_FUNCTION_INFO_V1(act_checkpoint);

/* A verification that is told line by line. */
typedef struct Lines
{
	MemoryContext context;
	ActVerification *verification;	/* NULL: an organization without events */
	List	   *found;			/* texts of problems that were not told yet */
	int			told;			/* of found */
	bool		valid;
	bool		checked;		/* all of it */
	bool		over;			/* the last line is out */
} Lines;

static char *organization_argument(FunctionCallInfo fcinfo);
static void put_row(void *argument, int64 position, const char *problem);
static Lines *begin_lines(FunctionCallInfo fcinfo);
static text *next_line(Lines *lines, const char *organization);
static void put_line(void *argument, int64 position, const char *problem);
static text *progress_line(const Lines *lines);
static text *last_line(const Lines *lines, const char *organization);
static void stop_lines(Datum argument);

/* activity.verify(organization) */
PGDLLEXPORT Datum
act_verify(PG_FUNCTION_ARGS)
{
	ActVerification *verification;

	InitMaterializedSRF(fcinfo, 0);
	verification = act_verification_begin(organization_argument(fcinfo), put_row,
										  fcinfo->resultinfo);
	if (verification == NULL)
		return (Datum) 0;
	while (act_verification_step(verification))
		continue;
	act_verification_end(verification);
	return (Datum) 0;
}

static char *
organization_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

static void
put_row(void *argument, int64 position, const char *problem)
{
	ReturnSetInfo *result = argument;
	Datum		values[2];
	bool		nulls[2] = {position == 0, false};

	values[0] = Int64GetDatum(position);
	values[1] = CStringGetTextDatum(problem);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * _activity.verify_lines(organization): a value per call, so that whoever waits
 * sees how far it is, and ends it by not asking for more.
 */
PGDLLEXPORT Datum
act_verify_lines(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *call;
	Lines	   *lines;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->user_fctx = lines = begin_lines(fcinfo);
		MemoryContextSwitchTo(old);
		RegisterExprContextCallback(result->econtext, stop_lines, PointerGetDatum(lines));
	}
	call = SRF_PERCALL_SETUP();
	lines = call->user_fctx;
	if (!lines->over)
		SRF_RETURN_NEXT(call, PointerGetDatum(next_line(lines, organization_argument(fcinfo))));
	stop_lines(PointerGetDatum(lines));
	UnregisterExprContextCallback(result->econtext, stop_lines, PointerGetDatum(lines));
	SRF_RETURN_DONE(call);
}

static Lines *
begin_lines(FunctionCallInfo fcinfo)
{
	Lines	   *lines = palloc0(sizeof(Lines));

	lines->context = CurrentMemoryContext;
	lines->verification = act_verification_begin(organization_argument(fcinfo), put_line,
												 lines);
	lines->valid = true;
	lines->checked = lines->verification == NULL;
	return lines;
}

static text *
next_line(Lines *lines, const char *organization)
{
	if (lines->told == list_length(lines->found))
	{
		list_free_deep(lines->found);
		lines->found = NIL;
		lines->told = 0;
		if (lines->checked)
		{
			lines->over = true;
			return last_line(lines, organization);
		}
		lines->checked = !act_verification_step(lines->verification);
		return progress_line(lines);
	}
	return cstring_to_text(list_nth(lines->found, lines->told++));
}

static void
put_line(void *argument, int64 position, const char *problem)
{
	Lines	   *lines = argument;
	MemoryContext old = MemoryContextSwitchTo(lines->context);
	StringInfoData line;

	lines->valid = false;
	initStringInfo(&line);
	appendStringInfoString(&line, "{\"position\":");
	if (position == 0)
		appendStringInfoString(&line, "null");
	else
		appendStringInfo(&line, INT64_FORMAT, position);
	appendStringInfoString(&line, ",\"problem\":");
	act_json_print_string(problem, strlen(problem), act_json_append, &line);
	appendStringInfoChar(&line, '}');
	lines->found = lappend(lines->found, line.data);
	MemoryContextSwitchTo(old);
}

static text *
progress_line(const Lines *lines)
{
	int64		done;
	int64		of;
	const char *phase = act_verification_progress(lines->verification, &done, &of);

	if (lines->checked)
		done = of;
	return cstring_to_text(psprintf("{\"checking\":\"%s\",\"done\":" INT64_FORMAT ",\"of\":" INT64_FORMAT "}",
									phase, done, of));
}

static text *
last_line(const Lines *lines, const char *organization)
{
	ActStreamRow none = {0};
	const ActStreamRow *newest = &none;
	int64		events = 0;
	StringInfoData line;

	if (lines->verification != NULL)
		newest = act_verification_newest(lines->verification, &events);
	else
	{
		ActChain   *chain = act_chain_create();

		act_chain_start(chain, organization, none.hash);
		act_chain_free(chain);
	}
	initStringInfo(&line);
	appendStringInfo(&line, "{\"valid\":%s,\"position\":" INT64_FORMAT ",\"events\":" INT64_FORMAT ",\"hash\":\"",
					 lines->valid ? "true" : "false", newest->position, events);
	for (int i = 0; i < ACT_CHAIN_BYTES; i++)
		appendStringInfo(&line, "%02x", newest->hash[i]);
	appendStringInfo(&line, "\",\"verifiedAt\":\"%s\"}",
					 act_entry_time_text(GetCurrentTimestamp()));
	return cstring_to_text_with_len(line.data, line.len);
}

/* All is told, or the statement ends before. */
static void
stop_lines(Datum argument)
{
	Lines	   *lines = (Lines *) DatumGetPointer(argument);

	if (lines->verification != NULL)
		act_verification_end(lines->verification);
	lines->verification = NULL;
}

/* activity.checkpoint(organization, at_position) */
PGDLLEXPORT Datum
act_checkpoint(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ActStreamReader *stream;
	ActStreamRow anchor = {0};
	ActStreamRow at = {0};
	Datum		values[4];
	bool		nulls[4] = {0};
	bytea	   *hash = palloc(VARHDRSZ + ACT_CHAIN_BYTES);
	char	   *id;
	int32		organization;
	bool		found;

	InitMaterializedSRF(fcinfo, 0);
	id = organization_argument(fcinfo);
	act_record_flush();
	organization = act_organization_find(id, strlen(id));
	if (organization == 0)
		return (Datum) 0;
	PushActiveSnapshot(GetLatestSnapshot());
	act_right_hide_own(GetActiveSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	(void) act_stream_anchored(stream, organization, &anchor);
	found = PG_ARGISNULL(1) ?
		act_stream_newest(stream, organization, &at) :
		act_stream_at(stream, organization, PG_GETARG_INT64(1), &at);
	if (!found)
	{
		ActChain   *chain = act_chain_create();

		if (!PG_ARGISNULL(1) && PG_GETARG_INT64(1) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("position " INT64_FORMAT " is not kept",
							PG_GETARG_INT64(1))));
		act_chain_start(chain, id, at.hash);
		act_chain_free(chain);
	}
	SET_VARSIZE(hash, VARHDRSZ + ACT_CHAIN_BYTES);
	memcpy(VARDATA(hash), at.hash, ACT_CHAIN_BYTES);
	values[0] = Int64GetDatum(at.position);
	values[1] = PointerGetDatum(hash);
	values[2] = Int64GetDatum(Max(at.position - anchor.position, 0));
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	act_stream_close(stream);
	PopActiveSnapshot();
	return (Datum) 0;
}
