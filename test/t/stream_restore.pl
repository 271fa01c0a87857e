# History that forks: a dump restored into another cluster, whose transaction ids
# begin again; recovery to a point in time; a standby that lagged and is promoted.
# No event stays without a position, none gets two, and a cursor goes on or is
# refused.
use strict;
use warnings;
use File::Path qw(rmtree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = "activity.default_tier = 'enterprise'\nactivity.notify = off\nautovacuum = off\n";

sub record
{
	my ($node, $n, $db) = @_;
	$node->safe_psql($db // 'postgres',
		"SELECT count(activity.record('acme', 'auth.signin')) FROM generate_series(1, $n)");
}

sub publish
{
	my ($node, $db) = @_;
	$node->poll_query_until($db // 'postgres', 'SELECT activity.publish() = 0') or die;
}

sub head { $_[0]->safe_psql($_[1] // 'postgres', q{SELECT cursor FROM activity.stream_head('acme')}) }

# What replay() says to a cursor: how many events, or the SQLSTATE.
sub go_on
{
	my ($node, $cursor, $db) = @_;
	my ($result, $out, $errors) = $node->psql($db // 'postgres',
		"\\set VERBOSITY sqlstate\nSELECT count(*) FROM activity.replay('acme', '$cursor')");
	return $result == 0 ? $out : ($errors =~ /ERROR:\s+(\w+)/)[0];
}

sub burn
{
	my ($node, $transactions) = @_;
	$node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1..$transactions LOOP
		PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
}

sub is_whole
{
	my ($node, $what, $db) = @_;
	$db //= 'postgres';
	is($node->safe_psql($db, q{
		SELECT (SELECT count(*) FROM _activity.event) - (SELECT count(*) FROM _activity.stream),
			(SELECT count(*) FROM _activity.event e WHERE NOT EXISTS (
				SELECT FROM _activity.stream s WHERE s.organization = e.organization AND s.id = e.id)),
			(SELECT max(position) - count(DISTINCT position) FROM _activity.stream)}),
		'0|0|0', "$what: every event has one position, without a hole");
	is($node->safe_psql($db, q{SELECT * FROM activity.verify('acme')}), '', "$what: the chain holds");
}

# A dump, restored where transaction ids are smaller.
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->append_conf('postgresql.conf', $settings);
$old->start;
$old->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
burn($old, 3000);
record($old, 5);
publish($old);
my $known = head($old);
record($old, 3);
my $file = PostgreSQL::Test::Utils::tempdir() . '/dump';
$old->command_ok([ 'pg_dump', '-Fc', '-f', $file, $old->connstr('postgres') ], 'dump');
record($old, 2);
publish($old);
my $lost = head($old);
like($lost, qr/\.10$/, 'the old cluster went on to position 10');

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', $settings);
$new->start;
$new->command_ok([ 'pg_restore', '-1', '-d', $new->connstr('postgres'), $file ], 'restore');
cmp_ok($new->safe_psql('postgres', 'SELECT pg_current_xact_id()'), '<',
	$old->safe_psql('postgres', 'SELECT min(xid::text::bigint) FROM _activity.event'),
	'transaction ids have begun again');
record($new, 4);
is(go_on($new, $known), '7', 'a cursor of before goes on: 3 restored, 4 new');
is_whole($new, 'restored');
is(go_on($new, $lost), 'AC011', 'a cursor into what the dump does not have is refused');
is(go_on($new, head($new) =~ s/\.\d+$/.99/r), 'AC012', 'and one that is ahead');
is(go_on($new, '12345.1'), 'AC011', 'and one of another database');
isnt((split /\./, head($new))[0], (split /\./, $known)[0], 'a new epoch has begun');

# The counter comes to the ids that the restored events have.
burn($new, 3500);
record($new, 1);
publish($new);
is_whole($new, 'later');

# Restored once more, beside it.
$new->command_ok([ 'pg_dump', '-Fc', '-f', $file, $new->connstr('postgres') ], 'dump again');
$new->safe_psql('postgres', 'CREATE DATABASE again');
$new->command_ok([ 'pg_restore', '-1', '-d', $new->connstr('again'), $file ], 'restore again');
record($new, 2, 'again');
publish($new, 'again');
is_whole($new, 'restored twice', 'again');
is($new->safe_psql('again', 'SELECT count(DISTINCT number), count(DISTINCT xid::text::numeric::bigint >> 44) FROM _activity.incarnation, _activity.event'),
	'3|3', 'each life has its own transaction ids');

# Into the same database: nothing but the tables has changed.
my $ahead = head($new);
$new->safe_psql('postgres', 'DROP EXTENSION activity CASCADE; DROP EXTENSION pgcrypto');
$new->command_ok([ 'pg_restore', '-1', '-d', $new->connstr('postgres'), $file ], 'restore in place');
is(go_on($new, $ahead), '0', 'a cursor at the end of the dump goes on');
record($new, 2);
publish($new);
is_whole($new, 'restored in place');
isnt((split /\./, head($new))[0], (split /\./, $ahead)[0], 'a new epoch has begun');
$old->stop;
$new->stop;

# Recovery to a point in time.
my $first = PostgreSQL::Test::Cluster->new('first');
$first->init(has_archiving => 1, allows_streaming => 1);
$first->append_conf('postgresql.conf', $settings);
$first->start;
$first->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
record($first, 6);
publish($first);
my $before = head($first);
$first->backup('base');
record($first, 2);
publish($first);
record($first, 1);
$first->safe_psql('postgres', q{SELECT pg_create_restore_point('here')});
record($first, 4);
publish($first);
my $gone = head($first);
$first->safe_psql('postgres', 'SELECT pg_switch_wal()');

my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($first, 'base', has_restoring => 1);
$recovered->append_conf('postgresql.conf', "recovery_target_name = 'here'\nrecovery_target_action = promote\n");
$recovered->start;
$recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(go_on($recovered, $before), '3', 'recovered: a cursor of before goes on');
is(go_on($recovered, $gone), 'AC011', 'recovered: a cursor into the lost future is refused');
record($recovered, 9);
publish($recovered);
is(go_on($recovered, $gone), 'AC011', 'recovered: also when there is an event at that position again');
is_whole($recovered, 'recovered');
$recovered->stop;

# A standby that lags behind and is promoted, with a worker.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($first, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"shared_preload_libraries = 'activity'\nactivity.databases = 'postgres'\n");
$standby->start;
$first->wait_for_catchup($standby);
my $shared = head($first);
is(go_on($standby, $before), '7', 'a standby reads what is there');
is($standby->safe_psql('postgres', q{SELECT * FROM activity.verify('acme')}), '', 'and verifies it');
is($standby->safe_psql('postgres', q{SELECT worker, backlog FROM activity.health}), 'none|0', 'and tells its health');
my ($result, undef, $errors) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT activity.publish()");
like($errors, qr/25006/, 'it publishes nothing');
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');
record($first, 3);
publish($first);
my $ahead_of_standby = head($first);
is(go_on($standby, $ahead_of_standby), '0', 'to a reader who is ahead it has nothing to say yet');
$first->stop;
$standby->promote;
record($standby, 5);
$standby->poll_query_until('postgres', q{SELECT worker = 'publishing' AND backlog = 0 AND last_published_at IS NOT NULL FROM activity.health});
is(go_on($standby, $shared), '5', 'promoted: its worker publishes, a cursor that it knows goes on');
is(go_on($standby, $ahead_of_standby), 'AC011', 'promoted: a cursor that it never knew is refused');
is_whole($standby, 'promoted');
$standby->stop;

# A snapshot of the volume, put back: it can't be told from a crash, unless it begins
# a timeline by a recovery that ends at once, as docs/stream.md says.
my $volume = PostgreSQL::Test::Cluster->new('volume');
$volume->init(allows_streaming => 1);
$volume->append_conf('postgresql.conf', $settings);
$volume->start;
$volume->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
record($volume, 4);
publish($volume);
my $in_snapshot = head($volume);
$volume->stop('immediate');
my $copy = PostgreSQL::Test::Utils::tempdir() . '/snapshot';
PostgreSQL::Test::RecursiveCopy::copypath($volume->data_dir, $copy);
$volume->start;
record($volume, 3);
publish($volume);
my $after_snapshot = head($volume);
$volume->stop;
rmtree($volume->data_dir);
PostgreSQL::Test::RecursiveCopy::copypath($copy, $volume->data_dir);
unlink $volume->data_dir . '/postmaster.pid';
append_to_file($volume->data_dir . '/recovery.signal', '');
append_to_file($volume->data_dir . '/postgresql.auto.conf', "restore_command = 'false'\n");
chmod 0700, $volume->data_dir;
$volume->start;
$volume->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(go_on($volume, $in_snapshot), '0', 'put back: a cursor of the snapshot goes on');
record($volume, 5);
publish($volume);
is(go_on($volume, $after_snapshot), 'AC011', 'put back: one of what is lost is refused, though there is an event at its position');
is_whole($volume, 'put back');
$volume->stop;

done_testing();
