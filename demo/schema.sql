-- A small SaaS product, as it stood before anybody thought of an activity feed.
CREATE TABLE organizations (
	id   text PRIMARY KEY,
	name text NOT NULL
);
CREATE TABLE users (
	id    text PRIMARY KEY,
	name  text NOT NULL,
	email text NOT NULL UNIQUE
);
CREATE TABLE memberships (
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
	display_name    text NOT NULL,
	role            text NOT NULL DEFAULT 'member',
	status          text NOT NULL DEFAULT 'active',
	PRIMARY KEY (organization_id, user_id)
);
CREATE TABLE invitations (
	id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	email           text NOT NULL,
	role            text NOT NULL DEFAULT 'member',
	status          text NOT NULL DEFAULT 'pending',
	invited_by      text REFERENCES users
);
CREATE TABLE subscriptions (
	id                   text PRIMARY KEY,
	organization_id      text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	tier                 text NOT NULL,
	status               text NOT NULL,
	cancel_at_period_end boolean NOT NULL DEFAULT false,
	current_period_end   date,
	amount               numeric(12,2),
	currency             text NOT NULL DEFAULT 'EUR',
	"interval"           text NOT NULL DEFAULT 'month'
);
CREATE TABLE credits (
	id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	kind            text NOT NULL,
	amount          numeric(12,4) NOT NULL,
	model           text,
	source          text
);
CREATE TABLE api_keys (
	id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	name            text NOT NULL,
	prefix          text NOT NULL,
	key_hash        bytea NOT NULL,
	revoked_at      timestamptz
);
CREATE TABLE orders (
	id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	amount          numeric(12,2) NOT NULL,
	currency        text NOT NULL DEFAULT 'EUR',
	status          text NOT NULL DEFAULT 'open'
);
CREATE TABLE generations (
	id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id text NOT NULL REFERENCES organizations ON DELETE CASCADE,
	model           text NOT NULL,
	status          text NOT NULL DEFAULT 'pending',
	error           text
);

-- The product's backend connects as this role.
CREATE ROLE backend LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO backend;

INSERT INTO organizations VALUES
	('acme', 'Acme Robotics'), ('globex', 'Globex');
INSERT INTO users VALUES
	('ada', 'Ada Lovelace', 'ada@acme.example'),
	('grace', 'Grace Hopper', 'grace@acme.example'),
	('alan', 'Alan Turing', 'alan@acme.example'),
	('hank', 'Hank Scorpio', 'hank@globex.example');
