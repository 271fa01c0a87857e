#!/usr/bin/perl
# What is hashed and stored is the same on every machine: the portable form of the
# hash, which big-endian machines run, gives what PostgreSQL's gives here.
use strict;
use warnings;
use File::Temp;
use Test::More;

# hashtext() of the first 0, 1, 2 ... bytes of it, on x86-64 under PostgreSQL 15.
my $text = 'The bytes of an id, which dumps carry on: 0123456789';
my @wanted = qw(
	-1477818771 189977564 -1032424723 -2092041454 -529746819 -1360504057 -1571340575 659965801 1772940110
	1980673787 570536368 1546613725 -822297270 -1011867036 689301221 -1904091272 -1925858486 -1956665064 72537017
	-2138314825 1206730559 159056278 851293531 372269714 921322034 2036884340 1603015672 1782699872 663542404
	-1280793222 -176877342 -796502966 1473022803 -403033445 -1808340742 -1622959464 -498131314 -1843596659
	121165019 -2102467107 2097505256 932310992 -42145528 -474039617 -366697689 2050515352 69634629 -1626993194
	-263295117 545053620 2126710238 -1352196788);
my $dir = File::Temp->newdir;
mkdir "$dir/common" or die;
open my $stub, '>', "$dir/common/hashfn.h" or die;
print $stub "#include <stdint.h>\ntypedef uint32_t uint32;\n#define WORDS_BIGENDIAN 1\n";
close $stub;
open my $program, '>', "$dir/hash.c" or die;
print $program <<"C";
#include "base/hash.h"
#include <stdio.h>
#include <string.h>
int main(void)
{
	const char *text = "$text";
	for (int len = 0; len < (int) strlen(text); len++)
		printf("%d\\n", (int) act_hash_bytes((const unsigned char *) text, len));
	return 0;
}
C
close $program;
is(system("\${CC:-cc} -Wall -I$dir -Isrc -o $dir/hash $dir/hash.c"), 0, 'the portable hash compiles by itself');
is_deeply([ split /\n/, `$dir/hash` ], \@wanted, 'and gives what is stored elsewhere');

# Where bytes are copied as they are, somebody has thought of it.
my @places;
foreach my $file (glob 'src/*.c src/*/*.c')
{
	open my $in, '<', $file or die;
	while (<$in>)
	{
		push @places, "$file: $_" if /\bhash_(?:bytes|any|bytes_extended)\(/ && !/act_hash/;
	}
}
is(scalar(grep { !m{^src/(?:event/organization|feed/tally|numbers/sum|stream/verification)\.c} } @places), 0,
	'hashes of the server are kept in memory alone') or diag(@places);
done_testing();
