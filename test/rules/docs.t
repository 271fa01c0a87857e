#!/usr/bin/perl
# The reference is complete, and invents nothing: functions and views, settings,
# SQLSTATEs, metrics and routes; pages link to what is there. (Flags: gateway_options.pl;
# signatures and columns, by the catalog: pages.pl.)
use strict;
use warnings;
use Test::More;

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

sub is_clean
{
	my ($name, @found) = @_;
	ok(!@found, $name) or diag(map { "  $_\n" } @found);
	return;
}

my %page = map { $_ => slurp($_) } 'README.md', 'CHANGELOG.md', glob 'docs/*.md docs/*/*.md src/*/README.md';
my $install = join '', map { slurp($_) } glob 'sql/*.sql';
my $settings = slurp('src/settings.c');
my %is_public = map { $_ => 1 } $install =~ /^CREATE (?:FUNCTION|PROCEDURE|VIEW|TYPE|AGGREGATE) activity\.(\w+)/mg;
my %is_setting = map { $_ => 1 } grep { $_ ne "h" } $settings =~ /"activity\.(\w+)"/g;
my %is_sqlstate = map { s/\W//gr => 1 } slurp('src/activity.h') =~ /MAKE_SQLSTATE\(([^)]*)\)/g;

# Nothing is invented.
my (@functions, @states, @links);
foreach my $file (sort keys %page)
{
	push @functions, map { "$file: activity.$_()" } grep { !$is_public{$_} } $page{$file} =~ /\bactivity\.([a-z_]+)\(/g;
	push @states, map { "$file: $_" } grep { !$is_sqlstate{$_} } $page{$file} =~ /\b(AC\d{3})\b/g;
	my $folder = $file =~ s{[^/]+$}{}r;
	foreach my $target ($page{$file} =~ /\]\(([^)\s]+)\)/g)
	{
		next if $target =~ /^(?:https?:|mailto:)/;
		my ($path, $anchor) = split /#/, $target;
		push @links, "$file: $target" if length $path && !-e "$folder$path";
		next if !defined $anchor || $anchor !~ /^[a-z]/;
		my $to = length $path ? "$folder$path" : $file;
		1 while $to =~ s{[^/]+/\.\./}{};
		my %heading = map { (lc s/[^\w\s-]//gr) =~ s/\s/-/gr => 1 } ($page{$to} // next) =~ /^#+ +(.*?)\s*$/mg;
		push @links, "$file: $target" if !$heading{$anchor};
	}
}
is_clean('no page calls a function that does not exist', @functions);
is_clean('no page names an SQLSTATE that does not exist', @states);
is_clean('every link leads somewhere', @links);

my $reference = $page{'docs/reference.md'};
my ($table) = $reference =~ /^## Settings\n(.*?)^## /ms;
my %told = map { $_ => 1 } map { (split / \| /)[0] =~ /`activity\.(\w+)`/g } grep { /^\| `activity/ } split /\n/, $table;
is_deeply([ grep { !$told{$_} } sort keys %is_setting ], [], 'every setting is in the table of settings');
is_deeply([ grep { !$is_setting{$_} } sort keys %told ], [], 'which has no other');

# What /metrics has, with what it says of itself.
my $source = slurp('gateway/status.c');
my $gateway = $page{'docs/gateway.md'};
my %metric = $source =~ /(?:counter|gauge|declare)\(&?out, "(\w+)",\s*(?:"(?:counter|gauge|summary)",\s*)?"((?:[^"\\]|\\.)*)"/g;
cmp_ok(scalar keys %metric, '>', 25, 'there are metrics');
my %shown = $gateway =~ /^\| `activity_gateway_(\w+?)(?:\{\w+\})?` \| (.*?) \|$/mg;
is_deeply(\%shown, \%metric, 'docs/gateway.md has every metric, and no other');

# Routes: a page names each as it is below the organization.
my @routes = slurp('sql/http_route.sql') =~ /\('(GET|POST|PATCH|DELETE|PUT)', \d, '([^']+)'/g;
my (@silent, %route);
while (my ($method, $path) = splice @routes, 0, 2)
{
	my $short = $path =~ s{^/organizations/\{organization\}}{}r;
	$route{"$method $short"} = 1;
	my $name = $short =~ s{^/analytics/}{}r;
	push @silent, "$method $path"
	  unless $page{'docs/http.md'} =~ m{\b\Q$method\E[^`|]*?\Q$short\E(?![\w/-])} || $short ne $name && $page{'docs/http.md'} =~ /^\| `\Q$name\E` \|/m;
}
is_clean('docs/http.md has every route', @silent);
is_clean('and no other', grep { my ($method, $path) = /(\w+) (.*)/; !$route{$_} && !$route{"$method /organizations$path"} && $path !~ m{^/(?:stream|healthz|metrics|api)|/analytics/?$} }
	$page{'docs/http.md'} =~ /^(?:\| |\*\*)`((?:GET|POST|PATCH|DELETE) (?:\/[\w{}-]+)+)/mg);
done_testing();
