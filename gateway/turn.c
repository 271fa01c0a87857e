/*
 * turn.c
 *		Whose turn it is: a queue in which nobody waits for another's crowd.
 *
 * Each key has a queue of its own, and those with something in it stand in a ring: who
 * was served goes to its end.  So a thousand items of one cost another the time of
 * those that run, not of those that wait.
 */
#include "turn.h"

#include "map.h"

#include <openssl/evp.h>

#define DIGEST_SIZE 32

typedef struct Waiting
{
	struct Waiting *next;
	void	   *item;
} Waiting;

struct Turn
{
	Turn	   *next;			/* in the ring, while something waits */
	Waiting    *first;
	Waiting   **end;
	int			running;
	unsigned char key[DIGEST_SIZE]; /* nothing that could be shown stays here */
};

struct Turns
{
	Map		   *map;
	Turn	   *first;
	Turn	  **end;
	int			count;
};

Turns *
turns_make(void)
{
	Turns	   *turns = allocate(sizeof(Turns));

	turns->map = map_make();
	turns->end = &turns->first;
	return turns;
}

void
turns_free(Turns *turns)
{
	Assert(turns->count == 0 && map_count(turns->map) == 0);
	map_free(turns->map);
	free(turns);
}

static Turn *
find(Turns *turns, const char *key)
{
	unsigned char digest[DIGEST_SIZE];
	Turn	   *turn;

	if (EVP_Digest(key, strlen(key), digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	turn = map_get(turns->map, (const char *) digest, sizeof(digest));
	if (turn == NULL)
	{
		turn = allocate(sizeof(Turn));
		turn->end = &turn->first;
		memcpy(turn->key, digest, sizeof(digest));
		map_put(turns->map, (const char *) digest, sizeof(digest), turn);
	}
	return turn;
}

/* To the end of the ring. */
static void
join(Turns *turns, Turn *turn)
{
	turn->next = NULL;
	*turns->end = turn;
	turns->end = &turn->next;
}

Turn *
turns_add(Turns *turns, const char *key, void *item)
{
	Turn	   *turn = find(turns, key);
	Waiting    *waiting = allocate(sizeof(Waiting));

	waiting->item = item;
	if (turn->first == NULL)
		join(turns, turn);
	*turn->end = waiting;
	turn->end = &waiting->next;
	turns->count++;
	return turn;
}

static void *
take(Turns *turns, Turn *turn)
{
	Waiting    *waiting = turn->first;
	void	   *item = waiting->item;

	turn->first = waiting->next;
	free(waiting);
	if (turn->first)
		join(turns, turn);
	else
		turn->end = &turn->first;
	turn->running++;
	turns->count--;
	return item;
}

void *
turns_take(Turns *turns, int most)
{
	/* Who is passed over runs something, so they are few. */
	for (Turn **at = &turns->first; *at; at = &(*at)->next)
	{
		Turn	   *turn = *at;

		if (turn->running >= most)
			continue;
		*at = turn->next;
		if (turn->next == NULL)
			turns->end = at;
		return take(turns, turn);
	}
	return NULL;
}

void
turns_over(Turns *turns, Turn *turn)
{
	if (--turn->running > 0 || turn->first)
		return;
	map_remove(turns->map, (const char *) turn->key, DIGEST_SIZE);
	free(turn);
}

int
turns_count(const Turns *turns)
{
	return turns->count;
}
