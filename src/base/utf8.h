/*
 * base/utf8.h
 *		Text that goes to the outside is UTF-8, whatever is stored.
 */
#ifndef ACT_UTF8_H
#define ACT_UTF8_H

#include "lib/stringinfo.h"

/*
 * In a database without an encoding (SQL_ASCII) there can be any bytes: what is no
 * character from there on becomes U+FFFD, the same each time.
 */
extern void act_utf8_mend(StringInfo text, int from);

#endif
