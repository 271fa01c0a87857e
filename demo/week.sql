-- A week at Acme. The days before today come from the product's old log, by
-- record() with their own times; today happens in the tracked tables.
BEGIN;
DO $$
DECLARE
	moment timestamptz;
	actor  record;
	model  text;
	amount numeric;
BEGIN
	FOR day IN REVERSE 6 .. 1 LOOP
		FOR n IN 1 .. 12 + day % 3 * 5 LOOP
			moment := date_trunc('day', now()) - make_interval(days => day)
				+ make_interval(hours => 8, mins => n * 29 + day, secs => n * 7);
			SELECT id, name INTO actor FROM users
				WHERE email LIKE '%@acme.example'
				ORDER BY id OFFSET (n * 5 + day) % 3 LIMIT 1;
			model := ('{small-1,large-2,vision-1}'::text[])[1 + (n + day) % 3];
			amount := (n + day) % 7 + 0.25 * (n % 3);
			PERFORM activity.set_actor(actor.id, name => actor.name,
				context => '{"imported_from": "old log"}');
			IF n = 1 THEN
				PERFORM activity.record('acme', 'auth.signin',
					jsonb_build_object('id', actor.id), '{"method": "passkey"}',
					occurred_at => moment);
			ELSIF n = 2 AND day % 2 = 0 OR n = 9 AND day = 3 THEN
				PERFORM activity.record('acme', 'plan.purchased',
					CASE (day + n) % 3 WHEN 0 THEN '{"id": "pro", "name": "Pro"}' ELSE '{"id": "starter", "name": "Starter"}' END::jsonb,
					jsonb_build_object('amount', CASE (day + n) % 3 WHEN 0 THEN 49.90 ELSE 19.90 END,
						'currency', CASE day WHEN 3 THEN 'USD' ELSE 'EUR' END),
					occurred_at => moment);
			ELSIF n % 6 = 5 THEN
				PERFORM activity.record('acme', 'generation.failed',
					jsonb_build_object('id', day * 100 + n),
					jsonb_build_object('model', model, 'error', 'prompt too long'),
					occurred_at => moment);
				PERFORM activity.record('acme', 'credit.refund',
					jsonb_build_object('id', day * 100 + n),
					jsonb_build_object('model', model, 'amount', amount),
					occurred_at => moment + interval '2 seconds');
			ELSE
				PERFORM activity.record('acme', 'generation.succeeded',
					jsonb_build_object('id', day * 100 + n),
					jsonb_build_object('model', model), occurred_at => moment);
				PERFORM activity.record('acme', 'credit.charge',
					jsonb_build_object('id', day * 100 + n),
					jsonb_build_object('model', model, 'amount', amount + 1,
						'plan_id', CASE n % 4 WHEN 0 THEN 'pro' ELSE 'starter' END,
						'plan_name', CASE n % 4 WHEN 0 THEN 'Pro' ELSE 'Starter' END),
					occurred_at => moment + interval '2 seconds');
			END IF;
		END LOOP;
	END LOOP;
END
$$;
COMMIT;

-- Today. Every transaction says in its first statement who acts.
BEGIN;
SELECT activity.set_actor('ada', name => 'Ada Lovelace', context => '{"ip": "203.0.113.7"}');
INSERT INTO memberships VALUES
	('acme', 'ada', 'Ada Lovelace', 'owner'),
	('acme', 'grace', 'Grace Hopper', 'member');
INSERT INTO subscriptions (id, organization_id, tier, status, amount) VALUES ('sub_1', 'acme', 'premium', 'trialing', 49);
INSERT INTO credits (organization_id, kind, amount, source)
	VALUES ('acme', 'add', 100, 'trial');
INSERT INTO invitations (organization_id, email, role, invited_by)
	VALUES ('acme', 'alan@acme.example', 'admin', 'ada'),
		   ('acme', 'charles@acme.example', 'member', 'ada');
COMMIT;

BEGIN;
SELECT activity.set_actor('alan', name => 'Alan Turing', context => '{"ip": "198.51.100.23"}');
UPDATE invitations SET status = 'accepted' WHERE email = 'alan@acme.example';
INSERT INTO memberships VALUES ('acme', 'alan', 'Alan Turing', 'admin');
INSERT INTO api_keys (organization_id, name, prefix, key_hash)
	VALUES ('acme', 'Production', 'ak_live_7f', sha256('a secret'));
COMMIT;

-- A worker of the product: one statement for a batch of jobs. No person acts.
INSERT INTO generations (organization_id, model)
	SELECT 'acme', (ARRAY['small-1', 'large-2', 'vision-1'])[1 + n % 3]
	FROM generate_series(1, 4) n;
INSERT INTO credits (organization_id, kind, amount, model)
	SELECT 'acme', 'reserve', 1 + 2.5 * id, model FROM generations;
UPDATE generations SET status = 'processing';
UPDATE generations SET status = 'succeeded' WHERE id % 4 <> 3;
UPDATE generations SET status = 'failed', error = 'image too small' WHERE id % 4 = 3;
INSERT INTO credits (organization_id, kind, amount, model)
	SELECT 'acme', CASE status WHEN 'failed' THEN 'refund' ELSE 'charge' END,
		   1 + 2.5 * id, model
	FROM generations;

BEGIN;
SELECT activity.set_actor('ada', name => 'Ada Lovelace', context => '{"ip": "203.0.113.7"}');
UPDATE subscriptions SET status = 'active';
UPDATE memberships SET role = 'admin' WHERE user_id = 'grace';
INSERT INTO orders (organization_id, amount) VALUES ('acme', 49);
UPDATE orders SET status = 'paid';
INSERT INTO credits (organization_id, kind, amount, source)
	VALUES ('acme', 'add', 500, 'order');
UPDATE invitations SET status = 'revoked' WHERE email = 'charles@acme.example';
COMMIT;

-- Changes nothing, and so nothing is recorded.
UPDATE memberships SET role = role;

BEGIN;
SELECT activity.set_actor('grace', name => 'Grace Hopper', context => '{"ip": "192.0.2.44"}');
UPDATE api_keys SET prefix = 'ak_live_c4', key_hash = sha256('another');
UPDATE memberships SET status = 'suspended' WHERE user_id = 'alan';
COMMIT;

BEGIN;
SELECT activity.set_actor('hank', name => 'Hank Scorpio');
INSERT INTO memberships VALUES ('globex', 'hank', 'Hank Scorpio', 'owner');
COMMIT;
