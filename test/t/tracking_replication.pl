# Logical replication: a change of a tracked table is recorded where it was made,
# and on the subscriber only if the table asks for it there. Partitions and
# TRUNCATE included.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;

my $tables = q{
	SET client_min_messages = warning;
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE quiet (org_id text, user_id text, role text, PRIMARY KEY (org_id, user_id));
	CREATE TABLE loud (org_id text, user_id text, role text, PRIMARY KEY (org_id, user_id))
		PARTITION BY LIST (org_id);
	CREATE TABLE loud_a PARTITION OF loud FOR VALUES IN ('a');
	CREATE TABLE loud_b PARTITION OF loud FOR VALUES IN ('b');
	CREATE TABLE loud_other PARTITION OF loud DEFAULT;
};
$publisher->safe_psql('postgres', $tables . q{
	SELECT activity.track('quiet', 'membership');
	SELECT activity.track('loud', 'membership');
	CREATE PUBLICATION everything FOR TABLE quiet, loud WITH (publish_via_partition_root);
});
$subscriber->safe_psql('postgres', $tables . q{
	SELECT activity.track('quiet', 'membership');
	SELECT activity.track('loud', 'membership', rules => '{"replica": true}');
});
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION everything CONNECTION '$connection' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'everything');

$publisher->safe_psql('postgres', q{
	INSERT INTO quiet VALUES ('a', 'q1', 'viewer'), ('a', 'q2', 'viewer');
	UPDATE quiet SET role = 'admin' WHERE user_id = 'q1';
	INSERT INTO loud VALUES ('a', 'l1', 'viewer'), ('b', 'l2', 'viewer');
	UPDATE loud SET role = 'admin' WHERE user_id = 'l1';
	DELETE FROM loud WHERE user_id = 'l2';
	TRUNCATE quiet, loud;
});
$publisher->wait_for_catchup('everything');

sub events
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT string_agg(activity.action(event_type) || ' ' || subject_id, ', ' ORDER BY id)
		FROM activity.events});
}

is($subscriber->safe_psql('postgres', 'SELECT (SELECT count(*) FROM quiet) + (SELECT count(*) FROM loud)'),
	'0', 'the subscriber has applied everything');
is(events($publisher),
	'joined q1, joined q2, role_changed q1, joined l1, joined l2, role_changed l1, removed l2, removed q2, removed q1, removed l1',
	'everything is recorded where it was made');
is(events($subscriber), 'joined l1, joined l2, role_changed l1, removed l2, removed l1',
	'and on the subscriber what asks for it');

# A change made on the subscriber itself is its own.
$subscriber->safe_psql('postgres', q{INSERT INTO quiet VALUES ('a', 'local', 'viewer')});
like(events($subscriber), qr/, joined local$/, 'what the subscriber does itself is recorded there');

# A row that names what can be no organization does not stop it.
$publisher->safe_psql('postgres', q{INSERT INTO loud VALUES ('', 'odd', 'viewer'), (repeat('o', 256), 'long', 'viewer')});
$publisher->wait_for_catchup('everything');
is($subscriber->safe_psql('postgres', q{SELECT sum(changes) FROM activity.gaps}), '2', 'it is counted there');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION everything');
$subscriber->stop;
$publisher->stop;
done_testing();
