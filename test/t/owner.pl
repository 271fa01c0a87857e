# An ordinary role installs the extension in its own database and owns it: all of
# it works for that role, and none of it lends that role a superuser's rights, nor
# one role another's.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{
	CREATE ROLE owner LOGIN;
	CREATE ROLE admin LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE nobody LOGIN;
	CREATE DATABASE app OWNER owner;
});

sub run_as
{
	my ($role, $sql) = @_;
	return $node->safe_psql('app', $sql, extra_params => [ '-U', $role ]);
}

sub fails_as
{
	my ($role, $sql, $state, $name) = @_;
	my ($result, $out, $err) = $node->psql('app', "\\set VERBOSITY sqlstate\n$sql",
		extra_params => [ '-U', $role ]);
	return like($err, qr/ERROR:  $state/, $name);
}

# The script runs as a superuser, and finds nothing in the schema of pgcrypto.
run_as('owner', q{
	CREATE SCHEMA bait;
	CREATE SEQUENCE bait.bitten;
	CREATE FUNCTION bait.eq(oid, regnamespace) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM nextval('bait.bitten');
		RETURN pg_catalog.oideq($1, $2::pg_catalog.oid);
	END $$;
	CREATE OPERATOR bait.= (LEFTARG = oid, RIGHTARG = regnamespace, FUNCTION = bait.eq);
	CREATE EXTENSION pgcrypto SCHEMA bait;
	CREATE EXTENSION activity;
	DROP EXTENSION activity;
	DROP EXTENSION pgcrypto});
is(run_as('owner', 'SELECT is_called FROM bait.bitten'), 'f', 'the install script runs no code of its owner');
run_as('owner', 'DROP SCHEMA bait CASCADE');

is(run_as('owner', q{
	CREATE EXTENSION activity CASCADE;
	SELECT activity.allow('admin', 'administer'), activity.allow('app', 'record');
	SELECT activity.set_tier('org', 'enterprise');
	SELECT activity.record('org', 'auth.signin', '{"id": "u1"}') IS NOT NULL;
	SELECT count(*) FROM activity.feed('org');
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt');
	SELECT activity.set_retention('org', '1 year');
	SELECT count(*) FROM activity.maintain();
	CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
	GRANT ALL ON memberships TO app;
	SELECT count(*) > 0 FROM activity.track('memberships', 'membership');
}), "|\n\nt\n1\nkitchen.burnt\n\n0\nt", 'the owner may do everything');
is(run_as('admin', q{
	SELECT activity.set_tier('org', 'premium');
	SELECT count(*) FROM activity.maintain(since => now() - interval '2 months') WHERE action = 'make';
	SELECT activity.set_retention('org', '2 years');
	SELECT activity.set_retention(tier => 'free', keep => '2 years');
	SELECT count(*) FROM activity.retention;
	SELECT activity.unset_retention('org')}), "\n2\n\n\n2\n", 'so may an administrator, without a right on a table');
is(run_as('app', q{
	INSERT INTO memberships VALUES (1, 'org', 'u1', 'member', 'active');
	SELECT activity.record('org', 'auth.signin') IS NOT NULL}), 't', 'an application records');

# Who may not.
fails_as('app', $_, '42501', "an application may not: $_") foreach (
	'SELECT * FROM activity.maintain()',
	q{SELECT activity.set_retention('org', '1 day')},
	q{SELECT activity.set_retention(tier => 'free', keep => '1 day')},
	q{SELECT activity.unset_retention('org')},
	'SELECT * FROM activity.retention',
	'SELECT * FROM _activity.event',
	'SELECT _activity.ensure_partitions()');
fails_as('nobody', $_, '42501', "nobody may: $_") foreach (
	q{SELECT activity.record('org', 'auth.signin')},
	'SELECT * FROM activity.maintain()', 'DROP EXTENSION activity', 'DROP EXTENSION activity CASCADE');
fails_as('admin', $_, '42501', "an administrator may not: $_") foreach (
	'SELECT * FROM _activity.event', 'DELETE FROM _activity.event', 'DROP EXTENSION activity CASCADE');

# What the owner plants on the tables is refused, and runs for nobody if it got there.
run_as('owner', q{
	CREATE SEQUENCE sprung;
	GRANT ALL ON sprung TO PUBLIC;
	CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM nextval('public.sprung');
		RETURN COALESCE(NEW, OLD);
	END $$;
	CREATE FUNCTION note() RETURNS void LANGUAGE sql AS $$
		SELECT CASE WHEN current_user <> 'owner' THEN nextval('public.sprung') END $$;
	CREATE FUNCTION trapped(value text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.note();
		RETURN value;
	END $$;
	SELECT activity.record('old', 'auth.signin', occurred_at => '1990-01-01');
	SELECT activity.set_retention('old', '1 year');
});
my $plant = q{
	DO $$ DECLARE t regclass; BEGIN
		FOR t IN SELECT oid FROM pg_class WHERE relnamespace = '_activity'::regnamespace AND relkind = 'r'
		LOOP
			EXECUTE format('CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION public.trap()', t);
			EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER trap', t);
		END LOOP;
	END $$};
my @index = (
	q{CREATE INDEX evil ON _activity.organization ((public.trapped('a constant')))},
	q{CREATE INDEX more_evil ON _activity.event_default ((public.trapped('a constant')))});
sub sprung { return run_as($superuser, 'SELECT is_called FROM sprung') }

fails_as('owner', $_, '55000', "the owner can't: " . s/\s+/ /gr) foreach ($plant, @index);
run_as($superuser, 'ALTER EVENT TRIGGER activity_guard_ddl DISABLE');
run_as('owner', $plant);
foreach my $role ($superuser, 'admin')
{
	fails_as($role, $_, '55000', "a planted trigger stops $role: $_") foreach (
		q{SELECT activity.set_retention('org', '3 years')},
		q{SELECT activity.set_retention(tier => 'premium', keep => '3 years')},
		q{SELECT activity.unset_retention('org')},
		q{SELECT activity.define_event_type('kitchen.served', 'Served')},
		q{UPDATE activity.features SET tier = 'free' WHERE feature = 'feed'},
		q{SELECT * FROM activity.create_webhook('org', 'https://hooks.example.com/in')},
		q{SELECT * FROM activity.maintain()});
	run_as($role, q{
		SELECT activity.set_tier('org', 'enterprise');
		SELECT activity.record('new to ' || current_user, 'auth.signin', occurred_at => now() - interval '6 months');
		SELECT activity.publish()});
	is(sprung(), 'f', "and runs for nothing that $role does");
}
run_as('owner', q{
	DO $$ DECLARE t regclass; BEGIN
		FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'trap' LOOP
			EXECUTE format('DROP TRIGGER trap ON %s', t);
		END LOOP;
	END $$});

# A constant in an index is computed when a session first sees the index, even
# if only to refuse it.
run_as('owner', $_) foreach @index;
fails_as($superuser, $_, '55000', "a planted index stops: $_") foreach (
	q{SELECT activity.record('newest', 'auth.signin')},
	q{SELECT activity.record('org', 'auth.signin', occurred_at => '1991-01-01')},
	q{SELECT * FROM activity.maintain()});
is(sprung(), 'f', 'and is not computed');
run_as('owner', 'DROP INDEX _activity.evil, _activity.more_evil');
run_as($superuser, 'ALTER EVENT TRIGGER activity_guard_ddl ENABLE ALWAYS');
is(run_as('admin', q{
	SELECT activity.define_event_type('kitchen.served', 'Served');
	SELECT activity.set_retention('org', '3 years');
	SELECT action, object, rows FROM activity.maintain() WHERE action = 'delete'}),
	"kitchen.served\n\ndelete|_activity.event_default|1", 'without them all is well again');
is(run_as($superuser, q{SELECT proowner::regrole FROM pg_proc WHERE proname = 'guard_drop'}), $superuser,
	'the event trigger stays a superuser\'s');
fails_as('owner', $_, '42501', "the owner may not: $_") foreach (
	'CREATE OR REPLACE FUNCTION _activity.guard_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$',
	'ALTER EVENT TRIGGER activity_guard_drop DISABLE',
	'ALTER EVENT TRIGGER activity_guard_ddl DISABLE',
	'ALTER SCHEMA _activity RENAME TO elsewhere',
	'ALTER FUNCTION activity.set_retention(text, interval) SECURITY INVOKER',
	'ALTER FUNCTION activity.feed_count(text, text[], text, text, timestamptz, timestamptz, text, text, text) CALLED ON NULL INPUT');

# Settings and a search_path of the caller's reach into nothing.
is(run_as('admin', q{
	CREATE TEMPORARY TABLE event (x int);
	CREATE TEMPORARY TABLE pg_class (x int);
	SET search_path = pg_temp, _activity, public;
	SET default_tablespace = 'pg_global';
	SET TimeZone = 'America/St_Johns';
	SET DateStyle = 'German';
	SELECT count(*) FROM activity.maintain(since =>
		(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '4 months' + interval '15 days') AT TIME ZONE 'UTC') WHERE action = 'make';
	SHOW search_path; SHOW lock_timeout; SHOW default_tablespace; SELECT current_user}),
	"2\npg_temp, _activity, public\n0\npg_global\nadmin", 'maintain() works under any settings and leaves them');
is(run_as('owner', q{SELECT count(*) FROM pg_class c JOIN pg_inherits ON c.oid = inhrelid
	WHERE inhparent = '_activity.event'::regclass AND (relowner <> 'owner'::regrole OR reltablespace <> 0)}),
	0, 'all months are the owner\'s');

fails_as('owner', 'DROP EXTENSION activity', '2BP01', 'the owner may not drop events unawares');
fails_as('owner', 'DROP OWNED BY owner', '2BP01', 'nor so');
run_as('owner', 'SET client_min_messages = error; DROP EXTENSION activity CASCADE');
is(run_as('owner', q{SELECT count(*) FROM pg_class WHERE relname ~ '^event_' OR relnamespace::regnamespace::text ~ 'activity'}),
	0, 'but with CASCADE');
$node->stop;
done_testing();
