/*
 * activity.c
 *		Where the module is loaded.
 */
#include "activity.h"

#include "miscadmin.h"

#include "base/own_table.h"
#include "event/append_only.h"
#include "event/organization.h"
#include "numbers/measure.h"
#include "record/actor.h"
#include "stream/head.h"
#include "taxonomy/taxonomy.h"
#include "track/plan.h"
#include "wake/wake.h"
#include "webhook/webhook.h"
#include "worker/part.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Settings first: everything else may read them.  The rest is in no order.
 * Callbacks are registered here once per backend, never per transaction, because
 * none can be taken back.
 */
void
_PG_init(void)
{
	act_settings_define();
	act_xact_init();
	act_relation_init();
	act_organization_init();
	act_append_only_init();
	act_taxonomy_init();
	act_event_type_define_init();
	act_actor_init();
	act_tracking_plan_init();
	act_head_init();
	act_worker_init();
	if (process_shared_preload_libraries_in_progress)
	{
		act_worker_hook_init();
		act_worker_launcher_register();
	}
	act_webhook_init();
	act_numbers_init();
}
