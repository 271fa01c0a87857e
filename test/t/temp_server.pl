# A throwaway server goes with its command, however that ends.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir_short();
local $ENV{TMPDIR} = $folder;

# Not by kill: a server that has ended may wait for its new parent.
sub runs
{
	my ($pid) = @_;
	return -e "/proc/$pid/cmdline" && slurp_file("/proc/$pid/cmdline") ne '';
}

sub wait_for
{
	my ($condition) = @_;
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		usleep(100_000);
	}
	return 0;
}

sub leftovers
{
	return scalar(() = glob "$folder/server.*");
}

command_like(
	[ 'scripts/temp-server', '-c', 'work_mem = 5MB', '--',
		'psql', '-XAtc', "SELECT setting FROM pg_settings WHERE name = 'work_mem'" ],
	qr/^5120$/, 'the command reaches a server with the settings');
is(leftovers(), 0, 'nothing is left');
command_exit_is([ 'scripts/temp-server', '--', 'sh', '-c', 'exit 7' ], 7,
	'the result of the command is passed on');

# An activity that is installed is none of the private installation's: root's files
# can't be written.
my ($private) = run_command([ 'scripts/private-postgres', "$folder/postgres" ]);
my $installed = `$ENV{PG_CONFIG} --pkglibdir`;
chomp $installed;
ok(-e "$installed/activity.so", 'activity is installed where a private installation is made from');
my $found = `find $folder/postgres -name 'activity*' -not -path '*/bitcode/postgres/*'`;
is($found, '', 'and not in it');
ok(-x $private, 'which is one');

foreach my $signal ('TERM', 'INT', 'KILL')
{
	my $pid = fork();
	if (!$pid)
	{
		open STDIN, '<', '/dev/null';
		exec 'scripts/temp-server', '--', 'sh', '-c',
		  'head -n 1 "$PGDATA/postmaster.pid" >"$TMPDIR/pid"; exec tail -f /dev/null';
	}
	ok(wait_for(sub { -s "$folder/pid" }), "a server runs, for $signal");
	my ($server) = slurp_file("$folder/pid") =~ /^(\d+)/;
	unlink "$folder/pid";
	ok(runs($server), "it is seen to run");
	kill $signal, $pid;
	waitpid($pid, 0);
	ok(wait_for(sub { !runs($server) }), "it ends with $signal");
	is(leftovers(), 0, "nothing is left by $signal") unless $signal eq 'KILL';
}

done_testing();
