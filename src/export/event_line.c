/*
 * export/event_line.c
 *		activity.event_line(): one event, polled or replayed, as an export would have it.
 */
#include "activity.h"

#include "utils/builtins.h"

#include "export/line.h"

PG_FUNCTION_INFO_V1(act_event_line);

extern PGDLLEXPORT Datum act_event_line(PG_FUNCTION_ARGS);

/* event_line(organization, event activity.entry, format) */
Datum
act_event_line(PG_FUNCTION_ARGS)
{
	char	   *organization = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *format = text_to_cstring(PG_GETARG_TEXT_PP(2));
	StringInfoData out;
	ActEntry	entry;

	act_entry_read_argument(PG_GETARG_HEAPTUPLEHEADER(1), &entry);
	initStringInfo(&out);
	if (strcmp(format, "ndjson") == 0)
		act_entry_append_object(&out, &entry);
	else if (strcmp(format, "cloudevents") == 0)
		act_export_cloudevent(&out, organization, &entry);
	else if (strcmp(format, "ocsf") == 0)
		act_export_ocsf(&out, organization, &entry);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no format \"%s\" of a line", format),
				 errhint("The formats are ndjson, cloudevents and ocsf.")));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
