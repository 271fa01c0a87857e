#!/usr/bin/perl
# How the tree is built elsewhere than here: in a folder whose name has a space, and
# by Debian's packages, whose clean must not take the dashboard along.
use strict;
use warnings;
use File::Temp;
use Test::More;

my $top = File::Temp->newdir;
my $tree = "$top/a tree";
mkdir $tree or die;
system('cp', '-r', qw(Makefile META.json.in activity.control data dashboard gateway scripts sql src), $tree) == 0 or die;

sub is_made
{
	my ($name, @arguments) = @_;
	open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', 'make', '-s', '-C', $tree, @arguments or die;
	local $/;
	my $said = <$out>;
	return ok(close $out, $name) || diag(substr $said, -500);
}

is_made('a folder with a space is no hindrance', '-n', 'all');
is_made('nor is it for the gateway', '-n', 'gateway');

mkdir "$tree/dashboard/built";
open my $page, '>', "$tree/dashboard/built/index.html" or die;
close $page;
my ($with) = do { local @ARGV = 'debian/rules'; map { /^export (WITH_DASHBOARD) = (\w+)$/ ? "$1=$2" : () } <> };
is_made('what a package cleans', 'clean', $with // 'WITH_DASHBOARD=yes');
ok(-e "$tree/dashboard/built/index.html", 'is not the dashboard');
is_made('what make cleans', 'clean');
ok(!-e "$tree/dashboard/built/index.html", 'is');
done_testing();
