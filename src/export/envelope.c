/*
 * export/envelope.c
 *		Events as CloudEvents 1.0, and as OCSF 1.3: the event object in the
 *		envelopes that other systems read.
 */
#include "activity.h"

#include "utils/builtins.h"
#include "utils/uuid.h"

#include "base/json.h"
#include "base/json_print.h"
#include "export/line.h"
#include "taxonomy/taxonomy.h"

/* OCSF's classes and the number of its version. */
#define OCSF_VERSION "1.3.0"
#define ACCOUNT_CHANGE 3001
#define API_ACTIVITY 6003
#define ACTIVITY_OTHER 99

typedef struct Activity
{
	int			id;
	const char *name;
} Activity;

static void append_string(StringInfo out, const char *before, const char *value);
static void append_text(StringInfo out, const char *before, const text *value);
static void append_source(StringInfo out, const char *organization);
static int	class_of(const char *key);
static Activity activity_of(int class, const char *action);
static void append_user(StringInfo out, const ActEntry *entry);
static void append_target(StringInfo out, const ActEntry *entry);

void
act_export_cloudevent(StringInfo out, const char *organization,
					  const ActEntry *entry)
{
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&entry->id)));

	appendStringInfo(out, "{\"specversion\":\"1.0\",\"id\":\"%s\"", id);
	append_source(out, organization);
	append_string(out, ",\"type\":", act_taxonomy_key(entry->type));
	appendStringInfo(out, ",\"time\":\"%s\"", act_entry_time_text(entry->occurred_at));
	appendStringInfo(out, ",\"recordedtime\":\"%s\"",
					 act_entry_time_text(entry->recorded_at));
	/* The ids ascend with the time, as texts, too. */
	appendStringInfo(out, ",\"sequence\":\"%s\"", id);
	if (entry->subject_id != NULL && VARSIZE_ANY_EXHDR(entry->subject_id) > 0)
		append_text(out, ",\"subject\":", entry->subject_id);
	appendStringInfoString(out, ",\"datacontenttype\":\"application/json\",\"data\":");
	act_entry_append_object(out, entry);
	appendStringInfoChar(out, '}');
}

void
act_export_ocsf(StringInfo out, const char *organization, const ActEntry *entry)
{
	char	   *key = act_taxonomy_key(entry->type);
	int			class = class_of(key);
	Activity	activity = activity_of(class, strchr(key, '.') + 1);
	Jsonb	   *context = act_entry_public_context(entry->context);
	JsonbValue	ip;

	appendStringInfo(out, "{\"class_uid\":%d,\"class_name\":\"%s\",\"category_uid\":%d,\"category_name\":\"%s\"",
					 class, class == ACCOUNT_CHANGE ? "Account Change" : "API Activity",
					 class / 1000, class == ACCOUNT_CHANGE ?
					 "Identity & Access Management" : "Application Activity");
	appendStringInfo(out, ",\"activity_id\":%d,\"activity_name\":\"%s\",\"type_uid\":%d",
					 activity.id, activity.name, class * 100 + activity.id);
	appendStringInfo(out, ",\"time\":" INT64_FORMAT ",\"severity_id\":1,\"severity\":\"Informational\"",
					 (entry->occurred_at +
					  (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY) / 1000);
	append_text(out, ",\"message\":", entry->description);
	appendStringInfo(out, ",\"metadata\":{\"version\":\"" OCSF_VERSION "\",\"uid\":\"%s\","
					 "\"product\":{\"name\":\"activity\",\"vendor_name\":\"activity\"}",
					 DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&entry->id))));
	append_string(out, ",\"tenant_uid\":", organization);
	append_string(out, ",\"event_code\":", key);
	appendStringInfoString(out, "},\"actor\":");
	append_user(out, entry);
	if (class == ACCOUNT_CHANGE)
	{
		append_target(out, entry);
	}
	else
		append_string(out, ",\"api\":{\"operation\":", key);
	if (class == API_ACTIVITY)
		appendStringInfoChar(out, '}');
	appendStringInfoString(out, ",\"src_endpoint\":{");
	if (act_json_get(context, "ip", &ip) != NULL && ip.type == jbvString)
	{
		appendStringInfoString(out, "\"ip\":");
		act_json_print_string(ip.val.string.val, ip.val.string.len, act_json_append,
							  out);
	}
	else
		appendStringInfoString(out, "\"name\":\"unknown\"");
	appendStringInfoString(out, "},\"unmapped\":");
	act_entry_append_object(out, entry);
	appendStringInfoChar(out, '}');
}

static void
append_user(StringInfo out, const ActEntry *entry)
{
	if (entry->actor_id == NULL)
	{
		appendStringInfoString(out, "{\"user\":{\"uid\":\"system\",\"name\":\"system\",\"type_id\":3}}");
		return;
	}
	append_text(out, "{\"user\":{\"uid\":", entry->actor_id);
	if (entry->actor_name != NULL)
		append_text(out, ",\"name\":", entry->actor_name);
	appendStringInfoString(out, ",\"type_id\":1}}");
}

/* Whose account it is: the subject's; without one, that of the actor himself. */
static void
append_target(StringInfo out, const ActEntry *entry)
{
	const text *id = entry->subject_id;

	if (id == NULL || VARSIZE_ANY_EXHDR(id) == 0)
		id = entry->actor_id;
	if (id == NULL || VARSIZE_ANY_EXHDR(id) == 0)
		appendStringInfoString(out, ",\"user\":{\"name\":\"unknown\",\"type_id\":0}");
	else
	{
		append_text(out, ",\"user\":{\"uid\":", id);
		appendStringInfoString(out, ",\"type_id\":1}");
	}
}

/* What is done to the accounts of people, and everything else. */
static int
class_of(const char *key)
{
	static const char *const accounts[] = {"member.", "membership.", "invitation.", "auth.", "account."};

	for (int i = 0; i < lengthof(accounts); i++)
		if (strncmp(key, accounts[i], strlen(accounts[i])) == 0)
			return ACCOUNT_CHANGE;
	return API_ACTIVITY;
}

/* OCSF numbers the activities of each class by itself. */
static Activity
activity_of(int class, const char *action)
{
	static const struct
	{
		const char *end;		/* of the action's name */
		int			account;
		const char *account_name;
		int			api;
		const char *api_name;
	}			verbs[] = {
		{"created", 1, "Create", 1, "Create"},
		{"joined", 1, "Create", 1, "Create"},
		{"added", 1, "Create", 1, "Create"},
		{"signup", 1, "Create", 1, "Create"},
		{"viewed", ACTIVITY_OTHER, "Other", 2, "Read"},
		{"exported", ACTIVITY_OTHER, "Other", 2, "Read"},
		{"reactivated", 2, "Enable", 3, "Update"},
		{"deactivated", 5, "Disable", 3, "Update"},
		{"updated", ACTIVITY_OTHER, "Other", 3, "Update"},
		{"changed", ACTIVITY_OTHER, "Other", 3, "Update"},
		{"removed", 6, "Delete", 4, "Delete"},
		{"revoked", 6, "Delete", 4, "Delete"},
		{"deleted", 6, "Delete", 4, "Delete"}
	};
	Activity	other = {ACTIVITY_OTHER, "Other"};

	for (int i = 0; i < lengthof(verbs); i++)
	{
		int			shift = strlen(action) - strlen(verbs[i].end);

		if (shift < 0 || strcmp(action + shift, verbs[i].end) != 0)
			continue;
		if (class == ACCOUNT_CHANGE)
			return (Activity) {verbs[i].account, verbs[i].account_name};
		return (Activity) {verbs[i].api, verbs[i].api_name};
	}
	return other;
}

static void
append_string(StringInfo out, const char *before, const char *value)
{
	appendStringInfoString(out, before);
	act_json_print_string(value, strlen(value), act_json_append, out);
}

static void
append_text(StringInfo out, const char *before, const text *value)
{
	appendStringInfoString(out, before);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		act_json_print_string(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
							  act_json_append, out);
}

/* A URI reference: every byte that a path can't have is encoded. */
static void
append_source(StringInfo out, const char *organization)
{
	appendStringInfoString(out, ",\"source\":\"/organizations/");
	for (const unsigned char *c = (const unsigned char *) organization; *c != '\0'; c++)
	{
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			(*c >= '0' && *c <= '9') || strchr("-._~", *c) != NULL)
			appendStringInfoChar(out, *c);
		else
			appendStringInfo(out, "%%%02X", *c);
	}
	appendStringInfoChar(out, '"');
}
