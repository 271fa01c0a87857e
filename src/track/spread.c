/*
 * track/spread.c
 *		Tables of Citus: their shards are tracked, too.
 *
 * A distributed table has no rows here; they change in its shards, which are plain
 * tables on the nodes.  So each shard gets the triggers.  The table here gets them,
 * too, because a shard that Citus makes anew, to move or to split one, is made with
 * the triggers that the table has.
 */
#include "activity.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "track/spread.h"

static bool
has_citus(void)
{
	return OidIsValid(get_extension_oid("citus", true));
}

int
act_spread_begin(void)
{
	int			level = NewGUCNestLevel();

	if (has_citus())
		(void) set_config_option("citus.enable_ddl_propagation", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
act_spread_end(int level)
{
	AtEOXact_GUC(false, level);
}

void
act_spread_run(Oid relid, const char *command)
{
	Oid			types[] = {REGCLASSOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(command)};

	if (!has_citus())
		return;
	SPI_connect();
	if (SPI_execute_with_args("SELECT _activity.on_shards($1, $2)", lengthof(types), types,
							  values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not reach the shards");
	SPI_finish();
}

char *
act_spread_literal(const char *text)
{
	StringInfoData literal;
	const char *quoted = text == NULL ? "NULL" : quote_literal_cstr(text);

	initStringInfo(&literal);
	for (const char *c = quoted; *c != '\0'; c++)
	{
		if (*c == '%')
			appendStringInfoChar(&literal, '%');
		appendStringInfoChar(&literal, *c);
	}
	return literal.data;
}
