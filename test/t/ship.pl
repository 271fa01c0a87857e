# scripts/ship carries a consumer's events to a command that fails at random, and into
# files; every event arrives, those of an organization in order, whatever is killed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
$node->start;
my $name = "siem's \$(x) \"y\"";
(my $quoted = $name) =~ s/'/''/g;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.create_consumer('$quoted', start => 'earliest');
	CREATE ROLE shipper LOGIN;
	GRANT USAGE ON SCHEMA activity TO shipper;
	GRANT EXECUTE ON FUNCTION activity.poll, activity.ack, activity.event_line TO shipper});
my $folder = PostgreSQL::Test::Utils::tempdir();
my $database = $node->connstr('postgres') . ' user=shipper';

sub record
{
	my ($events) = @_;
	$node->safe_psql('postgres', qq{
		SELECT count(activity.record('org' || i % 7, 'order.created', jsonb_build_object('kind', 'order', 'id', i, 'name', E'\\u00fc\\n"''\\\\'), '{"amount": 1, "currency": "usd"}'))
		FROM generate_series(1, $events) i;
		SELECT activity.publish()});
	return;
}

# What is to arrive, in the order of each organization; and what did, without repetitions.
sub sent
{
	return $node->safe_psql('postgres', q{SELECT o.id || ' ' || s.id FROM _activity.stream s JOIN _activity.organization o ON o.key = s.organization
		JOIN _activity.event e ON e.organization = s.organization AND e.id = s.id ORDER BY o.id, s.position});
}
sub arrived
{
	my (@lines) = @_;
	my (%seen, %of);
	foreach my $line (@lines)
	{
		my ($organization, $id) = $line =~ /"source":"\/organizations\/([^"]*)".*"sequence":"([^"]*)"/ or die "no CloudEvent: $line";
		push @{ $of{$organization} }, $id unless $seen{$id}++;
	}
	return join "\n", map { my $o = $_; map { "$o $_" } @{ $of{$o} } } sort keys %of;
}
sub lines_of { return map { split /\n/, slurp_file($_) } @_ }

# A command that takes part of its input and fails, or all of it; it keeps what it took
# when it succeeds, once each lease.
my $command = "$folder/receive";
append_to_file($command, <<'SH');
#!/bin/sh
[ $(od -An -N1 -tu1 /dev/urandom) -gt 80 ] || exit 75
[ $(od -An -N1 -tu1 /dev/urandom) -gt 40 ] || { head -n 3 >/dev/null; exit 1; }
cat >>"$1"
SH
chmod 0755, $command;
my @ship = ('scripts/ship', '--consumer', $name, '--database', $database, '--format', 'cloudevents');
record(300);
my ($out, $error);
ok(run_ship('--batch', 100, '--once', '--', $command, "$folder/received"), 'it ends when nothing is waiting') or diag($error);
is(arrived(lines_of("$folder/received")), sent(), 'everything has arrived, in order');
is(scalar(lines_of("$folder/received")), 300, 'once, as nothing was killed');
is($node->safe_psql('postgres', 'SELECT lag_events FROM activity.consumers'), '0', 'and is acknowledged');
sub run_ship
{
	return IPC::Run::run([ @ship, @_ ], '>', \$out, '2>', \$error);
}

# Two at once, killed in their midst again and again: what was not acknowledged comes again.
record(700);
my @running;
for my $round (1 .. 6)
{
	@running = map { IPC::Run::start([ @ship, '--batch', 20, '--lease', 2, '--', $command, "$folder/received$_" ], '>', \my $o, '2>', \my $e) } 1, 2;
	usleep(400_000);
	$_->kill_kill(grace => 0) foreach @running;
}
my $calm = IPC::Run::start([ @ship, '--batch', 50, '--lease', 5, '--', 'sh', '-c', "cat >>$folder/received3" ], '>', \my $o, '2>', \my $e);
ok($node->poll_query_until('postgres', 'SELECT lag_events = 0 FROM activity.consumers'), 'everything is acknowledged in the end');
$calm->signal('TERM');
ok($calm->finish, 'a signal ends it with 0');
my %seen = map { (/"sequence":"([^"]*)"/)[0] => 1 } lines_of(glob "$folder/received*");
is(join(' ', sort keys %seen), join(' ', sort map { (split)[1] } split /\n/, sent()), 'and has arrived, whatever was killed');

# Into files, which are whole; in each format.
mkdir "$folder/into";
$node->safe_psql('postgres', "SELECT activity.seek('$quoted', 'earliest')");
ok(run_ship('--once', '--into', "$folder/into"), 'into files') or diag($error);
is(arrived(lines_of(sort glob "$folder/into/*.cloudevents")), sent(), 'everything is in them');
is(join(' ', glob "$folder/into/*.part"), '', 'none is left half');
record(1);
$ship[-1] = 'ocsf';
ok(run_ship('--once', '--', 'cat'), 'to standard output');
like($out, qr/^\{"class_uid":6003,.*\}\n\z/, 'as OCSF');
record(1);
ok(!run_ship('--once', '--lease', 1, '--', 'false'), 'that a batch was given up is told by the exit code');
$node->safe_psql('postgres', "SELECT activity.seek('$quoted', 'now')");

# What it refuses, and what it tells.
ok(!run_ship('--once'), 'a command or a folder is needed');
ok(!run_ship('--batch', '0', '--', 'cat'), 'and numbers');
$ship[2] = 'nobody';
ok(!run_ship('--', 'cat'), 'a consumer that is not there ends it');
like($error, qr/42704.*nobody/s, 'and it says why');
$ship[2] = $name;
record(1);
$node->safe_psql('postgres', q{ALTER ROLE shipper NOLOGIN});
my $waiting = IPC::Run::start([ @ship, '--once', '--', 'cat' ], '>', \my $later, '2>', \$error);
usleep(300_000);
$node->safe_psql('postgres', q{ALTER ROLE shipper LOGIN});
ok($waiting->finish, 'a database that is away is waited for');
like($later, qr/^\{"class_uid".*\n\z/, 'and then read');
$node->stop;
done_testing();
