-- What bench/stream measures with.
CREATE EXTENSION activity CASCADE;
SELECT activity.set_tier('org_1', 'enterprise') \gset
CREATE TABLE membership (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL, user_id text NOT NULL, role text NOT NULL, status text NOT NULL);
SELECT count(*) FROM activity.track('membership', 'membership') \gset

-- The alternative that people write themselves: a trigger that stores and notifies.
CREATE TABLE plain (LIKE membership INCLUDING ALL);
CREATE TABLE plain_event (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	at timestamptz NOT NULL DEFAULT now(), organization text, type text, subject jsonb);
CREATE INDEX ON plain_event (organization, at, id);
CREATE INDEX ON plain_event (organization, type, at, id);
CREATE FUNCTION plain_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE made plain_event;
BEGIN
	INSERT INTO plain_event (organization, type, subject)
	VALUES (new.organization_id, 'membership.created', to_jsonb(new)) RETURNING * INTO made;
	PERFORM pg_notify('plain', to_jsonb(made)::text);
	RETURN NULL;
END $$;
CREATE TRIGGER record AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION plain_record();
CREATE TABLE lag (what text, id uuid, at bigint);
