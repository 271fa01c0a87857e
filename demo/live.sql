-- What the live client sees while it listens: one message an event, at commit.
BEGIN;
SELECT activity.set_actor('ada', name => 'Ada Lovelace');
UPDATE subscriptions SET tier = 'enterprise', amount = 199;
UPDATE memberships SET status = 'active' WHERE user_id = 'alan';
COMMIT;
BEGIN;
SELECT activity.set_actor('alan', name => 'Alan Turing');
UPDATE api_keys SET revoked_at = now();
COMMIT;
BEGIN;
DELETE FROM memberships;
ROLLBACK;
