-- Fuzz: whatever the template, key or JSON, only our own errors come out, and what
-- is rendered is what a second, slow renderer, written differently, makes of it.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(8);
SELECT setseed(0.20260731);

-- One of these.
CREATE FUNCTION pg_temp.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT choices[1 + floor(random() * cardinality(choices))::int]
$$;

-- Up to so many of these, one behind the other.
CREATE FUNCTION pg_temp.picks(most int, VARIADIC choices text[]) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	made text := '';
BEGIN
	FOR i IN 1 .. floor(random() * (most + 1)) LOOP
		made := made || pg_temp.pick(VARIADIC choices);
	END LOOP;
	RETURN made;
END
$$;

CREATE FUNCTION pg_temp.random_template() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	piece text[] := '{"x"," ","ü€","]]","[[","}}","{{","{a}","{b}","{kind|x}","{a|b}","{c|a|no one}","{größe}","%s\\n","\"","[{a}]","[ ({b})]","[{b}{c}.]","[[{c}]]"}';
	wild  text[] := '{"[","]","{","}","|","a","b","a b","","{","}","{}","{|a}","{a|}","{a b}","{a.b}","]]]","}}}","[","\t"}';
BEGIN
	IF random() < 0.5 THEN
		RETURN pg_temp.picks(8, VARIADIC piece);
	END IF;
	RETURN pg_temp.picks(8, VARIADIC piece || wild);
END
$$;

CREATE FUNCTION pg_temp.random_value(depth int DEFAULT 0) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	made jsonb := '[]';
BEGIN
	IF depth < 4 AND random() < 0.2 THEN
		FOR i IN 1 .. floor(random() * 4) LOOP
			made := made || jsonb_build_array(pg_temp.random_value(depth + 1));
		END LOOP;
		RETURN made;
	ELSIF depth < 4 AND random() < 0.1 THEN
		RETURN jsonb_build_object('a', pg_temp.random_value(depth + 1), 'x', pg_temp.random_value(depth + 1));
	ELSIF random() < 0.4 THEN
		RETURN to_jsonb((random() * 10 ^ floor(random() * 20 - 10))::numeric
						 * sign(random() - 0.3)::numeric);
	END IF;
	RETURN pg_temp.pick('null', 'true', 'false', '0', '-0.0', '1.000', '100', '1e3', '-2.50e-5', '1e25', '12.340',
		'""', '"text"', '"{a}"', '"[x]"', '"quote\" back\\slash"', '"€ü𝄞"', '"tab\tline\n"')::jsonb;
END
$$;

CREATE FUNCTION pg_temp.random_object() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	made jsonb := '{}';
	name text;
BEGIN
	IF random() < 0.1 THEN
		RETURN NULL;
	END IF;
	FOREACH name IN ARRAY '{a,b,c,größe,"no one",x,kind,""}'::text[] LOOP
		IF random() < 0.4 THEN
			made := made || jsonb_build_object(name, pg_temp.random_value());
		END IF;
	END LOOP;
	RETURN made;
END
$$;

-- The second renderer: tokens by regular expression, NULL for a bad template.
CREATE FUNCTION pg_temp.print(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(value)
		WHEN 'string' THEN value #>> '{}'
		WHEN 'number' THEN trim_scale((value #>> '{}')::numeric)::text
		WHEN 'array' THEN '{' || coalesce((SELECT string_agg(pg_temp.print(e), ',' ORDER BY n)
			FROM jsonb_array_elements(value) WITH ORDINALITY AS x (e, n)), '') || '}'
		ELSE value::text END
$$;

CREATE FUNCTION pg_temp.reference(template text, subject jsonb, metadata jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	fields  jsonb := jsonb_strip_nulls('{}');
	token   text;
	name    text;
	names   text[];
	result  text := '';
	part    text;      -- of the open group, else null
	dropped boolean;
	counted int;
	rest    text := template;
	at      int;
BEGIN
	IF template ~ '^\s*$' OR octet_length(template) > 2000 THEN
		RETURN NULL;
	END IF;
	SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO fields
		FROM (SELECT key, value FROM jsonb_each(coalesce(subject, '{}')) WHERE value <> 'null'
			AND NOT coalesce(metadata -> key <> 'null', false)
			UNION ALL
			SELECT key, value FROM jsonb_each(coalesce(metadata, '{}')) WHERE value <> 'null') f;
	WHILE rest <> '' LOOP
		token := (regexp_match(rest, '^(\[\[|\]\]|\{\{|\}\}|\{[^]{}[]*\}|[^]{}[]+|.)'))[1];
		rest := substr(rest, length(token) + 1);
		CASE
		WHEN token IN ('[[', ']]', '{{', '}}') THEN
			token := left(token, 1);
		WHEN token = '[' THEN
			IF part IS NOT NULL THEN RETURN NULL; END IF;
			part := ''; dropped := false; counted := 0;
			CONTINUE;
		WHEN token = ']' THEN
			IF part IS NULL OR counted = 0 THEN RETURN NULL; END IF;
			IF NOT dropped THEN result := result || part; END IF;
			part := NULL;
			CONTINUE;
		WHEN token IN ('{', '}') THEN
			RETURN NULL;
		WHEN token LIKE '{%' THEN
			names := string_to_array(substr(token, 2, length(token) - 2), '|');
			IF '' = ANY (names) OR names = '{}' THEN RETURN NULL; END IF;
			FOR at IN 1 .. cardinality(names) LOOP
				IF names[at] !~ '^[A-Za-z0-9_\u0080-\U0010ffff-]+$'
					AND NOT (at = cardinality(names) AND at > 1) THEN
					RETURN NULL;
				END IF;
			END LOOP;
			counted := counted + 1;
			token := NULL;
			FOREACH name IN ARRAY names LOOP
				IF name ~ '^\S+$' THEN
					token := coalesce(token, pg_temp.print(fields -> name));
				END IF;
			END LOOP;
			IF token IS NULL AND cardinality(names) = 1 AND part IS NOT NULL THEN
				dropped := true;
			END IF;
			token := coalesce(token, names[cardinality(names)]);
		ELSE
		END CASE;
		IF part IS NULL THEN result := result || token; ELSE part := part || token; END IF;
	END LOOP;
	RETURN CASE WHEN part IS NULL THEN result END;
END
$$;

-- What ours makes of it: the sentence or the SQLSTATE.
CREATE FUNCTION pg_temp.ours(template text, subject jsonb, metadata jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN activity.render_description(activity.define_event_type('fuzz.template', template), subject, metadata);
EXCEPTION WHEN OTHERS THEN
	RETURN 'SQLSTATE ' || SQLSTATE;
END
$$;

CREATE TEMP TABLE tried AS
	SELECT *, pg_temp.reference(template, subject, metadata) AS expected,
		pg_temp.ours(template, subject, metadata) AS rendered
	FROM (SELECT pg_temp.random_template() AS template, pg_temp.random_object() AS subject,
			pg_temp.random_object() AS metadata
		FROM generate_series(1, 6000) OFFSET 0) t;

SELECT is_empty($$ SELECT DISTINCT rendered FROM tried
	WHERE rendered LIKE 'SQLSTATE%' AND rendered <> 'SQLSTATE AC003' $$,
	'a bad template has our own SQLSTATE');
SELECT is_empty($$ SELECT template, expected, rendered FROM tried
	WHERE (expected IS NULL) <> (rendered = 'SQLSTATE AC003') LIMIT 5 $$,
	'both renderers refuse the same templates');
SELECT is_empty($$ SELECT template, subject, metadata, expected, rendered FROM tried
	WHERE expected IS NOT NULL AND rendered COLLATE "C" <> expected LIMIT 5 $$,
	'both renderers print the same');
SELECT cmp_ok((SELECT count(*) FROM tried WHERE expected IS NOT NULL AND expected <> template), '>', 1500::bigint,
	'enough templates were good');
SELECT cmp_ok((SELECT count(*) FROM tried WHERE expected IS NULL), '>', 1000::bigint,
	'enough templates were bad');

-- Built-in templates with whatever comes along.
SELECT is_empty($$
	SELECT key, subject, metadata FROM (
		SELECT t.key, t.template, pg_temp.random_object() || jsonb_build_object('kind', t.subject_kind) AS subject,
			jsonb_build_object(coalesce(t.required[1], 'model'), pg_temp.random_value()) AS metadata
		FROM activity.event_types t, generate_series(1, 10) WHERE t.built_in OFFSET 0) b
	WHERE activity.render_description(key, subject, metadata) COLLATE "C"
		IS DISTINCT FROM pg_temp.reference(template, subject, metadata) $$,
	'built-in templates render the same, too');

-- Keys: found, defined or refused with our own codes.
CREATE FUNCTION pg_temp.try_key(key text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM key::activity.event_type;
	RETURN 'found';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE FUNCTION pg_temp.try_define(key text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF activity.define_event_type(key, 'Tried')::text <> key THEN
		RETURN 'another';
	END IF;
	RETURN 'found';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE TEMP TABLE tried_key AS
	SELECT key, pg_temp.try_key(key) AS found, pg_temp.try_define(key) AS defined
	FROM (SELECT pg_temp.picks(7, 'credit', 'member', 'key', 'api', '_', '.', '.', 'charge', 'joined', 'a', 'Z', '7', ' ',
			'-', 'ü', '*', '%s', 'unknown.', '10000', repeat('x', 60)) AS key
		FROM generate_series(1, 3000) OFFSET 0) k;
SELECT is_empty($$ SELECT DISTINCT found, defined FROM tried_key
	WHERE found NOT IN ('found', 'AC001') OR defined NOT IN ('found', 'AC004') $$,
	'a key is found, defined, or refused with our own SQLSTATE');
SELECT is_empty($$ SELECT key, defined FROM tried_key
	WHERE (defined = 'found') <> (key ~ '^[a-z0-9_]+\.[a-z0-9_]+$' AND octet_length(key) <= 127
		AND key NOT LIKE 'unknown.%'
		AND key NOT IN (SELECT t.key FROM activity.event_types t WHERE t.built_in)) $$,
	'exactly the keys of the right form can be defined');

SELECT * FROM finish();
ROLLBACK;
