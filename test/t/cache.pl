# What a session keeps of tables is right after an error, and does not grow:
# everything that is kept is changed and used a thousand times over.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 1\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.set_tier('org', 'premium');
	SELECT FROM activity.create_webhook('org', 'https://a.example.com/');
	SELECT activity.record('org', 'auth.signin');
});

# The publisher is interrupted while it reads who wants what: at first, and after
# a change. What is published afterwards finds its endpoints.
sub owed
{
	my ($change) = @_;
	my ($result, $out) = $node->psql('postgres', qq{
		SET lock_timeout = '50ms';
		$change;
		BEGIN;
		LOCK TABLE _activity.webhook_endpoint;
		PREPARE TRANSACTION 'lock';
		SELECT FROM activity.publish();
		COMMIT PREPARED 'lock';
		SELECT FROM activity.record('org', 'auth.signin');
		SELECT FROM activity.publish();
		SELECT count(*) FROM _activity.webhook_delivery;
	}, on_error_stop => 0);
	return $out;
}
is(owed('SELECT'), 2, 'an error at the first reading loses no delivery');
is(owed(q{SELECT FROM activity.publish();
	SELECT FROM activity.create_webhook('org', 'https://b.example.com/')}),
	4, 'nor does one at a later reading');

# One round of each; #N is its number.
my %round = (
	plans => q{
		CREATE TABLE t#N (id int PRIMARY KEY, org_id text, user_id text, role text);
		SELECT FROM activity.track('t#N', 'membership');
		INSERT INTO t#N VALUES (1, 'org', 'user', 'viewer');
		DROP TABLE t#N;},
	'plans that fail' => q{
		DO $$
		BEGIN
			INSERT INTO kept VALUES (1, NULL, 'user', 'strange');
		EXCEPTION WHEN OTHERS THEN
			PERFORM activity.track('kept', 'membership', on_unknown => CASE #N % 2 WHEN 0 THEN 'error' ELSE 'warn' END);
		END
		$$;},
	definitions => q{
		SELECT FROM activity.define_event_type('our.type', '{name} is #N');
		SELECT FROM activity.record('org', 'our.type', '{"name": "it"}');},
	audiences => q{
		SELECT FROM activity.update_webhook((SELECT min(endpoint_id::text)::uuid FROM activity.webhook_endpoints),
			event_types => ARRAY['credit.*', 'our.type']);
		SELECT FROM activity.record('org', 'auth.signin');
		SELECT FROM activity.publish();},
	tables => q{
		ANALYZE _activity.event_default (id), _activity.gap (reason);
		SELECT FROM activity.record('org', 'auth.signin', occurred_at => '2001-01-01');},
	organizations => q{
		DO $$ BEGIN PERFORM activity.record('org_#N_' || n, 'auth.signin') FROM generate_series(1, 50) n; END $$;},
	actors => q{
		BEGIN;
		SELECT FROM activity.set_actor('user_#N', context => '{"request": #N}');
		SELECT FROM activity.record('org', 'auth.signin');
		COMMIT;},
	gaps => q{
		BEGIN;
		INSERT INTO parts VALUES (1, 1, 'org', 'user', 'strange_#N');
		SAVEPOINT a;
		INSERT INTO parts VALUES (2, 1, 'org', 'user', 'strange too #N');
		ROLLBACK TO a;
		ROLLBACK;},
	'moving rows' => q{
		UPDATE parts SET part = 3 - part, role = CASE part WHEN 1 THEN 'admin' ELSE 'viewer' END;},
);

# What is bounded by a number of entries may be half full at first.
my %grows = (organizations => 2_000_000);

my $setup = q{
	SET client_min_messages = error;
	CREATE TABLE kept (id int, org_id text, user_id text, role text);
	SELECT FROM activity.track('kept', 'membership', on_unknown => 'error');
	CREATE TABLE parts (id int, part int, org_id text, user_id text, role text) PARTITION BY LIST (part);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
	SELECT FROM activity.track('parts', 'membership');
	INSERT INTO parts VALUES (0, 1, 'org', 'user', 'viewer');
	SELECT FROM activity.define_event_type('our.type', '{name}');
};
$node->safe_psql('postgres', $setup);
# PostgreSQL 18 has numbers of all those above instead of the parent's name.
my $is_below = $node->safe_psql('postgres', 'SHOW server_version_num') < 180000 ? "parent LIKE 'activity%'"
	: q{path && ARRAY(SELECT o.path[o.level] FROM context o WHERE o.name LIKE 'activity%')};
my $measure = qq{
	WITH context AS MATERIALIZED (SELECT * FROM pg_backend_memory_contexts)
	SELECT count(*), sum(total_bytes) FILTER (WHERE name LIKE 'activity%' OR $is_below)
		+ sum(total_bytes) FILTER (WHERE name = 'TopMemoryContext'),
		count(*) FILTER (WHERE name LIKE 'activity%' OR ident LIKE 'activity%')
	FROM context;
};
foreach my $what (sort keys %round)
{
	my $began = time;
	my ($done, $script) = (0, "SET client_min_messages = error;\n");
	foreach my $until (100, 1100)
	{
		while ($done < $until)
		{
			$done++;
			$script .= $round{$what} =~ s/#N/$done/gr;
		}
		$script .= $measure;
	}
	my ($before, $after) = split /\n/, $node->safe_psql('postgres', $script);
	my ($contexts, $bytes, $ours) = split /\|/, $before;
	my ($contexts2, $bytes2, $ours2) = split /\|/, $after;
	note("$what: $before, then $after; ", time - $began, " s");	cmp_ok($contexts2 - $contexts, '<', 20, "$what: as many memory contexts after a thousand rounds");
	cmp_ok($ours2 - $ours, '<', 5, "$what: of ours, too");
	cmp_ok($bytes2 - $bytes, '<', $grows{$what} // 20_000, "$what: as much memory");
}
$node->stop;
done_testing();
