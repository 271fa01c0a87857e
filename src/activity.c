/*
 * activity.c
 *		Where the module is loaded.
 */
#include "activity.h"

#include "actor.h"
#include "capture.h"
#include "event.h"
#include "gap.h"
#include "head.h"
#include "notify.h"
#include "organization.h"
#include "publisher.h"
#include "relation.h"
#include "taxonomy.h"
#include "tracking_plan.h"
#include "worker.h"
#include "webhook.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Settings first: everything else may read them.  Callbacks are registered here
 * once per backend, never per transaction, because none can be taken back.
 */
void
_PG_init(void)
{
	act_settings_define();
	act_taxonomy_init();
	act_relation_init();
	act_organization_init();
	act_actor_init();
	act_notify_init();
	act_event_init();
	act_tracking_plan_init();
	act_gap_init();
	act_capture_init();
	act_head_init();
	act_publisher_init();
	act_worker_init();
	act_webhook_init();
}
