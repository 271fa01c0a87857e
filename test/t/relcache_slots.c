/*
 * A library that takes five of the ten slots for relcache callbacks, which all
 * extensions of a process and its own parts share (utils/cache/inval.c).
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/inval.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static void
ignore(Datum argument, Oid relid)
{
}

void
_PG_init(void)
{
	for (int i = 0; i < 5; i++)
		CacheRegisterRelcacheCallback(ignore, (Datum) 0);
}
