/*
 * rate.c
 *		How often a token, and an address, may ask.
 *
 * A bucket for each that has asked lately: it holds a second's worth of requests, and
 * fills at their rate.  One that is full again is like one that is not there, so they
 * are no more than those who ask.
 */
#include "rate.h"

#include "map.h"
#include "option.h"

#include <openssl/evp.h>

#define DIGEST_SIZE 32

typedef struct Bucket
{
	int64_t		at;				/* when left was right */
	double		left;
	int			rate;			/* requests a second */
	size_t		len;
	char		key[];
} Bucket;

static Map *buckets;

static void
fill(Bucket *bucket)
{
	int64_t		now = loop_now();

	bucket->left = Min(bucket->rate, bucket->left + (now - bucket->at) * bucket->rate / 1000.0);
	bucket->at = now;
}

static bool
take(const char *key, size_t len, int rate)
{
	Bucket	   *bucket = map_get(buckets, key, len);

	if (bucket == NULL)
	{
		bucket = allocate(sizeof(Bucket) + len);
		bucket->at = loop_now();
		bucket->left = rate;
		bucket->len = len;
		memcpy(bucket->key, key, len);
		map_put(buckets, key, len, bucket);
	}
	bucket->rate = rate;
	fill(bucket);
	if (bucket->left < 1)
		return false;
	bucket->left -= 1;
	return true;
}

/* Of the text by which a caller is known; nothing that could be shown stays here. */
static bool
take_text(const char *text, int rate)
{
	unsigned char digest[DIGEST_SIZE];

	if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	return take((const char *) digest, sizeof(digest), rate);
}

bool
rate_takes(const Http *http)
{
	const char *known = http_header(http, "authorization");
	char		text[64];

	if (buckets == NULL)
		buckets = map_make();
	if (known == NULL)
		known = http_header(http, "cookie");
	if (http->peer && options.max_requests_per_address > 0 &&
		!address_is_in(&http->peer->address, options.trusted_proxy))
	{
		Address		counted = address_counted(&http->peer->address);

		address_text(&counted, text);
		if (!take(text, strlen(text), options.max_requests_per_address))
			return false;
	}
	return known == NULL || options.max_requests_per_token == 0 ||
		take_text(known, options.max_requests_per_token);
}

static void
forget(void *value, void *arg)
{
	Bucket	   *bucket = value;

	fill(bucket);
	if (bucket->left >= bucket->rate)
	{
		map_remove(buckets, bucket->key, bucket->len);
		free(bucket);
	}
}

void
rates_tick(void)
{
	if (buckets)
		map_each(buckets, forget, NULL);
}
