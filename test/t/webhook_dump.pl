# A dump keeps webhooks: endpoints, secrets, what is owed and what was tried; in
# the fresh cluster sending goes on where it was, and nothing is sent twice that
# was delivered. The same for an ordinary role that owns database and extension.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init;
$source->start;
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
$target->start;
$_->safe_psql('postgres', 'CREATE ROLE keeper LOGIN') foreach $source, $target;

my $states = 'SELECT status, attempts, count(*) FROM activity.webhook_deliveries GROUP BY 1, 2 ORDER BY 1, 2';

foreach my $owner ('', 'keeper')
{
	my $database = "webhooks$owner";
	my @as = $owner ? (extra_params => [ '-U', $owner ]) : ();
	my $who = $owner || 'a superuser';
	foreach my $node ($source, $target)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $database" . ($owner ? " OWNER $owner" : ''));
	}
	$source->safe_psql($database, q{
		SET client_min_messages = warning;
		CREATE EXTENSION activity CASCADE;
		SELECT activity.set_tier('org', 'premium');
		SELECT FROM activity.create_webhook('org', 'https://example.com/hook', '{credit.*}');
		SELECT activity.record('org', 'credit.charge', '{"amount": 5}') FROM generate_series(1, 30);
		SELECT activity.publish();
		SELECT activity.report_delivery(delivery_id, attempt, 200) FROM activity.claim_deliveries(5, '60 s');
		SELECT activity.report_delivery(delivery_id, attempt, 500) FROM activity.claim_deliveries(1, '60 s');
		SELECT * FROM activity.claim_deliveries(2, '1 h');
		SELECT activity.rotate_webhook_secret(endpoint_id) FROM activity.webhook_endpoints;
	}, @as);
	my $before = $source->safe_psql($database, $states, @as);
	is($before, "delivered|1|5\nsending|0|2\nwaiting|0|22\nwaiting|1|1", "$who: all kinds of deliveries");

	my $dump = $source->basedir . "/$database.dump";
	command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $source->connstr($database), $owner ? ('-U', $owner) : () ],
		"$who dumps");
	command_ok([ 'pg_restore', '-1', '-e', '-d', $target->connstr($database), $owner ? ('-U', $owner) : (), $dump ],
		"$who restores in one transaction without an error");
	is($target->safe_psql($database, $states, @as), $before, "$who: they stand where they stood");

	is($target->safe_psql($database, q{
		SELECT min(cardinality(string_to_array(headers->>'webhook-signature', ' '))), max(attempt)
		FROM activity.claim_deliveries(1, '60 s');
	}, @as), '2|1', "$who: signed with both secrets");
	$target->safe_psql($database, q{
		SELECT activity.record('org', 'credit.charge', '{"amount": 5}');
		SELECT activity.publish();
	}, @as);
	is($target->safe_psql($database, 'SELECT count(*) FROM activity.webhook_deliveries', @as), '31',
		"$who: what happens now is owed, too");
	$target->safe_psql($database, q{
		DO $$
		DECLARE
			n bigint;
		BEGIN
			FOR hour IN 1 .. 5 LOOP
				LOOP
					SELECT count(activity.report_delivery(delivery_id, attempt, 200)) INTO n
					FROM activity.claim_deliveries(100, '60 s');
					EXIT WHEN n = 0;
				END LOOP;
				PERFORM set_config('activity.clock_offset', hour || 'h', false);
			END LOOP;
		END $$;
	}); # by a superuser, who may move the clock
	is($target->safe_psql($database, 'SELECT status, count(*) FROM activity.webhook_deliveries GROUP BY 1', @as),
		'delivered|31', "$who: in the end everything is delivered");
	is($target->safe_psql($database, q{
		SELECT count(*) FROM activity.webhook_attempts WHERE status_code = 200 GROUP BY delivery_id HAVING count(*) > 1;
	}, @as), '', "$who: once");
}
done_testing();
