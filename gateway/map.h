/*
 * map.h
 *		Values by a key of bytes.
 */
#ifndef MAP_H
#define MAP_H

#include "gateway.h"

typedef struct Map Map;

/* Keys are copied, values are the caller's. */
extern Map *map_make(void);
extern void map_free(Map *map);
extern void *map_get(const Map *map, const char *key, size_t len);	/* or NULL */
extern void map_put(Map *map, const char *key, size_t len, void *value);
extern void map_remove(Map *map, const char *key, size_t len);
extern size_t map_count(const Map *map);

/* Calls visit for each value; the visit may remove its own entry, no other. */
extern void map_each(Map *map, void (*visit) (void *value, void *arg), void *arg);

#endif
