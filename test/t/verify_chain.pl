# The chain finds a change in any column, a removal, an insertion, a reordering and
# a change in the stream itself; and scripts/verify-chain, which shares no code with
# the extension, names the same positions and comes to the same hashes from what COPY
# prints, after retention, too.
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
	ALTER EVENT TRIGGER activity_guard_ddl DISABLE;
	ALTER EVENT TRIGGER activity_guard_drop DISABLE;
	SELECT activity.define_event_type('pony.ridden', 'Rode {name}');
	SELECT activity.set_actor('user_1', 'user', E'tab\\tname', '{"ip": "::1"}', '{"id": "u9", "name": "Nine"}'),
		activity.record('$quoted', 'pony.ridden', E'{"id": "p", "name": "a\\\\\\\\b\\\\n\\\\"c\\\\u00e4"}', '{"n": 1.50, "deep": [1, {"x": null}]}'),
		activity.record('$quoted', 'auth.signin', occurred_at => '2001-02-03 04:05:06.789012'),
		activity.record('other', 'auth.signin'),
		activity.record('$quoted', 'auth.signup', '{"id": 5}', description => E'two\\nlines and a \\\\N');
	SELECT activity.record('$quoted', 'auth.signin', jsonb_build_object('id', g)) FROM generate_series(1, 5) g;
	SELECT activity.publish()});

# Both verifiers, in one transaction that is then rolled back: the positions that each
# names (0: an event at none), and the heads that they come to.
my $folder = PostgreSQL::Test::Utils::tempdir();
sub both
{
	my ($name, $change) = @_;
	(my $id = $name) =~ s/'/''/g;
	my ($query) = run_command([ 'scripts/verify-chain', '-q', $name ]);
	my $sql = "SELECT 1 AS one \\gset
BEGIN; SET session_replication_role = replica;
DO \$\$ DECLARE t regclass; BEGIN FOR t IN SELECT relid FROM pg_partition_tree('_activity.event') UNION ALL SELECT relid FROM pg_partition_tree('_activity.stream') UNION ALL SELECT '_activity.stream_anchor'
	LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', t); END LOOP; END \$\$;
$change;
SELECT 'sql ' || coalesce(position, 0) || ' ' || problem FROM activity.verify('$id') ORDER BY position;
SELECT 'head ' || position || ' ' || encode(hash, 'hex') FROM activity.checkpoint('$id');
$query
ROLLBACK;";
	my $out = $node->safe_psql('postgres', $sql);
	my (@problems) = $out =~ /^sql (.*)/mg;
	my ($head) = $out =~ /^(head .*)/m;
	my $file = "$folder/copy";
	unlink $file;
	append_to_file($file, join '', map { "$_\n" } grep { !/^(sql|head) / } split /\n/, $out);
	local $ENV{ORGANIZATION} = $name;
	my @theirs = split /\n/, `scripts/verify-chain "\$(printf '%s' "\$ORGANIZATION")" <$file`;
	my $status = $?;
	my $their_head = pop @theirs;
	die "verify-chain failed: $status" if ($status != 0) != (@theirs > 0);
	return { problems => join('; ', @problems), script => join('; ', @theirs),
		ours => positions(map { /^(\d+)/ } @problems),
		theirs => positions(map { /^inserted/ ? 0 : /^\w+ (\d+)/ } @theirs),
		head => $head, their_head => $their_head };
}

sub positions
{
	my %at = map { $_ => 1 } @_;
	return join ' ', sort { $a <=> $b } keys %at;
}

# A change that both must find, at the same positions.
sub found
{
	my ($name, $change, $at, $what) = @_;
	my $both = both($name, $change);
	is($both->{ours}, $at, "$what is found") or diag($both->{problems});
	is($both->{theirs}, $at, '... by the script, too') or diag($both->{script});
	is($both->{their_head}, $both->{head}, '... which comes to the same head');
	return;
}

found($organization, 'SELECT', '', 'nothing');
my $mine = "organization = (SELECT min(key) FROM _activity.organization WHERE id = '$quoted')";
my $other = "(SELECT min(key) FROM _activity.organization WHERE id = 'other')";
my $fourth = "(SELECT id FROM _activity.stream WHERE position = 4 AND $mine)";

# Each column: what is stored otherwise, and what is not there any more.
my %change = (id => 'activity.event_id(occurred_at)', occurred_at => q{occurred_at + '1 us'}, xid => q{'3'},
	salt => 'gen_random_uuid()', recorded_at => q{occurred_at + '1 s'}, on_behalf_of_hash => 'coalesce(on_behalf_of_hash, 0) + 1',
	on_behalf_of => q{coalesce(on_behalf_of, '{}') || '{"id": "x"}'}, commitment => q{sha256('x')}, organization => $other, type => 'type + 1',
	actor_hash => 'coalesce(actor_hash, 0) + 1', subject_hash => 'coalesce(subject_hash, 0) + 1',
	actor_kind => q{'api_key'}, actor_id => q{'user_2'}, actor_name => q{'somebody'}, description => q{description || ' '},
	subject => q{subject || '{"id": 7}'}, metadata => q{'{}'}, context => q{context || '{"ip": "::2"}'});
is(join(' ', sort keys %change), $node->safe_psql('postgres', q{
	SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute
	WHERE attrelid = '_activity.event'::regclass AND attnum > 0 AND NOT attisdropped}), 'every column is tried');
foreach my $column (sort keys %change)
{
	found($organization, "UPDATE _activity.event SET $column = $change{$column} WHERE id = $fourth",
		$column eq 'id' ? '0 4' : '4', "a change of $column");
}
my $full = $node->safe_psql('postgres', "SELECT position FROM _activity.stream s JOIN _activity.event e USING (organization, id) WHERE s.$mine AND subject->>'id' = 'p'");
foreach my $column (qw(salt actor_hash subject_hash on_behalf_of_hash on_behalf_of actor_kind actor_id actor_name metadata))
{
	found($organization, "UPDATE _activity.event SET $column = NULL WHERE $mine AND subject->>'id' = 'p'", $full, "a null in place of $column");
}
found('other', "UPDATE _activity.event SET organization = $other WHERE id = $fourth", '0', 'an event of another organization');
found($organization, "UPDATE _activity.event SET occurred_at = occurred_at - interval '30 years' WHERE id = $fourth", '4',
	'an event moved to another partition');

my $copy = 'salt, recorded_at, organization, type, actor_hash, subject_hash, on_behalf_of_hash, actor_kind, actor_id, actor_name, description, subject, metadata, context, on_behalf_of, commitment';
my $last = $node->safe_psql('postgres', "SELECT max(position) FROM _activity.stream WHERE $mine");
foreach my $case (
	[ "DELETE FROM _activity.event WHERE id = $fourth", '4', 'a removed event' ],
	[ "DELETE FROM _activity.event WHERE $mine AND id IN (SELECT id FROM _activity.stream WHERE $mine AND position IN (1, 5, $last))", "1 5 $last", 'several removed, the first and the last among them,' ],
	[ "INSERT INTO _activity.event SELECT activity.event_id(occurred_at), occurred_at, xid, $copy FROM _activity.event WHERE id = $fourth", '0', 'an inserted event' ],
	[ "INSERT INTO _activity.event SELECT id, occurred_at - interval '30 years', xid, $copy FROM _activity.event WHERE id = $fourth", '0', 'another event with the same id' ],
	[ "UPDATE _activity.stream SET position = 9 - position WHERE $mine AND position IN (4, 5)", '4 5 6', 'a reordering' ],
	[ "UPDATE _activity.stream SET id = CASE id WHEN $fourth THEN (SELECT id FROM _activity.stream WHERE $mine AND position = 5) ELSE $fourth END WHERE $mine AND position IN (4, 5)", '4 5', 'a reordering that leaves the hashes' ],
	[ "UPDATE _activity.stream SET hash = sha256('x') WHERE $mine AND position = 3", '3 4', 'another hash in the stream' ],
	[ "UPDATE _activity.stream SET hash = substr(hash, 2) WHERE $mine AND position = 3", '3 4', 'a shorter hash' ],
	[ "UPDATE _activity.stream SET hash = sha256('x') WHERE $mine AND position = $last", "$last", 'another hash at the end' ],
	[ "UPDATE _activity.stream SET id = (SELECT id FROM _activity.stream WHERE $mine AND position = 2) WHERE $mine AND position = 4", '0 4', 'another event at a position' ],
	[ "UPDATE _activity.stream SET organization = $other WHERE $mine AND position = 4", '0 4', 'a position given to another organization' ],
	[ "UPDATE _activity.stream SET position = 4 WHERE $mine AND position = 5", '4 5', 'a position that is there twice' ],
	[ "UPDATE _activity.stream SET position = 0 WHERE $mine AND position = 1", '0 1', 'a position before the first' ],
	[ "UPDATE _activity.stream SET position = position + 1 WHERE $mine", join(' ', 1, 3 .. $last + 1), 'a stream that begins later' ],
	[ "UPDATE _activity.stream SET position = 99 WHERE $mine AND position = $last", "$last", 'a position far ahead' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position = 4", '0 4', 'a position removed from the stream' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position IN (4, 5)", '0 4', 'two in a row' ],
	[ "DELETE FROM _activity.event WHERE id = $fourth; DELETE FROM _activity.stream WHERE $mine AND position = 4", '4', 'event and position removed' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position = 1", '0 1', 'the first position removed' ],
	[ "DELETE FROM _activity.stream WHERE $mine AND position = $last", '0', 'the last position removed, the event still there,' ],
	[ "DELETE FROM _activity.stream WHERE $mine", '0', 'a removed stream' ],
	[ "ALTER TABLE _activity.segment DISABLE TRIGGER append_only; UPDATE _activity.segment SET format = 1", '1', 'a segment of another format' ],
	[ "ALTER TABLE _activity.segment DISABLE TRIGGER append_only; DELETE FROM _activity.segment", '1', 'a segment that is not known' ],
	[ "INSERT INTO _activity.stream_anchor SELECT organization, position, segment, hash FROM _activity.stream WHERE $mine AND position = 6; UPDATE _activity.event SET description = 'x' WHERE id = $fourth", '1 4', 'a change before an anchor that was added' ])
{
	my ($change, $at, $name) = @$case;
	$change = "DROP INDEX _activity.stream_1_key; $change; CREATE UNIQUE INDEX ON _activity.stream_1 (organization, position" .
	  ($name =~ /twice/ ? ', id' : '') . ')';
	found($organization, $change, $at, $name);
}

# Redacted, partly: both stay clean, and find what is changed afterwards, or forged.
$node->safe_psql('postgres', q{
	SELECT activity.set_actor('ann', 'user', 'Ann'), activity.record('private', 'auth.signin'), activity.record('private', 'auth.signup'),
		activity.set_actor('bob'), activity.record('private', 'auth.signin', '{"id": 1}');
	SELECT activity.publish();
	SELECT * FROM activity.redact_person('ann', 'asked', 'private');
	SELECT activity.publish()});
my $private = "organization = (SELECT min(key) FROM _activity.organization WHERE id = 'private')";
my $first = "(SELECT id FROM _activity.stream WHERE position = 1 AND $private)";
my $third = "(SELECT id FROM _activity.stream WHERE position = 3 AND $private)";
found('private', 'SELECT', '', 'a redaction');
found('private', "UPDATE _activity.event SET type = type + 1 WHERE id = $first", '1', 'a changed skeleton of a redacted event');
found('private', "UPDATE _activity.event SET commitment = sha256('x') WHERE id = $first", '1', 'a changed commitment');
# Words put into it, that nobody said: the digest knows nothing of them.
my %said = (salt => 'gen_random_uuid()', subject_hash => '1', description => q{'Deleted the books'}, metadata => q{'{"m": 1}'}, context => q{'{"ip": "::1"}'},
	subject => q{subject || '{"id": "x"}'});
foreach my $column (sort keys %said)
{
	found('private', "UPDATE _activity.event SET $column = $said{$column} WHERE id = $first", '1', "a $column in a redacted event");
}
foreach my $subject (q{subject || '{"kind": {"said": "x"}}'}, q{subject || '{"kind": ["x"]}'}, q{subject - 'kind' || '{"kine": "x"}'})
{
	found('private', "UPDATE _activity.event SET subject = $subject WHERE id = $first", '1', "a subject $subject");
}
found('private', "UPDATE _activity.event SET subject = subject || '{\"kind\": null}' WHERE id = $first", '', 'no kind, which there may be none of,');
found('private', "UPDATE _activity.event SET subject = '$_' WHERE id = $first", '1', "a redacted event with the subject $_") foreach '[]', '["redacted", 1, 2]', '7';
found('private', qq{UPDATE _activity.event SET metadata = metadata || '{"events": $_}' WHERE $private AND metadata ? 'events'}, '2 4', "a redaction of $_ events")
	foreach qw(1e30 -1 0.5 "x" 1 null "2");
found('private', "UPDATE _activity.event SET metadata = '[1, \"events\", 2]' WHERE $private AND metadata ? 'events'", '2 4', 'a redaction of no shape');
found('private', "UPDATE _activity.event SET description = 'x' WHERE id = $third", '3', 'a changed personal part beside it');
found('private', "UPDATE _activity.event e SET commitment = _activity.commitment(e), salt = NULL, subject = (SELECT jsonb_build_object('redacted', id) FROM _activity.redaction) WHERE id = $third",
	'3', 'a forged redaction');
found('private', "UPDATE _activity.event e SET commitment = _activity.commitment(e), salt = NULL, subject = '{}' WHERE id = $third", '3', 'a redaction by nobody');
found('private', "DELETE FROM _activity.event WHERE id = $first", '1', 'a removed redacted event');

# What no chain can see without a checkpoint kept elsewhere.
my $cut = both($organization, "DELETE FROM _activity.event WHERE id = (SELECT id FROM _activity.stream WHERE $mine AND position = $last); DELETE FROM _activity.stream WHERE $mine AND position = $last");
is("$cut->{ours}$cut->{theirs}", '', 'the end of the stream, cut off with its event, is missed');
like($cut->{head}, qr/^head @{[ $last - 1 ]} /, 'but the head is not that of the checkpoint');
is($cut->{their_head}, $cut->{head}, '... which the script tells, too');

# Events that wait for a publisher, some of them behind the mark of one that was
# interrupted, are not missed.
$node->safe_psql('postgres', "SELECT count(activity.record('$quoted', 'auth.signin')) FROM generate_series(1, 100)");
found($organization, 'SELECT', '', 'an event that waits');
$node->safe_psql('postgres', 'SET activity.publish_batch = 1; SELECT activity.publish()');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM _activity.publication WHERE target IS NOT NULL'), '>', 0, 'half are published');
found($organization, 'SELECT', '', 'the other half');
found($organization, "DELETE FROM _activity.stream WHERE $mine AND position = $last + 1", '0 ' . ($last + 1), 'one of the first half');

# After retention: what is gone by right, anchors, and a segment that was dropped.
$node->safe_psql('postgres', 'SELECT activity.maintain(since => now() - interval \'30 months\')');
foreach my $months (20, 12, 6, 0)
{
	$node->safe_psql('postgres', qq{
		SELECT activity.record('kept', 'auth.signin', occurred_at => date_trunc('month', now(), 'UTC') - interval '$months months' + g * interval '1 ms')
		FROM generate_series(1, 4) g});
	$node->poll_query_until('postgres', 'SELECT activity.publish() = 0');
	$node->safe_psql('postgres', qq{SET session_replication_role = replica;
		ALTER TABLE _activity.segment DISABLE TRIGGER append_only;
		UPDATE _activity.segment SET started_at = date_trunc('month', now(), 'UTC') - interval '$months months'
		WHERE number = (SELECT max(number) FROM _activity.segment);
		ALTER TABLE _activity.segment ENABLE ALWAYS TRIGGER append_only});
}
my $kept = "organization = (SELECT min(key) FROM _activity.organization WHERE id = 'kept')";
$node->safe_psql('postgres', q{SELECT activity.set_retention('kept', '13 months'); SELECT activity.maintain() FROM generate_series(1, 4)});
found('kept', 'SELECT', '', 'what is gone, its segment kept for others,');
is($node->safe_psql('postgres', "SELECT position FROM _activity.stream_anchor WHERE $kept"), '4', 'an anchor stands there');
found('kept', "UPDATE _activity.stream SET hash = sha256('x') WHERE $kept AND position = 3", '', 'a hash that nothing rests on');
found('kept', "UPDATE _activity.stream SET hash = sha256('x') WHERE $kept AND position = 4", '4 5', 'a hash under the anchor');
found('kept', "DELETE FROM _activity.event WHERE id = (SELECT id FROM _activity.stream WHERE $kept AND position = 5)", '5', 'an event removed before its time');
$node->safe_psql('postgres', q{SELECT activity.set_retention('kept', '9 months'), activity.set_retention('other', '3 months');
	SELECT activity.maintain() FROM generate_series(1, 4)});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'stream_2'}), '0', 'a segment is dropped');
found('kept', 'SELECT', '', 'what is gone, its segment dropped,');
my $anchors = $node->safe_psql('postgres', "SELECT string_agg(position::text, ' ' ORDER BY position) FROM _activity.stream_anchor WHERE $kept");
is($anchors, '4 8', 'with an anchor in its place');
found('kept', "UPDATE _activity.stream_anchor SET hash = sha256('x') WHERE $kept AND position = 8", '9', 'a changed anchor');
found('kept', "UPDATE _activity.stream_anchor SET hash = sha256('x') WHERE $kept AND position = 4", '', 'one that nothing rests on any more');
found('kept', "DELETE FROM _activity.stream_anchor WHERE $kept", '5', 'removed anchors');
found('kept', "INSERT INTO _activity.stream_anchor SELECT organization, 99, segment, hash FROM _activity.stream_anchor WHERE $kept AND position = 8", '9 99', 'an anchor added at the end');
found('kept', "UPDATE _activity.stream SET segment = 4 WHERE $kept AND position = 10", '10 11', 'a row moved to another segment');
found('kept', "DELETE FROM _activity.event WHERE id IN (SELECT id FROM _activity.stream WHERE $kept); DELETE FROM _activity.stream WHERE $kept", '', 'nothing but anchors');
$node->stop;
done_testing();
