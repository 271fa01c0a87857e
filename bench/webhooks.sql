-- What an event costs the publisher with 0, 1 and 100 endpoints; then deliveries
-- for the consumers.
\ir webhooks-consumer.sql

-- publish() is refused in a function.
CREATE FUNCTION bench.publish_here() RETURNS bigint LANGUAGE c AS '$libdir/activity', 'act_publish_here';
CREATE FUNCTION bench.cpu_of_publishing() RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	n bigint;
BEGIN
	began := clock_timestamp();
	n := bench.publish_here();
	RETURN round(extract(epoch FROM clock_timestamp() - began) * 1000000 / n, 1);
END
$$;
SELECT format('| endpoints of the organization | µs per published event | more, per delivery |%s|---|---|---|', E'\n');
SET activity.publish_batch = 1000000;
SELECT activity.set_tier(o, 'premium') FROM unnest(ARRAY['none', 'one', 'hundred']) o \g /dev/null
-- The least of three, since the machine has other work to do.
CREATE PROCEDURE bench.measure_publishing(organization text, events int, OUT lowest numeric) LANGUAGE plpgsql AS $$
BEGIN
	FOR round IN 1 .. 3 LOOP
		PERFORM activity.record(organization, 'credit.charge', '{"amount": 1}') FROM generate_series(1, events);
		COMMIT;
		lowest := least(lowest, bench.cpu_of_publishing());
		COMMIT;
	END LOOP;
END
$$;
CALL bench.measure_publishing('none', 20000, NULL) \gset nobody_
SELECT count(*) FROM activity.create_webhook('one', 'https://example.com/') \g /dev/null
SELECT count(w) FROM generate_series(1, 100) i, activity.create_webhook('hundred', 'https://example.com/' || i) w \g /dev/null
SELECT activity.publish() \g /dev/null
CALL bench.measure_publishing('none', 20000, NULL) \gset none_
CALL bench.measure_publishing('one', 20000, NULL) \gset one_
CALL bench.measure_publishing('hundred', 1000, NULL) \gset hundred_
SELECT format('| none, nobody has any | %s | |', :nobody_lowest);
SELECT format('| none, others have | %s | |', :none_lowest);
SELECT format('| 1 | %s | %s |', :one_lowest, round(:one_lowest - :none_lowest, 1));
SELECT format('| 100 | %s | %s |', :hundred_lowest, round((:hundred_lowest - :none_lowest) / 100, 1));

SELECT count(w) FROM generate_series(1, 50) i, activity.set_tier('org' || i, 'premium') t,
	LATERAL activity.create_webhook('org' || i, 'https://example.com/' || i) w \g /dev/null
SELECT count(activity.record('org' || i % 50 + 1, 'credit.charge', '{"amount": 1}', '{"model": "small", "request": "0123456789abcdef"}'))
FROM generate_series(1, 400000) i \g /dev/null
SELECT activity.publish() \g /dev/null
SELECT activity.publish() \g /dev/null
ANALYZE;
