/*
 * settings.c
 *		The settings activity.*.
 *
 * Actor and context are ordinary settings on purpose: SET LOCAL works through
 * every pooler, and C reads them without a look-up.  They are claims of
 * whoever may set them; the database role is recorded beside them.
 */
#include "activity.h"

#include <ctype.h>
#include <limits.h>

#include "utils/guc.h"

#include "base/plant.h"
#include "record/actor.h"
#include "record/size.h"
#include "track/tier.h"

char	   *act_setting_actor_id;
char	   *act_setting_actor_kind;
char	   *act_setting_actor_name;
char	   *act_setting_on_behalf_of_id;
char	   *act_setting_on_behalf_of_kind;
char	   *act_setting_on_behalf_of_name;
char	   *act_setting_context;
bool		act_setting_capture = true;
bool		act_setting_record_reads = false;
bool		act_setting_export_guard = true;
int			act_setting_notify = ACT_NOTIFY_BOTH;
int			act_setting_notify_limit = 10000;
int			act_setting_max_event_size = 1024 * 1024;
int			act_setting_default_tier = ACT_TIER_FREE;
int			act_setting_partitions_ahead = 3;
int			act_setting_publish_batch = 10000;
int			act_setting_publish_delay = 2;
int			act_setting_maintain_interval = 3600;
char	   *act_setting_databases;
bool		act_setting_allow_insecure_webhooks = false;
char	   *act_setting_webhook_ports;
int			act_setting_max_endpoints = 100;
int			act_setting_webhook_concurrency = 10;
int			act_setting_webhook_retention = 90 * 24 * 60;
char	   *act_setting_gateway_url;
int			act_setting_clock_offset = 0;

static void define_actor_settings(void);
static void define_webhook_settings(void);
static bool check_ports(char **value, void **extra, GucSource source);

static const struct config_enum_entry notify_options[] = {
	{"off", ACT_NOTIFY_OFF, false},
	{"shared", ACT_NOTIFY_SHARED, false},
	{"organization", ACT_NOTIFY_ORGANIZATION, false},
	{"both", ACT_NOTIFY_BOTH, false},
	{NULL, 0, false}
};

static const struct config_enum_entry tier_options[] = {
	{"free", ACT_TIER_FREE, false},
	{"premium", ACT_TIER_PREMIUM, false},
	{"enterprise", ACT_TIER_ENTERPRISE, false},
	{NULL, 0, false}
};

/*
 * A context that can't be recorded is refused when it is set, not in the
 * transaction that records.
 */
static bool
check_context(char **value, void **extra, GucSource source)
{
	if (*value == NULL || **value == '\0' || act_actor_read_object(*value) != NULL)
		return true;
	GUC_check_errdetail("It must be a JSON object, such as {\"ip\": \"192.0.2.1\"}.");
	return false;
}

static void define_worker_settings(void);

/* Defines every setting and reserves the prefix; called once, at load. */
void
act_settings_define(void)
{
	define_actor_settings();
	DefineCustomBoolVariable("activity.capture",
							 "Whether tracked tables record their changes.",
							 "Turn it off for a bulk load; that is recorded.",
							 &act_setting_capture, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("activity.record_reads",
							 "Whether reads of the feed are recorded.",
							 "One event for each reader, organization and hour.",
							 &act_setting_record_reads, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("activity.export_guard",
							 "Whether cells of CSV that a spreadsheet would run get an apostrophe.",
							 "So do cells that begin with an apostrophe, so that it can be undone.",
							 &act_setting_export_guard, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("activity.notify",
							 "Channels that live events are sent on.",
							 NULL, &act_setting_notify, ACT_NOTIFY_BOTH,
							 notify_options, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.notify_limit",
							"Most live events that one transaction sends itself.",
							"A larger transaction sends one summary for the rest.",
							&act_setting_notify_limit, 10000, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.max_event_size",
							"Most bytes that subject, metadata, context and description of an event have together.",
							"A larger one is refused; one of a tracked table is recorded without what is too large.",
							&act_setting_max_event_size, 1024 * 1024,
							ACT_SIZE_LEAST, ACT_SIZE_BOUND,
							PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomEnumVariable("activity.default_tier",
							 "Tier of organizations that none was set for.",
							 NULL, &act_setting_default_tier, ACT_TIER_FREE,
							 tier_options, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.partitions_ahead",
							"Months ahead of the current one that have a partition.",
							NULL, &act_setting_partitions_ahead, 3, 0, 24,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.publish_batch",
							"Most events that one transaction publishes.",
							"A larger transaction of the application is published in up to 16 parts.",
							&act_setting_publish_batch, 10000, 1, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	define_worker_settings();
	define_webhook_settings();
	act_plant_init();
	MarkGUCPrefixReserved("activity");
}

static void
define_actor_settings(void)
{
	DefineCustomStringVariable("activity.actor_id",
							   "Id of the actor of what is recorded.",
							   "Usually set by activity.set_actor() or SET LOCAL.",
							   &act_setting_actor_id, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.actor_kind",
							   "Kind of the actor, such as user or api_key.",
							   NULL, &act_setting_actor_kind, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.actor_name",
							   "Name of the actor as people know it.",
							   NULL, &act_setting_actor_name, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.on_behalf_of_id",
							   "Id of whom the actor acts for.",
							   "Such as the customer for whom a supporter works.",
							   &act_setting_on_behalf_of_id, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.on_behalf_of_kind",
							   "Kind of whom the actor acts for, such as user.",
							   NULL, &act_setting_on_behalf_of_kind, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.on_behalf_of_name",
							   "Name of whom the actor acts for.",
							   NULL, &act_setting_on_behalf_of_name, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.context",
							   "Where it came from: a JSON object.",
							   NULL, &act_setting_context, "",
							   PGC_USERSET, 0, check_context, NULL, NULL);
}

static void
define_worker_settings(void)
{
	DefineCustomStringVariable("activity.databases",
							   "Databases whose events are published in the background.",
							   "Needs activity in shared_preload_libraries.",
							   &act_setting_databases, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.publish_delay",
							"Least time between two publishings in the background.",
							"Commits that fall into it are published together. Under load the pause grows, up to five times as long.",
							&act_setting_publish_delay, 2, 0, 10000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.maintain_interval",
							"How often the background worker calls activity.maintain(); 0 is never.",
							NULL, &act_setting_maintain_interval, 3600, 0, 604800,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

static void
define_webhook_settings(void)
{
	DefineCustomBoolVariable("activity.allow_insecure_webhooks",
							 "Whether webhooks may go to this machine, without TLS too.",
							 "For development only.",
							 &act_setting_allow_insecure_webhooks, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.webhook_ports",
							   "Ports that webhooks may go to: numbers and ranges, such as 443, 8000-8999.",
							   NULL, &act_setting_webhook_ports, "443, 8443",
							   PGC_SUSET, 0, check_ports, NULL, NULL);
	DefineCustomIntVariable("activity.max_endpoints",
							"Most webhook endpoints of one organization.",
							"Deleted ones don't count.",
							&act_setting_max_endpoints, 100, 0, 10000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.webhook_concurrency",
							"Most deliveries of one endpoint that are in flight.",
							NULL, &act_setting_webhook_concurrency, 10, 1, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.webhook_retention",
							"How long deliveries and attempts are kept.",
							"What is still owed is kept longer.",
							&act_setting_webhook_retention,
							90 * 24 * 60, 7 * 24 * 60, INT_MAX,
							PGC_SUSET, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomStringVariable("activity.gateway_url",
							   "Where clients reach the gateway; connection_guide() tells them.",
							   NULL, &act_setting_gateway_url, "http://localhost:8080",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("activity.clock_offset",
							"Moves the clock of webhooks, so that tests need not wait.",
							NULL, &act_setting_clock_offset, 0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);
}

/* Ports and ranges of ports, with commas or spaces between them. */
static bool
check_ports(char **value, void **extra, GucSource source)
{
	const char *p = *value;

	while (*p != '\0')
	{
		char	   *end;
		long		first = strtol(p, &end, 10);
		long		last = first;

		if (end == p || !isdigit((unsigned char) *p))
			break;
		if (*end == '-' && isdigit((unsigned char) end[1]))
			last = strtol(end + 1, &end, 10);
		if (first < 1 || last < first || last > 65535 ||
			(*end != '\0' && strchr(", \t", *end) == NULL))
			break;
		p = end + strspn(end, ", \t");
	}
	if (*p == '\0')
		return true;
	GUC_check_errdetail("Ports are numbers from 1 to 65535 or ranges, with commas between them.");
	return false;
}
