# More databases than there are background workers: those that get one are served,
# the others do without, it is said once and seen in activity.health, and who comes
# first when one is free gets it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# PostgreSQL's own launcher and ours leave two.
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'activity'
activity.databases = ''
activity.default_tier = 'enterprise'
activity.maintain_interval = 0
max_worker_processes = 4\n");
$node->start;
my @databases = qw(one two three four);
foreach my $db (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION activity CASCADE');
}

sub set_databases
{
	$node->append_conf('postgresql.conf', "activity.databases = '" . join(', ', @_) . "'\n");
	$node->reload;
}
sub state_of { $node->safe_psql($_[0], 'SELECT worker FROM activity.health') }
sub logged { my $count = () = slurp_file($node->logfile) =~ /$_[0]/g; return $count }

set_databases(@databases);
ok($node->poll_query_until($_, q{SELECT worker = 'publishing' FROM activity.health}), "a worker for $_") foreach qw(one two);
foreach my $db (qw(three four))
{
	ok($node->poll_query_until($db, q{SELECT failures > 0 FROM activity.health}), "none is free for $db");
	is($node->safe_psql($db, 'SELECT worker, worker_pid, last_error FROM activity.health'),
		'stopped||no background worker is free', '... as its health says');
}
foreach my $db (@databases)
{
	$node->safe_psql($db, q{SELECT activity.record('acme', 'auth.signin')});
	is($node->safe_psql($db, q{SELECT count(*) FROM activity.replay('acme')}), '1', "$db has its stream")
	  if $db =~ /three|four/;
	ok($node->poll_query_until($db, q{SELECT count(*) = 1 FROM _activity.stream}), "published in $db");
}
# The launcher looks again, and says nothing more.
my $failures = $node->safe_psql('four', 'SELECT failures FROM activity.health');
set_databases(@databases);
$node->reload;
ok($node->poll_query_until('four', "SELECT failures > $failures FROM activity.health"), 'it is tried again');
foreach my $db (qw(three four))
{
	is(logged(qr/no background worker is free to publish the events of database "$db"\n[^\n]*HINT:  Raise max_worker_processes/), 1,
		"$db: it was said once, with a hint");
}

# Upkeep needs a process, too.
$node->append_conf('postgresql.conf', "activity.maintain_interval = 1\n");
$node->reload;
$node->safe_psql('one', q{SELECT activity.record('acme', 'auth.signin')});
ok($node->poll_query_until('one', q{SELECT failures > 1 AND last_error ~ 'for the upkeep' FROM activity.health}), 'upkeep finds no process');
is(logged(qr/no background worker is free for the upkeep of database "one"/), 1, '... which is said once');
ok($node->poll_query_until('one', q{SELECT worker = 'publishing' FROM activity.health}), 'publishing goes on');
$node->append_conf('postgresql.conf', "activity.maintain_interval = 0\n");

# One gets free.
set_databases(qw(two three four));
ok($node->poll_query_until('three', q{SELECT worker = 'publishing' FROM activity.health}), 'the next one gets what is free');
is(state_of('one'), 'none', 'who is not listed has none');
is(state_of('four'), 'stopped', 'who comes last waits');

# More names than places.
set_databases((map { "missing_$_" } 1 .. 64), 'one');
ok($node->poll_query_until('four', q{SELECT worker = 'none' FROM activity.health}), 'who is not listed any more leaves');
ok($node->wait_for_log(qr/activity.databases names more than 64 databases\n[^\n]*HINT:  Call activity.publish/), 'the 65th database has no place, which is said');
is(state_of('one'), 'none', '... and seen');
$node->safe_psql('one', q{SELECT activity.record('acme', 'auth.signin')});
is($node->safe_psql('one', q{SELECT count(*) FROM activity.replay('acme')}), '3', '... and it does without');
set_databases('one');
ok($node->poll_query_until('one', q{SELECT worker = 'publishing' FROM activity.health}), 'until there is one');
$node->stop;
done_testing();
