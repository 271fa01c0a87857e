-- Retention: events are kept as long as their organization's rule says, or its
-- tier's, or for ever; whole months are dropped, not deleted.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(27);

CREATE FUNCTION pg_temp.name_of(t timestamptz) RETURNS text LANGUAGE sql
	RETURN to_char(t AT TIME ZONE 'UTC', '"_activity.event_"YYYY"_"MM');
CREATE FUNCTION pg_temp.import(organization text, months integer, n integer DEFAULT 1)
RETURNS void LANGUAGE sql BEGIN ATOMIC
	SELECT count(activity.record(import.organization, 'credit.charge', '{"amount": 1}',
		occurred_at => now() - months * interval '1 month' + i * interval '1 microsecond'))
	FROM generate_series(0, n - 1) i;
END;
CREATE FUNCTION pg_temp.kept(wanted text) RETURNS bigint LANGUAGE sql
	RETURN (SELECT count(*) FROM _activity.event e
		JOIN _activity.organization o ON o.key = e.organization
		WHERE o.id = wanted AND e.type::activity.event_type <> 'compliance.retention_changed');

SELECT throws_ok($$ SELECT activity.set_retention('o1', '9999 years') $$,
	'22023', 'events can''t be kept for more than 1000 years', 'so long is for ever');
SELECT throws_ok($$ SELECT activity.set_retention('free'::activity.tier, '1000 years 1 day') $$,
	'22023', NULL, 'for tiers, too');
SELECT throws_ok($$ SELECT activity.set_retention('premium', '1 year') $$,
	'22023', 'there is no organization "premium"', 'a tier is not taken for an organization');
SELECT throws_ok($$ SELECT activity.set_retention('', '1 year') $$, '22023');
SELECT throws_ok($$ SELECT activity.set_retention(NULL::text, '1 year') $$, '22023');
SELECT throws_ok($$ SELECT activity.set_retention(NULL::activity.tier, '1 year') $$, '22023');
SELECT throws_ok($$ SELECT activity.set_retention('short', '0') $$, '22023');
SELECT throws_ok($$ SELECT activity.set_retention(tier => 'free', keep => '-1 day') $$, '22023');

SELECT activity.maintain(since => now() - interval '30 months');
SELECT pg_temp.import(o, m) FROM unnest('{short,tiered,forever}'::text[]) o,
	unnest('{0, 5, 20, 28}'::integer[]) m;
SELECT pg_temp.import(o, m) FROM unnest('{short,tiered}'::text[]) o,
	unnest('{25}'::integer[]) m;
SELECT pg_temp.import('forever', 120);
SELECT pg_temp.import('tiered', 120);
SELECT activity.set_tier('tiered', 'premium');

SELECT is_empty('SELECT * FROM activity.maintain()', 'by default all is kept');
SELECT results_eq(
	$$ SELECT organization COLLATE "default", tier, keep, set_for FROM activity.retention ORDER BY 1 $$,
	$$ VALUES ('forever', 'free'::activity.tier, NULL::interval, 'default'),
		('short', 'free', NULL, 'default'), ('tiered', 'premium', NULL, 'default') $$,
	'and retention says so');

SELECT activity.set_retention('short', '1 year');
SELECT activity.set_retention('short', '3 months');
SELECT activity.set_retention(tier => 'premium', keep => '23 months');
SELECT activity.set_retention(tier => 'free', keep => '1 day');
SELECT activity.set_retention('forever', NULL);
SELECT results_eq(
	$$ SELECT organization COLLATE "default", tier, keep, set_for, kept_since FROM activity.retention ORDER BY 1, 2 $$,
	$$ VALUES ('forever', 'free'::activity.tier, NULL::interval, 'organization', NULL::timestamptz),
		('short', 'free', '3 months', 'organization', now() - interval '3 months'),
		('tiered', 'premium', '23 months', 'tier', now() - interval '23 months'),
		(NULL, 'free', '1 day', 'tier', now() - interval '1 day'),
		(NULL, 'premium', '23 months', 'tier', now() - interval '23 months') $$,
	'the nearest rule counts');

-- Only those of the month of 25 months ago nobody keeps; the empty months, too.
SELECT set_eq(
	$$ SELECT action, object, rows FROM activity.maintain(max_rows => 1000)
	   WHERE action <> 'drop' $$,
	$$ VALUES ('delete', pg_temp.name_of(now() - interval '5 months'), 1::bigint),
		('delete', pg_temp.name_of(now() - interval '20 months'), 1),
		('delete', pg_temp.name_of(now() - interval '28 months'), 2),
		('delete', '_activity.event_default', 1) $$,
	'rows of those whose time is over are deleted where others stay');
SELECT is(to_regclass(pg_temp.name_of(now() - interval '25 months')), NULL,
	'a month that nobody keeps is dropped');
SELECT isnt(to_regclass(pg_temp.name_of(now() - interval '28 months')), NULL,
	'one that somebody keeps is not');
SELECT is(pg_temp.kept('short'), 1::bigint, 'three months');
SELECT is(pg_temp.kept('tiered'), 3::bigint, '23 months');
SELECT is(pg_temp.kept('forever'), 5::bigint, 'for ever');

SELECT activity.maintain();
SELECT activity.maintain();
SELECT is_empty('SELECT * FROM activity.maintain()', 'in the end nothing is left to do');

-- Rules taken back, and changed.
SELECT activity.unset_retention('forever');
SELECT results_eq(
	$$ SELECT keep, set_for FROM activity.retention WHERE organization = 'forever' $$,
	$$ VALUES ('1 day'::interval, 'tier') $$, 'the tier''s rule counts again');
SELECT is((SELECT count(*) FROM activity.maintain(max_rows => 1)
	WHERE action = 'delete'), 1::bigint, 'a call deletes at most max_rows');
SELECT isnt_empty('SELECT * FROM activity.maintain()', 'the next one goes on');
SELECT is(pg_temp.kept('forever'), 1::bigint, 'a day, by whole months');
SELECT is(pg_temp.kept('tiered'), 3::bigint, 'and others keep theirs');

-- Something else stands on a month.
SELECT pg_temp.import('short', 10);
SELECT activity.maintain();
SELECT is(pg_temp.kept('short'), 1::bigint, 'imported too late');
SELECT activity.set_retention('tiered', '1 day');
CREATE TEMPORARY TABLE old AS SELECT pg_temp.name_of(now() - interval '20 months') AS name;
DO $$ BEGIN
	EXECUTE format('CREATE VIEW pg_temp.stands_on AS SELECT * FROM %s', (SELECT name FROM old));
END $$;
SELECT ok(bool_or(action = 'skip' AND object = (SELECT name FROM old) || ' is in use'),
	'a month that a view stands on is skipped') FROM activity.maintain();
SELECT isnt(to_regclass((SELECT name FROM old)), NULL, 'and stays');
DROP VIEW pg_temp.stands_on;
SELECT ok(bool_or(action = 'drop' AND object = (SELECT name FROM old)),
	'and goes when nothing does') FROM activity.maintain();
SELECT * FROM finish();
ROLLBACK;
