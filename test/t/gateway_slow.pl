# However many requests wait in the database, streams and webhooks go on beside them, and
# so do other callers' requests.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use Gateway;
use Test::More;

my $node = gateway_node('slow');
sub sql { return $node->safe_psql('postgres', $_[0]) }
my $token = sql("SELECT token FROM activity.create_token('org', 'ann', '{read,administer}')");
my $gateway = Gateway->start($node, '--database-connections', 3);
my $client = $gateway->websocket(secret => $gateway->secret('ann'), subscribe => { cursor => 'now' });
$client->until_op('live');

# What GET /holds reads is locked, so each of these waits.
my $lock = $node->background_psql('postgres', on_error_stop => 1);
$lock->query_safe('BEGIN; LOCK TABLE _activity.hold');
my @waiting = map {
	my $socket = $gateway->connect;
	syswrite $socket, "GET /api/v1/organizations/org/holds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n";
	$socket;
} 1 .. 10;
sub locked { return sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway' AND wait_event_type = 'Lock'") }
poll_until('requests wait', sub { return $gateway->metric('database_queue') == 9 && locked() >= 1 });
is(locked(), 1, 'those of one caller never have all that requests may have');
my $reader = sql("SELECT token FROM activity.create_token('org', 'bob', '{read}')");
is($gateway->get('/api/v1/organizations/org/activity', "Authorization: Bearer $reader")->{status}, 200, 'another one is answered meanwhile');
my $admin = sql("SELECT token FROM activity.create_token('org', NULL, '{administer}')");
push @waiting, map {
	my $socket = $gateway->connect;
	syswrite $socket, "GET /api/v1/organizations/org/holds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $admin\r\nConnection: close\r\n\r\n";
	$socket;
} 1 .. 3;
poll_until('more wait', sub { return $gateway->metric('database_queue') == 11 && locked() >= 2 });
is(locked(), 2, 'nor do all callers have all connections');

$gateway->record(3);
my @frames = map { $client->until_op('event') } 1 .. 3;
is(scalar(grep { $_->{op} eq 'event' } @frames), 3, 'a live client sees events meanwhile');
my $second = $gateway->websocket(secret => $gateway->secret('bob'), subscribe => { cursor => 'earliest' });
is(($second->until_op('live'))[-1]{op}, 'live', 'another one comes in, and catches up');

$lock->query_safe('COMMIT');
$lock->quit;
my @statuses = map { Gateway::parse(Gateway::read_until($_))->{status} } @waiting;
is_deeply(\@statuses, [ (200) x 13 ], 'then all of them are answered');
is($gateway->stop, 0, 'it stops');
$node->stop;
done_testing();
