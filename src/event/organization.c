/*
 * event/organization.c
 *		Organizations, interned: any text becomes a 4-byte key.
 *
 * The obvious way, a unique id and INSERT ... ON CONFLICT, makes whoever meets
 * an organization that another open transaction has just met wait for that
 * transaction, and deadlocks two that meet two organizations in different
 * order.  Neither may happen inside other people's transactions.  So id isn't
 * unique; what holds instead is
 *
 *		all rows of an id, committed or not, have the same key.
 *
 * Whoever finds no committed row takes a short lock on the id, released as
 * soon as its own row is written, and looks with a dirty snapshot.  A row of a
 * transaction still in progress tells the key, and gets a committed twin from
 * us in case its writer aborts.  No row at all: a new key.  Twins are harmless,
 * every reader takes any of them.
 */
#include "activity.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/columns.h"
#include "event/organization.h"
#include "base/cache.h"
#include "base/own_table.h"

/* Past this many the cache starts anew, so that its memory is bounded. */
#define CACHE_MAX 4096

/* Advisory locks of users have 1 or 2 in the tag's fourth field. */
#define LOCKTAG_OURS 3

typedef struct Interned
{
	char		id[ACT_ORGANIZATION_MAX + 1]; /* hash key */
	int32		key;

	/* Learned from a row that isn't known to have committed. */
	bool		tentative;
} Interned;

static HTAB *cache = NULL;
static Interned *last_used = NULL;
static int	tentative_count = 0;
static bool cache_is_stale = false;
static Oid	cache_relid = InvalidOid;	/* what the cache was filled from */

static Interned *look_up(const char *id, int len);
static void remember(const char *id, int32 key, bool tentative);
static int32 find_dirty(Relation rel, const char *id, bool *certain, bool *ours);
static int32 write_row(Relation rel, const char *id);
static void forget(Oid relid);

void
act_organization_init(void)
{
	act_cache_subscribe(forget);
}

int32
act_organization_find(const char *id, int len)
{
	Interned   *known = look_up(id, len);
	char	   *copy;
	Relation	rel;
	int32		key;
	bool		certain;
	bool		ours;

	if (known != NULL)
		return known->key;
	if (len == 0 || len > ACT_ORGANIZATION_MAX)
		return 0;

	copy = pnstrdup(id, len);
	rel = act_relation_open(ACT_REL_ORGANIZATION, AccessShareLock);
	key = find_dirty(rel, copy, &certain, &ours);
	table_close(rel, AccessShareLock);
	if (key != 0 && certain)
		remember(copy, key, ours);
	pfree(copy);
	return key;
}

int32
act_organization_intern(const char *id, int len)
{
	Interned   *known = look_up(id, len);
	char	   *copy;
	Relation	rel;
	int32		key;
	bool		certain;
	bool		ours;

	if (known != NULL)
		return known->key;
	if (len == 0 || len > ACT_ORGANIZATION_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("organization id has %d bytes", len),
				 errhint("An organization's id has 1 to %d bytes.", ACT_ORGANIZATION_MAX)));

	copy = pnstrdup(id, len);
	rel = act_relation_open(ACT_REL_ORGANIZATION, RowExclusiveLock);
	key = find_dirty(rel, copy, &certain, &ours);
	if (key == 0 || !certain)
	{
		key = write_row(rel, copy);
		ours = true;
	}
	table_close(rel, NoLock);
	remember(copy, key, ours);
	pfree(copy);
	return key;
}

char *
act_organization_id(int32 key)
{
	Relation	rel = act_relation_open(ACT_REL_ORGANIZATION, AccessShareLock);
	SnapshotData dirty;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *id = NULL;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&scankey, 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(key));
	scan = systable_beginscan(rel, act_relation_index(ACT_REL_ORGANIZATION_KEY_IDX, rel),
							  true, &dirty, 1, &scankey);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, ACT_ORGANIZATION_ID, RelationGetDescr(rel), &isnull);

		id = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (id == NULL)
		elog(ERROR, "no organization has key %d", key);
	return id;
}

/* The cached entry, or NULL.  A statement mostly stays with one organization. */
static Interned *
look_up(const char *id, int len)
{
	char		key[ACT_ORGANIZATION_MAX + 1];

	if (cache_is_stale)
	{
		if (cache != NULL)
			hash_destroy(cache);
		cache = NULL;
		last_used = NULL;
		tentative_count = 0;
		cache_is_stale = false;
	}
	if (cache == NULL || len > ACT_ORGANIZATION_MAX)
		return NULL;
	if (last_used != NULL && memcmp(last_used->id, id, len) == 0 &&
		last_used->id[len] == '\0')
		return last_used;

	memcpy(key, id, len);
	key[len] = '\0';
	last_used = hash_search(cache, key, HASH_FIND, NULL);
	return last_used;
}

static void
remember(const char *id, int32 key, bool tentative)
{
	Interned   *entry;
	bool		found;

	if (cache != NULL && hash_get_num_entries(cache) >= CACHE_MAX)
	{
		hash_destroy(cache);
		cache = NULL;
		tentative_count = 0;
	}
	if (cache == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = ACT_ORGANIZATION_MAX + 1;
		control.entrysize = sizeof(Interned);
		control.hcxt = TopMemoryContext;
		cache = hash_create("activity organizations", 64, &control,
							HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
		cache_relid = act_relation_oid(ACT_REL_ORGANIZATION);
	}
	entry = hash_search(cache, id, HASH_ENTER, &found);
	if (!found)
		entry->tentative = false;
	if (tentative && !entry->tentative)
		tentative_count++;
	entry->key = key;
	entry->tentative = tentative;
	last_used = entry;
}

/*
 * The key by any row of the id, 0 when there is none.  *certain: by a committed
 * row or one of our own; *ours: by one of our own, which may yet be rolled back.
 */
static int32
find_dirty(Relation rel, const char *id, bool *certain, bool *ours)
{
	SnapshotData dirty;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;
	int32		key = 0;

	*certain = *ours = false;
	InitDirtySnapshot(dirty);
	ScanKeyInit(&scankey, 2, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(id));
	scankey.sk_collation = C_COLLATION_OID;
	scan = systable_beginscan(rel, act_relation_index(ACT_REL_ORGANIZATION_ID_IDX, rel),
							  true, &dirty, 1, &scankey);
	while (!*certain && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		key = DatumGetInt32(heap_getattr(tuple, ACT_ORGANIZATION_KEY, RelationGetDescr(rel),
										 &isnull));
		*certain = !TransactionIdIsValid(dirty.xmin);
		*ours = *certain &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	systable_endscan(scan);
	return key;
}

/*
 * Writes our own row, with the key of whoever is before us if somebody is.
 * The lock is held for one look and one insert into indexes that aren't
 * unique, so its holder waits for nobody's transaction.  On error it goes with
 * the transaction.
 */
static int32
write_row(Relation rel, const char *id)
{
	LOCKTAG		tag;
	bool		certain;
	bool		ours;
	int32		key;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, RelationGetRelid(rel),
						 hash_bytes((const unsigned char *) id, strlen(id)),
						 LOCKTAG_OURS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);

	key = find_dirty(rel, id, &certain, &ours);
	if (key == 0 || !certain)
	{
		Datum		values[ACT_ORGANIZATION_COLUMNS];
		bool		nulls[2] = {false, false};

		if (key == 0)
			key = (int32) nextval_internal(act_relation_oid(ACT_REL_ORGANIZATION_KEY),
										   false);
		values[ACT_ORGANIZATION_KEY - 1] = Int32GetDatum(key);
		values[ACT_ORGANIZATION_ID - 1] = CStringGetTextDatum(id);
		act_relation_insert(ACT_REL_ORGANIZATION, values, nulls);
	}

	LockRelease(&tag, ExclusiveLock, false);
	return key;
}

void
act_organization_settle(bool committed)
{
	HASH_SEQ_STATUS scan;
	Interned   *entry;

	if (tentative_count == 0 || cache == NULL)
		return;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (!entry->tentative)
			continue;
		if (committed)
			entry->tentative = false;
		else
			hash_search(cache, entry->id, HASH_REMOVE, NULL);
	}
	tentative_count = 0;
	last_used = NULL;
}

static void
forget(Oid relid)
{
	if (!OidIsValid(relid) || relid == cache_relid)
		cache_is_stale = true;
}
