# The README's statements work when pasted from top to bottom, and its first feed
# is what a reader sees.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my @blocks = $readme =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar(@blocks), '>', 5, 'there are statements');
my ($shown) = $readme =~ /^```\n```\n(.*?)^```$/ms;
is(() = ((join "\n", (split /\n/, $readme)[ 0 .. 31 ]) =~ /membership\.role_changed \|/g),
	1, 'a row of the feed is on the first page');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# One session, as a reader's psql is.
my $file = PostgreSQL::Test::Utils::tempdir() . '/readme.sql';
my $number = 0;
append_to_file($file, "\\pset footer off\n"
	  . join('', map { "\\echo -- block " . ++$number . "\n$_" } @blocks));
my ($out, $err) = ('', '');
my $result = IPC::Run::run(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
	'>', \$out, '2>', \$err);
ok($result, 'every statement works') or diag($err);

s/[ \t]+$//mg for $out, $shown;
my ($first) = $out =~ /-- block 1\n(.*?)-- block 2/s;
like($first, qr/\Q$shown\E/, 'the first feed is what the README shows');

$node->stop;
done_testing();
