/*
 * publish.h
 *		Publishing where no background worker does.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include "gateway.h"

extern void publish_open(void);
extern void publish_close(void);

/* Something has been recorded that has no position. */
extern void publish_soon(void);

#endif
