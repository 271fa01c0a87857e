# The chain finds a change in any column, a removal, an insertion, a reordering and
# a change in the stream itself; and scripts/verify-chain, which shares no code with
# the extension, comes to the same hashes from what COPY prints.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
$node->start;
my $organization = "odd'\\\t\x{c3}\x{a4}";
(my $quoted = $organization) =~ s/'/''/g;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.define_event_type('pony.ridden', 'Rode {name}');
	SELECT activity.set_actor('user_1', 'user', E'tab\\tname', '{"ip": "::1"}'),
		activity.record('$quoted', 'pony.ridden', E'{"id": "p", "name": "a\\\\\\\\b\\\\n\\\\"c\\\\u00e4"}', '{"n": 1.50, "deep": [1, {"x": null}]}'),
		activity.record('$quoted', 'auth.signin', occurred_at => '2001-02-03 04:05:06.789012'),
		activity.record('other', 'auth.signin'),
		activity.record('$quoted', 'auth.signup', '{"id": 5}', description => E'two\\nlines and a \\\\N');
	SELECT activity.record('$quoted', 'auth.signin', jsonb_build_object('id', g)) FROM generate_series(1, 5) g;
	SELECT activity.publish()});

# Both verifiers, in one transaction that is then rolled back.
my $folder = PostgreSQL::Test::Utils::tempdir();
my ($query) = run_command([ 'scripts/verify-chain', '-q', $organization ]);
sub both
{
	my ($change) = @_;
	my $sql = "SELECT 1 AS one \\gset
BEGIN; SET session_replication_role = replica;
DO \$\$ DECLARE t regclass; BEGIN FOR t IN SELECT relid FROM pg_partition_tree('_activity.event') UNION ALL SELECT relid FROM pg_partition_tree('_activity.stream')
	LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', t); END LOOP; END \$\$;
$change;
SELECT 'sql ' || coalesce(position, 0) FROM activity.verify('$quoted') ORDER BY position;
SELECT 'sql head ' || position || ' ' || encode(hash, 'hex') FROM activity.checkpoint('$quoted');
$query
ROLLBACK;";
	my $out = $node->safe_psql('postgres', $sql);
	my @ours = map { s/^sql //r } grep { /^sql / } split /\n/, $out;
	my $file = "$folder/copy";
	unlink $file;
	append_to_file($file, join '', map { "$_\n" } grep { !/^sql / } split /\n/, $out);
	my $theirs = `scripts/verify-chain "\$(printf '%s' "\$ORGANIZATION")" <$file`;
	return (\@ours, [ split /\n/, $theirs ]);
}
$ENV{ORGANIZATION} = $organization;

my ($ours, $theirs) = both('SELECT');
is_deeply($theirs, $ours, 'both come to the same hash at the head');
is(scalar @$ours, 1, 'and have nothing to say');

my %change = (id => 'activity.event_id(occurred_at)', occurred_at => q{occurred_at + '1 us'}, xid => q{'3'},
	salt => 'salt + 1', organization => q{(SELECT min(key) FROM _activity.organization WHERE id = 'other')}, type => 'type + 1',
	actor_hash => 'coalesce(actor_hash, 0) + 1', subject_hash => 'coalesce(subject_hash, 0) + 1',
	actor_kind => q{'api_key'}, actor_id => q{'user_2'}, actor_name => q{'somebody'}, description => q{description || ' '},
	subject => q{subject || '{"id": 7}'}, metadata => q{'{}'}, context => q{context || '{"ip": "::2"}'});
is(join(' ', sort keys %change), $node->safe_psql('postgres', q{
	SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
	WHERE attrelid = '_activity.event'::regclass AND attnum > 0 AND NOT attisdropped}), 'every column is tried');
my $second = "(SELECT id FROM _activity.stream WHERE position = 4 AND organization = (SELECT min(key) FROM _activity.organization WHERE id = '$quoted'))";
foreach my $column (sort keys %change)
{
	($ours, $theirs) = both("UPDATE _activity.event SET $column = $change{$column} WHERE id = $second");
	ok((grep { $_ eq '4' } @$ours), "a change of $column is found at its position");
	ok((grep { /^(changed|gap) (4|5)$/ } @$theirs) || $column =~ /^(id|organization)$/, '... and by the script');
}
my $mine = "organization = (SELECT min(key) FROM _activity.organization WHERE id = '$quoted')";
foreach my $case (
	[ "DELETE FROM _activity.event WHERE id = $second", '4', 'a removed event' ],
	[ "INSERT INTO _activity.event SELECT activity.event_id(occurred_at), occurred_at, xid, salt, organization, type, actor_hash, subject_hash,
		actor_kind, actor_id, actor_name, description, subject, metadata, context FROM _activity.event WHERE id = $second", '0', 'an inserted event' ],
	[ "UPDATE _activity.stream SET position = 9 - position WHERE $mine AND position IN (4, 5)", '4', 'a reordering' ],
	[ "UPDATE _activity.stream SET hash = sha256('x') WHERE $mine AND position = 3", '3', 'another hash in the stream' ],
	[ "UPDATE _activity.stream SET id = (SELECT id FROM _activity.stream WHERE $mine AND position = 2) WHERE $mine AND position = 4", '4', 'another event at a position' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position = 4", '4', 'a position removed from the stream' ],
	[ "DELETE FROM _activity.event WHERE id = $second; DELETE FROM _activity.stream WHERE $mine AND position = 4", '4', 'event and position removed' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position = 8", '0', 'the last position removed, the event still there' ])
{
	my ($change, $at, $name) = @$case;
	$change = "DROP INDEX _activity.stream_1_key; $change; CREATE UNIQUE INDEX ON _activity.stream_1 (organization, position)";
	($ours, $theirs) = both($change);
	ok((grep { $_ eq $at } @$ours), "$name is found");
}
# What no chain can see without a checkpoint kept elsewhere.
my $checkpoint = $node->safe_psql('postgres', "SELECT position, hash FROM activity.checkpoint('$quoted')");
($ours) = both("DELETE FROM _activity.event WHERE id = (SELECT id FROM _activity.stream WHERE $mine AND position = 8); DELETE FROM _activity.stream WHERE $mine AND position = 8");
is(scalar @$ours, 1, 'the end of the stream, cut off with its event, is missed');
like($ours->[0], qr/^head 7 /, 'but the head is not that of the checkpoint');
like($checkpoint, qr/^8\|/, 'which was 8');
$node->stop;
done_testing();
