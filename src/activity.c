/*
 * activity.c
 *		Where the module is loaded.
 */
#include "activity.h"

#include "actor.h"
#include "event.h"
#include "notify.h"
#include "organization.h"
#include "relation.h"
#include "taxonomy.h"

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
}
