-- Erasure and holds: what is redacted is nowhere, what is held stays, and the proof
-- holds through both.
\set ON_ERROR_STOP 1
SELECT plan(83);
SELECT activity.set_tier('o', 'enterprise'), activity.set_tier('p', 'enterprise');
SELECT endpoint_id AS endpoint FROM activity.create_webhook('o', 'https://hooks.example.com/in', '{credit.*}') \gset
CREATE TABLE members (id integer PRIMARY KEY, organization_id text, user_id text, role text);
SELECT count(*) FROM activity.track('members', 'membership');

-- Where a text stands in any table of the extension, by column.
CREATE FUNCTION pg_temp.found(needle text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	n bigint;
BEGIN
	FOR c IN SELECT a.attrelid::regclass AS t, a.attname FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid
		WHERE k.relnamespace = '_activity'::regnamespace AND k.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
	LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE position(%L IN %I::text) > 0
			OR position(encode(%L, ''hex'') IN %I::text) > 0', c.t, needle, c.attname, needle, c.attname) INTO n;
		IF n > 0 THEN RETURN NEXT c.t || '.' || c.attname; END IF;
	END LOOP;
END $$;

INSERT INTO members VALUES (1, 'o', 'ann_1', 'member'), (2, 'p', 'ann_1', 'member');
BEGIN;
SELECT activity.set_actor('ann_1', 'user', 'Ann Example', '{"ip": "192.0.2.77"}');
SELECT activity.record('o', 'credit.charge', '{"amount": 1, "email": "ann@example.org"}');
SELECT activity.record('o', 'auth.signin');
COMMIT;
BEGIN;
SELECT activity.set_actor('sam', 'staff', 'Sam', NULL, '{"id": "ann_1", "name": "Ann Example"}');
SELECT activity.record('o', 'credit.charge', '{"amount": 2}');
COMMIT;
SELECT activity.record('o', 'invitation.sent', '{"email": "ann@example.org"}', '{"role": "admin"}');
SELECT activity.record('o', 'credit.charge', '{"amount": 3}', '{"note": "nobody"}', occurred_at => '2021-02-03');
SELECT activity.publish();
SELECT delivery_id, lease FROM (SELECT delivery_id, NULL AS lease FROM activity.claim_deliveries(10) LIMIT 1) d \gset
SELECT connection_id FROM activity.create_connection('o', 'ann_1', 'Ann''s laptop') \gset
SELECT encode(hash, 'hex') AS head FROM activity.checkpoint('o') \gset
SELECT activity.create_consumer('indexer', 'o', '{auth.signin}', 'earliest');
SELECT lease, cursor FROM activity.poll('indexer') \gset parked_
SELECT activity.park('indexer', :'parked_lease', :'parked_cursor', 'could not index Ann Example, ann@example.org');
SELECT count(*) AS events FROM activity.feed('o') \gset

-- A hold first: nothing of hers goes.
SELECT throws_ok($$SELECT activity.place_hold('o', ' ')$$, '22023', 'a reason is needed', 'no hold without a reason');
SELECT throws_ok($$SELECT activity.place_hold('nobody', 'x')$$, '22023', NULL, 'nor of nobody');
SELECT throws_ok($$SELECT activity.place_hold('o', 'x', since => '2026-02-02', until => '2026-01-01')$$, '22023', NULL, 'nor of no time');
SELECT activity.place_hold('o', 'case 17', actor => 'ann_1') AS hold \gset
SELECT is((SELECT reason || ' ' || actor FROM activity.holds WHERE id = :'hold'), 'case 17 ann_1', 'the hold is listed');
SELECT is((SELECT count(*) FROM activity.feed('o', '{compliance.hold_placed}') WHERE metadata->>'reason' = 'case 17'), 1::bigint, 'and an event');
SELECT throws_ok($$SELECT * FROM activity.redact_person('ann_1', 'she asked', 'o')$$, '55006', NULL, 'who is held is not redacted');
SELECT throws_like($$SELECT * FROM activity.redact_person('ann_1', 'she asked')$$, '%' || :'hold' || '%', 'the hold is named');
SELECT is((SELECT count(*) FROM activity.redactions), 0::bigint, 'nothing was redacted in part');
SELECT throws_ok($$SELECT activity.release_hold(gen_random_uuid(), 'x')$$, 'P0002', NULL, 'no such hold');
SELECT throws_ok(format('SELECT activity.release_hold(%L, NULL)', :'hold'), '22023', NULL, 'no release without a reason');
SELECT lives_ok(format('SELECT activity.release_hold(%L, ''settled'')', :'hold'), 'released');
SELECT lives_ok(format('SELECT activity.release_hold(%L, ''settled'')', :'hold'), 'again is harmless');
SELECT is((SELECT count(*) FROM activity.feed('o', '{compliance.hold_released}')), 1::bigint, 'and one event');

-- Refused.
SELECT throws_ok($$SELECT * FROM activity.redact_person('ann_1', '')$$, '22023', NULL, 'no redaction without a reason');
SELECT throws_ok($$SELECT * FROM activity.redact_person('', 'x')$$, '22023', NULL, 'of nobody');
SELECT throws_ok($$SELECT * FROM activity.redact_person('ann_1', 'x', pseudonym => 'ann_1')$$, '22023', NULL, 'a pseudonym that is the person');
SELECT throws_ok($$SELECT * FROM activity.redact('o', activity.event_id(), 'x')$$, 'P0002', NULL, 'an event that is not there');

-- Rolled back it is undone.
BEGIN;
SELECT is((SELECT sum(events) FROM activity.redact_person('ann_1', 'she asked')), 6::numeric, 'six events of hers in two organizations, and the hold''s');
ROLLBACK;
SELECT is((SELECT count(*) FROM activity.feed('o', actor => 'ann_1')), 2::bigint, 'rolled back, she is there again');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'and the proof is clean');

-- Done.
SELECT results_eq($$SELECT organization, events FROM activity.redact_person('ann_1', 'she asked', pseudonym => 'person-1')$$,
	$$VALUES ('o', 5::bigint), ('p', 1)$$, 'a row for each organization');
SELECT results_eq($$SELECT organization, events FROM activity.redact_person('ann@example.org', 'she asked', pseudonym => 'person-1')$$,
	$$VALUES ('o', 1::bigint)$$, 'by her address: what else names it');
SELECT is_empty($$SELECT * FROM activity.redact_person('ann_1', 'she asked')$$, 'twice is harmless');
DELETE FROM members;
SELECT results_eq($$SELECT organization, events FROM activity.redact_person('ann_1', 'again')$$,
	$$VALUES ('o', 1::bigint), ('p', 1)$$, 'what came since goes when asked again');
SELECT is_empty(format('SELECT pg_temp.found(%L)', needle), needle || ' is nowhere')
FROM unnest(ARRAY['ann_1', 'Ann Example', 'ann@example.org', '192.0.2.77', 'Ann''s laptop']) needle;
SELECT is((SELECT count(*) FROM activity.feed('o', actor => 'person-1')), 2::bigint, 'her events count as one person''s');
SELECT is((SELECT count(*) FROM activity.feed('o', on_behalf_of => 'person-1')), 1::bigint, 'whom others acted for, too');
SELECT is((SELECT actor_id || ' ' || actor_name FROM activity.feed('o', on_behalf_of => 'person-1')), 'sam Sam', 'who acted is not redacted with her');
SELECT is((SELECT count(*) FROM activity.feed('o', '{credit.charge}')), 3::bigint, 'counts by type are the same');
SELECT is((SELECT metadata->>'note' FROM activity.feed('o', '{credit.charge}', until => '2022-01-01')), 'nobody', 'other events are as they were');
SELECT is((SELECT count(*) FROM _activity.stream WHERE encode(hash, 'hex') = :'head'), 1::bigint, 'the old checkpoint still stands');
SELECT activity.publish();
SELECT is_empty($$SELECT v.* FROM unnest('{o,p}'::text[]) o, activity.verify(o) v$$, 'the proof is clean');
SELECT is((SELECT count(*) FROM activity.redactions), 5::bigint, 'each is listed');
SELECT is((SELECT count(*) FROM activity.feed('o', '{compliance.redacted}')), 3::bigint, 'and an event');
SELECT is((SELECT member || ' ' || (revoked_at IS NOT NULL) FROM activity.connections WHERE connection_id = :'connection_id'), 'person-1 true', 'her secret is revoked');
SELECT is((SELECT count(*) FROM activity.claim_deliveries(100) WHERE body LIKE '%ann%'), 0::bigint, 'no webhook tells of her');

-- One event, and what stays forbidden.
SELECT id AS other FROM activity.feed('o', '{credit.charge}', until => '2022-01-01') \gset
SELECT results_eq(format('SELECT events FROM activity.redact(%L, %L, ''wrong note'')', 'o', :'other'), 'VALUES (1::bigint)', 'one event');
SELECT results_eq(format('SELECT events FROM activity.redact(%L, %L, ''wrong note'')', 'o', :'other'), 'VALUES (0::bigint)', 'again is harmless');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'clean');
SELECT throws_ok(format('SELECT * FROM activity.redact(%L, %L, ''x'')', 'o', (SELECT id FROM activity.feed('o', '{compliance.redacted}', page_size => 1))),
	'55000', NULL, 'a redaction is its own proof');
SELECT throws_ok($$SELECT _activity.redact_rows(1, '{}', gen_random_uuid(), NULL, 'x', '')$$, '55000', NULL, 'rows are rewritten under the lock alone');

-- A forged one.
BEGIN;
ALTER TABLE _activity.event DISABLE TRIGGER append_only;
UPDATE _activity.event e SET commitment = _activity.commitment(e), salt = NULL, description = 'x', metadata = NULL, context = '{}',
	subject = jsonb_build_object('redacted', (SELECT id FROM activity.feed('o', '{compliance.redacted}', page_size => 1)))
WHERE type::activity.event_type IN ('auth.signin', 'compliance.hold_released');
SELECT isnt_empty($$SELECT * FROM activity.verify('o')$$, 'a redaction that redacted less');
ROLLBACK;
BEGIN;
ALTER TABLE _activity.event DISABLE TRIGGER append_only;
UPDATE _activity.event e SET commitment = _activity.commitment(e), salt = NULL, subject = '{}' WHERE type::activity.event_type = 'compliance.hold_released';
SELECT isnt_empty($$SELECT * FROM activity.verify('o')$$, 'a redaction of nobody');
ROLLBACK;

-- The ledger: a database from before, and the same again.
SELECT activity.redaction_ledger() AS ledger \gset
SELECT is(jsonb_array_length(:'ledger'), 6, 'the ledger has the redactions that events still name');
SELECT is(position('ann' IN :'ledger'), 0, 'without her');
SELECT is(activity.replay_redactions(:'ledger'), 0::bigint, 'replayed here it does nothing');
SELECT throws_ok($$SELECT activity.replay_redactions('{}')$$, '22023', NULL, 'no ledger');
SELECT throws_ok($$SELECT activity.replay_redactions('[{"redaction": 1}]')$$, '22023', NULL, 'no entry of one');

-- Retention leaves what is held, and lets the others go.
SELECT count(activity.record('o', 'credit.charge', jsonb_build_object('id', 'k' || g % 2, 'amount', 1), occurred_at => '2019-05-05'::timestamptz + g * interval '1 min'))
FROM generate_series(1, 10) g;
SELECT activity.publish();
SELECT activity.place_hold('o', 'case 18', subject => 'k1') AS hold \gset
SELECT activity.set_retention('o', '1 year');
SELECT count(*) FROM activity.maintain(), generate_series(1, 3);
SELECT is((SELECT count(*) FROM activity.feed('o', until => '2020-01-01')), 5::bigint, 'the held half stays');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'clean');
SELECT activity.release_hold(:'hold', 'over');
SELECT count(*) FROM activity.maintain();
SELECT is((SELECT count(*) FROM activity.feed('o', until => '2020-01-01')), 0::bigint, 'released, it goes');
SELECT is_empty($$SELECT * FROM activity.verify('o')$$, 'clean');
SELECT is((SELECT count(*) FROM activity.feed('o', '{compliance.retention_changed}')), 1::bigint, 'a change of retention is an event');

-- Fields of the application's own.
SELECT activity.define_event_type('pet.sold', 'Sold');
SELECT activity.record('o', 'pet.sold', '{"breeder": "Zed Zorn"}');
SELECT is_empty($$SELECT * FROM activity.redact_person('Zed Zorn', 'x')$$, 'nobody knows that it is a person');
SELECT activity.declare_personal('pet.sold', '{breeder}');
SELECT results_eq($$SELECT events FROM activity.redact_person('Zed Zorn', 'x')$$, 'VALUES (1::bigint)', 'declared, it is found');
SELECT is_empty($$SELECT pg_temp.found('Zed Zorn')$$, 'and gone');

-- Wherever in a document a personal field is, and however its name is written.
SELECT activity.declare_personal('pet.sold', '{breeder,Kennel_Keeper}');
CREATE TABLE place (n int GENERATED ALWAYS AS IDENTITY, personal bool, document jsonb);
INSERT INTO place (personal, document) VALUES
	(true, '{"email": "zoe@x"}'), (true, '{"a": {"b": {"email": "zoe@x"}}}'), (true, '{"a": [1, {"email": "zoe@x"}]}'),
	(true, '{"emails": ["y@x", "zoe@x"]}'), (true, '{"a": [[{"recipients": [{"address": "zoe@x"}]}]]}'),
	(true, '{"actor": {"id": "zoe@x", "kind": "user"}}'), (true, '{"userId": "zoe@x"}'), (true, '{"User-Id": "zoe@x"}'),
	(true, '{"EMAIL": "zoe@x", "b": 1}'), (true, '{"breeder": {"who": ["zoe@x"]}}'), (true, '{"kennelKeeper": "zoe@x"}'),
	(true, ('{"a":' || repeat('[', 3000) || '{"email": "zoe@x"}' || repeat(']', 3000) || '}')::jsonb),
	(false, '{"note": "zoe@x"}'), (false, '{"email": "zoe@x.org"}'), (false, '{"email": "zoe"}'), (false, '{"email": null}'),
	(false, '{"zoe@x": "email"}'), (false, '{"email": {}, "note": ["zoe@x"]}'), (false, '{"e": {"mail": 1}, "a": [{"x": "zoe@x"}]}'),
	(false, '{"emai": "zoe@x", "emaill": "zoe@x", "_": "zoe@x", "": "zoe@x"}');
SELECT is(_activity.names_person(document, 'zoe@x', _activity.personal_fields() || '{breeder,Kennel_Keeper}'::text[]), personal,
	'a person in ' || left(document::text, 60)) FROM place ORDER BY n;
SELECT count(activity.record('p', 'pet.sold', jsonb_build_object('id', 'zoo-' || n), document)) FROM place;
SELECT results_eq($$SELECT events FROM activity.redact_person('zoe@x', 'she asked')$$, $$SELECT count(*) FROM place WHERE personal$$,
	'the events of these are redacted, and no others');

-- Who may.
CREATE ROLE regress_comply;
SELECT activity.allow('regress_comply', 'comply');
SET ROLE regress_comply;
SELECT lives_ok($$SELECT activity.place_hold('o', 'mine'), count(*) FROM activity.holds$$, 'comply places holds');
SELECT throws_ok($$SELECT * FROM activity.feed('o')$$, '42501', NULL, 'and reads nothing');
RESET ROLE;
SELECT * FROM finish();
DROP OWNED BY regress_comply;
DROP ROLE regress_comply;
