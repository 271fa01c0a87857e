# Events of many months are recorded into the default partition while maintain()
# makes a month after the other and moves them there, and three sessions and the
# worker publish: none of them may look for a row where it no longer is, or not
# yet. A publisher that reads the list of partitions before it has the lock of
# the default partition loses some in about every other run.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = 8;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n", "shared_preload_libraries = 'activity'",
	"activity.databases = 'postgres'", "activity.default_tier = 'enterprise'",
	'max_locks_per_transaction = 1000', '');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE did (id uuid);
	CREATE TABLE age (months int);
	INSERT INTO age VALUES (0)});

my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/write.sql", q{\set o random(1, 3)
\set n random(1, 20)
\set more random(0, 2)
INSERT INTO did SELECT activity.record('org_' || :o::text, 'auth.signin',
	occurred_at => now() - (SELECT months + :more FROM age) * interval '1 month')
FROM generate_series(1, :n);
});
append_to_file("$folder/publish.sql", q{SELECT count(*) FROM activity.replay('org_1', NULL, NULL, 1);
SELECT activity.publish();
});

# On a busy machine a round may be too short for a month to be made and moved to.
my ($moves, %failed) = (0);
for (my $round = 0; $moves <= 5 && $round < 10; $round++)
{
	my %load;
	foreach (['write', 4], ['publish', 3])
	{
		my ($what, $clients) = @$_;
		$load{$what} = { errors => '', out => '' };
		$load{$what}{run} = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port,
				'-c', $clients, '-T', $seconds, '-f', "$folder/$what.sql", 'postgres' ],
			'<', \undef, '>', \$load{$what}{out}, '2>', \$load{$what}{errors});
	}
	my $end = time() + $seconds;
	while (time() < $end)
	{
		$node->safe_psql('postgres', 'UPDATE age SET months = months + 2');
		$moves += () = $node->safe_psql('postgres',
			"SELECT action FROM activity.maintain(now() - (SELECT months + 3 FROM age) * interval '1 month')") =~ /^move$/mg;
	}
	foreach my $what (keys %load)
	{
		$failed{$what} .= $load{$what}{errors} || 'failed' unless $load{$what}{run}->finish;
	}
}
is($failed{$_} // '', '', "no client that would $_ failed") foreach 'publish', 'write';
cmp_ok($moves, '>', 5, "events were moved to $moves months meanwhile");
$node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
is($node->safe_psql('postgres', q{
	SELECT (SELECT count(*) FROM did) - (SELECT count(*) FROM _activity.event),
		(SELECT count(*) FROM did d WHERE NOT EXISTS (SELECT FROM _activity.stream s WHERE s.id = d.id)),
		(SELECT count(*) - count(DISTINCT id) FROM _activity.stream),
		(SELECT count(*) FROM (SELECT FROM _activity.stream GROUP BY organization
			HAVING min(position) <> 1 OR max(position) <> count(*)) hole)}),
	'0|0|0|0', 'every event has its one position, without a hole');
is($node->safe_psql('postgres', "SELECT * FROM activity.verify('org_1')"), '', 'the chain holds');
$node->stop;
done_testing();
