-- What somebody broke while the guards were off shows in health, does not spread,
-- and heals.
\set ON_ERROR_STOP 1
SELECT plan(46);
SELECT activity.set_tier('org', 'enterprise');
SELECT activity.record('org', 'credit.charge', '{"amount": 1}');
SELECT activity.publish();
SELECT is((SELECT problems FROM activity.health), '{}', 'nothing is wrong');
-- An endpoint that fails, in both lists of those that have something to do.
SELECT activity.set_tier('fine', 'enterprise') \g /dev/null
SELECT count(*) FROM (VALUES ('fine'), ('org')) o (organization), activity.create_webhook(organization, 'https://hooks.example.com/' || organization) \g /dev/null
SELECT activity.record(organization, 'credit.charge', '{"amount": 1}') FROM (VALUES ('fine'), ('org')) o (organization) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT key AS broken FROM _activity.webhook_endpoint WHERE url ~ 'org$' \gset
UPDATE _activity.webhook_state SET ready_at = '-infinity' WHERE endpoint = :broken;
UPDATE _activity.webhook_delivery SET created_at = '-infinity' WHERE endpoint = :broken;
SELECT results_eq($$SELECT url FROM activity.claim_deliveries(10, '1 minute')$$, $$VALUES ('https://hooks.example.com/fine')$$, 'one that fails stops no other');
SELECT results_eq($$SELECT step, attempts FROM activity.set_aside$$, $$VALUES ('claim', 1)$$, 'and is set aside, once');
UPDATE _activity.webhook_delivery SET created_at = now() WHERE endpoint = :broken;
UPDATE _activity.set_aside SET next_attempt = now();
SELECT results_eq($$SELECT url FROM activity.claim_deliveries(10, '1 minute')$$, $$VALUES ('https://hooks.example.com/org')$$, 'until it is cured');
-- Rollups that can't be read, of one organization, keep nobody else's from being put together.
SELECT count(activity.record(o, 'auth.signin')) FROM unnest('{fine,org}'::text[]) o, generate_series(1, 3) \g /dev/null
SELECT activity.publish() \g /dev/null
UPDATE _activity.rollup r SET cells = r.cells + 1 FROM _activity.organization o WHERE o.key = r.organization AND o.id = 'org' AND r.kind = 0;
INSERT INTO _activity.rollup_repair SELECT o.key, ARRAY[activity.event_id()] FROM _activity.organization o WHERE o.id IN ('fine', 'org');
INSERT INTO _activity.refold_todo SELECT 'revenue', o.key, _activity.month_first(_activity.quarter_of(now())) FROM _activity.organization o WHERE o.id IN ('fine', 'org');
SELECT lives_ok('SELECT _activity.maintain_rollups(100000, 1)', 'upkeep meets rollups that it can''t read');
SELECT results_eq($$SELECT organization, item, sqlstate, attempts FROM activity.set_aside WHERE step = 'compact' ORDER BY item$$,
	$$VALUES ('org', 'refold', 'XX001', 1), ('org', 'repair', 'XX001', 1), ('org', 'rollups', 'XX001', 1)$$, 'which are set aside');
SELECT is((SELECT string_agg(DISTINCT o.id, ' ') FROM _activity.organization o WHERE o.key IN (SELECT r.organization FROM _activity.rollup r WHERE r.kind = 0
	UNION ALL SELECT r.organization FROM _activity.rollup_repair r UNION ALL SELECT t.organization FROM _activity.refold_todo t)), 'org', 'and nobody else''s');
SELECT _activity.maintain_rollups(100000, 1) \g /dev/null
SELECT is((SELECT sum(attempts) FROM activity.set_aside WHERE step = 'compact'), 3::bigint, 'they are not tried again at once');
UPDATE _activity.rollup r SET cells = cardinality(r.quarters);
UPDATE _activity.set_aside SET next_attempt = now() WHERE step = 'compact';
SELECT _activity.maintain_rollups(100000, 1) \g /dev/null
SELECT is_empty($$SELECT * FROM activity.set_aside WHERE step = 'compact'$$, 'but later, and once they can be read it is done');
SELECT is((SELECT count(*) FROM _activity.rollup WHERE kind = 0) + (SELECT count(*) FROM _activity.rollup_repair) + (SELECT count(*) FROM _activity.refold_todo), 0::bigint, 'all of it');
-- Nor does it keep their events beyond their time; its own stay until they are sealed.
SELECT activity.record(o, 'credit.charge', '{"amount": 5}', occurred_at => '2019-03-05') FROM unnest('{fine,org}'::text[]) o \g /dev/null
SELECT activity.record('fine', 'credit.charge', '{"amount": 6}', occurred_at => '2019-04-05') \g /dev/null
SELECT activity.publish(), activity.maintain('2019-01-01') \g /dev/null
SELECT activity.record(o, 'credit.charge', '{"amount": 5}', occurred_at => '2019-05-05') FROM unnest('{fine,org}'::text[]) o \g /dev/null
SELECT activity.publish() \g /dev/null
UPDATE _activity.rollup r SET cells = r.cells + 1 FROM _activity.organization o WHERE o.key = r.organization AND o.id = 'org' AND r.kind = 0;
SELECT activity.set_retention(o, '1 year') FROM unnest('{fine,org}'::text[]) o \g /dev/null
SELECT count(*) FROM activity.maintain() \g /dev/null
CREATE VIEW old AS SELECT e.organization COLLATE "default" AS organization, count(*) AS events FROM activity.events e WHERE e.occurred_at < '2020-01-01' GROUP BY 1;
SELECT results_eq($$SELECT organization, item FROM activity.set_aside WHERE step = 'compact' AND item <> 'rollups'$$, $$VALUES ('org', 'seal')$$, 'whose sums can''t be sealed is set aside');
SELECT results_eq('TABLE old', $$VALUES ('org', 2::bigint)$$, 'and keeps what would be gone, alone');
SELECT is_empty($$SELECT * FROM _activity.expiry x JOIN _activity.organization o ON o.key = x.organization WHERE o.id = 'org'$$, 'since nothing of it is over');
SELECT is_empty($$SELECT * FROM activity.verify('fine') UNION ALL SELECT * FROM activity.verify('org')$$, 'both can be proved');
UPDATE _activity.rollup r SET cells = cardinality(r.quarters) WHERE r.kind = 0;
UPDATE _activity.set_aside SET next_attempt = now() WHERE step = 'compact';
SELECT count(*) FROM activity.maintain() \g /dev/null
SELECT is_empty('TABLE old', 'what can be sealed goes');
SELECT results_eq($$SELECT o.id COLLATE "default", s.events FROM _activity.rollup_seal s JOIN _activity.organization o ON o.key = s.organization ORDER BY 1, s.month$$,
	$$VALUES ('fine', 1::bigint), ('fine', 1), ('fine', 1), ('org', 1), ('org', 1)$$, 'month by month');
SELECT is_empty($$SELECT * FROM activity.rollup_verify('fine') UNION ALL SELECT * FROM activity.rollup_verify('org')$$, 'and the seals hold');
SELECT is_empty($$SELECT * FROM activity.set_aside WHERE step = 'compact'$$, 'nothing is set aside any more');
SELECT activity.unset_retention(o) FROM unnest('{fine,org}'::text[]) o \g /dev/null
SELECT activity.publish() \g /dev/null
-- Every trigger that is off, or on in another way, is told.
CREATE FUNCTION untold(action text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	its record;
BEGIN
	FOR its IN SELECT c.relname, t.tgname, t.tgenabled, c.oid::regclass AS tab FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = '_activity'::regnamespace AND NOT t.tgisinternal
	LOOP
		EXECUTE format('ALTER TABLE %s %s TRIGGER %I', its.tab, action, its.tgname);
		IF NOT EXISTS (SELECT FROM activity.health h WHERE cardinality(h.problems) = 1
			AND h.problems[1] ~ format('"_activity.%s"', its.relname)) THEN
			RETURN NEXT its.tab || '.' || its.tgname;
		END IF;
		EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', its.tab, CASE its.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, its.tgname);
	END LOOP;
END $$;
SELECT set_eq($$SELECT relation, name, 'A'::"char" FROM _activity.wanted_trigger$$, $$SELECT c.relname, t.tgname, t.tgenabled
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = '_activity'::regnamespace AND NOT t.tgisinternal$$, 'the triggers that there are');
SELECT is_empty($$SELECT untold('DISABLE')$$, 'a trigger that is off is told, whatever table it is of');
SELECT is_empty($$SELECT untold('ENABLE REPLICA')$$, 'one that sleeps, too');
SELECT is((SELECT problems FROM activity.health), '{}', 'and as they were, nothing is wrong');
ALTER EVENT TRIGGER activity_follow_drop DISABLE;
SELECT is((SELECT cardinality(problems) FROM activity.health), 1, 'what follows tracked tables is told when it is off');
ALTER EVENT TRIGGER activity_follow_drop ENABLE;
ALTER EVENT TRIGGER activity_guard_ddl DISABLE;
ALTER EVENT TRIGGER activity_guard_drop DISABLE;
SELECT is((SELECT cardinality(problems) FROM activity.health), 2, 'guards that are off are told');

-- A column that was added and dropped.
ALTER TABLE _activity.event ADD COLUMN x integer;
SELECT throws_ok($$SELECT activity.record('org', 'credit.charge', '{"amount": 2}')$$, '55000', NULL, 'a column too many stops recording');
SELECT ok((SELECT problems::text ~ '_activity.event.{2,4} has other columns' FROM activity.health), 'which health tells');
ALTER TABLE _activity.event DROP COLUMN x;
ALTER TABLE _activity.stream ADD COLUMN x integer;
ALTER TABLE _activity.stream DROP COLUMN x;
ALTER TABLE _activity.publication ADD COLUMN x text;
ALTER TABLE _activity.publication DROP COLUMN x;
SELECT lives_ok($$SELECT activity.record('org', 'credit.charge', '{"amount": 2}')$$, 'dropped again, recording goes on');
SELECT lives_ok($$SELECT activity.record('org', 'credit.charge', '{"amount": 3}', occurred_at => '1999-01-01')$$, 'in the default partition, too');
CREATE TABLE members (id integer PRIMARY KEY, organization_id text, user_id text, status text);
SELECT count(*) FROM activity.track('members', 'membership');
SELECT lives_ok($$INSERT INTO members SELECT g, 'org', 'u' || g, 'active' FROM generate_series(1, 300) g$$, 'so do batches');
SELECT is(activity.publish(), 302::bigint, 'publishing, too');
SELECT is((SELECT count(*) FROM activity.feed('org', page_size => 200)), 200::bigint, 'and the feed');
SELECT is_empty($$SELECT * FROM activity.verify('org')$$, 'and the proof');

-- Indexes that are gone.
SELECT format('DROP INDEX _activity.%I', name) FROM _activity.wanted_index \gexec
SELECT is((SELECT count(*) FROM _activity.missing_index), (SELECT count(*) FROM _activity.wanted_index), 'all are missing');
\set ON_ERROR_STOP 0
SELECT activity.publish();
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '55000', 'publishing stops');
\set ON_ERROR_STOP 1
SELECT ok((SELECT problems::text ~ 'event_default_xid' FROM activity.health), 'health tells which');
SELECT is((SELECT backlog FROM activity.health), NULL, 'and does not pretend to know the backlog');
SELECT cmp_ok((SELECT count(*) FROM activity.maintain() WHERE action = 'make' AND object ~ '_(key|idx|xid|type|actor|subject)$'), '>', 10::bigint, 'maintain() makes them');
SELECT is((SELECT count(*) FROM _activity.missing_index), 0::bigint, 'all of them');
SELECT activity.record('org', 'credit.charge', '{"amount": 4}');
SELECT is(activity.publish(), 1::bigint, 'and all goes on');

-- One that can't be made stops nothing else.
DROP INDEX _activity.event_default_key, _activity.event_default_xid;
ALTER TABLE _activity.event_default DISABLE TRIGGER append_only;
INSERT INTO _activity.event_default SELECT * FROM _activity.event_default LIMIT 1;
SELECT is((SELECT string_agg(action, ' ' ORDER BY action) FROM activity.maintain() WHERE object ~ 'event_default_(key|xid)'),
	'make skip', 'one index is made, the other one is reported');
DELETE FROM _activity.event_default WHERE ctid = (SELECT max(ctid) FROM _activity.event_default);
ALTER TABLE _activity.event_default ENABLE ALWAYS TRIGGER append_only;
SELECT count(*) FROM activity.maintain();
SELECT is((SELECT count(*) FROM _activity.missing_index), 0::bigint, 'and made when nothing is in the way');
ALTER TABLE _activity.organization SET UNLOGGED;
SELECT ok((SELECT problems::text ~ 'organization.{2,4} is unlogged' FROM activity.health), 'an unlogged table is told');
ALTER EVENT TRIGGER activity_guard_ddl ENABLE ALWAYS;
ALTER TABLE _activity.organization SET LOGGED;
SELECT ok((SELECT problems::text !~ 'unlogged' FROM activity.health), 'and cured as health says, past the guards');
ALTER EVENT TRIGGER activity_guard_ddl DISABLE;

-- History is not published a second time.
ALTER TABLE _activity.publication DISABLE TRIGGER append_only;
TRUNCATE _activity.publication;
\set ON_ERROR_STOP 0
SELECT activity.publish();
SELECT is(:'LAST_ERROR_MESSAGE'::text, '"_activity.publication" is empty, but events have been published', 'no second beginning');
\set ON_ERROR_STOP 1
SELECT ok((SELECT problems::text ~ 'publication.{2,4} is empty' AND backlog IS NULL FROM activity.health), 'health tells that, too');
INSERT INTO _activity.stream (position, organization, segment, id, hash)
SELECT position + 1000, organization, segment, id, hash FROM _activity.stream ORDER BY position LIMIT 1;
SELECT ok((SELECT string_agg(problem, ' ') ~ 'at another position' FROM activity.verify('org')), 'an event at two positions is found');
SELECT * FROM finish();
