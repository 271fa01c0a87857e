# Logical decoding: a subscriber of pgoutput that has the extension keeps a second feed,
# with months made and rows moved on both sides, and redactions by the ledger;
# test_decoding prints events; wal2json has the columns that the outbox configuration of
# docs/scaling.md names.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %node;
foreach my $name ('source', 'copy')
{
	my $node = $node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
	# Later minor versions want to be told of wal2json.
	my ($known) = run_command([ 'postgres', '-C', 'output_plugin_libraries', '-D', $node->data_dir ]);
	$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput,test_decoding,wal2json'\n") if $known =~ /pgoutput/;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
}
my ($source, $copy) = @node{ 'source', 'copy' };
$source->safe_psql('postgres', q{
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}');
	SELECT activity.record('acme', 'kitchen.burnt', jsonb_build_object('id', i, 'dish', 'soup'), occurred_at => now() - i * interval '10 days') FROM generate_series(1, 9) i;
	SELECT pg_create_logical_replication_slot('printed', 'test_decoding'), pg_create_logical_replication_slot('outbox', 'wal2json')});

# The page's own statements.
my $page = slurp_file('docs/scaling.md');
my ($publication) = $page =~ /^(CREATE PUBLICATION .*?;)$/ms or die;
my ($subscription) = $page =~ /^(CREATE SUBSCRIPTION .*?;)$/ms or die;
my $connection = 'host=' . $source->host . ' port=' . $source->port . ' dbname=postgres';
$subscription =~ s/CONNECTION '[^']*'/CONNECTION '$connection'/;
$source->safe_psql('postgres', $publication);
$copy->safe_psql('postgres', $subscription);
$copy->wait_for_subscription_sync($source, 'feed');
my $feed = q{SELECT id, occurred_at, event_type, actor_id, description, subject, metadata FROM activity.feed('acme', page_size => 1000)};
sub same
{
	my ($what) = @_;
	$source->wait_for_catchup('feed');
	my $there = $source->safe_psql('postgres', $feed);
	isnt($there, '', 'there is something');
	is($copy->safe_psql('postgres', $feed), $there, "$what: the copy's feed is the same");
}
same('to begin with');
$source->safe_psql('postgres', q{
	SELECT activity.maintain();
	SELECT activity.set_actor('u1'), activity.record('acme', 'auth.signin');
	SELECT activity.record('new', 'auth.signin');
	SELECT activity.define_event_type('kitchen.served', 'Served {dish}');
	SELECT activity.record('acme', 'kitchen.served', '{"id": 1, "dish": "soup"}', occurred_at => now() - interval '400 days');
	SELECT activity.set_tier('acme', 'premium')});
same('after months were made, and a type');
$copy->safe_psql('postgres', 'SELECT activity.maintain()');
$source->safe_psql('postgres', q{SELECT activity.record('acme', 'kitchen.burnt', jsonb_build_object('id', i, 'dish', 'stew'), occurred_at => now() - i * interval '20 days') FROM generate_series(1, 9) i});
same('after the copy has made its own months');
is($copy->safe_psql('postgres', q{SELECT count(*) FROM activity.feed('new')}), '1', 'an organization that came later');
is($copy->safe_psql('postgres', q{SELECT activity.organization_tier('acme')}), 'premium', 'and its tier');

# Only inserts travel: a redaction goes by the ledger.
$source->safe_psql('postgres', q{SELECT activity.redact('acme', (SELECT id FROM activity.feed('acme') WHERE event_type = 'kitchen.burnt' LIMIT 1), 'asked for')});
$source->wait_for_catchup('feed');
is($copy->safe_psql('postgres', q{SELECT count(*) FROM activity.feed('acme') WHERE description = '[redacted]'}), '0', 'a redaction does not come by itself');
my $ledger = $source->safe_psql('postgres', 'SELECT activity.redaction_ledger()');
$copy->safe_psql('postgres', "SELECT activity.replay_redactions(\$ledger\$$ledger\$ledger\$)");
same('after the ledger was replayed');

# What other programs see.
like($source->safe_psql('postgres', q{SELECT string_agg(data, E'\n') FROM pg_logical_slot_get_changes('printed', NULL, NULL)}),
	qr/^table _activity\.event\w*: INSERT: id\[uuid\]:'[0-9a-f-]{36}' .* description\[text\]:'Burnt stew'/m, 'test_decoding prints events');
my %config = $page =~ /^transforms\.outbox\.(table\.field\.\S+)=(\w+)$/mg;
my ($additional) = $page =~ /^transforms\.outbox\.table\.fields\.additional\.placement=(\S+)$/m;
cmp_ok(scalar keys %config, '>=', 4, 'the page has a configuration of an outbox');
my ($table) = $page =~ /^table\.include\.list=(\S+)$/m;
$table =~ s/\\\\/\\/g;
my ($insert, @others) = grep { "$_->{schema}.$_->{table}" =~ /^(?:$table)$/ && $_->{action} eq 'I' } map { decode_json($_) }
	split /\n/, $source->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_get_changes('outbox', NULL, NULL, 'format-version', '2', 'include-transaction', 'false')});
ok($insert, 'wal2json prints what the connector takes');
my %seen;
foreach my $row ($insert, @others)
{
	$seen{$_->{value}}++ foreach grep { $_->{name} eq 'id' } @{ $row->{columns} };
}
is(scalar(grep { !$seen{$_} } split /\n/, $source->safe_psql('postgres', q{SELECT id FROM activity.audit(page_size => 1000) WHERE subject->>'dish' IS DISTINCT FROM 'soup' AND description <> '[redacted]'})), 0,
	'each event that was recorded meanwhile');
my %columns = map { $_->{name} => $_ } @{ $insert->{columns} };
foreach my $name (values %config, map { /^(\w+)/ } split /,/, $additional)
{
	ok($columns{$name}, "with the column $name");
}
$source->safe_psql('postgres', q{SELECT pg_drop_replication_slot('printed'), pg_drop_replication_slot('outbox')});
$copy->safe_psql('postgres', 'DROP SUBSCRIPTION feed');
$_->stop foreach values %node;
done_testing();
