/*
 * activity.h
 *		What every file of the extension shares: the module's set-up, its settings
 *		and its own SQLSTATEs.
 *
 * Each other header is the contract of the .c file of the same name.  Exported
 * functions are named act_<file>_<verb>; SQL-callable ones act_<name in SQL>.
 */
#ifndef ACT_ACTIVITY_H
#define ACT_ACTIVITY_H

#include "postgres.h"
#include "fmgr.h"

/*
 * SQLSTATEs of our own, class AC ("activity"); docs/reference.md lists them.
 * Where a standard code says it, the standard code is used.
 */
#define ERRCODE_ACT_UNKNOWN_EVENT_TYPE	MAKE_SQLSTATE('A', 'C', '0', '0', '1')
#define ERRCODE_ACT_MISSING_FIELD		MAKE_SQLSTATE('A', 'C', '0', '0', '2')
#define ERRCODE_ACT_BAD_TEMPLATE		MAKE_SQLSTATE('A', 'C', '0', '0', '3')
#define ERRCODE_ACT_BAD_EVENT_TYPE_KEY	MAKE_SQLSTATE('A', 'C', '0', '0', '4')
#define ERRCODE_ACT_APPEND_ONLY			MAKE_SQLSTATE('A', 'C', '0', '0', '5')
#define ERRCODE_ACT_UNKNOWN_STATE		MAKE_SQLSTATE('A', 'C', '0', '0', '6')
#define ERRCODE_ACT_UNTRACKABLE			MAKE_SQLSTATE('A', 'C', '0', '0', '7')
#define ERRCODE_ACT_NOT_A_MEMBER		MAKE_SQLSTATE('A', 'C', '0', '0', '8')
#define ERRCODE_ACT_CURSOR_EXPIRED		MAKE_SQLSTATE('A', 'C', '0', '1', '0')
#define ERRCODE_ACT_CURSOR_FORKED		MAKE_SQLSTATE('A', 'C', '0', '1', '1')
#define ERRCODE_ACT_CURSOR_FUTURE		MAKE_SQLSTATE('A', 'C', '0', '1', '2')
#define ERRCODE_ACT_BAD_CURSOR			MAKE_SQLSTATE('A', 'C', '0', '1', '3')
#define ERRCODE_ACT_BAD_URL				MAKE_SQLSTATE('A', 'C', '0', '2', '0')
#define ERRCODE_ACT_REVOKED				MAKE_SQLSTATE('A', 'C', '0', '2', '1')
#define ERRCODE_ACT_LEASE_OVER			MAKE_SQLSTATE('A', 'C', '0', '4', '0')
#define ERRCODE_ACT_CATALOG_VERSION		MAKE_SQLSTATE('A', 'C', '0', '5', '0')
#define ERRCODE_ACT_BAD_MOVE			MAKE_SQLSTATE('A', 'C', '0', '5', '1')

/* Settings (settings.c). Strings may be NULL or "", both mean unset. */
typedef enum ActNotify
{
	ACT_NOTIFY_OFF,
	ACT_NOTIFY_SHARED,
	ACT_NOTIFY_ORGANIZATION,
	ACT_NOTIFY_BOTH
} ActNotify;

extern char *act_setting_actor_id;
extern char *act_setting_actor_kind;
extern char *act_setting_actor_name;
extern char *act_setting_on_behalf_of_id;
extern char *act_setting_on_behalf_of_kind;
extern char *act_setting_on_behalf_of_name;
extern char *act_setting_context;
extern bool act_setting_capture;
extern bool act_setting_record_reads;
extern bool act_setting_export_guard;
extern int	act_setting_notify;			/* ActNotify */
extern int	act_setting_notify_limit;	/* messages a transaction */
extern int	act_setting_max_event_size; /* bytes, within ACT_SIZE_BOUND */
extern int	act_setting_default_tier;	/* ActTier */
extern int	act_setting_partitions_ahead;	/* months */
extern int	act_setting_publish_batch;	/* events a transaction */
extern int	act_setting_publish_delay;	/* ms */
extern int	act_setting_maintain_interval;	/* s */
extern char *act_setting_databases;		/* names with commas between */

extern bool act_setting_allow_insecure_webhooks;
extern char *act_setting_webhook_ports; /* checked: numbers and ranges */
extern int	act_setting_max_endpoints;	/* of an organization */
extern int	act_setting_webhook_concurrency;	/* in flight per endpoint */
extern int	act_setting_webhook_retention;	/* minutes */
extern char *act_setting_gateway_url;
extern int	act_setting_clock_offset;	/* seconds; for tests */

extern void act_settings_define(void);

/* What happens when transactions end (xact.c). */
extern void act_xact_init(void);

#endif
