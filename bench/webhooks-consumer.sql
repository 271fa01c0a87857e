SET client_min_messages = warning;
CREATE EXTENSION activity CASCADE;
CREATE SCHEMA bench;

-- One consumer: claim, commit, report, commit, as the gateway does.
CREATE PROCEDURE bench.consume(seconds int, batch int) LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + seconds * interval '1 second';
	ids uuid[];
	attempts int[];
BEGIN
	WHILE clock_timestamp() < until LOOP
		SELECT array_agg(delivery_id), array_agg(attempt) INTO ids, attempts
		FROM activity.claim_deliveries(batch, '60 s');
		COMMIT;
		PERFORM activity.report_delivery(i, a, 200, NULL, '50 ms', 'ok') FROM unnest(ids, attempts) v (i, a);
		COMMIT;
	END LOOP;
END
$$;
