-- What installing ends with, and each update.

-- The indexes that the extension has made, those of tables that came after own_index
-- included.
DO $$ -- in every update, too
BEGIN
	INSERT INTO _activity.own_index
	SELECT held.relname, index.relname, pg_catalog.pg_get_indexdef(index.oid)
	FROM pg_catalog.pg_index i
	JOIN pg_catalog.pg_class held ON held.oid = i.indrelid
	JOIN pg_catalog.pg_class index ON index.oid = i.indexrelid
	JOIN pg_catalog.pg_depend d ON d.objid = held.oid AND d.classid = 'pg_catalog.pg_class'::regclass
		AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
	WHERE held.relnamespace = '_activity'::regnamespace
	  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
	  AND NOT EXISTS (SELECT FROM _activity.own_index own
		WHERE own.relation = held.relname AND own.name = index.relname);
END
$$;
