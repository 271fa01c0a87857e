# Never an event missed: 16 writers that commit, abort, roll back savepoints,
# prepare and take long; readers that are killed and go on from their cursor. Two
# judges: the table, and logical decoding, which shares nothing with us. A reader
# that trusts `id > last` must lose some, or this proves nothing.
use strict;
use warnings;
use IO::Handle;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = 7;
my @organizations = map { "org_$_" } 1 .. 4;

sub start
{
	my ($name, $worker) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', join "\n",
		'wal_level = logical', 'max_prepared_transactions = 50', 'max_connections = 60',
		"activity.default_tier = 'enterprise'", 'activity.publish_batch = 200',
		$worker ? ("shared_preload_libraries = 'activity'", "activity.databases = 'postgres'") : (), '');
	$node->start;
	# Newer minor versions want decoding plugins listed, older ones refuse that.
	if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'}))
	{
		$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, test_decoding, wal2json'\n");
		$node->reload;
	}
	$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
	$node->safe_psql($_, 'CREATE EXTENSION activity CASCADE') for qw(postgres elsewhere);
	$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('judge', 'wal2json')});
	return $node;
}

# What the writers do; :o is an organization.
my $record = q{activity.record('org_' || :o::text, 'auth.signin', jsonb_build_object('id', :c::int))};
my %script = (
	commit => "SELECT $record;",
	several => "BEGIN;\nSELECT $record;\nSELECT $record;\nSELECT count($record) FROM generate_series(1, :n);\nCOMMIT;",
	abort => "BEGIN;\nSELECT $record;\nROLLBACK;",
	savepoint => "BEGIN;\nSELECT $record;\nSAVEPOINT a;\nSELECT $record;\nROLLBACK TO a;\nSELECT $record;\nCOMMIT;",
	import => q{SELECT activity.record('org_' || :o::text, 'auth.signin', occurred_at => now() - :n * interval '11 days');},
	prepared => "BEGIN;\nSELECT $record;\nPREPARE TRANSACTION 'g:client_id.:p';\nSELECT pg_current_xact_id();\nCOMMIT PREPARED 'g:client_id.:p';",
	gone => "BEGIN;\nSELECT $record;\nPREPARE TRANSACTION 'h:client_id.:p';\nROLLBACK PREPARED 'h:client_id.:p';",
	waits => "BEGIN;\nSELECT $record;\nSELECT count(*) FROM generate_series(1, :n * 20000);\nCOMMIT;",
	bulk => "SELECT count($record) FROM generate_series(1, 500);");
my %weight = (commit => 20, several => 5, abort => 5, savepoint => 5, import => 2, prepared => 5, gone => 2, waits => 3, bulk => 1);

sub write_load
{
	my ($node) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my @options;
	foreach my $name (sort keys %script)
	{
		append_to_file("$folder/$name.sql",
			"\\set o random(1, " . scalar(@organizations) . ")\n\\set c random(1, 100)\n"
			  . "\\set n random(1, 30)\n\\set p random(1, 1000000000)\n$script{$name}\n");
		push @options, '-f', "$folder/$name.sql\@$weight{$name}";
	}
	return IPC::Run::start(
		[ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 16, '-j', 2,
			'-T', $seconds, '-R', 400, @options, 'postgres' ],
		'<', \undef, '>', \(my $out), '2>', \(my $errors));
}

# Follows one organization into a file of cursor and id, from its last whole line.
sub follow
{
	my ($node, $organization, $file) = @_;
	my $reader = fork();
	die "fork: $!" unless defined $reader;
	return $reader if $reader;
	my $psql = "psql -XAtq -h " . $node->host . ' -p ' . $node->port . ' postgres';
	while (1)
	{
		my $last = (slurp($file) =~ /(?:^|\n)([\d.]+) \S+\n[^\n]*\z/)[0];
		my $cursor = defined $last ? "'$last'" : 'NULL';
		my $rows = `$psql -F ' ' -c "SELECT cursor, id FROM activity.replay('$organization', $cursor, NULL, 1000)"`;
		if ($rows eq '')
		{
			select undef, undef, undef, 0.05;
			next;
		}
		# A kill in the middle leaves part of a line; it is read again.
		my $text = slurp($file);
		truncate $file, rindex($text, "\n") + 1 if $text ne '' && substr($text, -1) ne "\n";
		open my $out, '>>', $file or die $!;
		$out->autoflush;
		print $out "$_\n" for split /\n/, $rows;
		close $out;
	}
}

# The reader that everybody writes first.
sub trust_ids
{
	my ($node, $organization, $file) = @_;
	my $reader = fork();
	die "fork: $!" unless defined $reader;
	return $reader if $reader;
	my $psql = "psql -XAtq -h " . $node->host . ' -p ' . $node->port . ' postgres';
	my $last = '00000000-0000-0000-0000-000000000000';
	while (1)
	{
		my @ids = split /\n/, `$psql -c "SELECT id FROM activity.events WHERE organization = '$organization' AND id > '$last' ORDER BY id"`;
		select undef, undef, undef, 0.1;
		next unless @ids;
		append_to_file($file, join('', map { "$_\n" } @ids));
		$last = $ids[-1];
	}
}

sub slurp
{
	my ($file) = @_;
	return -e $file ? slurp_file($file) : '';
}

sub sorted_ids
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(id::text, ',' ORDER BY id) FROM ($sql) ids(id)");
}

foreach my $worker (1, 0)
{
	my $with = $worker ? 'with a worker' : 'without a worker';
	my $node = start("stream$worker", $worker);
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $began = time;

	# Two transactions that last as long as the load, six seconds at least.
	my $slow = $node->background_psql('postgres');
	$slow->query_safe("BEGIN; SELECT activity.record('org_1', 'auth.signin')");
	my $slow_elsewhere = $node->background_psql('elsewhere');
	$slow_elsewhere->query_safe("BEGIN; SELECT activity.record('org_1', 'auth.signin')");

	my $load = write_load($node);
	my %reader = map { ("$folder/$_" => follow($node, $organizations[ $_ % 2 ], "$folder/$_")) } 0 .. 3;
	my $naive = trust_ids($node, 'org_1', "$folder/naive");
	my $kills = 0;
	while ($load->pumpable)
	{
		# Pauses between the kills come with the pumping.
		my $killed = (sort keys %reader)[ int rand 4 ];
		kill 'KILL', $reader{$killed};
		waitpid $reader{$killed}, 0;
		$reader{$killed} = follow($node, $organizations[ ($killed =~ /(\d)$/)[0] % 2 ], $killed);
		$kills++;
		my $until = time + rand 1.5;
		$load->pump_nb while time < $until && $load->pumpable && select(undef, undef, undef, 0.05) == 0;
	}
	ok($load->finish, "$with: the writers met no error");
	cmp_ok(time - $began, '>', 6, "$with: the slow transaction was slow");
	$slow->query_safe("SELECT activity.record('org_1', 'auth.signin'); COMMIT");
	$slow_elsewhere->query_safe('COMMIT');
	$slow->quit;
	$slow_elsewhere->quit;
	cmp_ok($kills, '>', 3, "$with: readers were killed");

	# Everything is published, and the readers come to the end.  Nothing to publish
	# is also what a call says while another publishes.
	$worker
	  ? $node->poll_query_until('postgres', 'SELECT backlog = 0 FROM activity.health')
	  : $node->poll_query_until('postgres',
		'SELECT activity.publish() = 0 AND (SELECT backlog = 0 FROM activity.health)');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM activity.set_aside'), 0, "$with: nothing was set aside");
	foreach my $file (sort keys %reader)
	{
		my $head = $node->safe_psql('postgres',
			"SELECT cursor FROM activity.stream_head('$organizations[ ($file =~ /(\d)$/)[0] % 2 ]')");
		my $patience = 600;
		select(undef, undef, undef, 0.1) while $patience-- && slurp($file) !~ /^\Q$head\E \S+\n\z/m;
	}
	kill 'KILL', $_ for values %reader, $naive;
	waitpid $_, 0 for values %reader, $naive;

	# The judges.
	my $decoded = $node->safe_psql('postgres', q{
		SELECT string_agg(id, ',' ORDER BY id) FROM (
			SELECT (SELECT c->>'value' FROM jsonb_array_elements(data::jsonb->'columns') c WHERE c->>'name' = 'id') AS id
			FROM pg_logical_slot_get_changes('judge', NULL, NULL, 'format-version', '2', 'include-transaction', 'off',
				'actions', 'insert', 'filter-tables', '_activity.stream_*,_activity.publication')
			WHERE data::jsonb->>'schema' = '_activity' AND data::jsonb->>'table' LIKE 'event\_%') c});
	my $stored = sorted_ids($node, 'SELECT id FROM _activity.event');
	my $streamed = sorted_ids($node, 'SELECT id FROM _activity.stream');
	cmp_ok(length $stored, '>', 37 * 2000, "$with: there was much to judge");
	is($decoded eq $stored, 1, "$with: logical decoding and the table agree");
	is($streamed eq $stored, 1, "$with: each event is in the stream, once");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT FROM _activity.stream GROUP BY organization
			HAVING min(position) <> 1 OR max(position) <> count(*) OR count(DISTINCT position) <> count(*)) s}),
		0, "$with: positions have no hole");
	is($node->safe_psql('postgres', join ' UNION ALL ', map { "SELECT * FROM activity.verify('$_')" } @organizations),
		'', "$with: the chain holds");

	foreach my $file (sort keys %reader)
	{
		my $key = $organizations[ ($file =~ /(\d)$/)[0] % 2 ];
		my $ordered = $node->safe_psql('postgres', qq{
			SELECT s.id FROM _activity.stream s JOIN _activity.organization o ON o.key = s.organization
			WHERE o.id = '$key' GROUP BY s.position, s.id ORDER BY s.position});
		my $read = join "\n", map { (split)[1] } split /\n/, slurp($file);
		is($read eq $ordered, 1, "$with: a reader of $key has each event once, in order");
	}
	my %naive = map { $_ => 1 } split /\n/, slurp("$folder/naive");
	my @all = split /\n/, $node->safe_psql('postgres', q{SELECT id FROM activity.events WHERE organization = 'org_1'});
	my $lost = grep { !$naive{$_} } @all;
	cmp_ok($lost, '>', 0, sprintf '%s: the reader that trusts ids loses events (%d of %d)', $with, $lost, scalar @all);
	$node->stop;
}

done_testing();
