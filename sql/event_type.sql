-- activity.event_type: the taxonomy's code, 4 bytes, read and written as its key.
--
-- Input and output may read the application's definitions, so they are STABLE;
-- a literal is nevertheless turned into a constant once, when it is parsed.
CREATE TYPE activity.event_type;

CREATE FUNCTION _activity.event_type_in(cstring) RETURNS activity.event_type
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_in';
COMMENT ON FUNCTION _activity.event_type_in(cstring) IS 'input of activity.event_type';

CREATE FUNCTION _activity.event_type_out(activity.event_type) RETURNS cstring
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_out';
COMMENT ON FUNCTION _activity.event_type_out(activity.event_type) IS 'output of activity.event_type';

CREATE FUNCTION _activity.event_type_recv(internal) RETURNS activity.event_type
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_recv';
COMMENT ON FUNCTION _activity.event_type_recv(internal) IS 'binary input of activity.event_type: the key';

CREATE FUNCTION _activity.event_type_send(activity.event_type) RETURNS bytea
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_send';
COMMENT ON FUNCTION _activity.event_type_send(activity.event_type) IS 'binary output of activity.event_type: the key';

CREATE TYPE activity.event_type (
	INPUT = _activity.event_type_in,
	OUTPUT = _activity.event_type_out,
	RECEIVE = _activity.event_type_recv,
	SEND = _activity.event_type_send,
	LIKE = pg_catalog.int4
);
COMMENT ON TYPE activity.event_type IS
	'what kind of thing happened: a key category.action of the taxonomy, such as credit.charge';

-- Comparison and hashing are those of the code, an integer.
CREATE FUNCTION _activity.event_type_eq(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4eq';
COMMENT ON FUNCTION _activity.event_type_eq(activity.event_type, activity.event_type) IS 'implementation of = operator';
CREATE FUNCTION _activity.event_type_ne(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4ne';
COMMENT ON FUNCTION _activity.event_type_ne(activity.event_type, activity.event_type) IS 'implementation of <> operator';
CREATE FUNCTION _activity.event_type_lt(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4lt';
COMMENT ON FUNCTION _activity.event_type_lt(activity.event_type, activity.event_type) IS 'implementation of < operator';
CREATE FUNCTION _activity.event_type_le(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4le';
COMMENT ON FUNCTION _activity.event_type_le(activity.event_type, activity.event_type) IS 'implementation of <= operator';
CREATE FUNCTION _activity.event_type_gt(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4gt';
COMMENT ON FUNCTION _activity.event_type_gt(activity.event_type, activity.event_type) IS 'implementation of > operator';
CREATE FUNCTION _activity.event_type_ge(activity.event_type, activity.event_type) RETURNS boolean
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4ge';
COMMENT ON FUNCTION _activity.event_type_ge(activity.event_type, activity.event_type) IS 'implementation of >= operator';
CREATE FUNCTION _activity.event_type_cmp(activity.event_type, activity.event_type) RETURNS integer
	LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'btint4cmp';
COMMENT ON FUNCTION _activity.event_type_cmp(activity.event_type, activity.event_type) IS 'less-equal-greater, by code';
CREATE FUNCTION _activity.event_type_sortsupport(internal) RETURNS void
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'btint4sortsupport';
COMMENT ON FUNCTION _activity.event_type_sortsupport(internal) IS 'sort support, by code';
CREATE FUNCTION _activity.event_type_hash(activity.event_type) RETURNS integer
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashint4';
COMMENT ON FUNCTION _activity.event_type_hash(activity.event_type) IS 'hash of the code';
CREATE FUNCTION _activity.event_type_hash(activity.event_type, bigint) RETURNS bigint
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashint4extended';
COMMENT ON FUNCTION _activity.event_type_hash(activity.event_type, bigint) IS 'hash of the code, with a seed';

-- The operators are in pg_catalog, because there they are found whatever the
-- search_path: a condition event_type = 'credit.charge' must just work.
CREATE OPERATOR pg_catalog.= (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_eq,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR pg_catalog.<> (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_ne,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR pg_catalog.< (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_lt,
	COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
CREATE OPERATOR pg_catalog.<= (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_le,
	COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
CREATE OPERATOR pg_catalog.> (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_gt,
	COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
CREATE OPERATOR pg_catalog.>= (
	LEFTARG = activity.event_type, RIGHTARG = activity.event_type,
	FUNCTION = _activity.event_type_ge,
	COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.= (activity.event_type, activity.event_type) IS 'the same type; a synonym is another';
COMMENT ON OPERATOR pg_catalog.<> (activity.event_type, activity.event_type) IS 'another type';
COMMENT ON OPERATOR pg_catalog.< (activity.event_type, activity.event_type) IS 'before, in the order of codes';
COMMENT ON OPERATOR pg_catalog.<= (activity.event_type, activity.event_type) IS 'before or the same, in the order of codes';
COMMENT ON OPERATOR pg_catalog.> (activity.event_type, activity.event_type) IS 'after, in the order of codes';
COMMENT ON OPERATOR pg_catalog.>= (activity.event_type, activity.event_type) IS 'after or the same, in the order of codes';

CREATE OPERATOR CLASS _activity.event_type_ops DEFAULT FOR TYPE activity.event_type USING btree AS
	OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=, OPERATOR 5 pg_catalog.>,
	FUNCTION 1 _activity.event_type_cmp(activity.event_type, activity.event_type),
	FUNCTION 2 _activity.event_type_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);

CREATE OPERATOR CLASS _activity.event_type_ops DEFAULT FOR TYPE activity.event_type USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 _activity.event_type_hash(activity.event_type),
	FUNCTION 2 _activity.event_type_hash(activity.event_type, bigint);

-- Casts: text becomes a type silently, a type becomes text only when asked.
CREATE FUNCTION _activity.event_type(text) RETURNS activity.event_type
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_from_text';
COMMENT ON FUNCTION _activity.event_type(text) IS 'cast of a key to activity.event_type';
CREATE FUNCTION _activity.text(activity.event_type) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_event_type_to_text';
COMMENT ON FUNCTION _activity.text(activity.event_type) IS 'cast of activity.event_type to its key';

CREATE CAST (text AS activity.event_type)
	WITH FUNCTION _activity.event_type(text) AS IMPLICIT;
CREATE CAST (varchar AS activity.event_type)
	WITH FUNCTION _activity.event_type(text) AS IMPLICIT;
CREATE CAST (activity.event_type AS text)
	WITH FUNCTION _activity.text(activity.event_type);

CREATE FUNCTION activity.category(event_type activity.event_type) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_category';
COMMENT ON FUNCTION activity.category(activity.event_type) IS
	'the part of the key before the dot: credit of credit.charge';

CREATE FUNCTION activity.action(event_type activity.event_type) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'act_action';
COMMENT ON FUNCTION activity.action(activity.event_type) IS
	'the part of the key behind the dot: charge of credit.charge';
