/*
 * base/cache.c
 *		What a backend keeps of tables, and how it hears that they changed.
 *
 * All extensions together have ten places for callbacks of the relcache, so
 * this file takes one and tells everybody here.
 *
 * An invalidation may arrive at any look at a catalog, in the middle of reading
 * what it is about, and while somebody uses what it makes stale.  So it only
 * marks.  What is read is complete before it takes the place of the old, so that
 * an error on the way loses nothing, and counts as fresh only if no invalidation
 * of it came meanwhile.  Who uses an old one while calling code that might ask
 * for a new one pins it.
 *
 * An error takes pins with it that nobody releases.  Calls end with their
 * transaction at the latest, hence so do pins.
 */
#include "activity.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/cache.h"

typedef struct PoolSlot
{
	Oid			key;
	ActPooled  *entry;
	char		status;
} PoolSlot;

#define SH_PREFIX pool
#define SH_ELEMENT_TYPE PoolSlot
#define SH_KEY_TYPE Oid
#define SH_KEY key
#define SH_HASH_KEY(table, key) murmurhash32(key)
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define SUBSCRIBERS_MAX 8
static ActCacheForget subscribers[SUBSCRIBERS_MAX];
static int	nsubscribers = 0;
static bool registered = false;

static ActSet *sets = NULL;
static ActPool *pools = NULL;

static void register_once(void);
static void at_invalidation(Datum arg, Oid relid);
static void read_set(ActSet *set);
static void detach(ActPooled *entry);
static void free_stale(ActPool *pool);
static void free_oldest(ActPool *pool);

void
act_cache_subscribe(ActCacheForget forget)
{
	Assert(nsubscribers < SUBSCRIBERS_MAX);
	register_once();
	subscribers[nsubscribers++] = forget;
}

static void
register_once(void)
{
	if (!registered)
		CacheRegisterRelcacheCallback(at_invalidation, (Datum) 0);
	registered = true;
}

static void
at_invalidation(Datum arg, Oid relid)
{
	for (ActSet *set = sets; set != NULL; set = set->next)
	{
		bool		concerned = !OidIsValid(relid) || set->ndepends == 0;

		for (int i = 0; i < set->ndepends; i++)
			concerned |= set->depends[i] == relid || !OidIsValid(set->depends[i]);
		if (concerned)
			set->changes++;
	}
	for (int i = 0; i < nsubscribers; i++)
		subscribers[i] (relid);
}

void
act_cache_end_transaction(void)
{
	for (ActSet *set = sets; set != NULL; set = set->next)
		set->pins = 0;
	for (ActPool *pool = pools; pool != NULL; pool = pool->next)
	{
		dlist_iter	place;

		if (pool->pins > 0)
			dlist_foreach(place, &pool->entries)
				dlist_container(ActPooled, place, place.cur)->pins = 0;
		pool->pins = 0;
		free_stale(pool);
	}
}

void
act_set_init(ActSet *set)
{
	Assert(set->next == NULL && set->content == NULL);
	register_once();
	set->changes = 1;
	set->next = sets;
	sets = set;
}

void
act_set_depends(ActSet *set, Oid relid)
{
	Assert(set->ndepends < lengthof(set->depends));
	set->depends[set->ndepends++] = relid;
}

bool
act_set_is_stale(const ActSet *set)
{
	return set->read_at != set->changes;
}

void *
act_set_get(ActSet *set)
{
	if (unlikely(set->read_at != set->changes) && IsTransactionState())
		read_set(set);
	return set->content;
}

static void
read_set(ActSet *set)
{
	uint64		before = set->changes;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	void	   *content;

	/* Should an error come, it goes with the subtransaction, and set is stale. */
	context = AllocSetContextCreate(CurTransactionContext, "activity set",
									ALLOCSET_SMALL_SIZES);
	MemoryContextSetIdentifier(context, set->name);
	MemoryContextSwitchTo(context);
	set->ndepends = 0;
	content = set->fill(set);
	MemoryContextSwitchTo(caller);
	Assert(content != NULL);

	/* Nothing below can fail. */
	MemoryContextSetParent(context, CacheMemoryContext);
	if (set->context != NULL && set->pins == 0)
		MemoryContextDelete(set->context);
	else if (set->context != NULL)
		MemoryContextSetParent(set->context, TopTransactionContext);
	set->context = context;
	set->content = content;
	set->pins = 0;
	/* A change that came in meanwhile may be in it, or not. */
	set->read_at = before;
}

void *
act_set_pin(ActSet *set)
{
	void	   *content = act_set_get(set);

	set->pins++;
	return content;
}

/* One that was replaced meanwhile goes with the transaction. */
void
act_set_unpin(ActSet *set, void *content)
{
	if (content != set->content)
		return;
	Assert(set->pins > 0);
	set->pins--;
}

void
act_pool_init(ActPool *pool)
{
	Assert(pool->next == NULL && pool->by_key == NULL);
	register_once();
	dlist_init(&pool->entries);
	pool->next = pools;
	pools = pool;
}

ActPooled *
act_pool_find_slowly(ActPool *pool, Oid key)
{
	PoolSlot   *slot;

	slot = pool->by_key != NULL ? pool_lookup(pool->by_key, key) : NULL;
	if (slot == NULL)
		return NULL;
	Assert(!slot->entry->stale && slot->entry->key == key);
	dlist_move_head(&pool->entries, &slot->entry->place);
	pool->last = slot->entry;
	return slot->entry;
}

void
act_pool_add(ActPool *pool, ActPooled *entry)
{
	PoolSlot   *slot;
	bool		found;

	Assert(OidIsValid(entry->key) && entry->context != NULL);
	free_stale(pool);
	while (pool->count >= pool->max)
	{
		int			before = pool->count;

		free_oldest(pool);
		if (pool->count == before)
			break;				/* all are pinned */
	}
	if (pool->by_key == NULL)
		pool->by_key = pool_create(CacheMemoryContext, 32, NULL);
	slot = pool_insert(pool->by_key, entry->key, &found);

	/* Nothing below can fail. */
	if (found)
	{
		ActPooled  *old = slot->entry;

		old->stale = true;
		pool->stale++;
	}
	slot->entry = entry;
	MemoryContextSetParent(entry->context, CacheMemoryContext);
	entry->pool = pool;
	entry->stale = false;
	entry->pins = 0;
	dlist_push_head(&pool->entries, &entry->place);
	pool->count++;
	pool->last = entry;
}

void
act_pool_forget(ActPool *pool, Oid relid)
{
	dlist_iter	place;

	dlist_foreach(place, &pool->entries)
	{
		ActPooled  *entry = dlist_container(ActPooled, place, place.cur);

		if (entry->stale || (OidIsValid(relid) && entry->relid != relid))
			continue;
		detach(entry);
	}
}

/* From here on it is not found; it is freed when that can be done. */
static void
detach(ActPooled *entry)
{
	ActPool    *pool = entry->pool;

	Assert(!entry->stale);
	entry->stale = true;
	pool->stale++;
	pool_delete(pool->by_key, entry->key);
	if (pool->last == entry)
		pool->last = NULL;
}

static void
free_stale(ActPool *pool)
{
	dlist_mutable_iter place;

	if (pool->stale == 0)
		return;
	dlist_foreach_modify(place, &pool->entries)
	{
		ActPooled  *entry = dlist_container(ActPooled, place, place.cur);

		if (entry->stale && entry->pins == 0)
			act_pool_free(entry);
	}
}

static void
free_oldest(ActPool *pool)
{
	dlist_iter	place;

	dlist_reverse_foreach(place, &pool->entries)
	{
		ActPooled  *entry = dlist_container(ActPooled, place, place.cur);

		if (entry->pins > 0)
			continue;
		if (!entry->stale)
			detach(entry);
		act_pool_free(entry);
		return;
	}
}

void
act_pool_free(ActPooled *entry)
{
	ActPool    *pool = entry->pool;

	Assert(entry->stale && entry->pins == 0 && pool->last != entry);
	dlist_delete(&entry->place);
	pool->count--;
	pool->stale--;
	MemoryContextDelete(entry->context);
}
