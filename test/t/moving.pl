# An organization moves from one server to another and back: everything that can be
# asked of it is answered as before, a cursor of before goes on, checkpoints hold, what
# was owed to webhooks is sent once, consumers continue. A file that is not whole, or not
# what it says, leaves nothing.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $acme = q{ac''m\\e "x"};                     # as a literal
(my $name = $acme) =~ s/''/'/g;
my $folder = PostgreSQL::Test::Utils::tempdir();
my @raw = ("(FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')");
my %node;
foreach my $n ('one', 'two')
{
	$node{$n} = PostgreSQL::Test::Cluster->new($n);
	$node{$n}->init;
	$node{$n}->append_conf('postgresql.conf', join "\n", "activity.default_tier = 'enterprise'",
		'activity.allow_insecure_webhooks = on', "activity.webhook_ports = '1-65535'", 'activity.notify = off', '');
	$node{$n}->start;
	$node{$n}->safe_psql('postgres', q{
		CREATE EXTENSION activity CASCADE;
		CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
		SET client_min_messages = error;
		SELECT activity.track('memberships', 'membership')});
}
sub sql { my ($n, $sql) = @_; return $node{$n}->safe_psql('postgres', $sql) }
sub publish { $node{ $_[0] }->poll_query_until('postgres', 'SELECT activity.publish() = 0') or die }

# The SQLSTATE of what is refused, or what it returned.
sub try_sql
{
	my ($n, $sql) = @_;
	my ($result, $out, $errors) = $node{$n}->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	note("$sql: $errors") if $result;
	return $result == 0 ? $out : ($errors =~ /ERROR:\s+(\w+)/)[0];
}

sub export_to
{
	my ($n, $file, $more) = @_;
	$more //= '';
	sql($n, "\\o $folder/$file\nSELECT activity.export_organization('$acme'$more);");
	return;
}

sub import_from
{
	my ($n, $file, $more) = @_;
	$more //= '';
	return try_sql($n, "CREATE TEMP TABLE lines (n bigserial, line text);
\\copy lines (line) FROM '$folder/$file' WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')
SELECT activity.import_organization(line ORDER BY n) FROM lines;$more");
}

# Others are there, with measures and types of their own, and older events.
sql('two', q{
	SELECT activity.define_event_type('pony.ridden', 'Rode {name}');
	SELECT activity.define_measure('pony.ridden', 'ridden', 'distance', 'km');
	SELECT count(activity.record('other' || i % 7, 'pony.ridden', '{"name": "p"}', '{"distance": 3}')) FROM generate_series(1, 70) i});
publish('two');
my $others = sql('two', q{SELECT cursor FROM activity.stream_head('other1')});

# All that an organization can have.
sql('one', qq{
	SELECT activity.set_tier('$acme', 'premium'), activity.set_tier('$acme', 'enterprise');
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}', '{dish}');
	SELECT activity.define_measure('kitchen.burnt', 'burnt', 'grams', 'g', 'dish');
	SELECT activity.set_actor('u1', 'user', E'tab\\tname \\\\ "q"', '{"ip": "::1"}', '{"id": "u9", "name": "Nine"}'),
		activity.record('$acme', 'kitchen.burnt', jsonb_build_object('id', i, 'dish', E'so\\\\u"p\\n\}' || i % 5),
			jsonb_build_object('grams', i + 0.50, 'deep', '[1, null, {"x": 1e400}]'::jsonb), occurred_at => now() - i * interval '2 days')
	FROM generate_series(1, 250) i;
	SELECT activity.record('$acme', 'order.created', jsonb_build_object('kind', 'order', 'id', i, 'plan_id', 'gold'),
		jsonb_build_object('amount', i, 'currency', 'usd')) FROM generate_series(1, 30) i;
	SELECT activity.record('$acme', 'subscription.active', '{"id": "s1", "plan_id": "gold"}', '{"amount": 20, "currency": "eur", "interval": "month"}');
	SELECT activity.record('$acme', 'auth.signin', jsonb_build_object('id', 'u' || i % 3), occurred_at => now() - interval '5 days') FROM generate_series(1, 220) i;
	SELECT activity.record('neighbour', 'auth.signin');
	INSERT INTO memberships VALUES (1, '$acme', 'u1', 'admin', 'active');
	SELECT activity.set_retention('$acme', '9 months');
	SELECT activity.create_connection('$acme', 'u1', 'laptop')});
publish('one');
sql('one', 'SELECT _activity.maintain_rollups(100000, 1)');
sql('one', qq{SELECT activity.maintain(now() - interval '20 months'); SELECT activity.maintain()});
sql('one', qq{
	SELECT activity.redact('$acme', (SELECT id FROM activity.feed('$acme', event_types => '{kitchen.burnt}') LIMIT 1), 'asked for');
	SELECT activity.place_hold('$acme', 'a case', subject => '7');
	SELECT activity.release_hold(activity.place_hold('$acme', 'another', actor => 'u1'), 'over');
	SELECT activity.create_consumer('ship', '$acme', start => 'earliest');
	SELECT activity.create_webhook('$acme', 'http://127.0.0.1:9/one', '{order.*,kitchen.*}');
	SELECT activity.create_webhook('$acme', 'http://127.0.0.1:9/two', '{order.*}', 'second');
	SELECT activity.delete_webhook(endpoint_id) FROM activity.create_webhook('$acme', 'http://127.0.0.1:9/three')});
my $token = sql('one', qq{SELECT token FROM activity.create_token('$acme', capabilities => '{read,analytics}')});
publish('one');
sql('one', qq{SELECT activity.record('$acme', 'order.created', jsonb_build_object('id', 'o' || i), jsonb_build_object('amount', i, 'currency', 'usd'))
	FROM generate_series(1, 12) i;
	SELECT activity.record('$acme', 'kitchen.burnt', '{"id": 0, "dish": "last"}', '{"grams": 7}', occurred_at => now() - interval '1 hour')});
publish('one');
isnt(sql('one', 'SELECT count(*) FROM _activity.rollup WHERE kind = 0 AND -1000 >= ANY (measures)'), '0', 'sums of its own measure that nothing has put together');

# Some were delivered, some failed, two are being sent.
my %delivered;
sub deliver
{
	my ($n, $most, $status) = @_;
	my $rows = sql($n, "SELECT d.delivery_id, d.attempt, d.url || ' ' || (d.headers->>'webhook-id') FROM activity.claim_deliveries($most, '1 minute') d");
	foreach my $row (split /\n/, $rows)
	{
		my ($id, $attempt, $what) = split /\|/, $row;
		next unless $status;
		sql($n, "SELECT activity.report_delivery('$id', $attempt, $status, NULL, '5 ms', 'answer', NULL)");
		$delivered{$what}++ if $status == 200;
	}
	return scalar split /\n/, $rows;
}
deliver('one', 3, 200);
deliver('one', 2, 500);
sql('one', q{SELECT activity.test_webhook(endpoint_id) FROM activity.webhook_endpoints WHERE description = 'second'});
my %owed = map { $_ => 1 } split /\n/, sql('one', q{SELECT e.url || ' ' || d.event_id FROM activity.webhook_deliveries d
	JOIN activity.webhook_endpoints e USING (endpoint_id) WHERE d.event_type = 'order.created'});
is(scalar keys %owed, 24, 'both endpoints are owed twelve orders');

# A consumer has acknowledged some, parked one, and has a lease.
sql('one', q{
	SELECT activity.ack('ship', (SELECT lease FROM activity.poll('ship', 40) LIMIT 1));
	CREATE TEMP TABLE polled AS SELECT lease, cursor FROM activity.poll('ship', 1);
	SELECT activity.park('ship', lease, cursor, 'poison') FROM polled;
	SELECT activity.ack('ship', lease) FROM polled});
my $lease = sql('one', q{SELECT lease FROM activity.poll('ship', 10, '1 hour') LIMIT 1});

# What can be asked. Ids of deliveries and what tells of the journey itself differ.
my @questions = (
	"SELECT * FROM activity.feed('$acme', event_types => '{!compliance.imported,!compliance.exported,!compliance.sums_sealed,!webhook.*}', page_size => 1000) WHERE coalesce(subject_id, '') !~ '^late'",
	"SELECT position, cursor, id, description, metadata FROM activity.replay('$acme', NULL, NULL, 10000) WHERE position <= :head",
	"SELECT position, hash FROM generate_series(:earliest, :head, 17) p, activity.checkpoint('$acme', p)",
	"SELECT * FROM activity.verify('$acme')",
	"SELECT id, organization, subject, reason, placed_by, released_at, release_reason FROM activity.holds ORDER BY id",
	'SELECT * FROM activity.redactions ORDER BY 1',
	"SELECT organization, tier, keep FROM activity.retention WHERE organization = '$acme'",
	"SELECT count(*) FROM activity.timeline('$acme', now() - interval '2 years', now()) WHERE events > 0",
	"SELECT * FROM activity.timeline('$acme', now() - interval '2 years', now(), by => 'event_type') WHERE key !~ '^(compliance|webhook|auth)' AND events > 0 ORDER BY 1, 2",
	"SELECT * FROM activity.usage('$acme', now() - interval '2 years', now(), 'burnt') ORDER BY 1",
	"SELECT * FROM activity.revenue('$acme', now() - interval '2 years', now()) ORDER BY 1",
	"SELECT * FROM activity.mrr('$acme')",
	"SELECT * FROM activity.summary('$acme', date_trunc('day', now(), 'UTC') - interval '8 days', date_trunc('day', now(), 'UTC') - interval '1 day')",
	'SELECT count(*) > 0 FROM _activity.rollup WHERE kind = 6', # a day that is counted for it
	"SELECT * FROM activity.rollup_verify('$acme', now() - interval '2 years', now())",
	"SELECT month, events FROM _activity.rollup_seal s JOIN _activity.organization o ON o.key = s.organization WHERE o.id = '$acme' ORDER BY 1",
	"SELECT endpoint_id, url, event_types, description, failures, failing_since, last_success_at, in_flight, secrets FROM activity.webhook_endpoints ORDER BY 1",
	"SELECT secret, expires_at FROM _activity.webhook_secret ORDER BY 1",
	"SELECT endpoint_id, event_id, event_type, created_at, to_jsonb(d) - '{delivery_id,state,status}'::text[] FROM activity.webhook_deliveries d ORDER BY 1, 2, 4",
	"SELECT to_jsonb(a) - '{delivery_id}'::text[] FROM activity.webhook_attempts a ORDER BY to_jsonb(a)->>'reported_at', 1",
	"SELECT * FROM activity.tokens ORDER BY 1",
	"SELECT * FROM activity.connections ORDER BY 1",
	"SELECT name, organization, event_types, cursor, leased_until, last_poll, parked FROM activity.consumers",
	'SELECT * FROM activity.parked');
sub answers
{
	my ($n, $head, $earliest) = @_;
	return map { my $q = $_ =~ s/:head/$head/gr =~ s/:earliest/$earliest/gr; sql($n, "SET TimeZone = 'UTC'; $q") } @questions;
}
# Without printing pages of what differs.
sub is_same
{
	my ($was, $is, $question) = @_;
	return pass("the same answer to $question") if $was eq $is;
	my %was = map { $_ => 1 } split /\n/, $was;
	my %is = map { $_ => 1 } split /\n/, $is;
	fail("the same answer to $question");
	diag("not any more: ", (sort grep { !$is{$_} } keys %was)[0] // '', "\nnew: ", (sort grep { !$was{$_} } keys %is)[0] // '');
	return;
}
my ($head, $earliest) = split /\|/, sql('one', "SELECT position, earliest FROM activity.stream_head('$acme')");
cmp_ok($earliest, '>', 50, 'retention has been there');
$head = sql('one', "SELECT position FROM activity.stream_head('$acme')");
my @before = answers('one', $head, $earliest);
isnt($before[$_], '', "there is something to see: $questions[$_]") foreach grep { $questions[$_] !~ /verify/ } 0 .. $#questions;
my @cursors = split /\n/, sql('one', "SELECT cursor FROM activity.replay('$acme', NULL, NULL, 10000)");
my ($epoch) = $cursors[0] =~ /^(\d+)/;
push @cursors, "$epoch.0", "$epoch.3", "$epoch." . ($head + 5), '77.1', '0.0';
sub goes_on
{
	my ($n, $cursor) = @_;
	return try_sql($n, "SELECT count(*), min(position), (array_agg(id ORDER BY position))[1] FROM activity.replay('$acme', '$cursor', NULL, 10000) WHERE position <= $head");
}
my %went = map { $_ => goes_on('one', $_) } @cursors[ grep { $_ % 20 == 0 || $_ > $#cursors - 6 } 0 .. $#cursors ];

# Not published yet when it leaves.
sql('one', qq{SELECT activity.record('$acme', 'auth.signin', jsonb_build_object('id', 'late' || i)) FROM generate_series(1, 3) i});

# It leaves. A second session claims nothing after that moment.
export_to('one', 'file', ', closing => true');
is(deliver('one', 100, 0), 0, 'nothing is claimed where it left');
my @lines = split /(?<=\n)/, slurp_file("$folder/file");
is($lines[-1], sprintf(qq({"line":"end","lines":%d,"events":%d,"sha256":"%s"}\n), $#lines,
		scalar(grep { /^\{"line":"event"/ } @lines), sha256_hex(join '', @lines[ 0 .. $#lines - 1 ])), 'the last line counts and hashes the others');
like($lines[0], qr/^\{"line":"organization","format":1,/, 'the first line has the format');
unlike(join('', @lines), qr/neighbour/, 'nothing of others is in it');

# Files that are not what they were; a forger makes the last line anew.
sub whole { my @l = @_; return @l, sprintf(qq({"line":"end","lines":%d,"events":%d,"sha256":"%s"}\n), scalar @l, scalar(grep { /^\{"line":"event"/ } @l), sha256_hex(join '', @l)) }
my @body = @lines[ 0 .. $#lines - 1 ];
sub first_of { my ($kind) = @_; my ($i) = grep { $body[$_] =~ /^\{"line":"$kind"/ } 0 .. $#body; die $kind unless defined $i; return $i }
sub changed { my ($kind, $from, $to) = @_; my @l = @body; my $i = first_of($kind); $l[$i] =~ s/$from/$to/ or die "$kind: $l[$i]"; return whole(@l) }
sub without { my ($i) = @_; return whole(@body[ grep { $_ != $i } 0 .. $#body ]) }
sub twice { my ($i) = @_; return whole(@body[ 0 .. $i ], $body[$i], @body[ $i + 1 .. $#body ]) }
my $count = q{SELECT string_agg(c.relname || ' ' || (xpath('/table/row/c/text()', query_to_xml('SELECT count(*) AS c FROM _activity.' || quote_ident(c.relname), false, false, '')))[1], ', ' ORDER BY c.relname)
	FROM pg_class c WHERE relnamespace = '_activity'::regnamespace AND relkind = 'r'};
my $there = sql('two', $count);
my %hostile = (
	'cut short' => [ AC051 => @lines[ 0 .. 100 ] ],
	'without its end' => [ AC051 => @body ],
	'no file at all' => [ AC051 => "once upon a time\n" ],
	'without its head' => [ AC051 => whole(@body[ 1 .. $#body ]) ],
	'of another version' => [ AC051 => changed(organization => '"format":1', '"format":2') ],
	'of another encoding' => [ AC051 => changed(organization => '"encoding":"UTF8"', '"encoding":"LATIN1"') ],
	'with a line after the end' => [ AC051 => @lines, $body[1] ],
	'with two heads' => [ AC051 => twice(0) ],
	'with a line that is missing' => [ AC051 => @lines[ 0 .. 20, 22 .. $#lines ] ],
	'with lines swapped' => [ AC051 => @lines[ 0 .. 20, 22, 21, 23 .. $#lines ] ],
	'with a byte changed' => [ AC051 => map { my $l = $_; $l =~ s/Burnt/Baked/; $l } @lines ],
	'forged: a description' => [ AC051 => changed(event => '"description":"', '"description":"Not ') ],
	'forged: a time' => [ AC051 => changed(event => '"occurred_at":"20', '"occurred_at":"19') ],
	'forged: an actor' => [ AC051 => changed(event => '"actor_id":"u1"', '"actor_id":"u2"') ],
	'forged: an event gone' => [ AC051 => without(first_of('event')) ],
	'forged: a position gone' => [ AC051 => without(first_of('position')) ],
	'forged: an event twice' => [ AC051 => twice(first_of('event')) ],
	'forged: a position twice' => [ AC051 => twice(first_of('position')) ],
	'forged: a foreign event' => [ AC051 => changed(position => '"id":"0', '"id":"1') ],
	'forged: a type unknown here' => [ AC051 => changed(event => '"type":"[^"]*"', '"type":"no.such"') ],
	'forged: no JSON' => [ AC051 => changed(event => '"id":', '"id"') ],
	'forged: a foreign segment' => [ AC051 => changed(position => '"segment":\d+', '"segment":99') ],
	'forged: a foreign endpoint' => [ AC051 => changed(delivery => '"endpoint": \d+', '"endpoint": 99') ],
	'forged: a rollup of other cells' => [ AC051 => changed(rollup => '"cells": \d+', '"cells": 999') ],
	'forged: an inner address' => [ AC020 => changed(endpoint => 'http://127.0.0.1:9/one', 'https://10.0.0.1/one') ],
	'forged: a rollup that measures nothing' => [ AC051 => changed(rollup => '"measures": \[[^]]*\], ', '') ],
	'forged: a secret that signs nothing' => [ AC051 => changed(endpoint => '"secret": "[^"]*"', '"secret": "-1"') ],
	'forged: no secret' => [ AC051 => changed(endpoint => '"secrets": \[[^]]*\]', '"secrets": []') ],
	'forged: a delivery of no time' => [ AC051 => changed(delivery => '"created_at": "[^"]*"', '"created_at": "-infinity"') ],
	'forged: a retention twice' => [ AC051 => twice(first_of('retention')) ],
	'forged: a type of no name' => [ AC051 => changed(type => '"key": "[^"]*"', '"key": ""') ],
	'forged: a template that is none' => [ AC051 => changed(type => '"template": "[^"]*"', '"template": "{"') ],
	'forged: a capability' => [ AC051 => changed(token => '"capabilities": \[', '"capabilities": ["root", ') ],
	'forged: a session' => [ AC051 => changed(token => '"kind": "token"', '"kind": "session"') ],
	'forged: a kind of line' => [ AC051 => whole($body[0], qq({"line":"pony"}\n), @body[ 1 .. $#body ]) ]);
foreach my $what (sort keys %hostile)
{
	my ($wanted, @file) = @{ $hostile{$what} };
	unlink "$folder/hostile";
	append_to_file("$folder/hostile", join '', @file);
	is(import_from('two', 'hostile'), $wanted, "refused: a file $what");
}
is(sql('two', $count), $there, 'and nothing of any is left');

# It arrives; first in a transaction that is rolled back.
like(try_sql('two', "BEGIN; CREATE TEMP TABLE lines (n bigserial, line text);
\\copy lines (line) FROM '$folder/file' WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')
SELECT activity.import_organization(line ORDER BY n) FROM lines; ROLLBACK"), qr/^\d+:\d+:/, 'imported and rolled back');
is(sql('two', $count), $there, 'nothing of it is left');
sql('two', "CREATE ROLE clerk; CREATE ROLE reader; SELECT activity.allow('clerk', 'administer'), activity.allow('reader', 'read')");
is(try_sql('two', "SET ROLE reader; SELECT activity.import_organization(line) FROM (VALUES ('x')) l (line)"), '42501', 'a reader imports nothing');
is(try_sql('two', "SET ROLE reader; SELECT activity.export_organization('other1')"), '42501', 'and exports nothing');
my $receipt = try_sql('two', "SET ROLE clerk; CREATE TEMP TABLE lines (n bigserial, line text);
\\copy lines (line) FROM '$folder/file' WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')
SELECT activity.import_organization(line ORDER BY n) FROM lines");
like($receipt, qr/^\d+:\d+:/, 'an administrator imports');
my @after = answers('two', $head, $earliest);
is_same($before[$_], $after[$_], $questions[$_]) foreach 0 .. $#questions;

# What an export has, the import has taken: another export says the same, but for what is of the place.
# Numbers by which rows find each other are; so is when an endpoint is looked at next, and a
# seal, which is made anew where a measure has another number.
my %of_the_place = map { $_ => 1 } qw(xid segment number key endpoint consumer organization organizations measure version retry_at digest sealed_at sealed_by);
sub without_place
{
	my ($value) = @_;
	return [ map { without_place($_) } @$value ] if ref $value eq 'ARRAY';
	return $value if ref $value ne 'HASH';
	$value->{measures} = [ map { abs $_ >= 1000 ? ($_ <=> 0) * 1000 : $_ } @{ $value->{measures} } ] if $value->{measures};
	return { map { $_ => without_place($value->{$_}) } grep { !$of_the_place{$_} } keys %$value };
}
sub contents
{
	my ($file) = @_;
	my %of;
	foreach (split /\n/, slurp_file("$folder/$file"))
	{
		my $line = decode_json($_);
		next if $line->{line} =~ /^(?:organization|segment|end)$/;
		push @{ $of{ $line->{line} } }, JSON::PP->new->canonical->encode(without_place($line));
	}
	return \%of;
}
export_to('two', 'again', '');

# No table and no column is forgotten.
my %stays = map { $_ => 1 } qw(feature_override gap incarnation own_index publication webhook_wake);
is(join(' ', grep { !$stays{$_} } split /\n/, sql('one', q{SELECT c.relname FROM pg_class c WHERE c.relnamespace = '_activity'::regnamespace
	AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname COLLATE "C"})),
	'connection consumer consumer_lease consumer_mark consumer_parked event event_type_definition expiry hold idempotency kept_amount kept_subscription measure organization organization_tier '
	. 'personal_field read_note redaction refold_todo retention_rule rollup rollup_repair rollup_seal segment set_aside stream stream_anchor token '
	. 'webhook_attempt webhook_delivery webhook_endpoint webhook_retry webhook_secret webhook_state', 'tables that an export carries (a new one stays, or travels)');
foreach ([ event => 'event' ], [ position => 'stream' ], [ anchor => 'stream_anchor' ], [ segment => 'segment' ])
{
	my ($kind, $table) = @$_;
	my %has = map { $_ => 1 } map { keys %{ decode_json($_) } } grep { /^\{"line":"$kind"/ } @lines;
	is(sql('one', "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = '_activity.$table'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'organization'
		AND NOT attname = ANY ('{@{[ join ',', sort keys %has ]}}')"), '', "a line has each column: $kind");
}
my ($there_is, $it_has) = (contents('file'), contents('again'));
foreach my $kind (sort keys %$there_is)
{
	my %has = map { $_ => 1 } @{ $it_has->{$kind} // [] };
	my @lacking = grep { !$has{$_} } @{ $there_is->{$kind} };
	is(scalar @lacking, 0, "another export has the same lines: $kind") or diag(substr $lacking[0], 0, 600), diag(substr $it_has->{$kind}[0] // '', 0, 600);
}
is(goes_on('two', $_), $went{$_} eq 'AC012' ? 'AC011' : $went{$_}, "cursor $_") foreach sort keys %went;
is(sql('two', q{SELECT count(*) FROM activity.replay('other1', '} . $others . q{')}), '0', 'a cursor of another organization goes on');
is(import_from('two', 'file'), '42710', 'a second import is refused');
like(sql('two', qq{SELECT status FROM activity.http('GET', '/api/v1/organizations/' || replace(replace(replace('$acme', '\\', '%5C'), ' ', '%20'), '"', '%22') || '/activity', '', jsonb_build_object('authorization', 'Bearer ' || '$token'), '')}),
	qr/^200$/, 'its token authenticates');

# The script that shares no code with the extension comes to the same hash.
my ($query) = run_command([ 'scripts/verify-chain', '-q', $name ]);
my ($their) = map { sql($_, "\\set ON_ERROR_STOP 1\n$query") } 'two';
append_to_file("$folder/copy", "$their\n");
local $ENV{ORGANIZATION} = $name;
like(`scripts/verify-chain "\$ORGANIZATION" <$folder/copy`, qr/\Ahead @{[ sql('two', "SELECT position || ' ' || encode(hash, 'hex') FROM activity.checkpoint('$acme')") ]}\n\z/,
	'verify-chain finds nothing, and the same head');

# It goes on: what was not published, what is new, what was leased.
sql('two', qq{SELECT activity.record('$acme', 'order.created', '{"id": "new"}', '{"amount": 5, "currency": "usd"}')});
publish('two');
is(sql('two', "SELECT count(*) FROM activity.verify('$acme')"), '0', 'verified after going on');
is(sql('two', "SELECT count(*), count(*) FILTER (WHERE subject_id ~ '^late') FROM activity.replay('$acme', '$epoch.$head')"), '7|3', 'positions go on, with what had none');
isnt(sql('two', "SELECT split_part(cursor, '.', 1) FROM activity.stream_head('$acme')"), $epoch, 'in the epoch of here');
is(sql('two', "SELECT count(*) FROM activity.rollup_verify('$acme', now() - interval '2 years', now())"), '0', 'the numbers equal the log');
sql('two', "SELECT activity.ack('ship', '$lease')");
is(sql('two', q{SELECT min(position) FROM activity.poll('ship', 5) WHERE position IS NOT NULL}) - sql('one', q{SELECT split_part(cursor, '.', 2) FROM activity.consumers}), 11,
	'the lease of before is acknowledged, and the consumer goes on');
%owed = (%owed, map { $_ => 1 } split /\n/, sql('two', q{SELECT e.url || ' ' || d.event_id FROM activity.webhook_deliveries d
	JOIN activity.webhook_endpoints e USING (endpoint_id) WHERE d.event_type = 'order.created'}));
is(scalar keys %owed, 26, 'a new order is owed to both');
foreach my $round (1 .. 12)
{
	sql('two', "ALTER DATABASE postgres SET activity.clock_offset = " . $round * 8000);
	deliver('two', 100, 200);
}
sql('two', "ALTER DATABASE postgres RESET activity.clock_offset");
is_deeply([ grep { !$delivered{$_} } sort keys %owed ], [], 'everything owed was delivered');
is_deeply([ grep { $delivered{$_} != 1 && /order/ } sort keys %delivered ], [], 'once');
is_deeply([ map { "$_: $delivered{$_}" } grep { $owed{$_} && $delivered{$_} != 1 } sort keys %delivered ], [], 'each order once');

# Where it came from.
is(try_sql('one', "SELECT activity.remove_organization('$acme', 'nonsense')"), '22023', 'a receipt is needed');
is(try_sql('one', "SELECT activity.remove_organization('$acme', '$_')"), '22023', "not $_")
  foreach '999999999:999999999:', '9:8:7', $receipt =~ s/^(\d+:)(\d+)/$1 . ($2 + 1)/er, sql('one', "SELECT l::json->>'receipt' FROM activity.export_organization('neighbour') l LIMIT 1"),
  sql('two', "SELECT l::json->>'receipt' FROM activity.export_organization('$acme') l LIMIT 1");
is(try_sql('one', "SELECT activity.remove_organization('$acme', '$receipt')"), '55006', 'it is held');
sql('one', "SELECT activity.release_hold(id, 'moved') FROM activity.holds WHERE released_at IS NULL");
is(try_sql('one', "SELECT activity.remove_organization('$acme', '$receipt')"), '55000', 'and something was recorded after that');
publish('one');
export_to('one', 'late');
sql('one', "CREATE TEMP TABLE lines (n bigserial, line text);
\\copy lines (line) FROM '$folder/late' WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')
SELECT activity.remove_organization('$acme', line::json->>'receipt') FROM lines ORDER BY n LIMIT 1");
is(sql('one', qq{SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND a.atttypid = 'int4'::regtype
	WHERE c.relnamespace = '_activity'::regnamespace AND c.relkind = 'r' AND a.attname = 'organization'
	  AND CASE WHEN a.atttypid = 'int4'::regtype THEN (xpath('/table/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM _activity.%I t JOIN _activity.organization o ON o.key = t.organization WHERE o.id = %L', c.relname, '$acme'), false, false, '')))[1]::text <> '0' END}),
	'organization_tier stream_anchor', 'of what was removed its tiers and where its stream ended are left');
is(sql('one', q{SELECT count(*) FROM activity.feed('neighbour', event_types => '{auth.*}')}), '1', 'its neighbour is whole');
is(sql('one', "SELECT count(*) FROM activity.verify('$acme')"), '0', 'and verify() says so');

# It came to another end there than the file has: the histories have parted.
sql('two', "SELECT activity.release_hold(id, 'over') FROM activity.holds WHERE released_at IS NULL");
export_to('two', 'back', ', closing => true');
publish('one');
is(import_from('one', 'back'), '55000', 'refused where another history was');

# A third server takes it from the second, and gives it back.
sql('two', "CREATE TEMP TABLE lines (n bigserial, line text);
\\copy lines (line) FROM '$folder/back' WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')
SELECT activity.remove_organization('$acme', line::json->>'receipt') FROM lines ORDER BY n LIMIT 1");
sql('one', 'DROP EXTENSION activity CASCADE; CREATE EXTENSION activity');
like(import_from('one', 'back'), qr/^\d+:/, 'a third database takes it');
publish('one');
sql('one', qq{SELECT activity.record('$acme', 'auth.signin')});
publish('one');
is(sql('one', "SELECT count(*) FROM activity.verify('$acme')"), '0', 'verified in the third');
my $positions = sql('one', "SELECT count(*), max(position) FROM activity.replay('$acme', NULL, NULL, 10000)");
export_to('one', 'home', ', closing => true');
like(import_from('two', 'home'), qr/^\d+:/, 'and back to the second');
publish('two');
is(sql('two', "SELECT count(*) FROM activity.verify('$acme')"), '0', 'verified at home');
is(sql('two', "SELECT count(*) - 1, max(position) - 1 FROM activity.replay('$acme', NULL, NULL, 10000)"), $positions, 'with all positions, and one of the import');
is(sql('two', "SELECT count(*) FROM (SELECT position, lag(position) OVER (ORDER BY segment, position) AS before FROM _activity.stream s
	JOIN _activity.organization o ON o.key = s.organization WHERE o.id = '$acme') s WHERE position <> before + 1"), '0', 'without a hole');
foreach my $cursor (grep { $went{$_} =~ /\|/ } sort keys %went)
{
	is(goes_on('two', $cursor), $went{$cursor}, "cursor $cursor after three journeys");
}
is(sql('two', q{SELECT count(*) FROM activity.replay('other1', '} . $others . q{')}), '0', 'others are as they were');
$node{$_}->stop foreach keys %node;
done_testing();
