-- A webhook's url names a public https host, read alike by everybody, or is
-- refused.
\set ON_ERROR_STOP 1
SELECT plan(188);

-- What can be used.
SELECT is(_activity.webhook_url_problem(url), NULL, url) FROM (VALUES
	('https://example.com'),
	('https://example.com/'),
	('https://example.com/hook?a=b&c=%20d'),
	('HTTPS://Example.COM/Hook'),
	('https://example.com:443/'),
	('https://example.com:8443/'),
	('https://example.com?x=1'),
	('https://sub-domain.example.co.uk/a/b/c;d=e,f~(g)!*'':@/h'),
	('https://xn--bcher-kva.com/'),
	('https://1password.com/'),
	('https://a1.b2.c3'),
	('https://8.8.8.8/'),
	('https://93.184.216.34:8443/'),
	('https://[2606:4700:4700::1111]/'),
	('https://[2a00:1450:4001:80b::200e]:443/x'),
	('https://localhost.example.com/'),
	('https://internal.example.com/'),
	('https://127.0.0.1.nip.io/')) v (url);

-- What can't.
SELECT isnt(_activity.webhook_url_problem(url), NULL, to_json(url)::text) FROM (VALUES
	-- no https, no host
	(''), ('example.com'), ('//example.com'), ('ftp://example.com'), ('javascript:alert(1)'),
	('http://example.com/'), ('https:/example.com'), ('https:example.com'), ('https://'),
	('https:///path'), ('https://?q'), ('https://:443/'), (' https://example.com'),
	('https ://example.com'), ('file:///etc/passwd'), ('gopher://example.com'),
	-- users
	('https://user@example.com/'), ('https://user:pw@example.com/'), ('https://@example.com/'),
	('https://example.com@10.0.0.1/'), ('https://example.com:443@10.0.0.1/'), ('https://a@b@c.example/'),
	-- what two parsers read in two ways
	('https://example.com\@10.0.0.1/'), ('https:\\example.com'), ('https://example.com\.internal/'),
	(E'https://exam\tple.com/'), (E'https://example.com/\n'), (E'https://example.com\r\nHost: x'),
	('https://exa mple.com/'), ('https://example.com/a b'), ('https://bücher.example/'),
	('https://example.com/ü'), ('https://ⓔxample.com'), ('https://127。0。0。1/'), ('https://example%2ecom/'),
	('https://%31%32%37.0.0.1/'), ('https://example.com%00.internal/'), ('https://example.com/%'),
	('https://example.com/%zz'), ('https://example.com#f'), ('https://example.com/#f'), ('https://example.com#@10.0.0.1/'),
	('https://[::ffff:127.0.0.1'), ('https://[::1]x/'), ('https://example.com]/'), ('https://[example.com]/'),
	('https://exam|ple.com/'), ('https://{example}.com/'), ('https://example.com/"'), ('https://<example.com>/'),
	-- ports
	('https://example.com:/'), ('https://example.com:0/'), ('https://example.com:22/'), ('https://example.com:80/'),
	('https://example.com:65536/'), ('https://example.com:4294967739/'), ('https://example.com:0443/'),
	('https://example.com:443x/'), ('https://example.com:-1/'), ('https://example.com:443:443/'), ('https://[2606:4700::1]:25/'),
	-- names
	('https://localhost/'), ('https://LOCALHOST/'), ('https://foo.localhost/'), ('https://printer.local/'),
	('https://intranet/'), ('https://db/'), ('https://metadata.google.internal/computeMetadata/v1/'),
	('https://ip-10-0-0-1.ec2.internal/'), ('https://api.svc.cluster.local/'), ('https://nas.home.arpa/'),
	('https://router.lan/'), ('https://metadata.goog/'), ('https://a.metadata.goog/'), ('https://api.default.svc/'),
	('https://web.service.consul/'), ('https://host.docker/'), ('https://a.test/'), ('https://a.EXAMPLE/'), ('https://a.invalid/'), ('https://a.alt/'), ('https://x.corp/'), ('https://x.onion/'), ('https://example.com./'), ('https://.example.com/'),
	('https://example..com/'), ('https://-a.example.com/'), ('https://a-.example.com/'), ('https://a_b.example.com/'),
	('https://' || repeat('a', 64) || '.com/'), ('https://' || repeat('a.', 130) || 'com/'),
	('https://example.com/' || repeat('a', 2048)),
	-- IPv4, also as inet_aton reads it
	('https://127.0.0.1/'), ('https://127.1/'), ('https://127.0.1/'), ('https://2130706433/'), ('https://0x7f000001/'),
	('https://0x7F.0.0.1/'), ('https://017700000001/'), ('https://0177.0.0.1/'), ('https://0/'), ('https://0.0.0.0/'),
	('https://127.0.0.1./'), ('https://127.0.0.01/'), ('https://8.8.8.08/'), ('https://0x08080808/'), ('https://134744072/'),
	('https://1.2.3.4.5/'), ('https://1.2.3/'), ('https://256.1.1.1/'), ('https://8.8.8.8./'), ('https://1.2.3.4x.5/'),
	('https://10.1.2.3/'), ('https://172.16.0.1/'), ('https://172.31.255.255/'), ('https://192.168.1.1/'),
	('https://169.254.169.254/latest/meta-data/'), ('https://100.100.100.200/'), ('https://100.64.0.1/'),
	('https://168.63.129.16/'), ('https://192.0.0.192/'), ('https://192.0.2.1/'), ('https://198.51.100.7/'),
	('https://203.0.113.7/'), ('https://198.18.0.1/'), ('https://224.0.0.1/'), ('https://239.255.255.250/'),
	('https://240.0.0.1/'), ('https://255.255.255.255/'), ('https://192.88.99.1/'),
	-- IPv6
	('https://[::]/'), ('https://[::1]/'), ('https://[0:0:0:0:0:0:0:1]/'), ('https://[::ffff:10.0.0.1]/'),
	('https://[::ffff:8.8.8.8]/'), ('https://[::127.0.0.1]/'), ('https://[64:ff9b::a00:1]/'), ('https://[64:ff9b:1::1]/'),
	('https://[2002:a00:1::1]/'), ('https://[2001:0:a00:1::]/'), ('https://[2001:db8::1]/'), ('https://[3fff::1]/'),
	('https://[fc00::1]/'), ('https://[fd00:ec2::254]/'), ('https://[fe80::1]/'), ('https://[fe80::1%25eth0]/'),
	('https://[fec0::1]/'), ('https://[ff02::1]/'), ('https://[100::1]/'), ('https://[5f00::1]/'),
	('https://[::1%lo]/'), ('https://[]/'), ('https://[2606:4700::1::1]/')) v (url);

-- What the settings open.
SET activity.webhook_ports = '443 9000-9010';
SELECT is(_activity.webhook_url_problem('https://example.com:9005/'), NULL, 'a port within a range');
SELECT isnt(_activity.webhook_url_problem('https://example.com:9011/'), NULL, 'a port beyond it');
SELECT isnt(_activity.webhook_url_problem('https://example.com:8443/'), NULL, 'a port no longer listed');
SELECT throws_ok($$SET activity.webhook_ports = '443, x'$$, '22023', NULL, 'ports are numbers');
SELECT throws_ok($$SET activity.webhook_ports = '9-3'$$, '22023', NULL, 'ranges are in order');
SET activity.allow_insecure_webhooks = on;
SELECT is(_activity.webhook_url_problem(url), NULL, url || ' in development') FROM (VALUES
	('http://localhost:3000/hook'), ('http://127.0.0.1:3000/'), ('http://[::1]:3000/'),
	('http://app.localhost/'), ('https://localhost:3000/')) v (url);
SELECT isnt(_activity.webhook_url_problem(url), NULL, url || ' not even then') FROM (VALUES
	('http://example.com/'), ('http://10.0.0.1/'), ('https://192.168.1.1/'), ('http://0.0.0.0/'),
	('http://[::ffff:127.0.0.1]/'), ('http://127.1/'), ('http://localhost@10.0.0.1/')) v (url);
SELECT * FROM finish();
