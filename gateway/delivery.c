/*
 * delivery.c
 *		One attempt: where it goes, whether it may go there, what came of it.
 */
#include "webhook.h"

#include "log.h"
#include "loop.h"
#include "option.h"

#include <stdarg.h>

static bool split_url(Delivery *delivery);
static void resolved(void *arg, const Address *addresses, int count);

bool
delivery_may_reach(const Address *address)
{
	return address_is_public(address) || address_is_in(address, options.webhook_allow);
}

void
delivery_begin(Delivery *delivery)
{
	Address		address;

	delivery->began = loop_now();
	if (!split_url(delivery))
		delivery_end(delivery, OUTCOME_PROTOCOL, "the url can't be used");
	else if (address_parse(delivery->host, &address))
	{
		if (delivery_may_reach(&address))
			transfer_start(delivery);
		else
			delivery_end(delivery, OUTCOME_ADDRESS, "%s is not a public address", delivery->host);
	}
	else
		delivery->wait = name_resolve(delivery->host, resolved, delivery);
}

static bool
split_url(Delivery *delivery)
{
	CURLU	   *url = curl_url();
	char	   *host = NULL;
	char	   *port = NULL;
	bool		good = curl_url_set(url, CURLUPART_URL, delivery->url, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;

	if (good)
	{
		size_t		len = strlen(host);
		bool		brackets = len > 1 && host[0] == '[' && host[len - 1] == ']';

		delivery->host = copy_bytes(host + brackets, len - 2 * brackets);
		delivery->port = copy_text(port);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return good;
}

/* libcurl is given the addresses that may be reached, and asks nobody. */
static void
resolved(void *arg, const Address *addresses, int count)
{
	Delivery   *delivery = arg;
	Buffer		entry = {0};
	char		text[ADDRESS_TEXT_SIZE];
	int			good = 0;

	delivery->wait = NULL;
	if (count == 0)
	{
		delivery_end(delivery, OUTCOME_NAME, "%s can't be resolved", delivery->host);
		return;
	}
	buffer_printf(&entry, "+%s:%s:", delivery->host, delivery->port);
	for (int i = 0; i < count; i++)
		if (delivery_may_reach(&addresses[i]))
			buffer_printf(&entry, "%s%s", good++ ? "," : "", address_text(&addresses[i], text));
	if (good == 0)
		delivery_end(delivery, OUTCOME_ADDRESS, "%s of %s is not a public address",
					 address_text(&addresses[0], text), delivery->host);
	else
	{
		delivery->resolved = curl_slist_append(NULL, entry.data);
		transfer_start(delivery);
	}
	buffer_free(&entry);
}

/* What came of it: an error's text begins with its class. */
void
delivery_end(Delivery *delivery, Outcome outcome, const char *format,...)
{
	metrics.outcomes[outcome]++;
	delivery->outcome = outcome;
	if (delivery->duration == 0)
		delivery->duration = (loop_now() - delivery->began) / 1000.0;
	if (format)
	{
		Buffer		error = {0};
		char		words[512];
		va_list		args;

		va_start(args, format);
		vsnprintf(words, sizeof(words), format, args);
		va_end(args);
		buffer_printf(&error, "%s: %s", outcome_names[outcome], words);
		delivery->error = error.data;
	}
	log_line(LOG_DEBUG, "event=delivery id=%s attempt=%s status=%d outcome=%s duration=%.3f",
			 delivery->id, delivery->attempt, delivery->status, outcome_names[outcome],
			 delivery->duration);
	report(delivery);
}
