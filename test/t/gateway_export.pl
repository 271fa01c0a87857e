# Exports through the gateway: the bytes are those of activity.export(), memory does
# not grow with them, and one that is broken off is known to both sides.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use Gateway;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $node = gateway_node('export');
my $gateway = Gateway->start($node);
sub sql { return $node->safe_psql('postgres', $_[0]) }
my $path = '/api/v1/organizations/org/activity/export';
my $token = sql(q{SELECT token FROM activity.create_token('org', 'ann', '{read,export}')});
my @token = ("Authorization: Bearer $token");

# The body of a chunked answer, and whether it has its end.
sub unchunk
{
	my ($rest) = @_;
	my $body = '';
	while ($rest =~ s/^([0-9a-f]+)\r\n//)
	{
		my $size = hex $1;
		return ($body, $rest eq "\r\n") if $size == 0;
		$body .= substr($rest, 0, $size, '');
		$rest =~ s/^\r\n// or return ($body, 0);
	}
	return ($body, 0);
}

sql(q{SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', n, 'text', repeat('x', 1000)), occurred_at => timestamptz '2026-01-01Z' + n * interval '1 s') FROM generate_series(1, 3000) n});
# A proof is verified where there is no database.
{
	poll_until('all is published', sub { sql('SELECT backlog = 0 FROM activity.health') eq 't' });
	my $answer = $gateway->get("$path?format=proof&eventType=membership.*", @token);
	is($answer->{status}, 200, 'an export as proof');
	my ($body, $whole) = unchunk($answer->{body});
	ok($whole, 'whole');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/proof';
	append_to_file($file, $body);
	is(system("scripts/verify-chain --export $file >$file.said"), 0, 'and verified without a database')
	  or diag(slurp_file("$file.said"));
}
my $until = '2026-02-01';
foreach my $format ('csv', 'json', 'ndjson')
{
	my $answer = $gateway->get("$path?format=$format&to=$until", @token);
	is($answer->{status}, 200, "an export as $format");
	my ($body, $whole) = unchunk($answer->{body});
	ok($whole, 'it has its end');
	is($body, sql("SELECT activity.export('org', '$format', until => '${until}Z')") . "\n", 'and is what the function says');
	like($answer->{head}, qr/^Content-Disposition: attachment; filename="activity\.$format"\r$/mi, 'a file');
	unlike($answer->{head}, qr/x-activity/i, 'our own fields stay ours');
}
is($gateway->get("$path?columns=none", @token)->{status}, 400, 'what is wrong is told');
is($gateway->get($path)->{status}, 401, 'and who may not');
is(decode_json($gateway->get("$path?x-activity-stream=1", @token)->{body})->{code}, 'unknown_parameter', 'by its code');
my $old = $gateway->raw("GET $path?to=$until HTTP/1.0\r\nAuthorization: Bearer $token\r\n\r\n");
is(($old =~ s/.*?\r\n\r\n//sr), sql("SELECT activity.export('org', until => '${until}Z')") . "\n", 'HTTP/1.0 gets it until the end');
like($gateway->raw("HEAD $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n"), qr/^HTTP\/1\.1 200 .*\r\n\r\n$/s, 'HEAD gets the head');

# A large one, which its reader takes slowly.
sql(q{SELECT activity.record('org', 'credit.charge', jsonb_build_object('amount', n, 'text', repeat(md5(n::text), 300)), occurred_at => timestamptz '2026-03-01Z' + n * interval '1 s') FROM generate_series(1, 8000) n});
sub rss { return (slurp_file("/proc/$gateway->{pid}/status") =~ /^VmRSS:\s*(\d+)/m)[0] }
my $before = rss();
my $most = 0;
my $bytes = 0;
my $socket = $gateway->connect;
syswrite $socket, "GET $path?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
while (my $read = sysread $socket, my $piece, 65536)
{
	$bytes += $read;
	$most = rss() if $bytes % 16 == 0 && rss() > $most;
}
cmp_ok($bytes, '>', 78_000_000, 'a large export');
cmp_ok($most - $before, '<', 32_000, 'needs little memory') unless slurp_file("/proc/$gateway->{pid}/maps") =~ /libasan/;
poll_until('it is recorded', sub { sql(q{SELECT count(*) FROM activity.feed('org', '{compliance.exported}') WHERE (metadata->>'rows')::int > 10000 AND metadata->>'complete' = 'true' AND actor_id = 'ann'}) == 1 });

# One that is broken off by its reader.
$socket = $gateway->connect;
syswrite $socket, "GET $path?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
sysread $socket, my $begin, 1000;
close $socket;
poll_until('what was broken off is recorded, too', sub { sql(q{SELECT count(*) FROM activity.feed('org', '{compliance.exported}') WHERE metadata->>'complete' = 'false'}) == 1 });
poll_until('nothing stays open', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway' AND state LIKE 'idle in%'}) == 0 });

# And by the database.
$socket = $gateway->connect;
syswrite $socket, "GET $path?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
sysread $socket, $begin, 1000;
is(sql(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'gateway' AND query LIKE 'FETCH%'}), 1, 'its backend is ended');
my $rest = $begin;
while (sysread $socket, my $piece, 65536) { $rest .= $piece }
my ($body, $whole) = unchunk($rest =~ s/.*?\r\n\r\n//sr);
ok(!$whole, 'an answer that broke off has no end');
is($gateway->get("$path?to=$until", @token)->{status}, 200, 'the next one works');

# A verification in lines says how far it is, and ends when nobody listens.
my $verify = $path =~ s/export$/verify/r;
my $answer = $gateway->get("$verify?progress=true", @token);
is($answer->{status}, 200, 'a verification in lines');
($body, $whole) = unchunk($answer->{body});
ok($whole, 'whole');
my @lines = map { decode_json($_) } split /\n/, $body;
my $verdict = pop @lines;
my ($head, $count) = split /\|/, sql(q{SELECT position, events FROM activity.checkpoint('org')});
is_deeply([ @$verdict{qw(position events)} ], [ $head, $count ], 'its last line is of the newest event');
ok($verdict->{valid}, 'and says that nothing was changed');
my @done = map { $_->{done} } grep { $_->{checking} eq 'chain' } @lines;
is(join(' ', @done), join(' ', sort { $a <=> $b } @done), 'what is done grows');
cmp_ok(scalar(@done), '>=', 2, 'step by step');
is_deeply([ map { $_->{done} } grep { $_->{checking} eq 'completeness' && $_->{done} < $count } @lines ], [ 0, @done ], 'and again for what was slipped in');
is_deeply([ grep { $_ != $count } map { $_->{of} } @lines ], [], 'of as many as there are');
my $plain = decode_json($gateway->get($verify, @token)->{body});
is_deeply([ @$plain{qw(valid position events hash problems)} ], [ @$verdict{qw(valid position events hash)}, [] ], 'without progress it is one answer');
is($gateway->get("$verify?progress=maybe", @token)->{status}, 400, 'or none');
is($gateway->get("$verify?progress=true")->{status}, 401, 'nor is it for strangers');

# Its reader is gone before the first line: the database does not do the rest.
$node->append_conf('postgresql.conf', "log_statement = 'all'");
$node->reload;
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE _activity.event IN ACCESS EXCLUSIVE MODE');
my $log = -s $node->logfile;
$socket = $gateway->connect;
syswrite $socket, "GET $verify?progress=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
poll_until('it waits', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND wait_event_type = 'Lock'}) == 1 });
close $socket;
$lock->query_safe('COMMIT');
$lock->quit;
poll_until('it is over', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway' AND query ~ '^(FETCH|CLOSE)'}) == 0 });
my $said = slurp_file($node->logfile, $log);
like($said, qr/CLOSE lines/, 'a verification that nobody reads is ended');
cmp_ok(scalar(() = $said =~ /FETCH \d+ lines/g), '<', scalar(@lines), 'long before its end');
# Nor has one caller all that may be under way at a time.
my $bob = sql(q{SELECT token FROM activity.create_token('org', 'bob', '{read}')});
$lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE _activity.event IN ACCESS EXCLUSIVE MODE');
my @more = map {
	my $other = $gateway->connect;
	syswrite $other, "GET $verify?progress=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nConnection: close\r\n\r\n";
	$other;
} 1 .. 4;
poll_until('all wait', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND wait_event_type = 'Lock'}) == 4 });
is($gateway->get("$verify?progress=true", @token)->{status}, 429, 'one caller does not have all that may be under way');
my $second = $gateway->connect;
syswrite $second, "GET $verify?progress=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $bob\r\n\r\n";
poll_until('another waits, too', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND wait_event_type = 'Lock'}) == 5 });
$lock->query_safe('COMMIT');
$lock->quit;
is(join(' ', map { Gateway::parse(Gateway::read_until($_))->{status} } @more, $second), '200 200 200 200 200', 'the others are answered');
$gateway->stop;
done_testing();
