/*
 * record/message.c
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

#include "base/json.h"
#include "record/message.h"
#include "taxonomy/taxonomy.h"
#include "wake/wake.h"

/* The server takes fewer than 8000 bytes. */
#define PAYLOAD_MAX 7999

/* Sending stops when this much of the queue is in use. */
#define QUEUE_FULL 0.9

PG_FUNCTION_INFO_V1(act_channel);

typedef struct Pending
{
	SubTransactionId owner;
	char		channel[NAMEDATALEN];	/* "": only the shared one was asked for */
	char	   *payload;
} Pending;

/* Messages of this transaction in TopTransactionContext, oldest first. */
static List *pending = NIL;

/* How many events of this transaction have no message, by subtransaction. */
typedef struct Omitted
{
	SubTransactionId owner;
	int64		events;
} Omitted;

/* Owners rise, one entry each, so that no more are kept than are nested. */
static List *omitted = NIL;

static void omit(SubTransactionId owner, int64 events);

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
		omit(GetCurrentSubTransactionId(), 1);
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
	message.on_behalf_of = event->on_behalf_of;
	message.subject = event->subject;
	message.description = event->description;

	old = MemoryContextSwitchTo(TopTransactionContext);
	one = palloc(sizeof(Pending));
	one->owner = GetCurrentSubTransactionId();
	one->channel[0] = '\0';
	if (act_setting_notify != ACT_NOTIFY_SHARED)
		act_notify_channel(organization, organization_len, one->channel);
	initStringInfo(&payload);
	act_notify_payload(&message, &payload);
	one->payload = repalloc(payload.data, payload.len + 1);
	pending = lappend(pending, one);
	MemoryContextSwitchTo(old);
}

/* Counts events for the innermost subtransaction. */
static void
omit(SubTransactionId owner, int64 events)
{
	Omitted    *last = omitted == NIL ? NULL : llast(omitted);

	if (last == NULL || last->owner != owner)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		last = palloc0(sizeof(Omitted));
		last->owner = owner;
		omitted = lappend(omitted, last);
		MemoryContextSwitchTo(old);
	}
	last->events += events;
}

/*
 * A JSON string; the text's bytes are valid in the database's encoding.  What is
 * longer than a whole message is left out by the caller; then its beginning
 * shows that as well, and no large text is escaped.
 */
static void
append_string(StringInfo out, const char *value, int len)
{
	len = Min(len, PAYLOAD_MAX);
	for (int i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) value[i];

		if (c < ' ' || c == '"' || c == '\\')
		{
			char	   *copy = pnstrdup(value, len);

			escape_json(out, copy);
			pfree(copy);
			return;
		}
	}
	appendStringInfoCharMacro(out, '"');
	appendBinaryStringInfo(out, value, len);
	appendStringInfoCharMacro(out, '"');
}

/* What comes before the value is the punctuation and the member's name. */
static void
append_member(StringInfo out, const char *before, const char *value, int len)
{
	appendStringInfoString(out, before);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		append_string(out, value, len);
}

static void
append_text(StringInfo out, const char *before, text *value)
{
	append_member(out, before, value ? VARDATA_ANY(value) : NULL,
				  value ? VARSIZE_ANY_EXHDR(value) : 0);
}

/* A string of an object; null where it has none of that name. */
static void
append_field(StringInfo out, const char *before, Jsonb *object, const char *name)
{
	JsonbValue	found;
	bool		has = act_json_find(object, name, strlen(name), &found) != NULL &&
		found.type == jbvString;

	append_member(out, before, has ? found.val.string.val : NULL,
				  has ? found.val.string.len : 0);
}

static void
append_actor(StringInfo out, const ActMessage *message)
{
	if (message->actor_id == NULL)
		appendStringInfoString(out, ", \"actor\": null");
	else
	{
		append_text(out, ", \"actor\": {\"kind\": ", message->actor_kind);
		append_text(out, ", \"id\": ", message->actor_id);
		append_text(out, ", \"name\": ", message->actor_name);
		appendStringInfoChar(out, '}');
	}
	if (message->on_behalf_of != NULL)
	{
		append_field(out, ", \"on_behalf_of\": {\"kind\": ", message->on_behalf_of, "kind");
		append_field(out, ", \"id\": ", message->on_behalf_of, "id");
		append_field(out, ", \"name\": ", message->on_behalf_of, "name");
		appendStringInfoChar(out, '}');
	}
}

static void
append_subject(StringInfo out, Jsonb *subject)
{
	JsonbValue	kind;
	int			id_len = 0;
	char	   *id = act_event_subject_id(subject, &id_len);
	bool		has_kind;

	has_kind = act_json_find(subject, "kind", 4, &kind) != NULL &&
		kind.type == jbvString;
	append_member(out, ", \"subject\": {\"kind\": ",
				  has_kind ? kind.val.string.val : NULL,
				  has_kind ? kind.val.string.len : 0);
	append_member(out, ", \"id\": ", id, id_len);
	appendStringInfoChar(out, '}');
}

static void
append_hex(StringInfo out, const uint8 *bytes, int len)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < len; i++)
	{
		appendStringInfoCharMacro(out, digits[bytes[i] >> 4]);
		appendStringInfoCharMacro(out, digits[bytes[i] & 0x0f]);
	}
}

/* The server's own formatting costs as much as the rest of the message. */
static void
append_id(StringInfo out, const pg_uuid_t *id)
{
	append_hex(out, id->data, 4);
	for (int at = 4; at < 10; at += 2)
	{
		appendStringInfoCharMacro(out, '-');
		append_hex(out, id->data + at, 2);
	}
	appendStringInfoCharMacro(out, '-');
	append_hex(out, id->data + 10, 6);
}

static void
append_number(StringInfo out, int value, int width, char after)
{
	char		digits[16];
	char	   *end = pg_ultostr_zeropad(digits, value, width);

	*end++ = after;
	appendBinaryStringInfo(out, digits, end - digits);
}

/* In UTC, as ISO 8601 has it. */
static void
append_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "an event has a time out of range");
	append_number(out, tm.tm_year, 4, '-');
	append_number(out, tm.tm_mon, 2, '-');
	append_number(out, tm.tm_mday, 2, 'T');
	append_number(out, tm.tm_hour, 2, ':');
	append_number(out, tm.tm_min, 2, ':');
	append_number(out, tm.tm_sec, 2, '.');
	append_number(out, fsec, 6, 'Z');
}

/* The part that always fits: an organization's id has at most 255 bytes. */
static void
append_head(StringInfo out, const ActMessage *message)
{
	const ActEventType *type = act_taxonomy_get(message->type);

	append_member(out, "{\"organization\": ", message->organization,
				  message->organization_len);
	if (message->position > 0)
		appendStringInfo(out, ", \"position\": " INT64_FORMAT ", \"cursor\": \"%s\"",
						 message->position, message->cursor);
	else
		appendStringInfoString(out, ", \"position\": null, \"cursor\": null");
	appendStringInfoString(out, ", \"id\": \"");
	append_id(out, &message->id);
	append_member(out, "\", \"type\": ", type ? type->key : NULL,
				  type ? strlen(type->key) : 0);
	appendStringInfoString(out, ", \"occurred_at\": \"");
	append_time(out, message->occurred_at);
	appendStringInfoChar(out, '"');
}

void
act_notify_payload(const ActMessage *message, StringInfo payload)
{
	bool		truncated = false;
	int			start = payload->len;

	/* In the order of what a listener would miss most. */
	append_head(payload, message);
	for (int what = 0; what < 3; what++)
	{
		int			before = payload->len;

		if (what == 0)
			append_actor(payload, message);
		else if (what == 1)
			append_subject(payload, message->subject);
		else
			append_text(payload, ", \"description\": ", message->description);
		/* Leave room for the end of it. */
		if (payload->len - start + 20 > PAYLOAD_MAX)
		{
			payload->len = before;
			truncated = true;
		}
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
	StringInfoData name;

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) organization, len) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(hash);

	name.data = channel;
	name.len = 0;
	name.maxlen = NAMEDATALEN;
	name.cursor = 0;
	appendStringInfoString(&name, ACT_NOTIFY_CHANNEL "_");
	append_hex(&name, digest, 16);
}

bool
act_notify_has_room(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetFloat8(pg_notification_queue_usage(fcinfo)) < QUEUE_FULL;
}

void
act_notify_send(void)
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
		if (own && one->channel[0] != '\0')
			Async_Notify(one->channel, one->payload);
	}
	if (omitted != NIL)
		Async_Notify(ACT_NOTIFY_CHANNEL,
					 psprintf("{\"omitted\": " INT64_FORMAT ", \"truncated\": true}",
							  ((Omitted *) linitial(omitted))->events));
}

void
act_notify_forget(void)
{
	pending = NIL;				/* the memory went with the transaction */
	omitted = NIL;
}

/* So that in the end the top transaction has the sum. */
void
act_notify_commit_sub(SubTransactionId mine, SubTransactionId parent)
{
	Omitted    *last = omitted == NIL ? NULL : llast(omitted);

	if (last == NULL || last->owner != mine)
		return;
	omitted = list_delete_last(omitted);
	omit(parent, last->events);
}

/* Messages of the aborted one and of its children are the list's tail. */
void
act_notify_abort_sub(SubTransactionId mine)
{
	while (pending != NIL && ((Pending *) llast(pending))->owner >= mine)
		pending = list_delete_last(pending);
	if (omitted != NIL && ((Omitted *) llast(omitted))->owner == mine)
		omitted = list_delete_last(omitted);
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
