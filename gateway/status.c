/*
 * status.c
 *		How the gateway does: /healthz and /metrics.
 *
 * Healthy is a gateway that can do its work: the database can be reached for
 * queries and for messages, and it is not stopping.
 */
#include "status.h"

#include "answer.h"
#include "database.h"
#include "listen.h"
#include "listener.h"
#include "metrics.h"
#include "option.h"
#include "organization.h"
#include "reader.h"
#include "webhook.h"

#include <malloc.h>
#include <time.h>

void
status_health(Http *http)
{
	const char *why = http_is_draining() ? "stopping" :
		!database_is_up() ? "the database can't be reached" :
		!listen_is_up() ? "the database's messages can't be heard" : NULL;
	Buffer		body = {0};

	buffer_text(&body, "{\"status\":");
	buffer_json(&body, why ? why : "ok");
	buffer_text(&body, ",\"url\":");
	buffer_json(&body, options.public_url ? options.public_url : listener_url());
	buffer_printf(&body, ",\"database\":%s,\"listening\":%s", database_is_up() ? "true" : "false",
				  listen_is_up() ? "true" : "false");
	/* Without it the primary does everything, so it makes nobody ill. */
	if (reader_state())
	{
		buffer_text(&body, ",\"readDatabase\":");
		buffer_json(&body, reader_state());
		if (reader_lag() >= 0)
			buffer_printf(&body, ",\"readLag\":%.1f", reader_lag());
	}
	buffer_printf(&body, ",\"version\":\"%s\"}\n", GATEWAY_VERSION);
	answer_send(http, why ? 503 : 200, "application/json", "Cache-Control: no-store\r\n",
				body.data, body.len);
	buffer_free(&body);
}

static void
declare(Buffer *out, const char *name, const char *type, const char *help)
{
	buffer_printf(out, "# HELP activity_gateway_%s %s\n# TYPE activity_gateway_%s %s\n",
				  name, help, name, type);
}

static void
gauge(Buffer *out, const char *name, const char *help, double value)
{
	declare(out, name, "gauge", help);
	buffer_printf(out, "activity_gateway_%s %.15g\n", name, value);
}

static void
counter(Buffer *out, const char *name, const char *help, double value)
{
	declare(out, name, "counter", help);
	buffer_printf(out, "activity_gateway_%s %.15g\n", name, value);
}

static void
labelled(Buffer *out, const char *name, const char *label, const char *value,
		 int64_t number)
{
	buffer_printf(out, "activity_gateway_%s{%s=\"%s\"} %lld\n", name, label, value,
				  (long long) number);
}

static void
show_clients(Buffer *out)
{
	gauge(out, "connections", "Client connections.", metrics.connections);
	counter(out, "connections_total", "Client connections that were taken.", metrics.connections_total);
	counter(out, "connections_refused_total", "Client connections over a limit.", metrics.connections_refused);
	declare(out, "clients", "gauge", "Clients of streams.");
	labelled(out, "clients", "transport", "websocket", metrics.clients_websocket);
	labelled(out, "clients", "transport", "sse", metrics.clients_sse);
	counter(out, "clients_total", "Clients of streams that were admitted.", metrics.clients_total);
	gauge(out, "organizations", "Organizations that somebody listens to.", organizations_count());
	counter(out, "events_sent_total", "Event frames that were sent to clients.", metrics.events_sent);
	counter(out, "sent_bytes_total", "Bytes that were sent to clients.", metrics.bytes_sent);
	counter(out, "clients_stalled_total", "Connections that were cut because they took nothing.", metrics.closed_slow);
	counter(out, "clients_lost_total", "Clients that lost their secret, membership or tier.", metrics.closed_lost);
	counter(out, "resets_total", "Clients whose cursor could not be continued.", metrics.resets);
	declare(out, "http_responses_total", "counter", "Answers of HTTP by class of status.");
	for (int i = 1; i < 6; i++)
	{
		char		class[] = "0xx";

		class[0] += i;
		labelled(out, "http_responses_total", "status", class, metrics.requests[i]);
	}
}

static void
show_database(Buffer *out)
{
	gauge(out, "database_up", "Whether the database can be reached.", database_is_up());
	gauge(out, "database_listening", "Whether its messages are heard.", listen_is_up());
	gauge(out, "database_connections", "Connections to the database that are up.", database_up_count());
	gauge(out, "database_queue", "Queries that wait for a connection.", database_queue());
	counter(out, "database_queries_total", "Queries.", metrics.queries);
	if (reader_state())
	{
		gauge(out, "read_database_ready", "Whether the read database is asked.", reader_is_ready());
		gauge(out, "read_database_lag_seconds", "How far it is behind; -1 if that is not known.", reader_lag());
		gauge(out, "read_database_connections", "Connections to it that are up.", database_reader_up_count());
		counter(out, "read_database_queries_total", "Queries that it was asked.", metrics.reader_queries);
		counter(out, "read_database_fallbacks_total", "Those that the primary had to answer.", metrics.reader_fallbacks);
	}
	counter(out, "database_failures_total", "Queries that failed.", metrics.query_failures);
	counter(out, "database_losses_total", "Connections to the database that were lost.", metrics.database_losses);
	counter(out, "notifications_total", "Messages of the database.", metrics.notifications);
	counter(out, "live_reads_total", "Readings of an organization's newest events.", metrics.live_reads);
	counter(out, "replays_total", "Readings of the log for one client.", metrics.replays);
	counter(out, "replayed_events_total", "Events that were sent from these.", metrics.replayed_events);
	declare(out, "live_read_seconds", "summary", "From asking for new events to having sent them to everybody.");
	buffer_printf(out, "activity_gateway_live_read_seconds_sum %.6f\nactivity_gateway_live_read_seconds_count %lld\n",
				  metrics.lag_sum, (long long) metrics.lag_count);
}

static void
show_webhooks(Buffer *out)
{
	gauge(out, "deliveries_in_flight", "Deliveries that were claimed and are not reported.", webhook_in_flight());
	gauge(out, "reports_waiting", "Reports that wait for the database.", reports_waiting());
	counter(out, "claims_total", "Claims.", metrics.claims);
	counter(out, "deliveries_claimed_total", "Deliveries that were claimed.", metrics.claimed);
	counter(out, "deliveries_reported_total", "Deliveries that were reported.", metrics.reported);
	declare(out, "deliveries_total", "counter", "Attempts by what came of them.");
	for (int i = 0; i < OUTCOMES; i++)
		labelled(out, "deliveries_total", "outcome", outcome_names[i], metrics.outcomes[i]);
}

void
status_metrics(Http *http)
{
	Buffer		out = {0};
	struct timespec used;

	show_clients(&out);
	show_database(&out);
	show_webhooks(&out);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	declare(&out, "info", "gauge", "The gateway.");
	labelled(&out, "info", "version", GATEWAY_VERSION, 1);
	counter(&out, "cpu_seconds_total", "Processor time.", used.tv_sec + used.tv_nsec / 1e9);
	gauge(&out, "heap_bytes", "Memory that is in use.", (double) mallinfo2().uordblks);
	answer_send(http, 200, "text/plain; version=0.0.4; charset=utf-8",
				"Cache-Control: no-store\r\n", out.data, out.len);
	buffer_free(&out);
}
