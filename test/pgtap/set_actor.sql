-- set_actor() leaves nothing of the actor before it, whatever was set how and where.
\set ON_ERROR_STOP 1
SELECT plan(3);
CREATE TABLE wrong (what text, have text, want text);
CREATE FUNCTION now_set() RETURNS text LANGUAGE sql VOLATILE RETURN (SELECT string_agg(coalesce(current_setting('activity.' || name, true), ''), '|' ORDER BY place)
	FROM unnest('{actor_id,actor_kind,actor_name,on_behalf_of_id,on_behalf_of_kind,on_behalf_of_name,context}'::text[]) WITH ORDINALITY s (name, place));
-- One or another of a few words, or nothing.
CREATE FUNCTION word() RETURNS text LANGUAGE sql VOLATILE RETURN ('{NULL,"",a,"b c","d''e"}'::text[])[1 + floor(random() * 5)];
CREATE FUNCTION set_and_see() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	id constant text := word();
	kind constant text := word();
	name constant text := word();
	other constant jsonb := CASE WHEN random() < 0.3 THEN jsonb_strip_nulls(jsonb_build_object('id', 'x', 'kind', word(), 'name', word())) END;
	context constant text := CASE WHEN random() < 0.3 THEN '{"n": 1}' END;
	want constant text := concat_ws('|', coalesce(id, ''), coalesce(kind, ''), coalesce(name, ''), coalesce(other->>'id', ''),
		coalesce(other->>'kind', ''), coalesce(other->>'name', ''), coalesce(context, current_setting('activity.context', true), ''));
BEGIN
	PERFORM activity.set_actor(id, kind, name, context::jsonb, other);
	IF now_set() <> want THEN INSERT INTO wrong VALUES ('set', now_set(), want); END IF;
END $$;
CREATE FUNCTION within() RETURNS void LANGUAGE plpgsql SET activity.actor_kind = 'within' SET activity.on_behalf_of_id = '' AS $$
BEGIN
	PERFORM set_and_see();
END $$;
CREATE PROCEDURE go(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	before text;
BEGIN
	FOR i IN 1 .. rounds LOOP
		before := now_set();
		CASE floor(random() * 6)
		WHEN 0 THEN
			PERFORM set_config('activity.' || s, CASE WHEN random() < 0.5 THEN '' ELSE 'own' END, random() < 0.5)
			FROM unnest('{actor_id,actor_kind,actor_name,on_behalf_of_id,on_behalf_of_kind,on_behalf_of_name}'::text[]) s WHERE random() < 0.4;
		WHEN 1 THEN
			BEGIN
				PERFORM set_and_see(), set_and_see();
				RAISE division_by_zero;
			EXCEPTION WHEN division_by_zero THEN
				IF now_set() <> before THEN INSERT INTO wrong VALUES ('undone', now_set(), before); END IF;
			END;
		WHEN 2 THEN
			PERFORM within();
			-- What a function sets for itself it gives back.
			IF split_part(now_set(), '|', 2) <> split_part(before, '|', 2) OR split_part(now_set(), '|', 4) <> split_part(before, '|', 4) THEN
				INSERT INTO wrong VALUES ('given back', now_set(), before);
			END IF;
		WHEN 3 THEN
			COMMIT;
		ELSE
			PERFORM set_and_see();
		END CASE;
	END LOOP;
END $$;
CALL go(3000);
SELECT is_empty('TABLE wrong', 'what it is told is what there is, and no more');
RESET ALL;
BEGIN;
SELECT activity.set_actor('a', 'b', 'c', '{"n": 1}', '{"id": "d"}') \g /dev/null
COMMIT;
SELECT is(now_set(), '||||||', 'for the transaction');
SET activity.actor_kind = 'own';
BEGIN;
SELECT activity.set_actor('a') \g /dev/null
COMMIT;
SELECT is(now_set(), '|own|||||', 'and what the session has comes back');
SELECT * FROM finish();
