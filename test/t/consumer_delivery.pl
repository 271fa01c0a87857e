# Consumers lose nothing: sixteen writers that abort, set savepoints and prepare; eight
# pollers of one consumer, ended at random between any two steps; then the server killed again
# and again, a standby promoted and a dump restored. Every event is acknowledged, in order within its
# organization, once; it is handled again only after a lease that was not acknowledged has
# ended; and where poll, effect and ack are one transaction the effect is there once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', join "\n", "shared_preload_libraries = 'activity'", q{activity.databases = 'postgres'},
	"activity.default_tier = 'enterprise'", 'max_prepared_transactions = 40', 'max_connections = 60', 'autovacuum_naptime = 1', '');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.create_consumer('ship', start => 'earliest'), activity.create_consumer('once', start => 'earliest');
	CREATE TABLE leased (lease uuid PRIMARY KEY, poller int, polled_at timestamptz, leased_until timestamptz);
	CREATE TABLE handled (n bigserial PRIMARY KEY, lease uuid, organization text, position bigint, id uuid);
	CREATE TABLE acknowledged (n bigserial PRIMARY KEY, lease uuid UNIQUE);
	CREATE TABLE refused (lease uuid);
	CREATE TABLE effect (n bigserial PRIMARY KEY, organization text, position bigint, id uuid);
	-- What it handled stands in its own transaction, as what is done outside the database would.
	CREATE PROCEDURE ship(poller int, rounds int) LANGUAGE plpgsql AS $$
	DECLARE
		mine uuid;
	BEGIN
		FOR i IN 1 .. rounds LOOP
			CREATE TEMP TABLE IF NOT EXISTS batch (lease uuid, organization text, position bigint, id uuid);
			TRUNCATE batch;
			INSERT INTO batch SELECT lease, organization, position, id
			FROM activity.poll('ship', 1 + (random() * 30)::int, CASE WHEN random() < 0.1 THEN interval '1 ms' ELSE interval '400 ms' END);
			SELECT lease INTO mine FROM batch LIMIT 1;
			CONTINUE WHEN NOT FOUND;
			INSERT INTO leased SELECT mine, poller, clock_timestamp(), leased_until FROM _activity.consumer_lease WHERE lease = mine;
			COMMIT;
			INSERT INTO handled (lease, organization, position, id) SELECT lease, organization, position, id FROM batch;
			COMMIT;
			BEGIN
				PERFORM activity.ack('ship', mine);
				INSERT INTO acknowledged (lease) VALUES (mine);
			EXCEPTION WHEN SQLSTATE 'AC040' THEN
				INSERT INTO refused VALUES (mine);
			END;
			COMMIT;
		END LOOP;
	END
	$$;
	CREATE PROCEDURE once(poller int, rounds int) LANGUAGE plpgsql AS $$
	DECLARE
		mine uuid;
	BEGIN
		FOR i IN 1 .. rounds LOOP
			CREATE TEMP TABLE IF NOT EXISTS batch (lease uuid, organization text, position bigint, id uuid);
			TRUNCATE batch;
			INSERT INTO batch SELECT lease, organization, position, id FROM activity.poll('once', 1 + (random() * 30)::int);
			SELECT lease INTO mine FROM batch LIMIT 1;
			CONTINUE WHEN NOT FOUND;
			INSERT INTO effect (organization, position, id) SELECT organization, position, id FROM batch;
			PERFORM activity.ack('once', mine);
			COMMIT;
		END LOOP;
	END
	$$;
});

# A writer's transactions: most commit, one in five aborts, some in part, some are prepared.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $record = q{SELECT activity.record('org' || :org, 'order.created', jsonb_build_object('kind', 'order', 'id', :client_id), '{"amount": 1, "currency": "usd"}');};
append_to_file("$folder/writer.sql", qq{
\\set org random(1, 12)
\\set way random(1, 10)
\\set gid :client_id * 1000000 + random(1, 999999)
BEGIN;
$record
\\if :way <= 2
ROLLBACK;
\\elif :way <= 4
SAVEPOINT s;
$record
ROLLBACK TO s;
$record
COMMIT;
\\elif :way = 5
PREPARE TRANSACTION 'g:gid';
COMMIT PREPARED 'g:gid';
\\elif :way = 6
PREPARE TRANSACTION 'g:gid';
ROLLBACK PREPARED 'g:gid';
\\else
COMMIT;
\\endif
});
sub writers
{
	my ($transactions) = @_;
	return IPC::Run::start([ 'pgbench', '-n', '-c', 16, '-j', 2, '-t', $transactions, '-f', "$folder/writer.sql", $node->connstr('postgres') ],
		'>', \my $out, '2>', "$folder/writers");
}
sub poller
{
	my ($what) = @_;
	return { what => $what, run => IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres') . ' application_name=poller',
		'-c', "CALL $what(1, 1000000)" ], '>', \my $out, '2>', \my $error) };
}
sub pollers
{
	my ($ship, $once) = @_;
	return map { poller($_) } ('ship') x $ship, ('once') x $once;
}
# Those that were ended are started again.
sub disturb
{
	my ($pollers, $seconds) = @_;
	my $until = time + $seconds;
	while (time < $until)
	{
		usleep(30_000);
		$node->psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'poller' ORDER BY random() LIMIT 2});
		for my $poller (@$pollers)
		{
			next if $poller->{run}->pumpable;
			eval { $poller->{run}->finish };
			$poller = poller($poller->{what});
		}
	}
	return;
}
sub end_all
{
	my (@pollers) = @_;
	foreach my $poller (@pollers) { $poller->{run}->kill_kill(grace => 0) }
	$node->psql('postgres', q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'poller'});
	return;
}
# A rest that nobody disturbs.
sub drain
{
	my ($on) = @_;
	foreach my $what ('ship', 'once')
	{
		my $done = '';
		for (1 .. 600)
		{
			$on->safe_psql('postgres', "CALL $what(0, 40)");
			$done = $on->safe_psql('postgres', "SELECT lag_events = 0 FROM activity.consumers WHERE name = '$what'");
			last if $done eq 't';
			usleep(20_000);
		}
		is($done, 't', "$what comes to the end");
	}
	return;
}

# What must be, whatever was killed.
sub check
{
	my ($on, $when) = @_;
	my $stream = q{(SELECT o.id AS organization, s.position, s.id FROM _activity.stream s JOIN _activity.organization o ON o.key = s.organization) st};
	my %none = (
		'no event is missed' => "SELECT * FROM $stream EXCEPT SELECT h.organization, h.position, h.id FROM handled h JOIN acknowledged a USING (lease)",
		'none is acknowledged twice' => 'SELECT h.id FROM handled h JOIN acknowledged a USING (lease) GROUP BY 1 HAVING count(*) > 1',
		'each is acknowledged in its order' => q{SELECT * FROM (SELECT position, row_number() OVER (PARTITION BY organization ORDER BY a.n, h.position) AS due
			FROM handled h JOIN acknowledged a USING (lease)) o WHERE position <> due},
		'each is handled in its order, but for what comes again' => q{SELECT * FROM (SELECT position, max(position) OVER (PARTITION BY organization ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
			FROM handled) o WHERE position > coalesce(before, 0) + 1},
		'it comes again only after a lease that ended without' => q{SELECT * FROM handled one JOIN handled two ON two.id = one.id AND two.n <> one.n
			JOIN leased l ON l.lease = one.lease JOIN leased again ON again.lease = two.lease AND again.polled_at > l.polled_at
			WHERE one.lease IN (SELECT lease FROM acknowledged) OR again.polled_at < l.leased_until},
		'what was refused is not acknowledged' => 'SELECT lease FROM refused INTERSECT SELECT lease FROM acknowledged',
		'the effect is there once' => 'SELECT id FROM effect GROUP BY 1 HAVING count(*) > 1',
		'for every event' => "SELECT * FROM $stream EXCEPT SELECT organization, position, id FROM effect",
		'in its order' => 'SELECT * FROM (SELECT position, row_number() OVER (PARTITION BY organization ORDER BY n) AS due FROM effect) o WHERE position <> due');
	foreach my $name (sort keys %none)
	{
		is($on->safe_psql('postgres', "SELECT count(*) FROM ($none{$name}) x"), '0', "$when: $name");
	}
	is($on->safe_psql('postgres', 'SELECT count(*) FROM effect'), $on->safe_psql('postgres', 'SELECT count(*) FROM _activity.event'), "$when: as many effects as events");
	return;
}

# Everything at once, again until pollers were ended between their lease and its end.
my ($writers, @pollers);
for my $round (1 .. 20)
{
	$writers = writers(60);
	@pollers = pollers(8, 3);
	disturb(\@pollers, 4);
	$writers->finish or die slurp_file("$folder/writers");
	end_all(@pollers);
	last if $node->safe_psql('postgres', 'SELECT count(*) > 3 FROM leased WHERE lease NOT IN (SELECT lease FROM acknowledged)') eq 't';
}
drain($node);
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM _activity.event'), '>', 400, 'there are events');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM leased WHERE lease NOT IN (SELECT lease FROM acknowledged)'), '>', 3, 'leases that were not acknowledged');
check($node, 'after kills');

# The server is killed in the midst, and comes back.
foreach my $round (1 .. 3)
{
	$writers = writers(1000);
	@pollers = pollers(6, 3);
	usleep(700_000);
	$node->stop('immediate');
	eval { $_->finish } foreach $writers, map { $_->{run} } @pollers;
	$node->start;
	$node->safe_psql('postgres', $_) foreach split /\n/, $node->safe_psql('postgres', q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts});
}
$node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
drain($node);
check($node, 'after crashes');

# A standby that has everything is promoted, while leases are out; a dump restored.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$writers = writers(20);
$writers->finish;
$node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
$node->safe_psql('postgres', 'CALL ship(0, 3); CALL once(0, 3)');
my $out = $node->safe_psql('postgres', q{SELECT count(*) FROM activity.poll('ship', 50, '1 s')});
cmp_ok($out, '>', 0, 'a lease is out');
$node->wait_for_catchup($standby);
my $dump = "$folder/dump";
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{SELECT activity.record('org1', 'order.created', '{"kind": "order", "id": 1}', '{"amount": 1, "currency": "usd"}')});
$standby->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
drain($standby);
check($standby, 'after a promotion');
$standby->stop;
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
$target->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
$target->start;
command_ok([ 'pg_restore', '-1', '-d', $target->connstr('postgres'), $dump ], 'restored');
$target->safe_psql('postgres', q{SELECT activity.record('org1', 'order.created', '{"kind": "order", "id": 1}', '{"amount": 1, "currency": "usd"}')});
$target->safe_psql('postgres', 'SELECT activity.publish()') for 1 .. 2;
drain($target);
check($target, 'from a dump');
$target->stop;
done_testing();
