#!/usr/bin/perl
# Our own rules on the source tree: nothing is left out of a list, no file holds
# two ideas, the library exports our names alone, every function says what it is.
use strict;
use warnings;
use Test::More;

my $make = 'make -s --no-print-directory';

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

sub listed
{
	my ($variable) = @_;
	return sort split ' ', `$make print-$variable`;
}

# The names of the files that match, without folder and suffix.
sub present
{
	my ($pattern) = @_;
	return sort map { m{([^/]+)\.[^.]+$} } glob $pattern;
}

sub lines_with
{
	my ($match, @files) = @_;
	my @found;
	foreach my $file (@files)
	{
		my $number = 0;
		foreach my $line (split /\n/, slurp($file))
		{
			$number++;
			push @found, "$file:$number: $line" if $line =~ $match;
		}
	}
	return @found;
}

sub is_clean
{
	my ($name, @found) = @_;
	ok(!@found, $name) or diag(map { "  $_\n" } @found);
	return;
}

# In pgindent's layout a function's braces are alone at the margin.
sub long_functions
{
	my ($file) = @_;
	my ($start, $number, @found) = (0, 0);
	foreach my $line (split /\n/, slurp($file))
	{
		$number++;
		$start = $number if $line =~ /^\{/;
		if ($line =~ /^\}/ && $start)
		{
			push @found, "$file:$start" if $number - $start + 1 > 60;
			$start = 0;
		}
	}
	return @found;
}

# Nothing is forgotten.
is_deeply([ listed('REGRESS') ], [ present('test/sql/*.sql') ],
	'every regress test is in the Makefile');
is_deeply([ listed('ISOLATION') ], [ present('test/specs/*.spec') ],
	'every isolation spec is in the Makefile');
is_deeply([ listed('SQL_PARTS') ], [ present('sql/*.sql') ],
	'every part of the install script is in the Makefile');
is_deeply([ sort map { s/\.o$/.c/r } listed('OBJS') ],
	[ sort glob 'src/*.c src/*/*.c' ], 'every C file is in the Makefile');
is_deeply([ sort grep { !/^llhttp/ } map { s/\.o$/.c/r } split ' ', `$make -C gateway print-OBJS` ],
	[ sort map { s{.*/}{}r } glob 'gateway/*.c' ], 'every C file of the gateway is in its Makefile');
is_deeply(
	[ sort(present('test/sql/*.sql'), present('test/specs/*.spec')) ],
	[ grep { !/_\d$/ } present('expected/*.out') ],
	'every expected output has its test');

# Files stay readable.
my @source = (glob('src/*.[ch] src/*/*.[ch] gateway/*.[ch]'), glob('sql/*.sql'));
is_clean('no source file is longer than 600 lines',
	grep { 600 < (() = slurp($_) =~ /\n/g) } @source);
is_clean('no function is longer than 60 lines',
	map { long_functions($_) } glob 'src/*.c src/*/*.c gateway/*.c');
is_clean('nothing is left open in the source',
	lines_with(qr/TODO|FIXME|XXX/, @source));
is_clean('no test sleeps',
	lines_with(qr/pg_sleep|(?<!asyncio\.)\bsleep[ (]|waitForTimeout/, grep { -f } glob('test/{sql,specs,pgtap,t,gateway,dashboard,http,http-clients,failures,isolation}/*')));

is_clean('what 18 no longer has is written in compat.h alone', grep { !m{^src/base/compat\.h} }
	lines_with(qr/pg_attribute_noreturn|DatumGetPointer\(PG_DETOAST/, glob 'src/*/*.[ch]'));

# The lists of columns are those of the tables, in their order.
my $script = join '', map { slurp($_) } glob 'sql/*.sql';
my @lists;
foreach my $header ('src/base/columns.h', 'src/webhook/columns.h')
{
	my $text = slurp($header);
	while ($text =~ m{/\* _activity\.(\w+) \*/\nenum\n\{(.*?)\};(?:\n#define \w+ "(\w+)")?}gs)
	{
		my ($table, $list, $types) = ($1, $2, $3);
		my @names = $list =~ /(\w+)(?:\s*=\s*\w+)?\s*(?:,|\z|\n)/g;
		my $last = $names[-1] =~ /_COLUMNS$/ ? pop @names : '';
		my ($prefix) = $last =~ /^(.*)_COLUMNS$/;
		$prefix //= $names[0] =~ s/_.*//r;
		my ($body) = $script =~ /^CREATE TABLE _activity\.$table \(\n(.*?)^\)/ms;
		my @columns = $body =~ /^\t([a-z]\w*)\s+[a-z]/mg;
		push @lists, $table;
		is_deeply([ map { lc s/^\Q$prefix\E_//r } @names ], [ @columns[ 0 .. $#names ] ], "$header knows the columns of $table");
		is(length $types, scalar @columns, "and their types") if defined $types;
	}
}
cmp_ok(scalar @lists, '>', 15, 'there are such lists');

# A database of any encoding can have the extension.
is_clean('the install script is ASCII', lines_with(qr/[^\x00-\x7f]/, glob('sql/*.sql data/*')));

# What holds on one machine only stays there.
my @all = grep { -f && -T } split /\n/,
  `find . -name node_modules -prune -o -type f -not -path './.git/*' -print`;
my %told;
is_clean('no change is told twice', grep { $told{ substr $_, 0, 50 }++ } grep { /^\* / } split /\n/, slurp('CHANGELOG.md'));

is_clean('no path of one machine is in the tree',
	lines_with(qr{(?:^|[^\w.\$\}*])/(?:home|root|work)/[a-z.]}, @all));
is_clean('no address of a registry is in the tree',
	lines_with(qr{^deb https?://|"resolved": *"https?://}, @all));

# Only one file of the gateway knows its loop, and one its clients' sockets.
is_clean('only loop.c knows libuv', grep { !m{gateway/loop\.c} } lines_with(qr/\buv_|<uv\.h>/, glob 'gateway/*.[ch]'));
is_clean('only socket.c and tls.c know OpenSSL\'s connections',
	grep { !m{gateway/(?:socket|tls)\.} } lines_with(qr/\bSSL_(?!pending)\w+\(/, glob 'gateway/*.[ch]'));

# One version, in one place.
my ($version) = slurp('activity.control') =~ /^default_version = '(\d+\.\d+\.\d+)'$/m;
ok($version, 'the control file has a version');
is_clean('no other file says it', grep { !m{_data\.h:|^\./(?:activity--|CHANGELOG\.md|debian/changelog|clients/|sql/rele)} }
	lines_with(qr/(?<![\w.])\Q$version\E(?![\w.])/, grep { !m{/package-lock\.json$|^\./activity\.control$} } @all));

# The library exports our names and those that PostgreSQL asks for.
chomp(my $folder = `$ENV{PG_CONFIG} --pkglibdir`);
my @exported = map { (split)[2] } `nm -D --defined-only $folder/activity.so`;
cmp_ok(scalar @exported, '>', 0, 'the library exports something');
is_clean('the library exports nothing without our prefix',
	grep { !/^(act_|pg_finfo_act_|Pg_magic_func$|_PG_init$)/ } @exported);

# Every function says what it is.
my (@silent, @replacing);
foreach my $file (glob 'sql/*.sql')
{
	my $text = slurp($file) =~ s/^--.*$//mgr;
	while ($text =~ /^CREATE FUNCTION\s+([\w.]+)(.*?)(?:;\n|\Z)/msg)
	{
		my ($name, $rest) = ($1, $2);
		push @silent, "$file: $name: volatility"
		  unless $rest =~ /\b(?:VOLATILE|STABLE|IMMUTABLE)\b/;
		push @silent, "$file: $name: PARALLEL"
		  unless $rest =~ /\bPARALLEL\s+(?:SAFE|RESTRICTED|UNSAFE)\b/;
	}
	push @replacing, "$file: $1"
	  while $text =~ /^(CREATE OR REPLACE.*|CREATE .*IF NOT EXISTS.*)$/mg;
}
is_clean('every function states volatility and PARALLEL', @silent);
is_clean('the install script replaces nothing', @replacing);

# What CREATE and ALTER EXTENSION run, they run as a superuser, in a path with the
# schemas of others.
my @scripts = grep { slurp($_) =~ /^\\echo Use/ } glob 'sql/*.sql';
cmp_ok(scalar @scripts, '>', 0, 'there is an install script');
is_clean('every script begins with a path of its own',
	grep { slurp($_) !~ /\A\\echo .*\n(?:\s*\n|--.*\n)*SET LOCAL search_path = pg_catalog, pg_temp;\n/ } @scripts);

# Every name that a user meets is in the reference.
my $install = join '', map { slurp($_) } glob 'sql/*.sql';
my %public = map { $_ => 1 } (
	$install =~ /^CREATE (?:FUNCTION|PROCEDURE|VIEW|TABLE|TYPE) (activity\.\w+)/mg,
	slurp('src/settings.c') =~ /^\s*Define\w+\("(activity\.\w+)"/mg,
	map { s/\W//gr }
	  slurp('src/activity.h') =~ /MAKE_SQLSTATE\(([^)]*)\)/g);
my $reference = slurp('docs/reference.md');
is_clean('every public name is in docs/reference.md',
	sort grep { $reference !~ /\b\Q$_\E\b/ } keys %public);

done_testing();
