/*
 * record/record.c
 *		Recording one event: check, render, attach actor and context, write.
 *
 * Everything that can be wrong with an event is found before anything is
 * written.  activity.record() and the triggers of tracked tables both end here.
 */
#include "activity.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "record/actor.h"
#include "event/event.h"
#include "record/message.h"
#include "event/organization.h"
#include "record/record.h"
#include "record/size.h"

PG_FUNCTION_INFO_V1(act_record_event);

static pg_attribute_always_inline bool record(const ActHappening *happening,
											  const ActWho *who, pg_uuid_t *id);
static inline bool fit(ActEvent *event, bool cut);
static Jsonb *subject_with_kind(Jsonb *subject, const char *kind);
static TimestampTz time_of(const ActHappening *happening, pg_uuid_t *id);

bool
act_record(const ActHappening *happening, pg_uuid_t *id)
{
	return record(happening, NULL, id);
}

bool
act_record_by(const ActHappening *happening, const ActWho *who, pg_uuid_t *id)
{
	return record(happening, who, id);
}

/* Inlined, because who it is costs nothing where it is the present actor. */
static pg_attribute_always_inline bool
record(const ActHappening *happening, const ActWho *who, pg_uuid_t *id)
{
	const ActEventType *type;
	const ActActor *actor;
	ActEvent	event;
	bool		whole;

	PreventCommandIfReadOnly("recording an event");
	PreventCommandDuringRecovery("recording an event");

	type = act_taxonomy_require_code(happening->type);
	event.type = type->code;
	event.subject = subject_with_kind(happening->subject, type->subject_kind);
	event.metadata = happening->metadata;
	if (type->nrequired > 0)
		act_taxonomy_check_required(type, event.subject, event.metadata);
	actor = who ? who->actor : act_actor_current();
	event.actor_kind = actor->kind;
	event.actor_id = actor->id;
	event.actor_name = actor->name;
	event.context = who ? who->context : act_actor_context();
	event.on_behalf_of = who ? who->on_behalf_of : act_actor_on_behalf_of();

	/* Before the template multiplies what is too large. */
	event.description = happening->description;
	whole = fit(&event, happening->cut);
	if (event.description == NULL)
	{
		event.description = act_template_render(act_taxonomy_template(type),
												event.subject, event.metadata);
		whole = fit(&event, happening->cut) && whole;
	}

	event.occurred_at = time_of(happening, &event.id);
	event.recorded_at = happening->id == NULL &&
		happening->occurred_at == DT_NOBEGIN ? DT_NOBEGIN : GetCurrentTimestamp();
	event.organization = act_organization_intern(happening->organization,
												 happening->organization_len);
	*id = event.id;
	if (happening->id == NULL)
		act_event_write(&event);
	else if (!act_event_write_once(&event))
		return whole;
	act_notify_add(&event, happening->organization, happening->organization_len);
	return whole;
}

/* True if the event is within the limit as it is. */
static inline bool
fit(ActEvent *event, bool cut)
{
	if (likely(act_size_fits(event)))
		return true;
	if (!cut)
		act_size_complain();
	act_size_cut(event);
	return false;
}

void
act_record_open_batch(void)
{
	act_event_open_batch();
}

void
act_record_close_batch(void)
{
	act_event_close_batch();
}

void
act_record_flush(void)
{
	act_event_flush();
}

/* The subject with the type's kind, unless it names one or the type has none. */
static Jsonb *
subject_with_kind(Jsonb *subject, const char *kind)
{
	JsonbValue	found;
	JsonbParseState *state = NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	if (kind == NULL ||
		(getKeyJsonValueFromContainer(&subject->root, "kind", 4, &found) != NULL &&
		 found.type != jbvNull))
		return subject;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	it = JsonbIteratorInit(&subject->root);
	(void) JsonbIteratorNext(&it, &v, true);	/* the object begins */
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_END_OBJECT)
		pushJsonbValue(&state, token, &v);
	v.type = jbvString;
	v.val.string.val = "kind";
	v.val.string.len = 4;
	pushJsonbValue(&state, WJB_KEY, &v);
	v.val.string.val = (char *) kind;
	v.val.string.len = strlen(kind);
	pushJsonbValue(&state, WJB_VALUE, &v);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* Both are after 1970, or it doesn't matter. */
static TimestampTz
floor_to_millisecond(TimestampTz time)
{
	return time - ((time % 1000) + 1000) % 1000;
}

/* Settles id and time, each of which holds the other. */
static TimestampTz
time_of(const ActHappening *happening, pg_uuid_t *id)
{
	TimestampTz time;

	if (happening->id == NULL)
	{
		time = happening->occurred_at == DT_NOBEGIN ?
			act_event_id_clock() : happening->occurred_at;
		act_event_id_make(time, id);
		return time;
	}

	*id = *happening->id;
	if (!act_event_id_time(id, &time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is no event id",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															UUIDPGetDatum(id)))),
				 errhint("Event ids are UUIDs of version 7; activity.event_id() makes one.")));
	if (happening->occurred_at != DT_NOBEGIN &&
		floor_to_millisecond(happening->occurred_at) != floor_to_millisecond(time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event id and occurred_at tell different times"),
				 errdetail("The id tells %s.", timestamptz_to_str(time)),
				 errhint("Leave occurred_at out, or make the id by activity.event_id(occurred_at).")));
	return time;
}

static Jsonb *
object_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(n);

	if (!JB_ROOT_IS_OBJECT(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", name),
				 errhint("For example {\"kind\": \"member\", \"id\": \"user_7\"}.")));
	return value;
}

/*
 * activity.record(organization, event_type, subject, metadata, description,
 * occurred_at, id)
 */
PGDLLEXPORT Datum
act_record_event(PG_FUNCTION_ARGS)
{
	ActHappening happening = {0};
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	text	   *organization;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "organization" : "event_type"),
				 errhint("Every event belongs to an organization and has a type.")));
	organization = PG_GETARG_TEXT_PP(0);
	happening.organization = VARDATA_ANY(organization);
	happening.organization_len = VARSIZE_ANY_EXHDR(organization);
	happening.type = PG_GETARG_INT32(1);
	if (act_taxonomy_is_own(happening.type))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("events of type \"%s\" are recorded by the functions that do such a thing",
						act_taxonomy_key(happening.type)),
				 errhint("Define an event type of your own: activity.define_event_type().")));
	if (PG_ARGISNULL(2))
		happening.subject = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															   CStringGetDatum("{}")));
	else
		happening.subject = object_argument(fcinfo, 2, "subject");
	if (!PG_ARGISNULL(3))
		happening.metadata = object_argument(fcinfo, 3, "metadata");
	if (!PG_ARGISNULL(4))
		happening.description = PG_GETARG_TEXT_PP(4);
	happening.occurred_at = PG_ARGISNULL(5) ? DT_NOBEGIN :
		PG_GETARG_TIMESTAMPTZ(5);
	if (!PG_ARGISNULL(6))
		happening.id = PG_GETARG_UUID_P(6);

	if (!PG_ARGISNULL(5) && TIMESTAMP_NOT_FINITE(happening.occurred_at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("an event cannot have happened at infinity")));

	act_record(&happening, id);
	PG_RETURN_UUID_P(id);
}
