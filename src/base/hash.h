/*
 * base/hash.h
 *		The hash that is stored: the same on every machine.
 *
 * PostgreSQL's hash_bytes() reads words as the processor does, so a big-endian
 * machine has other values.  Ours stand in tables and in ids, which dumps carry
 * from one machine to another; they are those of little-endian machines.
 */
#ifndef ACT_HASH_H
#define ACT_HASH_H

#include "common/hashfn.h"

#define ACT_HASH_ROTATE(x, k) (((x) << (k)) | ((x) >> (32 - (k))))

/* Up to four bytes as a little-endian machine reads them. */
static inline uint32
act_hash_word(const unsigned char *bytes, int len)
{
	uint32		word = 0;

	for (int i = 0; i < len && i < 4; i++)
		word |= (uint32) bytes[i] << (8 * i);
	return word;
}

/* hash_bytes() of a little-endian machine, byte by byte (Jenkins's lookup3). */
static inline uint32
act_hash_portable(const unsigned char *k, int len)
{
	uint32		a,
				b,
				c;

	a = b = c = 0x9e3779b9 + len + 3923095;
	for (; len >= 12; k += 12, len -= 12)
	{
		a += act_hash_word(k, 4);
		b += act_hash_word(k + 4, 4);
		c += act_hash_word(k + 8, 4);
		a -= c; a ^= ACT_HASH_ROTATE(c, 4); c += b;
		b -= a; b ^= ACT_HASH_ROTATE(a, 6); a += c;
		c -= b; c ^= ACT_HASH_ROTATE(b, 8); b += a;
		a -= c; a ^= ACT_HASH_ROTATE(c, 16); c += b;
		b -= a; b ^= ACT_HASH_ROTATE(a, 19); a += c;
		c -= b; c ^= ACT_HASH_ROTATE(b, 4); b += a;
	}
	a += act_hash_word(k, len);
	b += act_hash_word(k + 4, len - 4);
	c += act_hash_word(k + 8, len - 8) << 8;	/* its lowest byte is the length's */
	c ^= b; c -= ACT_HASH_ROTATE(b, 14);
	a ^= c; a -= ACT_HASH_ROTATE(c, 11);
	b ^= a; b -= ACT_HASH_ROTATE(a, 25);
	c ^= b; c -= ACT_HASH_ROTATE(b, 16);
	a ^= c; a -= ACT_HASH_ROTATE(c, 4);
	b ^= a; b -= ACT_HASH_ROTATE(a, 14);
	c ^= b; c -= ACT_HASH_ROTATE(b, 24);
	return c;
}

static inline uint32
act_hash_bytes(const unsigned char *bytes, int len)
{
#ifdef WORDS_BIGENDIAN
	return act_hash_portable(bytes, len);
#else
	return hash_bytes(bytes, len);
#endif
}

#endif
