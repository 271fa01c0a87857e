# The HTTP API through the gateway: answers come as activity.http() made them, and
# tokens and the dashboard's session open the stream.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use Gateway;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $node = gateway_node('api');
my $gateway = Gateway->start($node);
sub sql { return $node->safe_psql('postgres', $_[0]) }
my $base = '/api/v1/organizations/org';
my ($id, $token) = split /\|/, sql(q{SELECT * FROM activity.create_token('org', 'ann', '{read,record,stream}')});

# A request with a body.
sub ask
{
	my ($method, $path, $body, @fields) = @_;
	my $answer = $gateway->raw("$method $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
		. join('', map { "$_\r\n" } @fields) . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
	my ($head, $content) = split /\r\n\r\n/, $answer, 2;
	return ($head =~ m{^HTTP/1\.1 (\d+)}, $head, $content);
}

{
	my ($status, $head, $body) = ask('POST', "$base/activity", '{"eventType": "credit.charge", "metadata": {"amount": 5, "note": "h\u00e9"}}', "Authorization: Bearer $token");
	is($status, 201, 'an event is recorded');
	my $event = decode_json($body);
	is_deeply([ @{$event}{qw(eventType actorUserId)} ], [ 'credit.charge', 'ann' ], 'and told');
	like($head, qr{^Location: $base/activity/$event->{id}\r$}mi, 'with its address');
	my $page = $gateway->get("$base/activity?limit=1&eventType=credit.*", "Authorization: Bearer $token");
	is_deeply(decode_json($page->{body})->{items}, [$event], 'a page has it');
	like($page->{head}, qr/^Content-Type: application\/json\r$/m, 'as JSON');
	is($gateway->get("/$base/activity?limit=1", "Authorization: Bearer $token")->{status}, 200, 'also with a slash too many');
	my ($bad, undef, $problem) = ask('POST', "$base/activity", '{', "Authorization: Bearer $token");
	is($bad . ' ' . decode_json($problem)->{code}, '400 bad_json', 'a problem is a problem');
	my ($none, $allow) = ask('DELETE', "$base/activity", '');
	is($none, 405, 'a method that there is not');
	like($allow, qr/^Allow: GET, HEAD, OPTIONS, POST\r$/mi, 'and those that there are');
	my $headed = $gateway->raw("HEAD $base/activity HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n");
	like($headed, qr/^HTTP\/1\.1 200 .*Content-Length: [1-9].*\r\n\r\n$/s, 'HEAD is GET without the body');
	my $lines = $gateway->raw("HEAD $base/activity/verify?progress=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n");
	like($lines, qr/^HTTP\/1\.1 200 (?!.*Content-Length).*\r\n\r\n$/s, 'which has no length where GET would have none');
	my (undef, $methods) = ask('OPTIONS', "$base/activity", '', 'Origin: http://x');
	like($methods, qr/^Allow: GET, HEAD, OPTIONS, POST\r$/mi, 'OPTIONS that is no preflight tells the methods');
	my $unknown = $gateway->get("$base/activity", 'Authorization: Bearer act:a.b.c');
	is($unknown->{status}, 401, 'not with any token');
	like($unknown->{head}, qr/^WWW-Authenticate: Bearer\r$/mi, 'which is asked for');
}

# A session: from the link to the stream.
my ($code) = sql(q{SELECT activity.dashboard_link('org', 'ann')}) =~ m{/#/enter/(.*)$};
my ($status, $head) = ask('POST', '/api/v1/session', encode_json({ code => $code }));
is($status, 201, 'a code makes a session');
my ($cookie) = $head =~ /^Set-Cookie: (activity_session=[\w-]+); .*HttpOnly; SameSite=Strict\r$/mi;
is($gateway->get("$base/activity", "Cookie: $cookie")->{status}, 200, 'which reads');
is((ask('DELETE', '/api/v1/session', '', "Cookie: $cookie"))[0], 403, 'and writes for our own page only');

sub listen_with { return $gateway->websocket(fields => [@_], subscribe => { cursor => 'now' }) }
is(listen_with("Cookie: $cookie", 'Origin: http://evil.example')->{status}, 401, 'a foreign page opens no stream');
is(listen_with("Cookie: $cookie", 'Origin: http://evil.example/http://x')->{status}, 401, 'whatever it is called');
my $browser = listen_with("Cookie: $cookie", 'Origin: http://x');
is($browser->{status}, 101, 'the own page does');
my $events = $gateway->sse(fields => ["Cookie: $cookie"]);
is($events->{status}, 200, 'by SSE, too');
my $service = $gateway->websocket(secret => $token, subscribe => { cursor => 'now' });
is($service->{status}, 101, 'and so does a token');
$_->until_op('live') for $browser, $events, $service;
$gateway->record(1);
is(($_->until_op('event'))[-1]{event}{eventType}, 'credit.charge', 'what happens is told') for $browser, $events, $service;

sql("SELECT activity.revoke_token('$id')");
is(($service->until_op('close'))[-1]{code}, 4003, 'who is revoked is cut off');
is((ask('DELETE', '/api/v1/session', '', "Cookie: $cookie", 'X-Activity-Request: 1'))[0], 204, 'the session ends');
is(($browser->until_op('close'))[-1]{code}, 4003, 'and its stream');
unlike($gateway->log, qr/\Q$token\E|\Q$cookie\E/, 'no secret is in the log');
$gateway->stop;

# How often somebody may ask.
$gateway = Gateway->start($node, '--max-requests-per-token', 5);
my (undef, $one) = split /\|/, sql(q{SELECT * FROM activity.create_token('org', 'ann')});
my (undef, $two) = split /\|/, sql(q{SELECT * FROM activity.create_token('org', 'bob')});
sub statuses
{
	my ($token, $times) = @_;
	my $request = "GET /api/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n";
	my $answers = $gateway->raw("$request\r\n" x ($times - 1) . "${request}Connection: close\r\n\r\n");
	return ($answers, $answers =~ m{HTTP/1\.1 (\d+) }g);
}
my ($answers, @got) = statuses($one, 30);
cmp_ok(scalar(grep { $_ == 429 } @got), '>', 10, 'a token that asks too often is told so');
cmp_ok(scalar(grep { $_ == 200 } @got), '>=', 5, 'after as many as it may');
is(scalar(@got), 30, 'each time');
like($answers, qr/HTTP\/1\.1 429 .*?\r\nRetry-After: \d.*?"code":"too_many_requests"/s, 'and when to ask again');
is((statuses($two, 1))[1], 200, 'another one is not hindered');
poll_until('it may ask again', sub { (statuses($one, 1))[1] == 200 });
$gateway->stop;
$gateway = Gateway->start($node, '--max-requests-per-address', 5, '--max-requests-per-token', 0);
(undef, @got) = statuses($_ % 2 ? $one : $two, 15) for 1, 2;
cmp_ok(scalar(grep { $_ == 429 } @got), '>', 5, 'an address, whatever token it has');
is($gateway->get('/healthz')->{status}, 200, 'its health is told nevertheless');
$gateway->stop;
done_testing();
