-- Consumers: each event comes until it is acknowledged, to one poller at a time, in
-- its organization's order; a lease that is over moves nothing.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(69);

CREATE FUNCTION take(name text, most int DEFAULT 500) RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT string_agg(p.organization || p."position", ' ' ORDER BY n)
		FROM activity.poll(take.name, take.most) WITH ORDINALITY p (lease, organization, "position", cursor,
			id, occurred_at, event_type, actor_kind, actor_id, actor_name, subject_kind, subject_id, subject,
			metadata, description, context, on_behalf_of, recorded_at, n));
CREATE FUNCTION lease_of(consumer text) RETURNS uuid LANGUAGE sql VOLATILE
	RETURN (SELECT l.lease FROM _activity.consumer_lease l JOIN _activity.consumer c ON c.number = l.consumer
		WHERE c.name = lease_of.consumer ORDER BY l.leased_until DESC LIMIT 1);
CREATE FUNCTION cursor_at(n bigint) RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT max(epoch) || '.' || n FROM _activity.segment);
CREATE PROCEDURE expire() LANGUAGE sql
	BEGIN ATOMIC
		UPDATE _activity.consumer_lease SET leased_until = now() - interval '1 second';
		UPDATE _activity.consumer_mark SET leased_until = now() - interval '1 second' WHERE lease IS NOT NULL;
	END;

SELECT count(activity.record(o, t, '{"kind":"order","id":1}', '{"amount":1,"currency":"usd","name":"p"}'))
FROM (VALUES (1, 'a', 'order.created'), (2, 'a', 'order.created'), (3, 'b', 'order.created'), (4, 'a', 'order.created'),
	(5, 'b', 'plan.created')) v (n, o, t) \g /dev/null
SELECT activity.publish() \g /dev/null

-- Names, and where one begins
SELECT throws_ok($$SELECT activity.create_consumer('')$$, '22023', NULL, 'a consumer has a name');
SELECT throws_ok($$SELECT activity.create_consumer('x', NULL, '{order.creatd}')$$, 'AC001', NULL, 'and types that there are');
SELECT throws_ok($$SELECT activity.create_consumer('x', NULL, NULL, '1.1')$$, '22023', NULL, 'a cursor is of one organization');
SELECT throws_ok($$SELECT activity.create_consumer('x', 'a', NULL, 'soon')$$, 'AC013', NULL, 'and of a shape');
SELECT throws_ok($$SELECT activity.create_consumer('x', 'a', NULL, '1.1')$$, 'AC011', NULL, 'and of this history');
SELECT throws_ok(format($$SELECT activity.create_consumer('x', 'a', NULL, %L)$$, cursor_at(9)), 'AC012', NULL, 'not ahead of it');
SELECT throws_ok(format($$SELECT activity.create_consumer('x', 'nobody', NULL, %L)$$, cursor_at(9)), 'AC012', NULL, 'nor of an organization without events');
SELECT lives_ok($$SELECT activity.create_consumer('all', start => 'earliest')$$, 'one of all organizations, from the beginning');
SELECT throws_ok($$SELECT activity.create_consumer('all')$$, '42710', NULL, 'once');
SELECT activity.create_consumer('now') \g /dev/null
SELECT activity.create_consumer('one', 'a', start => cursor_at(1)) \g /dev/null
SELECT activity.create_consumer('types', event_types => '{plan.*}', start => 'earliest') \g /dev/null
SELECT activity.create_consumer('later', 'new', start => 'earliest') \g /dev/null
SELECT is(take('now'), NULL, 'from now on there is nothing yet');
SELECT is(take('one'), 'a2 a3', 'after a cursor');
SELECT is(take('types'), 'b2', 'of these types');
SELECT is(take('later'), NULL, 'of an organization that is not there yet');
SELECT throws_ok($$SELECT activity.poll('nobody')$$, '42704', NULL, 'a consumer that is not there');
SELECT throws_ok($$SELECT activity.poll(NULL)$$, '22004', NULL, 'no name');
SELECT throws_ok($$SELECT activity.poll('all', 0)$$, '22023', NULL, 'no events');
SELECT throws_ok($$SELECT activity.poll('all', 1, '0')$$, '22023', NULL, 'no time');

-- Leases
SELECT is(take('all', 2), 'a1 a2', 'a batch');
SELECT lease_of('all') AS first \gset
SELECT is(take('all', 2), 'b1 b2', 'the next one is of another organization');
SELECT lease_of('all') AS second \gset
SELECT is(take('all'), NULL, 'for the rest of the first waits for its acknowledgement');
SELECT ok((SELECT leased_until > now() AND last_poll IS NOT NULL AND lag_events = 5 FROM activity.consumers WHERE name = 'all'), 'the view says so');
SELECT throws_ok(format($$SELECT activity.ack('all', %L)$$, gen_random_uuid()), 'AC040', NULL, 'a lease that nobody had');
SELECT throws_ok(format($$SELECT activity.ack('now', %L)$$, :'first'), 'AC040', NULL, 'a lease of another consumer');
SELECT throws_ok(format($$SELECT activity.ack('all', %L, %L)$$, :'first', cursor_at(3)), '22023', NULL, 'a cursor that was not given');
SELECT throws_ok(format($$SELECT activity.ack('all', %L, 'x')$$, :'first'), 'AC013', NULL, 'no cursor at all');
SELECT lives_ok(format($$SELECT activity.ack('all', %L, %L)$$, :'first', cursor_at(1)), 'up to a cursor');
SELECT is(take('all'), NULL, 'what follows it is leased still');
CALL expire();
SELECT throws_ok(format($$SELECT activity.ack('all', %L)$$, :'first'), 'AC040', NULL, 'a lease that is over moves nothing');
SELECT is(take('all', 1), 'a2', 'what it had comes again, from the cursor on');
SELECT throws_ok(format($$SELECT activity.ack('all', %L)$$, :'first'), 'AC040', NULL, 'also when somebody else has it');
SELECT activity.ack('all', lease_of('all')) \g /dev/null
SELECT is(take('all'), 'b1 b2 a3', 'one batch of several organizations, each in its order');
SELECT throws_ok(format($$SELECT activity.ack('all', %L, %L, 'c')$$, lease_of('all'), cursor_at(3)), '22023', NULL, 'a cursor in an organization that has none');
SELECT activity.ack('all', lease_of('all'), cursor_at(3), 'a') \g /dev/null
SELECT is((SELECT count(*) FROM _activity.consumer_lease l JOIN _activity.consumer c ON c.number = l.consumer WHERE c.name = 'all'
	AND l.leased_until > now()), 0::bigint, 'the last cursor ends the lease');
SELECT is((SELECT lag_events FROM activity.consumers WHERE name = 'all'), 0::bigint, 'nothing is left');

-- One transaction of poll, effect and acknowledgement
SELECT take('one') \g /dev/null
BEGIN;
SELECT activity.ack('one', lease_of('one')) \g /dev/null
ROLLBACK;
SELECT is((SELECT lag_events FROM activity.consumers WHERE name = 'one'), 2::bigint, 'what is rolled back is not acknowledged');

SELECT activity.create_consumer('once', start => 'earliest') \g /dev/null
CREATE TABLE effect (id uuid PRIMARY KEY);
PREPARE once AS WITH batch AS MATERIALIZED (SELECT * FROM activity.poll('once', 2)), kept AS (INSERT INTO effect SELECT id FROM batch)
	SELECT activity.ack('once', lease) FROM (SELECT DISTINCT lease FROM batch) l;
EXECUTE once \g /dev/null
EXECUTE once \g /dev/null
EXECUTE once \g /dev/null
EXECUTE once \g /dev/null
SELECT is((SELECT count(*) FROM effect), (SELECT count(*) FROM _activity.stream), 'nor is it in one statement done twice');
SELECT is((SELECT lag_events FROM activity.consumers WHERE name = 'once'), 0::bigint, 'or left');
DROP TABLE effect;

-- A poisonous event
SELECT activity.seek('one', 'earliest') \g /dev/null
SELECT is(take('one'), 'a1 a2 a3', 'moved to the beginning');
SELECT throws_ok(format($$SELECT activity.park('one', %L, %L, 'bad')$$, lease_of('one'), cursor_at(7)), '22023', NULL, 'parking what was not given');
SELECT activity.park('one', lease_of('one'), cursor_at(2), 'bad') \g /dev/null
SELECT results_eq($$SELECT name, organization, position, error, id IS NOT NULL FROM activity.parked$$,
	$$VALUES ('one', 'a', 2::bigint, 'bad', true)$$, 'it is listed');
CALL expire();
SELECT is(take('one'), 'a1 a3', 'it stops nobody');
SELECT activity.ack('one', lease_of('one')) \g /dev/null
SELECT is((SELECT parked FROM activity.consumers WHERE name = 'one'), 1::bigint, 'it stays');
SELECT is(activity.unpark('one', cursor_at(1)), 0::bigint, 'another is not parked');
SELECT is(activity.unpark('one', cursor_at(2)), 1::bigint, 'it can be tried again');
SELECT is(take('one'), 'a2', 'by itself');
CALL expire();
SELECT is(take('one'), 'a2', 'until it is acknowledged');
SELECT activity.park('one', lease_of('one'), cursor_at(2), 'still') \g /dev/null
SELECT activity.ack('one', lease_of('one')) \g /dev/null
SELECT is((SELECT error FROM activity.parked), 'still', 'or parked again');
SELECT activity.unpark('one') \g /dev/null
SELECT take('one') \g /dev/null
SELECT activity.ack('one', lease_of('one'), cursor_at(2)) \g /dev/null
SELECT is(take('one'), NULL, 'acknowledged by its cursor it is gone');

-- Moving it takes what is leased away
SELECT activity.seek('all', 'earliest') \g /dev/null
SELECT take('all') \g /dev/null
SELECT lease_of('all') AS lease \gset
SELECT activity.seek('all', 'now') \g /dev/null
SELECT throws_ok(format($$SELECT activity.ack('all', %L)$$, :'lease'), 'AC040', NULL, 'who had it can''t move the mark');
SELECT throws_ok(format($$SELECT activity.seek('all', %L)$$, cursor_at(1)), '22023', NULL, 'a cursor needs its organization');
SELECT activity.seek('all', cursor_at(1), 'b') \g /dev/null
SELECT is(take('all'), 'b2', 'and moves that one');

-- Retention
SELECT activity.create_consumer('slow', 'old', start => 'earliest') \g /dev/null
SELECT count(activity.record('old', 'order.created', '{"kind":"order","id":1}', '{"amount":1,"currency":"usd"}', occurred_at => now() - ago))
FROM unnest(ARRAY[interval '100 days', interval '1 minute']) ago \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.set_retention('old', interval '105 days') \g /dev/null
SELECT matches((SELECT threatened_consumers::text FROM activity.health), 'consumer ..slow.. in organization ..old..', 'health says it before');
SELECT activity.set_retention('old', interval '30 days') \g /dev/null
SELECT count(*) FROM activity.maintain() \g /dev/null
SELECT throws_ok($$SELECT activity.poll('slow')$$, 'AC010', NULL, 'what retention has taken is not passed over in silence');
SELECT activity.seek('slow', 'earliest') \g /dev/null
SELECT is(take('slow'), 'old2', 'but when one says so');

-- An epoch is a number by chance: the one before may be the larger, or the smaller
CREATE FUNCTION cursor_of(its text, n bigint) RETURNS text LANGUAGE sql VOLATILE
	RETURN (SELECT r.cursor FROM activity.replay(its) r WHERE r."position" = n);
CREATE FUNCTION of_another_epoch(cursor text) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN (split_part(cursor, '.', 1)::int # 1) || '.' || split_part(cursor, '.', 2);
SELECT activity.set_tier(o, 'enterprise') FROM unnest(ARRAY['fork', 'krof']) o \g /dev/null
SELECT count(activity.record(o, 'order.created', '{"kind":"order","id":1}', '{"amount":1,"currency":"usd"}'))
FROM unnest(ARRAY['fork', 'krof']) o, generate_series(1, 2) \g /dev/null
SELECT activity.publish() \g /dev/null
-- As after a restore: what is published next is of a new segment
ALTER TABLE _activity.segment DISABLE TRIGGER append_only;
UPDATE _activity.segment SET timeline = timeline + 1;
SELECT count(activity.record(o, 'order.created', '{"kind":"order","id":1}', '{"amount":1,"currency":"usd"}'))
FROM unnest(ARRAY['fork', 'krof']) o, generate_series(1, 2) \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT isnt(split_part(cursor_of('fork', 2), '.', 1), split_part(cursor_of('fork', 3), '.', 1), 'a history of two epochs');
SELECT activity.create_consumer(o, o, start => 'earliest') FROM unnest(ARRAY['fork', 'krof']) o \g /dev/null
UPDATE _activity.segment SET epoch = v.epoch FROM (VALUES (1, 70), (2, 10)) v (n, epoch)
WHERE number = (SELECT max(number) FROM _activity.segment) - 2 + v.n;
SELECT is(take('fork'), 'fork1 fork2 fork3 fork4', 'a batch of both, the larger epoch first');
SELECT throws_ok(format($$SELECT activity.ack('fork', %L, %L)$$, lease_of('fork'), of_another_epoch(cursor_of('fork', n))),
	'22023', NULL, 'a cursor of another epoch at ' || n || ' is none of it') FROM generate_series(1, 4) n;
SELECT lives_ok(format($$SELECT activity.park('fork', %L, %L, 'bad')$$, lease_of('fork'), cursor_of('fork', 3)), 'its own can be parked');
SELECT lives_ok(format($$SELECT activity.ack('fork', %L, %L)$$, lease_of('fork'), cursor_of('fork', n)), 'and acknowledged, at ' || n)
FROM generate_series(1, 3) n;
CALL expire();
SELECT is(take('fork'), 'fork4', 'and what follows it comes next');
UPDATE _activity.segment SET epoch = 80 - epoch WHERE epoch IN (10, 70);
SELECT is(take('krof'), 'krof1 krof2 krof3 krof4', 'the smaller epoch first');
SELECT throws_ok(format($$SELECT activity.ack('krof', %L, '40.%s')$$, lease_of('krof'), n), '22023', NULL, 'one between the two is none, at ' || n)
FROM generate_series(2, 3) n;
ALTER TABLE _activity.segment ENABLE ALWAYS TRIGGER append_only;

SELECT activity.drop_consumer(name) FROM activity.consumers \g /dev/null
SELECT is((SELECT count(*) FROM _activity.consumer_mark) + (SELECT count(*) FROM _activity.consumer_lease)
	+ (SELECT count(*) FROM _activity.consumer_parked), 0::bigint, 'dropped, nothing is left of it');
SELECT * FROM finish();
