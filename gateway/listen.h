/*
 * listen.h
 *		Live messages of the database.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include "gateway.h"

extern void listen_open(const char *conninfo);
extern void listen_close(void);
extern bool listen_is_up(void);

#endif
