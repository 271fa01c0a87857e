# The demo shows what it promises, twice in a row, and leaves nothing behind.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir_short() . '/demo';
local $ENV{DEMO_FOLDER} = $folder;

# Not by kill: a server that has ended may wait for its new parent.
sub runs
{
	my ($pid) = @_;
	return -e "/proc/$pid/cmdline" && slurp_file("/proc/$pid/cmdline") ne '';
}

foreach my $time ('first', 'second')
{
	my ($output, $errors);
	my $result = IPC::Run::run([ 'scripts/demo', '-i' ], '<', \'', '>', \$output,
		'2>', \$errors);
	ok($result, "the $time demo runs") or diag($output, $errors);
	is($errors, '', "the $time demo has no errors of its own");
	foreach my $line (
		'Member role changed to admin',
		'Refunded 8.5 credits for small-1',
		'"description": "Subscription upgraded from premium to enterprise"',
		'The client was told: ', 'A webhook arrived, signed invitation.', '"position": ', '"globex" may not use "feed"',
		'DELETE is not possible')
	{
		like($output, qr/\Q$line\E/, "the $time demo shows: $line");
	}
}

my ($pid) = slurp_file("$folder/server/data/postmaster.pid") =~ /^(\d+)/;
ok(runs($pid), 'the server goes on running');
my %program = map { $_ => slurp_file("$folder/$_.pid") + 0 } 'gateway', 'receiver';
ok(runs($program{$_}), "the $_ goes on running") foreach sort keys %program;

# A server that somebody else ended is no reason not to clean up.
kill 'KILL', $pid;
PostgreSQL::Test::Utils::system_log('true') until !runs($pid);
command_ok([ 'scripts/demo', 'stop' ], 'the demo can be stopped when its server is gone');
ok(!runs($program{$_}), "the $_ is gone, too") foreach sort keys %program;
ok(!-e $folder, 'which removes its folder');
# Nor is a folder that somebody removed, in part or whole, while all of it runs.
foreach my $what ("$folder/server/data", $folder)
{
	ok(IPC::Run::run([ 'scripts/demo', '-i' ], '<', \'', '>', \my $once, '2>', \my $more), 'it starts again');
	($pid) = slurp_file("$folder/server/data/postmaster.pid") =~ /^(\d+)/;
	%program = map { $_ => slurp_file("$folder/$_.pid") + 0 } 'gateway', 'receiver';
	system('rm', '-rf', $what);
	command_like([ 'scripts/demo', 'stop' ], qr/stopped and gone/, "the demo can be stopped without $what");
	ok(!runs($_->[1]), "the $_->[0] is gone") foreach [ server => $pid ], map { [ $_ => $program{$_} ] } sort keys %program;
	ok(!-e $folder, 'and what was left of it');
}
ok(IPC::Run::run([ 'scripts/demo', '-i' ], '<', \'', '>', \my $again, '2>', \my $said), 'it starts again');
($pid) = slurp_file("$folder/server/data/postmaster.pid") =~ /^(\d+)/;
command_ok([ 'scripts/demo', 'stop' ], 'the demo can be stopped');
ok(!runs($pid), 'its server is gone');
ok(!-e $folder, 'its folder is gone');
command_like([ 'scripts/demo', 'stop' ], qr/No demo is running/, 'stopping again does no harm');

mkdir $folder or die "could not make $folder: $!";
command_fails([ 'scripts/demo', '-i' ], 'a folder that is no demo is left alone');
ok(-d $folder, 'it is still there');

done_testing();
