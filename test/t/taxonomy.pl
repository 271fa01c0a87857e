# The application's event types outlive dump and restore in any order, also where
# views, defaults and tables of its own name them; logical decoding prints them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
# Newer minors load no output plugin that is not listed.
$node->append_conf('postgresql.conf', "max_prepared_transactions = 4\n");
$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, test_decoding'\n")
  if knows_output_plugin_libraries($node);
$node->start;

# Whether the server knows the setting.
sub knows_output_plugin_libraries
{
	my ($stopped) = @_;
	my ($out, $err) = run_command(
		[ 'postgres', '-D', $stopped->data_dir, '-C', 'output_plugin_libraries' ]);
	return $err !~ /unrecognized configuration parameter/;
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.define_event_type('report.exported', 'Exported {name}', '{name}', 'Reports', 'report', 'Out');
	SELECT activity.define_event_type('report.gone', 'Gone');
	-- A schema whose rows are restored before ours.
	CREATE SCHEMA "App";
	CREATE TABLE "App".log (
		type  activity.event_type DEFAULT 'report.exported',
		types activity.event_type[]
	);
	CREATE INDEX ON "App".log (type) WHERE type = 'report.exported';
	CREATE VIEW "App".exported AS SELECT * FROM "App".log WHERE type = 'report.exported';
	CREATE FUNCTION "App".default_type() RETURNS activity.event_type LANGUAGE sql STABLE
		BEGIN ATOMIC SELECT 'report.exported'::activity.event_type; END;
	INSERT INTO "App".log VALUES (DEFAULT, '{report.exported,credit.charge}'), ('credit.add', NULL), ('report.gone', NULL);
	DELETE FROM _activity.event_type_definition WHERE key = 'report.gone';
});

my $rows = q{SELECT type, types FROM "App".log ORDER BY type::text};
my $before = $node->safe_psql('postgres', $rows);
like($before, qr/^unknown\.\d+\|$/m, 'a type without a definition prints');
my $defined = 'SELECT * FROM activity.event_types WHERE NOT built_in';
my $definitions = $node->safe_psql('postgres', $defined);

my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fd', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'pg_dump', '-f', "$dump.sql", $node->connstr('postgres') ], 'plain dump');

sub is_restored
{
	my ($name, $database, @command) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok(\@command, $name);
	is($node->safe_psql($database, $rows), $before, "$name: the rows");
	is($node->safe_psql($database, $defined), $definitions, "$name: the definitions");
	is($node->safe_psql($database, q{SELECT count(*), "App".default_type() FROM "App".exported}),
		'1|report.exported', "$name: view and function");
	is($node->safe_psql($database, q{
			SELECT activity.render_description(activity.define_event_type('report.exported', 'Put out {name}'), '{"name":"x"}')}),
		'Put out x', "$name: definitions go on");
	return;
}
my $to = 'host=' . $node->host . ' port=' . $node->port;
is_restored('in one transaction', 'one',
	'pg_restore', '--single-transaction', '--exit-on-error', '-d', "$to dbname=one", $dump);
is_restored('in parallel', 'many',
	'pg_restore', '--jobs=2', '--exit-on-error', '-d', "$to dbname=many", $dump);
is_restored('plain', 'plain',
	'psql', '-Xq1', '-v', 'ON_ERROR_STOP=1', '-d', "$to dbname=plain", '-f', "$dump.sql");

# Decoding sees the definitions as they were, also those of the same transaction.
$node->safe_psql('postgres', q{
	SELECT pg_create_logical_replication_slot('types', 'test_decoding');
	BEGIN;
	SELECT activity.define_event_type('report.burnt', 'Burnt');
	INSERT INTO "App".log VALUES ('report.burnt');
	SELECT activity.define_event_type('report.burnt', 'Burnt down');
	INSERT INTO "App".log VALUES ('report.burnt');
	COMMIT;
	INSERT INTO "App".log VALUES ('report.burnt');
	DELETE FROM _activity.event_type_definition;
});
is($node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_logical_slot_get_changes('types', NULL, NULL)
		WHERE data LIKE 'table "App".log: INSERT: type[activity.event_type]:''report.burnt''%'}),
	'3', 'decoded by their keys');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('types')});

# A prepared definition is known when it is committed, to warm sessions, too.
is($node->safe_psql('postgres', q{
		BEGIN;
		SELECT activity.define_event_type('report.kept', 'Kept');
		PREPARE TRANSACTION 'definition';
		SELECT count(*) FROM activity.event_types WHERE key = 'report.kept';
		COMMIT PREPARED 'definition';
		SELECT count(*) FROM activity.event_types WHERE key = 'report.kept';
		BEGIN;
		SELECT activity.define_event_type('report.lost', 'Lost');
		PREPARE TRANSACTION 'definition';
		ROLLBACK PREPARED 'definition';
		SELECT count(*) FROM activity.event_types WHERE key = 'report.lost';}),
	"report.kept\n0\n1\nreport.lost\n0", 'prepared definitions');

$node->stop;
done_testing();
