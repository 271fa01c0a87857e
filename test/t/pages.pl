# What the pages show works: every SQL block of README.md and of the tutorial runs,
# in order, and prints what stands below it; every make goal exists. The reference
# has every function as it is, and every column of every view.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The blocks of a page: [language, text, line], in order.
sub blocks
{
	my ($page) = @_;
	my (@found, $block);
	open my $in, '<', $page or die "$page: $!";
	while (my $line = <$in>)
	{
		if ($line !~ /^```(\w*)$/)
		{
			$block->[1] .= $line if $block;
		}
		elsif ($block)
		{
			push @found, $block;
			undef $block;
		}
		else
		{
			$block = [ $1, '', $. + 1 ];
		}
	}
	die "$page: a block does not end" if $block;
	return @found;
}

# Without what differs from run to run: times, ids, and thus widths.
sub plain
{
	my ($text) = @_;
	$text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d/TIME/g;
	$text =~ s/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g;
	$text =~ s/-{2,}/-/g;
	$text =~ s/ +/ /g;
	$text =~ s/^ | $//mg;
	$text =~ s/^\(\d+ rows?\)\n//mg;
	$text =~ s/\n*\z/\n/;
	return $text;
}

# A whole database for each page, as its reader would begin.
sub check_page
{
	my ($node, $page) = @_;
	my ($database) = lc($page) =~ /(\w+)\.md$/;
	my $printed = '';
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	foreach my $block (blocks($page))
	{
		my ($language, $text, $line) = @$block;
		my $where = "$page:$line";
		if ($language eq 'sql')
		{
			my $error;
			my $status = $node->psql($database, $text,
				stdout => \$printed, stderr => \$error,
				extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off' ]);
			is($status, 0, "$where runs") or diag($error);
		}
		elsif ($language eq '')
		{
			my ($wanted, $got) = (plain($text), plain($printed));
			is(substr($got, -length $wanted), $wanted, "$where prints so");
		}
		elsif ($language eq 'sh')
		{
			foreach my $goal ($text =~ /\bmake (?:\w+=\S+ )*([a-z][\w-]*)(?!\S)/g)
			{
				is(system("make -n $goal >/dev/null 2>&1"), 0, "$where: make $goal");
			}
		}
		else
		{
			ok($language =~ /^(?:json|text)$/, "$where is of a kind that need not run");
		}
	}
	return;
}

like(join('', (split /^/, slurp_file('README.md'))[ 0 .. 31 ]),
	qr/^ membership\.role_changed \|/m, 'a row of the feed is on the first page');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
foreach my $page ('README.md', 'docs/tutorial.md')
{
	check_page($node, $page);
}

# The questions of an auditor, with what they are to be set to.
my $audit = slurp_file('docs/audit.md');
my ($set) = $audit =~ /^```\n(\\set .*?)^```$/ms;
my @questions = $audit =~ /^-- (\d+) /mg;
is_deeply(\@questions, [ 1 .. 20 ], 'docs/audit.md has twenty questions');
foreach my $block (grep { $_->[0] eq 'sql' } blocks('docs/audit.md'))
{
	my ($status, undef, $error) = $node->psql('tutorial', $set . "SET client_min_messages = error;
		SELECT activity.set_tier(:'org', 'enterprise');\n" . $block->[1]);
	is($status, 0, "docs/audit.md:$block->[2] runs") or diag($error);
}

my $reference = slurp_file('docs/reference.md');
foreach my $public (split /\n/, $node->safe_psql('readme', <<'SQL'))
SELECT 'activity.' || p.proname || '(' || a.arguments || ')'
FROM pg_proc p, LATERAL (
	SELECT string_agg(t.text, ', ' ORDER BY t.n)
	FROM regexp_split_to_table(pg_get_function_arguments(p.oid), ', (?=\w+ )') WITH ORDINALITY t (text, n)
	WHERE t.text !~ '^OUT '
) raw (arguments), LATERAL (
	SELECT regexp_replace(replace(replace(replace(coalesce(raw.arguments, ''),
		'timestamp with time zone', 'timestamptz'), 'integer', 'int'), 'boolean', 'bool'),
		'::\w+(\[\])?', '', 'g')
) a (arguments)
WHERE p.pronamespace = 'activity'::regnamespace
UNION ALL
SELECT string_agg(attname, ', ' ORDER BY attnum)
FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
WHERE relnamespace = 'activity'::regnamespace AND relkind IN ('v', 'c')
  AND attnum > 0 AND NOT attisdropped
GROUP BY c.oid
SQL
{
	ok(index($reference, "`$public`") >= 0, "docs/reference.md has $public");
}
done_testing();
