-- All that the extension has made, as its catalog says it.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SET search_path = pg_catalog;
CREATE TEMPORARY VIEW member AS
SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'activity');
CREATE TEMPORARY VIEW own_relation AS
SELECT c.* FROM pg_class c JOIN member m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass;
CREATE TEMPORARY VIEW line (what, text) AS
SELECT 'member', pg_describe_object(classid, objid, 0) FROM member
UNION ALL
SELECT 'comment', format('%s: %s', pg_describe_object(m.classid, m.objid, 0), d.description)
FROM member m JOIN pg_description d ON d.objoid = m.objid AND d.classoid = m.classid AND d.objsubid = 0
UNION ALL
SELECT 'function', format('%s owner %s %s', CASE p.prokind WHEN 'a' THEN p.oid::regprocedure::text ELSE pg_get_functiondef(p.oid) END,
	p.proowner::regrole, p.probin)
FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
UNION ALL
SELECT 'relation', format('%s %s %s owner %s %s', c.relkind, c.oid::regclass, c.relpersistence, c.relowner::regrole, c.reloptions)
FROM own_relation c
UNION ALL
SELECT 'view', format('%s: %s', c.oid::regclass, pg_get_viewdef(c.oid)) FROM own_relation c WHERE c.relkind = 'v'
UNION ALL
SELECT 'columns', format('%s (%s)', c.oid::regclass, string_agg(format('%s %s %s %s %s %s', a.attname,
	format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation, a.attidentity), ', ' ORDER BY a.attnum))
FROM own_relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
GROUP BY c.oid
UNION ALL
SELECT 'composite', format('%s (%s)', t.oid::regtype, string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
FROM pg_type t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass
JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped GROUP BY t.oid
UNION ALL
SELECT 'type', format('%s %s %s %s %s %s %s owner %s', t.oid::regtype, t.typtype, t.typlen, t.typbyval, t.typinput, t.typoutput,
	(SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), t.typowner::regrole)
FROM pg_type t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass
UNION ALL
SELECT 'index', pg_get_indexdef(i.indexrelid) || i.indisvalid::text FROM pg_index i JOIN own_relation c ON c.oid = i.indrelid
UNION ALL
SELECT 'constraint', format('%s on %s: %s', k.conname, c.oid::regclass, pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN own_relation c ON c.oid = k.conrelid
UNION ALL
SELECT 'trigger', pg_get_triggerdef(t.oid) || t.tgenabled::text FROM pg_trigger t JOIN own_relation c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger', format('%s %s %s %s %s', e.evtname, e.evtevent, e.evtenabled, e.evttags, e.evtfoid::regproc) FROM pg_event_trigger e WHERE e.evtname ~ '^activity'
UNION ALL
SELECT 'sequence', format('%s %s %s', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart) FROM pg_sequence s JOIN own_relation c ON c.oid = s.seqrelid
UNION ALL
SELECT 'configuration', format('%s %s', config.oid::regclass, config.condition)
FROM pg_extension x, LATERAL unnest(x.extconfig, x.extcondition) config (oid, condition) WHERE x.extname = 'activity'
UNION ALL
SELECT 'version', x.extversion FROM pg_extension x WHERE x.extname = 'activity'
UNION ALL
SELECT 'function rights', format('%s: %s', p.oid::regprocedure, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(p.proacl) a))
FROM pg_proc p JOIN member m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass
UNION ALL
SELECT 'relation rights', format('%s: %s', c.oid::regclass, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) a)) FROM own_relation c
UNION ALL
SELECT 'type rights', format('%s: %s', t.oid::regtype, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(t.typacl) a))
FROM pg_type t JOIN member m ON m.objid = t.oid AND m.classid = 'pg_type'::regclass
UNION ALL
SELECT 'schema rights', format('%s: %s', n.nspname, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(n.nspacl) a))
FROM pg_namespace n WHERE n.nspname ~ '^_?activity$'
UNION ALL -- what a dump leaves out
SELECT 'initial rights', format('%s: %s', pg_describe_object(i.classoid, i.objoid, i.objsubid), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(i.initprivs) a))
FROM pg_init_privs i JOIN member m ON m.objid = i.objoid AND m.classid = i.classoid
UNION ALL
SELECT 'operator', format('%s %s %s %s', o.oid::regoperator, o.oprcode, o.oprrest, o.oprjoin)
FROM pg_operator o JOIN member m ON m.objid = o.oid AND m.classid = 'pg_operator'::regclass
UNION ALL
SELECT 'cast', format('%s %s %s', pg_describe_object('pg_cast'::regclass, c.oid, 0), c.castfunc::regproc, c.castcontext)
FROM pg_cast c JOIN member m ON m.objid = c.oid AND m.classid = 'pg_cast'::regclass
UNION ALL
SELECT 'own index', format('%s %s %s', relation, name, definition) FROM _activity.own_index
UNION ALL
SELECT 'built-in measure', m::text FROM _activity.measure m WHERE m.number < 1000;
SELECT regexp_replace(what || ': ' || text, '\n\s*', ' ', 'g') FROM line ORDER BY (what || ': ' || text) COLLATE "C";
