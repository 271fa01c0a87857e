-- Rights open what they say and nothing else; nothing is granted to PUBLIC; a
-- hostile role that may write to the application's tables gains nothing.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(32);

CREATE ROLE regress_nobody;
CREATE ROLE regress_reader;
CREATE ROLE regress_recorder;
CREATE ROLE regress_administrator;
SELECT lives_ok($$SELECT activity.allow('regress_reader', 'read')$$);
SELECT lives_ok($$SELECT activity.allow('regress_recorder', 'record')$$);
SELECT lives_ok($$SELECT activity.allow('regress_administrator', 'administer')$$);
SELECT throws_ok($$SELECT activity.allow('regress_reader', 'everything')$$, '22023', NULL,
	'an unknown right is refused');
SELECT lives_ok($$SELECT activity.set_tier('acme', 'premium')$$);
SELECT lives_ok($$SELECT activity.record('acme', 'auth.signin', '{"id": "secret"}')$$);

-- A role may do these, as the function tells.
CREATE FUNCTION may(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE pg_catalog.format('SET LOCAL ROLE %I', role);
	EXECUTE statement;
	RESET ROLE;
	RETURN 'yes';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;

SELECT is(may('regress_nobody', $$SELECT activity.record('acme', 'auth.signin')$$), '42501');
SELECT is(may('regress_nobody', $$SELECT activity.feed('acme')$$), '42501');
SELECT is(may('regress_reader', $$SELECT activity.feed('acme')$$), 'yes');
SELECT is(may('regress_reader', $$SELECT activity.feed_page('acme')$$), 'yes');
SELECT is(may('regress_reader', $$SELECT activity.record('acme', 'auth.signin')$$), '42501');
SELECT is(may('regress_reader', $$SELECT * FROM activity.events$$), '42501',
	'a reader asks for one organization at a time');
SELECT is(may('regress_recorder', $$SELECT activity.record('acme', 'auth.signin')$$), 'yes');
SELECT is(may('regress_recorder', $$SELECT activity.record('acme', ('auth.' || 'signin')::text)$$), 'yes',
	'the cast from text comes with the right');
SELECT is(may('regress_recorder', $$SELECT 1 WHERE 'auth.signin'::activity.event_type = 'auth.signup'$$), 'yes',
	'and so do the operators');
SELECT is(may('regress_recorder', $$SELECT activity.set_actor('user_1')$$), 'yes');
SELECT is(may('regress_recorder', $$SELECT activity.feed('acme')$$), '42501');
SELECT is(may('regress_recorder', $$SELECT activity.set_tier('acme', 'free')$$), '42501');
SELECT is(may('regress_recorder', $$UPDATE activity.features SET tier = 'free'$$), '42501');
SELECT is(may('regress_administrator', $$SELECT activity.set_tier('acme', 'premium')$$), 'yes');
SELECT is(may('regress_administrator', $$UPDATE activity.features SET tier = 'premium' WHERE feature = 'stream'$$), 'yes');
SELECT is(may('regress_administrator', $$SELECT * FROM activity.events$$), 'yes');
SELECT is(may('regress_administrator', $$SELECT * FROM _activity.event$$), '42501',
	'the private tables are nobody''s');
SELECT is(may('regress_administrator', $$DELETE FROM _activity.event$$), '42501');
SELECT is(may('regress_administrator', $$SELECT activity.allow('regress_nobody', 'record')$$), 'yes');

-- Settings.
SELECT is(may('regress_recorder', $$SET activity.capture = off$$), '42501',
	'recording can not be turned off by who writes');
SELECT is(may('regress_recorder', $$SET activity.default_tier = enterprise$$), '42501');

-- Nothing is PUBLIC's.
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc p,
		aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	WHERE p.pronamespace IN ('activity'::regnamespace, '_activity'::regnamespace) AND a.grantee = 0
	$$, 'no function is granted to PUBLIC');
SELECT is_empty($$
	SELECT c.oid::regclass FROM pg_class c,
		aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
	WHERE c.relnamespace IN ('activity'::regnamespace, '_activity'::regnamespace) AND a.grantee = 0
	$$, 'no relation is granted to PUBLIC');

-- A search_path full of look-alikes changes nothing, for those who see it and
-- for definers.
CREATE SCHEMA regress_hostile AUTHORIZATION regress_recorder;
SET LOCAL ROLE regress_recorder;
CREATE TABLE regress_hostile.stolen (what text);
CREATE FUNCTION regress_hostile.steal() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> 'regress_recorder' THEN
		RAISE EXCEPTION 'ran as %', current_user USING ERRCODE = 'XX001';
	END IF;
	RETURN true;
END
$$;
CREATE FUNCTION regress_hostile.same(text, text) RETURNS boolean LANGUAGE sql
	AS 'SELECT regress_hostile.steal()';
CREATE OPERATOR regress_hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_hostile.same);
CREATE FUNCTION regress_hostile.format(text, anyelement) RETURNS text LANGUAGE sql
	AS 'SELECT regress_hostile.steal()::text';
CREATE FUNCTION regress_hostile.format(text, anyelement, anyelement) RETURNS text LANGUAGE sql
	AS 'SELECT regress_hostile.steal()::text';
RESET ROLE;
SET LOCAL search_path = regress_hostile, pg_catalog, public;
SELECT public.may('regress_administrator', $$SELECT activity.allow('regress_nobody', 'record')$$) AS allow,
	public.may('regress_administrator', $$UPDATE activity.features SET tier = 'premium' WHERE feature = 'stream'$$) AS feature,
	public.may('regress_recorder', $$SELECT activity.record('acme', 'auth.signin', '{"id": "x"}')$$) AS record \gset
RESET search_path;
SELECT is(:'allow'::text, 'yes', 'allow() under a hostile search_path');
SELECT is(:'feature'::text, 'yes', 'changing a feature, too');
SELECT is(:'record'::text, 'yes', 'and recording');

SELECT * FROM finish();
ROLLBACK;
