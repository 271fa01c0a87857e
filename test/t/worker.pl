# The life of a background worker: it waits for its database and the extension,
# stands in nobody's way, notifies for the writers, sleeps when there is nothing to
# do, and when it fails says so once and tries again.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join "\n", "shared_preload_libraries = 'activity'",
	qq{activity.databases = 'postgres, "Odd, one"'}, "activity.default_tier = 'enterprise'",
	'max_prepared_transactions = 5', '');
$node->start;

my $publishers = q{SELECT coalesce(string_agg(datname, ';' ORDER BY datname), '') FROM pg_stat_activity
	WHERE backend_type = 'activity publisher'};
sub works_on
{
	my ($databases, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT ($publishers) = '$databases'"), $name);
}
sub published
{
	my ($db, $n, $name) = @_;
	ok($node->poll_query_until($db, "SELECT count(*) = $n FROM _activity.stream"), $name);
}
my $record = q{SELECT activity.record('acme', 'auth.signin')};

# Databases that come and go.
works_on('postgres', 'a worker where there is a database');
like(slurp_file($node->logfile), qr/database "Odd, one" of activity.databases does not exist yet/, 'what is missing is said');
$node->safe_psql('postgres', 'CREATE DATABASE "Odd, one"');
works_on('Odd, one;postgres', 'and when it is made');
$node->safe_psql('Odd, one', "CREATE EXTENSION activity CASCADE; $record");
published('Odd, one', 1, 'it publishes as soon as the extension is there');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE "Odd, one"');
works_on('Odd, one;postgres', 'it makes way for a copy and comes back');
$node->safe_psql('postgres', 'ALTER DATABASE "Odd, one" RENAME TO other');
$node->safe_psql('postgres', 'ALTER DATABASE other RENAME TO "Odd, one"');
$node->safe_psql('postgres', 'DROP DATABASE "Odd, one"');
works_on('postgres', 'and for DROP DATABASE');
$node->safe_psql('postgres', 'CREATE DATABASE "Odd, one"');
works_on('Odd, one;postgres', 'a new one of that name has one again');
my ($result, $out, $errors) = $node->psql('postgres', 'BEGIN; DROP DATABASE "Odd, one"');
works_on('Odd, one;postgres', 'a DROP that fails sends it back');
my $pid_of = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'activity publisher' AND datname = 'Odd, one'};
my $untouched = $node->safe_psql('postgres', $pid_of);
$node->psql('postgres', "CREATE ROLE nobody; SET ROLE nobody;\n" . qq{DROP DATABASE "Odd, one";\n} x 500, on_error_stop => 0);
is($node->safe_psql('postgres', $pid_of), $untouched, 'nobody who may not drop the database sends it away');
$node->append_conf('postgresql.conf', "activity.databases = 'postgres'\n");
$node->reload;
works_on('postgres', 'who is not listed any more leaves');

# The extension comes, goes and comes again.
$node->safe_psql('postgres', "CREATE EXTENSION activity CASCADE; $record");
published('postgres', 1, 'published');
$node->safe_psql('postgres', "DROP EXTENSION activity CASCADE; CREATE EXTENSION activity");
$node->safe_psql('postgres', $record);
published('postgres', 1, 'dropped and made again, published again');
is($node->safe_psql('postgres', 'SELECT failures FROM activity.health'), 0, 'without a failure');

# Who notifies.
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN activity');
$node->safe_psql('postgres', $record);
published('postgres', 2, 'published');
$node->poll_query_until('postgres', 'SELECT published = 3 FROM activity.health');
my $heard = $listener->query('SELECT 1');
$heard .= $listener->query('SELECT 1') for 1 .. 3;
is(() = $heard =~ /Asynchronous notification/g, 1, 'one message for one event');
like($heard, qr/"position": 2, "cursor": "\d+\.2"/, 'sent by the worker, with its position');

# Prepared here, committed there.
$node->safe_psql('postgres', "BEGIN; $record; PREPARE TRANSACTION 'two'");
$node->safe_psql('postgres', "COMMIT PREPARED 'two'");
published('postgres', 3, 'a prepared transaction wakes it when it is committed');
($result, $out, $errors) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nBEGIN; SELECT activity.publish(); PREPARE TRANSACTION 'no'");
like($errors, qr/25001/, 'nobody takes the right to publish into a prepared transaction');

# Nothing to do.
my $wakeups = $node->safe_psql('postgres', 'SELECT wakeups FROM activity.health');
$node->poll_query_until('postgres',
	q{SELECT clock_timestamp() > '} . $node->safe_psql('postgres', q{SELECT clock_timestamp() + '3 s'}) . q{'});
cmp_ok($node->safe_psql('postgres', 'SELECT wakeups FROM activity.health'), '<=', $wakeups + 2,
	'it sleeps while nothing is recorded');

# Upkeep asked for more often, by a reload, does not wait for the old interval.
$node->safe_psql('postgres', q{SELECT activity.maintain()});
my $month = $node->safe_psql('postgres', q{SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = '_activity.event'::regclass AND inhrelid::regclass::text ~ '_\d+$'});
$node->safe_psql('postgres', "DROP TABLE $month");
$node->append_conf('postgresql.conf', "activity.maintain_interval = 1\n");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT to_regclass('$month') IS NOT NULL"), 'a shorter interval counts at once');
$node->append_conf('postgresql.conf', "activity.maintain_interval = 3600\n");
$node->reload;

# A failure, and the way back.
my $offset = -s $node->logfile;
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER activity_guard_drop DISABLE; DROP INDEX _activity.stream_1_key');
$node->safe_psql('postgres', $record);
ok($node->poll_query_until('postgres', q{SELECT worker = 'failing' AND failures > 1 FROM activity.health}), 'it fails');
like($node->safe_psql('postgres', 'SELECT last_error FROM activity.health'), qr/has lost its index/, 'and says why');
is($node->safe_psql('postgres', 'SELECT backlog FROM activity.health'), 1, 'the event waits');
my @logged = slurp_file($node->logfile, $offset) =~ /publishing events failed/g;
is(scalar @logged, 1, 'it is logged once');
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX ON _activity.stream_1 (organization, position)');
published('postgres', 4, 'repaired, it goes on');
ok($node->poll_query_until('postgres', q{SELECT worker = 'publishing' AND backlog = 0 FROM activity.health}), 'in health');

# The settings of a database are not the worker's.
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET default_transaction_isolation = serializable');
my $pid = $node->safe_psql('postgres', 'SELECT worker_pid FROM activity.health');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM activity.health"), 'terminated, it comes back');
my $since = time;
foreach (1 .. 6)
{
	$pid = $node->safe_psql('postgres', 'SELECT worker_pid FROM activity.health');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$node->poll_query_until('postgres', "SELECT worker_pid <> $pid FROM activity.health") or die 'no worker';
}
# A delay that doubles each time would be more than a minute in all.
cmp_ok(time - $since, '<', 40, 'nor later each time that somebody terminates it');
$node->safe_psql('postgres', "BEGIN READ WRITE; $record; COMMIT");
published('postgres', 5, 'and writes though others may not');
$node->safe_psql('postgres', 'BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT');

# A listener that is stuck; before PostgreSQL 17 the queue can't be made small.
if ($node->safe_psql('postgres', 'SHOW server_version_num') >= 170000)
{
	$node->append_conf('postgresql.conf', "max_notify_queue_pages = 64\n");
	$node->restart;
	my $stuck = $node->background_psql('postgres');
	$stuck->query_safe('LISTEN activity; BEGIN; SELECT 1');
	$node->safe_psql('postgres', q{SELECT count(activity.record('acme', 'auth.signin', jsonb_build_object('id', g)))
		FROM generate_series(1, 20000) g});
	published('postgres', 20005, 'a stuck listener does not stop it');
	cmp_ok($node->safe_psql('postgres', 'SELECT skipped_notifications FROM activity.health'), '>', 0,
		'messages are skipped and counted');
	cmp_ok($node->safe_psql('postgres', 'SELECT notification_queue_usage FROM activity.health'), '>=', 0.9, 'while the queue is nearly full');

	# Where no worker is, the writers see to their commits themselves.
	$node->safe_psql('postgres', 'CREATE DATABASE unlisted');
	$node->safe_psql('unlisted', 'CREATE EXTENSION activity CASCADE');
	(undef, undef, $errors) = $node->psql('unlisted', $record);
	like($errors, qr/WARNING:  live events were not sent: the notification queue is nearly full/, 'a writer is warned');
	is($node->safe_psql('unlisted', q{SELECT count(*) FROM activity.replay('acme')}), '1', 'and has committed');

	$stuck->quit;
	$node->poll_query_until('postgres', 'SELECT notification_queue_usage < 0.1 FROM activity.health');
	my $skipped = $node->safe_psql('postgres', 'SELECT skipped_notifications FROM activity.health');
	$node->safe_psql('postgres', $record);
	published('postgres', 20006, 'the listener gone, it goes on');
	is($node->safe_psql('postgres', 'SELECT skipped_notifications FROM activity.health'), $skipped, 'and notifies again');
	(undef, undef, $errors) = $node->psql('unlisted', $record);
	is($errors, '', 'so do writers');
}
$listener->quit;
$node->stop;
done_testing();
