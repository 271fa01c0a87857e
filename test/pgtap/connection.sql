-- Secrets for the stream: for active members of enterprise organizations, shown
-- once, useless once they are rotated, revoked, or the member is gone.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SELECT plan(35);

CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
SELECT activity.track('memberships', 'membership') \g /dev/null
INSERT INTO memberships VALUES (1, 'org', 'ann', 'admin', 'active'), (2, 'org', 'bob', 'member', 'inactive');
SELECT activity.set_tier('org', 'premium') \g /dev/null

SELECT throws_ok($$SELECT activity.create_connection('org', 'ann')$$, '42501', NULL, 'below enterprise there is no stream');
SELECT activity.set_tier('org', 'enterprise') \g /dev/null
SELECT throws_ok($$SELECT activity.create_connection('org', 'eve')$$, 'AC008', NULL, 'for members only');
SELECT throws_ok($$SELECT activity.create_connection('org', 'bob')$$, 'AC008', NULL, 'active ones');
SELECT throws_ok($$SELECT activity.create_connection('org', NULL)$$, '22004', NULL, 'named ones');

SELECT connection_id AS id, secret FROM activity.create_connection('org', 'ann', 'laptop') \gset
SELECT matches(:'secret'::text, '^wss_[A-Za-z0-9_-]{43}$', 'a secret that is a token of HTTP');
SELECT results_eq($$SELECT organization, member, label, status, last_used_at FROM activity.connections$$,
	$$VALUES ('org', 'ann', 'laptop', 'active', NULL::timestamptz)$$, 'it is listed');
SELECT is((SELECT last_four FROM activity.connections), right(:'secret', 4), 'by its last four characters');
SELECT is((SELECT count(*) FROM _activity.connection c WHERE strpos(c::text, :'secret') > 0), 0::bigint, 'the secret itself is nowhere');
SELECT is((SELECT count(*) FROM activity.events e WHERE e::text LIKE '%wss_%'), 0::bigint, 'in no event either');
SELECT results_eq(format($$SELECT connection_id, organization, member FROM activity.authenticate_connection(%L)$$, :'secret'),
	format($$VALUES (%L::uuid, 'org', 'ann')$$, :'id'), 'whose it is');

-- Last use is written once a minute at most.
SELECT last_used_at AS first_use FROM activity.connections \gset
SELECT ok(:'first_use'::timestamptz > now() - interval '1 minute', 'when it was used');
SELECT activity.authenticate_connection(:'secret') \g /dev/null
SELECT is((SELECT last_used_at FROM activity.connections), :'first_use'::timestamptz, 'is not written with every use');
UPDATE _activity.connection SET last_used_at = last_used_at - interval '2 minutes';
SELECT activity.authenticate_connection(:'secret') \g /dev/null
SELECT ok((SELECT last_used_at FROM activity.connections) > :'first_use'::timestamptz, 'but after a minute');
BEGIN READ ONLY;
SELECT lives_ok(format('SELECT activity.authenticate_connection(%L)', :'secret'), 'nor where nothing can be written');
COMMIT;

-- Whoever has no secret
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', s), '28P01', NULL, 'no secret: ' || left(s, 12)) FROM (VALUES
	(''), ('wss_'), ('wss_' || repeat('A', 43)), (upper(:'secret')), (:'secret' || ' '), (substr(:'secret', 5)), ('ü' || chr(1))) v (s);

-- The member, and the tier, go and come back.
UPDATE memberships SET status = 'inactive' WHERE user_id = 'ann';
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', :'secret'), 'AC008', NULL, 'a deactivated member');
UPDATE memberships SET status = 'active' WHERE user_id = 'ann';
SELECT lives_ok(format('SELECT activity.authenticate_connection(%L)', :'secret'), 'active again');
SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', :'secret'), '42501', NULL, 'the tier is lost');
SELECT activity.set_tier('org', 'enterprise') \g /dev/null

-- The guide's lines work in a shell.
SELECT activity.connection_guide('org', 'ann') AS guide \gset
SELECT ok(:'guide'::text LIKE '%curl %http://localhost:8080/api/v1/organizations/org/stream%'
	AND :'guide' LIKE '%"ws://localhost:8080/api/v1/organizations/org/stream"%', 'the guide tells both addresses');
SET activity.gateway_url = 'wss://stream.example.com/';
INSERT INTO memberships VALUES (3, 'o''rg $(x) ü/', 'it''s', 'admin', 'active');
SELECT activity.set_tier('o''rg $(x) ü/', 'enterprise') \g /dev/null
SELECT ok(activity.connection_guide('o''rg $(x) ü/', 'it''s') LIKE '%''https://stream.example.com/api/v1/organizations/o%27rg%20%24%28x%29%20%C3%BC%2F/stream''%',
	'an organization of any name');
\setenv GUIDE :guide
\setenv PGDATABASE :DBNAME
\set made `bash -n -c "$GUIDE" && bash -c "$(printf %s "$GUIDE" | sed -n '/^ACTIVITY_SECRET=/p'); echo \$ACTIVITY_SECRET"`
SELECT results_eq(format($$SELECT organization, member FROM activity.authenticate_connection(%L)$$, :'made'),
	$$VALUES ('org', 'ann')$$, 'what its first line makes is a secret');
SELECT throws_ok($$SELECT activity.connection_guide('org', 'eve')$$, 'AC008', NULL, 'no guide for others');
-- Not at the price of the square of what a stranger sends.
SELECT throws_ok($$SELECT activity.connection_guide(repeat('ü', 2000000), 'eve')$$, NULL, NULL, 'nor for what is no organization''s name');
SELECT is(length(_activity.encode_url(repeat('ü', 500000))), 3000000, 'what is long is encoded in one go');

-- Rotated and revoked
SELECT activity.rotate_connection(:'id') AS second \gset
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', :'secret'), '28P01', NULL, 'the old secret ends at once');
SELECT lives_ok(format('SELECT activity.authenticate_connection(%L)', :'second'), 'the new one works');
SELECT activity.revoke_connection(:'id') \g /dev/null
SELECT throws_ok(format('SELECT activity.authenticate_connection(%L)', :'second'), 'AC021', NULL, 'revoked');
SELECT throws_ok(format('SELECT activity.rotate_connection(%L)', :'id'), '42704', NULL, 'for good');
SELECT throws_ok($$SELECT activity.revoke_connection(gen_random_uuid())$$, '42704', NULL, 'one that does not exist');
SELECT * FROM finish();
