#!/usr/bin/perl
# What a released version has changed stays as it was written: news go under the
# version that is not released.  test/upgrade/VERSION.changes has each one's digest.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Test::More;

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

my ($next) = slurp('activity.control') =~ /^default_version = '(.*)'$/m;
my %section = map { /\A(\S+)[^\n]*\n(.*)\z/s } grep { !/^# / } split /^## /m, slurp("CHANGELOG.md");
like(slurp('CHANGELOG.md'), qr/\A# Changelog\n[^#]*^## \Q$next\E \(unreleased\)$/m, "news are of $next");
foreach my $version (map { /^(\d\S*)/ ? $1 : () } split /^/, slurp('sql/releases.tsv'))
{
	my $changes = ($section{$version} // '') =~ s/\n+\z/\n/r;
	is(sha256_hex($changes) . "\n", slurp("test/upgrade/$version.changes"), "the changes of $version are those that it was released with");
}
done_testing();
