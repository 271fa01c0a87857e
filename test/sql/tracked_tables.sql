-- What a person reads who tracks tables: the rules, the mistakes, the warnings.
CREATE TABLE memberships (
	organization_id text, user_id text, name text, role text, status text,
	PRIMARY KEY (organization_id, user_id));
SELECT * FROM activity.track('memberships', 'membership');

INSERT INTO memberships VALUES ('acme', 'u1', 'Ann', 'viewer', 'active');
UPDATE memberships SET role = 'admin';
UPDATE memberships SET status = 'frozen';
UPDATE memberships SET status = 'frozen';
SELECT event_type, subject_id, description FROM activity.events ORDER BY id;
SELECT tracked, category, reason, changes FROM activity.gaps;

-- The hint of the warning, followed.
SELECT count(*) FROM activity.track('memberships', 'membership',
	rules => '{"states": {"frozen": "inactive"}}');
UPDATE memberships SET status = 'active';
UPDATE memberships SET status = 'frozen';
SELECT description FROM activity.events ORDER BY id DESC LIMIT 1;
SELECT tracked, category, columns, on_unknown, enabled, replica, gaps FROM activity.tracked;

-- Mistakes.
CREATE TABLE wallet_moves (customer text, kind text, sum numeric);
SELECT * FROM activity.track('wallet_moves', 'credit');
SELECT * FROM activity.track('wallet_moves', 'credit', columns => '{"amount": "total"}');
SELECT * FROM activity.track('wallet_moves', 'credit', columns => '{"amount": "sum"}');
SELECT * FROM activity.track('wallet_moves', 'credits', columns => '{"amount": "sum", "organization": "customer"}');
INSERT INTO wallet_moves VALUES ('acme', 'swap', 1), (NULL, 'charge', 1), ('acme', 'charge', NULL);
SELECT * FROM activity.track('wallet_moves', 'wallet');
SELECT * FROM activity.track('wallet_moves', 'order', columns => '{"organization": "customer"}',
	rules => '[{"event": "order.item_added", "when": {"kind": "item"}}]');
SELECT * FROM activity.track('wallet_moves', 'order', columns => '{"organization": "customer"}',
	rules => '{"rule": []}');

-- Altered tables.
ALTER TABLE memberships RENAME COLUMN role TO position;
UPDATE memberships SET position = 'owner';
SELECT description FROM activity.events ORDER BY id DESC LIMIT 1;
ALTER TABLE memberships DROP COLUMN position;
ALTER TABLE memberships DROP COLUMN name;
SELECT activity.untrack('memberships');
ALTER TABLE memberships DROP COLUMN position;

DROP TABLE memberships, wallet_moves;
SET client_min_messages = warning;
DROP EXTENSION activity CASCADE;
CREATE EXTENSION activity;
