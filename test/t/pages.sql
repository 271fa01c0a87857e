-- What the samples of docs/ find: two organizations of the highest tier, members,
-- events of last winter and of today, an endpoint, and tables of the application's.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS activity CASCADE;
CREATE TABLE memberships (id bigserial PRIMARY KEY, organization_id text, user_id text, role text);
CREATE TABLE subscriptions (id text PRIMARY KEY, organization_id text, status text, tier text);
SELECT activity.set_tier(name, 'enterprise') FROM unnest(ARRAY['acme', 'org_42']) name;
SELECT count(*) FROM activity.track('memberships', 'membership');
INSERT INTO memberships (organization_id, user_id, role)
SELECT name, person, 'owner' FROM unnest(ARRAY['acme', 'org_42']) name, unnest(ARRAY['user_7', 'user_17', 'ann']) person;
UPDATE memberships SET role = 'admin' WHERE organization_id = 'acme' AND user_id = 'ann';
SELECT activity.maintain(since => '2026-01-01');
SELECT activity.set_actor('user_17', 'user', 'Zoë', '{"ip": "192.0.2.7"}');
SELECT activity.record('acme', 'credit.charge', '{"kind": "credit"}', '{"amount": 4}');
SELECT activity.record('acme', 'credit.charge', '{"kind": "credit"}', '{"amount": 0.5, "model": "flux"}', occurred_at => '2026-01-15 12:00Z');
SELECT activity.record('org_42', 'auth.signin');
SELECT activity.define_event_type('pet.sold', 'Pet "{name}" was sold', '{name}');
SELECT activity.record('acme', 'pet.sold', '{"kind": "pet", "id": "p1", "name": "Rex"}', '{"breeder": "Bob"}', id => '01a20000-0000-7000-8000-000000000001');
SELECT activity.publish();
CREATE TABLE charge (id uuid PRIMARY KEY, organization text, amount numeric);
CREATE TABLE old_log (at timestamptz, organization text, who text);
INSERT INTO old_log VALUES ('2021-03-04 05:06Z', 'acme', 'user_7');
