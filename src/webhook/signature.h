/*
 * webhook/signature.h
 *		Signatures by the Standard Webhooks rules, and random secrets.
 */
#ifndef ACT_SIGNATURE_H
#define ACT_SIGNATURE_H

#include "postgres.h"

#define ACT_SECRET_BYTES 32

/*
 * prefix and the base64 of 32 random bytes, palloc'd; for another prefix than
 * whsec_ base64 as URLs and subprotocols take it.
 */
extern char *act_signature_secret(const char *prefix);

/*
 * Appends "v1,<base64>", the HMAC-SHA256 of id.timestamp.body; throws 22023
 * unless the secret is base64, with or without whsec_ before it.
 */
extern void act_signature_append(StringInfo out, const char *secret,
								 const char *id, const char *timestamp,
								 const char *body, int body_len);

/* Equal, in a time that tells nothing about where they differ. */
extern bool act_signature_equal(const char *a, int a_len,
								const char *b, int b_len);

#endif
