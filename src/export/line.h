/*
 * export/line.h
 *		The line of one event in each format.
 */
#ifndef ACT_EXPORT_LINE_H
#define ACT_EXPORT_LINE_H

#include "lib/stringinfo.h"
#include "utils/array.h"

#include "feed/entry.h"

/* The columns of a csv export, checked. */
typedef struct ActExportColumns ActExportColumns;

/* NULL: the default ones; throws 22023 for what is no column. */
extern ActExportColumns *act_export_columns(ArrayType *names);

/* The header, and one event; both end with the carriage return. */
extern void act_export_csv_header(StringInfo out, const ActExportColumns *columns);
extern void act_export_csv(StringInfo out, const ActExportColumns *columns,
						   const ActEntry *entry);

/* A JSON object, without a line break. */
extern void act_export_cloudevent(StringInfo out, const char *organization,
								  const ActEntry *entry);
extern void act_export_ocsf(StringInfo out, const char *organization,
							const ActEntry *entry);

#endif
