/*
 * track/member.h
 *		Who is an active member: asked of the tracked membership tables.
 */
#ifndef ACT_MEMBER_H
#define ACT_MEMBER_H

#include "postgres.h"

/*
 * Throws ERRCODE_ACT_NOT_A_MEMBER unless the member is active in the
 * organization, by a table that is tracked as membership or member; throws
 * 55000 with a hint when no such table is tracked.
 */
extern void act_member_require(const char *organization, const char *member);

#endif
