# Nothing is lost and nothing is there twice: many clients record at once, in
# transactions that commit, abort, and roll back savepoints, over organizations
# that several of them meet at the same time, with ids of their own, too. Each
# transaction also writes what it did into a table; the two must agree.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "activity.notify = shared\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE did (organization text, id uuid);
	CREATE INDEX ON did (id);
});

# A client-made id of which few exist, so that clients collide on them.
my $few_ids = q{overlay(activity.event_id('2026-01-01'::timestamptz + :few::int * interval '1 ms')::text
	placing '8000-000000000000' from 20)::uuid};
my %script = (
	commit => q{
BEGIN;
INSERT INTO did SELECT 'org_' || :o::text, activity.record('org_' || :o::text, 'auth.signin', jsonb_build_object('id', :c::int));
INSERT INTO did SELECT 'new_' || :n::text, activity.record('new_' || :n::text, 'credit.add', '{}', jsonb_build_object('amount', :c::int));
COMMIT;},
	abort => q{
BEGIN;
INSERT INTO did SELECT 'new_' || :n::text, activity.record('new_' || :n::text, 'auth.signin');
INSERT INTO did SELECT 'org_' || :o::text, activity.record('org_' || :o::text, 'auth.signin');
ROLLBACK;},
	savepoint => q{
BEGIN;
SAVEPOINT a;
INSERT INTO did SELECT 'new_' || :n::text, activity.record('new_' || :n::text, 'auth.signin');
ROLLBACK TO a;
INSERT INTO did SELECT 'new_' || :n::text, activity.record('new_' || :n::text, 'auth.signup');
SAVEPOINT b;
INSERT INTO did SELECT 'org_' || :o::text, activity.record('org_' || :o::text, 'auth.signin');
RELEASE b;
COMMIT;},
	retry => qq{
INSERT INTO did SELECT 'org_' || :o::text, activity.record('org_' || :o::text, 'auth.signup', id => $few_ids);});

my $folder = PostgreSQL::Test::Utils::tempdir();
my @options;
for my $name (sort keys %script)
{
	my $sql = $script{$name};
	$sql = "\\set o random(1, 20)\n\\set n random(1, 2000)\n\\set c random(1, 100)\n"
	  . "\\set few random(1, 300)\n$sql\n";
	append_to_file("$folder/$name.sql", $sql);
	push @options, '-f', "$folder/$name.sql";
}
$node->command_ok(
	[ 'pgbench', '-n', '-c', 16, '-j', 2, '-t', 250, '-M', 'prepared', @options, 'postgres' ],
	'16 clients, no error');

my $count = sub { $node->safe_psql('postgres', $_[0]) };
cmp_ok($count->('SELECT count(*) FROM did'), '>', 4000, 'they did something');
is($count->(q{
	SELECT count(*) FROM (SELECT DISTINCT organization, id FROM did) d
	WHERE NOT EXISTS (
		SELECT FROM _activity.event e JOIN _activity.organization o ON o.key = e.organization
		WHERE o.id = d.organization AND e.id = d.id)}), 0, 'nothing is lost');
is($count->(q{
	SELECT count(*) FROM _activity.event e WHERE NOT EXISTS (
		SELECT FROM did d JOIN _activity.organization o ON o.id = d.organization
		WHERE o.key = e.organization AND d.id = e.id)}), 0, 'nothing is left of what was rolled back');
is($count->(q{SELECT count(*) - count(DISTINCT (organization, id)) FROM _activity.event}),
	0, 'nothing is there twice');
is($count->(q{SELECT count(*) FROM (SELECT id FROM _activity.organization
	GROUP BY id HAVING count(DISTINCT key) > 1) x}), 0, 'an organization has one key');
is($count->(q{SELECT count(*) FROM (SELECT key FROM _activity.organization
	GROUP BY key HAVING count(DISTINCT id) > 1) x}), 0, 'and a key one organization');
is($count->(q{
	SET enable_seqscan = off; SET enable_bitmapscan = off;
	SELECT count(*) FROM _activity.event e WHERE NOT EXISTS (
		SELECT FROM _activity.event f WHERE f.organization = e.organization AND f.type = e.type AND f.id = e.id)}),
	0, 'the indexes agree with the table');
unlike(slurp_file($node->logfile), qr/deadlock|PANIC|TRAP/, 'no deadlock');

$node->stop;
done_testing();
