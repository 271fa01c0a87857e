/*
 * stream/head.c
 *		The ends of the organizations' streams, while they are appended to.
 *
 * A publisher under load finds few events of each organization in a batch, and
 * would look up the same heads hundreds of times a second.  So a session keeps
 * those that it wrote.  They are right as long as nobody else has published in
 * between, which the number of the newest publication tells, and our own
 * publication was not rolled back.  Whatever happens to the tables
 * themselves, a new segment among it, makes the session forget them all.
 */
#include "activity.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/cache.h"
#include "stream/head.h"
#include "record/message.h"
#include "event/organization.h"
#include "base/own_table.h"

/* With more than this many a session begins anew, so that its memory is bounded. */
#define HEADS_MAX 16384

/* No publication has it. */
#define UNKNOWN (-1)

static MemoryContext context = NULL;
static HTAB *heads = NULL;
static int64 right_after = UNKNOWN; /* the publication that they follow */
static Oid	publication_relid = InvalidOid;
static Oid	stream_relid = InvalidOid;

static void make_table(void);
static void forget_tables(Oid relid);

void
act_head_init(void)
{
	act_cache_subscribe(forget_tables);
}

void
act_head_begin(int64 publication)
{
	bool		known = right_after == publication &&
		publication_relid == act_relation_oid(ACT_REL_PUBLICATION) &&
		hash_get_num_entries(heads) <= HEADS_MAX;

	right_after = UNKNOWN;
	if (!known)
		make_table();
}

void
act_head_end(int64 publication)
{
	Assert(right_after == UNKNOWN);
	right_after = publication;
}

ActHead *
act_head_get(ActStreamReader *stream, ActChain *chain, int32 organization)
{
	ActHead    *head = hash_search(heads, &organization, HASH_FIND, NULL);
	ActStreamRow newest;
	char	   *id;

	if (head != NULL)
		return head;
	/* Whatever can fail comes before the entry is made. */
	id = act_organization_id(organization);
	if (!act_stream_newest(stream, organization, &newest))
	{
		newest.position = 0;
		act_chain_start(chain, id, newest.hash);
	}
	id = MemoryContextStrdup(context, id);
	head = hash_search(heads, &organization, HASH_ENTER, NULL);
	head->position = newest.position;
	memcpy(head->hash, newest.hash, ACT_CHAIN_BYTES);
	head->id = id;
	head->channel[0] = '\0';
	return head;
}

const char *
act_head_channel(ActHead *head)
{
	if (head->channel[0] == '\0')
		act_notify_channel(head->id, strlen(head->id), head->channel);
	return head->channel;
}

static void
make_table(void)
{
	HASHCTL		control = {0};

	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	context = AllocSetContextCreate(TopMemoryContext, "activity stream heads",
									ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(int32);
	control.entrysize = sizeof(ActHead);
	control.hcxt = context;
	heads = hash_create("activity stream heads", 256, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	publication_relid = act_relation_oid(ACT_REL_PUBLICATION);
	stream_relid = act_relation_oid(ACT_REL_STREAM);
}

/* The table stays until the next batch: one that goes on may be using it. */
void
act_head_forget(void)
{
	right_after = UNKNOWN;
	publication_relid = InvalidOid;
}

static void
forget_tables(Oid relid)
{
	if (!OidIsValid(relid) || relid == publication_relid ||
		relid == stream_relid)
		act_head_forget();
}
