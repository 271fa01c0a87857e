-- What stands in tables and hashes, to the byte: a dump carries it to other machines.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(5);
SELECT activity.set_actor('org:ada', on_behalf_of => '{"kind": "user", "id": "grace hopper of the navy"}');
SELECT activity.record('bytes', 'credit.charge', '{"id": "s1"}', '{"amount": 1}', occurred_at => '2026-01-02 03:04:05.678901+00') AS id \gset
SELECT results_eq(
	format('SELECT type, actor_hash, subject_hash, on_behalf_of_hash FROM _activity.event WHERE id = %L', :'id'),
	$$VALUES (65, 1466009612, 762377002, -1147215308)$$, 'the code and the hashes of an event');
SELECT is(left(:'id', 18), '019b7ca9-8f2e-7e6b', 'the time in its id, most significant byte first');
SELECT is(encode(uuid_send(:'id'), 'hex'), replace(:'id', '-', ''), 'which is its bytes');
SELECT is(activity.event_time(:'id'), '2026-01-02 03:04:05.678901+00', 'and is read from them');
SELECT is(encode(_activity.event_type_send('credit.charge'), 'escape'), 'credit.charge', 'an event type travels by its key');
SELECT * FROM finish();
ROLLBACK;
