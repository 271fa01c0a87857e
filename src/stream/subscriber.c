/*
 * stream/subscriber.c
 *		What else happens to events when they are published.
 *
 * Deliveries to webhooks are made here; rollups and consumers subscribe likewise.
 * A subscriber gets each organization's events in the order of the stream, each
 * of them once.  So where one fails for an organization, the later events of it
 * wait behind the failed ones, and are read from the stream again when it is
 * time for another attempt.
 */
#include "activity.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/plant.h"
#include "event/aside.h"
#include "event/event.h"
#include "event/lookup.h"
#include "stream/stream.h"
#include "stream/subscriber.h"

#define SUBSCRIBERS_MAX 8

/* Events that one attempt to catch up brings. */
#define CATCH_UP 1000

static const ActSubscriber *subscribers[SUBSCRIBERS_MAX];
static int	nsubscribers = 0;

/* One subscriber's call, to be tried. */
typedef struct Telling
{
	const ActSubscriber *subscriber;
	const ActPublished *events;
	int			count;
} Telling;

static void tell_one(const ActSubscriber *subscriber, ActPublished *events,
					 int count, List **asides);
static void tell(void *argument);
static void tell_and_flush(void *argument);
static void catch_up(const ActSubscriber *subscriber, ActAside *aside);
static int	read_missed(const ActAside *aside, ActPublished *events, int most,
						int64 *last);

void
act_subscriber_add(const ActSubscriber *subscriber)
{
	Assert(nsubscribers < SUBSCRIBERS_MAX);
	subscribers[nsubscribers++] = subscriber;
}

void
act_subscriber_describe(TupleTableSlot *row, ActPublished *event)
{
	bool		wanted = false;
	bool		isnull;
	Datum		datum;

	event->organization =
		DatumGetInt32(slot_getattr(row, ACT_EVENT_ORGANIZATION, &isnull));
	event->type = DatumGetInt32(slot_getattr(row, ACT_EVENT_TYPE, &isnull));
	event->id = *DatumGetUUIDP(slot_getattr(row, ACT_EVENT_ID, &isnull));
	event->occurred_at =
		DatumGetTimestampTz(slot_getattr(row, ACT_EVENT_OCCURRED_AT, &isnull));
	datum = slot_getattr(row, ACT_EVENT_RECORDED_AT, &isnull);
	event->recorded_at = isnull ? event->occurred_at : DatumGetTimestampTz(datum);
	datum = slot_getattr(row, ACT_EVENT_ACTOR_ID, &isnull);
	event->actor = isnull ? NULL : DatumGetTextPCopy(datum);
	event->subject = event->metadata = NULL;
	(void) slot_getattr(row, ACT_EVENT_COMMITMENT, &isnull);
	event->redacted = !isnull;
	for (int i = 0; i < nsubscribers && !wanted; i++)
		wanted = subscribers[i]->wants != NULL &&
			subscribers[i]->wants(event->type);
	if (!wanted)
		return;
	event->subject = DatumGetJsonbPCopy(slot_getattr(row, ACT_EVENT_SUBJECT,
													 &isnull));
	datum = slot_getattr(row, ACT_EVENT_METADATA, &isnull);
	if (!isnull)
		event->metadata = DatumGetJsonbPCopy(datum);
}

void
act_subscriber_flush(void)
{
	for (int i = 0; i < nsubscribers; i++)
		if (subscribers[i]->flush != NULL)
			subscribers[i]->flush();
}

void
act_subscriber_tell(const ActPublished *events, int count)
{
	for (int i = 0; i < nsubscribers; i++)
	{
		Telling		telling = {subscribers[i], events, count};

		tell(&telling);
	}
}

void
act_subscriber_tell_each(const ActPublished *events, int count, List **asides)
{
	ActPublished *its = palloc(count * sizeof(ActPublished));
	bool	   *told = palloc0(count * sizeof(bool));

	for (int first = 0; first < count; first++)
	{
		int			n = 0;

		for (int i = first; i < count && !told[first]; i++)
			if (events[i].organization == events[first].organization)
				its[n++] = events[i];
		if (n == 0)
			continue;
		for (int i = first; i < count; i++)
			told[i] |= events[i].organization == events[first].organization;
		for (int i = 0; i < nsubscribers; i++)
			tell_one(subscribers[i], its, n, asides);
	}
	pfree(told);
	pfree(its);
}

/* The events of one organization, unless it waits behind earlier ones. */
static void
tell_one(const ActSubscriber *subscriber, ActPublished *events, int count,
		 List **asides)
{
	Telling		telling = {subscriber, events, count};
	ActFailure	failure;
	ListCell   *cell;
	ActAside   *aside;

	foreach(cell, *asides)
	{
		aside = lfirst(cell);
		if (aside->organization == events[0].organization &&
			strcmp(aside->step, subscriber->name) == 0)
			return;
	}
	if (act_aside_try(tell_and_flush, &telling, &failure))
		return;
	aside = palloc0(sizeof(ActAside));
	aside->step = subscriber->name;
	aside->organization = events[0].organization;
	aside->item = "";
	aside->position = events[0].position - 1;
	act_aside_put(aside, &failure);
	*asides = lappend(*asides, aside);
}

static void
tell(void *argument)
{
	Telling    *telling = argument;

	Assert(telling->count > 0);
	for (int i = 0; i < telling->count; i++)
		act_plant(telling->subscriber->name, telling->events[i].organization);
	telling->subscriber->take(telling->events, telling->count);
}

static void
tell_and_flush(void *argument)
{
	const ActSubscriber *subscriber = ((Telling *) argument)->subscriber;

	tell(argument);
	if (subscriber->flush != NULL)
		subscriber->flush();
}

void
act_subscriber_catch_up(List *asides)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	foreach(cell, asides)
	{
		ActAside   *aside = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nsubscribers; i++)
			if (strcmp(aside->step, subscribers[i]->name) == 0 &&
				aside->item[0] == '\0' && aside->next_attempt <= now)
				catch_up(subscribers[i], aside);
	}
}

static void
catch_up(const ActSubscriber *subscriber, ActAside *aside)
{
	ActPublished *events = palloc(CATCH_UP * sizeof(ActPublished));
	int64		last;
	Telling		telling = {subscriber, events};
	ActFailure	failure;

	telling.count = read_missed(aside, events, CATCH_UP, &last);
	Assert(last >= aside->position);
	if (telling.count > 0 && !act_aside_try(tell_and_flush, &telling, &failure))
		act_aside_put(aside, &failure);
	else if (last - aside->position < CATCH_UP)
		act_aside_clear(aside);
	else
		act_aside_move(aside, last);
	pfree(events);
}

/* What comes after its position in the stream and is still there. */
static int
read_missed(const ActAside *aside, ActPublished *events, int most, int64 *last)
{
	ActStreamReader *stream;
	ActLookup  *lookup;
	ActStreamRow at;
	int			count = 0;
	int			looked = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	stream = act_stream_open(GetActiveSnapshot());
	lookup = act_lookup_open(GetActiveSnapshot());
	*last = aside->position;
	act_stream_seek(stream, aside->organization, aside->position);
	while (looked < most && act_stream_next(stream, &at))
	{
		TupleTableSlot *row = act_lookup_event(lookup, at.organization, &at.id);

		looked++;
		*last = at.position;
		if (row == NULL)
			continue;			/* retention was here first */
		act_subscriber_describe(row, &events[count]);
		events[count++].position = at.position;
	}
	act_lookup_close(lookup);
	act_stream_close(stream);
	PopActiveSnapshot();
	return count;
}

bool
act_subscriber_is_one(const char *name)
{
	for (int i = 0; i < nsubscribers; i++)
		if (strcmp(subscribers[i]->name, name) == 0)
			return true;
	return false;
}

int
act_subscriber_weight(int32 organization)
{
	int			weight = 1;

	for (int i = 0; i < nsubscribers; i++)
		if (subscribers[i]->weigh != NULL)
			weight += subscribers[i]->weigh(organization);
	return weight;
}
