-- What each upgrade ends with.

-- Sessions that know the tables look at the extension's version again.
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE
	ON _activity.event
	FOR EACH STATEMENT EXECUTE FUNCTION _activity.refuse_change();
ALTER TABLE _activity.event ENABLE ALWAYS TRIGGER append_only;

-- Rights to what is new are not given here, because what a script grants is in no
-- dump; it says what to call instead, as a warning, since scripts may give no notice.
DO $$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT acl.grantee::regrole AS role, marker.what
		FROM (VALUES (1, 'administer', 'allow'), (2, 'read', 'feed'), (3, 'record', 'record'),
			(4, 'comply', 'redact_person'), (5, 'serve', 'http')) marker (place, what, name)
		JOIN pg_catalog.pg_proc p ON p.pronamespace = 'activity'::regnamespace AND p.proname = marker.name
		CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) acl
		WHERE acl.grantee NOT IN (0, p.proowner, (SELECT x.extowner FROM pg_catalog.pg_extension x WHERE x.extname = 'activity'))
		  AND EXISTS (
			SELECT FROM _activity.privilege() opens
			WHERE (opens.what = marker.what OR opens.what = 'use' AND marker.what <> 'serve' OR marker.what = 'administer')
			  AND (opens.kind IN ('function', 'helper') AND EXISTS (
					SELECT FROM pg_catalog.pg_proc f
					WHERE f.proname = opens.object
					  AND f.pronamespace = (CASE opens.kind WHEN 'helper' THEN '_activity' ELSE 'activity' END)::regnamespace
					  AND NOT pg_catalog.has_function_privilege(acl.grantee, f.oid, 'EXECUTE'))
				OR opens.kind = 'relation' AND NOT pg_catalog.has_table_privilege(acl.grantee,
					('activity.' || opens.object)::regclass, 'SELECT')
				OR opens.kind = 'type' AND NOT pg_catalog.has_type_privilege(acl.grantee,
					('activity.' || opens.object)::regtype, 'USAGE')))
		  AND NOT (marker.place > 1 AND EXISTS (
			SELECT FROM pg_catalog.pg_proc allow
			WHERE allow.oid = 'activity.allow'::regproc
			  AND pg_catalog.has_function_privilege(acl.grantee, allow.oid, 'EXECUTE')))
		ORDER BY 1, marker.place
	LOOP
		RAISE WARNING 'role % lacks what is new in its right', item.role
			USING HINT = pg_catalog.format('SELECT activity.allow(%L, %L)', item.role, item.what);
	END LOOP;
END
$$;
