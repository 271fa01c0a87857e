/*
 * unit.c
 *		What the gateway's small parts promise, as TAP.
 *
 * Which addresses a webhook may reach, how paths and cursors are read, what is UTF-8.
 */
#include "address.h"
#include "frame.h"
#include "map.h"
#include "url.h"
#include "utf8.h"

static int	count = 0;

static void
ok(bool good, const char *what, const char *detail)
{
	printf("%sok %d - %s %s\n", good ? "" : "not ", ++count, what, detail);
}

static void
test_addresses(void)
{
	static const char *const closed[] = {
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
		"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
		"2001:db8::1", "2001:10::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::", "3fff::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1", "4000::1", NULL
	};
	static const char *const open[] = {
		"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1",
		"192.167.1.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", NULL
	};
	static char *networks[] = {"10.1.0.0/16", "fd00::/8", "127.0.0.1", NULL};
	Address		address;
	Network		network;

	for (int i = 0; closed[i]; i++)
		ok(address_parse(closed[i], &address) && !address_is_public(&address), "closed:", closed[i]);
	for (int i = 0; open[i]; i++)
		ok(address_parse(open[i], &address) && address_is_public(&address), "open:", open[i]);
	ok(address_parse("10.1.255.255", &address) && address_is_in(&address, networks), "in a network", "");
	ok(address_parse("10.2.0.0", &address) && !address_is_in(&address, networks), "beside it", "");
	ok(address_parse("fd12::1", &address) && address_is_in(&address, networks), "in one of IPv6", "");
	ok(address_parse("127.0.0.2", &address) && !address_is_in(&address, networks), "one address", "");
	ok(!network_parse("10.0.0.0/33", &network) && !network_parse("10.0.0.0/", &network) &&
	   !network_parse("10.0.0/8", &network) && !network_parse("10.0.0.0/8x", &network) &&
	   !network_parse("", &network) && !network_parse("localhost", &network), "what is no network", "");
}

/* Whom limits count as one. */
static void
test_counted(void)
{
	static const struct
	{
		const char *one;
		const char *other;
		bool		alike;
	}			pairs[] = {
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		Address		one;
		Address		other;

		if (!address_parse(pairs[i].one, &one) || !address_parse(pairs[i].other, &other))
			abort();
		one = address_counted(&one);
		other = address_counted(&other);
		ok((memcmp(&one, &other, sizeof(one)) == 0) == pairs[i].alike, "counted:", pairs[i].other);
	}
}

static void
test_urls(void)
{
	static const char *const bad[] = {"", "*", "x", "/%", "/%4", "/%4x", "/%00", "/%ff", "/%c3", NULL};
	Url			url;
	const char *query = "a=1&b=x+y%21&&c&=d&e=%zz&f=%C3%A9";
	char	   *name;
	char	   *value;
	Buffer		all = {0};

	for (int i = 0; bad[i]; i++)
	{
		ok(!url_parse(bad[i], &url), "no path:", bad[i]);
		url_free(&url);
	}
	ok(url_parse("/a%2Fb//%C3%A9?x#y", &url) && url.count == 3 && strcmp(url.segments[0], "a/b") == 0 &&
	   strcmp(url.segments[1], "") == 0 && strcmp(url.segments[2], "\xc3\xa9") == 0 &&
	   strcmp(url.query, "x") == 0, "a path", "");
	url_free(&url);
	while (url_next_parameter(&query, &name, &value))
	{
		buffer_printf(&all, "[%s=%s]", name, value);
		free(name);
		free(value);
	}
	ok(strcmp(all.data, "[a=1][b=x y!][=][c=][=d][f=\xc3\xa9]") == 0, "a query:", all.data);
	buffer_free(&all);
}

static void
test_texts(void)
{
	static const char *const bad[] = {"", "1", "1.", ".1", "1.-1", "-1.1", "1.1x", " 1.1", "1 .1", "1.1 ", NULL};
	Place		place;
	Buffer		clean = {0};

	for (int i = 0; bad[i]; i++)
		ok(!place_parse(bad[i], &place), "no cursor:", bad[i]);
	ok(place_parse("2056219015.42", &place) && place.epoch == 2056219015 && place.position == 42, "a cursor", "");
	utf8_append_clean(&clean, "a\0b\xff\xe2\x82" "c\xe2\x82\xac\xe2", 11);
	ok(strcmp(clean.data, "a\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd" "c\xe2\x82\xac\xef\xbf\xbd") == 0, "cleaned", "");
	buffer_free(&clean);
	buffer_json(&clean, "\"\\\n\x01x");
	ok(strcmp(clean.data, "\"\\\"\\\\\\u000a\\u0001x\"") == 0, "a JSON string:", clean.data);
	buffer_free(&clean);
}

static void
test_map(void)
{
	Map		   *map = map_make();
	bool		good = true;

	for (intptr_t i = 1; i <= 1000; i++)
		map_put(map, (char *) &i, sizeof(i), (void *) i);
	for (intptr_t i = 1; i <= 1000; i += 2)
		map_remove(map, (char *) &i, sizeof(i));
	for (intptr_t i = 1; i <= 1000; i++)
		good = good && (intptr_t) map_get(map, (char *) &i, sizeof(i)) == (i % 2 ? 0 : i);
	ok(good && map_count(map) == 500, "a map", "");
	map_free(map);
}

int
main(void)
{
	test_addresses();
	test_counted();
	test_urls();
	test_texts();
	test_map();
	printf("1..%d\n", count);
	return 0;
}
