#!/usr/bin/perl
# Upgrade scripts are the difference to a release, and what nobody has thought of
# fails the build, saying so.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Copy qw(copy);
use File::Temp;
use Test::More;

my $tree = File::Temp->newdir;
mkdir "$tree/$_" or die foreach qw(scripts sql sql/upgrade sql/released);
copy('scripts/upgrade-script', "$tree/scripts/upgrade-script") or die;

sub put
{
	my ($name, $text) = @_;
	open my $out, '>', "$tree/$name" or die "$name: $!";
	print $out $text;
	close $out;
	return;
}

sub script
{
	my ($from) = @_;
	my $output = `perl $tree/scripts/upgrade-script $from $tree/sql/one.sql 2>&1`;
	return ($? >> 8, $output);
}

my $old = <<'SQL';
\echo Use "CREATE EXTENSION" \quit
-- A table; with a semicolon.
CREATE TABLE _x.kept (a int, -- it's one
	b text DEFAULT ';');
CREATE TABLE _x.changed (a int);
CREATE FUNCTION x.same(a text, "b" int DEFAULT 1, c text DEFAULT 'x, y') RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
CREATE FUNCTION x.other() RETURNS int LANGUAGE sql
BEGIN ATOMIC
	SELECT 1;
END;
CREATE FUNCTION x.gone(a int[], OUT b text) RETURNS text LANGUAGE sql AS $_$ SELECT $$1;$$ $_$;
CREATE VIEW x.seen AS SELECT 1 AS a;
COMMENT ON VIEW x.seen IS 'it''s seen';
INSERT INTO _x.kept VALUES (1);
DO $$ -- in every update
BEGIN END $$;
SQL
put('sql/one.sql', $old);
put('activity.control', "default_version = '1.2.0'\n");
put('sql/upgrade/begin.sql', q{SELECT 'from here to @VERSION@';} . "\n");
put('sql/upgrade/end.sql', "SELECT 'end';\n");
put('sql/releases.tsv', "version\tcommit\tcatalog\n1.0.0\tabc\tknown\n1.1.0\tdef\tknown\n");
put("sql/released/$_", scalar `perl $tree/scripts/upgrade-script -l $tree/sql/one.sql`) foreach '1.0.0', '1.1.0';
like(scalar `cut -f 2 $tree/sql/released/1.0.0`,
	qr/\ATABLE _x\.kept\nTABLE _x\.changed\nFUNCTION x\.same\(text, int, text\)\nFUNCTION x\.other\(\)\nFUNCTION x\.gone\(int\[\]\)\nVIEW x\.seen\nINSERT \w+\n\z/,
	'statements are told apart');
my ($status, $output) = script('1.0.0');
is($status, 0, 'nothing has changed');
unlike($output, qr/CREATE/, 'and nothing is made');
like($output, qr/search_path = pg_catalog, pg_temp;.*'from here to 1\.2\.0'.*COMMENT ON VIEW.*in every update.*'end'/s, 'what is always said is said');

my $new = $old =~ s/^CREATE FUNCTION x\.gone.*\n//mr =~ s/1;\nEND/2;\nEND/r . "CREATE TABLE _x.more (a int);\n";
put('sql/one.sql', $new);
($status, $output) = script('1.0.0');
is($status, 0, 'functions and new tables need nothing more');
like($output, qr/^CREATE OR REPLACE FUNCTION x\.other\(\)(?s:.*)^CREATE TABLE _x\.more(?s:.*)^DROP FUNCTION x\.gone\(int\[\]\);/m, 'they are replaced, made and dropped');
unlike($output, qr/x\.same|_x\.kept/, 'the rest is left alone');

put('sql/one.sql', $new =~ s/changed \(a int\)/changed (a int, b int)/r =~ s/VALUES \(1\)/VALUES (2)/r);
($status, $output) = script('1.0.0');
isnt($status, 0, 'another column needs somebody to think');
like($output, qr{one\.sql: changed: TABLE _x\.changed\n.*new: INSERT (\w+)\n.*sql/upgrade/1\.1\.0\.sql.*-- done: KEY}s, 'which the error says');
my ($insert) = $output =~ /new: (INSERT \w+)/;
put('sql/upgrade/1.1.0.sql', "-- done: TABLE _x.changed\nALTER TABLE _x.changed ADD b int;\n-- done: $insert\n"
	. "DROP VIEW IF EXISTS x.seen;\n-- after\nSELECT 'after';\n");
foreach my $from ('1.0.0', '1.1.0')
{
	($status, $output) = script($from);
	is($status, 0, "and who has thought of it from $from is believed");
	like($output, qr/ADD b int;(?s:.*)^CREATE OR REPLACE VIEW x\.seen(?s:.*)'after';\nSELECT 'end'/m, 'what was dropped is made anew');
}
put('sql/one.sql', $new =~ s/^CREATE TABLE _x.kept(?s:.*?);'\);\n//mr);
($status, $output) = script('1.0.0');
like($output, qr/gone since 1\.0\.0: TABLE _x\.kept/, 'so does a table that is gone');

# Each release is there whole.
foreach (split /^/, do { local (@ARGV, $/) = 'sql/releases.tsv'; <> })
{
	chomp;
	my ($version, $commit, $catalog) = split /\t/;
	next if $version eq 'version';
	ok(-s "sql/released/$version" && -s "test/upgrade/$version.sql.gz", "release $version has its statements and its script");
	like("$commit $catalog", qr/^[0-9a-f]{40} (?:known|refused)$/, 'and its line');
}
done_testing();
