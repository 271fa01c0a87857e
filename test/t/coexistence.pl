# Beside others: with what Debian packages and people preload, in both orders, and
# with a library that takes five of the ten relcache callbacks, the regression tests
# pass, the worker publishes, and a logical apply worker records.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Those that are packaged for every version of the server must be there.
my %is_packaged = map { $_ => 1 } qw(pg_stat_statements auto_explain pgaudit plpgsql_check pg_cron
	pglogical pg_partman_bgw wal2json);
my $lib = `$ENV{PG_CONFIG} --pkglibdir`;
my ($version) = `$ENV{PG_CONFIG} --version` =~ /(\d+)/;
chomp $lib;
my @others = grep { -e "$lib/$_.so" } sort keys %is_packaged;
if ($version == 15)
{
	is(scalar @others, scalar keys %is_packaged, 'everything is installed') or diag("there is: @others");
}
diag("not beside $_, which is not packaged for $version") foreach grep { !-e "$lib/$_.so" } sort keys %is_packaged;

# A library of our own.
my $slots = PostgreSQL::Test::Utils::tempdir() . '/relcache_slots.so';
my $compiler = `$ENV{PG_CONFIG} --cc`;
my $headers = `$ENV{PG_CONFIG} --includedir-server`;
chomp($compiler, $headers);
system_or_bail(split(' ', $compiler), '-shared', '-fPIC', "-I$headers", '-o', $slots, 'test/t/relcache_slots.c');

sub start
{
	my ($name, @libraries) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical');
	my $list = "'" . join(',', @libraries) . "'";
	$node->append_conf('postgresql.conf', "shared_preload_libraries = $list\n" . q{
		activity.databases = 'postgres'
		max_worker_processes = 40
		max_prepared_transactions = 10
	});
	$node->append_conf('postgresql.conf', q{
		cron.database_name = 'postgres'
		pgaudit.log = 'all'
		auto_explain.log_min_duration = 0
		auto_explain.log_nested_statements = on
		auto_explain.log_triggers = on
		auto_explain.log_analyze = on
		pg_stat_statements.track = 'all'
		plpgsql_check.mode = 'every_start'
		pg_partman_bgw.interval = 1
		pg_partman_bgw.dbname = 'postgres'
	}) if grep { $_ eq 'pgaudit' } @libraries;
	$node->start;
	return $node;
}

sub try
{
	my ($name, @libraries) = @_;
	my $publisher = start("${name}_publisher", @libraries);
	my $subscriber = start("${name}_subscriber", @libraries);
	my $rules = '{"replica": true}';
	foreach my $node ($publisher, $subscriber)
	{
		$node->safe_psql('postgres', qq{
			SET client_min_messages = error;
			CREATE EXTENSION activity CASCADE;
			CREATE TABLE members (org_id text, user_id text, role text, PRIMARY KEY (org_id, user_id));
			SELECT activity.set_tier('o', 'enterprise');
			SELECT activity.track('members', 'membership', rules => '$rules')});
	}
	$publisher->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE members');
	my $connection = $publisher->connstr . ' dbname=postgres';
	$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '$connection' PUBLICATION p");
	$subscriber->wait_for_subscription_sync($publisher, 's');
	$publisher->safe_psql('postgres', q{
		INSERT INTO members SELECT 'o', n, 'viewer' FROM generate_series(1, 20) n;
		UPDATE members SET role = 'admin';
		DELETE FROM members WHERE user_id::int > 10});
	$publisher->wait_for_catchup('s');
	foreach my $node ($publisher, $subscriber)
	{
		my $where = $node == $publisher ? 'where it is written' : 'in the apply worker';
		is($node->safe_psql('postgres', q{
			SELECT string_agg(event || ' ' || n, ', ' ORDER BY event)
			FROM (SELECT event_type::text AS event, count(*) AS n FROM activity.events GROUP BY 1) s}),
			'membership.joined 20, membership.removed 10, membership.role_changed 20', "$name: recorded $where");
		ok($node->poll_query_until('postgres', "SELECT position = 50 FROM activity.stream_head('o')"), "$name: and published");
		is($node->safe_psql('postgres', q{SELECT count(*) FROM activity.verify('o')}), 0, "$name: and verified");
	}
	$publisher->safe_psql('postgres', 'BEGIN; INSERT INTO members VALUES (1, 1, 1); PREPARE TRANSACTION \'x\'; COMMIT PREPARED \'x\'');
	$subscriber->stop;

	local $ENV{PGHOST} = $publisher->host;
	local $ENV{PGPORT} = $publisher->port;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my @command = ('make', '-s', '--no-print-directory', 'installcheck', 'ISOLATION=', 'TAP_TESTS=',
		"EXTRA_REGRESS_OPTS=--outputdir=$folder");
	my $output;
	ok(IPC::Run::run(\@command, '<', \'', '>', \$output, '2>&1'), "$name: the regression tests pass")
	  or diag($output, -e "$folder/regression.diffs" ? slurp_file("$folder/regression.diffs") : '');
	my $crashes = () = slurp_file($publisher->logfile) =~ /terminated by signal|PANIC|out of relcache_callback_list/g;
	is($crashes, 0, "$name: nothing crashed");
	return $publisher;
}

try('slots', $slots, 'activity')->stop;

# Those two bring the server down at its start, whoever else is there.
my @without_pglogical = grep { $_ ne 'pglogical' } @others;
my @without_check = grep { $_ ne 'plpgsql_check' } @others;
try('first', 'activity', @without_check)->stop;
try('last', @without_check, 'activity')->stop;
try('before', 'activity', @without_pglogical)->stop;
my $node = try('after', @without_pglogical, 'activity');

# A second pair of eyes for what is written in PL/pgSQL.
if (grep { $_ eq 'plpgsql_check' } @others)
{
	# What Citus has is there only with Citus (sql/citus.sql).
	$node->safe_psql('postgres', 'CREATE EXTENSION plpgsql_check');
	is($node->safe_psql('postgres', q{
		SELECT string_agg(format('%s: %s', p.oid::regprocedure, c.message), E'\n')
		FROM pg_proc p, LATERAL plpgsql_check_function_tb(p.oid, other_warnings => false, performance_warnings => false,
			extra_warnings => false) c
		WHERE p.pronamespace IN ('activity'::regnamespace, '_activity'::regnamespace)
		  AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
		  AND c.message !~ '(relation|function) "?(pg_catalog\.)?(pg_dist_|run_command_on_)'
		  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)}), '', 'plpgsql_check finds no error');
}
$node->stop;
done_testing();
