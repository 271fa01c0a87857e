# What the gateway is told: by flags, environment and file; every mistake is named; help,
# manual page and docs list the same; and clients that others have written work.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = program();
my $dir = File::Temp->newdir;
sub run_it
{
	my (@arguments) = @_;
	my ($out, $err);
	IPC::Run::run([ $program, @arguments ], '<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(30));
	return ($? >> 8, $out, $err);
}

# One table.
my (undef, $help) = run_it('--help');
my %option = $help =~ /^  --([\w-]+).*\n      (.*?)(?: \([^()]*\))?$/mg;
cmp_ok(scalar keys %option, '>', 30, '--help lists the options');
my $docs = slurp_file('docs/gateway.md');
my $manual = slurp_file('gateway/activity-gateway.1') =~ s/\\-/-/gr =~ s/\\\(aq/'/gr =~ s/\\f[BIR]//gr;
foreach my $name (sort keys %option)
{
	my ($words) = $option{$name} =~ /^([^(]*)/;
	like($docs, qr/^\| `--\Q$name\E[ `].*\Q$words\E/m, "docs/gateway.md has --$name");
	like($manual, qr/^--\Q$name\E\b.*\n\Q$words\E/m, "and so has the manual page");
}
like((run_it('--version'))[1], qr/^activity-gateway \d+\.\d+\.\d+$/, '--version');

# Mistakes.
my $database = 'dbname=x';
append_to_file("$dir/bad-name", "log-level = info\nlog-levle = debug\n");
append_to_file("$dir/twice", "log-level = info\nlog-level = debug\n");
append_to_file("$dir/no-line", "hello\n");
append_to_file("$dir/no-key", 'x');
foreach my $row (
	[ qr/"database" is missing/ ],
	[ qr/no option "--nonsense"/, '--nonsense' ],
	[ qr/"x" is no option/, 'x' ],
	[ qr/wants a value/, '--database' ],
	[ qr/a number from 1 to 100, not "0"/, '--database-connections', 0 ],
	[ qr/a number .* not "5x"/, '--database-connections=5x' ],
	[ qr/a number .* not "99999999999999999999"/, '--max-connections', '99999999999999999999' ],
	[ qr/on or off, not "maybe"/, '--no-stream=maybe' ],
	[ qr/"log-level" is debug/, '--log-level', 'loud' ],
	[ qr/an address and a port/, '--listen', '8080' ],
	[ qr/a network such as/, '--webhook-allow', '10.0.0.0/33' ],
	[ qr/begins with http/, '--public-url', 'ftp://x' ],
	[ qr/come together/, '--tls-certificate', "$dir/no-key" ],
	[ qr/could not use the certificate/, '--tls-certificate', "$dir/no-key", '--tls-key', "$dir/no-key" ],
	[ qr/"webhook-ca" can't be read/, '--webhook-ca', "$dir/none" ],
	[ qr/"files" can't be read/, '--files', "$dir/none" ],
	[ qr/could not open ".*none"/, '--config', "$dir/none" ],
	[ qr/bad-name:2: there is no option "log-levle"/, '--config', "$dir/bad-name" ],
	[ qr/twice:2: .*comes twice/, '--config', "$dir/twice" ],
	[ qr/no-line:1: a line is/, '--config', "$dir/no-line" ],
	[ qr/invalid connection option "dbnam"/, '--database', 'dbnam=x' ])
{
	my ($due, @arguments) = @$row;
	my ($code, undef, $err) = run_it((@arguments && $arguments[0] ne '--database' ? ('--database', $database) : ()), @arguments);
	is($code, 2, "refused: @arguments");
	like($err, $due, 'with the reason');
}

# --check, and who may serve.
my $node = gateway_node('options');
my $conninfo = Gateway::conninfo($node);
is((run_it('--check', '--database', $conninfo))[0], 0, '--check');
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
my ($code, undef, $err) = run_it('--check', '--database', $node->connstr('postgres') . ' user=nobody');
is($code, 1, 'a role without the right');
like($err, qr/permission denied/, 'is told so');
is((run_it('--check', '--database', 'host=127.0.0.1 port=1 dbname=x'))[0], 1, 'a database that is not there');
is((run_it('--check', '--database', 'host=no-such-host.invalid dbname=x'))[0], 1, 'a host that is not there');

# Flags win over the environment, and that over the file; SIGHUP reads again.
{
	append_to_file("$dir/conf", "# a comment\n\ndatabase = $conninfo\nlisten = 127.0.0.1:0\nlog-level = error\nmax-body-size = 10\npublic-url = http://file\n"
		. "webhook-allow = 10.0.0.0/8 fd00::/8\n");
	local $ENV{ACTIVITY_GATEWAY_PUBLIC_URL} = 'http://environment';
	local $ENV{ACTIVITY_GATEWAY_LOG_LEVEL} = 'warning';
	my $gateway = Gateway->start($node, '--config', "$dir/conf", '--log-level', 'info');
	like($gateway->get('/healthz')->{body}, qr{"url":"http://environment"}, 'the environment wins over the file');
	like($gateway->log, qr/level=info/, 'a flag over the environment');
	my $post = sub { return $gateway->raw("POST /api/v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n" . 'x' x 20) };
	like($post->(), qr/^HTTP\/1.1 413/, 'the file counts');
	append_to_file("$dir/conf", "nonsense\n");
	kill 'HUP', $gateway->{pid};
	poll_until('it complains', sub { $gateway->log =~ /conf:9: a line is/ });
	like($post->(), qr/^HTTP\/1.1 413/, 'a mistake changes nothing');
	my $text = slurp_file("$dir/conf") =~ s/nonsense\n//r =~ s/max-body-size = 10/max-body-size = 100\nno-stream = on/r;
	open my $out, '>', "$dir/conf" or die;
	print $out $text;
	close $out;
	kill 'HUP', $gateway->{pid};
	poll_until('it has read', sub { $gateway->log =~ /event=reload state=done/ });
	like($post->(), qr/^HTTP\/1.1 404/, 'SIGHUP reads again');
	like($gateway->log, qr/option=no-stream problem="needs a restart"/, 'and says what it can\'t change');
	is($gateway->stop('INT'), 0, 'SIGINT stops it');
	is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'the sanitizers have found nothing');
}
{
	# What is installed is the program without sanitizers.
	my $gateway = Gateway->start($node, 'plain');
	is($gateway->stop, 0, 'the program that is installed runs');
	my ($used) = run_it('--database', $conninfo, '--listen', '192.0.2.1:1');
	is($used, 1, 'an address that is not ours');
}

# Clients that others have written.
{
	my $gateway = Gateway->start($node);
	my $secret = $gateway->secret('ann');
	my $url = "127.0.0.1:$gateway->{port}/api/v1/organizations/org/stream";
	my %client = (
		'python3-websockets' => [ '/usr/bin/python3', '-c', q{
import asyncio, sys, websockets
async def main():
    headers = 'additional_headers' if int(websockets.__version__.split('.')[0]) >= 14 else 'extra_headers'
    async with websockets.connect(sys.argv[1], **{headers: {'Authorization': 'Bearer ' + sys.argv[2]}}, subprotocols=['activity.v1']) as s:
        assert s.subprotocol == 'activity.v1'
        await s.send('{"op":"subscribe","cursor":"earliest"}')
        await s.ping()
        for n in range(4):
            print(await s.recv())
asyncio.run(main())
}, "ws://$url", $secret ],
		'python3-autobahn' => [ '/usr/bin/python3', '-c', q{
import asyncio, sys
from autobahn.asyncio.websocket import WebSocketClientProtocol, WebSocketClientFactory
class P(WebSocketClientProtocol):
    count = 0
    def onOpen(self): self.sendMessage(b'{"op":"subscribe","cursor":"earliest"}')
    def onMessage(self, payload, binary):
        print(payload.decode()); P.count += 1
        if P.count == 4: self.sendClose(1000)
    def onClose(self, clean, code, reason):
        assert clean, (code, reason)
        loop.stop()
loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop)
f = WebSocketClientFactory(sys.argv[1], protocols=['activity.v1', 'activity.auth.' + sys.argv[2]]); f.protocol = P
host, port = sys.argv[1].split('/')[2].split(':')
loop.run_until_complete(loop.create_connection(f, host, int(port))); loop.run_forever()
}, "ws://$url", $secret ],
		'ws of npm' => [ 'node', '-e', q{
module.paths.push('/usr/share/nodejs');
const WebSocket = require('ws');
const [url, secret] = process.argv.slice(1);
const s = new WebSocket(url, ['activity.v1', 'activity.auth.' + secret]);
let n = 0;
s.on('open', () => s.send('{"op":"subscribe","cursor":"earliest"}'));
s.on('message', (m) => { console.log(String(m)); if (++n === 4) s.close(1000); });
}, "ws://$url", $secret ],
		'curl' => [ 'curl', '-sN', '--max-time', 2, '-H', "Authorization: Bearer $secret", '-H', 'Accept: text/event-stream', "http://$url?cursor=earliest" ],
	);
	# Node.js has undici's WebSocket built in, from version 20.10 on.
	if (IPC::Run::run([ 'node', '--experimental-websocket', '-e', '0' ], '<', \'', '&>', \my $ignored))
	{
		$client{'undici\'s WebSocket'} = [ 'node', '--experimental-websocket', '-e', q{
const [url, secret] = process.argv.slice(1);
const s = new WebSocket(url, ['activity.v1', 'activity.auth.' + secret]);
let n = 0;
s.onopen = () => s.send('{"op":"subscribe","cursor":"earliest"}');
s.onmessage = (m) => { console.log(m.data); if (++n === 4) s.close(1000); };
}, "ws://$url", $secret ];
	}
	foreach my $name (sort keys %client)
	{
		my ($out, $said);
		IPC::Run::run($client{$name}, '<', \'', '>', \$out, '2>', \$said, IPC::Run::timeout(30));
		is(join(' ', $out =~ /\{"op":"(\w+)"/g), 'hello event event live', "$name reads the stream") or diag($said);
	}
	is($gateway->stop, 0, 'it stops');
}
done_testing();
