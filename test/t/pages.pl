# What the pages show works: every SQL block of every page runs, in order, and prints
# what stands below it; every make goal exists. README.md and the tutorial begin with
# nothing, the others with what pages.sql makes. A block that can't run has a comment
# above it, <!-- not run: WHY -->, and is listed. The reference
# has every function as it is, and every column of every view.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The blocks of a page: [language, text, line, why it does not run], in order.
sub blocks
{
	my ($page) = @_;
	my (@found, $block, $why);
	open my $in, '<', $page or die "$page: $!";
	while (my $line = <$in>)
	{
		if ($line !~ /^```(\w*)$/)
		{
			$block->[1] .= $line if $block;
			$why = $line =~ /^<!-- not run: (.*) -->$/ ? $1 : '' if !$block;
		}
		elsif ($block)
		{
			push @found, $block;
			undef $block;
		}
		else
		{
			$block = [ $1, '', $. + 1, $why ];
			$why = '';
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

# A whole database for each page, as its reader would begin. Roles are everybody's.
sub create_database
{
	my ($node, $database, $page) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	foreach my $role (slurp_file($page) =~ /^CREATE ROLE (\w+)/mg)
	{
		$node->safe_psql('postgres', qq{ALTER ROLE $role RENAME TO before_${database}_$role})
		  if $node->safe_psql('postgres', "SELECT 1 FROM pg_roles WHERE rolname = '$role'");
	}
	return;
}

sub check_page
{
	my ($node, $page) = @_;
	my ($database) = lc($page) =~ /(\w+)\.md$/;
	my ($printed, $before) = ('', '');
	create_database($node, $database, $page);
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
		elsif ($language eq '' && $before eq 'sh')
		{
			# scripts/check-first-minutes compares it.
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
		$before = $language;
	}
	return;
}

like(join('', (split /^/, slurp_file('README.md'))[ 0 .. 31 ]),
	qr/^ membership\.role_changed \|/m, 'a row of the feed is on the first page');

# The samples of another page. What stands right below one is what it prints; the
# pages' epoch stands for that of the database.
sub check_samples
{
	my ($node, $page) = @_;
	my ($database) = $page =~ m{/([\w-]+)\.md$};
	my @blocks = blocks($page);
	return if !grep { $_->[0] eq 'sql' } @blocks;
	$database =~ tr/-/_/;
	create_database($node, $database, $page);
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', 'test/t/pages.sql', '-d', $node->connstr($database) ],
		"$page finds what it needs");
	my ($epoch) = $node->safe_psql($database, "SELECT split_part(cursor, '.', 1) FROM activity.stream_head('acme')");
	my ($printed, $end) = ('', 0);
	foreach my $block (@blocks)
	{
		my ($language, $text, $line, $why) = @$block;
		my $where = "$page:$line";
		if ($language eq 'sql' && $why)
		{
			note("$where does not run: $why");
			$end = 0;
			next;
		}
		$text =~ s/\b\d{9,10}(?=\.\d+\b)/$epoch/g;
		if ($language eq 'sql')
		{
			my $error;
			my $status = $node->psql($database, $text, stdout => \$printed, stderr => \$error,
				extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off' ]);
			is($status, 0, "$where runs") or diag($error);
			$end = $line + ($text =~ tr/\n//);
		}
		elsif ($language eq '' && $end && $line <= $end + 2)
		{
			my ($wanted, $got) = (plain($text), plain($printed));
			is(substr($got, -length $wanted), $wanted, "$where prints so");
		}
	}
	return;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
foreach my $page ('README.md', 'docs/tutorial.md')
{
	check_page($node, $page);
}

foreach my $page (grep { !m{/(?:tutorial|audit|coming-from)\.md$} } glob 'docs/*.md')
{
	check_samples($node, $page);
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
