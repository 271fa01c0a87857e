-- Our own rules on the SQL: everything is described, nothing hides in another
-- schema, definers and views are safe.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(11);

CREATE TEMPORARY VIEW member AS
	SELECT d.classid, d.objid, i.type, i.schema, i.identity
	FROM pg_depend d
	JOIN pg_extension e ON e.oid = d.refobjid
	CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
	WHERE d.refclassid = 'pg_extension'::regclass
	  AND d.deptype = 'e' AND e.extname = 'activity';

-- Operators on our own types are an exception: in pg_catalog they are found
-- whatever the search_path.
SELECT is_empty($$
	SELECT m.type, m.identity FROM member m
	LEFT JOIN pg_operator o
		ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid
	LEFT JOIN pg_type t ON t.oid = o.oprleft AND o.oprleft = o.oprright
	WHERE m.schema NOT IN ('activity', '_activity')
	  AND NOT coalesce(m.schema = 'pg_catalog'
					   AND t.typnamespace = 'activity'::regnamespace, false)
	$$, 'every object is in activity or _activity');

SELECT is_empty($$
	SELECT identity FROM member
	WHERE classid = 'pg_proc'::regclass
	  AND obj_description(objid, 'pg_proc') IS NULL
	$$, 'every function has a comment');

SELECT is_empty($$
	SELECT m.type, m.identity
	FROM member m
	JOIN pg_class c ON c.oid = m.objid
	WHERE m.classid = 'pg_class'::regclass AND m.schema = 'activity'
	  AND c.relkind IN ('r', 'p', 'v')
	  AND obj_description(m.objid, 'pg_class') IS NULL
	UNION ALL
	SELECT m.type, m.identity
	FROM member m
	JOIN pg_type t ON t.oid = m.objid
	LEFT JOIN pg_class c ON c.oid = t.typrelid
	WHERE m.classid = 'pg_type'::regclass AND m.schema = 'activity'
	  AND t.typcategory <> 'A' AND coalesce(c.relkind, 'c') = 'c'
	  AND obj_description(m.objid, 'pg_type') IS NULL
	$$, 'every public view, table and type has a comment');

-- That volatility and PARALLEL are written out, only the source shows: see
-- test/rules. A safe function must not be volatile, unless it is C, where its
-- author answers for it.
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member m JOIN pg_proc p ON p.oid = m.objid
	JOIN pg_language l ON l.oid = p.prolang
	WHERE m.classid = 'pg_proc'::regclass
	  AND p.provolatile = 'v' AND p.proparallel = 's'
	  AND l.lanname <> 'c'
	$$, 'no volatile function is parallel safe');

SELECT is_empty($$
	SELECT p.oid::regprocedure, p.proconfig
	FROM member m JOIN pg_proc p ON p.oid = m.objid
	WHERE m.classid = 'pg_proc'::regclass AND p.prosecdef
	  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig),
					   false)
	$$, 'every SECURITY DEFINER function pins search_path');

SELECT is_empty($$
	SELECT p.oid::regprocedure
	FROM member m
	JOIN pg_proc p ON p.oid = m.objid
	JOIN pg_language l ON l.oid = p.prolang
	WHERE m.classid = 'pg_proc'::regclass
	  AND (l.lanname = 'plpgsql' OR l.lanname = 'sql' AND p.prosqlbody IS NULL)
	  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig),
					   false)
	$$, 'names in function bodies bind at creation or under a pinned search_path');

SELECT is_empty($$
	SELECT c.oid::regclass
	FROM member m JOIN pg_class c ON c.oid = m.objid
	WHERE m.classid = 'pg_class'::regclass AND c.relkind = 'v'
	  AND NOT coalesce(c.reloptions && '{security_barrier=true,
						security_barrier=on,security_invoker=true,
						security_invoker=on}', false)
	$$, 'every view says whether it is a barrier or runs as its reader');

SELECT is_empty($$
	SELECT m.type, m.identity, a.privilege_type
	FROM member m
	LEFT JOIN pg_proc p
		ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
	LEFT JOIN pg_class c
		ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
	LEFT JOIN pg_namespace n
		ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
	LEFT JOIN pg_type t
		ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
		AND t.typnamespace = 'activity'::regnamespace
		AND t.typcategory <> 'A'
		AND NOT EXISTS (SELECT FROM pg_class row
						WHERE row.oid = t.typrelid AND row.relkind <> 'c')
	CROSS JOIN LATERAL aclexplode(CASE
		WHEN p.oid IS NOT NULL
			THEN coalesce(p.proacl, acldefault('f', p.proowner))
		WHEN c.oid IS NOT NULL THEN c.relacl
		WHEN n.oid IS NOT NULL THEN n.nspacl
		WHEN t.oid IS NOT NULL
			THEN coalesce(t.typacl, acldefault('T', t.typowner))
		END) a
	WHERE a.grantee = 0
	$$, 'nothing is granted to PUBLIC');

-- What runs without being called by name needs no right of its own.
SELECT is_empty($$
	SELECT m.identity
	FROM member m
	JOIN pg_proc p ON p.oid = m.objid
	WHERE m.classid = 'pg_proc'::regclass AND m.schema = 'activity'
	  AND p.proname NOT IN (
		SELECT object FROM _activity.privilege() WHERE kind = 'function')
	  AND p.oid NOT IN (SELECT oprcode FROM pg_operator)
	  AND p.oid NOT IN (SELECT amproc FROM pg_amproc)
	  AND p.oid NOT IN (SELECT castfunc FROM pg_cast)
	  AND NOT EXISTS (
		SELECT FROM pg_type t
		WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
	UNION ALL
	SELECT m.identity
	FROM member m
	JOIN pg_class c ON c.oid = m.objid
	WHERE m.classid = 'pg_class'::regclass AND m.schema = 'activity'
	  AND c.relkind IN ('r', 'p', 'v')
	  AND c.relname NOT IN (
		SELECT object FROM _activity.privilege() WHERE kind = 'relation')
	$$, 'a right opens every public function and view');

-- Who waits for upkeep holds no lock on a table that upkeep may want for itself.
SELECT is_empty($$
	SELECT m.identity
	FROM member m
	JOIN pg_proc p ON p.oid = m.objid
	WHERE m.classid = 'pg_proc'::regclass AND p.prosrc ~ 'check_tables\(.*lock_upkeep\('
	$$, 'tables are checked, and so locked, after the wait for upkeep');

-- The script runs as a superuser, functions run as the extension's owner.
SELECT is_empty($$
	SELECT c.oid::regclass
	FROM pg_class c
	WHERE c.relnamespace = '_activity'::regnamespace AND c.relkind = 'v' AND c.relacl IS NULL
	  AND EXISTS (
		SELECT FROM member m
		JOIN pg_proc p ON p.oid = m.objid
		WHERE m.classid = 'pg_proc'::regclass AND p.prokind IN ('f', 'p')
		  AND pg_get_functiondef(p.oid) ~ ('_activity\.' || c.relname || '\M'))
	$$, 'a private view that a function reads is granted to the owner');

SELECT * FROM finish();
ROLLBACK;
