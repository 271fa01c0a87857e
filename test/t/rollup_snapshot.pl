# A snapshot that is kept does not bloat the rollups without bound: while it lasts, rows are put together
# ever more seldom, the numbers stay right, and afterwards all is as it would have been.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nactivity.default_tier = 'enterprise'\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE done (round int, compacted bigint);
	-- As the worker does: small batches are published, and maintain() comes by.
	CREATE PROCEDURE go(rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. rounds LOOP
			FOR i IN 1 .. 32 LOOP
				PERFORM activity.set_actor('u' || i % 5), activity.record('o', 'credit.charge', jsonb_build_object('agent_id', 'a' || (n + i) % 7),
					jsonb_build_object('amount', i), occurred_at => now() - random() * interval '1 day') FROM generate_series(1, 3);
				COMMIT;
				PERFORM activity.publish();
				COMMIT;
			END LOOP;
			INSERT INTO done SELECT n, coalesce(sum(m.rows), 0) FROM activity.maintain() m WHERE m.action = 'compact';
			COMMIT;
		END LOOP;
	END
	$$});
sub pages { return $node->safe_psql('postgres', q{VACUUM _activity.rollup; SELECT pg_total_relation_size('_activity.rollup') / 8192}) }
sub compactions { return $node->safe_psql('postgres', 'WITH d AS (DELETE FROM done RETURNING *) SELECT count(*) FROM d WHERE compacted > 0') }
sub right
{
	my ($when) = @_;
	is($node->safe_psql('postgres', q{SELECT count(*) FROM activity.rollup_verify('o')}), '0', "the rollups equal the log, $when");
	is($node->safe_psql('postgres', q{SELECT sum(events) FROM activity.timeline('o', now() - interval '3 days', now() + interval '1 day')}),
		$node->safe_psql('postgres', q{SELECT activity.feed_count('o')}), "and so do the numbers, $when");
	return;
}

my $rounds = 24;
$node->safe_psql('postgres', 'CALL go(8)');
is(compactions(), 8, 'each maintain() puts together');
my $before = pages();
my $snapshot = $node->background_psql('postgres');
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', "CALL go($rounds)");
my $count = compactions();
cmp_ok($count, '>', 1, 'while a snapshot lasts it happens');
cmp_ok($count, '<=', 8, "but not each time ($count of $rounds)");
my $during = pages();
right('while it lasts');
$snapshot->query_safe('COMMIT');
$snapshot->quit;
pages();
$node->safe_psql('postgres', 'CALL go(1)');
is(compactions(), 1, 'afterwards it happens again');
$node->safe_psql('postgres', 'SELECT _activity.maintain_rollups(1000000, 1)');
right('afterwards');
my $packed = $node->safe_psql('postgres', q{VACUUM FULL _activity.rollup; SELECT pg_total_relation_size('_activity.rollup') / 8192});
diag("pages: $before before, $during after $rounds rounds with a snapshot, $packed packed");
cmp_ok($during, '<', 6 * $packed + $before, 'what stays for a snapshot is a few times what there is');
$node->stop;
done_testing();
