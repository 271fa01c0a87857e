# Killed at any moment: the worker by SIGKILL, which restarts the server, and the
# server by immediate shutdown, in turn, under load. Afterwards every committed
# event has its one position, and a reader who kept his cursor read each of them
# once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n", "shared_preload_libraries = 'activity'",
	"activity.databases = 'postgres'", "activity.default_tier = 'enterprise'",
	'restart_after_crash = on', 'activity.publish_batch = 50', '');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE; CREATE TABLE did (id uuid)');

my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, qq{\\set o random(1, 3)
\\set n random(1, 40)
INSERT INTO did SELECT activity.record('org_' || :o::text, 'auth.signin') FROM generate_series(1, :n);
});

my ($cursor, @read) = ('');
sub read_on
{
	my $from = $cursor eq '' ? 'NULL' : "'$cursor'";
	my ($result, $out, $errors) = $node->psql('postgres',
		"SELECT cursor, id FROM activity.replay('org_1', $from, NULL, 10000)");
	die "replay: $errors" if $result != 0 && $errors =~ /cursor/;
	return 0 if $result != 0 || $out eq '';
	my @rows = map { [ split /\|/ ] } split /\n/, $out;
	push @read, map { $_->[1] } @rows;
	$cursor = $rows[-1][0];
	return 1;
}

my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'activity publisher'};
# By an argument: what a server that goes down doesn't read from psql's standard
# input would end the test.
sub is_back
{
	my $out = '';
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT count(*) FROM ($worker) w" ],
		'<', \undef, '>', \$out, '2>', \my $errors);
	return $out =~ /^1$/;
}

foreach my $round (1 .. 6)
{
	my $load = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 8, '-T', 60,
			'-f', $script, 'postgres' ], '<', \undef, '>', \(my $out), '2>', \(my $errors));
	# Well into it, and at another moment each time.
	my $done = $node->safe_psql('postgres', 'SELECT count(*) FROM did') + 500 + int rand 1500;
	$node->poll_query_until('postgres', "SELECT count(*) > $done FROM did");
	read_on();
	if ($round % 2)
	{
		$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($worker) w");
		kill 'KILL', $node->safe_psql('postgres', $worker);
		$load->finish;
	}
	else
	{
		$node->stop('immediate');
		$load->finish;
		$node->start;
	}
	# The server is back, and its worker.
	my $patience = 300;
	select(undef, undef, undef, 0.1) while $patience-- && !is_back();
	cmp_ok($patience, '>', 0, "round $round: the worker is back");
	read_on();
}

$node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
1 while read_on();
is($node->safe_psql('postgres', q{
	SELECT (SELECT count(*) FROM did) - (SELECT count(*) FROM _activity.event),
		(SELECT count(*) FROM did d WHERE NOT EXISTS (SELECT FROM _activity.stream s WHERE s.id = d.id)),
		(SELECT count(*) - count(DISTINCT id) FROM _activity.stream),
		(SELECT count(*) FROM (SELECT FROM _activity.stream GROUP BY organization
			HAVING min(position) <> 1 OR max(position) <> count(*)) hole)}),
	'0|0|0|0', 'every committed event has one position, without a hole');
is($node->safe_psql('postgres', "SELECT * FROM activity.verify('org_1') UNION ALL SELECT * FROM activity.verify('org_2')"),
	'', 'the chain holds');
is(join("\n", @read) eq $node->safe_psql('postgres', q{
	SELECT s.id FROM _activity.stream s WHERE s.organization = (SELECT min(key) FROM _activity.organization WHERE id = 'org_1')
	ORDER BY s.position}), 1, 'a reader who kept his cursor has each event once, in order');
$node->stop;
done_testing();
