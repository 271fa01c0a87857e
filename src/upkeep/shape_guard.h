/*
 * upkeep/shape_guard.h
 *		The extension's own tables keep their shape: which commands are let through.
 */
#ifndef ACT_SHAPE_GUARD_H
#define ACT_SHAPE_GUARD_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"

/*
 * At the end of a command: throws 55000 if it has changed the columns, the
 * persistence, the name or the schema of something that is the extension's, or
 * has made a unique index there that the extension does not have itself.
 */
extern void act_shape_check(const CollectedCommand *command, Oid catalog,
							Oid object);

/* At the start of DROP INDEX: throws 55000 for an index of the extension. */
extern void act_shape_check_drop_index(const DropStmt *statement);

/*
 * Is the relation one of the extension's: a member, an index on one, or a
 * partition of the events or of another member?
 */
extern bool act_shape_is_own(Oid relid);

#endif
