/*
 * webhook/signature.c
 *		Signatures by the Standard Webhooks rules, and random secrets.
 *
 * The server's own HMAC and base64 are used rather than pgcrypto's, because
 * they need no call through SQL and no search_path.
 */
#include "activity.h"

#include "common/base64.h"
#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "webhook/signature.h"
#include "webhook/webhook.h"

PG_FUNCTION_INFO_V1(act_make_secret);
PG_FUNCTION_INFO_V1(act_verify_webhook_signature);

#define SECRET_PREFIX "whsec_"

static uint8 *decode_secret(const char *secret, int *len);
static void sign(const uint8 *key, int key_len, const char *id,
				 const char *timestamp, const char *body, int body_len,
				 char *signature);
static char *header(Jsonb *headers, const char *name);
static bool has_signature(const char *given, const char *expected);

/* base64 of a SHA-256 digest, with its end */
#define SIGNATURE_LEN 44

char *
act_signature_secret(const char *prefix)
{
	uint8		bytes[ACT_SECRET_BYTES];
	int			size = pg_b64_enc_len(ACT_SECRET_BYTES);
	char	   *encoded = palloc(size + 1);
	int			len;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes for a secret")));
	len = pg_b64_encode((const void *) bytes, sizeof(bytes), encoded, size);
	if (len < 0)
		elog(ERROR, "could not encode a secret");
	encoded[len] = '\0';
	if (strcmp(prefix, SECRET_PREFIX) != 0)
	{
		encoded[strcspn(encoded, "=")] = '\0';
		for (char *c = encoded; *c != '\0'; c++)
			*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	}
	return psprintf("%s%s", prefix, encoded);
}

void
act_signature_append(StringInfo out, const char *secret, const char *id,
					 const char *timestamp, const char *body, int body_len)
{
	int			key_len;
	uint8	   *key = decode_secret(secret, &key_len);
	char		signature[SIGNATURE_LEN + 1];

	sign(key, key_len, id, timestamp, body, body_len, signature);
	if (out->len > 0)
		appendStringInfoChar(out, ' ');
	appendStringInfo(out, "v1,%s", signature);
	explicit_bzero(key, key_len);
	pfree(key);
}

bool
act_signature_equal(const char *a, int a_len, const char *b, int b_len)
{
	int			difference = a_len ^ b_len;

	for (int i = 0; i < a_len && i < b_len; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static uint8 *
decode_secret(const char *secret, int *len)
{
	const char *encoded = secret;
	int			size;
	uint8	   *key;

	if (strncmp(secret, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0)
		encoded += strlen(SECRET_PREFIX);
	size = pg_b64_dec_len(strlen(encoded));
	key = palloc(size + 1);
	*len = pg_b64_decode(encoded, strlen(encoded), (void *) key, size);
	if (*len <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a webhook secret is base64, with or without \"%s\" before it",
						SECRET_PREFIX)));
	return key;
}

static void
sign(const uint8 *key, int key_len, const char *id, const char *timestamp,
	 const char *body, int body_len, char *signature)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	int			len;

	if (context == NULL || pg_hmac_init(context, key, key_len) < 0 ||
		pg_hmac_update(context, (const uint8 *) id, strlen(id)) < 0 ||
		pg_hmac_update(context, (const uint8 *) ".", 1) < 0 ||
		pg_hmac_update(context, (const uint8 *) timestamp, strlen(timestamp)) < 0 ||
		pg_hmac_update(context, (const uint8 *) ".", 1) < 0 ||
		pg_hmac_update(context, (const uint8 *) body, body_len) < 0 ||
		pg_hmac_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute an HMAC: %s", pg_hmac_error(context));
	pg_hmac_free(context);
	len = pg_b64_encode((const void *) digest, sizeof(digest), signature,
						SIGNATURE_LEN);
	if (len != SIGNATURE_LEN)
		elog(ERROR, "could not encode a signature");
	signature[len] = '\0';
}

/* _activity.make_secret(prefix text) RETURNS text */
PGDLLEXPORT Datum
act_make_secret(PG_FUNCTION_ARGS)
{
	char	   *prefix = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(act_signature_secret(prefix)));
}

/*
 * activity.verify_webhook_signature(headers jsonb, body text, secret text,
 * tolerance interval).  False for anything that is missing or wrong in what
 * was received; throws only for a secret or headers that make no sense.
 */
PGDLLEXPORT Datum
act_verify_webhook_signature(PG_FUNCTION_ARGS)
{
	Jsonb	   *headers = PG_GETARG_JSONB_P(0);
	char	   *body = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *secret = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Interval   *tolerance = PG_GETARG_INTERVAL_P(3);
	char	   *id = header(headers, "webhook-id");
	char	   *timestamp = header(headers, "webhook-timestamp");
	char	   *given = header(headers, "webhook-signature");
	int			key_len;
	uint8	   *key = decode_secret(secret, &key_len);
	char		expected[SIGNATURE_LEN + 1];
	TimestampTz now = act_webhook_clock();
	TimestampTz sent;

	if (id == NULL || timestamp == NULL || given == NULL ||
		strspn(timestamp, "0123456789") != strlen(timestamp) ||
		strlen(timestamp) == 0 || strlen(timestamp) > 11)
		PG_RETURN_BOOL(false);
	sent = time_t_to_timestamptz((pg_time_t) strtoll(timestamp, NULL, 10));
	if (now > act_webhook_later(sent, tolerance) ||
		sent > act_webhook_later(now, tolerance))
		PG_RETURN_BOOL(false);

	body = pg_server_to_any(body, strlen(body), PG_UTF8);
	sign(key, key_len, id, timestamp, body, strlen(body), expected);
	PG_RETURN_BOOL(has_signature(given, expected));
}

/* A header by its name in any case of letters; numbers as their text. */
static char *
header(Jsonb *headers, const char *name)
{
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers must be a JSON object")));
	it = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		bool		found;

		if (token != WJB_KEY)
			continue;
		found = v.val.string.len == strlen(name) &&
			pg_strncasecmp(v.val.string.val, name, v.val.string.len) == 0;
		(void) JsonbIteratorNext(&it, &v, true);
		if (!found)
			continue;
		if (v.type == jbvString)
			return pnstrdup(v.val.string.val, v.val.string.len);
		if (v.type == jbvNumeric)
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(v.val.numeric)));
		return NULL;
	}
	return NULL;
}

/* given: "v1,… v1,…"; every one of them is compared, whatever comes first. */
static bool
has_signature(const char *given, const char *expected)
{
	bool		found = false;

	while (*given != '\0')
	{
		int			len = strcspn(given, " ");

		if (len > 3 && strncmp(given, "v1,", 3) == 0 &&
			act_signature_equal(given + 3, len - 3, expected, SIGNATURE_LEN))
			found = true;
		given += len;
		given += strspn(given, " ");
	}
	return found;
}
