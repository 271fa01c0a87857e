/*
 * main.c
 *		The gateway: start, once a second, signals, end.
 */
#include "admission.h"
#include "check.h"
#include "conninfo.h"
#include "database.h"
#include "filter.h"
#include "http.h"
#include "listen.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "option.h"
#include "organization.h"
#include "peer.h"
#include "publish.h"
#include "reader.h"
#include "rate.h"
#include "tls.h"
#include "webhook.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static Timer *second;
static int64_t drain_until = 0;
static int	exit_code = 0;
static int	argument_count;
static char **arguments;

static void fail(char *why, int code) __attribute__((noreturn));
static void check_configuration(void);
static void open_all(void);
static void tick(void *arg);
static void drain(void *arg);
static void reload(void *arg);
static void tell_systemd(const char *state);
static void check_database(void);

static void
fail(char *why, int code)
{
	fprintf(stderr, "activity-gateway: %s\n", why);
	exit(code);
}

int
main(int argc, char **argv)
{
	char	   *why;

	argument_count = argc;
	arguments = argv;
	why = options_read(&options, argc, argv);
	if (options.help || options.version)
	{
		if (options.help)
			options_help(stdout);
		else
			puts("activity-gateway " GATEWAY_VERSION);
		return 0;
	}
	if (why)
		fail(why, 2);
	check_configuration();
	log_level = log_level_of(options.log_level);

	/* What a client does to its socket is an error there, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	/* Memory of many small blocks is given back when they are gone. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	/* For the pauses between attempts, which no two gateways have alike. */
	srandom(getpid() ^ time(NULL));
	loop_open();
	if (options.check)
		check_database();
	else
	{
		open_all();
		printf("listening on %s\n", listener_url());
		fflush(stdout);
		log_line(LOG_INFO, "event=start version=%s url=%s", GATEWAY_VERSION, listener_url());
		tell_systemd("READY=1");
	}
	loop_run();
	log_line(LOG_INFO, "event=stop");
	return exit_code;
}

static void
check_configuration(void)
{
	char	   *why = options_check(&options);

	if (why == NULL)
		why = conninfo_check(options.database);
	if (why == NULL && options.read_database)
		why = conninfo_check(options.read_database);
	if (why == NULL && options.listen_database)
		why = conninfo_check(options.listen_database);
	if (why == NULL)
		why = tls_load(options.tls_certificate, options.tls_key);
	if (why == NULL && options.webhook_ca && access(options.webhook_ca, R_OK) != 0)
		why = "the file of option \"webhook-ca\" can't be read";
	if (why == NULL && options.files && access(options.files, R_OK | X_OK) != 0)
		why = "the folder of option \"files\" can't be read";
	if (why)
		fail(why, 2);
}

/* As many descriptors as there may be clients, and some for ourselves. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		limit.rlim_cur < (rlim_t) options.max_connections + 1000)
		log_line(LOG_WARNING, "event=limits problem=\"fewer descriptors than max-connections\" descriptors=%llu",
				 (unsigned long long) limit.rlim_cur);
}

static void
open_all(void)
{
	char	   *why;

	raise_limits();
	filters_open();
	organizations_open();
	admissions_open();
	if (!options.no_webhooks)
		webhook_open();
	database_open(options.database, options.database_connections);
	reader_open(options.read_database, options.database_connections);
	listen_open(options.listen_database ? options.listen_database : options.database);
	publish_open();
	second = timer_open(tick, NULL);
	timer_repeat(second, 1000);
	loop_signal(SIGTERM, drain, NULL);
	loop_signal(SIGINT, drain, NULL);
	loop_signal(SIGHUP, reload, NULL);
	why = listener_open(options.listen);
	if (why)
		fail(why, 1);
}

/* After many clients have come at once, or have left. */
static void
trim_memory(void)
{
	static size_t most_peers = 0;
	static int64_t queries = 0;
	bool		was_busy = metrics.queries - queries > 1000;

	if (peers_count() < most_peers / 2 || (was_busy && database_queue() == 0))
	{
		malloc_trim(0);
		most_peers = peers_count();
	}
	most_peers = Max(most_peers, peers_count());
	if (!was_busy || database_queue() == 0)
		queries = metrics.queries;
}

static void
tick(void *arg)
{
	peers_tick();
	rates_tick();
	filters_tick();
	organizations_tick();
	checks_tick();
	if (!options.no_webhooks)
		webhook_tick();

	trim_memory();
	if (drain_until == 0)
		return;
	if ((peers_count() == 0 && webhook_in_flight() == 0) || loop_now() >= drain_until)
	{
		if (webhook_in_flight() > 0)
			log_line(LOG_WARNING, "event=stop deliveries_in_flight=%d", webhook_in_flight());
		loop_stop();
	}
}

/* Clients of streams are sent to the gateway that comes after us. */
static void
send_away(Peer *peer)
{
	if (peer->ops == &client_ops && !peer->finishing)
		client_end(peer->owner, 4200, "the gateway is restarted");
}

static void
drain(void *arg)
{
	if (drain_until != 0)
	{
		loop_stop();			/* asked twice */
		return;
	}
	log_line(LOG_INFO, "event=drain connections=%zu deliveries_in_flight=%d", peers_count(),
			 webhook_in_flight());
	tell_systemd("STOPPING=1");
	drain_until = loop_now() + options.drain_time * INT64_C(1000);
	listener_close();
	http_drain();
	webhook_drain();
	peers_each(send_away);
	timer_repeat(second, 200);
}

static void
reload(void *arg)
{
	Options		fresh;
	char	   *why = options_read(&fresh, argument_count, arguments);

	if (why == NULL)
		why = options_check(&fresh);
	/* A pair that can't be used leaves the old one in use. */
	if (why == NULL)
		why = tls_load(fresh.tls_certificate, fresh.tls_key);
	if (why)
	{
		log_line(LOG_ERROR, "event=reload problem=%s", log_quote(why));
		free(why);
	}
	else
	{
		options_reload(&fresh);
		log_level = log_level_of(options.log_level);
		log_line(LOG_INFO, "event=reload state=done");
	}
	options_free(&fresh);
}

/* The protocol of sd_notify: a datagram. */
static void
tell_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	socklen_t	len;
	int			fd;

	if (path == NULL || strlen(path) >= sizeof(to.sun_path) || strchr("/@", *path) == NULL)
		return;
	strcpy(to.sun_path, path);
	len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &to, len) < 0)
		log_line(LOG_WARNING, "event=systemd problem=\"it could not be told\"");
	close(fd);
}

static void
checked(void *arg, const Answer *answer)
{
	if (answer->result)
		puts("the configuration is right, and the database answers");
	else
	{
		fprintf(stderr, "activity-gateway: %s\n", answer->message);
		exit_code = 1;
	}
	loop_stop();
}

static void
give_up(void *arg)
{
	fprintf(stderr, "activity-gateway: %s\n", *database_problem() ? database_problem() :
			"the database does not answer");
	exit_code = 1;
	loop_stop();
}

static void
ask_database(void)
{
	database_ask(PRIORITY_FIRST, "SELECT FROM activity.serve_check('{}', '{}')", 0, NULL,
				 checked, NULL);
}

/* --check: it can be reached, and the role may do what it must. */
static void
check_database(void)
{
	log_level = LOG_ERROR;
	database_on_up(ask_database);
	database_open(options.database, 1);
	timer_set(timer_open(give_up, NULL), 5000);
}
