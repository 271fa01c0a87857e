/*
 * map.c
 *		Values by a key of bytes.
 *
 * Keys come from outside, so the hash has a seed of its own in each process:
 * nobody can choose keys that collide.
 */
#include "map.h"

#include <sys/random.h>

typedef struct Entry
{
	struct Entry *next;
	uint64_t	hash;
	void	   *value;
	size_t		len;
	char		key[];
} Entry;

struct Map
{
	Entry	  **buckets;
	size_t		nbuckets;		/* a power of two */
	size_t		count;
	uint64_t	seed;
};

Map *
map_make(void)
{
	Map		   *map = allocate(sizeof(Map));

	map->nbuckets = 16;
	map->buckets = allocate(map->nbuckets * sizeof(Entry *));
	if (getrandom(&map->seed, sizeof(map->seed), 0) != sizeof(map->seed))
		abort();
	return map;
}

void
map_free(Map *map)
{
	for (size_t i = 0; i < map->nbuckets; i++)
	{
		Entry	   *next;

		for (Entry *entry = map->buckets[i]; entry; entry = next)
		{
			next = entry->next;
			free(entry);
		}
	}
	free(map->buckets);
	free(map);
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 29;
	return x;
}

static uint64_t
hash_of(const Map *map, const char *key, size_t len)
{
	uint64_t	hash = map->seed ^ len;

	while (len > 0)
	{
		uint64_t	word = 0;
		size_t		n = Min(len, sizeof(word));

		memcpy(&word, key, n);
		hash = mix(hash ^ word) + map->seed;
		key += n;
		len -= n;
	}
	return mix(hash);
}

static Entry **
find(const Map *map, const char *key, size_t len, uint64_t hash)
{
	Entry	  **link = &map->buckets[hash & (map->nbuckets - 1)];

	while (*link != NULL && ((*link)->hash != hash || (*link)->len != len ||
							 memcmp((*link)->key, key, len) != 0))
		link = &(*link)->next;
	return link;
}

void *
map_get(const Map *map, const char *key, size_t len)
{
	Entry	   *entry = *find(map, key, len, hash_of(map, key, len));

	return entry ? entry->value : NULL;
}

static void
grow(Map *map)
{
	size_t		nbuckets = map->nbuckets * 2;
	Entry	  **buckets = allocate(nbuckets * sizeof(Entry *));

	for (size_t i = 0; i < map->nbuckets; i++)
	{
		Entry	   *next;

		for (Entry *entry = map->buckets[i]; entry; entry = next)
		{
			next = entry->next;
			entry->next = buckets[entry->hash & (nbuckets - 1)];
			buckets[entry->hash & (nbuckets - 1)] = entry;
		}
	}
	free(map->buckets);
	map->buckets = buckets;
	map->nbuckets = nbuckets;
}

void
map_put(Map *map, const char *key, size_t len, void *value)
{
	uint64_t	hash = hash_of(map, key, len);
	Entry	  **link = find(map, key, len, hash);
	Entry	   *entry = *link;

	if (entry == NULL)
	{
		entry = allocate(sizeof(Entry) + len);
		entry->hash = hash;
		entry->len = len;
		memcpy(entry->key, key, len);
		*link = entry;
		map->count++;
	}
	entry->value = value;
	if (map->count > map->nbuckets)
		grow(map);
}

void
map_remove(Map *map, const char *key, size_t len)
{
	Entry	  **link = find(map, key, len, hash_of(map, key, len));
	Entry	   *entry = *link;

	if (entry == NULL)
		return;
	*link = entry->next;
	free(entry);
	map->count--;
}

size_t
map_count(const Map *map)
{
	return map->count;
}

void
map_each(Map *map, void (*visit) (void *value, void *arg), void *arg)
{
	for (size_t i = 0; i < map->nbuckets; i++)
	{
		Entry	   *next;

		for (Entry *entry = map->buckets[i]; entry; entry = next)
		{
			next = entry->next;
			visit(entry->value, arg);
		}
	}
}
