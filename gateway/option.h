/*
 * option.h
 *		What the gateway is told: by flags, environment and file.
 *
 * One table (option_table.c) has them all; --help, the manual page and
 * docs/gateway.md are made from it or checked against it.
 */
#ifndef OPTION_H
#define OPTION_H

#include "gateway.h"

/* Strings are NULL where nothing was said; lists end with NULL and are never NULL. */
typedef struct Options
{
	char	   *config;
	char	   *database;
	char	   *listen_database;
	char	   *read_database;
	int			read_lag;
	int			database_connections;
	char	   *listen;
	char	   *tls_certificate;
	char	   *tls_key;
	char	   *public_url;
	char	   *files;
	char	   *frame_ancestors;
	char	  **cors_origin;
	char	  **trusted_proxy;
	bool		no_stream;
	bool		no_webhooks;
	bool		no_dashboard;
	char	  **webhook_allow;
	char	   *webhook_ca;
	int			webhook_concurrency;
	int			webhook_timeout;
	int			max_connections;
	int			max_connections_per_address;
	int			max_connections_per_member;
	int			max_requests_per_token;
	int			max_requests_per_address;
	int			max_header_size;
	int			max_body_size;
	int			heartbeat;
	int			pong_time;
	int			stall_time;
	int			request_time;
	int			drain_time;
	char	   *log_level;
	bool		check;
	bool		version;
	bool		help;
} Options;

typedef enum OptionKind
{
	OPTION_TEXT, OPTION_FLAG, OPTION_NUMBER, OPTION_LIST
} OptionKind;

typedef struct Option
{
	const char *name;
	OptionKind	kind;
	size_t		field;			/* in Options */
	const char *placeholder;
	const char *fallback;		/* NULL: none */
	int			least;
	int			most;
	bool		reload;			/* does SIGHUP change it? */
	const char *help;
} Option;

/* Ends with one that has no name. */
extern const Option option_table[];

extern Options options;

/*
 * Reads flags, then environment, then file; what was said first counts.  NULL, or
 * what is wrong, allocated.
 */
extern char *options_read(Options *into, int argc, char **argv);

/* Whether they fit together; NULL, or what is wrong, allocated. */
extern char *options_check(const Options *read);

/* Takes over what SIGHUP may change, and says in the log what it may not. */
extern void options_reload(Options *read);

extern void options_free(Options *read);
extern void options_help(FILE *out);

#endif
