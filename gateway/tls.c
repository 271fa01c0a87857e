/*
 * tls.c
 *		Certificates for the side that serves.
 */
#include "tls.h"

#include <openssl/err.h>

static SSL_CTX *context = NULL;

static char *
complain(SSL_CTX *failed, const char *what, const char *file)
{
	char		reason[256];
	char	   *text;

	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	ERR_clear_error();
	SSL_CTX_free(failed);
	if (asprintf(&text, "could not use the %s \"%s\": %s", what, file, reason) < 0)
		abort();
	return text;
}

char *
tls_load(const char *certificate, const char *key)
{
	SSL_CTX    *fresh;

	if (certificate == NULL)
		return NULL;
	ERR_clear_error();
	fresh = SSL_CTX_new(TLS_server_method());
	if (fresh == NULL)
		abort();
	SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION);
	SSL_CTX_set_options(fresh, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
						SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* What is not sent at once moves; idle connections keep no buffers. */
	SSL_CTX_set_mode(fresh, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* Without any, a client that has no TCP_NODELAY waits for an acknowledgement. */
	SSL_CTX_set_num_tickets(fresh, 1);
	SSL_CTX_set_session_cache_mode(fresh, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_use_certificate_chain_file(fresh, certificate) != 1)
		return complain(fresh, "certificate", certificate);
	if (SSL_CTX_use_PrivateKey_file(fresh, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(fresh) != 1)
		return complain(fresh, "key", key);
	SSL_CTX_free(context);
	context = fresh;
	return NULL;
}

bool
tls_is_on(void)
{
	return context != NULL;
}

SSL *
tls_accept(int fd)
{
	SSL		   *ssl = SSL_new(context);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
	{
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

void
tls_unload(void)
{
	SSL_CTX_free(context);
	context = NULL;
}
