# A gateway with a standby for what only reads: the standby is asked, never for what it
# lacks, and the primary stands in when it is away or too far behind, as it does for the primary.
# Then the primary is lost with what the standby never had: clients of WebSocket and SSE that
# keep to the protocol have seen everything that the history which goes on has.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use Gateway;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = gateway_node('primary', 'wal_level = replica', 'max_wal_senders = 4', 'hot_standby_feedback = on', 'wal_retrieve_retry_interval = 100ms');
$primary->append_conf('pg_hba.conf', 'local replication all trust');
$primary->reload;
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
sub sql { return $primary->safe_psql('postgres', $_[0]) }
my $both = join ' ', 'host=' . join(',', map { $_->host } $primary, $standby), 'port=' . join(',', map { $_->port } $primary, $standby),
  'dbname=postgres user=gateway target_session_attrs=read-write';
my $gateway = Gateway->start($primary, "--database=$both", "--listen-database=$both",
	'--read-database', $standby->connstr('postgres') . ' user=gateway', '--read-lag', 2);
sub health { return decode_json($gateway->get('/healthz')->{body}) }
sub state_is { my ($state) = @_; return poll_until("the read database is $state", sub { health()->{readDatabase} eq $state }) }
my @tokens = map { sql(q{SELECT token FROM activity.create_token('org', capabilities => '{read,record}')}) } 1 .. 2;
my $secret = $gateway->secret('ann');
$primary->wait_for_catchup($standby);
state_is('ok');
is(health()->{readLag}, 0, 'it is not behind, says /healthz');
is($gateway->metric('read_database_ready'), 1, 'and /metrics');

sub items
{
	my ($token) = @_;
	my $answer = $gateway->get('/api/v1/organizations/org/activity?limit=200', "Authorization: Bearer $token");
	return $answer->{status} == 200 ? scalar @{ decode_json($answer->{body})->{items} } : "status $answer->{status}";
}

sub post
{
	my ($token, $n) = @_;
	my $body = encode_json({ eventType => 'credit.charge', metadata => { amount => $n } });
	my $answer = Gateway::parse($gateway->raw("POST /api/v1/organizations/org/activity HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
		. "Authorization: Bearer $tokens[0]\r\nContent-Length: " . length($body) . "\r\n\r\n$body"));
	return $answer->{status};
}

# Reads go there; whoever has written reads what he wrote.
my $before = $gateway->metric('read_database_queries_total');
my $start = items($tokens[1]);
cmp_ok($gateway->metric('read_database_queries_total'), '>', $before, 'a GET is asked of the standby');
my $seen = 1;
foreach my $n (1 .. 30)
{
	is(post($tokens[0], $n), 201, 'recorded') unless $n > 1;
	post($tokens[0], $n) if $n > 1;
	$seen &&= items($tokens[0]) == $start + $n;
}
ok($seen, 'who records sees it at once, each time');
is($gateway->metric('read_database_fallbacks_total'), 0, 'and the standby was asked nothing that it could not answer');

# It replays nothing for a while. A stream skips nothing of what it lacks.
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'");
$gateway->record(50);
my $head = sql("SELECT position FROM activity.stream_head('org')");
foreach my $cursor ('earliest', sql("SELECT cursor FROM activity.replay('org', NULL, NULL, 10000) WHERE position = $head - 60"))
{
	my $client = $gateway->websocket(secret => $secret, subscribe => { cursor => $cursor });
	my @positions = map { $_->{position} // () } grep { $_->{op} eq 'event' } $client->until_op('live');
	is_deeply([ $positions[0] .. $positions[-1] ], \@positions, "a client from $cursor on gets every position");
	is($positions[-1], $head, 'up to what the standby does not have');
}
state_is('behind');
cmp_ok($gateway->metric('read_database_lag_seconds'), '>', 2, 'its lag is shown');
is(items($tokens[1]), $start + 80, 'the primary answers for it');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
state_is('ok');

# It goes away, and comes back.
$standby->stop('immediate');
state_is('away');
is(items($tokens[1]), $start + 80, 'the primary answers when it is away');
is($gateway->get('/healthz')->{status}, 200, 'which makes the gateway no less healthy');
$standby->start;
state_is('ok');

# The primary goes away, and comes back.
$primary->stop('fast');
poll_until('the primary is away', sub { $gateway->get('/healthz')->{status} == 503 });
is(items($tokens[1]), $start + 80, 'the standby answers while the primary is away');
is(post($tokens[0], 1), 503, 'but records nothing');
$primary->start;
poll_until('the primary is back', sub { $gateway->get('/healthz')->{status} == 200 });
state_is('ok');

# What a client must do: go on with its cursor, begin again where it is told to.
my @clients = map { { sse => $_ % 2, seen => {} } } 0 .. 7;
sub open_client
{
	my ($client) = @_;
	my $cursor = $client->{cursor} // 'earliest';
	$client->{stream} = eval {
		$client->{sse} ? $gateway->sse(secret => $secret, query => "?cursor=$cursor")
		  : $gateway->websocket(secret => $secret, subscribe => { cursor => $cursor });
	};
	$client->{stream} = undef unless $client->{stream} && ($client->{stream}{status} // 0) =~ /^(?:101|200)$/;
	return;
}

sub step
{
	my ($client) = @_;
	open_client($client) unless $client->{stream};
	return unless $client->{stream};
	while (1)
	{
		my $frame = $client->{stream}->next(0.05);
		return if $frame->{op} eq 'nothing';
		if ($frame->{op} eq 'event')
		{
			$client->{seen}{ $frame->{event}{id} }++;
			$client->{cursor} = $frame->{cursor};
		}
		$client->{cursor} = $frame->{cursor} if $frame->{op} =~ /^(?:live|head)$/;
		if ($frame->{op} eq 'reset')
		{
			$client->{resets}++;
			$client->{reason} = $frame->{reason};
			delete $client->{cursor};
		}
		if ($frame->{op} =~ /^(?:close|end|reset)$/)
		{
			$client->{stream}->close;
			$client->{stream} = undef;
			return;
		}
	}
}

sub all_have
{
	my ($node) = @_;
	my @ids = split /\n/, $node->safe_psql('postgres', q{SELECT id FROM activity.replay('org', NULL, NULL, 10000)});
	return poll_until('every client has seen everything', sub {
		step($_) foreach @clients;
		return !grep { my $c = $_; grep { !$c->{seen}{$_} } @ids } @clients;
	});
}
$gateway->record(20);
all_have($primary);
$primary->wait_for_catchup($standby);

# Two stay behind with a cursor that the standby has; the others see what it never gets.
my @asleep = @clients[ 0, 1 ];
foreach my $client (@asleep)
{
	$client->{stream}->close;
	$client->{stream} = undef;
}
@clients = @clients[ 2 .. 7 ];
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');
$gateway->record(15);
all_have($primary);
my $lost = sql("SELECT cursor FROM activity.stream_head('org')");
$primary->stop('immediate');
$standby->promote;
$gateway->{node} = $standby;
poll_until('the gateway finds the new primary', sub { $gateway->get('/healthz')->{status} == 200 });
$gateway->record(25);
$standby->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
push @clients, @asleep;
ok(all_have($standby), 'every client has seen everything that the new primary has');
is(scalar(grep { ($_->{resets} // 0) > 0 } @clients[ 0 .. 5 ]), 6, 'who had seen more was told so');
is(scalar(grep { $_->{reason} =~ /^(?:epoch|future)$/ } @clients[ 0 .. 5 ]), 6, 'and why');
is(scalar(grep { $_->{resets} } @asleep), 0, 'who had not goes on with his cursor');
my $client = $gateway->websocket(secret => $secret, subscribe => { cursor => $lost });
is((grep { $_->{op} eq 'reset' } $client->until_op('close'))[0]{reason}, 'epoch', 'the lost cursor is refused, also when its position is there again');
ok(state_is('no standby'), 'the new primary is not taken for a standby');
is(items($tokens[1]) =~ /^\d+$/ ? 1 : 0, 1, 'and answers what is read');
is(post($tokens[0], 1), 201, 'and what is recorded');
is($standby->safe_psql('postgres', q{SELECT * FROM activity.verify('org')}), '', 'its chain holds');
is($gateway->stop, 0, 'it stops');
is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'the sanitizers have found nothing');
$standby->stop;
done_testing();
