/*
 * upkeep/step.c
 *		A part of the upkeep that may fail by itself.
 */
#include "activity.h"

#include "base/plant.h"
#include "event/aside.h"
#include "upkeep/step.h"

typedef struct Step
{
	const char *name;
	void		(*run) (void *argument);
	void	   *argument;
} Step;

static void run_step(void *argument);

void
act_step_do(const char *name, void (*run) (void *), void *argument,
			const List *asides, ActUpkeepReport report, void *state)
{
	Step		step = {name, run, argument};
	ActAside   *aside = act_aside_find(asides, 0, name);
	ActFailure	failure;

	if (act_aside_try(run_step, &step, &failure))
	{
		if (aside != NULL)
			act_aside_clear(aside);
		return;
	}
	if (aside == NULL)
	{
		aside = palloc0(sizeof(ActAside));
		aside->step = ACT_STEP_MAINTAIN;
		aside->item = name;
	}
	act_aside_put(aside, &failure);
	report(state, "skip", psprintf("%s: %s", name, failure.message), -1);
}

static void
run_step(void *argument)
{
	Step	   *step = argument;

	act_plant(step->name, 0);
	step->run(step->argument);
}
