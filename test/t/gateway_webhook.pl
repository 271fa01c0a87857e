# Webhooks go out, each once where nothing fails, to receivers that behave and to
# those that do not; what came of it is told apart; a gateway that is killed
# loses nothing, and two do not get into each other's way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

# The small parts, by themselves.
{
	my $dir = File::Temp->newdir;
	my $flags = '-std=gnu11 -D_GNU_SOURCE -DUSE_ASSERT_CHECKING -fsanitize=address,undefined -fno-sanitize-recover=undefined -Igateway';
	my $sources = join ' ', map { "gateway/$_.c" } qw(address buffer frame map url utf8);
	is(system("cc $flags -o $dir/unit test/gateway/unit.c $sources"), 0, 'the small parts build');
	my $told = `$dir/unit 2>&1`;
	is($?, 0, 'and run');
	is(join('', grep { /^not ok|Error/ } split /^/, $told), '', 'and do what they promise');
	cmp_ok(scalar(() = $told =~ /^ok/mg), '>', 80, 'all of it');
}

my $node = gateway_node('webhook', q{activity.webhook_ports = '1-65535'}, 'activity.allow_insecure_webhooks = on',
	'activity.webhook_concurrency = 100');
sub sql { return $node->safe_psql('postgres', $_[0]) }
my $dir = File::Temp->newdir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
	. " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $dir/key -out $dir/cert 2>/dev/null") == 0 or die 'openssl';
my $receiver = IPC::Run::start([ '/usr/bin/python3', 'test/gateway/receiver.py', "$dir" ]);
my ($http, $https, $garbage) = split ' ', poll_until('the receivers listen', sub { -e "$dir/ports" && slurp_file("$dir/ports") });
sub received { return grep { $_->[0] eq $_[0] } map { decode_json($_) } -e "$dir/log" ? split(/\n/, slurp_file("$dir/log")) : () }

my %endpoint;
sub endpoint
{
	my ($name, $url) = @_;
	$endpoint{$name} = sql("SELECT endpoint_id FROM activity.create_webhook('org', '$url', '{credit.*}')");
	return;
}
sub send_one { return sql(q{SELECT activity.record('org', 'credit.charge', '{"amount": 1}')}) }

# What came of the newest attempt: status, error, outcome of the delivery, body.
sub outcome
{
	my ($name) = @_;
	return poll_until("an attempt of $name", sub {
		my $row = sql("SELECT json_build_array(status_code, error, response_body) FROM activity.webhook_attempts"
			. " WHERE endpoint_id = '$endpoint{$name}' ORDER BY reported_at DESC LIMIT 1");
		return $row && decode_json($row);
	});
}

endpoint($_->[0], $_->[1]) foreach
  [ ok => "https://localhost:$https/200/ok" ], [ plain => "http://localhost:$http/200/plain" ],
  [ numeric => "https://127.0.0.1:$https/200/numeric" ],
  [ 410 => "http://localhost:$http/410/x" ], [ 503 => "http://localhost:$http/503/x" ],
  ( map { [ $_ => "http://localhost:$http/$_/x" ] } qw(redirect large dirty silent endless headers drip reset hangup cut garbage) ),
  [ closed => 'http://localhost:1/x' ], [ no_tls => "https://localhost:$garbage/x" ],
  [ name => 'https://no-such-name-of-a-host.net/x' ];
my $gateway = Gateway->start($node, '--webhook-ca', "$dir/cert", '--webhook-allow', '127.0.0.0/8', '--webhook-allow', '::1',
	'--webhook-timeout', 3);
my $id = send_one();
my @due = (
	# endpoint, status, the error's class, and what else is so
	[ 'ok', 200 ], [ 'plain', 200 ], [ 'numeric', 200 ], [ 410, 410 ], [ 503, 503 ], [ 'redirect', 302 ], [ 'large', 200 ], [ 'dirty', 200 ],
	[ 'endless', 200 ],
	[ 'silent', undef, 'timeout' ], [ 'headers', undef, 'protocol' ], [ 'drip', undef, 'timeout' ],
	[ 'reset', undef, 'reset' ], [ 'hangup', undef, 'reset' ], [ 'cut', undef, 'reset' ], [ 'garbage', undef, 'protocol' ],
	[ 'closed', undef, 'connect' ], [ 'no_tls', undef, 'tls' ], [ 'name', undef, 'name' ],
);
my %body;
foreach my $row (@due)
{
	my ($name, $status, $class) = @$row;
	my ($got, $error, $body) = @{ outcome($name) };
	$body{$name} = $body;
	is($got, $status, "$name: the status");
	is($error && ($error =~ /^(\w+): ./)[0], $class, "$name: the class of its error") or diag($error);
}
is(scalar(received('/200/ok')), 1, 'it is sent once');
is((received('/200/ok'))[0][2], $id, 'with its id');
is(decode_json((received('/200/ok'))[0][3])->{data}{id}, $id, 'and its body');
is(scalar(received('/200/redirected')), 0, 'a redirect is not followed');
is(length $body{large}, 16384, 'of a long answer the beginning is kept');
is($body{dirty}, "a\x{fffd}b\x{fffd}\x{fffd}c", 'what is no text is replaced');
is(length $body{endless}, 16384, 'an endless answer is read so far and no further');
my $delay = sql("SELECT extract(epoch FROM next_attempt_at - now()) FROM activity.webhook_deliveries WHERE endpoint_id = '$endpoint{503}'");
cmp_ok($delay, '>', 50, 'Retry-After is passed on');
is(sql("SELECT status FROM activity.webhook_endpoints WHERE endpoint_id = '$endpoint{410}'"), 'disabled', '410 disables');
sql("SELECT activity.delete_webhook(endpoint_id) FROM activity.webhook_endpoints WHERE url NOT LIKE '%/200/ok'");

# A connection is used again.
send_one() foreach 1 .. 20;
poll_until('they are sent', sub { received('/200/ok') == 21 });
my %connections = map { $_->[1] => 1 } received('/200/ok');
cmp_ok(scalar keys %connections, '<', 21, 'connections are kept alive');

# One that never answers holds up nobody.
endpoint('silent', "http://localhost:$http/silent/y");
send_one() foreach 1 .. 30;
poll_until('the others are sent', sub { received('/200/ok') == 51 });
cmp_ok(sql("SELECT count(*) FROM activity.webhook_deliveries WHERE endpoint_id = '$endpoint{silent}' AND status = 'sending'"),
	'>', 0, 'a receiver that never answers holds up nobody');
sql("SELECT activity.delete_webhook('$endpoint{silent}')");

# While the database is away nothing is lost.
{
	my $client = $gateway->websocket(secret => $gateway->secret('ann'), subscribe => { cursor => 'now', types => ['credit.*'] });
	$client->until_op('live');
	$node->restart;
	send_one() foreach 1 .. 5;
	poll_until('they are sent', sub { received('/200/ok') == 56 });
	is_deeply([ map { $client->next->{event}{eventType} // '' } 1 .. 5 ], [ ('credit.charge') x 5 ], 'nor is a client dropped');
	$node->stop('immediate');
	poll_until('it notices', sub { $gateway->get('/healthz')->{status} == 503 });
	$node->start;
	send_one() foreach 1 .. 5;
	poll_until('they are sent', sub { received('/200/ok') == 61 });
	pass('nothing is lost when the database crashes');
}

# Two of them, one of which is killed; what it held is sent again when its lease ends.
{
	my $second = Gateway->start($node, '--webhook-concurrency', 30, '--webhook-ca', "$dir/cert", '--webhook-allow', '127.0.0.0/8', '--webhook-allow', '::1');
	sql(q{SELECT count(activity.record('org', 'credit.charge', '{"amount": 1}')) FROM generate_series(1, 400)});
	poll_until('some are sent', sub { received('/200/ok') > 100 });
	is($second->stop('KILL'), -1, 'one is killed');
	my $count = sub { return sql("SELECT count(*) FROM activity.webhook_deliveries WHERE endpoint_id = '$endpoint{ok}' AND status $_[0]") };
	my $held = sub { return $count->("= 'sending'") };
	poll_until('the other one sends the rest', sub { $count->("<> 'delivered'") == $held->() });
	my %times;
	$times{ $_->[2] }++ foreach received('/200/ok');
	cmp_ok($held->(), '<=', 30, 'it held no more than it may');
	is(scalar(grep { $_ > 1 } values %times), 0, 'what two send is sent once');
}

# Nothing that is not public, where nobody allowed it, whatever the url was.
{
	is($gateway->stop, 0, 'it stops');
	is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'and the sanitizers have found nothing');
	my $before = received('/200/ok');
	endpoint('second', "https://127.0.0.1:$https/200/second");
	$gateway = Gateway->start($node, '--webhook-ca', "$dir/cert");
	send_one();
	foreach my $name ('ok', 'second')
	{
		my $error = poll_until('it is refused', sub {
			sql("SELECT error FROM activity.webhook_attempts WHERE endpoint_id = '$endpoint{$name}' AND error IS NOT NULL LIMIT 1") });
		like($error, qr/^address: .* is not a public address$/, "$name: an address that is not public");
	}
	is(scalar(received('/200/second')), 0, 'is not reached');
	is(scalar(received('/200/ok')), $before, 'by any name');
	$gateway->stop;

	# The system's certificates do not know this receiver.
	endpoint('third', "https://localhost:$https/200/third");
	$gateway = Gateway->start($node, '--webhook-allow', '127.0.0.0/8', '--webhook-allow', '::1');
	send_one();
	like(outcome('third')->[1], qr/^tls: /, 'a certificate that nobody vouches for');
	is($gateway->stop, 0, 'it stops');
}

# A receiver that is slow when the gateway is told to stop: it waits for it.
{
	sql('SELECT activity.delete_webhook(endpoint_id) FROM activity.webhook_endpoints');
	endpoint('drip', "http://localhost:$http/drip/z");
	$gateway = Gateway->start($node, '--webhook-allow', '127.0.0.0/8', '--webhook-allow', '::1', '--webhook-timeout', 2);
	send_one();
	poll_until('it is being sent', sub { received('/drip/z') == 1 });
	is($gateway->stop, 0, 'it stops');
	like(outcome('drip')->[1], qr/^timeout: /, 'and has reported before');
}
$receiver->kill_kill;

# HTTP/2, where it is offered.
{
	my $two = IPC::Run::start([ 'node', '-e', q{
		const fs = require('node:fs'), dir = process.argv[1];
		const server = require('node:http2').createSecureServer({ key: fs.readFileSync(dir + '/key'), cert: fs.readFileSync(dir + '/cert') });
		server.on('stream', (stream, fields) => {
			let body = '';
			stream.on('data', (d) => body += d).on('end', () => {
				fs.appendFileSync(dir + '/log2', JSON.stringify(JSON.parse(body).data.id) + '\n');
				stream.respond({ ':status': 200 }); stream.end('two');
			});
		});
		server.listen(0, '127.0.0.1', () => { fs.writeFileSync(dir + '/port.new', String(server.address().port)); fs.renameSync(dir + '/port.new', dir + '/port2'); });
	}, "$dir" ], '<', \'');
	my $port = poll_until('it listens', sub { -e "$dir/port2" && slurp_file("$dir/port2") });
	sql('SELECT activity.delete_webhook(endpoint_id) FROM activity.webhook_endpoints');
	endpoint('two', "https://localhost:$port/two");
	$gateway = Gateway->start($node, '--webhook-ca', "$dir/cert", '--webhook-allow', '127.0.0.0/8', '--webhook-allow', '::1');
	my @sent = map { send_one() } 1 .. 30;
	poll_until('they are sent', sub { -e "$dir/log2" && (() = slurp_file("$dir/log2") =~ /\n/g) == 30 });
	my @received = slurp_file("$dir/log2") =~ /"(.*?)"/g;
	is(join(' ', sort @received), join(' ', sort @sent), 'HTTP/2: each is sent once');
	is(outcome('two')->[2], 'two', 'and answered');
	is($gateway->stop, 0, 'it stops');
	is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'and the sanitizers have found nothing');
	$two->kill_kill;
}
done_testing();
