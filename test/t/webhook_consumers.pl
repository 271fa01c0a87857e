# Many consumers at once, one of them killed, while events are recorded and
# published: nothing is lost, nothing is sent twice but what the killed one held.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($endpoints, $events, $consumers) = (20, 3000, 4);
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# What the killed one holds must not fill an endpoint, or that waits for the lease.
$node->append_conf('postgresql.conf', "activity.webhook_concurrency = 100\n");
$node->start;
$node->safe_psql('postgres', qq{
	SET client_min_messages = warning;
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE sent (delivery_id uuid, attempt int, consumer int);
	CREATE TABLE stop ();
	SELECT activity.set_tier('org' || n, 'premium') FROM generate_series(1, $endpoints) n;
	SELECT FROM generate_series(1, $endpoints) n,
		LATERAL activity.create_webhook('org' || n, 'https://example.com/', '{credit.*}');
	CREATE PROCEDURE consume(consumer int) LANGUAGE plpgsql AS \$\$
	DECLARE
		ids uuid[];
		attempts int[];
		idle int := 0;
	BEGIN
		WHILE CASE consumer WHEN 99 THEN idle < 3 ELSE NOT EXISTS (SELECT FROM stop) END LOOP
			SELECT array_agg(delivery_id), array_agg(attempt) INTO ids, attempts
			FROM activity.claim_deliveries(7, '1 hour');
			INSERT INTO sent SELECT i, a, consumer FROM unnest(ids, attempts) v (i, a);
			COMMIT;
			PERFORM activity.report_delivery(i, a, 200) FROM unnest(ids, attempts) v (i, a);
			COMMIT;
			idle := CASE WHEN ids IS NULL THEN idle + 1 ELSE 0 END;
			PERFORM activity.publish();
			COMMIT;
		END LOOP;
	END \$\$;
});

my @writers = map { start_psql("SELECT activity.record('org' || 1 + n % $endpoints, 'credit.charge', '{\"amount\": 1}')"
	. " FROM generate_series(1, $events / 2) n") } 1 .. 2;
my $victim = start_psql("SET application_name = victim; SELECT count(*) FROM activity.claim_deliveries(50, '1 hour');"
	. ' SELECT activity.publish(); CALL consume(0)');
my @consumers = map { start_psql("CALL consume($_)") } 1 .. $consumers;
$node->poll_query_until('postgres', 'SELECT count(*) > 200 FROM sent') or die 'nothing is sent';
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
# The killed one held 50 at most, and one batch.
$node->poll_query_until('postgres', "SELECT count(*) >= $events - 60 FROM sent") or die 'not everything is sent';
$node->safe_psql('postgres', 'INSERT INTO stop DEFAULT VALUES');
$_->{run}->finish foreach @writers, @consumers, $victim;
is(join('', map { $_->{err} } @writers, @consumers), '', 'nobody fails');

# What the killed one held, and what was published last.
$node->safe_psql('postgres', q{
	SELECT activity.publish();
	SET activity.clock_offset = '2 h';
	CALL consume(99);
});
is($node->safe_psql('postgres', 'SELECT status, count(*) FROM activity.webhook_deliveries GROUP BY 1'),
	"delivered|$events", 'everything is delivered');
is($node->safe_psql('postgres', "SELECT count(*) FROM activity.events WHERE event_type = 'webhook.delivered'"),
	$events, 'and has its outcome');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM sent GROUP BY delivery_id, attempt HAVING count(*) > 1) v'),
	0, 'no attempt was given to two consumers');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM sent WHERE consumer <> 99 GROUP BY delivery_id HAVING count(*) > 1) v'),
	0, 'no delivery was sent twice while its lease held');
cmp_ok($node->safe_psql('postgres', 'SELECT count(DISTINCT consumer) FROM sent WHERE consumer BETWEEN 1 AND 98'), '>', 1,
	'several consumers took part');
done_testing();

sub start_psql
{
	my ($sql) = @_;
	my %one = (out => '', err => '');
	$one{run} = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', 'SET client_min_messages = warning',
			map { ('-c', $_) } split /; /, $sql ], '>', \$one{out}, '2>', \$one{err});
	return \%one;
}
