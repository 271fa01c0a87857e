/*
 * base/cache.h
 *		What a backend keeps of tables, and how it hears that they changed.
 */
#ifndef ACT_CACHE_H
#define ACT_CACHE_H

#include "postgres.h"

#include "lib/ilist.h"

/*
 * Called once, at load: whenever a relation changed, the function is told, with
 * InvalidOid if anything may have.  It only marks what it keeps as stale: it
 * looks nothing up, frees nothing and does not throw.
 */
typedef void (*ActCacheForget) (Oid relid);
extern void act_cache_subscribe(ActCacheForget forget);

/*
 * The end of every transaction: nobody holds anything any more, what an error
 * cut short included.
 */
extern void act_cache_end_transaction(void);

/*
 * A set that is read as a whole.
 *
 * The first two are constant.  fill reads everything and returns it; it palloc's
 * in the current context, which is the set's, and first of all calls
 * act_set_depends for each table that it is going to read.
 */
typedef struct ActSet
{
	const char *name;
	void	   *(*fill) (struct ActSet *set);

	/* What stands from here on is the cache's. */
	void	   *content;		/* NULL: never read */
	MemoryContext context;		/* of the content */
	int			pins;			/* of the content */
	uint64		changes;		/* of the tables, as far as we heard */
	uint64		read_at;		/* the changes that content has seen */
	int			ndepends;
	Oid			depends[2];
	struct ActSet *next;
} ActSet;

/* Called once, at load. */
extern void act_set_init(ActSet *set);

/* From fill only: a change of this table makes the set stale. */
extern void act_set_depends(ActSet *set, Oid relid);

/*
 * The content, read anew if it is stale; good until the next call.  An error on
 * the way leaves it stale.  Outside a transaction a stale content is returned as
 * it is, NULL if it was never read.
 */
extern void *act_set_get(ActSet *set);

extern bool act_set_is_stale(const ActSet *set);

/* As get, but good until the matching unpin or the end of the transaction. */
extern void *act_set_pin(ActSet *set);
extern void act_set_unpin(ActSet *set, void *content);

/*
 * A pool of entries by OID, of which the least recently used ones go when they
 * become too many.  An entry is a struct that begins with ActPooled.
 */
typedef struct ActPooled
{
	Oid			key;
	Oid			relid;			/* whose change makes it stale */
	MemoryContext context;		/* of the entry and of all that it holds */

	/* What stands from here on is the cache's. */
	struct ActPool *pool;
	bool		stale;			/* not found any more */
	int			pins;			/* freed when there are none */
	dlist_node	place;			/* in entries */
} ActPooled;

typedef struct ActPool
{
	int			max;			/* entries, pinned ones apart */

	/* What stands from here on is the cache's. */
	struct pool_hash *by_key;	/* those that are not stale */
	dlist_head	entries;		/* all, the most recently looked up first */
	ActPooled  *last;			/* looked up, NULL or not stale */
	int			count;
	int			stale;			/* of them */
	int			pins;			/* in all */
	struct ActPool *next;
} ActPool;

/* Called once, at load. */
extern void act_pool_init(ActPool *pool);

/* NULL if there is none that is not stale. */
extern ActPooled *act_pool_find_slowly(ActPool *pool, Oid key);

static inline ActPooled *
act_pool_find(ActPool *pool, Oid key)
{
	/* Most look-ups are for what was looked up last. */
	if (likely(pool->last != NULL && pool->last->key == key))
		return pool->last;
	return act_pool_find_slowly(pool, key);
}

/*
 * Puts in an entry whose key, relid and context are set, instead of one of the
 * same key.  Frees what nobody pins and is stale, or too old.
 */
extern void act_pool_add(ActPool *pool, ActPooled *entry);

/* From a function that was subscribed: those of this table, or all of them if
 * InvalidOid, are stale. */
extern void act_pool_forget(ActPool *pool, Oid relid);

/* A pinned entry stays until the matching unpin or the end of the transaction,
 * stale or not. */
static inline void
act_pool_pin(ActPooled *entry)
{
	entry->pins++;
	entry->pool->pins++;
}

extern void act_pool_free(ActPooled *entry);

static inline void
act_pool_unpin(ActPooled *entry)
{
	Assert(entry->pins > 0);
	entry->pins--;
	entry->pool->pins--;
	if (unlikely(entry->stale) && entry->pins == 0)
		act_pool_free(entry);
}

#endif
