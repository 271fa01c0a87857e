/*
 * tls.h
 *		Certificates for the side that serves.
 */
#ifndef TLS_H
#define TLS_H

#include "gateway.h"

#include <openssl/ssl.h>

/*
 * Reads certificate and key and uses them for connections that come from now on;
 * older ones keep what they began with.  NULL, or what is wrong, allocated, and
 * then the old pair stays in use.  Without options there is no TLS.
 */
extern char *tls_load(const char *certificate, const char *key);

extern bool tls_is_on(void);

/* A server's side on the descriptor, which stays the caller's; NULL: no memory. */
extern SSL *tls_accept(int fd);

extern void tls_unload(void);

#endif
