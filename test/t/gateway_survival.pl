# What the gateway outlives: a database whose disk is full, a network that is cut, and
# two thousand clients that all come back at the same moment after it was killed.
use strict;
use warnings;

# Many sockets, which only a shell can ask for; before the modules take standard output.
BEGIN
{
	exec 'sh', '-c', 'ulimit -n $(ulimit -Hn) 2>/dev/null; MORE_SOCKETS=$(ulimit -n) exec "$@"', 'sh', $^X, (map { "-I$_" } @INC), $0
	  unless $ENV{MORE_SOCKETS};
}
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Run;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

my $dir = File::Temp->newdir;
chomp(my $compiler = `$ENV{PG_CONFIG} --cc`);
system_or_bail(split(' ', $compiler), '-shared', '-fPIC', '-o', "$dir/full_disk.so", 'test/t/full_disk.c', '-ldl');
my $node;
{
	local $ENV{LD_PRELOAD} = "$dir/full_disk.so";
	local $ENV{FULL_DISK} = "$dir/full";
	$node = gateway_node('survival', q{activity.webhook_ports = '1-65535'}, 'activity.allow_insecure_webhooks = on',
		'autovacuum = off');
}
sub sql { return $node->safe_psql('postgres', $_[0]) }

system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
	. " -keyout $dir/key -out $dir/cert 2>/dev/null") == 0 or die 'openssl'; # which the receiver wants
my $receiver = IPC::Run::start([ '/usr/bin/python3', 'test/gateway/receiver.py', "$dir" ]);
my ($http) = split ' ', poll_until('the receivers listen', sub { -e "$dir/ports" && slurp_file("$dir/ports") });
sub received { return map { decode_json($_)->[2] } -e "$dir/log" ? split(/\n/, slurp_file("$dir/log")) : () }
sql("SELECT activity.create_webhook('org', 'http://127.0.0.1:$http/200/ok', '{credit.*}')");

# A full disk: what commits is told and delivered, what does not is not; clients stay.
{
	my $gateway = Gateway->start($node, '--webhook-allow', '127.0.0.0/8');
	my $client = $gateway->websocket(secret => $gateway->secret('ann'), subscribe => { cursor => 'now', types => ['credit.*'] });
	$client->until_op('live');
	open(my $mark, '>', "$dir/full") or die;
	close $mark;

	# Rows go where there is room until there is none.
	my ($committed, $refused) = (0, 0);
	while ($refused < 5)
	{
		my $result = $node->psql('postgres', q{SELECT count(activity.record('org', 'credit.charge',
			jsonb_build_object('amount', 1, 'note', repeat(md5(n::text), 5)))) FROM generate_series(1, 2) n}, stderr => \my $error);
		if ($result == 0) { $committed += 2 }
		else { $refused++; $error =~ /No space left on device|53100/ or fail("refused otherwise: $error") }
	}
	note("$committed committed before it was full");
	cmp_ok($refused, '==', 5, 'nothing can be recorded');
	is($gateway->get('/metrics')->{status}, 200, 'the gateway answers');
	$client->send_bytes($client->frame(9, 'there?'));
	my $frame;
	my @seen;
	while (my ($opcode, $payload) = $client->next_frame)
	{
		last if $opcode == 10;
		push @seen, decode_json($payload) if $opcode == 1;
	}
	is($client->{closed}, 0, 'and keeps its clients');

	unlink "$dir/full" or die;
	poll_until('there is room again', sub {
		return $node->psql('postgres', q{SELECT activity.record('org', 'credit.charge', '{"amount": 2}')}) == 0 && ++$committed;
	});
	until (@seen && ($seen[-1]{event}{metadata}{amount} // $seen[-1]{event}{subject}{amount} // 0) == 2)
	{
		push @seen, $client->next(60);
		last if $seen[-1]{op} =~ /^(?:nothing|end|close)$/;
	}
	my %ids = map { $_->{event}{id} => 1 } grep { $_->{op} eq 'event' } @seen;
	is(scalar keys %ids, $committed, 'the client has seen what was committed');
	local $Gateway::patience = 180;
	poll_until('all is delivered', sub { my %sent = map { $_ => 1 } received(); return keys %sent == $committed });
	pass('and the receiver has got it');
	is(sql("SELECT count(*) FROM activity.verify('org')"), 0, 'the stream is whole');
	is($gateway->stop, 0, 'it stops');
	unlike($gateway->log, qr/Sanitizer|runtime error/, 'the sanitizers have found nothing');
}

# A network that is cut: a relay between gateway and database stops, then resets.
{
	my ($host, $port) = ($node->host, $node->port);
	my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
	my $relay = fork // die "fork: $!";
	relay($listener, "$host/.s.PGSQL.$port") if $relay == 0;
	my $through = 'host=127.0.0.1 port=' . $listener->sockport . ' dbname=postgres user=gateway sslmode=disable';
	my $gateway = Gateway->start($node, "--database=$through");
	my $client = $gateway->websocket(secret => $gateway->secret('bob'), subscribe => { cursor => 'now' });
	my $first = ($client->until_op('live'))[-1];
	my $position = (split /\./, $first->{cursor})[1];
	foreach my $cut ('STOP', 'HUP')
	{
		kill $cut, $relay;
		$gateway->record(10);
		is($gateway->get('/metrics')->{status}, 200, "$cut: the gateway answers");
		poll_until('it says so', sub { $gateway->get('/healthz')->{status} == 503 }) if $cut eq 'HUP';
		kill $_, $relay foreach 'CONT', 'USR1';
		my @positions = map { $client->next(60)->{position} // 'nothing' } 1 .. 10;
		is_deeply(\@positions, [ map { ++$position } 1 .. 10 ], "$cut: the client misses nothing");
		poll_until('it is healthy', sub { $gateway->get('/healthz')->{status} == 200 });
	}
	is($gateway->stop, 0, 'it stops');
	unlike($gateway->log, qr/Sanitizer|runtime error/, 'the sanitizers have found nothing');
	kill 'KILL', $relay;
	waitpid $relay, 0;
}

# All come back at the same moment.
{
	my $limit = $ENV{MORE_SOCKETS};
	my $number = $limit eq 'unlimited' || $limit > 2500 ? 2000 : int($limit * 0.8);
	my @options = ('--max-connections-per-address', 100000, '--max-connections-per-member', 100000, '--no-webhooks');
	my $gateway = Gateway->start($node, @options);
	my $secret = $gateway->secret('ann');
	my ($head) = split /\|/, sql("SELECT position FROM activity.stream_head('org')");
	my $epoch = (split /\./, sql("SELECT cursor FROM activity.stream_head('org')"))[0];
	my $port = $gateway->{port};
	is($gateway->stop('KILL'), -1, 'a gateway is killed');
	$gateway->record(3);
	$gateway = Gateway->start($node, @options, '--listen', "127.0.0.1:$port");
	my $before = $gateway->metric('heap_bytes');
	my $subscribe = encode_json({ op => 'subscribe', cursor => "$epoch.$head" });
	my $handshake = "GET /api/v1/organizations/org/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	  . "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer $secret\r\n\r\n"
	  . Gateway::WebSocket->frame(1, $subscribe);
	my @clients = map { $gateway->connect } 1 .. $number;
	syswrite $_, $handshake foreach @clients;
	my %seen;
	foreach my $socket (@clients)
	{
		my $told = Gateway::read_until($socket, qr/"op":"live"|^HTTP\/1\.1 [^1]/, 120);
		$seen{ join ',', $told =~ /"op":"event".*?"position":(\d+)/g }++;
	}
	is_deeply(\%seen, { join(',', $head + 1 .. $head + 3) => $number }, "each of $number clients goes on where it was");
	$gateway->record(1);
	my $got = grep { Gateway::read_until($_, qr/"op":"event"/, 120) =~ /"position":@{[ $head + 4 ]},/ } @clients;
	is($got, $number, 'and gets what comes next');
	my $each = ($gateway->metric('heap_bytes') - $before) / $number;
	cmp_ok($each, '<', 4096, 'for little memory') or diag("$each bytes each");
	close $_ foreach @clients;
	poll_until('they are gone', sub { $gateway->metric('connections') <= 1 });
	is($gateway->stop, 0, 'it stops');
	unlike($gateway->log, qr/Sanitizer|runtime error/, 'the sanitizers have found nothing');
}
$receiver->kill_kill;
$node->stop;
done_testing();

# Carries bytes between whoever connects and the socket of the server. HUP resets all
# connections and takes no new ones until USR1.
sub relay
{
	my ($listener, $server) = @_;
	my ($select, %other, $cut) = (IO::Select->new($listener));
	my $end = sub {
		my ($socket) = @_;
		foreach my $one (grep { defined } $socket, delete $other{$socket})
		{
			delete $other{$one};
			$select->remove($one);
			setsockopt($one, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $cut;
			close $one;
		}
	};
	my %sockets;
	local $SIG{HUP} = sub { $cut = 1 };
	local $SIG{USR1} = sub { $cut = 0 };
	local $SIG{PIPE} = 'IGNORE';
	while (1)
	{
		foreach my $ready ($select->can_read(0.05))
		{
			if ($ready == $listener)
			{
				my $client = $listener->accept or next;
				my $to = IO::Socket::UNIX->new($server);
				if ($cut || !$to)
				{
					setsockopt($client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
					close $client;
					next;
				}
				@other{ $client, $to } = ($to, $client);
				@sockets{ $client, $to } = ($client, $to);
				$select->add($client, $to);
			}
			elsif ($other{$ready})
			{
				my $data;
				$end->($ready) unless sysread($ready, $data, 65536) && syswrite($other{$ready}, $data);
			}
		}
		if ($cut)
		{
			$end->($_) foreach grep { $other{$_} } values %sockets;
			%sockets = ();
		}
	}
}
