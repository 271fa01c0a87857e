-- What the WebSocket client and the webhook's receiver are told of.
BEGIN;
SELECT activity.set_actor('ada', name => 'Ada Lovelace');
INSERT INTO invitations (organization_id, email, invited_by) VALUES ('acme', 'edsger@example.com', 'ada');
COMMIT;
