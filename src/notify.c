/*
 * notify.c
 *		Live messages: what they look like, and sending them from the writer while
 *		nobody publishes.
 *
 * NOTIFY queued before PREPARE TRANSACTION makes it fail, and NOTIFY of a
 * payload or into a queue that is too full fails the writer's commit.  So the
 * messages are kept here until PRE_COMMIT, which a prepared transaction never
 * reaches, cut to size, and dropped with a warning while the queue is nearly
 * full.  They are a convenience: the feed and the stream lose nothing.
 */
#include "activity.h"

#include "access/xact.h"
#include "commands/async.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "notify.h"
#include "taxonomy.h"
#include "worker.h"

/* The server takes fewer than 8000 bytes. */
#define PAYLOAD_MAX 7999

/* Sending stops when this much of the queue is in use. */
#define QUEUE_FULL 0.9

PG_FUNCTION_INFO_V1(act_channel);

typedef struct Pending
{
	SubTransactionId owner;
	char		channel[NAMEDATALEN];
	char	   *payload;
} Pending;

/* Messages of this transaction in TopTransactionContext, oldest first. */
static List *pending = NIL;
static int64 omitted = 0;

static void send_pending(void);
static void at_xact(XactEvent event, void *arg);
static void at_subxact(SubXactEvent event, SubTransactionId mine,
					   SubTransactionId parent, void *arg);

void
act_notify_init(void)
{
	RegisterXactCallback(at_xact, NULL);
	RegisterSubXactCallback(at_subxact, NULL);
}

void
act_notify_add(const ActEvent *event, const char *organization,
			   int organization_len)
{
	ActMessage	message = {0};
	StringInfoData payload;
	MemoryContext old;
	Pending    *one;

	if (act_setting_notify == ACT_NOTIFY_OFF || act_worker_is_publishing())
		return;
	if (list_length(pending) >= act_setting_notify_limit)
	{
		omitted++;
		return;
	}

	message.organization = organization;
	message.organization_len = organization_len;
	message.id = event->id;
	message.type = event->type;
	message.occurred_at = event->occurred_at;
	message.actor_kind = event->actor_kind;
	message.actor_id = event->actor_id;
	message.actor_name = event->actor_name;
	message.subject = event->subject;
	message.description = event->description;

	old = MemoryContextSwitchTo(TopTransactionContext);
	one = palloc(sizeof(Pending));
	one->owner = GetCurrentSubTransactionId();
	act_notify_channel(organization, organization_len, one->channel);
	initStringInfo(&payload);
	act_notify_payload(&message, &payload);
	one->payload = repalloc(payload.data, payload.len + 1);
	pending = lappend(pending, one);
	MemoryContextSwitchTo(old);
}

/* A JSON string; the text's bytes are valid in the database's encoding. */
static void
append_string(StringInfo out, const char *value, int len)
{
	char	   *copy = pnstrdup(value, len);

	escape_json(out, copy);
	pfree(copy);
}

static void
append_member(StringInfo out, const char *name, const char *value, int len)
{
	appendStringInfo(out, "\"%s\": ", name);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		append_string(out, value, len);
}

static void
append_text(StringInfo out, const char *name, text *value)
{
	append_member(out, name, value ? VARDATA_ANY(value) : NULL,
				  value ? VARSIZE_ANY_EXHDR(value) : 0);
}

static void
append_actor(StringInfo out, const ActMessage *message, bool with_name)
{
	if (message->actor_id == NULL)
	{
		appendStringInfoString(out, ", \"actor\": null");
		return;
	}
	appendStringInfoString(out, ", \"actor\": {");
	append_text(out, "kind", message->actor_kind);
	appendStringInfoString(out, ", ");
	append_text(out, "id", message->actor_id);
	if (with_name)
	{
		appendStringInfoString(out, ", ");
		append_text(out, "name", message->actor_name);
	}
	appendStringInfoChar(out, '}');
}

static void
append_subject(StringInfo out, Jsonb *subject)
{
	JsonbValue	kind;
	int			id_len = 0;
	char	   *id = act_event_subject_id(subject, &id_len);

	if (getKeyJsonValueFromContainer(&subject->root, "kind", 4, &kind) == NULL ||
		kind.type != jbvString)
		kind.type = jbvNull;
	appendStringInfoString(out, ", \"subject\": {");
	append_member(out, "kind",
				  kind.type == jbvString ? kind.val.string.val : NULL,
				  kind.type == jbvString ? kind.val.string.len : 0);
	appendStringInfoString(out, ", ");
	append_member(out, "id", id, id_len);
	appendStringInfoChar(out, '}');
}

/* The part that always fits: an organization's id has at most 255 bytes. */
static void
append_head(StringInfo out, const ActMessage *message)
{
	const ActEventType *type = act_taxonomy_get(message->type);
	pg_tz	   *utc = pg_tzset("GMT");
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	const char *zone;

	appendStringInfoChar(out, '{');
	append_member(out, "organization", message->organization,
				  message->organization_len);
	if (message->position > 0)
		appendStringInfo(out, ", \"position\": " INT64_FORMAT ", \"cursor\": \"%s\"",
						 message->position, message->cursor);
	else
		appendStringInfoString(out, ", \"position\": null, \"cursor\": null");
	appendStringInfo(out, ", \"id\": \"%s\", ",
					 DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&message->id))));
	append_member(out, "type", type ? type->key : NULL,
				  type ? strlen(type->key) : 0);
	if (timestamp2tm(message->occurred_at, &tz, &tm, &fsec, &zone, utc) == 0)
		appendStringInfo(out, ", \"occurred_at\": \"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
						 tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour,
						 tm.tm_min, tm.tm_sec, (int) fsec);
}

void
act_notify_payload(const ActMessage *message, StringInfo payload)
{
	StringInfoData part;
	bool		truncated = false;
	int			start = payload->len;

	/* In the order of what a listener would miss most. */
	append_head(payload, message);
	for (int what = 0; what < 3; what++)
	{
		initStringInfo(&part);
		if (what == 0)
			append_actor(&part, message, true);
		else if (what == 1)
			append_subject(&part, message->subject);
		else
		{
			appendStringInfoString(&part, ", ");
			append_text(&part, "description", message->description);
		}
		/* Leave room for the end of it. */
		if (payload->len - start + part.len + 20 <= PAYLOAD_MAX)
			appendBinaryStringInfo(payload, part.data, part.len);
		else
			truncated = true;
		pfree(part.data);
	}
	appendStringInfoString(payload, truncated ? ", \"truncated\": true}" : "}");
}

/*
 * Not the key: the name must be the same after a restore, and must not tell
 * how many organizations there are.
 */
void
act_notify_channel(const char *organization, int len, char *channel)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	int			at;

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) organization, len) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(hash);

	at = snprintf(channel, NAMEDATALEN, "%s_", ACT_NOTIFY_CHANNEL);
	for (int i = 0; i < 16; i++)
		at += snprintf(channel + at, NAMEDATALEN - at, "%02x", digest[i]);
}

bool
act_notify_has_room(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetFloat8(pg_notification_queue_usage(fcinfo)) < QUEUE_FULL;
}

static void
send_pending(void)
{
	ListCell   *cell;
	bool		shared = act_setting_notify == ACT_NOTIFY_SHARED ||
		act_setting_notify == ACT_NOTIFY_BOTH;
	bool		own = act_setting_notify == ACT_NOTIFY_ORGANIZATION ||
		act_setting_notify == ACT_NOTIFY_BOTH;

	if (pending == NIL)
		return;
	if (!act_notify_has_room())
	{
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("live events were not sent: the notification queue is nearly full"),
				 errhint("A listening session has been in a transaction for long; see pg_notification_queue_usage().")));
		return;
	}
	foreach(cell, pending)
	{
		Pending    *one = lfirst(cell);

		if (shared)
			Async_Notify(ACT_NOTIFY_CHANNEL, one->payload);
		if (own)
			Async_Notify(one->channel, one->payload);
	}
	if (omitted > 0)
		Async_Notify(ACT_NOTIFY_CHANNEL,
					 psprintf("{\"omitted\": " INT64_FORMAT ", \"truncated\": true}",
							  omitted));
}

static void
at_xact(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			send_pending();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			pending = NIL;		/* the memory went with the transaction */
			omitted = 0;
			break;
		default:
			break;
	}
}

/* Messages of the aborted one and of its children are the list's tail. */
static void
at_subxact(SubXactEvent event, SubTransactionId mine,
		   SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (pending != NIL && ((Pending *) llast(pending))->owner >= mine)
		pending = list_delete_last(pending);
}

/* activity.channel(organization) */
PGDLLEXPORT Datum
act_channel(PG_FUNCTION_ARGS)
{
	text	   *organization = PG_GETARG_TEXT_PP(0);
	char		channel[NAMEDATALEN];

	act_notify_channel(VARDATA_ANY(organization),
					   VARSIZE_ANY_EXHDR(organization), channel);
	PG_RETURN_TEXT_P(cstring_to_text(channel));
}
