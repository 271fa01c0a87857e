# An export of format proof is verified without a database: every change of a byte is
# found, also where the sum at the end was made anew; nothing can be left out, added or
# moved; and what a filter leaves out tells nothing.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

require './scripts/verify-chain';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\n");
$node->start;
my $odd = "odd'\\\t\x{c3}\x{a4}\"";
(my $quoted = $odd) =~ s/'/''/g;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION activity CASCADE;
	ALTER EVENT TRIGGER activity_guard_ddl DISABLE;
	SELECT activity.define_event_type('pony.ridden', 'Rode {name}');
	SELECT activity.set_actor('user_1', 'user', E'tab\\tname', '{"ip": "::1"}', '{"id": "u9", "name": "Nine"}'),
		activity.record('$quoted', 'pony.ridden', E'{"id": "p", "name": "a\\\\\\\\b\\\\n\\\\"c\\\\u00e4\\\\u0007"}', '{"n": 1.50, "deep": [1, {"x": null}]}'),
		activity.record('$quoted', 'auth.signin', occurred_at => '2001-02-03 04:05:06.789012'),
		activity.record('$quoted', 'auth.signup', '{"id": 5}', description => E'two\\nlines and a \\\\N');
	SELECT activity.publish();
	SELECT * FROM activity.redact_person('5', 'asked', '$quoted');
	SELECT activity.publish()});

sub export
{
	my ($name, $filters) = @_;
	(my $id = $name) =~ s/'/''/g;
	return $node->safe_psql('postgres', "SELECT activity.export('$id', 'proof'" . ($filters ? ", $filters" : '') . ')') . "\n";
}

# What the script says, and whether it finds fault.
sub said
{
	my ($bytes, @checkpoints) = @_;
	my @said;
	no warnings 'once';
	local $main::say = sub { push @said, @_ };
	open my $in, '<', \$bytes or die;
	verify_export($in, @checkpoints);
	return join "\n", @said;
}

sub faults
{
	my ($said) = @_;
	return join ' ', grep { !/^(after|omitted|erased|head) / } split /\n/, $said;
}

# With the sum of the bytes made anew, as whoever changes them can.
sub resum
{
	my (@lines) = @_;
	my $last = pop @lines // '';
	my $sum = sha256_hex(join '', @lines);
	$last =~ s/"sha256":"[0-9a-f]*"/"sha256":"$sum"/;
	return join '', @lines, $last;
}

my $whole = export($odd);
my @lines = $whole =~ /(.*\n)/g;
my ($head) = $node->safe_psql('postgres', "SELECT 'head ' || position || ' ' || encode(hash, 'hex') FROM activity.checkpoint('$quoted')");
is(faults(said($whole)), '', 'an export is sound');
like(said($whole), qr/^erased \d [0-9a-f-]{36}\n(?:.*\n)*\Q$head\E$/m, 'what was redacted is named, and the head is that of the checkpoint');
my ($at, $hash) = $head =~ /(\d+) (\w+)/;
is(faults(said($whole, "$at:$hash")), '', 'a checkpoint that agrees');
is(faults(said($whole, "2:$hash")), 'checkpoint 2', 'one that does not');
is(faults(said($whole, "99:$hash")), 'checkpoint 99', 'one of what is not there');

# By the program: its exit code.
my $file = PostgreSQL::Test::Utils::tempdir() . '/proof';
append_to_file($file, $whole);
is(system("scripts/verify-chain --export $file >$file.said"), 0, 'the program agrees');
is(slurp_file("$file.said"), said($whole) . "\n", 'and says it');
is(system("sed s/Rode/rode/ $file | scripts/verify-chain --export - >$file.said") >> 8, 1, 'or not');
like(slurp_file("$file.said"), qr/^changed /m, 'and says so');

# Every byte, four ways.
my @missed;
foreach my $place (0 .. length($whole) - 1)
{
	foreach my $by (1, 2, 32, 128)
	{
		my $changed = $whole;
		substr($changed, $place, 1) = chr(ord(substr $changed, $place, 1) ^ $by);
		my $said = eval { said($changed) };
		push @missed, "$place^$by" if defined $said && faults($said) eq '';
	}
}
is("@missed", '', 'each change of a byte of ' . length($whole) . ' is found');

# The same with the sum made anew. The cursor's epoch, the filters, the name of the encoding,
# and who stands where somebody was erased are not in the chain.
@missed = ();
my $tried = 0;
foreach my $n (0 .. $#lines - 1)
{
	my $free = $n == 0 ? qr/"cursor":"(\d+)\.|"encoding":"(\w+)"|"filters":\{(.*)\},"after"/ :
	  $lines[$n] =~ /"commitment"/ ?
	  qr/("actorHash":[^,]*)|("onBehalfOfHash":[^,]*)|("actorKind":.*),"description"|"subject":"(.*?[^\\])",|("onBehalfOf":.*)/ : qr/(?!)/;
	foreach my $place (0 .. length($lines[$n]) - 2)
	{
		my @changed = @lines;
		my $byte = substr $changed[$n], $place, 1;
		substr($changed[$n], $place, 1) = $byte =~ /[0-8a-y]/ ? chr(1 + ord $byte) : chr(1 ^ ord $byte);
		my $said = eval { said(resum(@changed)) };
		next if !defined $said || faults($said) ne '';
		my $excused = 0;
		while ($lines[$n] =~ /$free/g)
		{
			foreach my $group (1 .. $#-)
			{
				$excused = 1 if defined $-[$group] && $place >= $-[$group] && $place < $+[$group];
			}
		}
		push @missed, "$n:$place" unless $excused;
		$tried++;
	}
}
is("@missed", '', 'nor does the sum hide one from the chain');

# Lines left out, added, moved.
@missed = ();
foreach my $n (0 .. $#lines)
{
	my @without = @lines;
	splice @without, $n, 1;
	push @missed, "without $n" if faults(said(resum(@without))) eq '';
	push @missed, "twice $n" if faults(said(resum(@lines[ 0 .. $n ], @lines[ $n .. $#lines ]))) eq '';
	foreach my $m ($n + 1 .. $#lines)
	{
		my @moved = @lines;
		@moved[ $n, $m ] = @moved[ $m, $n ];
		push @missed, "$n and $m" if faults(said(resum(@moved))) eq '';
	}
}
is("@missed", '', 'no line can be left out, added or moved');
my @cut = (@lines[ 0 .. 2 ], $lines[-1]);
my ($second) = $lines[2] =~ /"hash":"(\w+)"/;
$cut[-1] =~ s/^.*?"sha/{"position":2,"hash":"$second","sha/;
like(faults(said(resum(@cut))), qr/gap 3/, 'nor the end, unless the cursor is another one');
s/"cursor":"(\d+)\.\d+"/"cursor":"$1.2"/ foreach @cut;
is(faults(said(resum(@cut), "$at:$hash")), "checkpoint $at", 'which a checkpoint tells');
is(faults(said("\n")), 'line 1', 'no export at all');
is(faults(said('')), 'line 1', 'nothing at all');
is(faults(said($lines[0])), 'line 2', 'nothing but the first line');

# A filter: the others by their digests alone.
my $some = export($odd, q{event_types => '{pony.*}'});
is(faults(said($some)), '', 'a filtered export is sound');
like(said($some), qr/\Q$head\E$/, 'and comes to the same head');
is(scalar(() = said($some) =~ /^omitted /mg), @lines - 3, 'all others are told');
unlike($some, qr/signin|signup|redacted|two|compliance/, 'but nothing about them');
my @some = $some =~ /(.*\n)/g;
is_deeply([ map { /"event":\{.*"type":"([^"]*)/ ? $1 : () } @some ], ['pony.ridden'], 'what the filter takes is there');
is_deeply([ grep { !/"event"/ && !/^\{"position":\d+,"hash":"\w{64}","digest":"\w{64}"\}\n/ } @some[ 1 .. $#some - 1 ] ], [],
	'of the others there are digests and hashes');
foreach my $n (1 .. $#some - 1)
{
	my @without = @some;
	splice @without, $n, 1;
	like(faults(said(resum(@without))), qr/gap $n/, "position $n can't be left out of it");
}
my @hidden = @lines;
my ($hides) = grep { $hidden[$_] =~ /auth.signin/ } 1 .. $#hidden;
$hidden[$hides] = $some[$hides];
is(faults(said(resum(@hidden))), "hidden $hides", 'a digest where there was no filter');
foreach my $case ([ q{actor => 'user_1'}, 3 ], [ q{actor => 'nobody'}, 0 ], [ q{subject => 'p'}, 1 ], [ q{since => '2002-01-01', until => 'infinity'}, 3 ],
	[ q{until => '2002-01-01'}, 1 ], [ q{search => 'rode'}, 1 ], [ q{on_behalf_of => 'u9'}, 3 ], [ q{event_types => '{!pony.*,!compliance.*}'}, 2 ])
{
	my ($filter, $count) = @$case;
	my $bytes = export($odd, $filter);
	is(scalar(() = $bytes =~ /"event":/g), $count, "the events of $filter");
	is(faults(said($bytes)), '', 'and a sound proof');
}

# A redaction that did not happen, made in the file: with a redaction that says less.
my @forged = @lines;
my ($by) = said($whole) =~ /^erased \d (\S+)/m;
my ($pony) = grep { $forged[$_] =~ /pony/ } 1 .. $#forged;
my $commitment = $node->safe_psql('postgres', "SELECT encode(_activity.commitment(e), 'hex') FROM _activity.event e WHERE subject->>'id' = 'p'");
$forged[$pony] =~ s/"salt":"\w+"(.*)"subject":".*?[^\\]",/"commitment":"$commitment"$1"subject":"{\\"redacted\\": \\"$by\\"}",/;
like(faults(said(resum(@forged))), qr/^changed \d redacted \d$/, 'a redaction that is only in the file, with what it should have erased');
$forged[$pony] =~ s/"subjectHash":[^,]*/"subjectHash":null/;
$forged[$pony] =~ s/"description":.*?,"subject"/"description":"[redacted]","subject"/;
$forged[$pony] =~ s/"metadata":.*,"onBehalfOf"/"metadata":null,"context":"{}","onBehalfOf"/;
like(faults(said(resum(@forged))), qr/^redacted \d$/, 'or without it');

# up_to: the same bytes later, and what it does not prove.
my $cursor = $node->safe_psql('postgres', "SELECT cursor FROM activity.stream_head('$quoted')");
my $then = export($odd, "up_to => '$cursor'");
$node->safe_psql('postgres', qq{SET TimeZone = 'Asia/Tokyo'; SELECT activity.record('$quoted', 'auth.signin'); SELECT activity.publish()});
is(export($odd, "up_to => '$cursor'"), $then, 'the same bytes for the same cursor');
isnt(export($odd), $then, 'more without it');
my $since = q{since => '2001-01-01 00:00+00', until => '2002-01-01 00:00+00', up_to => '} . $cursor . q{'};
my $here = export($odd, $since);
$node->append_conf('postgresql.conf', "timezone = 'Asia/Tokyo'\ndatestyle = 'German'\n");
$node->reload;
is(export($odd, $since), $here, 'in any time zone');
is($node->safe_psql('postgres', "SELECT metadata->>'sha256' FROM activity.feed('$quoted', '{compliance.exported}', page_size => 1)"),
	sha256_hex($here), 'the sum of its bytes is recorded');
is($node->safe_psql('postgres', "SELECT metadata->>'rows' FROM activity.feed('$quoted', '{compliance.exported}', page_size => 1)"), '1', 'and how many events it shows');
is(faults(said(export('nobody at all'))), '', 'an organization without events');

# What retention takes: from the beginning, and out of the middle.
$node->safe_psql('postgres', q{SELECT activity.maintain(since => now() - interval '9 months')});
$node->safe_psql('postgres', join(';', (map { "SELECT activity.record('kept', 'auth.signin', occurred_at => now() - interval '$_ months'); SELECT activity.publish()" } 8, 8, 0, 0, 7, 0)));
my $fourth = $node->safe_psql('postgres', "SELECT encode(hash, 'hex') FROM activity.checkpoint('kept', 4)");
$node->safe_psql('postgres', q{SELECT activity.set_retention('kept', '6 months'); SELECT activity.maintain() FROM generate_series(1, 3); SELECT activity.publish()});
my $kept = export('kept');
like(said($kept), qr/^after 2 /, 'what has expired is told');
is(faults(said($kept)), 'expired 5', 'out of the middle, too');
is(faults(said($kept, "4:$fourth")), '', 'a checkpoint before it proves the rest');
$node->stop;
done_testing();
