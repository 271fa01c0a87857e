/*
 * move/move.h
 *		What leaving and coming have in common.
 */
#ifndef ACT_MOVE_MOVE_H
#define ACT_MOVE_MOVE_H

#include "utils/jsonb.h"

/* What the line of an event begins with; its id follows. */
#define ACT_MOVE_EVENT "{\"line\":\"event\",\"id\":\""

/* Runs a statement of SQL with the organization's key as $1. */
extern void act_move_call(const char *sql, int32 organization);

/* {}, palloc'd. */
extern Jsonb *act_move_no_filters(void);

#endif
