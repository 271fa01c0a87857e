# activity on Citus: a coordinator and two workers, and a third that comes later. Run by
# scripts/check-citus, which makes the servers; NODES is their folder.
use strict;
use warnings;
use Test::More;

my $folder = $ENV{NODES} or die 'run scripts/check-citus';
(my $bin = $ENV{PG_CONFIG}) =~ s{/pg_config$}{};

# What psql prints, or the SQLSTATE.
sub sql
{
	my ($n, $sql) = @_;
	local $ENV{PGHOST} = "$folder/n$n";
	open my $in, '-|', "$bin/psql", '-XqAt', '-p', 5432, '-U', 'postgres', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
	  '-c', 'SET client_min_messages = error', map { ('-c', $_) } ref $sql ? @$sql : $sql or die;
	local $/;
	my $out = <$in> // '';
	$out =~ s/\n\z//;
	return close $in ? $out : "failed $out";
}

sub poll
{
	my ($n, $query, $what) = @_;
	foreach (1 .. 200)
	{
		return pass($what) if sql($n, $query) eq 't';
		select undef, undef, undef, 0.1;
	}
	return fail($what);
}
sub everywhere { my ($query) = @_; return sql(0, "SELECT string_agg(result, ' ' ORDER BY nodeid) FROM run_command_on_all_nodes(\$cmd\$$query\$cmd\$)") }

# Citus sends a query to the node of an organization if it is the call and nothing else.
sub poll_subject
{
	my ($n, $call, $subject, $what) = @_;
	foreach (1 .. 200)
	{
		my $count = grep { $_ eq $subject } split /\n/, sql($n, "SELECT subject_id FROM $call");
		return is($count, 1, $what) if $count;
		select undef, undef, undef, 0.1;
	}
	return fail($what);
}

# The node of an organization, as a number.
sub node_of
{
	my ($organization) = @_;
	my $name = sql(0, "SELECT nodename FROM citus_shards WHERE shardid = get_shard_id_for_distribution_column('members', '$organization')");
	return $name =~ m{/n(\d)$} ? $1 : die "node of $organization: $name";
}

sql($_, 'CREATE EXTENSION citus') foreach 0 .. 3;
diag(sql(0, 'SELECT citus_version()'));
sql(0, [ "SELECT citus_set_coordinator_host('$folder/n0', 5432)", map { "SELECT citus_add_node('$folder/n$_', 5432)" } 1, 2 ]);
sql(0, [ 'CREATE EXTENSION activity CASCADE',
	'CREATE TABLE members (organization_id text, user_id text, role text, status text, PRIMARY KEY (organization_id, user_id))',
	q{SELECT create_distributed_table('members', 'organization_id')},
	'CREATE TABLE plans (id text PRIMARY KEY, organization_id text, name text, amount int)', q{SELECT create_reference_table('plans')},
	q{SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish} 100%')}, q{SELECT activity.define_measure('kitchen.burnt', 'burnt', 'grams', 'g')} ]);
is(everywhere(q{SELECT count(*) FROM pg_extension WHERE extname = 'activity'}), '1 1 1', 'CREATE EXTENSION reaches every node');
is(sql(0, q{SELECT count(*) > 0 FROM activity.track('members', 'membership')}), 't', 'a distributed table is tracked');
is(sql(0, q{SELECT count(*) > 0 FROM activity.track('plans', 'plan')}), 't', 'a reference table is tracked');
my $triggers = q{SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE tgname = 'activity_membership' AND relname ~ '^members_\d+$'};
is(everywhere($triggers), '0 2 2', 'each shard has its triggers');
cmp_ok(sql(0, q{SELECT count(*) FROM activity.distribute('members')}), '>', 30, 'functions of an organization are delegated');
is(everywhere(q{SELECT count(*) FROM activity.event_types WHERE key = 'kitchen.burnt'}), '1 1 1', 'definitions are on every node');
is(everywhere(q{SELECT count(*) FROM activity.measures WHERE name = 'burnt'}), '1 1 1', 'and measures');
is(sql(0, q{SELECT count(*) FROM activity.distribute('members')}) =~ /failed/ ? 1 : 0, 0, 'again');
is(everywhere(q{SELECT count(*) FROM _activity.measure WHERE name = 'burnt'}), '1 1 1', 'which defines nothing twice');

# Each organization's events are where its rows are, and asked for from anywhere.
sql(0, [ q{INSERT INTO members SELECT 'org' || i, 'u' || j, 'member', 'active' FROM generate_series(1, 12) i, generate_series(1, 3) j} ]);
is(everywhere(q{SELECT count(*) FROM activity.events} ) =~ /^0 (\d+) (\d+)$/ ? $1 + $2 : '', 36, 'recorded on the workers alone');
my ($one) = grep { node_of("org$_") == 1 } 1 .. 12;
my ($two) = grep { node_of("org$_") == 2 } 1 .. 12;
foreach my $n (0, 1, 2)
{
	is(sql($n, "SELECT count(*) FROM activity.feed('org$_')"), 3, "the feed of org$_ from node $n") foreach $one, $two;
}
poll(0, "SELECT position = 3 FROM activity.stream_head('org$one')", 'published by the worker of its node');
is(sql(0, "SELECT count(*) FROM activity.replay('org$one')"), 3, 'replay()');
is(sql(0, "SELECT count(*) FROM activity.verify('org$one')"), 0, 'verify()');
sql(0, [ 'BEGIN', q{SET LOCAL citus.propagate_set_commands = 'local'}, q{SET LOCAL activity.actor_id = 'ann'},
	qq{UPDATE members SET role = 'admin' WHERE user_id = 'u1' AND organization_id IN ('org$one', 'org$two')}, 'COMMIT' ]);
is(sql(0, "SELECT count(*) FROM activity.feed('org$_', actor => 'ann')"), 1, "the actor came to the node of org$_") foreach $one, $two;
sql(0, [ 'BEGIN', "UPDATE members SET role = 'owner' WHERE user_id = 'u2' AND organization_id IN ('org$one', 'org$two')", 'ROLLBACK' ]);
is(sql(0, "SELECT count(*) FROM activity.feed('org$_')"), 4, "nothing of what was rolled back, org$_") foreach $one, $two;
like(sql(0, "SELECT activity.record('org$one', 'kitchen.burnt', '{\"dish\": \"soup\"}', '{\"grams\": 4}')"), qr/^[0-9a-f-]{36}$/, 'record() goes to the node');
is(sql(0, "SELECT amount FROM activity.usage('org$one', now() - interval '1 hour', now() + interval '1 hour', 'burnt')"), 4, 'the numbers are asked there');
is(sql(0, "SELECT endpoint_id IS NOT NULL FROM activity.create_webhook('org$one', 'http://127.0.0.1:9/x')"), 't', 'an endpoint is made there');
sql(0, "SELECT activity.record('org$one', 'kitchen.burnt', '{\"dish\": \"stew\"}', '{\"grams\": 1}')");
poll(1, "SELECT count(*) = 1 FROM activity.webhook_deliveries WHERE event_type = 'kitchen.burnt'", 'and owed what happens');
sql(0, "SELECT activity.create_token('org$one')");
is(everywhere('SELECT count(*) FROM activity.tokens'), '0 1 0', 'a token is where its organization is');
sql(0, q{INSERT INTO plans VALUES ('p', 'org1', 'gold', 3)});
is(everywhere(q{SELECT count(*) FROM activity.events WHERE event_type = 'plan.created'}), '1 1 1', 'a reference table records on every node');
is(sql(0, q{SELECT count(*) FROM activity.feed('org1', event_types => '{plan.*}')}), 1, 'of which the feed shows one');

# Two-phase commits, and what is in doubt.
sql(0, [ 'BEGIN', "UPDATE members SET role = 'owner' WHERE user_id = 'u3' AND organization_id = 'org$one'",
	"UPDATE members SET role = 'owner' WHERE user_id = 'u3' AND organization_id = 'org$two'", 'COMMIT' ]);
is(sql(0, "SELECT count(*) FROM activity.feed('org$_', event_types => '{membership.role_changed}')"), 2, "committed on both nodes, org$_") foreach $one, $two;
my $shard = sql(0, "SELECT get_shard_id_for_distribution_column('members', 'org$two')");
my $group = sql(0, "SELECT groupid FROM pg_dist_node WHERE nodename ~ '/n2\$'");
foreach my $fate ('commit', 'abort')
{
	# As Citus leaves it when it dies between PREPARE and COMMIT PREPARED: its name, and a record of it if it had decided.
	my $gid = "citus_0_123_" . ($fate eq 'commit' ? 77 : 78) . '_0';
	is(sql(2, [ 'SET citus.enable_manual_changes_to_shards = on', 'BEGIN', "INSERT INTO members_$shard VALUES ('org$two', '$fate', 'member', 'active')", "PREPARE TRANSACTION '$gid'" ]), '', 'prepared');
	sql(0, "INSERT INTO pg_dist_transaction (groupid, gid) VALUES ($group, '$gid')") if $fate eq 'commit';
}
is(system("$bin/pg_ctl", '-D', "$folder/n2/data", '-m', 'immediate', '-w', '-s', 'stop'), 0, 'its node crashes');
is(system("$bin/pg_ctl -D $folder/n2/data -l $folder/n2/log -w -s start >/dev/null 2>&1 </dev/null"), 0, 'and comes back');
is(sql(2, 'SELECT count(*) FROM pg_prepared_xacts'), 2, 'both are in doubt');
is(sql(0, "SELECT count(*) FROM activity.feed('org$two', subject => 'commit')"), 0, 'and no event of them is seen');
sql(0, q{INSERT INTO members VALUES ('org' || } . $two . q{, 'after', 'member', 'active')});
poll_subject(0, "activity.replay('org$two')", 'after', 'what came later is published meanwhile');
sql(0, 'SELECT recover_prepared_transactions()');
is(sql(2, 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'Citus decides');
is(sql(0, "SELECT count(*) FROM activity.feed('org$two', subject => 'commit')"), 1, 'what was to be is there, once');
is(sql(0, "SELECT count(*) FROM activity.feed('org$two', subject => 'abort')"), 0, 'and what was not is not');
poll_subject(0, "activity.replay('org$two')", 'commit', 'it gets its position, once');
is(sql(0, "SELECT count(*) FROM activity.verify('org$two')"), 0, 'the chain holds');

# A node that comes later, shards that move and split.
sql(0, [ "SELECT citus_add_node('$folder/n3', 5432)", 'SELECT replicate_reference_tables()', q{SELECT count(*) FROM activity.distribute('members')} ]);
is(everywhere(q{SELECT count(*) FROM activity.event_types WHERE key = 'kitchen.burnt'}), '1 1 1 1', 'a node that came later has the definitions');
my $moved = sql(0, "SELECT get_shard_id_for_distribution_column('members', 'org$one')");
my @of_shard = split /\n/, sql(0, "SELECT DISTINCT organization_id FROM members WHERE get_shard_id_for_distribution_column('members', organization_id) = $moved ORDER BY 1");
my %events = map { $_ => sql(0, "SELECT count(*) FROM activity.feed('$_')") } @of_shard;
my $cursor = sql(0, "SELECT cursor FROM activity.replay('org$one') OFFSET 1 LIMIT 1");

# The history goes along: it is exported before, imported after, with nothing recorded meanwhile.
sql(1, "COPY (SELECT activity.export_organization('$_', closing => true)) TO '$folder/$_'") foreach @of_shard;
is(sql(0, "SELECT citus_move_shard_placement($moved, '$folder/n1', 5432, '$folder/n3', 5432, 'force_logical')"), '', 'a shard moves');
is(node_of("org$one"), 3, 'to the new node');
sql(0, 'CALL citus_cleanup_orphaned_resources()');
my $of_any_name = $triggers =~ s/tgname = 'activity_membership'/tgname ~ '^activity_membership'/r;
is(everywhere($of_any_name), '0 1 2 1', 'where its triggers are made by Citus');
cmp_ok(sql(0, q{SELECT count(*) FROM activity.track('members', 'membership')}), '>', 0, 'and tracked again');
is(everywhere($of_any_name), '0 1 2 1', 'it has no more of them');
is(everywhere($triggers), '0 1 2 1', 'where its triggers are made, too');
foreach my $organization (@of_shard)
{
	my $receipt = sql(3, [ 'CREATE TEMP TABLE lines (n bigserial, line text)', "COPY lines (line) FROM '$folder/$organization'",
		'SELECT activity.import_organization(line ORDER BY n) FROM lines' ]);
	like($receipt, qr/^\d+:\d+:/, "$organization is imported there");
	like(sql(1, "SELECT activity.remove_organization('$organization', '$receipt')"), qr/^\d+$/, 'and removed where it was');
	is(sql(2, "SELECT count(*) FROM activity.feed('$organization', event_types => '{!compliance.imported,!compliance.exported}')"), $events{$organization}, 'its feed is whole, from any node');
	is(sql(0, "SELECT count(*) FROM activity.verify('$organization')"), 0, 'and its chain');
}
sql(0, "INSERT INTO members VALUES ('org$one', 'moved', 'member', 'active')");
poll_subject(0, "activity.replay('org$one', '$cursor')", 'moved', 'a cursor of before goes on there');
is(sql(0, "SELECT count(*) FROM activity.feed('org$one', subject => 'moved')"), 1, 'what happens is recorded there');
is(sql(0, "SELECT status FROM activity.webhook_endpoints") . sql(3, "SELECT count(*) FROM activity.webhook_endpoints"), '1', 'its endpoint came along');
my $split = sql(0, "SELECT get_shard_id_for_distribution_column('members', 'org$two')");
my ($low, $high) = split /\|/, sql(0, "SELECT shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE shardid = $split");
my $middle = int(($low + $high) / 2);
my ($n2) = sql(0, "SELECT nodeid FROM pg_dist_node WHERE nodename ~ '/n2\$'");
is(sql(0, "SELECT citus_split_shard_by_split_points($split, ARRAY['$middle'], ARRAY[$n2, $n2], 'block_writes')"), '', 'a shard is split');
sql(0, [ 'CALL citus_cleanup_orphaned_resources()', q{SELECT count(*) FROM activity.distribute('members')} ]);
is(everywhere($triggers), '0 1 3 1', 'both parts have their triggers');
sql(0, "INSERT INTO members VALUES ('org$two', 'split', 'member', 'active')");
is(sql(0, "SELECT count(*) FROM activity.feed('org$two', subject => 'split')"), 1, 'and record');
is(sql(0, 'SELECT count(*) FROM activity.audit()'), sql(0, 'SELECT count(*) FROM activity.events'), 'audit() is of its own node');
cmp_ok(sql(0, q{SELECT sum(result::bigint) FROM run_command_on_all_nodes('SELECT count(*) FROM activity.audit(page_size => 1000)')}), '>', 40, 'and of all nodes when it is asked so');
is(everywhere(q{SELECT count(*) FROM activity.set_aside}), '0 0 0 0', 'nothing was set aside');
is(everywhere(q{SELECT worker FROM activity.health}), 'publishing publishing publishing publishing', 'a worker publishes on every node');

# set_actor() comes along where Citus sends settings: all that it says, and no longer than its transaction.
my $context = q{{"request_id": "r''\\\\8", "tab": "\\t"}};
foreach my $mode ('none', 'local')
{
	sql(0, [ "SET citus.propagate_set_commands = '$mode'", 'BEGIN', "UPDATE members SET role = 'x$mode' WHERE user_id = 'u2' AND organization_id = 'org$one'",
		qq{SELECT activity.set_actor('it''s', 'api_key', 'A \\ "b"', '$context', '{"id": "boss"}')},
		"UPDATE members SET role = 'y$mode' WHERE user_id = 'u2' AND organization_id IN ('org$one', 'org$two')",
		"SELECT activity.set_actor('plain')", "UPDATE members SET role = 'z$mode' WHERE user_id = 'u2' AND organization_id IN ('org$one', 'org$two')", 'COMMIT' ]);
	sql(0, [ "SET citus.propagate_set_commands = '$mode'", "UPDATE members SET role = 'member' WHERE user_id = 'u2' AND organization_id IN ('org$one', 'org$two')" ]);
	foreach my $organization ($one, $two)
	{
		my $who = sub { sql(node_of("org$organization"), "SELECT concat_ws('|', coalesce(actor_kind, 'nobody'), actor_id, actor_name, on_behalf_of->>'id', context->>'request_id', context->>'tab') FROM activity.feed('org$organization', subject => 'u2', event_types => '{membership.role_changed}', page_size => 4) OFFSET $_[0] LIMIT 1") };
		is($who->(2), $mode eq 'none' ? 'nobody' : qq{api_key|it's|A \\ "b"|boss|r'\\8|\t}, "who set_actor() says, settings $mode, org$organization");
		is($who->(1), $mode eq 'none' ? 'nobody' : qq{user|plain|r'\\8|\t}, 'and whom the next one says');
		is($who->(0), 'nobody', 'until the transaction is over');
	}
}

# Tables of any name, with a moved shard and without.
my %odd = ('apostrophe' => q{"o''brien"}, 'percent' => q{"50%s %L %%"}, 'quote and space' => q{"a ""b"" ON c $do$"}, 'of 63 bytes' => 'n' x 63,
	'in an odd schema' => q{"od'd ""s"""."t%1$s"});
sql(0, q{CREATE SCHEMA "od'd ""s"""});
foreach my $what (sort keys %odd)
{
	my $table = $odd{$what} =~ s/''/'/gr;
	(my $literal = $table) =~ s/'/''/g;
	my $count = "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE tgname ~ '^activity_membership' AND relname !~ '^members'";
	sql(0, [ "CREATE TABLE $table (organization_id text, user_id text, role text, status text, PRIMARY KEY (organization_id, user_id))",
		"SELECT create_distributed_table('$literal', 'organization_id', colocate_with => 'none', shard_count => 3)" ]);
	cmp_ok(sql(0, "SELECT count(*) FROM activity.track('$literal', 'membership')"), '>', 0, "tracked, $what");
	my $made = sql(0, "SELECT sum(result::int) FROM run_command_on_all_nodes(\$cmd\$$count\$cmd\$)");
	sql(0, "INSERT INTO $table SELECT 'o' || i, '$what' || i, 'member', 'active' FROM generate_series(1, 12) i");
	is(sql(0, qq{SELECT sum(result::int) FROM run_command_on_all_nodes(\$cmd\$SELECT count(*) FROM activity.events WHERE subject_id ~ '^$what'\$cmd\$)}), 12, "its rows are recorded, $what");
	my ($shard, $from) = split /\|/, sql(0, "SELECT shardid, nodename FROM citus_shards WHERE table_name = '$literal'::regclass ORDER BY 1 LIMIT 1");
	my ($to) = grep { $_ ne $from } map { "$folder/n$_" } 1 .. 3;
	is(sql(0, [ "SELECT citus_move_shard_placement($shard, '$from', 5432, '$to', 5432, 'block_writes')", 'CALL citus_cleanup_orphaned_resources()' ]), '', 'a shard of it moves');
	is(sql(0, q{SELECT count(*) > 30 FROM activity.distribute('members')}), 't', "its shards are seen to, $what");
	is(sql(0, "SELECT sum(result::int) FROM run_command_on_all_nodes(\$cmd\$$count\$cmd\$)"), $made, 'none has a trigger more or less');
	is(sql(0, "SELECT activity.untrack('$literal')"), '', "untracked, $what");
	is(sql(0, "SELECT sum(result::int) FROM run_command_on_all_nodes(\$cmd\$$count\$cmd\$)"), 0, 'no shard has a trigger');
	sql(0, "DROP TABLE $table");
}

is(sql(0, q{SELECT activity.untrack('members')}), '', 'untracked');
is(everywhere($triggers), '0 0 0 0', 'no shard has a trigger');
sql(0, "INSERT INTO members VALUES ('org$two', 'late', 'member', 'active')");
is(sql(0, "SELECT count(*) FROM activity.feed('org$two', subject => 'late')"), 0, 'and nothing is recorded');
is(sql(0, q{SELECT activity.untrack('plans')}), '', 'the reference table, too');
is(sql(0, 'DROP TABLE members, plans'), '', 'and both can be dropped');
done_testing();
