-- activity.define_event_type(): an application's own event types.
\set SHOW_CONTEXT never
\pset null '(null)'
SELECT activity.define_event_type('report.exported', 'Report "{name}" was exported[ by {email}]',
	'{name}', 'Reports', 'report', 'A report left the house');
SELECT * FROM activity.event_types WHERE NOT built_in \gx
SELECT activity.render_description('report.exported', '{"name":"Q3","email":"a@example.com"}'),
	activity.render_description('REPORT.Exported', '{"name":"Q3"}');

-- Usable where it was made, in the same transaction and statement; a rollback
-- forgets it.
BEGIN;
SELECT activity.render_description(activity.define_event_type('report.printed', 'Printed {pages|no} pages'), '{"pages":3}');
SELECT 'report.printed'::activity.event_type;
SAVEPOINT revise;
SELECT activity.define_event_type('report.printed', 'Put {pages} pages on paper');
SELECT activity.render_description('report.printed', '{"pages":3}');
ROLLBACK TO revise;
SELECT activity.render_description('report.printed', '{"pages":3}');
ROLLBACK;
SELECT 'report.printed'::activity.event_type;

-- Revising keeps the type: what was recorded follows.
CREATE TEMP TABLE kept AS SELECT 'report.exported'::activity.event_type AS type;
SELECT activity.define_event_type('report.exported', 'Exported {name}', meaning => 'Now shorter');
SELECT activity.render_description(type, '{"name":"Q3"}') FROM kept;
SELECT * FROM activity.event_types WHERE NOT built_in \gx
-- The same again writes nothing.
SELECT xmin AS before FROM _activity.event_type_definition \gset
SELECT activity.define_event_type('report.exported', 'Exported {name}', meaning => 'Now shorter');
SELECT xmin = :'before' AS untouched FROM _activity.event_type_definition;
-- A new action of a built-in category belongs to its family.
SELECT activity.define_event_type('credit.expired', '{amount} credits expired');
SELECT key, family FROM activity.event_types WHERE key = 'credit.expired';
-- It is suggested like any other.
SELECT 'report.exportet'::activity.event_type;

-- What is refused.
SELECT activity.define_event_type('credit.charge', 'Mine');
SELECT activity.define_event_type('Report.Exported', 'Mine');
SELECT activity.define_event_type('report', 'Mine');
SELECT activity.define_event_type('report.', 'Mine');
SELECT activity.define_event_type('.exported', 'Mine');
SELECT activity.define_event_type('report.exported.pdf', 'Mine');
SELECT activity.define_event_type('report.ex-ported', 'Mine');
SELECT activity.define_event_type('unknown.thing', 'Mine');
SELECT activity.define_event_type('report.' || repeat('x', 121), 'Mine');
SELECT activity.define_event_type(NULL, 'Mine');
SELECT activity.define_event_type('report.new', 'Mine', '{a,b,a}');
SELECT activity.define_event_type('report.new', 'Mine', '{a,NULL}');
SELECT activity.define_event_type('report.new', 'Mine', '{"a b"}');
SELECT activity.define_event_type('report.new', 'Mine', '{{a,b},{c,d}}');
SELECT activity.define_event_type('report.new', 'Mine', (SELECT array_agg('f' || i) FROM generate_series(1, 33) i));
SELECT activity.define_event_type('report.new', 'Mine', family => '');
SELECT activity.define_event_type('report.new', 'Mine', subject_kind => repeat('x', 128));
SELECT activity.define_event_type('report.new', 'Mine', meaning => repeat('x', 1001));
-- Two keys with one hash.
SELECT activity.define_event_type('test.ssvok', 'One');
SELECT activity.define_event_type('test.byrvva', 'Other');
-- The longest key there can be.
SELECT length(activity.define_event_type('report.' || repeat('x', 120), 'Mine')::text);

-- Bad templates, each with its place and what to do.
SELECT activity.define_event_type('report.new', '');
SELECT activity.define_event_type('report.new', E' \t');
SELECT activity.define_event_type('report.new', repeat('x', 2001));
SELECT activity.define_event_type('report.new', 'Exportiert für {name');
SELECT activity.define_event_type('report.new', 'Exported {name}}');
SELECT activity.define_event_type('report.new', 'Exported name}');
SELECT activity.define_event_type('report.new', 'Exported[ by {email}');
SELECT activity.define_event_type('report.new', 'Exported by {email}]');
SELECT activity.define_event_type('report.new', 'Exported[ by {email}[ at {time}]]');
SELECT activity.define_event_type('report.new', '[INFO] {name}');
SELECT activity.define_event_type('report.new', 'Exported {}');
SELECT activity.define_event_type('report.new', 'Exported {name|}');
SELECT activity.define_event_type('report.new', 'Exported {|name}');
SELECT activity.define_event_type('report.new', 'Exported {first name}');
SELECT activity.define_event_type('report.new', 'Exported {the first|name}');
SELECT activity.define_event_type('report.new', 'Exported {name[0]}');
SELECT activity.define_event_type('report.new', 'Exported {na{me}');
SELECT count(*) FROM activity.event_types WHERE key = 'report.new';
\set VERBOSITY sqlstate
SELECT activity.define_event_type('report.new', 'Exported {}');
SELECT activity.define_event_type('report', 'Mine');
SELECT activity.define_event_type('credit.charge', 'Mine');
\set VERBOSITY default

-- A definition that somebody removes by hand leaves values that print.
DELETE FROM _activity.event_type_definition;
SELECT type::text FROM kept;
SELECT 'report.exported'::activity.event_type;

-- The same key has the same code again, in any database. So while a dump is
-- restored a view may name what will be defined later.
SET check_function_bodies = off;
CREATE TEMP VIEW of_kept AS SELECT * FROM kept WHERE type = 'report.exported';
SELECT 'Report!'::activity.event_type;
SELECT 'unknown.1'::activity.event_type;
RESET check_function_bodies;
SELECT activity.define_event_type('report.exported', 'Exported {name}');
SELECT * FROM of_kept;
DELETE FROM _activity.event_type_definition;
