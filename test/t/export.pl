# An export leaves its event however it ends: cancelled, terminated, rolled back, its
# reader gone; and gives the same bytes for the same cursor in any session, after more
# events, on a standby, and from a restored dump.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\nmax_prepared_transactions = 3\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE ROLE reader LOGIN;
	SELECT activity.allow('reader', 'read');
	SELECT count(activity.record('org', 'order.created', jsonb_build_object('kind', 'order', 'id', i), '{"amount": 1, "currency": "usd"}'))
	FROM generate_series(1, 20000) i;
	SELECT count(activity.record('few', 'order.created', jsonb_build_object('kind', 'order', 'id', i), '{"amount": 1, "currency": "usd"}'))
	FROM generate_series(1, 1500) i;
	SELECT activity.publish(), activity.publish(), activity.publish()});

# The exports of this label since the last call, as their events tell: rows, complete, actor.
my $number = 0;
sub exports
{
	my ($label) = @_;
	return $node->safe_psql('postgres', qq{SELECT coalesce(string_agg((metadata->>'rows' > '0') || ' ' || (metadata->>'complete') || ' ' || coalesce(actor_id, 'nobody'), ', ' ORDER BY id), '')
		FROM activity.events WHERE event_type = 'compliance.exported' AND metadata #>> '{filters,since}' = '$label'});
}

# psql of the reader, who says who he is; each export is found again by since when it asks.
sub as_reader
{
	my ($sql) = @_;
	my ($out, $error);
	$node->psql('postgres', "SET activity.actor_id = 'ann';\n$sql", stdout => \$out, stderr => \$error, on_error_stop => 0, extra_params => [ '-U', 'reader' ]);
	return $out . $error;
}
sub export_of { return "SELECT activity.export('org', 'ndjson', since => '$_[0]', event_types => '{order.*}')" }
my $name = sub { sprintf '2000-01-01T00:00:%02d.000000Z', $number++ };

my $label = $name->();
as_reader(export_of($label) . ';');
is(exports($label), 'true true ann', 'an export is an event');
$label = $name->();
as_reader('BEGIN; ' . export_of($label) . '; ROLLBACK;');
is(exports($label), 'true true ann', 'rolled back, too');
$label = $name->();
as_reader('BEGIN; ' . export_of($label) . "; SET LOCAL activity.actor_id = 'bob'; SELECT 1/0; COMMIT; SELECT 1;");
is(exports($label), 'true true ann', 'in a transaction that failed, by whom it was then');
$label = $name->();
as_reader('BEGIN; SAVEPOINT s; ' . export_of($label) . '; ROLLBACK TO s; COMMIT;');
is(exports($label), 'true true ann', 'behind a savepoint that was rolled back');
$label = $name->();
as_reader("DO \$\$ BEGIN PERFORM count(l) FROM activity.export('org', since => '$label') l; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;");
is(exports($label), 'true true ann', 'in a block that failed');
$label = $name->();
as_reader('BEGIN; ' . export_of($label) . '; SET TRANSACTION READ ONLY; COMMIT;');
is(exports($label), 'true true ann', 'in a transaction that writes nothing any more');
$label = $name->();
as_reader('BEGIN; ' . export_of($label) . '; ROLLBACK; SET default_transaction_read_only = on; DISCARD ALL; SET default_transaction_read_only = on; SELECT 1;');
is(exports($label), 'true true ann', 'in a session that writes nothing any more');
$label = $name->();
as_reader('BEGIN; DECLARE c CURSOR FOR ' . export_of($label) . '; FETCH 3 c; COMMIT;');
is(exports($label), 'true false ann', 'of which three lines were fetched');
$label = $name->();
as_reader('BEGIN; DECLARE c CURSOR FOR ' . export_of($label) . '; FETCH 3 c; ROLLBACK; SELECT 1;');
is(exports($label), 'true false ann', 'and that was rolled back');
$label = $name->();
as_reader('BEGIN; DECLARE c CURSOR WITH HOLD FOR ' . export_of($label) . '; FETCH 3 c; COMMIT; FETCH 3 c;');
is(exports($label), 'true true ann', 'of a cursor that outlives its transaction');
$label = $name->();
like(as_reader('BEGIN; ' . export_of($label) . " LIMIT 5; PREPARE TRANSACTION 'x'; COMMIT;"), qr/cannot PREPARE a transaction that has exported/, 'it can not be prepared');
is(exports($label), 'true false ann', 'and is recorded');
$label = $name->();
as_reader('BEGIN; DECLARE c CURSOR FOR SELECT export FROM (' . export_of($label) . ") much WHERE length(repeat(export, 20000)) > 0;
	FETCH 3 c; SET LOCAL statement_timeout = '200ms'; FETCH ALL c; ROLLBACK;");
is(exports($label), 'true false ann', 'cancelled by its time-out');
# Its reader goes away, or is sent away, in its midst.
foreach my $case ([ 'cancelled', 'pg_cancel_backend' ], [ 'terminated', 'pg_terminate_backend' ])
{
	my ($what, $how) = @$case;
	$label = $name->();
	my $reader = $node->background_psql('postgres', on_error_stop => 0);
	$reader->query_until(qr/order/, "SET activity.actor_id = 'ann'; BEGIN; DECLARE c CURSOR FOR " . export_of($label) . "; FETCH 10 c;\n");
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'});
	$node->safe_psql('postgres', "SELECT $how($pid)");
	if ($how eq 'pg_cancel_backend')
	{
		is(exports($label), '', 'the event of a transaction that goes on waits');
		$reader->query_until(qr/done/, "ROLLBACK; SELECT 1/0; SELECT 'done';\n");
	}
	ok($node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)" . ($how eq 'pg_cancel_backend' ? ' OR true' : '')), "it is $what");
	is(exports($label), 'true false ann', 'and is recorded');
	eval { $reader->quit };
}
$label = $name->();
my $pid_file = PostgreSQL::Test::Utils::tempdir() . '/pid';
system(join ' ', "PGUSER=reader psql -XqAt -d '" . $node->connstr('postgres') . "' -c \"SET activity.actor_id = 'ann'\"",
	"-c \"COPY (SELECT activity.export('org', since => '$label') FROM generate_series(1, 1000)) TO STDOUT\" | head -n 100 >$pid_file");
ok($node->poll_query_until('postgres', qq{SELECT count(*) > 0 FROM activity.events WHERE event_type = 'compliance.exported' AND metadata #>> '{filters,since}' = '$label'}),
	'a reader that went away');
like(exports($label), qr/true (true|false) ann$/, 'is recorded with what he got');

# The same bytes: in another session, later, on a standby, from a dump.
$node->safe_psql('postgres', q{SELECT activity.publish()}); # the exports themselves
my $cursor = $node->safe_psql('postgres', q{SELECT cursor FROM activity.stream_head('few')});
my @formats = qw(csv json ndjson cloudevents ocsf proof);
my %then = map { $_ => bytes($node, $_) } @formats;
sub bytes
{
	my ($from, $format) = @_;
	return $from->safe_psql('postgres', "SELECT activity.export('few', '$format', search => 'order', up_to => '$cursor')") . "\n";
}
sub same
{
	my ($from, $what) = @_;
	foreach my $format (@formats)
	{
		ok(bytes($from, $format) eq $then{$format}, "$format is the same $what");
	}
	return;
}
cmp_ok(scalar(() = $then{csv} =~ /\n/g), '>', 1500, 'there are bytes');
my $sums = $node->safe_psql('postgres', q{SELECT string_agg(metadata->>'sha256', ' ' ORDER BY id) FROM activity.feed('few', '{compliance.exported}', page_size => 6)});
is($sums, join(' ', map { sha256_hex($then{$_}) } @formats), 'their sums are recorded');
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{
	SELECT count(activity.record('few', 'order.created', '{"kind": "order", "id": "late"}', '{"amount": 1, "currency": "usd"}', occurred_at => now() - i * interval '1 hour'))
	FROM generate_series(0, 50) i;
	SELECT activity.publish();
	SELECT activity.record('few', 'order.created', '{"kind": "order", "id": "later"}', '{"amount": 1, "currency": "usd"}')});
same($node, 'after more events');
$node->wait_for_catchup($standby);
same($standby, 'on a standby');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
$target->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
$target->start;
$target->safe_psql('postgres', 'CREATE ROLE reader');
command_ok([ 'pg_restore', '-1', '-d', $target->connstr('postgres'), $dump ], 'restored');
same($target, 'from a restored dump');
$target->safe_psql('postgres', q{SELECT activity.publish()});
same($target, 'when the restored one publishes again');
$standby->promote;
same($standby, 'after a promotion');
$_->stop foreach $target, $standby;

# A server that is killed loses the event of a transaction that was not committed, and no other.
$label = $name->();
as_reader(export_of($label) . ';');
$node->stop('immediate');
$node->start;
is(exports($label), 'true true ann', 'a committed one outlives a crash');

# What is owed to an extension that is dropped is forgotten.
my ($status, $out, $error) = $node->psql('postgres', q{BEGIN; SELECT count(*) FROM activity.export('org'); ROLLBACK;
	DROP EXTENSION activity CASCADE; CREATE EXTENSION activity; SELECT count(*) FROM activity.events});
like("$status $out $error", qr/^0 \d+\n0 /, 'an extension can be dropped after an export');
$node->stop;
done_testing();
