/*
 * transfer.c
 *		The requests to receivers, by libcurl in our loop.
 *
 * A handshake of TLS takes a millisecond of work, so only some begin in each turn.
 * A receiver's answer is bounded in bytes and in time; the status counts once enough
 * of the body has come.
 */
#include "webhook.h"

#include "log.h"
#include "loop.h"
#include "option.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define STARTS_MOST 16			/* in a turn */
#define KEPT_MOST (16 * 1024)	/* of a body, for the database */
#define BODY_MOST (64 * 1024)
#define HEADERS_MOST (64 * 1024)
#define CONNECT_TIME 10

static CURLM *multi;
static Timer *curl_timer;		/* when libcurl wants to be called */
static Timer *start_timer;
static Delivery *waiting;		/* to be started */
static Delivery **waiting_end = &waiting;

static void start_some(void *arg);
static void begin(Delivery *delivery);
static void finish_some(void);
static void finish(Delivery *delivery, CURLcode code);
static Outcome class_of(CURLcode code);

static void
on_timer(void *arg)
{
	int			running;

	curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_some();
}

static int
set_timer(CURLM *which, long milliseconds, void *arg)
{
	if (milliseconds < 0)
		timer_stop(curl_timer);
	else
		timer_set(curl_timer, milliseconds);
	return 0;
}

/* A socket of libcurl's that is watched. */
typedef struct Watched
{
	curl_socket_t fd;
	Watch	   *watch;
} Watched;

static void
on_socket(void *arg, int events)
{
	Watched    *watched = arg;
	int			flags = 0;
	int			running;

	if (events & WATCH_READ)
		flags |= CURL_CSELECT_IN;
	if (events & WATCH_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(multi, watched->fd, flags, &running);
	finish_some();
}

static void
free_watched(void *arg)
{
	free(arg);
}

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	Watched    *watched = known;

	if (what == CURL_POLL_REMOVE)
	{
		if (watched)
			watch_close(watched->watch, free_watched);
		curl_multi_assign(multi, fd, NULL);
		return 0;
	}
	if (watched == NULL)
	{
		watched = allocate(sizeof(Watched));
		watched->fd = fd;
		watched->watch = watch_open(fd, on_socket, watched);
		curl_multi_assign(multi, fd, watched);
	}
	watch_set(watched->watch, (what & CURL_POLL_IN ? WATCH_READ : 0) |
			  (what & CURL_POLL_OUT ? WATCH_WRITE : 0));
	return 0;
}

void
transfers_open(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_timer = timer_open(on_timer, NULL);
	start_timer = timer_open(start_some, NULL);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) options.webhook_concurrency);
}

void
transfers_close(void)
{
	curl_multi_cleanup(multi);
	curl_global_cleanup();
}

void
transfer_start(Delivery *delivery)
{
	delivery->next = NULL;
	*waiting_end = delivery;
	waiting_end = &delivery->next;
	timer_set(start_timer, 0);
}

static void
start_some(void *arg)
{
	for (int i = 0; waiting && i < STARTS_MOST; i++)
	{
		Delivery   *delivery = waiting;

		waiting = delivery->next;
		if (waiting == NULL)
			waiting_end = &waiting;
		begin(delivery);
	}
	if (waiting)
		timer_set(start_timer, 1);
}

/* The address that libcurl is about to connect to, whatever the name was. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	Delivery   *delivery = arg;
	Address		address;
	int			fd;

	if (!address_of(&to->addr, &address) || !delivery_may_reach(&address))
	{
		delivery->refused = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd < 0)
		delivery->own_failure = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	Delivery   *delivery = arg;
	size_t		len = size * count;

	if (delivery->answer.len < KEPT_MOST)
		buffer_append(&delivery->answer, data, Min(len, KEPT_MOST - delivery->answer.len));
	delivery->answer_bytes += len;
	if (delivery->answer_bytes <= BODY_MOST)
		return len;
	delivery->enough = true;
	return 0;
}

static size_t
take_header(char *data, size_t size, size_t count, void *arg)
{
	Delivery   *delivery = arg;
	size_t		len = size * count;

	delivery->header_bytes += len;
	if (delivery->header_bytes <= HEADERS_MOST)
		return len;
	delivery->too_much = true;
	return 0;
}

static void
begin(Delivery *delivery)
{
	CURL	   *easy = curl_easy_init();
	long		left = options.webhook_timeout * 1000L - (loop_now() - delivery->began);

	delivery->easy = easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, delivery);
	curl_easy_setopt(easy, CURLOPT_URL, delivery->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(delivery->body));
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, delivery->body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->fields);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "activity-gateway/" GATEWAY_VERSION);
	curl_easy_setopt(easy, CURLOPT_RESOLVE, delivery->resolved);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, delivery);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, delivery);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, delivery);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, Max(left, 1L));
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long) CONNECT_TIME);
	if (options.webhook_ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, options.webhook_ca);
	/* Only without a folder libcurl keeps the certificates that it has read. */
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (curl_multi_add_handle(multi, easy) != CURLM_OK)
	{
		delivery->own_failure = true;
		finish(delivery, CURLE_FAILED_INIT);
	}
}

static void
finish_some(void)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURLcode	code = message->data.result;
		char	   *private;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		finish((Delivery *) private, code);
	}
}

static void
finish(Delivery *delivery, CURLcode code)
{
	CURL	   *easy = delivery->easy;
	struct curl_header *retry;
	long		status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME, &delivery->duration);
	if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &retry) == CURLHE_OK)
		delivery->retry_after = copy_bytes(retry->value, Min(strlen(retry->value), 100));
	curl_multi_remove_handle(multi, easy);
	curl_easy_cleanup(easy);
	delivery->easy = NULL;

	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && delivery->enough))
	{
		delivery->status = status;
		if (status >= 200 && status < 300)
			delivery_end(delivery, OUTCOME_DELIVERED, NULL);
		else
			delivery_end(delivery, OUTCOME_REFUSED, NULL);
	}
	else if (delivery->own_failure)
		delivery_end(delivery, OUTCOME_OWN, "%s", curl_easy_strerror(code));
	else if (delivery->refused)
		delivery_end(delivery, OUTCOME_ADDRESS, "%s is not a public address", delivery->host);
	else if (delivery->too_much)
		delivery_end(delivery, OUTCOME_PROTOCOL, "the answer has too many header fields");
	else
		delivery_end(delivery, class_of(code), "%s", curl_easy_strerror(code));
}

static Outcome
class_of(CURLcode code)
{
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
			return OUTCOME_NAME;
		case CURLE_COULDNT_CONNECT:
			return OUTCOME_CONNECT;
		case CURLE_OPERATION_TIMEDOUT:
			return OUTCOME_TIMEOUT;
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
			return OUTCOME_TLS;
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
			return OUTCOME_RESET;
		case CURLE_OUT_OF_MEMORY:
		case CURLE_FAILED_INIT:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_ENGINE_NOTFOUND:
			return OUTCOME_OWN;
		default:
			return OUTCOME_PROTOCOL;
	}
}
