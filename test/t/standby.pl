# A hot standby: the feed, counts and everything else that reads works there;
# whatever would write says clearly that it can't. After promotion it records.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.record('org', 'auth.signin'); -- in the default partition
	SELECT activity.record('org', 'auth.signin', occurred_at => '2300-01-01');
});
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

# Months are made, rows moved and dropped while the standby replays it.
$primary->safe_psql('postgres', q{
	SELECT activity.set_tier('org', 'enterprise');
	SELECT activity.create_consumer('reader', start => 'earliest');
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}');
	SELECT activity.record('org', 'kitchen.burnt', jsonb_build_object('id', i, 'dish', 'soup'),
		occurred_at => now() - i * interval '1 month') FROM generate_series(0, 20) i;
	SELECT activity.maintain();
	CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
	SELECT activity.track('memberships', 'membership');
	INSERT INTO memberships VALUES (1, 'org', 'u1', 'member', 'active');
	SELECT activity.set_retention('org', '10 months');
	SELECT activity.maintain();
});
$primary->wait_for_catchup($standby);

foreach my $query (
	q{SELECT * FROM activity.feed('org', page_size => 1000)},
	q{SELECT * FROM activity.feed('org', event_types => '{kitchen.*}', page_size => 3)},
	q{SELECT * FROM activity.feed('org', viewer => 'u1', search => 'soup')},
	q{SELECT activity.feed_page('org')},
	q{SELECT activity.feed_count('org', subject => '5')},
	q{SELECT * FROM activity.summary('org', now() - interval '1 week', now())},
	q{SELECT * FROM activity.events ORDER BY id},
	q{SELECT * FROM activity.event_types ORDER BY key},
	q{SELECT organization, keep FROM activity.retention},
	q{SELECT activity.organization_tier('org')})
{
	my $there = $primary->safe_psql('postgres', $query);
	isnt($there, '', "something to see by $query");
	is($standby->safe_psql('postgres', $query), $there, "the standby says the same");
}

foreach my $command (
	q{SELECT activity.record('org', 'auth.signin')},
	q{SELECT activity.record('other', 'auth.signin')},
	q{SELECT activity.set_tier('org', 'free')},
	q{SELECT activity.set_tier('other', 'free')},
	q{SELECT activity.define_event_type('kitchen.served', 'Served')},
	q{SELECT activity.set_retention('org', '1 year')},
	q{SELECT activity.maintain()},
	q{SELECT activity.publish()},
	q{SELECT * FROM activity.poll('reader')},
	q{SELECT activity.seek('reader', 'now')},
	q{SELECT activity.place_hold('org', 'why')},
	q{SELECT * FROM activity.redact_person('u1', 'why')},
	q{SELECT * FROM activity.claim_deliveries()},
	q{SELECT activity.allow('pg_monitor', 'read')},
	q{SELECT activity.track('memberships', 'membership')},
	q{SELECT activity.untrack('memberships')},
	q{UPDATE memberships SET role = 'admin'})
{
	my ($result, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$command");
	like($err, qr/ERROR:  25006/, "refused: $command");
	unlike($err, qr/XX000/, 'and not by accident');
	note($err =~ /ERROR:.*/g);
}
is($standby->safe_psql('postgres', q{SELECT activity.set_actor('u1'); SELECT 1}), "\n1", 'an actor may be set');

my $before = $standby->safe_psql('postgres', q{SELECT count(*) FROM activity.events});
$standby->promote;
$standby->safe_psql('postgres', q{
	SELECT activity.record('org', 'auth.signin');
	UPDATE memberships SET role = 'admin';
	SELECT activity.maintain();
});
is($standby->safe_psql('postgres', q{SELECT count(*) FROM activity.events}), $before + 2,
	'recording goes on after promotion');
$standby->stop;
$primary->stop;
done_testing();
