# HTTP/1.1 as RFC 9112 says it, by raw bytes: each row is a request, the section that
# rules it, and the answer that is due.  Then what the gateway tells about itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = gateway_node('http');
my $folder = File::Temp->newdir;
append_to_file("$folder/index.html", '<p>hello');
append_to_file("$folder/large.js", 'x' x 3_000_000);
append_to_file("$folder/.hidden", 'no');
mkdir "$folder/sub";
append_to_file("$folder/sub/a b.txt", 'spaces');
symlink '/etc/passwd', "$folder/link.txt";
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION activity.http(method text, path text, query text, headers jsonb, body text)
	RETURNS TABLE (status int, headers jsonb, body text) LANGUAGE sql VOLATILE AS $$
		SELECT CASE WHEN $2 LIKE '%/fail' THEN 1 / (length($2) - length($2)) ELSE 200 END,
			jsonb_build_object('content-type', 'application/json', 'x-one', 'two', 'connection', 'evil', 'x-bad', E'a\r\nb: c'),
			jsonb_build_object('method', $1, 'path', $2, 'query', $3, 'headers', $4, 'body', $5)::text
	$$;
	GRANT EXECUTE ON FUNCTION activity.http(text, text, text, jsonb, text) TO gateway;
	GRANT USAGE ON SCHEMA activity TO gateway;
});
my $gateway = Gateway->start($node, '--files', "$folder", '--max-header-size', 4096, '--max-body-size', 1000,
	'--request-time', 3, '--cors-origin', 'https://app.example');

# 200 means that /healthz answered; a list that each of pipelined requests did.
my $get = "GET /healthz HTTP/1.1\r\n";
my $ok = "Host: x\r\n\r\n";
my $post = "POST /api/v1/echo HTTP/1.1\r\nHost: x\r\n";
my $upgrade = "GET /api/v1/organizations/org/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
my $key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
my $version = "Sec-WebSocket-Version: 13\r\n";
my @table = (
	# section, name, bytes, statuses in order
	[ '3', 'a plain request', $get . $ok, 200 ],
	[ '3', 'two in one packet', "$get$ok" x 2, 200, 200 ],
	[ '2.2', 'an empty line before the request', "\r\n" . $get . $ok, 200 ],
	[ '2.2', 'a bare CR in a value', "${get}Host: x\r\nA: b\rc\r\n\r\n", 400 ],
	[ '2.2', 'a bare CR as end of line', "${get}Host: x\rA: b\r\n\r\n", 400 ],
	[ '2.2', 'white space before the first field', "${get} Host: x\r\n\r\n", 400 ],
	[ '3', 'no version', "GET /healthz\r\n\r\n", 505 ],
	[ '3', 'two spaces, which a server may take as one', "GET  /healthz HTTP/1.1\r\n$ok", 200 ],
	[ '3', 'a tab', "GET\t/healthz HTTP/1.1\r\n$ok", 400 ],
	[ '3.1', 'a method in lower case', "get /healthz HTTP/1.1\r\n$ok", 400 ],
	[ '3.1', 'an unknown method', "BREW /healthz HTTP/1.1\r\n$ok", 400 ],
	[ '3.1', 'a method that is not allowed', "PUT /healthz HTTP/1.1\r\nContent-Length: 0\r\n$ok", 405 ],
	[ '3.2', 'no Host', "$get\r\n", 400 ],
	[ '3.2', 'an empty Host', "${get}Host:\r\n\r\n", 200 ],
	[ '3.2', 'two Hosts', "${get}Host: x\r\nHost: x\r\n\r\n", 400 ],
	[ '3.2', 'a Host that is none', "${get}Host: a b\r\n\r\n", 400 ],
	[ '3.2', 'a Host with a slash', "${get}Host: a/b\r\n\r\n", 400 ],
	[ '3.2', 'HTTP/1.0 without Host', "GET /healthz HTTP/1.0\r\n\r\n", 200 ],
	[ '3.2', 'the absolute form', "GET http://x/healthz HTTP/1.1\r\n$ok", 200 ],
	[ '3.2', 'CONNECT', "CONNECT x:1 HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'the asterisk form', "OPTIONS * HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', '8 bits in the target', "GET /\xff HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'an escape that is none', "GET /%zz HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'an escape that is cut off', "GET /%a HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'an escaped NUL', "GET /%00 HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'escapes that are not UTF-8', "GET /%c3%28 HTTP/1.1\r\n$ok", 400 ],
	[ '3.2', 'a target that is too long', 'GET /' . 'a' x 9000 . " HTTP/1.1\r\n$ok", 414 ],
	[ '3.2', 'too many segments', 'GET ' . '/a' x 40 . " HTTP/1.1\r\n$ok", 400 ],
	[ '2.3', 'HTTP/2.0', "GET /healthz HTTP/2.0\r\n$ok", 505 ],
	[ '2.3', 'HTTP/0.9', "GET /healthz HTTP/0.9\r\n$ok", 505 ],
	[ '2.3', 'HTTP/1.2', "GET /healthz HTTP/1.2\r\n$ok", 505 ],
	[ '2.3', 'HTTP/1.10', "GET /healthz HTTP/1.10\r\n$ok", 505 ],
	[ '2.3', 'a version in lower case', "GET /healthz http/1.1\r\n$ok", 400 ],
	[ '2.3', 'the preface of HTTP/2', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 ],
	[ '5.1', 'white space before the colon', "${get}Host : x\r\n\r\n", 400 ],
	[ '5.1', 'Content-Length with white space before the colon', "${post}Content-Length : 3\r\n\r\nabc", 400 ],
	[ '5.1', 'a field without a colon', "${get}Host: x\r\nabc\r\n\r\n", 400 ],
	[ '5.1', 'a field without a name', "${get}Host: x\r\n: b\r\n\r\n", 400 ],
	[ '5.1', 'a name that is no token', "${get}Host: x\r\nA(b): c\r\n\r\n", 400 ],
	[ '5.5', 'NUL in a value', "${get}Host: x\r\nA: b\0c\r\n\r\n", 400 ],
	[ '5.5', 'a control character in a value', "${get}Host: x\r\nA: b\x01c\r\n\r\n", 400 ],
	[ '5.2', 'obs-fold', "${get}Host: x\r\nA: b\r\n c\r\n\r\n", '200|400' ], # a space to older llhttp, refused by newer; both may be
	[ '5', 'fields that are too large', "${get}Host: x\r\n" . 'A: ' . 'b' x 5000 . "\r\n\r\n", 431 ],
	[ '5', 'too many fields', "${get}Host: x\r\n" . "A: b\r\n" x 200 . "\r\n", 431 ],
	[ '6.1', 'chunked', "${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200 ],
	[ '6.1', 'chunked in capitals', "${post}Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200 ],
	[ '6.1', 'both lengths', "${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'both lengths, the other way round', "${post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'an encoding that is not chunked', "${post}Transfer-Encoding: gzip\r\n\r\nabc", 400 ],
	[ '6.1', 'gzip, chunked', "${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501 ],
	[ '6.1', 'chunked, gzip', "${post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'chunked twice', "${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'xchunked', "${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'chunked with something behind', "${post}Transfer-Encoding: chunked x\r\n\r\n0\r\n\r\n", 400 ],
	[ '6.1', 'chunked on HTTP/1.0', "POST /api/v1/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 ],
	[ '6.3', 'two lengths', "${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 ],
	[ '6.3', 'two lengths that are the same', "${post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400 ],
	[ '6.3', 'a list of lengths', "${post}Content-Length: 3, 3\r\n\r\nabc", 400 ],
	[ '6.2', 'a length with a sign', "${post}Content-Length: +3\r\n\r\nabc", 400 ],
	[ '6.2', 'a negative length', "${post}Content-Length: -3\r\n\r\nabc", 400 ],
	[ '6.2', 'a length in hex', "${post}Content-Length: 0x3\r\n\r\nabc", 400 ],
	[ '6.2', 'an empty length', "${post}Content-Length:\r\n\r\nabc", 400 ],
	[ '6.2', 'a length of 2^64', "${post}Content-Length: 18446744073709551616\r\n\r\n", 400 ],
	[ '6.2', 'a length over the limit', "${post}Content-Length: 5000\r\n\r\n", 413 ],
	[ '6.3', 'no body', "${post}\r\n", 200 ],
	[ '7.1', 'a chunk that is too large in all', "${post}Transfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n%s\r\n", 600, 'a' x 600) x 2 . "0\r\n\r\n", 413 ],
	[ '7.1', 'a chunk without a size', "${post}Transfer-Encoding: chunked\r\n\r\n\r\n", 400 ],
	[ '7.1', 'a size that is no hex', "${post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400 ],
	[ '7.1', 'a size with a sign', "${post}Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400 ],
	[ '7.1', 'a size of 2^64', "${post}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", 400 ],
	[ '7.1', 'a chunk longer than its size', "${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400 ],
	[ '7.1', 'no CRLF behind a chunk', "${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n", 400 ],
	[ '7.1', 'white space behind a size', "${post}Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400 ],
	[ '7.1.1', 'a chunk extension', "${post}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", 200 ],
	[ '7.1.1', 'chunk extensions without end', "${post}Transfer-Encoding: chunked\r\n\r\n3;" . 'a' x 200_000, 413 ],
	[ '7.1.2', 'a trailer', "${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nHost: y\r\n\r\n", 200 ],
	[ '7.1.2', 'a trailer without end', "${post}Transfer-Encoding: chunked\r\n\r\n0\r\nA: " . 'a' x 200_000, 413 ],
	[ '9.3', 'Connection: close', "${get}Host: x\r\nConnection: close\r\n\r\n$get$ok", 200 ],
	[ '9.3', 'HTTP/1.0 ends', "GET /healthz HTTP/1.0\r\n\r\n$get$ok", 200 ],
	[ '9.3', 'HTTP/1.0 with keep-alive', "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n$get$ok", 200, 200 ],
	[ '9.3.2', 'pipelining behind an answer that waits', $post . "Content-Length: 3\r\n\r\nabc" . ($get . $ok) x 3, 200, 200, 200, 200 ],
	[ '9.3.2', 'a bad one behind a good one', $get . $ok . "BAD\r\n\r\n", 200, 400 ],
	[ '9110 10.1.1', 'Expect', "${post}Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", 100, 200 ],
	[ '9110 10.1.1', 'Expect without a body', "${get}Host: x\r\nExpect: 100-continue\r\n\r\n", 200 ],
	[ '9110 10.1.1', 'an unknown expectation', "${get}Host: x\r\nExpect: tea\r\n\r\n", 417 ],
	[ '9110 7.8', 'another protocol', "${get}Host: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 200 ],
	[ '9110 7.8', 'another request behind a declined upgrade', "${get}Host: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" . $get . $ok, 200, 200 ],
	[ '9110 7.8', 'another protocol, with a body', "${post}Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc" . $get . $ok, 200, 200 ],
	[ '9110 9.3.2', 'HEAD', "HEAD /healthz HTTP/1.1\r\n${ok}" . $get . $ok, 200, 200 ],
	[ '6455 4.2.1', 'an old version', $upgrade . $key . "Sec-WebSocket-Version: 8\r\n\r\n", 426 ],
	[ '6455 4.2.1', 'no version', $upgrade . "$key\r\n", 426 ],
	[ '6455 4.2.1', 'no key', $upgrade . "$version\r\n", 400 ],
	[ '6455 4.2.1', 'two keys', $upgrade . $key . $key . "$version\r\n", 400 ],
	[ '6455 4.2.1', 'a short key', $upgrade . "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n$version\r\n", 400 ],
	[ '6455 4.2.1', 'a key that is no base64', $upgrade . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n$version\r\n", 400 ],
	[ '6455 4.2.1', 'a POST', ($upgrade =~ s/^GET/POST/r) . $key . "$version\r\n", 400 ],
	[ '6455 4.2.1', 'a body', $upgrade . $key . $version . "Content-Length: 3\r\n\r\nabc", 400 ],
	[ '6455 4.2.1', 'HTTP/1.0', ($upgrade =~ s/1\.1\r/1.0\r/r) . $key . "$version\r\n", 426 ],
	[ '6455 4.2.1', 'no Connection: Upgrade', ($upgrade =~ s/Connection: Upgrade\r\n//r) . $key . "$version\r\n", 426 ],
	[ '6455 4.2.2', 'no secret', $upgrade . $key . "$version\r\n", 401 ],
	[ '6455 4.2.2', 'another request behind one that was refused', $upgrade . $key . "$version\r\n" . $get . $ok, 401, 200 ],
);

# The statuses that come; a request whose connection stays open is ended by a last one.
foreach my $row (@table)
{
	my ($section, $name, $bytes, @due) = @$row;
	my $answer = $gateway->raw($bytes, undef, 0.15 + 0.02 * @due);
	my @got = $answer =~ m{HTTP/1\.1 (\d+) }g;
	like("@got", qr/^(?:@due)$/, "$section: $name") or diag($answer);
}

# Byte by byte it is the same.
{
	my $socket = $gateway->connect;
	syswrite $socket, $_ foreach split //, "${post}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n";
	my $answer = Gateway::read_until($socket, qr/\}$/);
	like($answer, qr/"body": "abc"/, 'a request that comes byte by byte');
	unlike($answer, qr/"t":/, 'its trailer is no header field');
}

# The API: what goes to the database and comes back.
{
	my $answer = $gateway->raw("POST /api/v1/a%20b?x=%20y HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nB: \xe9\r\nContent-Length: 4\r\nConnection: close\r\n\r\nh\xc3\xa9y");
	my $parsed = Gateway::parse($answer);
	my $told = decode_json($parsed->{body});
	is($parsed->{status}, 200);
	is_deeply([ @{$told}{qw(method path query)} ], [ 'POST', '/api/v1/a%20b', 'x=%20y' ], 'method, path and query go as they came');
	is($told->{headers}{a}, '1, 2', 'fields of one name are joined');
	is($told->{headers}{b}, "\x{fffd}", 'bytes that are no UTF-8 are replaced');
	like($parsed->{head}, qr/^x-one: two\r$/m, 'the answer\'s fields come back');
	unlike($parsed->{head}, qr/evil|x-bad|^b: c/m, 'but none that would break the connection');
	is($gateway->get('/api/v1/fail')->{status}, 500, 'an error of the database');
	unlike($gateway->get('/api/v1/fail')->{body}, qr/division|SELECT/, 'is not told to everybody');
	is(Gateway::parse($gateway->raw("${post}Connection: close\r\nContent-Length: 1\r\n\r\n\xff"))->{status}, 400, 'a body that is not UTF-8');
	is(Gateway::parse($gateway->raw("${post}Connection: close\r\nContent-Length: 3\r\n\r\na\0b"))->{status}, 400, 'a body with NUL');
}

# Files.
is($gateway->get('/')->{body}, '<p>hello', 'the index');
like($gateway->get('/')->{head}, qr/Content-Security-Policy: .*frame-ancestors 'none'/, 'with its policy');
is(length $gateway->get('/large.js')->{body}, 3_000_000, 'a large file');
is($gateway->get('/sub/a%20b.txt')->{body}, 'spaces', 'a name with a space');
my ($etag) = $gateway->get('/large.js')->{head} =~ /^ETag: (.*)\r$/m;
is($gateway->get('/large.js', "If-None-Match: $etag")->{status}, 304, 'one that is known');
is($gateway->get($_)->{status}, 404, "not $_") foreach '/none', '/.hidden', '/link.txt', '/sub', '/../etc/passwd',
  '/%2e%2e/etc/passwd', '/sub/..%2fsub', '//etc/passwd', '/sub%2fa%20b.txt', '/index.html/x';
{
	my $head = $gateway->raw("HEAD /large.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	like($head, qr/Content-Length: 3000000\r\n.*\r\n\r\n$/s, 'HEAD has the length and no body');
	like($gateway->raw("HEAD /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n"), qr/^HTTP\/1\.1 400 .*\r\n\r\n$/s, 'nor has one that is refused');
	# Many who ask and don't read: what waits for them is bounded.
	my $before = $gateway->metric('heap_bytes');
	my @lazy = map { my $s = $gateway->connect; syswrite $s, "GET /large.js HTTP/1.1\r\nHost: x\r\n\r\n" x 5; $s } 1 .. 20;
	cmp_ok($gateway->metric('heap_bytes') - $before, '<', 20e6, '20 who do not read cost no more than their pieces');
	my $whole = Gateway::read_until($lazy[3], 15_000_000, 20) . Gateway::read_until($lazy[3], undef, 0.5);
	is(length($whole =~ s/HTTP.*?\r\n\r\n//gsr), 15_000_000, 'and get all of it when they do') ;
}

# Pages of other origins.
like($gateway->get('/healthz')->{head}, qr/^Vary: Origin\r$/m, 'what an origin changes is told to caches, whoever asks first');
like($gateway->raw("OPTIONS /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: DELETE\r\n\r\n"),
	qr/^HTTP\/1\.1 204 .*^Access-Control-Allow-Methods: .*DELETE/ms, 'a preflight is answered');
like($gateway->get('/healthz', 'Origin: https://app.example')->{head}, qr/^Access-Control-Allow-Origin: https:\/\/app\.example\r$/m, 'an origin that may');
unlike($gateway->get('/healthz', 'Origin: https://evil.example')->{head}, qr/Allow-Origin/, 'one that may not');

# A slow one is sent away.
{
	my $slow = $gateway->connect;
	syswrite $slow, 'GET /healthz HT';
	like(Gateway::read_until($slow, undef, 10), qr/^HTTP\/1\.1 408 /, 'a request that does not end');
	my $silent = $gateway->connect;
	is(Gateway::read_until($silent, undef, 10), '', 'nor may one that does not begin');
}

# What it tells about itself.
{
	my $health = $gateway->get('/healthz');
	is(decode_json($health->{body})->{status}, 'ok', 'it is healthy');
	my $metrics = $gateway->get('/metrics')->{body};
	my $file = File::Temp->new;
	print $file $metrics;
	close $file;
	is(scalar `promtool check metrics < $file 2>&1`, '', 'promtool likes the metrics');
	my $problem = $gateway->get('/nothing/there');
	like($problem->{head}, qr/^Content-Type: application\/problem\+json\r$/m, 'errors are problem+json');
	is(ref decode_json($problem->{body}), 'HASH', 'an object');
	$node->stop('fast');
	poll_until('it notices', sub { $gateway->get('/healthz')->{status} == 503 });
	like($gateway->get('/api/v1/echo')->{head}, qr/^HTTP\/1.1 503 .*\r\nRetry-After: \d/s, '503 while the database is away');
	$node->start;
	poll_until('it is back', sub { $gateway->get('/healthz')->{status} == 200 });
	pass('and healthy again');
}
unlike($gateway->log, qr/wss_|secret=/, 'no secret is in the log');
is($gateway->stop, 0, 'it stops in order');
is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'and the sanitizers have found nothing');
done_testing();
