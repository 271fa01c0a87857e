-- Each preset of track() turns the changes of an ordinary table into the events
-- that a person would expect, with the facts that belong to them.
\set ON_ERROR_STOP 1
BEGIN;
SELECT plan(79);
SET LOCAL TimeZone = 'UTC';
SET LOCAL client_min_messages = error;

-- What was recorded since the last call: types, or sentences.
CREATE TABLE seen (id uuid);
CREATE FUNCTION said() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	result text[];
BEGIN
	SELECT array_agg(e.event_type::text || ': ' || e.description ORDER BY e.id) INTO result
	FROM activity.events e WHERE e.id NOT IN (SELECT id FROM seen);
	INSERT INTO seen SELECT e.id FROM activity.events e WHERE e.id NOT IN (SELECT id FROM seen);
	RETURN coalesce(result, '{}');
END
$$;
CREATE FUNCTION newest() RETURNS activity.events LANGUAGE sql AS $$
	SELECT e FROM activity.events e ORDER BY e.id DESC LIMIT 1
$$;

-- membership
CREATE TABLE memberships (id serial PRIMARY KEY, organization_id text, user_id text,
	name text, role text, status text DEFAULT 'active', deleted_at timestamptz);
SELECT lives_ok($$SELECT activity.track('memberships', 'membership')$$, 'one line tracks memberships');
INSERT INTO memberships (organization_id, user_id, name, role) VALUES ('o', 'u1', 'Ann', 'admin');
SELECT is(said(), '{membership.joined: Ann joined as admin}', 'a member joins');
SELECT is((newest()).subject, '{"id": "u1", "kind": "member", "name": "Ann", "role": "admin"}',
	'the subject is the member, not the row');
UPDATE memberships SET role = 'owner';
SELECT is(said(), '{membership.role_changed: Member role changed to owner}', 'a role changes');
SELECT is((newest()).metadata, '{"previous_role": "admin"}', 'the previous role is told');
UPDATE memberships SET status = 'suspended';
SELECT is(said(), '{membership.deactivated: Ann was deactivated}', 'suspended is deactivated');
UPDATE memberships SET status = 'ACTIVE', role = 'admin';
SELECT is(said(), '{membership.reactivated: Ann was reactivated,membership.role_changed: Member role changed to admin}',
	'one change may be two events, and words are matched in any case');
UPDATE memberships SET deleted_at = now();
SELECT is(said(), '{membership.removed: Ann was removed}', 'a soft deletion is a removal');
UPDATE memberships SET role = 'viewer';
SELECT is(said(), '{}', 'a removed member has no role to change');
DELETE FROM memberships;
SELECT is(said(), '{}', 'purging a removed member is no second removal');
INSERT INTO memberships (organization_id, user_id, status) VALUES ('o', 'u2', 'pending');
SELECT is(said(), '{}', 'pending is not yet joined');
UPDATE memberships SET status = 'accepted', role = 'viewer';
SELECT is(said(), '{membership.joined: Member joined as viewer}', 'accepted is joined, and the role is no change');
UPDATE memberships SET organization_id = 'p';
SELECT is(said(), '{membership.removed: Member was removed,membership.joined: Member joined as viewer}',
	'a move to another organization is a removal there and a joining here');
SELECT is((SELECT array_agg(organization ORDER BY id DESC) FROM activity.events)[1:2], '{p,o}',
	'each in its own organization');
UPDATE memberships SET user_id = 'u3';
SELECT is(said(), '{membership.removed: Member was removed,membership.joined: Member joined as viewer}',
	'another member is another member');
DELETE FROM memberships;
SELECT is(said(), '{membership.removed: Member was removed}', 'deleted is removed');

-- member: the same with a boolean, and invitations of its own
CREATE TABLE members (org_id text, user_id text, email text, role text, is_active boolean,
	status text, PRIMARY KEY (org_id, user_id));
SELECT lives_ok($$SELECT activity.track('members', 'member', columns => '{"status": null}')$$,
	'a column can be left out');
INSERT INTO members VALUES ('o', 'u1', 'a@b.c', 'admin', true, 'whatever');
UPDATE members SET is_active = false;
UPDATE members SET is_active = NULL;
SELECT is(said(), '{member.joined: Member joined as admin,member.deactivated: Member was deactivated,member.reactivated: Member was reactivated}',
	'a boolean says whether a member is active, null is not false');
DO $$BEGIN PERFORM activity.track('members', 'member'); END$$;
INSERT INTO members VALUES ('o', 'u2', 'd@e.f', 'viewer', true, 'invited');
SELECT is(said(), '{member.invited: Invited d@e.f as viewer}', 'an invited member');
DROP TABLE members;

-- invitation
CREATE TABLE invitations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), team_id int, email text,
	role text, status text DEFAULT 'pending', accepted_at timestamptz);
SELECT lives_ok($$SELECT activity.track('invitations', 'invitation')$$);
INSERT INTO invitations (team_id, email, role) VALUES (7, 'a@b.c', 'admin');
SELECT is(said(), '{invitation.sent: Invitation sent to a@b.c (admin)}', 'an invitation is sent');
SELECT is((newest()).organization, '7', 'an organization may be a number');
UPDATE invitations SET status = 'expired';
UPDATE invitations SET status = 'pending';
UPDATE invitations SET status = 'revoked';
SELECT is(said(), '{invitation.expired: Invitation for a@b.c expired,invitation.sent: Invitation sent to a@b.c (admin),invitation.revoked: Invitation for a@b.c was revoked}',
	'it expires, is sent again, is revoked');
DELETE FROM invitations;
SELECT is(said(), '{}', 'a revoked one is deleted');
INSERT INTO invitations (team_id, email, role) VALUES (7, 'd@e.f', 'admin'), (7, 'g@h.i', 'admin');
UPDATE invitations SET accepted_at = now() WHERE email = 'd@e.f';
DELETE FROM invitations;
SELECT is((said())[3:], '{invitation.revoked: Invitation for g@h.i was revoked}',
	'an open one that is deleted is revoked, an accepted one is not');

-- subscription
CREATE TABLE subscriptions (id bigserial PRIMARY KEY, org_id text, status text, plan text,
	cancel_at_period_end boolean DEFAULT false, cancel_at timestamptz);
SELECT lives_ok($$SELECT activity.track('subscriptions', 'subscription')$$);
INSERT INTO subscriptions (org_id, status, plan) VALUES ('o', 'trialing', 'premium');
SELECT is(said(), '{subscription.trialing: Subscription is trialing: premium}', 'a trial');
SELECT is(activity.organization_tier('o'), 'premium', 'gives its tier');
UPDATE subscriptions SET status = 'active';
UPDATE subscriptions SET status = 'past_due';
SELECT is(said(), '{subscription.active: Subscription is active: premium,subscription.past_due: Subscription is past due: premium}',
	'from trial to active to past due');
SELECT is((newest()).metadata, '{"previous_status": "active"}', 'with the previous status');
SELECT is(activity.organization_tier('o'), 'premium', 'who is late still has the tier');
UPDATE subscriptions SET status = 'active', cancel_at_period_end = true, cancel_at = '2027-01-01';
SELECT is(said(), '{subscription.active: Subscription is active: premium,subscription.cancel_scheduled: Subscription cancellation scheduled for 2027-01-01T00:00:00+00:00}',
	'a cancellation is scheduled');
UPDATE subscriptions SET cancel_at = '2027-02-01';
SELECT is((said())[1], 'subscription.cancel_scheduled: Subscription cancellation scheduled for 2027-02-01T00:00:00+00:00',
	'and scheduled for another time');
UPDATE subscriptions SET cancel_at_period_end = false, cancel_at = NULL;
SELECT is(said(), '{subscription.cancel_reverted: Subscription cancellation reverted}', 'and reverted');
UPDATE subscriptions SET plan = 'Enterprise';
SELECT is(said(), '{subscription.upgraded: Subscription upgraded from premium to Enterprise}', 'an upgrade');
SELECT is(activity.organization_tier('o'), 'enterprise', 'moves the tier');
UPDATE subscriptions SET plan = 'premium';
SELECT is(said(), '{subscription.downgraded: Subscription downgraded from Enterprise to premium}', 'a downgrade');
SELECT is(activity.organization_tier('o'), 'premium', 'too');
UPDATE subscriptions SET status = 'unpaid';
SELECT is(activity.organization_tier('o'), 'free', 'who does not pay is free');
UPDATE subscriptions SET status = 'paused';
UPDATE subscriptions SET status = 'lapsed';
UPDATE subscriptions SET status = 'active', cancel_at_period_end = true;
UPDATE subscriptions SET status = 'canceled', cancel_at_period_end = false;
SELECT is(ARRAY(SELECT split_part(s, ':', 1) FROM unnest(said()) s),
	'{subscription.unpaid,subscription.paused,subscription.lapsed,subscription.active,subscription.cancel_scheduled,subscription.canceled}',
	'every state, and no reversal when it ends');
SELECT is(activity.organization_tier('o'), 'free', 'canceled is free');
DELETE FROM subscriptions;
SELECT is(said(), '{}', 'a canceled one is deleted');
INSERT INTO subscriptions (org_id, status, plan) VALUES ('o', 'active', 'premium'), ('o', 'active', 'enterprise');
DELETE FROM subscriptions WHERE plan = 'enterprise';
SELECT is((said())[3:], '{subscription.canceled: Subscription canceled: enterprise}', 'a live one is deleted');
SELECT is(activity.organization_tier('o'), 'premium', 'the other one goes on');
INSERT INTO subscriptions (org_id, status, plan) VALUES ('q', 'incomplete', 'premium');
SELECT is(said(), '{}', 'incomplete is not yet anything');
SELECT is(activity.organization_tier('q'), 'free', 'and gives no tier');

-- subscriptions with plans of their own
CREATE TABLE plans_of (org_id text PRIMARY KEY, status text, plan text);
INSERT INTO plans_of VALUES ('r', 'active', 'scale'), ('s', 'canceled', 'scale');
DO $$BEGIN PERFORM activity.track('plans_of', 'subscription', rules =>
	'{"tiers": [{"hobby": "free"}, {"pro": "premium"}, {"scale": "enterprise"}]}'); END$$;
SELECT is(activity.organization_tier('r'), 'enterprise', 'tracking adopts what rows say already');
SELECT is(activity.organization_tier('s'), 'free', 'of those that pay');
UPDATE plans_of SET plan = 'pro' WHERE org_id = 'r';
SELECT is(said(), '{subscription.downgraded: Subscription downgraded from scale to pro}', 'the list says the order');
SELECT is(activity.organization_tier('r'), 'premium', 'and the tier');
CREATE TEMPORARY TABLE tracked_before AS SELECT * FROM activity.tracked WHERE category = 'subscription';
DO $$BEGIN PERFORM activity.track(t.tracked, t.category, t.columns, t.rules || '{"preset": false}', t.on_unknown) FROM tracked_before t; END$$;
SELECT set_eq($$SELECT tracked::text, category, columns, rules FROM activity.tracked WHERE category = 'subscription'$$,
	'SELECT tracked::text, category, columns, rules FROM tracked_before', 'what activity.tracked says, given back, changes nothing');
UPDATE plans_of SET plan = 'scale' WHERE org_id = 'r';
SELECT is(activity.organization_tier('r'), 'enterprise', 'the tier included');
DO $$BEGIN PERFORM said(); END$$;
CREATE TYPE level AS ENUM ('zero', 'alpha', 'bravo');
CREATE TABLE enum_plans (org_id text PRIMARY KEY, status text, tier level);
DO $$BEGIN PERFORM activity.track('enum_plans', 'subscription'); END$$;
INSERT INTO enum_plans VALUES ('t', 'active', 'alpha');
UPDATE enum_plans SET tier = 'zero';
SELECT is((said())[2], 'subscription.downgraded: Subscription downgraded from alpha to zero', 'an enum has an order');

CREATE TABLE subscription_items (id serial, tenant_id text, product text, quantity int, note text);
DO $$BEGIN PERFORM activity.track('subscription_items', 'subscription_item'); END$$;
INSERT INTO subscription_items (tenant_id, product, quantity) VALUES ('o', 'seat', 2);
UPDATE subscription_items SET quantity = 3;
UPDATE subscription_items SET note = 'x';
DELETE FROM subscription_items;
SELECT is(said(), '{subscription.item_added: Subscription item added: seat x 2,subscription.item_updated: Subscription item updated: seat x 3,subscription.item_removed: Subscription item removed: seat}',
	'items of a subscription');

-- credit: a ledger with kinds
CREATE TABLE ledger (id serial PRIMARY KEY, workspace_id text, type text, amount numeric, model text, source text);
DO $$BEGIN PERFORM activity.track('ledger', 'credit'); END$$;
INSERT INTO ledger (workspace_id, type, amount, model, source) VALUES
	('o', 'reserve', 1, 'bfl/flux', NULL), ('o', 'usage', -0.0040, 'bfl/flux', NULL),
	('o', 'release', 0.996, 'bfl/flux', NULL), ('o', 'top-up', 10.00, NULL, 'stripe'),
	('o', 'reset', 5, NULL, NULL), ('o', 'redeemed', 5, NULL, NULL);
SELECT is(said(), '{credit.reserve: Reserved 1 credits for bfl/flux,credit.charge: Charged 0.004 credits for bfl/flux,credit.refund: Refunded 0.996 credits for bfl/flux,credit.add: Added 10 credits (stripe),credit.reset: Credits reset to 5,credits.redeemed: Redeemed 5 credits}',
	'reserve, charge, refund, add, reset, redeem');
SELECT is((SELECT metadata FROM activity.events WHERE event_type = 'credit.charge'),
	'{"model": "bfl/flux", "amount": 0.0040}', 'amounts are numbers, without sign');
UPDATE ledger SET type = 'charge' WHERE type = 'reserve';
SELECT is(said(), '{credit.charge: Charged 1 credits for bfl/flux}', 'a reservation becomes a charge');
DELETE FROM ledger;
SELECT is(said(), '{}', 'clearing a ledger is no fact about credits');

-- credit: signed amounts
CREATE TABLE signed_ledger (id serial PRIMARY KEY, org_id text, amount int, note text);
DO $$BEGIN PERFORM activity.track('signed_ledger', 'credit'); END$$;
INSERT INTO signed_ledger (org_id, amount, note) VALUES ('o', 5, 'gift'), ('o', -2, NULL), ('o', 0, NULL);
SELECT is(said(), '{credit.add: Added 5 credits (gift),credit.charge: Charged 2 credits}', 'a sign says what it is');

-- credit: a balance
CREATE TABLE wallets (org_id text PRIMARY KEY, balance double precision);
DO $$BEGIN PERFORM activity.track('wallets', 'credits'); END$$;
INSERT INTO wallets VALUES ('o', 10), ('p', 0);
UPDATE wallets SET balance = balance - 2.5 WHERE org_id = 'o';
UPDATE wallets SET balance = balance + 1 WHERE org_id = 'o';
SELECT is(said(), '{credit.add: Added 10 credits,credit.charge: Charged 2.5 credits,credit.add: Added 1 credits}',
	'a balance moves');
CREATE TABLE redemptions (id serial, org_id text, amount int, plan text);
DO $$BEGIN PERFORM activity.track('redemptions', 'credits'); END$$;
INSERT INTO redemptions (org_id, amount, plan) VALUES ('o', 5, 'pro');
SELECT is(said(), '{credits.redeemed: Redeemed 5 credits for pro}', 'redemptions');

-- api keys
CREATE TABLE api_keys (id text PRIMARY KEY, org_id text, name text, prefix text, key_hash bytea, revoked_at timestamptz);
DO $$BEGIN PERFORM activity.track('api_keys', 'api_key'); END$$;
INSERT INTO api_keys VALUES ('k1', 'o', 'ci', 'bye_1', 'secret');
UPDATE api_keys SET key_hash = 'other', prefix = 'bye_2';
SELECT is(said(), '{"api_key.created: API key \"ci\" (bye_1...) was created","api_key.rotated: API key \"ci\" (bye_2...) was rotated"}',
	'keys are created and rotated');
SELECT is((newest()).metadata, '{"previous_prefix": "bye_1"}', 'the previous prefix is told');
UPDATE api_keys SET revoked_at = now();
UPDATE api_keys SET key_hash = 'third';
DELETE FROM api_keys;
SELECT is(said(), '{"api_key.revoked: API key \"ci\" (bye_2...) was revoked","api_key.deleted: API key \"ci\" (bye_2...) was deleted"}',
	'and revoked and deleted');
SELECT is((SELECT count(*) FROM activity.events e WHERE e::text ~ 'secret|other|third'), 0::bigint,
	'the secret is nowhere');
CREATE TABLE apikeys (id text PRIMARY KEY, org_id text, name text, last4 text, active boolean);
DO $$BEGIN PERFORM activity.track('apikeys', 'apikey'); END$$;
INSERT INTO apikeys VALUES ('k1', 'o', 'ci', '1234', true);
UPDATE apikeys SET active = false;
SELECT is(said(), '{"apikey.created: API key \"ci\" (1234...) was created","apikey.revoked: API key \"ci\" (1234...) was revoked"}',
	'the other vocabulary');

-- orders
CREATE TABLE orders (id bigint PRIMARY KEY, org_id text, status text, total numeric(10,2), currency char(3));
DO $$BEGIN PERFORM activity.track('orders', 'order'); END$$;
INSERT INTO orders VALUES (1, 'o', 'open', 19.90, 'EUR');
UPDATE orders SET status = 'paid';
SELECT is(said(), '{order.created: Order created: 19.9 EUR,order.status_changed: Order status changed to paid}', 'orders');
SELECT is((newest()).metadata, '{"amount": 19.90, "currency": "EUR", "previous_status": "open"}', 'with what they are about');
SELECT is((newest()).subject, '{"id": "1", "kind": "order", "status": "paid"}', 'ids are text');
CREATE TABLE order_items (id int, order_id int, org_id text, product_name text, quantity int);
DO $$BEGIN PERFORM activity.track('order_items', 'order_item'); END$$;
INSERT INTO order_items VALUES (1, 1, 'o', 'mug', 2);
DELETE FROM order_items;
SELECT is(said(), '{order.item_added: Order item added: mug x 2,order.item_removed: Order item removed: mug}', 'and their items');

-- generations
CREATE TABLE generations (id uuid PRIMARY KEY, org_id text, status text, model text, error text);
DO $$BEGIN PERFORM activity.track('generations', 'generation'); END$$;
INSERT INTO generations VALUES ('00000000-0000-0000-0000-000000000001', 'o', 'queued', 'm');
UPDATE generations SET status = 'running';
UPDATE generations SET status = 'failed', error = 'no memory';
UPDATE generations SET status = 'completed', error = NULL;
UPDATE generations SET status = 'cancelled';
DELETE FROM generations;
SELECT is(said(), '{generation.pending: Generation pending - m,generation.processing: Generation processing - m,generation.failed: Generation failed - m: no memory,generation.succeeded: Generation succeeded - m,generation.canceled: Generation canceled - m,generation.deleted: Generation deleted - m}',
	'generations');

-- domains
CREATE TABLE domains (id int PRIMARY KEY, org_id text, hostname text, status text, error text);
DO $$BEGIN PERFORM activity.track('domains', 'domain'); END$$;
INSERT INTO domains VALUES (1, 'o', 'a.b', 'pending'), (2, 'o', 'c.d', 'active');
UPDATE domains SET status = 'active' WHERE id = 1;
UPDATE domains SET status = 'failed', error = 'NXDOMAIN' WHERE id = 1;
UPDATE domains SET status = 'removing' WHERE id = 1;
DELETE FROM domains WHERE id = 1;
SELECT is(said(), '{domain.domain_created: custom domain created: a.b,domain.domain_created: custom domain created: c.d,domain.domain_activated: custom domain activated: c.d,domain.domain_activated: custom domain activated: a.b,domain.domain_failed: custom domain failed: a.b: NXDOMAIN,domain.domain_removing: custom domain removing: a.b,domain.domain_removed: custom domain removed: a.b}',
	'domains');

-- customers, plans, agents
CREATE TABLE customers (id int PRIMARY KEY, org_id text, name text, email text, blocked_at date);
DO $$BEGIN PERFORM activity.track('customers', 'customer'); END$$;
INSERT INTO customers VALUES (1, 'o', NULL, 'a@b.c');
UPDATE customers SET blocked_at = '2026-01-01';
UPDATE customers SET blocked_at = NULL;
SELECT is(said(), '{customer.added: Customer a@b.c was added,customer.blocked: Customer a@b.c was blocked,customer.unblocked: Customer a@b.c was unblocked}', 'customers');
CREATE TABLE plans (id int PRIMARY KEY, org_id text, name text, price numeric, updated_at timestamptz);
DO $$BEGIN PERFORM activity.track('plans', 'plan'); END$$;
INSERT INTO plans VALUES (1, 'o', 'Pro', 10);
UPDATE plans SET updated_at = now();
UPDATE plans SET price = 12, updated_at = now();
SELECT is(said(), '{"plan.created: Plan \"Pro\" was created","plan.updated: Plan \"Pro\" was updated"}', 'plans');
SELECT is((newest()).metadata, '{"amount": 12, "previous_amount": 10}', 'what changed is told');
CREATE TABLE agents (id int PRIMARY KEY, org_id text, name text);
DO $$BEGIN PERFORM activity.track('agents', 'agent'); END$$;
INSERT INTO agents VALUES (1, 'o', 'Bot');
SELECT is(said(), '{"agent.created: Agent \"Bot\" was created"}', 'agents');

-- any category whose actions are the values of a status column
DO $$BEGIN PERFORM activity.define_event_type('invoice.created', 'Invoice {number} was made'); END$$;
DO $$BEGIN PERFORM activity.define_event_type('invoice.paid', 'Invoice {number} was paid', '{number}'); END$$;
DO $$BEGIN PERFORM activity.define_event_type('invoice.void', 'Invoice {number} was voided'); END$$;
DO $$BEGIN PERFORM activity.define_event_type('invoice.deleted', 'Invoice {number} was deleted'); END$$;
CREATE TABLE invoices (id int PRIMARY KEY, org_id text, number text, status text);
DO $$BEGIN PERFORM activity.track('invoices', 'invoice', on_unknown => 'error'); END$$;
INSERT INTO invoices VALUES (1, 'o', 'R-1');
UPDATE invoices SET status = 'paid';
SELECT throws_ok($$UPDATE invoices SET status = 'lost'$$, 'AC006', NULL, 'a state that the category lacks');
UPDATE invoices SET status = 'void';
DELETE FROM invoices;
SELECT is(said(), '{invoice.created: Invoice R-1 was made,invoice.paid: Invoice R-1 was paid,invoice.void: Invoice R-1 was voided,invoice.deleted: Invoice R-1 was deleted}',
	'an application''s own category');
CREATE TABLE bug_reports (id int PRIMARY KEY, org_id text, title text, status text);
DO $$BEGIN PERFORM activity.track('bug_reports', 'bug_report', on_unknown => 'error'); END$$;
INSERT INTO bug_reports VALUES (1, 'o', 'Crash', 'new');
UPDATE bug_reports SET status = 'fixed';
SELECT is(said(), '{bug_report.submitted: Bug report submitted: Crash,bug_report.status_changed: Bug report status changed to fixed}',
	'a built-in category without a preset');

SELECT * FROM finish();
ROLLBACK;
