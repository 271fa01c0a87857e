-- Retention and the stream: positions of what is gone stay until their whole
-- segment can go, then anchors take their place; cursors are refused or go on, and
-- verify() misses nothing that went by right and everything else.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT plan(64);

-- Positions are counted here: no event is to be added by sealing the sums of what goes.
CREATE OR REPLACE FUNCTION _activity.seal_due() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE RETURN 0;

SELECT activity.maintain(since => now() - interval '30 months') \g /dev/null
SELECT activity.set_tier(o, 'enterprise') FROM unnest('{short,long,late,over}'::text[]) o \g /dev/null

-- Four events of a month, published in it: a segment of its own.
CREATE PROCEDURE pg_temp.publish_in(months integer, organizations text[]) LANGUAGE plpgsql AS $$
DECLARE
	month timestamptz := date_trunc('month', now()) - months * interval '1 month';
BEGIN
	PERFORM activity.record(o, 'credit.charge', '{"amount": 1}', occurred_at => month + i * interval '1 ms')
	FROM unnest(organizations) o, generate_series(1, 4) i;
	COMMIT;
	PERFORM activity.publish();
	ALTER TABLE _activity.segment DISABLE TRIGGER append_only;
	UPDATE _activity.segment SET started_at = month
	WHERE number = (SELECT max(number) FROM _activity.segment);
	ALTER TABLE _activity.segment ENABLE ALWAYS TRIGGER append_only;
	COMMIT;
END
$$;
CALL pg_temp.publish_in(20, '{short,long,over}');
CALL pg_temp.publish_in(12, '{short,long,late,over}');
CALL pg_temp.publish_in(6, '{short,long}');
CALL pg_temp.publish_in(0, '{short,late}');

-- The rule without the event that set_retention() makes of it, which would be one
-- more position.
CREATE FUNCTION pg_temp.set_rule(organization text, keep interval) RETURNS void LANGUAGE sql BEGIN ATOMIC
	INSERT INTO _activity.retention_rule (organization, keep) VALUES (set_rule.organization, set_rule.keep)
	ON CONFLICT (organization) DO UPDATE SET keep = excluded.keep;
END;
CREATE FUNCTION pg_temp.segments() RETURNS text LANGUAGE sql
	RETURN (SELECT string_agg(relid::text, ' ' ORDER BY relid::text)
		FROM pg_partition_tree('_activity.stream') WHERE isleaf);
CREATE FUNCTION pg_temp.cursor_at(organization text, at bigint) RETURNS text LANGUAGE sql
	RETURN (SELECT split_part(cursor, '.', 1) || '.' || at FROM activity.stream_head(organization));
CREATE FUNCTION pg_temp.after(organization text, at bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT string_agg(position::text, ' ' ORDER BY position)
		FROM activity.replay(organization, pg_temp.cursor_at(organization, at)));
EXCEPTION WHEN SQLSTATE 'AC010' THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION pg_temp.problems(organization text) RETURNS text LANGUAGE sql
	RETURN (SELECT coalesce(string_agg(coalesce(position, 0) || ' ' || regexp_replace(problem, '[0-9a-f-]{36}', '…'),
		'; ' ORDER BY position, problem), '') FROM activity.verify(organization));

SELECT is(pg_temp.segments(), '_activity.stream_1 _activity.stream_2 _activity.stream_3 _activity.stream_4',
	'a month, a segment');
CREATE TEMPORARY TABLE head AS
	SELECT o, (activity.stream_head(o)).cursor FROM unnest('{short,long,late,over}'::text[]) o;
CREATE TEMPORARY TABLE kept AS
	SELECT o, at, (activity.checkpoint(o, at)).hash FROM unnest('{short,long}'::text[]) o, unnest('{4,8,12}'::bigint[]) at;
SELECT is(pg_temp.after('short', 4), '5 6 7 8 9 10 11 12 13 14 15 16', 'positions go on over segments');
SELECT is(pg_temp.problems(o), '', 'the chain of "' || o || '" holds') FROM head;

-- Each month is kept by somebody: rows go, segments stay.
SELECT pg_temp.set_rule('short', '3 months');
SELECT pg_temp.set_rule('late', '9 months');
SELECT ok(bool_or(action = 'delete') AND bool_and(object !~ 'stream'), 'rows are deleted, segments not')
FROM activity.maintain();
SELECT is(pg_temp.problems(o), '', 'what is gone by right is not missed: ' || o) FROM head;
SELECT is(activity.stream_head('short'), ((SELECT cursor FROM head WHERE o = 'short'), 16::bigint, 13::bigint)::record,
	'the head stays, the earliest is what is kept');
SELECT is(pg_temp.after('short', 0), 'AC010', 'a cursor from before is refused');
SELECT is(pg_temp.after('short', 4), 'AC010', 'whose position is still there, too');
SELECT is(pg_temp.after('short', 11), 'AC010', 'also when it misses a single event');
SELECT is(pg_temp.after('short', 12), '13 14 15 16', 'one that misses nothing goes on');
SELECT is(pg_temp.after('short', 14), '15 16', 'and one inside');
SELECT is((SELECT array_agg(position ORDER BY position) FROM activity.replay('short')), '{13,14,15,16}',
	'without one it begins with the oldest kept');
SELECT is(pg_temp.after('long', 0), '1 2 3 4 5 6 7 8 9 10 11 12', 'others go on as before');
SELECT is((activity.checkpoint('short', 4)).hash, (SELECT hash FROM kept WHERE o = 'short' AND at = 4),
	'a checkpoint of before can still be compared');
SELECT is((activity.checkpoint('short', 4)).events, 0::bigint, 'no event is kept up to there');

-- Where no month is dropped, it is noted all the same.
SELECT activity.maintain() FROM generate_series(1, 3) \g /dev/null
BEGIN;
SELECT pg_temp.set_rule('over', '13 months');
SELECT is((SELECT string_agg(DISTINCT action, ' ') FROM activity.maintain()), 'delete', 'where rows are all that goes');
SELECT is(pg_temp.problems('over'), '', 'they are not missed either');
ROLLBACK;

-- An event that was removed by somebody else while it should be kept.
CREATE PROCEDURE pg_temp.tamper(change text) LANGUAGE plpgsql AS $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT relid FROM pg_partition_tree('_activity.event') UNION ALL SELECT relid FROM pg_partition_tree('_activity.stream')
		UNION ALL SELECT '_activity.stream_anchor' LOOP
		EXECUTE format('ALTER TABLE %s DISABLE TRIGGER append_only', t);
	END LOOP;
	EXECUTE change;
	FOR t IN SELECT relid FROM pg_partition_tree('_activity.event') UNION ALL SELECT relid FROM pg_partition_tree('_activity.stream')
		UNION ALL SELECT '_activity.stream_anchor' LOOP
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', t);
	END LOOP;
END
$$;
CREATE FUNCTION pg_temp.event_of(organization text, at bigint) RETURNS uuid LANGUAGE sql
	RETURN (SELECT s.id FROM _activity.stream s JOIN _activity.organization o ON o.key = s.organization
		WHERE o.id = event_of.organization AND s.position = at);
BEGIN;
CALL pg_temp.tamper(format('DELETE FROM _activity.event WHERE id = ANY (ARRAY[%L, %L, %L, %L]::uuid[])',
	pg_temp.event_of('long', 1), pg_temp.event_of('long', 2), pg_temp.event_of('long', 3), pg_temp.event_of('long', 4)));
SELECT pg_temp.set_rule('long', '13 months');
SELECT activity.record('short', 'auth.signin', occurred_at => '1999-01-01') \g /dev/null
SELECT is(pg_temp.problems('long'), '1 event … is missing; 2 event … is missing; 3 event … is missing; 4 event … is missing',
	'removed before their time is over, events are missed');
SELECT isnt_empty('SELECT * FROM activity.maintain()', 'when it is over');
SELECT is(pg_temp.problems('long'), '', 'they are not');
ROLLBACK;
BEGIN;
CALL pg_temp.tamper(format('DELETE FROM _activity.event WHERE id = ANY (ARRAY[%L, %L]::uuid[])',
	pg_temp.event_of('short', 13), pg_temp.event_of('over', 1)));
CALL pg_temp.tamper(format('DELETE FROM _activity.event WHERE id = ANY (SELECT id FROM _activity.stream_1)'));
SELECT pg_temp.set_rule('long', '9 months');
SELECT isnt_empty('SELECT * FROM activity.maintain()', 'retention elsewhere');
SELECT is(pg_temp.problems('short'), '13 event … is missing', 'hides no removal at the beginning');
SELECT is(pg_temp.problems('over'), '1 event … is missing; 2 event … is missing; 3 event … is missing; 4 event … is missing',
	'nor of a whole segment of somebody who keeps all');
SELECT isnt(to_regclass('_activity.stream_1'), NULL, 'which stays');
ROLLBACK;

-- Nobody keeps the first two months any more: their segments go.
SELECT pg_temp.set_rule('long', '9 months');
SELECT pg_temp.set_rule('over', '9 months');
SELECT set_eq($$ SELECT object FROM activity.maintain() WHERE action = 'drop' AND object ~ 'stream' $$,
	'{_activity.stream_1,_activity.stream_2}'::text[], 'segments are dropped');
SELECT is(pg_temp.segments(), '_activity.stream_3 _activity.stream_4', 'and no others');
SELECT is((SELECT count(*) FROM _activity.segment), 4::bigint, 'it is known that they were');
SELECT is(pg_temp.problems(o), '', 'the chain of "' || o || '" holds, from an anchor') FROM head;
SELECT is((activity.stream_head(o)).cursor, cursor, 'the head of "' || o || '" stays') FROM head;
SELECT is((activity.stream_head('over')).earliest, 9::bigint, 'where nothing is kept, the earliest is the next');
SELECT is_empty($$ SELECT * FROM activity.replay('over') $$, 'there is nothing to replay');
SELECT is(pg_temp.after('over', 8), NULL, 'nor to go on with');
SELECT is(pg_temp.after('over', 7), 'AC010', 'but what is missed is said');
SELECT is(pg_temp.after('long', 4), 'AC010', 'a cursor from before is refused');
SELECT is(pg_temp.after('long', 8), '9 10 11 12', 'one that misses nothing goes on');
SELECT is((activity.checkpoint('long', 8)).hash, (SELECT hash FROM kept WHERE o = 'long' AND at = 8),
	'a checkpoint at the anchor can still be compared');
SELECT throws_ok($$ SELECT activity.checkpoint('long', 3) $$, '22023', 'position 3 is not kept', 'an older one can''t');

-- Positions and hashes go on from an anchor as from a row.
CALL pg_temp.publish_in(0, '{short,long,late,over}');
SELECT is(pg_temp.after('over', 8), '9 10 11 12', 'the next position comes after the anchor');
SELECT is(pg_temp.after('long', 12), '13 14 15 16', 'and after what is kept');
SELECT is(pg_temp.problems(o), '', 'in an unbroken chain: ' || o) FROM head;

-- Anchors that somebody changes, removes, or adds to hide what he did.
CREATE FUNCTION pg_temp.after_tampering(organization text, change text, OUT answer text) LANGUAGE plpgsql AS $$
DECLARE
	key integer := (SELECT min(o.key) FROM _activity.organization o WHERE o.id = organization);
BEGIN
	CALL pg_temp.tamper(replace(change, ':key', key::text));
	answer := pg_temp.problems(organization);
	RAISE SQLSTATE 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
END
$$;
SELECT is(pg_temp.after_tampering('long', $$UPDATE _activity.stream_anchor SET hash = sha256('x') WHERE organization = :key$$),
	'9 event … is not what was published at this position', 'a changed anchor');
SELECT is(pg_temp.after_tampering('long', $$DELETE FROM _activity.stream_anchor WHERE organization = :key$$),
	'1 missing from the stream, as are all up to 8', 'a removed one');
SELECT is(pg_temp.after_tampering('long', format($$UPDATE _activity.event SET description = 'nothing' WHERE id = %L;
	INSERT INTO _activity.stream_anchor SELECT organization, position, segment, hash FROM _activity.stream WHERE organization = :key AND position = 10$$,
	pg_temp.event_of('long', 9))),
	'9 an anchor at 10 hides this event from readers; 9 event … is not what was published at this position',
	'one that was added behind a changed event');
SELECT is(pg_temp.after_tampering('long', $$INSERT INTO _activity.stream_anchor VALUES (:key, 99, 4, sha256('x'))$$),
	'9 an anchor at 99 hides this event from readers; 99 an anchor after the end of the stream', 'one that was added at the end');
SELECT is(pg_temp.after_tampering('short', $$UPDATE _activity.stream SET hash = sha256('x') WHERE organization = :key AND position = 12$$),
	'12 the anchor here has another hash; 13 event … is not what was published at this position',
	'a changed hash at a position whose event is gone');

-- An anchor is of the epoch in which its position was published.
SELECT split_part(cursor, '.', 1) AS epoch FROM activity.stream_head('long') \gset
ALTER TABLE _activity.segment DISABLE TRIGGER append_only;
UPDATE _activity.segment SET epoch = CASE :epoch WHEN 7 THEN 8 ELSE 7 END WHERE number <= 2;
ALTER TABLE _activity.segment ENABLE ALWAYS TRIGGER append_only;
SELECT epoch AS former FROM _activity.segment WHERE number = 1 \gset
SELECT is((SELECT min(position) FROM activity.replay('long', :'former' || '.8')), 9::bigint, 'a cursor to an anchor of a former epoch goes on');
SELECT throws_ok(format($$ SELECT activity.replay('long', '%s.8') $$, :'epoch'), 'AC011', NULL, 'not as one of the present epoch');
SELECT throws_ok(format($$ SELECT activity.replay('long', '%s.9') $$, :'former'), 'AC011', NULL, 'nor does what the former one never had');
SELECT throws_ok(format($$ SELECT activity.replay('long', '%s.3') $$, :'former'), 'AC010', NULL, 'what it had and is gone is expired');
SELECT * FROM finish();
