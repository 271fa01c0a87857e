# Erasure to the end: a server killed in the middle of one has erased nothing, one
# that is done leaves nothing in the data files, and a backup from before is brought to the
# same state by the ledger, holds included.
use strict;
use warnings;
use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('privacy');
$node->init;
$node->start;
my @needles = ('person_4711_zq', 'Annabel Zq Longname', 'annabel.zq@example.org', '192.0.2.211');

$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE EXTENSION activity CASCADE;
	SELECT activity.set_tier(o, 'enterprise') FROM unnest('{acme,other}'::text[]) o;
	SELECT activity.create_webhook('acme', 'https://hooks.example.com/', '{credit.*}');
	SELECT activity.maintain(since => now() - interval '3 months');
	BEGIN;
	SELECT activity.set_actor('person_4711_zq', name => 'Annabel Zq Longname', context => '{"ip": "192.0.2.211"}');
	SELECT count(activity.record('acme', 'credit.charge', jsonb_build_object('amount', n, 'email', 'annabel.zq@example.org'),
		occurred_at => now() - n * interval '1 minute')) FROM generate_series(1, 20000) n;
	SELECT activity.record('other', 'auth.signin');
	COMMIT;
	SELECT count(activity.record('acme', 'credit.charge', '{"amount": 1}')) FROM generate_series(1, 100);
	CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text);
	SELECT activity.track('memberships', 'membership');
	INSERT INTO memberships VALUES (1, 'acme', 'person_4711_zq', 'member');
	SELECT activity.create_connection('acme', 'person_4711_zq', 'Annabel Zq Longname''s phone');
	DELETE FROM memberships;
	VACUUM memberships;
	SELECT activity.place_hold('other', 'case 9', actor => 'person_4711_zq') });
publish();
$node->safe_psql('postgres', q{SELECT count(activity.report_delivery(delivery_id, attempt, 200, response_body => body)) FROM activity.claim_deliveries(100)});
my $counts = counts();

sub publish
{
	my ($database) = @_;
	$node->poll_query_until($database // 'postgres', 'SELECT activity.publish() = 0') or die;
	return;
}

sub counts
{
	my ($database) = @_;
	return $node->safe_psql($database // 'postgres', q{
		SELECT organization, event_type, count(*) FROM activity.events
		WHERE activity.category(event_type) <> 'compliance' GROUP BY 1, 2 ORDER BY 1, 2});
}

# Which needles are in the cluster's data files.
sub in_files
{
	my %seen;
	$node->safe_psql('postgres', 'CHECKPOINT');
	find({ no_chdir => 1, wanted => sub {
		return unless -f;
		my $content = slurp_file($_);
		$seen{$_}++ foreach grep { index($content, $_) >= 0 } @needles;
	} }, $node->data_dir . '/base', $node->data_dir . '/global');
	return join ', ', sort keys %seen;
}

# In no column of any table of ours.
sub in_tables
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		DO $$ DECLARE c record; n bigint; needle text; BEGIN
			CREATE TEMP TABLE found (place text);
			FOR c IN SELECT a.attrelid::regclass AS t, a.attname FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid
				WHERE k.relnamespace = '_activity'::regnamespace AND k.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped LOOP
				FOREACH needle IN ARRAY ARRAY[} . join(',', map { "'$_'" } @needles) . q{] LOOP
					EXECUTE format('INSERT INTO found SELECT %L FROM %s WHERE position(%L IN %I::text) > 0 LIMIT 1',
						c.t || '.' || c.attname, c.t, needle, c.attname);
				END LOOP; END LOOP; END $$;
		SELECT string_agg(DISTINCT place, ', ') FROM found});
}

sub verified
{
	my ($database, $name) = @_;
	is($node->safe_psql($database, q{SELECT v.* FROM unnest('{acme,other}'::text[]) o, activity.verify(o) v}), '', "$name: the proof is clean");
	foreach my $organization ('acme', 'other')
	{
		my $query = `scripts/verify-chain -q $organization`;
		my $copy = PostgreSQL::Test::Utils::tempdir() . '/copy';
		append_to_file($copy, $node->safe_psql($database, $query) . "\n");
		my $said = `scripts/verify-chain $organization <$copy`;
		like($said, qr/\Ahead \d+ \w+\n\z/, "$name: so says the script of $organization");
	}
	return;
}

verified('postgres', 'before');
my $all = join ', ', sort @needles;
is(in_files(), $all, 'the scan of the data files finds what is there');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/before.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'a backup');

# Killed in the middle.
$node->safe_psql('postgres', q{SELECT activity.release_hold(id, 'settled') FROM activity.holds});
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->{stdin} .= "SELECT sum(events) FROM activity.redact_person('person_4711_zq', 'she asked', pseudonym => 'p-1');\n";
$session->{run}->pump_nb;
# A part of the rows have been written again, which another session sees as a larger table.
my $size = $node->safe_psql('postgres', q{SELECT sum(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '_activity.event'::regclass});
$node->poll_query_until('postgres', qq{
	SELECT sum(pg_relation_size(inhrelid)) > $size + 1000000 FROM pg_inherits WHERE inhparent = '_activity.event'::regclass}) or die 'not begun';
my $backend = $node->safe_psql('postgres', q{
	SELECT pid FROM pg_stat_activity WHERE query ~ 'redact_person' AND state = 'active' AND pid <> pg_backend_pid()});
ok($backend, 'in the middle of it');
kill 'KILL', $backend;
$node->kill9;
eval { $session->quit };
while (-e $node->data_dir . '/postmaster.pid' && kill 0, (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0])
{
	select undef, undef, undef, 0.05;
}
$node->start;
is($node->safe_psql('postgres', q{SELECT activity.feed_count('acme', actor => 'person_4711_zq')}), 20000, 'killed, it has erased nothing');
is($node->safe_psql('postgres', 'SELECT count(*) FROM activity.redactions'), 0, 'and says so');
verified('postgres', 'killed');

# To the end.
is($node->safe_psql('postgres', q{
	SELECT string_agg(organization || ' ' || events, ', ' ORDER BY organization)
	FROM activity.redact_person('person_4711_zq', 'she asked', pseudonym => 'p-1')}), 'acme 20002, other 2', 'done');
publish();
is(counts(), $counts, 'counts by type are the same');
is(in_tables('postgres'), '', 'nothing is in the tables');
verified('postgres', 'done');
note('a plain VACUUM leaves: ' . do { $node->safe_psql('postgres', 'VACUUM'); in_files() });
$node->safe_psql('postgres', q{
	SELECT format('VACUUM (FULL, ANALYZE) %s', oid::regclass) FROM pg_class
	WHERE relnamespace = '_activity'::regnamespace AND relkind = 'r' OR oid = 'memberships'::regclass \gexec
	VACUUM (FULL) pg_catalog.pg_statistic});
is(in_files(), '', 'nothing is in the data files');

# A restored backup brings her back, with the hold; the ledger does it again.
my $ledger = $node->safe_psql('postgres', 'SELECT activity.redaction_ledger()');
unlike($ledger, qr/person_4711|Annabel|zq\@/, 'the ledger names nobody');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', 'restored', '--single-transaction', $dump ], 'restored from before');
isnt(in_tables('restored'), '', 'she is there again');
my $file = PostgreSQL::Test::Utils::tempdir() . '/ledger.json';
append_to_file($file, $ledger);
my $replay = "\\set ledger `cat $file`\nSELECT activity.replay_redactions(:'ledger');";
my ($result, $out, $err) = $node->psql('restored', "\\set VERBOSITY verbose\n$replay");
like($err, qr/55006: .*is under the hold/, 'the hold is there again, and in the way');
$node->safe_psql('restored', q{SELECT activity.release_hold(id, 'settled') FROM activity.holds});
is($node->safe_psql('restored', $replay), 20004, 'the ledger is replayed');
is($node->safe_psql('restored', $replay), 0, 'again it does nothing');
publish('restored');
# Her secret and what the ledger can't know of is gone by asking again.
$node->safe_psql('restored', q{SELECT activity.redact_person('person_4711_zq', 'she asked', pseudonym => 'p-1')});
is(in_tables('restored'), '', 'she is nowhere');
is(counts('restored'), $counts, 'the counts are the same');
publish('restored');
verified('restored', 'restored');
$node->stop;
done_testing();
