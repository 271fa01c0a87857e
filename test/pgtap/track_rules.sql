-- track() finds out or says what is wrong, and rules do what they say.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(66);
SET LOCAL client_min_messages = error;

CREATE TABLE seen (id uuid);
CREATE FUNCTION said() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	SELECT array_agg(e.event_type::text || ': ' || e.description ORDER BY e.id) INTO result
	FROM activity.events e WHERE e.id NOT IN (SELECT id FROM seen);
	INSERT INTO seen SELECT e.id FROM activity.events e WHERE e.id NOT IN (SELECT id FROM seen);
	RETURN coalesce(result, '{}');
END
$$;
CREATE FUNCTION track(tracked regclass, category text, columns jsonb DEFAULT NULL,
	rules jsonb DEFAULT NULL, on_unknown text DEFAULT 'warn') RETURNS void LANGUAGE sql AS $$
	SELECT activity.track(tracked, category, columns, rules, on_unknown)
$$;
-- The error of a statement, with its detail or hint.
CREATE FUNCTION fails(command text, what text DEFAULT 'message') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	EXECUTE command;
	RETURN 'it worked';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN CASE what WHEN 'detail' THEN detail WHEN 'hint' THEN hint ELSE message END;
END
$$;

-- What can't be tracked.
CREATE TABLE a (group_no int, person text, level text);
SELECT throws_ok($$SELECT activity.track('a', 'membership')$$, 'AC007', NULL, 'no columns that it knows');
SELECT is(fails($$SELECT activity.track('a', 'membership')$$),
	'cannot track table "a" as "membership": no column says the member', 'says which is missing');
SELECT is(fails($$SELECT activity.track('a', 'membership')$$, 'detail'),
	'Looked for user_id, member_id, profile_id, person_id, user, member. The table''s columns are group_no, person, level.',
	'lists what it looked for and what there is');
SELECT is(fails($$SELECT activity.track('a', 'membership', '{"member": "person"}')$$, 'hint'),
	'Name it: SELECT * FROM activity.track(''public.a'', ''membership'', columns => ''{"organization": "..."}'');',
	'shows the call to make');
SELECT is(fails($$SELECT activity.track('a', 'membership', '{"member": "persona"}')$$),
	'cannot track table "a" as "membership": it has no column "persona" for "member"', 'a column that is not there');
SELECT lives_ok($$SELECT activity.track('a', 'membership', '{"member": "person", "organization": "group_no", "role": "level"}')$$,
	'columns that are named');
INSERT INTO a VALUES (1, 'ann', 'boss');
SELECT is(said(), '{membership.joined: Member joined as boss}');
SELECT lives_ok($$SELECT activity.track('a', 'membership', '{"member": "person", "organization": {"value": "acme"}}')$$,
	'a constant may stand for a column');
INSERT INTO a VALUES (2, 'bob', 'boss');
SELECT is((SELECT organization FROM activity.events ORDER BY id DESC LIMIT 1), 'acme', 'such as the only organization');
DO $$BEGIN PERFORM said(); END$$;
SELECT throws_ok($$SELECT activity.track('a', 'nonsense', '{"organization": "group_no"}')$$, 'AC001', NULL, 'a category that does not exist');
SELECT throws_ok($$SELECT activity.track('a', 'credit_alert', '{"organization": "group_no"}')$$, 'AC007', NULL,
	'a category without a preset and without its columns');
SELECT throws_ok($$SELECT activity.track('a', 'membership', on_unknown => 'ignore')$$, '22023', NULL, 'on_unknown is one of two words');
SELECT throws_ok($$SELECT activity.track(NULL, 'membership')$$, '22004', NULL, 'a table is needed');
CREATE VIEW v AS SELECT 1 AS org_id, 'u' AS user_id;
SELECT throws_ok($$SELECT activity.track('v', 'membership')$$, 'AC007', NULL, 'a view');
CREATE TEMPORARY TABLE tmp (org_id text, user_id text);
SELECT throws_ok($$SELECT activity.track('tmp', 'membership')$$, 'AC007', NULL, 'a temporary table');
SELECT throws_ok($$SELECT activity.track('pg_class', 'membership')$$, 'AC007', NULL, 'a system table');
SELECT throws_ok($$SELECT activity.track('_activity.organization', 'membership')$$, 'AC007', NULL, 'a table of ours');
SELECT throws_ok($$SELECT activity.track(0::oid::regclass, 'membership')$$, '42P01', NULL, 'a table that does not exist');
CREATE TABLE keys (org_id text, name text, key_hash text);
SELECT is(fails($$SELECT activity.track('keys', 'api_key')$$),
	'cannot track table "keys" as "api_key": no column says the prefix', 'a field that the event type requires');
SELECT lives_ok($$SELECT activity.track('keys', 'api_key', '{"prefix": {"value": "key"}}')$$, 'may be constant, too');

-- Who may.
CREATE ROLE activity_test_owner;
CREATE ROLE activity_test_admin;
GRANT CREATE, USAGE ON SCHEMA public TO activity_test_owner;
SET LOCAL ROLE activity_test_owner;
CREATE TABLE own (org_id text, user_id text, status text);
SELECT throws_ok($$SELECT activity.track('own', 'membership')$$, '42501', NULL, 'nobody tracks without the right');
RESET ROLE;
SELECT activity.allow('activity_test_admin', 'administer');
SET LOCAL ROLE activity_test_admin;
SELECT throws_ok($$SELECT activity.track('own', 'membership')$$, '42501', NULL, 'nor a table of somebody else');
RESET ROLE;
SELECT activity.allow('activity_test_owner', 'administer');
SET LOCAL ROLE activity_test_owner;
SELECT lives_ok($$SELECT activity.track('own', 'membership')$$, 'the owner with the right does');
SELECT lives_ok($$SELECT activity.track('own', 'membership', rules => '{"replica": true}')$$, 'and again');
SELECT is((SELECT replica FROM activity.tracked WHERE tracked = 'own'::regclass), true, 'and sees it');
SELECT lives_ok($$ALTER TABLE own RENAME COLUMN user_id TO who$$, 'renames a column');
INSERT INTO own VALUES ('o', 'u', 'active');
SELECT lives_ok($$SELECT activity.untrack('own')$$, 'and untracks it');
RESET ROLE;
SELECT is(said(), '{membership.joined: Member joined}', 'and was recorded meanwhile');

-- Rules.
SELECT activity.define_event_type('seat.taken', 'Seat {number} taken by {who}', '{number}');
SELECT activity.define_event_type('seat.priced', 'Seat {number} costs {price}[ instead of {previous_price}]', '{number}');
SELECT activity.define_event_type('seat.touched', 'Seat touched');
CREATE TABLE seats (id int PRIMARY KEY, org_id text, number int, who text, price numeric, level int, note text, updated_at timestamptz);
SELECT results_eq($$SELECT operation, condition, event_type::text FROM activity.track('seats', 'seat', rules => '{"preset": false, "rules": [
	{"event": "seat.taken", "when": {"who": {"to": "*"}}, "metadata": ["who"]},
	{"event": "seat.priced", "on": "update", "when": {"price": {"changed": true}, "level": [1, 2]},
	 "subject": ["id", "number"], "metadata": {"price": "price", "previous_price": "old.price", "by": {"difference": "price"}, "fixed": {"value": [1, "x"]}}},
	{"event": "seat.touched", "changed": ["note", "number"], "metadata": {"what": {"first": ["note", "who"]}}}]}')$$,
	$$VALUES ('INSERT, UPDATE', 'who becomes not null', 'seat.taken'),
		('UPDATE', 'level is 1 or 2; price changes', 'seat.priced'),
		('UPDATE', 'note or number changes', 'seat.touched')$$, 'rules of one''s own, and track() tells them');
INSERT INTO seats VALUES (1, 'o', 4, NULL, 10, 1);
UPDATE seats SET who = 'ann';
SELECT is(said(), '{seat.taken: Seat 4 taken by ann}', 'to: when it becomes so');
UPDATE seats SET who = 'ann', level = 3;
SELECT is(said(), '{}', 'and not when it was');
UPDATE seats SET price = 11;
SELECT is(said(), '{}', 'a state that is not asked for');
UPDATE seats SET price = 12.5, level = 2;
SELECT is(said(), '{seat.priced: Seat 4 costs 12.5 instead of 11}', 'changed, and is');
SELECT is((SELECT metadata FROM activity.events ORDER BY id DESC LIMIT 1),
	'{"by": 1.5, "fixed": [1, "x"], "price": 12.5, "previous_price": 11}', 'fields of every kind');
UPDATE seats SET note = 'x';
SELECT is((SELECT metadata FROM activity.events ORDER BY id DESC LIMIT 1), '{"what": "x"}', 'the first that is there');
UPDATE seats SET note = NULL, who = 'bob';
SELECT is((SELECT metadata FROM activity.events WHERE event_type = 'seat.touched' ORDER BY id DESC LIMIT 1), '{"what": "bob"}');
UPDATE seats SET number = NULL, who = 'cid';
SELECT is((SELECT subject FROM activity.events WHERE event_type = 'seat.taken' ORDER BY id DESC LIMIT 1),
	'{"id": "1", "number": "none"}', 'a required value that is null does not lose the event');
SELECT is((SELECT reason FROM activity.gaps WHERE tracked = 'public.seats' AND reason ~ 'taken'), '"seat.taken" requires "number", which is null', 'but is noted');
DO $$BEGIN PERFORM said(); PERFORM track('seats', 'seat', rules => '[{"event": "seat.touched", "on": "update", "changed": "*"}]'); END$$;
UPDATE seats SET updated_at = now();
SELECT is(said(), '{}', 'any column does not mean times of change');
UPDATE seats SET level = 9, updated_at = now();
SELECT is(said(), '{seat.touched: Seat touched}', 'any other');

-- Presets extended.
CREATE TABLE m (org_id text, user_id text, role text, status text, team text);
DO $$BEGIN PERFORM track('m', 'membership', rules =>
	'{"states": {"frozen": "inactive", "alumni": "ignored"}, "metadata": ["team"]}', on_unknown => 'error'); END$$;
INSERT INTO m VALUES ('o', 'u', 'a', 'active', 'red');
UPDATE m SET status = 'Frozen';
UPDATE m SET status = 'alumni';
SELECT is(said(), '{membership.joined: Member joined as a,membership.deactivated: Member was deactivated}', 'words with a meaning of one''s own');
SELECT is((SELECT metadata FROM activity.events ORDER BY id DESC LIMIT 1), '{"team": "red", "previous_status": "active"}', 'and fields');
SELECT throws_ok($$UPDATE m SET status = 'odd'$$, 'AC006', NULL, 'an unknown one fails, as asked');
DO $$BEGIN PERFORM track('m', 'membership', rules => '[{"event": "membership.joined", "on": "insert", "subject": {"id": "member"}}]'); END$$;
DELETE FROM m;
INSERT INTO m VALUES ('o', 'u', 'a', 'suspended');
SELECT is(said(), '{membership.removed: Member was removed,membership.joined: Member joined}', 'a rule takes the place of the preset''s for the same event');
SELECT lives_ok($$UPDATE m SET status = 'odd'$$, 'an unknown state warns');
UPDATE m SET status = 'odder';
SELECT is((SELECT gaps FROM activity.tracked WHERE tracked = 'm'::regclass), 2::bigint, 'and is counted');
SELECT is((SELECT array_agg(reason ORDER BY reason) FROM activity.gaps WHERE tracked = 'public.m'),
	'{"\"odd\" is no known status","\"odder\" is no known status"}', 'each by its word');
SAVEPOINT s;
UPDATE m SET status = 'oddest';
ROLLBACK TO s;
SELECT is((SELECT gaps FROM activity.tracked WHERE tracked = 'm'::regclass), 2::bigint, 'not what is rolled back');
DO $$BEGIN PERFORM activity.maintain(); END$$;
SELECT is((SELECT count(*) || ' ' || sum(changes) FROM _activity.gap WHERE tracked = 'public.seats'), '1 1', 'maintain() leaves what is alone');
UPDATE m SET status = 'odd';
UPDATE m SET status = 'odder';
DO $$BEGIN PERFORM activity.maintain(); END$$;
SELECT is((SELECT count(*) || ' ' || sum(changes) FROM _activity.gap WHERE tracked = 'public.m'), '2 4', 'and folds the same ones');
UPDATE m SET org_id = NULL;
SELECT is(said(), '{membership.removed: Member was removed}', 'a row that leaves its organization');
INSERT INTO m VALUES (NULL, 'u', 'a', 'active');
SELECT is(said(), '{}', 'a row without one');

-- What becomes of event types after the table was tracked.
SELECT activity.define_event_type('tool.used', 'Tool used');
CREATE TABLE tools (org_id text, wear int);
DO $$BEGIN PERFORM track('tools', 'tool', rules => '[{"event": "tool.used", "on": "update", "when": {"wear": {"moved": "up"}}}]'); END$$;
INSERT INTO tools VALUES ('o', 1);
UPDATE tools SET wear = 2;
SELECT activity.define_event_type('tool.used', 'Tool used by {who}', '{who}');
SELECT lives_ok('UPDATE tools SET wear = 3', 'an event type that came to require more');
SELECT is(said(), '{tool.used: Tool used,tool.used: Tool used by none}', 'is recorded');
UPDATE pg_trigger SET tgargs = convert_to(replace(convert_from(substr(tgargs, 1, length(tgargs) - 1), 'UTF8'), 'tool.used', 'tool.lost'), 'UTF8') || '\x00'
	WHERE tgrelid = 'tools'::regclass AND tgname = 'activity_tool';
ALTER TABLE tools ADD COLUMN x int;
SELECT lives_ok('UPDATE tools SET wear = 4', 'one that was not restored does not stop writers');
SELECT is((SELECT reason FROM activity.gaps WHERE tracked = 'public.tools' AND reason ~ 'lost'), 'event type tool.lost does not exist', 'but is noted');
CREATE TABLE noisy (org_id text, user_id int, status text);
DO $$BEGIN PERFORM track('noisy', 'membership'); END$$;
INSERT INTO noisy SELECT 'o', i, 'status ' || i FROM generate_series(1, 3000) i;
SELECT is((SELECT array_agg(x ORDER BY x) FROM (SELECT sum(changes) FILTER (WHERE reason <> 'more reasons than are told apart') < 200 FROM activity.gaps WHERE tracked = 'public.noisy'
	UNION ALL SELECT sum(changes) = 3000 FROM activity.gaps WHERE tracked = 'public.noisy') AS y (x)), '{t,t}',
	'of many different unknown words all are counted, some told apart');

-- Mistakes in rules.
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "membership.jioned"}]')$$, 'AC001', NULL, 'an event type that does not exist');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "membership.joined", "wenn": {}}]')$$, '22023', NULL, 'an unknown key');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "membership.joined", "when": {"shoe": {"to": 1}}}]')$$, 'AC007', NULL, 'an unknown column');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "membership.joined", "when": {"role": "a"}}]')$$, '22023', NULL, 'an update rule without a change');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "membership.joined", "on": "delete", "when": {"role": {"to": "a"}}}]')$$, '22023', NULL, 'a rule that can never fire');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '[{"event": "credit.charge", "on": "insert"}]')$$, 'AC007', NULL, 'a required field without a source');
SELECT throws_ok($$SELECT activity.track('m', 'membership', rules => '7')$$, '22023', NULL, 'no object');
SELECT throws_ok($$SELECT activity.track('m', 'membership', columns => '[]')$$, '22023', NULL, 'no columns');

-- The view says enough to track again.
SELECT lives_ok($$SELECT activity.track(tracked, category, columns, rules || '{"preset": false}', on_unknown)
	FROM activity.tracked WHERE tracked = 'm'::regclass$$, 'activity.tracked can be given back');

SELECT * FROM finish();
ROLLBACK;
