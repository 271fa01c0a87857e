/*
 * event/plant.c
 *		Failures for tests: compiled with -DACT_PLANT_FAILURES only.
 */
#include "activity.h"

#include "base/plant.h"
#include "event/organization.h"
#include "utils/guc.h"

#ifdef ACT_PLANT_FAILURES

static char *plant_failure;

void
act_plant_init(void)
{
	DefineCustomStringVariable("activity.plant_failure",
							   "A step and an organization: where they meet, an error is thrown.",
							   NULL, &plant_failure, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
}

void
act_plant(const char *step, int32 organization)
{
	char	   *planted;

	if (plant_failure == NULL || plant_failure[0] == '\0')
		return;
	planted = psprintf("%s %s", step,
					   organization == 0 ? "" : act_organization_id(organization));
	if (strcmp(planted, plant_failure) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("planted at %s", planted)));
	pfree(planted);
}

#endif
