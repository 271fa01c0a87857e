# The numbers equal the log whatever happens to who folds them: the worker and a
# session publish in turn and maintain() puts rows together, under load, while either
# is killed; then a standby is promoted, and a dump restored.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', join "\n", "shared_preload_libraries = 'activity'",
	"activity.databases = 'postgres'", "activity.default_tier = 'enterprise'",
	'restart_after_crash = on', 'activity.publish_batch = 20', '');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
$node->safe_psql('postgres', q{
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt');
	SELECT activity.define_measure('kitchen.burnt', 'burnt', 'grams', 'g', 'dish')});

my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/record.sql", q{\set o random(1, 3)
\set n random(1, 30)
SELECT activity.record('org_' || :o::text, (ARRAY['credit.charge', 'auth.signin', 'kitchen.burnt', 'order.created'])[1 + i % 4]::activity.event_type,
	'{"id": "x"}', jsonb_build_object('amount', i + 0.25, 'currency', 'eur', 'grams', CASE WHEN i % 5 > 0 THEN i::text ELSE 'many' END, 'dish', 'd' || i % 2),
	occurred_at => now() - i * interval '7 minutes')
FROM (SELECT i, activity.set_actor('u' || i % 3) FROM generate_series(1, :n) i) i (i);
});
append_to_file("$folder/publish.sql", "SELECT activity.publish();\n");
append_to_file("$folder/maintain.sql", "SELECT _activity.lock_upkeep(), _activity.maintain_rollups(1000, 4);\n");

# In one snapshot, so it holds under load, too. One row for each organization whose
# numbers differ from its events.
my $differing = q{
	SELECT o.id, l.*, r.* FROM (SELECT DISTINCT id FROM _activity.organization) o
	CROSS JOIN LATERAL (SELECT count(*) AS events, sum((e.metadata->>'amount')::numeric) FILTER (WHERE e.event_type = 'credit.charge') AS charged,
			sum(CASE WHEN e.event_type = 'kitchen.burnt' AND e.metadata->>'grams' <> 'many' THEN (e.metadata->>'grams')::numeric END) AS burnt
		FROM activity.events e WHERE e.organization = o.id) l
	CROSS JOIN LATERAL (SELECT (SELECT sum(t.events) FROM activity.timeline(o.id, NULL, NULL) t) AS events,
			(SELECT sum(u.amount) FROM activity.usage(o.id, NULL, NULL) u) AS charged,
			(SELECT sum(u.amount) FROM activity.usage(o.id, NULL, NULL, 'burnt') u) AS burnt) r
	WHERE l::text IS DISTINCT FROM r::text};
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'activity publisher'};

sub is_back
{
	my $out = '';
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SELECT count(*) FROM ($worker) w" ],
		'<', \undef, '>', \$out, '2>', \my $errors);
	return $out =~ /^1$/;
}

sub check
{
	my ($where, $when, $database) = @_;
	$database //= 'postgres';
	is($where->safe_psql($database, $differing), '', "$when: the numbers are those of the events");
	is($where->safe_psql($database, "SELECT o.id, v.* FROM (SELECT DISTINCT id FROM _activity.organization) o CROSS JOIN LATERAL activity.rollup_verify(o.id) v"), '',
		"$when: the rollups equal the log");
	return;
}

foreach my $round (1 .. 6)
{
	my $load = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 6, '-T', 60,
			'-f', "$folder/record.sql\@20", '-f', "$folder/publish.sql\@6", '-f', "$folder/maintain.sql\@2", 'postgres' ],
		'<', \undef, '>', \(my $out), '2>', \(my $errors));
	# Well into it, and at another moment each time.
	my $done = $node->safe_psql('postgres', 'SELECT count(*) FROM _activity.stream') + 300 + int rand 1500;
	$node->poll_query_until('postgres', "SELECT count(*) > $done FROM _activity.stream");
	is($node->safe_psql('postgres', $differing), '', "round $round: the numbers are those of the events, meanwhile") if $round < 3;
	if ($round % 2)
	{
		$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($worker) w");
		kill 'KILL', $node->safe_psql('postgres', $worker);
		$load->finish;
	}
	else
	{
		$node->stop('immediate');
		$load->finish;
		$node->start;
	}
	my $patience = 300;
	select(undef, undef, undef, 0.1) while $patience-- && !is_back();
	cmp_ok($patience, '>', 0, "round $round: the worker is back");
	check($node, "round $round");
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM _activity.rollup WHERE kind = 1'), '>', 0, 'some of it was put together');

# A standby becomes the primary, and goes on.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{SELECT activity.record('org_1', 'credit.charge', '{}', '{"amount": 3, "currency": "eur"}') FROM generate_series(1, 100)});
$node->wait_for_catchup($standby);
check($standby, 'on the standby');
$node->stop('immediate');
$standby->promote;
check($standby, 'promoted');
$standby->safe_psql('postgres', q{SELECT activity.record('org_2', 'credit.charge', '{}', '{"amount": 4, "currency": "eur"}') FROM generate_series(1, 100)});
$standby->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health');
$standby->safe_psql('postgres', 'SELECT _activity.lock_upkeep(), _activity.maintain_rollups(1000000, 1)');
check($standby, 'promoted, and gone on');

# A dump, in which some is not published yet.
$standby->safe_psql('postgres', q{SELECT activity.record('org_3', 'credit.charge', '{}', '{"amount": 5, "currency": "eur"}') FROM generate_series(1, 100)});
$standby->safe_psql('postgres', 'CREATE DATABASE other');
$standby->run_log([ 'pg_dump', '-d', $standby->connstr('postgres'), '-f', "$folder/dump.sql" ]);
$standby->run_log([ 'psql', '-Xq', '-d', $standby->connstr('other'), '-f', "$folder/dump.sql" ]);
check($standby, 'restored', 'other');
1 while $standby->safe_psql('other', 'SELECT activity.publish()') > 0;
check($standby, 'restored and published', 'other');
$standby->stop;
done_testing();
