/*
 * webhook/message.c
 *		What is sent: ids, bodies, headers; and what is recorded about it.
 *
 * A body is not stored but made again for each attempt: events never change,
 * and their JSON is a function of what is stored, so the bytes are the same
 * (test/sql/webhook_body.sql pins them).  Storing it would double what an event
 * takes, and a redacted event would go on being sent as it was.
 */
#include "activity.h"

#include "access/htup_details.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/hash.h"
#include "feed/entry.h"
#include "event/event.h"
#include "event/organization.h"
#include "record/record.h"
#include "webhook/signature.h"
#include "webhook/message.h"
#include "base/own_row.h"
#include "base/utf8.h"

#define MONTH_EPOCH 2000

static uint16 id_check(const pg_uuid_t *id);
static char *body_of_event(ActRowScan *scan);
static char *in_utf8(StringInfo text);
static void push_key(JsonbParseState **state, const char *key);
static void push_string_member(JsonbParseState **state, const char *key, const char *value);
static void push_number(JsonbParseState **state, const char *key, int value);
static void record(const char *type, const WebhookEndpoint *endpoint,
				   Jsonb *metadata);

/*
 * A UUID of version 8: endpoint (32 bits), months since 2000 (16), version,
 * position (12 high bits), variant, check (14), position (48 low bits).
 */
void
act_message_delivery_id(int32 endpoint, int64 position, TimestampTz created_at,
						pg_uuid_t *id)
{
	struct pg_tm tm;
	fsec_t		fsec;
	uint32		key = pg_hton32((uint32) endpoint);
	uint16		month;
	uint16		check;
	uint64		low = pg_hton64((uint64) position << 16);

	if (timestamp2tm(created_at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	month = pg_hton16((tm.tm_year - MONTH_EPOCH) * 12 + tm.tm_mon - 1);
	memcpy(id->data, &key, 4);
	memcpy(id->data + 4, &month, 2);
	id->data[6] = 0x80 | ((position >> 56) & 0x0f);
	id->data[7] = (position >> 48) & 0xff;
	memcpy(id->data + 10, &low, 6);
	check = id_check(id);
	id->data[8] = 0x80 | ((check >> 8) & 0x3f);
	id->data[9] = check & 0xff;
}

bool
act_message_parse_delivery_id(const pg_uuid_t *id, int32 *endpoint,
							  int64 *position, TimestampTz *created_at)
{
	uint32		key;
	uint16		month;
	uint64		low = 0;
	uint16		check = id_check(id);
	struct pg_tm tm = {0};

	if ((id->data[6] & 0xf0) != 0x80 ||
		id->data[8] != (0x80 | ((check >> 8) & 0x3f)) ||
		id->data[9] != (check & 0xff))
		return false;
	memcpy(&key, id->data, 4);
	memcpy(&month, id->data + 4, 2);
	memcpy(&low, id->data + 10, 6);
	*endpoint = (int32) pg_ntoh32(key);
	*position = (int64) (((uint64) (id->data[6] & 0x0f) << 60) |
						 ((uint64) id->data[7] << 52)) >> 4;
	*position |= (int64) (pg_ntoh64(low) >> 16);
	month = pg_ntoh16(month);
	tm.tm_year = MONTH_EPOCH + month / 12;
	tm.tm_mon = month % 12 + 1;
	tm.tm_mday = 15;
	return tm2timestamp(&tm, 0, NULL, created_at) == 0;
}

/* 14 bits of everything but themselves: an id that is not ours is found out. */
static uint16
id_check(const pg_uuid_t *id)
{
	pg_uuid_t	copy = *id;

	copy.data[8] = copy.data[9] = 0;
	return act_hash_bytes(copy.data, UUID_LEN) & 0x3fff;
}

char *
act_message_body(const WebhookEndpoint *endpoint, const WebhookDelivery *delivery)
{
	char		name[NAMEDATALEN];
	char		index[NAMEDATALEN + 8];
	TimestampTz time;
	char	   *body = NULL;

	if (delivery->body != NULL)
	{
		StringInfoData kept;

		initStringInfo(&kept);
		appendBinaryStringInfo(&kept, VARDATA_ANY(delivery->body),
							   VARSIZE_ANY_EXHDR(delivery->body));
		return in_utf8(&kept);
	}
	if (!act_event_id_time(&delivery->event, &time))
		return NULL;

	/* The month once more: the event may have been moved there meanwhile. */
	for (int i = 0; i < 3 && body == NULL; i++)
	{
		Relation	rel;
		ScanKeyData keys[2];
		ActRowScan	scan;

		if (i == 1)
			snprintf(name, sizeof(name), "event_default");
		else
			act_row_leaf_name("event", time, name);
		rel = act_row_open(name, AccessShareLock);
		if (rel != NULL)
		{
			ScanKeyInit(&keys[0], ACT_EVENT_ORGANIZATION, BTEqualStrategyNumber,
						F_INT4EQ, Int32GetDatum(endpoint->organization));
			ScanKeyInit(&keys[1], ACT_EVENT_ID, BTEqualStrategyNumber,
						F_UUID_EQ, UUIDPGetDatum(&delivery->event));
			snprintf(index, sizeof(index), "%s_key", name);
			act_row_begin(&scan, rel, index, 2, keys);
			if (act_row_next(&scan) != NULL)
				body = body_of_event(&scan);
			act_row_end(&scan);
		}
	}
	return body;
}

static char *
body_of_event(ActRowScan *scan)
{
	ActEntry	entry;
	StringInfoData body;
	const ActEventType *type;

	act_entry_read(act_row_slot(scan), &entry);
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"type\":");
	type = act_taxonomy_get(entry.type);
	escape_json(&body, type != NULL ? type->key : "unknown");
	appendStringInfo(&body, ",\"timestamp\":\"%s\",\"data\":",
					 act_entry_time_text(entry.occurred_at));
	act_entry_append_object(&body, &entry);
	appendStringInfoChar(&body, '}');
	return in_utf8(&body);
}

static char *
in_utf8(StringInfo text)
{
	act_utf8_mend(text, 0);
	return pg_server_to_any(text->data, text->len, PG_UTF8);
}

Jsonb *
act_message_headers(const WebhookDelivery *delivery, List *secrets,
					const char *body, TimestampTz now)
{
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&delivery->event)));
	char	   *timestamp = psprintf(INT64_FORMAT,
									 (int64) timestamptz_to_time_t(now));
	StringInfoData signature;
	JsonbParseState *state = NULL;
	ListCell   *lc;

	initStringInfo(&signature);
	foreach(lc, secrets)
		act_signature_append(&signature, lfirst(lc), id, timestamp, body,
							 strlen(body));
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string_member(&state, "content-type", "application/json");
	push_string_member(&state, "user-agent", "activity-webhooks");
	push_string_member(&state, "webhook-id", id);
	push_string_member(&state, "webhook-timestamp", timestamp);
	push_string_member(&state, "webhook-signature", signature.data);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

void
act_message_record(const char *type, const WebhookEndpoint *endpoint,
				   const char *reason)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string_member(&state, "reason", reason);
	record(type, endpoint,
		   JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

void
act_message_record_outcome(const char *type, const WebhookEndpoint *endpoint,
						   const WebhookDelivery *delivery, int attempts,
						   int status_code, const char *error)
{
	JsonbParseState *state = NULL;
	const ActEventType *event_type = act_taxonomy_get(delivery->type);
	char	   *key = pstrdup(event_type != NULL ? event_type->key : "unknown");
	pg_uuid_t	id;

	act_message_delivery_id(endpoint->key, delivery->position,
							delivery->created_at, &id);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string_member(&state, "webhook_event", key);
	push_string_member(&state, "event_id",
			  DatumGetCString(DirectFunctionCall1(uuid_out,
												  UUIDPGetDatum(&delivery->event))));
	push_string_member(&state, "delivery_id",
			  DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))));
	push_number(&state, "attempts", attempts);
	if (status_code > 0)
		push_number(&state, "status_code", status_code);
	if (error != NULL)
		push_string_member(&state, "error",
				  pnstrdup(error, pg_mbcliplen(error, strlen(error), 200)));
	record(type, endpoint,
		   JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

static void
record(const char *type, const WebhookEndpoint *endpoint, Jsonb *metadata)
{
	ActHappening happening = {0};
	JsonbParseState *state = NULL;
	pg_uuid_t	id;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string_member(&state, "kind", "webhook");
	push_string_member(&state, "id",
			  DatumGetCString(DirectFunctionCall1(uuid_out,
												  UUIDPGetDatum(&endpoint->id))));
	push_string_member(&state, "url", endpoint->url);
	happening.subject =
		JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	happening.metadata = metadata;
	happening.organization = act_organization_id(endpoint->organization);
	happening.organization_len = strlen(happening.organization);
	happening.type = act_taxonomy_require(type, strlen(type))->code;
	happening.occurred_at = DT_NOBEGIN;
	act_record(&happening, &id);
}

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = (char *) key;
	v.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &v);
}

static void
push_string_member(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue	v;

	push_key(state, key);
	v.type = jbvString;
	v.val.string.val = (char *) value;
	v.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_number(JsonbParseState **state, const char *key, int value)
{
	JsonbValue	v;

	push_key(state, key);
	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(value);
	pushJsonbValue(state, WJB_VALUE, &v);
}
