/*
 * stream/head.h
 *		The ends of the organizations' streams, while they are appended to.
 */
#ifndef ACT_HEAD_H
#define ACT_HEAD_H

#include "stream/chain.h"
#include "stream/stream.h"

typedef struct ActHead
{
	int32		organization;	/* the hash key */
	int64		position;		/* of the newest event; 0: there is none */
	uint8		hash[ACT_CHAIN_BYTES];
	char	   *id;				/* of the organization */
	char		channel[NAMEDATALEN];	/* empty until asked for */
} ActHead;

/*
 * begin: the publication of this number is the newest there is, and the caller
 * has the right to publish.  get: the organization's head, for the caller to
 * move on with each event; valid until end.  end: what was moved is what the
 * publication of this number, just written, has stored.
 */
extern void act_head_begin(int64 publication);
extern ActHead *act_head_get(ActStreamReader *stream, ActChain *chain,
							 int32 organization);
extern void act_head_end(int64 publication);

/* Where the head's organization is notified. */
extern const char *act_head_channel(ActHead *head);

/* Something was rolled back, perhaps what the heads were moved by. */
extern void act_head_forget(void);

extern void act_head_init(void);

#endif
