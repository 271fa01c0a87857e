# What test/fuzz/run runs in its server: see there.
use strict;
use warnings;

my $calls = $ENV{FUZZ_CALLS} || 20_000;
my $arguments = $ENV{FUZZ_ARGUMENTS} || 20_000;
my $seed = $ENV{FUZZ_SEED} || 7;
srand($seed);
delete @ENV{ grep { /SAN_OPTIONS|LD_PRELOAD/ } keys %ENV };

my $tests = 0;
my $bad = 0;
sub ok
{
	my ($good, $name, @why) = @_;
	$tests++;
	$bad++ unless $good;
	print $good ? 'ok' : 'not ok', " $tests - $name\n";
	print map { "# $_\n" } @why unless $good;
	return;
}
sub pick { return $_[ rand @_ ] }
sub quote { return "'" . $_[0] =~ s/'/''/gr . "'" }
sub query
{
	my ($sql) = @_;
	my $file = "$ENV{PGDATA}.$$.query.sql";
	open my $out, '>', $file or die $!;
	print {$out} $sql, ';';
	close $out;
	open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file, 'postgres' or die $!;
	my @lines = <$psql>;
	close $psql or die "failed: $sql";
	chomp @lines;
	return @lines;
}

# Runs a file of statements, a line each; what was internal, and what was said of a
# lost connection. Twenty lost connections are enough.
sub run
{
	my ($name, $user, @lines) = @_;
	my (@internal, %codes);
	my $file = "$ENV{PGDATA}.$$.sql";
	while (@lines)
	{
		open my $out, '>:raw', $file or die $!;
		print {$out} "\\set VERBOSITY sqlstate\n", map { "$_\n" } @lines;
		close $out;
		my $said = `psql -XAtq -U $user -f $file postgres 2>&1 >/dev/null`;
		my $last = 0;
		foreach my $line (split /\n/, $said)
		{
			next unless $line =~ /^psql:\Q$file\E:(\d+): (?:ERROR|FATAL|PANIC):\s+(\w+)/;
			$last = $1;
			$codes{$2}++;
			push @internal, $lines[ $1 - 2 ] if $2 eq 'XX000';
		}
		last unless $said =~ /:(\d+): (?:error: )?(?:server closed|.*connection to server was lost|.*terminated abnormally)/;
		push @internal, "lost the server at: " . ($lines[ $1 - 2 ] // '?');
		last if @internal > 20;
		@lines = @lines[ $1 - 1 .. $#lines ];
		for (1 .. 600) { last if system('psql -XAtqc "SELECT 1" >/dev/null 2>&1') == 0; select undef, undef, undef, 0.1; }
	}
	my %seen;
	@internal = grep { !$seen{ s/\d+/N/gr =~ s/\(.*//sr }++ } @internal;
	ok(!@internal, "$name: no internal error", map { substr $_, 0, 600 } @internal[ 0 .. ($#internal > 20 ? 20 : $#internal) ]);
	print "# $name: ", join(', ', map { "$_ $codes{$_}" } sort { $codes{$b} <=> $codes{$a} } keys %codes), "\n";
	return;
}

# ---------- what there is to call, and to call it with ----------

sub set_up
{
	query(q{
		SET client_min_messages = warning;
		CREATE ROLE fuzz_owner LOGIN NOSUPERUSER;
		CREATE ROLE fuzz_read LOGIN; CREATE ROLE fuzz_record LOGIN;
		CREATE ROLE fuzz_administer LOGIN; CREATE ROLE fuzz_nobody LOGIN;
		GRANT ALL ON DATABASE postgres TO fuzz_owner;
		ALTER DATABASE postgres OWNER TO fuzz_owner;
		GRANT CREATE ON SCHEMA public TO fuzz_owner;
		GRANT fuzz_owner TO fuzz_administer});
	$ENV{PGUSER} = 'fuzz_owner';
	query(q{
		SET client_min_messages = error;
		CREATE EXTENSION activity CASCADE;
		SELECT activity.allow('fuzz_read', 'read'), activity.allow('fuzz_record', 'record'),
			activity.allow('fuzz_administer', 'administer');
		SELECT activity.set_tier('org', 'enterprise');
		SELECT FROM activity.create_webhook('org', 'https://a.example.com/');
		SELECT FROM activity.define_event_type('our.type', '{name} is [{x|y|z}]', '{name}');
		CREATE TYPE composite AS (a int, b text);
		CREATE DOMAIN word AS text CHECK (value <> 'no');
		CREATE TABLE plain (id int PRIMARY KEY, org_id text, user_id text, role text, status text,
			amount numeric, plan text, n int, f float8, b boolean, t timestamptz, j jsonb, k json, a text[],
			c composite, w word, u uuid, e activity.tier, x char(5), gone int, r int4range);
		ALTER TABLE plain DROP COLUMN gone;
		CREATE TABLE parts (LIKE plain) PARTITION BY LIST (n);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
		CREATE TABLE parts_2 (x2 int, LIKE plain); ALTER TABLE parts_2 DROP COLUMN x2;
		ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
		CREATE TABLE memberships (id int, org_id text, user_id text, role text);
		CREATE TABLE empty ();
		CREATE VIEW viewed AS TABLE plain;
		CREATE MATERIALIZED VIEW material AS TABLE plain;
		CREATE SEQUENCE sequence;
		CREATE TEMP TABLE temporary (LIKE plain);
		SELECT FROM activity.track('memberships', 'membership');
		INSERT INTO memberships VALUES (1, 'org', 'user', 'viewer');
		SELECT FROM activity.create_connection('org', 'user');
		SELECT count(activity.record('org', 'auth.signin', '{"id": "user"}', occurred_at => now() - n * interval '9 days'))
			FROM generate_series(1, 20) n;
		SELECT activity.set_tier('crowded', 'enterprise');
		SELECT count(activity.record('crowded', 'auth.signin')) FROM generate_series(1, 20000);
		SELECT FROM activity.publish();
		SELECT FROM activity.publish();
		SELECT FROM activity.publish();
		SELECT FROM activity.test_webhook((SELECT max(endpoint_id::text)::uuid FROM activity.webhook_endpoints));
		SELECT FROM activity.claim_deliveries(1);
		});
	return;
}

my $deep = '[' x 2000 . ']' x 2000;
my @json = (q({}), q([]), q(null), q(1), q("x"), q({"id": null}), q({"id": 17, "kind": "x"}), q({"id": {"id": []}}),
	q({"": ""}), q({"x": -1e-400}), q({"x": 1e4000}), q({"organization": "org_id"}), q({"rules": []}),
	q({"rules": [{}]}), q([{"event": "credit.add"}]), q({"name": "x"}), q({"preset": false}), $deep,
	q({"member": "user_id", "role": null}), q({"role": ["role", "status"]}), q({"webhook-id": 1}), q({"tiers": [[]]}),
	q({"tiers": [{"a": "premium"}]}), q({"states": {"a": [[1, 2, 3]]}}));
my %values = (
	text => [ map({ quote($_) } '', ' ', 'org', 'user', 'credit.charge', 'credit.*', '!credit.*', '.', 'our.type', 'membership',
			'x' x 256, 'read', 'record', 'administer', 'https://a.example.com/', 'http://127.0.0.1/', 'feed',
			'stream', 'warn', 'error', '1.1', '0.0', '-1.-1', '99999999999999999999.1', 'order:17', '%s%n', '{', '{a',
			'{{}}[[', 'user:', '{"id": "x"}', 'wss_', 'whsec_AAAA', 'event', 'premium', '10 days'),
		q{repeat('ü', 70000)}, q{E'\x01\x02\t\n'}, q(repeat('{', 1000)) ],
	integer => [ qw(0 1 -1 2 17 2147483647 -2147483648 12345 100000) ],
	bigint => [ qw(0 1 -1 2 17 9223372036854775807 -9223372036854775808 4294967296) ],
	boolean => [ qw(true false) ],
	interval => [ map({ quote($_) } '0', '1 day', '-1 second', '178000000 years', '-178000000 years', '1 month', '1 microsecond', '1000 years', '20 days') ],
	'timestamp with time zone' => [ map({ quote($_) } qw(infinity -infinity now epoch 294276-12-31 2000-02-30 1999-12-31)),
		q{'4713-01-01 BC'}, q{'0001-01-01 BC'}, q{now() - interval '1 day'}, q{'2026-01-01'} ],
	uuid => [ q{'00000000-0000-0000-0000-000000000000'}, q{'ffffffff-ffff-ffff-ffff-ffffffffffff'}, q{gen_random_uuid()},
		q{activity.event_id()}, q{activity.event_id('2020-01-01')}, q{(SELECT id FROM activity.events LIMIT 1)},
		q{(SELECT max(endpoint_id::text)::uuid FROM activity.webhook_endpoints)},
		q{(SELECT max(delivery_id::text)::uuid FROM activity.webhook_deliveries)},
		q{(SELECT max(connection_id::text)::uuid FROM activity.connections)},
		q{'00000001-0000-8000-8000-000000000001'} ],
	jsonb => [ map { quote($_) } @json ],
	'text[]' => [ q('{}'), q('{NULL}'), q('{credit.*}'), q('{credit.charge,NULL}'), q('{{a,b},{c,d}}'), q('[5:6]={auth.*,credit.*}'),
		q('{!*,""}'), q(array_fill('credit.*'::text, ARRAY[2000])), q('{name}'), q('{!auth.signin}'), q('{event}') ],
	'bigint[]' => [ q('{}'), q('{NULL}'), q('{1}'), q('{-1,9223372036854775807}'), q('{{1},{2}}') ],
	'timestamp with time zone[]' => [ q('{}'), q('{NULL}'), q('{infinity}'), q('{-infinity,now}'), q('{{now},{now}}'), q('{now}') ],
	regclass => [ map({ quote($_) } qw(plain parts parts_1 memberships empty viewed material sequence plain_pkey composite
			pg_class pg_toast.pg_toast_1255 _activity.event _activity.organization _activity.event_default activity.events)),
		'0', '99999999', q{(SELECT 'pg_authid')}, q{'information_schema.tables'} ],
	regrole => [ map({ quote($_) } qw(fuzz_read fuzz_owner fuzz_nobody)), '0', '99999999', q{'10'} ],
	'activity.tier' => [ map { quote($_) } qw(free premium enterprise) ],
	'activity.event_type' => [ map { quote($_) } qw(credit.charge auth.signin our.type CREDIT.ADD webhook.disable x.y) ],
	'activity.entry' => [ q{(SELECT e FROM activity.feed('org') e LIMIT 1)}, q{NULL::activity.entry},
		q{(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)::activity.entry} ],
	cstring => [ map { quote($_) } '', 'credit.charge', 'x.y', 'a' x 300, '.' ],
	oid => [ qw(0 1 1255 4294967295) ],
	'"char"' => [ q('a') ],
	numeric => [ qw(0 'NaN' 'infinity' -1) ],
	'double precision' => [ qw(0 'NaN' 'infinity' -1) ],
	'regclass[]' => [ q('{}'), q('{plain,NULL}') ],
	bytea => [ q(''), q('\x00ff') ],
	'pg_snapshot' => [ q('1:1:'), q('1:9:3,5') ],
	xid8 => [ qw('0' '18446744073709551615') ],
);

sub value
{
	my ($type) = @_;
	return "NULL::$type" if rand() < 0.12;
	my $list = $values{ $type =~ s/^character varying$/text/r };
	return $list ? pick(@$list) . "::$type" : "NULL::$type";
}

sub functions
{
	return map { [ split /\|/, $_, -1 ] } query(q{
		SELECT p.oid::regproc, p.prokind, coalesce(string_agg(format_type(a.type, NULL), ';' ORDER BY a.n), ''), p.pronargdefaults
		FROM pg_proc p LEFT JOIN unnest(p.proargtypes) WITH ORDINALITY a(type, n) ON true
		WHERE p.pronamespace IN ('activity'::regnamespace, '_activity'::regnamespace) AND p.prokind IN ('f', 'p')
		GROUP BY p.oid ORDER BY p.oid::regprocedure::text});
}

sub fuzz_functions
{
	my @functions = grep { $_->[2] !~ /internal/ } functions();
	my @users = qw(fuzz_owner fuzz_read fuzz_record fuzz_administer fuzz_nobody);
	my %lines;
	foreach my $i (1 .. $calls)
	{
		my ($name, $kind, $types, $defaults) = @{ $functions[ $i % @functions ] };
		my @types = split /;/, $types;
		my $given = @types - int rand($defaults + 1);
		my $call = ($kind eq 'p' ? 'CALL ' : rand() < 0.5 ? 'SELECT ' : 'SELECT * FROM ') . "$name("
		  . join(', ', map { value($types[$_]) } 0 .. $given - 1) . ');';
		# Most are undone, so that there goes on being something to find.
		$call = "BEGIN\\; $call\nROLLBACK;" =~ s/;\nROLLBACK/\\; ROLLBACK/r if $kind eq 'f' && rand() < 0.7;
		my $user = rand() < 0.5 ? 'fuzz_owner' : pick(@users);
		push @{ $lines{$user} }, $call, $call =~ /^BEGIN/ ? 'ROLLBACK;' : ();
	}
	print '# ', scalar @functions, " functions\n";
	run("$calls calls, those of $_", $_, @{ $lines{$_} }) foreach sort keys %lines;
	return;
}

# Each number at each edge, in an organization of so many events that what was made
# for fewer overflows far. All else is null, or something where a null would do nothing.
sub fuzz_numbers
{
	my @lines;
	foreach my $function (grep { $_->[1] eq 'f' && $_->[2] =~ /integer|bigint/ } functions())
	{
		my ($name, undef, $types) = @$function;
		my @types = split /;/, $types;
		foreach my $place (grep { $types[$_] =~ /^(integer|bigint)$/ } 0 .. $#types)
		{
			foreach my $edge (@{ $values{ $types[$place] } })
			{
				foreach my $else ('NULL', undef)
				{
					my @given = map { my $list = $values{$_}; $else // ($list ? $list->[0] : 'NULL') } @types;
					$given[0] = "'crowded'" if $types[0] eq 'text';
					$given[$place] = $edge;
					push @lines, "BEGIN\\; SELECT count(*) FROM (SELECT $name(" . join(', ', map { "$given[$_]::$types[$_]" } 0 .. $#types)
					  . ")::text) its\\; ROLLBACK;", 'ROLLBACK;';
				}
			}
		}
	}
	run(@lines / 2 . ' numbers', 'fuzz_owner', @lines);
	return;
}

# ---------- arguments of triggers ----------

my @good = (
	q({"category": "membership", "id": "f3bcc830-db7a-4260-810e-095af3f92f0f", "on_unknown": "warn",
		"columns": {"organization": "org_id", "member": "user_id", "role": "role", "state": "status"},
		"states": {"state": [["state", "active", "active"], ["state", null, "active"], ["state", "gone", "removed"], ["unknown"]]},
		"identity": ["member"],
		"rules": [{"event": "membership.joined", "on": "insert", "when": {"state": {"to": "active"}}, "subject": {"id": "member"}},
			{"event": "membership.role_changed", "changed": ["role"], "subject": {"id": "member"}, "metadata": {"old_role": "old.role", "new_role": "role"}},
			{"event": "membership.removed", "on": ["delete", "update"], "when": {"state": {"from": "active"}}}]}),
	q({"category": "credit", "id": "f3bcc830-db7a-4260-810e-095af3f92f0f", "columns": {"organization": "org_id", "amount": "amount", "kind": {"value": "x"}},
		"rules": [{"event": "credit.add", "when": {"amount": {"moved": "up"}}, "metadata": {"amount": {"difference": "amount"}}},
			{"event": "credit.charge", "changed": "*", "metadata": {"amount": {"abs": "amount"}, "what": {"first": ["plan", "kind"]}}}],
		"ignore": ["t"]}),
	q({"category": "subscription", "id": "f3bcc830-db7a-4260-810e-095af3f92f0f", "columns": {"organization": ["org_id", "n"], "tier": "plan", "state": "status", "j": "j", "k": "k", "c": "c", "a": "a", "e": "e"},
		"states": {"state": [["state", ["active", "trial"], "active"], ["other"]]}, "tier": {"column": "tier", "state": "state", "live": ["active"]},
		"tiers": [{"pro": "premium"}, "business"],
		"rules": [{"event": "subscription.updated", "when": {"e": {"moved": "down"}, "j": {"is": "*"}}, "metadata": ["j", "k", "c", "a", "e"]}]}),
);
my @atoms = (qw("" "org_id" "ctid" "tableoid" "xmin" "x" "role" "active" "absent" "unknown" "*" ">0" "credit.add" "no.such" "state" "member" null true false 1 -1 1e300),
	'[]', '{}', '{"":""}', '[null]', '["*"]', '{"value": 1}', '{"value": [1]}', '{"from": "x"}', '{"moved": "up"}', '{"changed": true}', '["insert"]', '["ctid", "org_id"]', '{"first": []}', '{"difference": "x"}');
my @keys = map { qq("$_") } qw(category id columns rules states identity tiers tier needs words metadata event when on changed subject organization from to is was moved value abs old);

sub mutate
{
	my ($argument) = @_;
	my @tokens = $argument =~ /"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+/g;
	foreach (0 .. int rand 4)
	{
		last unless @tokens;
		my $at = int rand @tokens;
		my $kind = int rand 9;
		if ($kind < 3) { $tokens[$at] = pick(@atoms) if $tokens[$at] =~ /^["\w]/ && ($tokens[ $at + 1 ] // '') ne ':' }
		elsif ($kind == 3) { $tokens[$at] = pick(@keys) if ($tokens[ $at + 1 ] // '') eq ':' }
		elsif ($kind == 4) { member($at, \@tokens, 1) }
		elsif ($kind == 5) { member($at, \@tokens, 2) }
		elsif ($kind == 6) { my $with = int rand @tokens; @tokens[ $at, $with ] = @tokens[ $with, $at ] if $tokens[$at] =~ /^"/ && $tokens[$with] =~ /^"/ }
		elsif ($kind == 7 && rand() < 0.2) { splice @tokens, $at, 1 }
		elsif ($kind == 8 && rand() < 0.1) { $tokens[$at] = '"' . 'x' x 300 . '"' }
	}
	return join ' ', @tokens;
}

# Removes the member or element that begins here, or puts it in again.
sub member
{
	my ($at, $tokens, $times) = @_;
	$at-- while $at > 0 && $tokens->[ $at - 1 ] !~ /^[\[{,]$/;
	my ($end, $depth) = ($at, 0);
	while ($end < @$tokens)
	{
		$depth++ if $tokens->[$end] =~ /^[\[{]$/;
		$depth-- if $tokens->[$end] =~ /^[\]}]$/;
		last if $depth < 0 || ($depth == 0 && $tokens->[$end] eq ',');
		$end++;
	}
	my @part = @{$tokens}[ $at .. $end - 1 ];
	if ($times == 2) { splice @$tokens, $at, 0, @part, ',' }
	elsif (($tokens->[$end] // '') eq ',') { splice @$tokens, $at, $end - $at + 1 }
	elsif ($at > 1 && $tokens->[ $at - 1 ] eq ',') { splice @$tokens, $at - 1, $end - $at + 1 }
	else { splice @$tokens, $at, $end - $at }
	return;
}

my $row = q{(%d, 'org', 'user', %s, %s, %s, 'pro', %d, 'NaN', true, now(), '{"a": [1]}', '[1]', '{a,NULL}', '(1,x)', 'w', NULL, 'free', 'x', '[1,2)')};
sub changes
{
	my ($table) = @_;
	my @words = (q('active'), q('gone'), 'NULL', q('strange'), q('viewer'));
	my @numbers = ('1', '-5', 'NULL', q('NaN'));
	my $new = sprintf $row, 1, pick(@words), pick(@words), pick(@numbers), 1;
	my $n = $table eq 'parts' ? 'n = 3 - n, ' : '';
	return pick(
		"INSERT INTO $table VALUES $new",
		"UPDATE $table SET ${n}role = @{[pick(@words)]}, status = @{[pick(@words)]}, amount = @{[pick(@numbers)]}, plan = @{[pick(@words)]}, e = 'premium', j = NULL",
		"UPDATE $table SET ${n}org_id = @{[pick(q('other'), 'NULL', q(''), q(repeat('x', 300)))]}, user_id = 'u'",
		"DELETE FROM $table", $table eq 'plain' ? "TRUNCATE $table" : "DELETE FROM $table WHERE n = 1");
}

sub fuzz_arguments
{
	my @lines;
	query(sprintf "INSERT INTO plain VALUES $row; INSERT INTO parts VALUES $row",
		5, q('viewer'), q('active'), 3, 1, 5, q('viewer'), q('active'), 3, 1);
	foreach my $i (1 .. $arguments)
	{
		my $table = pick('plain', 'parts');
		my $argument = mutate(pick(@good));
		my $number = rand() < 0.02 ? pick('', "'{}', '{}'") : undef;
		my @timing = rand() < 0.97 ? ('AFTER INSERT OR UPDATE OR DELETE', 'ROW')
		  : (pick('BEFORE INSERT', 'AFTER UPDATE', 'BEFORE DELETE'), pick('ROW', 'STATEMENT'));
		my $function = rand() < 0.97 ? 'capture_row' : pick(qw(capture_begin capture_end capture_truncate refuse_change forget_event_types webhook_endpoint_changed));
		push @lines, join('\\; ', "BEGIN",
			"CREATE TRIGGER t $timing[0] ON $table FOR EACH $timing[1] EXECUTE FUNCTION _activity.$function(" . ($number // quote($argument)) . ')',
			(rand() < 0.3 ? "CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH STATEMENT EXECUTE FUNCTION _activity.capture_end()" : ()),
			(rand() < 0.05 ? "CREATE TRIGGER w BEFORE TRUNCATE ON $table EXECUTE FUNCTION _activity.capture_truncate()" : ()),
			(map { changes($table) } 1 .. 1 + rand 2),
			(rand() < 0.03 ? "ALTER TABLE $table RENAME role TO roll" : ()),
			(rand() < 0.03 ? "ALTER TABLE $table DROP COLUMN status" : ()),
			(rand() < 0.03 ? "SELECT activity.track('$table', 'membership')" : ()),
			(rand() < 0.03 ? "SELECT FROM activity.feed('org', viewer => 'user')" : ()),
			'ROLLBACK;');
		push @lines, 'ROLLBACK;';
	}
	run("$arguments arguments", 'fuzz_owner', "SET client_min_messages = error;", @lines);
	return;
}

set_up();
print "# seed $seed\n";

# Side by side; each tells its own.
pipe(my $reader, my $writer) or die $!;
my $child = fork // die $!;
if ($child == 0)
{
	select $writer;
	fuzz_arguments();
	close $writer;
	exit 0;
}
close $writer;
fuzz_functions();
fuzz_numbers();
while (my $line = <$reader>)
{
	if ($line =~ /^(not )?ok \d+ - (.*)/) { $tests++; $bad++ if $1; $line = ($1 // '') . "ok $tests - $2\n"; }
	print $line;
}
waitpid $child, 0;
ok($? == 0, 'the arguments were tried');
open my $log, '<', $ENV{PGLOG} or die $!;
my @crashes = grep { /terminated by signal|TRAP:|PANIC|runtime error|AddressSanitizer/ } <$log>;
chomp @crashes;
ok(!@crashes, 'the server was not ended', @crashes[ 0 .. ($#crashes > 9 ? 9 : $#crashes) ]);
print "1..$tests\n";
exit($bad ? 1 : 0);
