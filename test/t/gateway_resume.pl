# Clients that are cut at random while 16 writers write, a gateway that is killed and a
# database that is restarted and fails over: every client sees every position once and in
# order, after repetitions are taken out, over WebSocket and over SSE. Slow ones cost nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use IO::Select;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket ();
use Test::More;
use Time::HiRes 'time';

my $seed = $ENV{GATEWAY_SEED} // int(rand 1_000_000);
srand $seed;
note("seed $seed");
my $node = gateway_node('resume', 'max_connections = 60', 'wal_level = replica', 'max_wal_senders = 4');
sub sql { return $node->safe_psql('postgres', $_[0]) }
my $gateway = Gateway->start($node, '--max-connections-per-member', 1000);
my $secret = $gateway->secret('ann');
my $script = File::Temp->new;
print $script "SELECT activity.record('org', CASE WHEN random() < 0.2 THEN 'order.created' ELSE 'credit.charge' END::text, '{\"id\": \"x\", \"amount\": 1}');\n";
close $script;
sub writers
{
	my ($seconds) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', 16, '-T', $seconds, '-R', 400, '-f', "$script", '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \my $out, '2>', \my $err);
}

# A client remembers what it has handled; each connection of it must go on in order.
my $wrong = 0;
sub complain { my ($what) = @_; $wrong++ < 10 and diag($what); return }

sub open_reader
{
	my ($reader) = @_;
	my $filter = $reader->{types};
	$reader->{client} = eval {
		$reader->{sse}
		  ? $gateway->sse(secret => $secret, fields => [ defined $reader->{cursor} ? "Last-Event-ID: $reader->{cursor}" : () ],
			query => '?cursor=earliest' . ($filter ? "&types=$filter" : ''))
		  : $gateway->websocket(secret => $secret);
	};
	return if !$reader->{client} || ($reader->{client}{status} // 0) !~ /^(?:101|200)$/;
	$reader->{client}->subscribe(cursor => $reader->{cursor} // 'earliest', $filter ? (types => [$filter]) : ()) unless $reader->{sse};
	@{$reader}{qw(open last)} = (1, undef);
	$reader->{cuts}++;
	return;
}

# Frames that are whole, by their text: decoding each would take longer than all else.
sub frames_of
{
	my ($reader) = @_;
	my $client = $reader->{client};
	my @texts;
	if ($reader->{sse})
	{
		push @texts, $1 while $client->{buffer} =~ s/^(.*?)\n\n//s;
		return map { /^data: (.*)/m } @texts;
	}
	while ($client->{buffer} =~ /^(.)(.)/s)
	{
		my ($opcode, $length, $at) = (ord($1) & 15, ord($2), 2);
		if ($length == 126)
		{
			last if length $client->{buffer} < 4;
			($length, $at) = (unpack('x2n', $client->{buffer}), 4);
		}
		last if length $client->{buffer} < $at + $length;
		push @texts, substr($client->{buffer}, $at, $length) if $opcode == 1;
		substr $client->{buffer}, 0, $at + $length, '';
	}
	return @texts;
}

sub handle
{
	my ($reader, $text) = @_;
	if ($text =~ /^\{"op":"event","cursor":"([\d.]+)","position":(\d+),"prev":(\d+)/)
	{
		my ($cursor, $position, $prev) = ($1, $2, $3);
		complain("$reader->{name}: $position after $reader->{last}") if defined $reader->{last} && $position <= $reader->{last};
		complain("$reader->{name}: $position says prev $prev, not $reader->{last}")
		  if !$reader->{types} && defined $reader->{last} && $prev != $reader->{last};
		$reader->{last} = $position;
		$reader->{seen}{$position}++;
		# Sometimes the process dies between handling an event and writing it down.
		$reader->{cursor} = $cursor unless rand() < 0.05;
	}
	elsif ($text =~ /^\{"op":"(?:head|live)","cursor":"([\d.]+)"/) { $reader->{cursor} = $1 if !$reader->{types} || rand() < 0.5 }
	elsif ($text =~ /"op":"reset"/) { complain("$reader->{name}: $text") }
	return;
}

sub cut
{
	my ($reader) = @_;
	setsockopt $reader->{client}{socket}, Socket::SOL_SOCKET, Socket::SO_LINGER, pack('ii', 1, 0) if rand() < 0.5;
	close $reader->{client}{socket};
	$reader->{open} = 0;
	return;
}

my @readers;
foreach my $n (1 .. 24)
{
	push @readers, { name => ($n % 2 ? 'SSE ' : 'WebSocket ') . $n, sse => $n % 2, seen => {}, cuts => 0,
		types => $n % 4 >= 2 ? 'order.*' : undef };
}

# Reads for so long, or until everybody has what is due.
sub run_readers
{
	my ($seconds, $cuts, $done) = @_;
	my $until = time + $seconds;
	while (time < $until && !($done && $done->()))
	{
		open_reader($_) foreach grep { !$_->{open} } @readers;
		my %by = map { fileno($_->{client}{socket}) => $_ } grep { $_->{open} } @readers;
		my $select = IO::Select->new(map { $_->{client}{socket} } values %by);
		foreach my $socket ($select->can_read(0.05))
		{
			my $reader = $by{ fileno $socket };
			my $read = sysread $socket, $reader->{client}{buffer}, 65536, length $reader->{client}{buffer};
			handle($reader, $_) foreach frames_of($reader);
			cut($reader) if !$read;
		}
		foreach my $reader (grep { $_->{open} } @readers)
		{
			cut($reader) if $cuts && rand() < $cuts;
		}
	}
	return;
}
sub all_seen
{
	my %due = (
		'' => [ split /\n/, sql("SELECT position FROM activity.replay('org', max_events => 10000)") ],
		'order.*' => [ split /\n/, sql("SELECT position FROM activity.replay('org', event_types => '{order.*}', max_events => 10000) WHERE id IS NOT NULL") ]);
	my @lacking = grep { my $r = $_; grep { !$r->{seen}{$_} } @{ $due{ $r->{types} // '' } } } @readers;
	my @extra = grep { keys %{ $_->{seen} } != @{ $due{ $_->{types} // '' } } } @readers;
	return @lacking == 0 && @extra == 0;
}

my $writing = writers(6);
run_readers(2, 0.01);
$gateway->stop('KILL');
is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'the sanitizers have found nothing');
$gateway = Gateway->start($node, '--max-connections-per-member', 1000, '--drain-time', 1);
run_readers(3, 0.01);
$writing->finish;
$node->restart;
$writing = writers(3);
run_readers(2, 0.01);
$writing->finish;
my $cuts = sub { my $n = 0; $n += $_->{cuts} foreach @readers; return $n };
for (1 .. 60) { $cuts->() > 100 ? last : run_readers(1, 0.01) }
# The background worker has published everything when there is no backlog.
$node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health') or die;
my $checked = 0;
run_readers(30, 0, sub { return time - $checked > 0.5 && ($checked = time) && all_seen() });
ok(all_seen(), 'every client has seen every position');
is($wrong, 0, 'each connection in order');
cmp_ok(sql("SELECT position FROM activity.stream_head('org')"), '>', 2000, 'and there were many');
cmp_ok($cuts->(), '>', 100, 'with many cuts');
cut($_) foreach @readers;

# Clients that stop reading cost their cursor; the others see everything meanwhile.
{
	my $head = sql("SELECT cursor FROM activity.stream_head('org')");
	my @stalled = map { $gateway->websocket(secret => $secret, subscribe => { cursor => $head }) } 1 .. 20;
	$_->until_op('live') foreach @stalled;
	my $reads = $gateway->websocket(secret => $secret, subscribe => { cursor => $head });
	my $before = $gateway->metric('heap_bytes');
	sql(q{SELECT count(activity.record('org', 'credit.charge', jsonb_build_object('amount', n, 'note', repeat('x', 4000)))) FROM generate_series(1, 3000) n});
	my $seen = 0;
	$seen += ($reads->next_frame)[0] == 1 while $seen < 3002;
	is($seen, 3002, 'who reads sees everything while others do not read');
	cmp_ok($gateway->metric('heap_bytes') - $before, '<', 4_000_000, 'who do not cost next to nothing');
	my $order = 1;
	foreach my $slow (@stalled[ 0 .. 4 ])
	{
		my ($last) = $head =~ /\.(\d+)/;
		foreach (1 .. 3000)
		{
			my ($opcode, $text) = $slow->next_frame;
			my ($position) = ($text // '') =~ /"position":(\d+)/;
			$order = 0 if !$position || $position != $last + 1;
			$last = $position // 0;
		}
	}
	ok($order, 'and see everything when they read again');
	is($gateway->stop, 0, 'it stops while others are stalled');
	is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'the sanitizers have found nothing');
}

# One that stays stalled is cut; descriptors that are used up stall nobody.
{
	$gateway = Gateway->start($node, '--stall-time', 1, '--descriptors=60');
	my $stalled = $gateway->websocket(secret => $secret, subscribe => { cursor => 'earliest' });
	poll_until('it is cut', sub { ($gateway->metric('clients_stalled_total') // 0) == 1 });
	pass('who takes nothing for too long is cut');
	my @many = map { $gateway->connect } 1 .. 100;
	my $cpu = sub { my ($user, $system) = (split / /, slurp_file("/proc/$gateway->{pid}/stat"))[ 13, 14 ]; return $user + $system };
	my ($before, $since) = ($cpu->(), time);
	poll_until('a second has passed', sub { time > $since + 1 });
	cmp_ok($cpu->() - $before, '<', 60 * (time - $since), 'it does not spin when descriptors are used up');
	close $_ foreach @many;
	poll_until('it serves again', sub { $gateway->get('/healthz')->{status} == 200 });
	pass('and serves again when there are some');
	$gateway->stop;
}

# A database that hangs: whoever waits for it waits, nobody else does, and it goes on.
{
	$gateway = Gateway->start($node);
	my $client = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now' });
	$client->until_op('live');
	my @backends = split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE usename = 'gateway'");
	cmp_ok(kill('STOP', @backends), '>', 2, 'the backends of the gateway are frozen');
	$gateway->record(3);
	my $waiting = $gateway->connect;
	syswrite $waiting, "GET /api/v1/organizations/org/stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer $secret\r\n\r\n";
	is($gateway->get('/metrics')->{status}, 200, 'it answers meanwhile');
	$client->send_bytes($client->frame(9, 'there?'));
	is_deeply([ $client->next_frame ], [ 10, 'there?' ], 'to clients of streams, too');
	kill 'CONT', @backends;
	is_deeply([ map { $client->next->{op} } 1 .. 3 ], [ ('event') x 3 ], 'the events come when it goes on');
	like(Gateway::read_until($waiting, qr/"live"/), qr/^HTTP\/1.1 200 .*"op":"live"/s, 'and who waited is let in');
	is($gateway->stop, 0, 'it stops');
}

# Failing over to another host of the connection string.
{
	$node->safe_psql('postgres', 'CHECKPOINT');
	$node->backup('copy');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'copy', has_streaming => 1);
	$standby->start;
	my $conninfo = join ' ', 'host=' . join(',', map { $_->host } $node, $standby), 'port=' . join(',', map { $_->port } $node, $standby),
	  "dbname=postgres user=gateway target_session_attrs=read-write";
	$gateway = Gateway->start($node, '--listen-database', $conninfo, '--database=' . $conninfo);
	my $client = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now' });
	$client->until_op('live');
	$gateway->record(1);
	my ($event) = ($client->until_op('event'))[-1];
	$node->wait_for_catchup($standby);
	$node->stop('immediate');
	$standby->promote;
	$gateway->{node} = $standby;
	poll_until('it finds the other one', sub { $gateway->get('/healthz')->{status} == 200 });
	$gateway->record(1);
	my ($after) = ($client->until_op('event'))[-1];
	is($after->{position}, $event->{position} + 1, 'a client goes on, on the other server');
	isnt((split /\./, $after->{cursor})[0], (split /\./, $event->{cursor})[0], 'whose history has another epoch');
	my $resumed = $gateway->websocket(secret => $secret, subscribe => { cursor => $event->{cursor} });
	is(($resumed->until_op('event'))[-1]{position}, $after->{position}, 'and a cursor from before goes on');
	is($gateway->stop, 0, 'it stops');
}
done_testing();
