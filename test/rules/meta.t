#!/usr/bin/perl
# What `make dist` makes is a distribution as PGXN's META spec 1.0.0 wants it.
use strict;
use warnings;
use File::Temp;
use JSON::PP;
use Test::More;

sub slurp
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!";
	local $/;
	return scalar <$in>;
}

sub run
{
	my ($command) = @_;
	my $output = `$command 2>&1`;
	die "$command: $output" if $?;
	return $output;
}

my $top = File::Temp->newdir;
my ($version) = slurp('activity.control') =~ /^default_version = '(.*)'$/m;
my $semver = qr/\A(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-?[a-zA-Z][-\w]*)?\z/;
my $git = "git -C $top/tree -c safe.directory=* -c user.name=t -c user.email=t -c init.defaultBranch=main";
run("scripts/copy-tree $top/tree");
run("$git init -q && $git add -A && $git commit -qm dist && make -s -C $top/tree dist");
my $name = "activity-$version";
my %is_there = map { $_ => 1 } split /\n/,
  run("python3 -c 'import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep=chr(10))' $top/tree/$name.zip");
is_deeply([ grep { !m{^\Q$name\E/} } keys %is_there ], [], 'all of it is in a folder of its name');
ok($is_there{"$name/$_"}, "$_ is there") foreach qw(META.json README.md Makefile activity.control CHANGELOG.md LICENSE);
run("cd $top && python3 -m zipfile -e tree/$name.zip .");
my $meta = decode_json(slurp("$top/$name/META.json"));

is($meta->{version}, $version, 'the version is that of activity.control');
like($meta->{name}, qr{\A[^\s/\\[:cntrl:]]{2,}\z}, 'name');
ok(length($meta->{abstract} // '') > 0, 'abstract');
my $maintainer = $meta->{maintainer};
ok((ref $maintainer ? @$maintainer && !grep { !length } @$maintainer : length $maintainer), 'maintainer');
my %license = map { $_ => 1 } qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3
	lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted unrestricted unknown);
ok($license{ $meta->{license} }, 'license');
is($meta->{'meta-spec'}{version}, '1.0.0', 'meta-spec');
like($meta->{'meta-spec'}{url}, qr{^https?://}, 'and where it stands');
foreach my $extension (keys %{ $meta->{provides} })
{
	my $is = $meta->{provides}{$extension};
	like($is->{version}, $semver, "$extension has a version");
	ok($is_there{"$name/$is->{$_}"}, "$extension: its $_ is there") foreach qw(file docfile);
	ok(-e "$extension.control", "$extension has a control file");
}
foreach my $phase (keys %{ $meta->{prereqs} })
{
	like($phase, qr/^(?:configure|build|test|runtime|develop|x_\w+)$/i, "phase $phase");
	foreach my $relation (keys %{ $meta->{prereqs}{$phase} })
	{
		like($relation, qr/^(?:requires|recommends|suggests|conflicts|x_\w+)$/i, "$phase $relation");
		my $wanted = $meta->{prereqs}{$phase}{$relation};
		ok($wanted->{$_} eq '0' || $wanted->{$_} =~ /\A(?:(?:>=|<=|>|<|==|!=) )?\d+\.\d+\.\d+/, "$_ is wanted in a version") foreach keys %$wanted;
	}
}
ok(@{ $meta->{tags} } && !grep({ !length || length > 255 || m{[/\\[:cntrl:]]} } @{ $meta->{tags} }), 'tags');
is_deeply([ grep { !/^(?:name|version|abstract|description|maintainer|license|provides|prereqs|tags|meta-spec|release_status|generated_by|no_index|resources|x_\w+)$/i } keys %$meta ],
	[], 'nothing else');

# What packages say of themselves is the same version.
like(slurp('debian/changelog'), qr/\Aactivity \(\Q$version\E-\d+\) /, 'debian/changelog begins with it');
is(slurp('debian/control'), slurp('debian/control.in') =~ s/PGVERSION/15/gr, 'debian/control is made of control.in');
done_testing();
