# A dump keeps everything: events in made months and in the default partition,
# definitions, tiers, features, retention, rights; plain and custom, into a fresh
# cluster, in one transaction without an error; and recording goes on there. As a
# superuser, and as an ordinary role that owns the database and the extension.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init;
$source->start;
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
# Another cluster has seen fewer transactions, or more; ours must not care.
$target->append_conf('postgresql.conf', "activity.partitions_ahead = 3\n");
$target->start;

my $superuser = $source->safe_psql('postgres', 'SELECT current_user');
foreach my $node ($source, $target)
{
	$node->safe_psql('postgres', q{
		CREATE ROLE owner LOGIN;
		CREATE ROLE reader LOGIN;
		CREATE ROLE recorder LOGIN;
	});
}

# Runs as a role; dies of errors.
sub run_as
{
	my ($node, $database, $role, $sql) = @_;
	return $node->safe_psql($database, $sql, extra_params => [ '-U', $role ]);
}

my $fill = q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.record('before', 'auth.signin'); -- in the default partition
	SELECT activity.set_tier('north', 'premium');
	SELECT activity.set_tier('south', 'enterprise');
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}[ after {minutes} min]',
		ARRAY['dish'], 'Kitchen', 'dish', 'Something burnt');
	UPDATE activity.features SET tier = 'free' WHERE feature = 'feed';
	SELECT activity.set_retention('north', '5 years');
	SELECT activity.set_retention('south', NULL);
	SELECT activity.set_retention(tier => 'free', keep => '90 days');
	SELECT activity.allow('reader', 'read'), activity.allow('recorder', 'record');
	SELECT activity.maintain(since => now() - interval '3 months');
	SELECT activity.set_actor('u1', name => E'Zo\u00eb "the cook"');
	SELECT activity.record(o, 'kitchen.burnt', '{"id": "d1", "dish": "soup"}', '{"minutes": 1.50}',
		occurred_at => now() - m * interval '1 month')
	FROM unnest('{north,south,"odd ''id"}'::text[]) o, generate_series(0, 30) m;
	SELECT activity.record('far', 'credit.charge', '{"amount": 1}', occurred_at => '2300-01-01');
	CREATE TABLE public.application (happened activity.event_type);
	INSERT INTO public.application VALUES ('kitchen.burnt'), ('credit.charge');
	CREATE TABLE public.memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
	SELECT activity.track('public.memberships', 'membership');
	INSERT INTO public.memberships VALUES (1, 'north', 'u1', 'member', 'active');
};

# What must be the same afterwards, by what asks for it.
my %fact = (
	events => q{SELECT tableoid::regclass, e.* FROM _activity.event e ORDER BY organization, id},
	organizations => q{SELECT key, id FROM _activity.organization ORDER BY 1, 2},
	types => q{SELECT * FROM activity.event_types ORDER BY key},
	application => q{SELECT happened FROM application ORDER BY happened::text},
	retention => q{SELECT organization, tier, keep, set_for FROM activity.retention ORDER BY 1, 2},
	features => q{SELECT * FROM activity.features ORDER BY 1},
	partitions => q{SELECT c.relname, c.relowner::regrole, pg_get_expr(c.relpartbound, c.oid),
		c.reloptions FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
		WHERE inhparent = '_activity.event'::regclass ORDER BY 1},
	indexes => q{SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index
		WHERE indrelid::regclass::text ~ '^_activity.event' ORDER BY 1},
	triggers => q{SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid)
		FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ '^_activity'
		ORDER BY tgrelid::regclass::text, tgname},
	owners => q{SELECT oid::regclass, relowner::regrole FROM pg_class
		WHERE relnamespace::regnamespace::text ~ 'activity' AND relkind IN ('r', 'p', 'S', 'v')
		ORDER BY oid::regclass::text},
	rights => q{SELECT r, 'function', p.oid::regprocedure::text, has_function_privilege(r, p.oid, 'EXECUTE')
			FROM pg_proc p, unnest('{owner,reader,recorder}'::name[]) r
			WHERE p.pronamespace::regnamespace::text ~ 'activity'
		UNION ALL SELECT r, 'schema', n.nspname, has_schema_privilege(r, n.oid, 'USAGE')
			FROM pg_namespace n, unnest('{owner,reader,recorder}'::name[]) r WHERE nspname ~ 'activity'
		UNION ALL SELECT r, 'type', t.oid::regtype::text, has_type_privilege(r, t.oid, 'USAGE')
			FROM pg_type t, unnest('{owner,reader,recorder}'::name[]) r
			WHERE t.typnamespace = 'activity'::regnamespace
		UNION ALL SELECT r, p, c.oid::regclass::text, has_table_privilege(r, c.oid, p)
			FROM pg_class c, unnest('{owner,reader,recorder}'::name[]) r, unnest('{SELECT,UPDATE}'::text[]) p
			WHERE c.relnamespace::regnamespace::text ~ 'activity' AND c.relkind IN ('r', 'p', 'v', 'S')
		ORDER BY 1, 2, 3},
	tracked => q{SELECT * FROM activity.tracked ORDER BY 1},
	members => q{SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'activity') ORDER BY 1},
);

sub check_restored
{
	my ($database, $from, $role, $name) = @_;

	foreach my $fact (sort keys %fact)
	{
		is(run_as($target, $database, $role, $fact{$fact}),
			run_as($source, $from, $role, $fact{$fact}), "$name: $fact");
	}

	# Recording goes on: keys and codes are new ones, numbers are later ones.
	is(run_as($target, $database, $role, q{
		SELECT activity.define_event_type('kitchen.served', 'Served {dish}');
		SELECT activity.record('new', 'kitchen.served', '{"dish": "soup"}') IS NOT NULL;
		SELECT activity.set_tier('north', 'enterprise');
		SELECT activity.organization_tier('north');
		SELECT count(*) FROM _activity.organization GROUP BY key HAVING count(DISTINCT id) > 1;
		SELECT description FROM _activity.event WHERE organization =
			(SELECT key FROM _activity.organization WHERE id = 'new');
		SELECT count(*) FROM activity.maintain() WHERE action = 'move';
	}), "kitchen.served\nt\n\nenterprise\nServed soup\n9", "$name: recording goes on");
	is(run_as($target, $database, $role, q{
		UPDATE public.memberships SET role = 'admin';
		SELECT count(*) FROM activity.events WHERE subject ->> 'user_id' = 'u1' OR subject ->> 'id' IN ('1', 'u1')}),
		2, "$name: a tracked table goes on, and restoring it recorded nothing");
	is(run_as($target, $database, 'recorder', q{SELECT activity.record('north', 'auth.signin') IS NOT NULL}),
		't', "$name: also by a role that was allowed to");
	my ($result, $out, $err) = $target->psql($database,
		q{\set VERBOSITY sqlstate
		DELETE FROM _activity.event WHERE false}, extra_params => [ '-U', $role ]);
	like($err, qr/AC005/, "$name: events are append-only");
	($result, $out, $err) = $target->psql($database,
		q{\set VERBOSITY sqlstate
		DROP EXTENSION activity}, extra_params => [ '-U', $role ]);
	like($err, qr/2BP01/, "$name: DROP EXTENSION refuses");
	is(run_as($target, $database, $role, q{SET client_min_messages = error;
		DROP EXTENSION activity CASCADE;
		SELECT count(*) FROM pg_class WHERE relname ~ '^event_'}), '0',
		"$name: nothing is left after CASCADE");
}

sub new_database
{
	my ($node, $name, $role) = @_;
	$node->safe_psql('postgres', qq{CREATE DATABASE $name OWNER "$role"});
	# From 15 on it is the database's owner who may create in public.
	return $name;
}

my $folder = PostgreSQL::Test::Utils::tempdir();
foreach my $role ($superuser, 'owner')
{
	my $who = $role eq $superuser ? 'superuser' : 'owner';
	my $from = new_database($source, "from_$who", $role);
	run_as($source, $from, $role, $fill);
	is(run_as($source, $from, $role, q{SELECT (count(*) FILTER (WHERE tableoid = '_activity.event_default'::regclass) > 0)
		AND count(DISTINCT tableoid) > 3 FROM _activity.event}), 't', 'there is something to dump');

	my @plain = ('pg_dump', '-U', $role, '-d', $source->connstr($from), '-f', "$folder/$who.sql");
	my @custom = ('pg_dump', '-U', $role, '-Fc', '-d', $source->connstr($from), '-f', "$folder/$who.dump");
	command_ok(\@plain, "$who dumps");
	command_ok(\@custom, "$who dumps in custom format");

	my $to = new_database($target, "plain_$who", $role);
	command_ok([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-U', $role,
		'-d', $target->connstr($to), '-f', "$folder/$who.sql" ], "$who restores with psql");
	my @again = ('pg_dump', '-U', $role, '-Fc', '-d', $target->connstr($to), '-f', "$folder/$who.again");
	command_ok(\@again, "$who dumps what was restored");
	check_restored($to, $from, $role, "$who, plain");

	$to = new_database($target, "again_$who", $role);
	command_ok([ 'pg_restore', '-1', '--exit-on-error', '-U', $role,
		'-d', $target->connstr($to), "$folder/$who.again" ], "$who restores that");
	check_restored($to, $from, $role, "$who, second generation");

	$to = new_database($target, "custom_$who", $role);
	command_ok([ 'pg_restore', '-1', '--exit-on-error', '-U', $role,
		'-d', $target->connstr($to), "$folder/$who.dump" ], "$who restores with pg_restore");
	check_restored($to, $from, $role, "$who, custom");

	$to = new_database($target, "jobs_$who", $role);
	command_ok([ 'pg_restore', '-j', '2', '--exit-on-error', '-U', $role,
		'-d', $target->connstr($to), "$folder/$who.dump" ], "$who restores in parallel");
	check_restored($to, $from, $role, "$who, parallel");
}

# A superuser's database moves to one where nobody is: everything becomes the
# restoring role's.
my $to = new_database($target, 'moved', 'owner');
command_ok([ 'pg_restore', '-1', '--exit-on-error', '--no-owner', '--no-acl', '-U', 'owner',
	'-d', $target->connstr($to), "$folder/superuser.dump" ], 'an owner restores what was a superuser\'s');
is(run_as($target, $to, 'owner', $fact{events}), run_as($source, 'from_superuser', $superuser, $fact{events}),
	'with every event');
is(run_as($target, $to, 'owner', q{SELECT count(*) FROM activity.maintain() WHERE action = 'skip'}), '0',
	'and keeps it');

# What restores over itself: --clean drops indexes and months first, which the
# guard refuses; so the extension must be dropped with CASCADE before.
command_fails_like([ 'pg_restore', '-1', '--clean', '--if-exists', '--exit-on-error', '-U', 'owner',
	'-d', $target->connstr($to), "$folder/owner.dump" ], qr/belongs to extension/, '--clean does not destroy events');
command_ok([ 'psql', '-X', '-q', '-U', 'owner', '-d', $target->connstr($to), '-c',
	'SET client_min_messages = error; DROP EXTENSION activity CASCADE; DROP TABLE application, memberships' ], 'after DROP EXTENSION CASCADE');
command_ok([ 'pg_restore', '-1', '--exit-on-error', '-U', 'owner',
	'-d', $target->connstr($to), "$folder/owner.dump" ], 'the same database takes the dump');

# The whole cluster. A superuser who restores owns what CREATE EXTENSION makes,
# but not the months: the dump gives those to whoever owned them. All works, except
# that rows of others' tables are not deleted on a superuser's behalf.
my $whole = PostgreSQL::Test::Cluster->new('whole');
$whole->init;
$whole->start;
$source->safe_psql('postgres', 'DROP DATABASE from_superuser');
command_ok([ 'pg_dumpall', '-d', $source->connstr('postgres'), '-f', "$folder/all.sql" ], 'pg_dumpall');
my ($out, $err) = run_command([ 'psql', '-X', '-q', '-d', $whole->connstr('postgres'), '-f', "$folder/all.sql" ]);
is(join("\n", grep { /ERROR/ && !/role "\Q$superuser\E" already exists/ } split /\n/, $err), '',
	'restores without an error');
is(run_as($whole, 'from_owner', $superuser, $fact{events}), run_as($source, 'from_owner', $superuser, $fact{events}),
	'with every event');
is($whole->safe_psql('from_owner', q{
	ALTER EVENT TRIGGER activity_guard_ddl DISABLE;
	CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN RAISE ''trapped''; END';
	DO $$ BEGIN EXECUTE format('CREATE TRIGGER trap BEFORE DELETE ON %s EXECUTE FUNCTION trap()',
		to_char(now() AT TIME ZONE 'UTC' - interval '2 months', '"_activity.event_"YYYY"_"MM')); END $$;
	SELECT activity.set_retention('north', '1 day');
	SELECT bool_or(action = 'skip' AND object ~ 'belongs to another role') FROM activity.maintain()}),
	"\nt", 'maintain() does not act as a superuser on what another role owns');
run_as($whole, 'from_owner', $superuser, q{DO $$ DECLARE t regclass; BEGIN
	DROP FUNCTION trap() CASCADE;
	FOR t IN SELECT inhrelid FROM pg_inherits WHERE inhparent = '_activity.event'::regclass
	LOOP EXECUTE format('ALTER TABLE %s OWNER TO CURRENT_USER', t); END LOOP; END $$;
	ALTER EVENT TRIGGER activity_guard_ddl ENABLE ALWAYS});
is(run_as($whole, 'from_owner', $superuser, q{
	SELECT count(*) FILTER (WHERE action = 'skip'), count(*) FILTER (WHERE action = 'delete') > 0
	FROM activity.maintain()}), '0|t', 'and does when the owner is the same');

$_->stop foreach $source, $target, $whole;
done_testing();
