#!/usr/bin/perl
# The built-in taxonomy: the page shows the data, and a bad row fails the build.
use strict;
use warnings;
use File::Temp;
use Test::More;

my $columns = "key\tfamily\tsynonym_of\tsubject_kind\trequired\ttemplate\tmeaning\n";
my $row = "a.b\tFamily\t\tthing\tname\tIt {name}\tIt happened\n";

# The header's generator on these lines: its status, and what it says.
sub generate
{
	my ($lines) = @_;
	my $file = File::Temp->new;
	print $file $lines;
	close $file;
	my $output = `LC_ALL=C scripts/taxonomy-header $file 2>&1`;
	return ($? >> 8, $output);
}

sub refuses
{
	my ($name, $lines, $says) = @_;
	my ($status, $output) = generate($lines);
	ok($status != 0 && $output =~ $says, "refused: $name")
	  or diag("status $status: $output");
	return;
}

is(`scripts/taxonomy-docs -c 2>&1`, '',
	'docs/taxonomy.md has the table (if not, run scripts/taxonomy-docs)');

my ($status, $output) = generate("$columns$row");
is($status, 0, 'a good row is taken');
like($output, qr/\{1, "a\.b", "a", "b", "Family", 0, "thing", 1, \(const char \*const\[\]\) \{"name"\}, "It \{name\}", "It happened", true, NULL\}/,
	'and becomes C');
($status, $output) = generate($columns . $row =~ s/It \{/"\\{/r);
like($output, qr/"\\"\\\\\{name\}"/, 'quotes and backslashes are escaped');

refuses('nothing', $columns, qr/no event types/);
refuses('other columns', "key\tfamily\n$row", qr/:1: the columns must be/);
refuses('a missing column', "${columns}a.b\tFamily\t\tthing\tname\tIt {name}\n", qr/:2: 6 columns/);
refuses('a column too many', $columns . $row =~ s/\n/\tx\n/r, qr/:2: 8 columns/);
refuses('a key without action', $columns . $row =~ s/a\.b/ab/r, qr/:2: bad key "ab"/);
refuses('a key in upper case', $columns . $row =~ s/a\.b/A.b/r, qr/bad key/);
refuses('a long key', $columns . $row =~ s/a\.b/'a.' . 'b' x 126/er, qr/longer than 127/);
refuses('the reserved category', $columns . $row =~ s/a\.b/unknown.b/r, qr/reserved/);
refuses('a key twice', "$columns$row$row", qr/:3: "a\.b" stands here twice/);
refuses('no family', $columns . $row =~ s/Family//r, qr/no family/);
refuses('no template', $columns . $row =~ s/It \{name\}//r, qr/no template/);
refuses('a long template', $columns . $row =~ s/It \{/'x' x 2000 . '{'/er, qr/longer than 2000/);
refuses('no meaning', $columns . $row =~ s/It happened//r, qr/no meaning/);
refuses('bad required fields', $columns . $row =~ s/\tname\t/\tname,\t/r, qr/bad required/);
refuses('a bad subject kind', $columns . $row =~ s/thing/a thing/r, qr/bad subject kind/);
refuses('what is not ASCII', $columns . $row =~ s/happened/h\xc3\xa4ppened/r, qr/not printable/);
refuses('a synonym of nothing', $columns . $row =~ s/Family\t/Family\tc.d/r, qr/does not exist/);
refuses('a synonym of a synonym',
	$columns . $row . $row =~ s/a\.b(\tFamily\t)/c.d$1a.b/r . $row =~ s/a\.b(\tFamily\t)/e.f$1c.d/r,
	qr/synonym of a synonym/);

done_testing();
