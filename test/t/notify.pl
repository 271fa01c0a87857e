# Without a publisher the committing writer notifies: one message per event on
# the channels that are asked for, nothing after a rollback, never an error.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 4\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION activity CASCADE');
my $own = $node->safe_psql('postgres', q{SELECT activity.channel('acme')});
like($own, qr/^activity_[0-9a-f]{32}$/, 'a channel of its own');

# What a session that listens to both channels is told of its own transaction.
sub told
{
	my ($sql) = @_;
	my ($out, $err);
	$node->psql('postgres', "LISTEN activity; LISTEN $own; $sql",
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	is($err, '', "no error: $sql");
	return $out =~ /notification "(\w+)" with payload "(.*)" received/g;
}

my $record = q{SELECT activity.record('acme', 'member.joined', '{"id": "user_7", "name": "Ann \"A\""}');};
my %got = told($record);
is(join(',', sort keys %got), "activity,$own", 'both channels');
is($got{activity}, $got{$own}, 'carry the same');
like($got{activity}, qr/"organization": "acme", "position": null, "cursor": null/, 'unpublished');
like($got{activity}, qr/"type": "member.joined"/, 'type');
like($got{activity}, qr/"occurred_at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"/, 'time');
like($got{activity}, qr/"actor": null/, 'no actor');
like($got{activity}, qr/"subject": \{"kind": "member", "id": "user_7"\}/, 'subject');
like($got{activity}, qr/"description": "Ann \\"A\\" joined"\}$/, 'description');
is($node->safe_psql('postgres',
		"SELECT jsonb_typeof(\$j\$$got{activity}\$j\$::jsonb)"), 'object', 'valid JSON');

%got = told("SELECT activity.set_actor('user_1', 'user', 'Bob') \\; $record");
like($got{activity}, qr/"actor": \{"kind": "user", "id": "user_1", "name": "Bob"\}/, 'actor');

for my $case ([ 'shared', 'activity' ], [ 'organization', $own ], [ 'off', '' ])
{
	%got = told("SET activity.notify = $case->[0]; $record");
	is(join(',', keys %got), $case->[1], "activity.notify = $case->[0]");
}

my @got = told("BEGIN; $record ROLLBACK;");
is(@got, 0, 'a rollback sends nothing');
@got = told("SET activity.notify = shared; BEGIN; $record SAVEPOINT s; $record"
	  . " SAVEPOINT t; $record RELEASE t; ROLLBACK TO s; $record COMMIT;");
is(@got / 2, 2, 'nor does a savepoint that is rolled back');

@got = told("BEGIN; $record PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';");
is(@got, 0, 'a prepared transaction works, and sends nothing');

# Too large for a message: what fits is sent.
for my $large (
	q{SELECT activity.record('acme', 'auth.signin', description => repeat('x', 9000));},
	q{SELECT activity.record('acme', 'auth.signin', description => repeat(E'\x01', 4000));},
	q{SELECT activity.record('acme', 'auth.signin', jsonb_build_object('id', repeat('ä', 9000)));},
	q{SELECT activity.set_actor(repeat('x', 9000)) \; SELECT activity.record('acme', 'auth.signin');},
	q{SELECT activity.set_actor('u', 'user', repeat('"', 7000)) \; SELECT activity.record(repeat('"', 255), 'auth.signin');})
{
	%got = told("SET activity.notify = shared; $large");
	like($got{activity}, qr/, "truncated": true\}$/, 'cut down');
	cmp_ok(length($got{activity}), '<', 8000, 'to size');
}

# As many messages as one transaction may send, and a word about the rest.
@got = told(q{SET activity.notify = shared; SET activity.notify_limit = 10;
	SELECT count(activity.record('acme', 'auth.signin')) FROM generate_series(1, 25);});
is(@got / 2, 11, 'limited');
is($got[-1], '{"omitted": 15, "truncated": true}', 'and says what is missing');

my $five = q{SELECT count(activity.record('acme', 'auth.signin')) FROM generate_series(1, 5);};
@got = told(qq{SET activity.notify = shared; SET activity.notify_limit = 3;
	BEGIN; $five
	SAVEPOINT a; $five SAVEPOINT b; $five RELEASE b; SAVEPOINT c; $five ROLLBACK TO c; ROLLBACK TO a; $five
	SAVEPOINT d; $five SAVEPOINT e; $five RELEASE e; RELEASE d; $five
	COMMIT;});
is($got[-1], '{"omitted": 22, "truncated": true}', 'not what was rolled back');
@got = told(qq{SET activity.notify = shared; SET activity.notify_limit = 3;
	BEGIN; SAVEPOINT a; $five ROLLBACK TO a; SELECT activity.record('acme', 'auth.signin'); COMMIT;});
is(@got / 2, 1, 'nor does that take anybody\'s place');
unlike($got[-1], qr/omitted/, 'or leave a word');

$node->stop;
done_testing();
