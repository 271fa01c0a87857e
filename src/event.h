/*
 * event.h
 *		The event row and its only writer.
 */
#ifndef ACT_EVENT_H
#define ACT_EVENT_H

#include "event_id.h"
#include "utils/jsonb.h"

/* Columns of _activity.event, in their order (tables.sql). */
#define ACT_EVENT_ID			1
#define ACT_EVENT_OCCURRED_AT	2
#define ACT_EVENT_XID			3
#define ACT_EVENT_SALT			4
#define ACT_EVENT_ORGANIZATION	5
#define ACT_EVENT_TYPE			6
#define ACT_EVENT_ACTOR_HASH	7
#define ACT_EVENT_SUBJECT_HASH	8
#define ACT_EVENT_ACTOR_KIND	9
#define ACT_EVENT_ACTOR_ID		10
#define ACT_EVENT_ACTOR_NAME	11
#define ACT_EVENT_DESCRIPTION	12
#define ACT_EVENT_SUBJECT		13
#define ACT_EVENT_METADATA		14
#define ACT_EVENT_CONTEXT		15
#define ACT_EVENT_COLUMNS		15

/* OIDs of the extension's own relations, by name, cached until invalidated. */
extern Oid	act_event_relid(void);

/* The hash in actor_hash and subject_hash. */
extern int32 act_event_hash(const char *id, int len);

#endif
