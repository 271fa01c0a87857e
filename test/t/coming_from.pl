# docs/coming-from.md: what each block makes of a small past goes into the feed by
# scripts/import-events, once, whatever is wrong beside it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $page = slurp_file('docs/coming-from.md');
my %block = map { (/^-- (.*)\n/ ? $1 : 'first') => $_ } $page =~ /^```sql\n(.*?)^```$/msg;
$node->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE EXTENSION hstore;
	UPDATE activity.features SET tier = 'free';
	CREATE SCHEMA audit;
	CREATE TABLE audit.logged_actions (event_id bigint, table_name text, session_user_name text, action_tstamp_clk timestamptz,
		application_name text, client_addr inet, action text, row_data hstore, changed_fields hstore);
	INSERT INTO audit.logged_actions VALUES
		(1, 'memberships', 'app', '2026-01-01 10:00+00', 'rails', '192.0.2.1', 'I', 'organization_id=>o1,user_id=>ada,role=>member', NULL),
		(2, 'memberships', 'app', '2026-01-01 10:01+00', 'rails', '192.0.2.1', 'U', 'organization_id=>o1,user_id=>ada,role=>member', 'role=>owner'),
		(3, 'memberships', 'app', '2026-01-01 10:02+00', 'rails', NULL, 'U', 'organization_id=>o1,user_id=>ada,role=>owner', 'seen=>now'),
		(4, 'memberships', 'app', '2026-01-01 10:03+00', '', NULL, 'D', 'organization_id=>o1,user_id=>ada,role=>owner', NULL),
		(5, 'other', 'app', now(), '', NULL, 'D', '', NULL);
	CREATE TYPE audit.operation AS ENUM ('INSERT', 'UPDATE', 'DELETE');
	CREATE TABLE audit.record_version (id bigint, op audit.operation, ts timestamptz, table_name name, record jsonb, old_record jsonb);
	INSERT INTO audit.record_version VALUES
		(1, 'INSERT', '2026-01-01 10:00+00', 'memberships', '{"organization_id": "o2", "user_id": "ada", "role": "member"}', NULL),
		(2, 'UPDATE', '2026-01-01 10:01+00', 'memberships', '{"organization_id": "o2", "user_id": "ada", "role": "owner"}', '{"organization_id": "o2", "user_id": "ada", "role": "member"}');
	CREATE SCHEMA carbonite_default;
	CREATE TABLE carbonite_default.transactions (id bigint, meta jsonb, inserted_at timestamptz);
	CREATE TYPE carbonite_default.change_op AS ENUM ('insert', 'update', 'delete', 'truncate');
	CREATE TABLE carbonite_default.changes (id bigint, transaction_id bigint, op carbonite_default.change_op, table_name text,
		data jsonb, changed text[], changed_from jsonb);
	INSERT INTO carbonite_default.transactions VALUES (7, '{"user_id": "bob", "type": "promoted"}', '2026-01-01 10:00+00');
	INSERT INTO carbonite_default.changes VALUES
		(1, 7, 'update', 'memberships', '{"organization_id": "o3", "user_id": "ada", "role": "owner"}', '{role}', '{"role": "member"}');
	CREATE TABLE projects (id bigint, organization_id text);
	CREATE TABLE versions (id bigint, item_type text, item_id bigint, event text, whodunnit text, object_changes jsonb, created_at timestamptz);
	INSERT INTO projects VALUES (5, 'o4');
	INSERT INTO versions VALUES (1, 'Project', 5, 'update', 'u9', '{"name": ["Old", "New \\"one\\" \\\\ two"]}', '2026-01-01 10:00+00');
	CREATE TABLE retraced (event jsonb);
	INSERT INTO retraced VALUES ('{"id": "r1", "action": "user.login", "group": {"id": "o5"}, "actor": {"id": "u1", "name": "Ada"}, "target": {"id": "t1", "name": "Site", "type": "site"}, "canonical_time": 1767261600123, "source_ip": "192.0.2.7", "fields": {"method": "sso"}}');
	CREATE TABLE workos (event jsonb);
	INSERT INTO workos VALUES ('{"id": "w1", "organization_id": "o6", "action": "user.signed_in", "occurred_at": "2026-01-01T10:00:00.5Z", "actor": {"id": "u1", "type": "user", "name": "Ada"}, "targets": [{"id": "team_1", "type": "team"}, {"id": "x", "type": "y"}], "context": {"location": "192.0.2.7", "user_agent": "curl"}, "metadata": {"method": "password"}}');
});
$node->safe_psql('postgres', delete $block{first});

$ENV{$_->[0]} = $_->[1] foreach [ PGHOST => $node->host ], [ PGPORT => $node->port ], [ PGDATABASE => 'postgres' ];
my $file = "${PostgreSQL::Test::Utils::tmp_check}/past.sql";

# The feed, after the block has gone through the script.
sub imported
{
	my ($name, $organization) = @_;
	open my $out, '>', $file or die "$file: $!";
	print $out $block{$name} // die "no block $name";
	close $out;
	my $said = `bash -c 'set -o pipefail; psql -XAt -v ON_ERROR_STOP=1 -f $file | scripts/import-events' 2>&1`;
	is($?, 0, "$name is imported") or diag($said);
	delete $block{$name};
	return $node->safe_psql('postgres', "SELECT occurred_at AT TIME ZONE 'UTC', event_type, coalesce(actor_kind, '-'), actor_id, subject_kind, subject_id, description,
		metadata, context - 'database_role' FROM activity.feed('$organization', after => NULL) ORDER BY occurred_at");
}

my $o1 = imported('audit trigger', 'o1');
is($o1, join("\n",
	'2026-01-01 10:00:00|membership.joined|database_role|app|membership|ada|Member joined as member||{"ip": "192.0.2.1", "application": "rails"}',
	'2026-01-01 10:01:00|membership.role_changed|database_role|app|membership|ada|Member role changed to owner|{"previous_role": "member"}|{"ip": "192.0.2.1", "application": "rails"}',
	'2026-01-01 10:03:00|membership.removed|database_role|app|membership|ada|Member was removed||{"application": ""}') =~ s/\|membership\|ada/|member|ada/gr,
	'with who, what and when');
like(imported('supa_audit', 'o2'), qr/joined.*\n.*role_changed.*previous_role": "member"/, 'supa_audit: two versions');
like(imported('Carbonite', 'o3'), qr/^2026-01-01 10:00:00\|membership\.role_changed\|user\|bob\|.*owner.*"type": "promoted"/, 'Carbonite: its transaction says who');
like(imported('paper_trail', 'o4'), qr/project\.renamed\|user\|u9\|project\|5\|Project renamed to New "one" \\ two\|.*"Old"/, 'paper_trail: nothing is lost of a text');
like(imported('Retraced', 'o5'), qr/^2026-01-01 10:00:00\.123\|auth\.signin\|user\|u1\|site\|t1\|Signed in with sso/, 'Retraced: to the millisecond');
like(imported('WorkOS', 'o6'), qr/^2026-01-01 10:00:00\.5\|auth\.signin\|user\|u1\|team\|team_1\|Signed in with password\|.*"targets"/, 'WorkOS: one subject, the others are kept');
is_deeply([ keys %block ], [], 'no block of the page is left out');

# Again, and with what can't be.
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM activity.events');
$node->safe_psql('postgres', "COPY (SELECT l FROM (VALUES ('{\"organization\": \"o1\"}'), ('no json'), ('{\"organization\": \"o7\", \"type\": \"auth.signin\", \"occurredAt\": \"2026-02-01\", \"key\": \"k\"}')) v (l)) TO '$file'");
my $said = `scripts/import-events <$file 2>&1`;
isnt($?, 0, 'what is refused is an error');
like($said, qr/^line 1: there is no occurredAt\nline 2: invalid input syntax.*\n(?:.*\n)?3 lines, 2 refused/m, 'that says which lines');
`scripts/import-events <$file 2>&1` for 1 .. 2;
is($node->safe_psql('postgres', 'SELECT count(*) FROM activity.events') - $count, 1, 'the others are there, once');
is($node->safe_psql('postgres', "SELECT count(*) FROM activity.feed('o7') WHERE activity.event_time(id) = occurred_at"), 1, 'with the time in the id');
done_testing();
