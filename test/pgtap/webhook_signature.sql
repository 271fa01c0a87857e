-- Signatures are those of the Standard Webhooks specification; a receiver in
-- PostgreSQL refuses everything else.
\set ON_ERROR_STOP 1
\set secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
SELECT plan(27);

-- The vector that the specification's own libraries are tested with.
CREATE FUNCTION pg_temp.vector(changes jsonb DEFAULT '{}', body text DEFAULT '{"test": 2432232314}')
RETURNS boolean LANGUAGE sql AS $$
	SELECT activity.verify_webhook_signature(jsonb_strip_nulls('{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"webhook-timestamp": "1674087231",
		"webhook-signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}' || changes),
		body, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '100 years')
$$;
SELECT ok(pg_temp.vector(), 'the vector of Standard Webhooks');
SELECT ok(activity.verify_webhook_signature('{"Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
	"WEBHOOK-TIMESTAMP": 1674087231,
	"webhook-Signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}',
	'{"test": 2432232314}', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '100 years'),
	'names of headers in any case, a secret without its prefix');
SELECT ok(pg_temp.vector('{"webhook-signature": "v1,bm9ncm91bmQ= v2,xyz v1a,q v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}'),
	'one right signature among several');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": "v1a,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}'),
	'another version of signature');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": "AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}'),
	'a signature without version');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": "v1,"}'), 'an empty signature');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": ""}'), 'no signature');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": null}'), 'no header with a signature');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI"}'),
	'a signature cut short');
SELECT ok(NOT pg_temp.vector('{"webhook-signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI=A"}'),
	'a signature with something after it');
SELECT ok(NOT pg_temp.vector('{"webhook-id": "msg_other"}'), 'another id');
SELECT ok(NOT pg_temp.vector('{"webhook-id": null}'), 'no id');
SELECT ok(NOT pg_temp.vector('{"webhook-timestamp": "1674087232"}'), 'another time');
SELECT ok(NOT pg_temp.vector('{"webhook-timestamp": "-1674087231"}'), 'a time before 1970');
SELECT ok(NOT pg_temp.vector('{"webhook-timestamp": "1674087231.0"}'), 'a time with a fraction');
SELECT ok(NOT pg_temp.vector('{"webhook-timestamp": "99999999999999999999"}'), 'a time beyond all numbers');
SELECT ok(NOT pg_temp.vector('{"webhook-timestamp": ""}'), 'no time');
SELECT ok(NOT pg_temp.vector('{}', '{"test": 2432232315}'), 'another body');
SELECT ok(NOT pg_temp.vector('{}', '{"test":2432232314}'), 'the same JSON in other bytes');
SELECT ok(NOT activity.verify_webhook_signature('{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
	"webhook-timestamp": "1674087231", "webhook-signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}',
	'{"test": 2432232314}', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx', '100 years'), 'another secret');
SELECT ok(NOT activity.verify_webhook_signature('{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
	"webhook-timestamp": "1674087231", "webhook-signature": "v1,AQG81rX2n4rTN1fkXoqILSHO9gAOcwya9dP41rhrQDI="}',
	'{"test": 2432232314}', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), 'long ago, with the ordinary tolerance');
SELECT throws_ok($$SELECT activity.verify_webhook_signature('{}', '', 'whsec_*')$$, '22023', NULL, 'a secret that is none');
SELECT throws_ok($$SELECT activity.verify_webhook_signature('[]', '', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')$$,
	'22023', NULL, 'headers that are none');

-- What we send verifies, now and for five minutes, and in no other encoding.
SELECT activity.set_tier('org', 'premium') \g /dev/null
SELECT secret FROM activity.create_webhook('org', 'https://example.com/') \gset
SELECT activity.record('org', 'credit.charge', '{"amount": 5}', '{"note": "zażółć 🦆 ''\" \\\\"}') \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT headers, body FROM activity.claim_deliveries(1, '1 min') \gset
SELECT ok(activity.verify_webhook_signature(:'headers', :'body', :'secret'), 'what we send verifies');
SET activity.clock_offset = 290;
SELECT ok(activity.verify_webhook_signature(:'headers', :'body', :'secret'), 'for five minutes');
SET activity.clock_offset = 310;
SELECT ok(NOT activity.verify_webhook_signature(:'headers', :'body', :'secret'), 'and not longer');
SET activity.clock_offset = 0;
SELECT ok(NOT activity.verify_webhook_signature(:'headers'::jsonb || jsonb_build_object('webhook-timestamp',
	extract(epoch FROM now() + interval '10 min')::bigint::text), :'body', :'secret'), 'nor from the future');
SELECT * FROM finish();
