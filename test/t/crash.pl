# A crash in the middle of writes and of maintain(): every event that a client was
# told of is there, none twice, each where it belongs, the indexes agree with the
# tables, and everything goes on. Prepared transactions outlive it.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
max_prepared_transactions = 10
restart_after_crash = on
checkpoint_timeout = 1h
activity.notify = off
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE EXTENSION amcheck;
	SELECT activity.set_retention('short', '2 months');
});
my $folder = PostgreSQL::Test::Utils::tempdir();
my $ask = sub { $node->safe_psql('postgres', $_[0]) };

# What a client was told of: psql prints an id when its transaction is committed.
sub told
{
	my %told;
	foreach my $file (glob "$folder/out.*")
	{
		$told{$_}++ foreach grep { /^[0-9a-f-]{36}$/ } split /\n/, slurp_file($file);
	}
	return \%told;
}

sub check_whole
{
	my ($when) = @_;
	my $told = told();

	# The organization "short" may lose what its time is over for.
	my %there;
	my $rows = $ask->(q{SELECT id, count(*) FROM _activity.event GROUP BY id});
	$there{ (split /\|/)[0] } = (split /\|/)[1] foreach split /\n/, $rows;
	my @lost = grep { !$there{$_} } keys %$told;
	is(scalar @lost, 0, "$when: of " . keys(%$told) . ' events told of none is lost');
	is(scalar(grep { $_ > 1 } values %there), 0, "$when: none is there twice");
	is($ask->(q{
		SELECT bt_index_check(indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
		WHERE c.relnamespace = '_activity'::regnamespace AND c.relkind = 'i'}) =~ s/\n//gr,
		'', "$when: the indexes agree with the tables");
	is($ask->(q{
		SELECT count(*) FROM _activity.event e JOIN pg_class c ON c.oid = e.tableoid
		WHERE c.relname <> CASE WHEN to_regclass('_activity.' || m) IS NULL THEN 'event_default' ELSE m END}
		=~ s/\bm\b/to_char(occurred_at AT TIME ZONE 'UTC', '"event_"YYYY"_"MM')/gr),
		0, "$when: every event is in its month");
	is($ask->(q{
		SELECT count(*) FROM pg_class c WHERE relnamespace = '_activity'::regnamespace
		AND relkind = 'r' AND relname ~ '^event_[0-9]' AND NOT relispartition}),
		0, "$when: no month is half made");
	is($ask->(q{SELECT count(*) FROM _activity.event e
		WHERE NOT EXISTS (SELECT FROM _activity.organization o WHERE o.key = e.organization)}),
		0, "$when: every event has its organization");
	return;
}

# Writers: some to this month, some to months that are being made meanwhile.
sub start_load
{
	my ($round) = @_;
	my @load;
	my $write = join '', map {
		my $age = $_ % 3 ? 0 : ($_ / 3) % 36;
		my $organization = $_ % 7 ? 'org_' . $_ % 50 : "new_${round}_$_";
		"SELECT activity.record('$organization', 'credit.charge', '{\"id\": $_}', '{\"amount\": 1}', "
		  . "occurred_at => clock_timestamp() - $age * interval '1 month');\n"
	} 1 .. 30000;
	append_to_file("$folder/write.$round", $write);
	append_to_file("$folder/maintain.$round", join '', map {
		# By and by all 36 months are made; what retention removes is of nobody's.
		"SET activity.partitions_ahead = @{[ $_ % 20 ]};\n"
		  . "SELECT count(activity.record('short', 'auth.signin', occurred_at => now() - m * interval '1 month'))"
		  . " FROM generate_series(3, 40) m;\n"
		  . "SELECT 'upkeep', * FROM activity.maintain("
		  . ($_ % 2 ? '' : "since => now() - $_ * interval '1 month'") . ");\n"
	} 1 .. 300);
	foreach my $file (("$folder/write.$round") x 4, "$folder/maintain.$round")
	{
		my $number = scalar @load;
		push @load, IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
			'>', ($file =~ /write/ ? "$folder/out.$round.$number" : "$folder/upkeep.$round"),
			'2>', "$folder/err.$round.$number");
	}
	return @load;
}

sub wait_for_load
{
	my ($enough) = @_;
	my $before = $ask->('SELECT count(*) FROM _activity.event');
	$node->poll_query_until('postgres',
		"SELECT count(*) > $before + $enough FROM _activity.event") or die 'no load';
}

foreach my $round (1 .. 3)
{
	my @load = start_load($round);
	wait_for_load(1500);
	if ($round == 2)
	{
		# A backend alone, in the middle of maintain() if it can be caught.
		my $pid = '';
		for (1 .. 1000)
		{
			$pid = $ask->(q{SELECT pid FROM pg_stat_activity
				WHERE state = 'active' AND query ~ 'maintain' AND pid <> pg_backend_pid()});
			last if $pid ne '';
		}
		isnt($pid, '', 'maintain() was caught at work');
		kill 'KILL', $pid;
		$_->finish foreach @load;
		# By an argument: what a server that goes down doesn't read from psql's
		# standard input would end the test.
		my $patience = 600;
		select(undef, undef, undef, 0.1)
		  while $patience-- && !IPC::Run::run(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT 1' ],
			'<', \undef, '>', \my $out, '2>', \my $errors);
		cmp_ok($patience, '>', 0, 'the server comes back');
	}
	else
	{
		$node->stop('immediate');
		$_->finish foreach @load;
		$node->start;
	}
	check_whole("crash $round");
	my $default = $ask->(q{SELECT count(*) FROM _activity.event_default});
	is($ask->(q{SELECT count(*) FROM activity.maintain() WHERE action = 'skip'}), 0, 'maintain() goes on');
	cmp_ok($ask->(q{SELECT count(*) FROM _activity.event_default}), '<=', $default, 'and gets on');
	check_whole("after crash $round");
}

# Without a crash the same load ends by itself, and without an error: maintain()
# breaks no writer, and writers no maintain().
{
	my @load = start_load(4);
	wait_for_load(3000);
	$ask->(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
	$_->finish foreach @load;
	my @errors = grep { /ERROR/ } map { split /\n/, slurp_file($_) } glob "$folder/err.4.*";
	is("@errors", '', 'no error in writers or maintain()');
	like(slurp_file("$folder/upkeep.4"), qr/upkeep/, 'maintain() had something to do');
	check_whole('no crash');
}
unlike(slurp_file($node->logfile), qr/deadlock detected|PANIC:|TRAP:/, 'no deadlock');

# Prepared transactions over a crash.
my $count = q{SELECT count(*) FROM _activity.event WHERE organization IN
	(SELECT key FROM _activity.organization WHERE id = 'prepared')};
$ask->(q{
	BEGIN;
	SELECT activity.record('prepared', 'auth.signin');
	PREPARE TRANSACTION 'kept';
	BEGIN;
	SELECT activity.record('prepared', 'auth.signup');
	PREPARE TRANSACTION 'dropped';
	BEGIN;
	SELECT activity.record('prepared', 'auth.signup', occurred_at => '2200-01-01');
	PREPARE TRANSACTION 'far';
});
$node->stop('immediate');
$node->start;
is($ask->($count), 0, 'a prepared event is not there yet');
$ask->(q{SELECT activity.record('prepared', 'credit.add', '{}', '{"amount": 1}')});
is($ask->($count), 1, 'others go on recording for the same organization');
is($ask->(q{SET activity.partitions_ahead = 24; SELECT object FROM activity.maintain() WHERE action = 'skip'}),
	'_activity.event is in use: no partition made', 'maintain() gives up while it is in the way');
$ask->(q{COMMIT PREPARED 'kept'});
is($ask->($count), 2, 'COMMIT PREPARED brings it');
$ask->(q{ROLLBACK PREPARED 'dropped'; ROLLBACK PREPARED 'far'});
is($ask->($count), 2, 'ROLLBACK PREPARED brings nothing');
is($ask->(q{SELECT count(DISTINCT key) FROM _activity.organization WHERE id = 'prepared'}), 1,
	'the organization has one key');
is($ask->(q{SET activity.partitions_ahead = 24; SELECT count(*) > 0 FROM activity.maintain() WHERE action = 'make'}),
	't', 'and maintain() goes on');
check_whole('in the end');

$node->stop;
done_testing();
