-- How publishing is doing.

CREATE FUNCTION _activity.worker_status()
RETURNS TABLE (pid integer, state text, wakeups bigint, published bigint,
	skipped bigint, failures bigint, failed_at timestamptz, error text)
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'act_worker_status';
COMMENT ON FUNCTION _activity.worker_status() IS
	'the background worker of this database, as shared memory has it; no row where there never was one';

CREATE FUNCTION _activity.backlog(most integer)
RETURNS TABLE (events bigint, oldest timestamptz, published_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'act_backlog';
COMMENT ON FUNCTION _activity.backlog(integer) IS
	'committed events without a position, counted up to about so many, the time of the oldest of them, and when something was published last';

CREATE VIEW activity.health WITH (security_barrier) AS
SELECT
	CASE WHEN worker.state IS NULL THEN 'none' ELSE worker.state END AS worker,
	worker.pid AS worker_pid,
	backlog.events AS backlog,
	CASE WHEN backlog.events > 0
		THEN clock_timestamp() - greatest(backlog.oldest, backlog.published_at)
		WHEN backlog.events = 0 THEN interval '0' END AS lag,
	backlog.published_at AS last_published_at,
	worker.published AS published,
	worker.skipped AS skipped_notifications,
	pg_catalog.pg_notification_queue_usage() AS notification_queue_usage,
	worker.wakeups AS wakeups,
	coalesce(worker.failures, 0) AS failures,
	worker.error AS last_error,
	worker.failed_at AS last_error_at,
	holder.pid AS held_back_by,
	holder.since AS held_back_since,
	publisher.pid AS publishing_pid,
	publisher.role AS publishing_role,
	publisher.since AS publishing_since,
	publisher.state AS publishing_state,
	(SELECT count(*) FROM pg_catalog.pg_inherits
		WHERE inhparent = '_activity.event'::pg_catalog.regclass) AS partitions,
	(SELECT count(*) FROM pg_catalog.pg_inherits
		WHERE inhparent = '_activity.stream'::pg_catalog.regclass) AS stream_segments,
	coalesce((SELECT sum(changes) FROM _activity.gap), 0)::bigint AS tracking_gaps,
	broken.problems,
	(SELECT count(*) FROM _activity.set_aside) AS set_aside,
	coalesce(threatened.consumers, '{}') AS threatened_consumers
FROM (SELECT coalesce(bool_or(stops), false) AS stop,
		coalesce(array_agg(problem ORDER BY problem), '{}') AS problems
	FROM _activity.problem) broken
LEFT JOIN LATERAL (
	-- Where the tables can't be read it is not known; OFFSET keeps the condition
	-- before the call.
	SELECT * FROM _activity.backlog(1000000) WHERE NOT broken.stop OFFSET 0) backlog ON true
LEFT JOIN _activity.worker_status() worker ON true
LEFT JOIN LATERAL (
	SELECT array_agg(format('consumer "%s" in organization "%s": retention removes its next event on %s',
		t.name, t.organization, t.lost_at::date) ORDER BY t.lost_at) AS consumers
	FROM _activity.consumer_threat t
	WHERE broken.problems = '{}' OFFSET 0) threatened ON true
LEFT JOIN LATERAL (
	-- Who has recorded and not ended holds this lock; prepared ones have no pid.
	SELECT l.pid, coalesce(a.xact_start, p.prepared) AS since
	FROM pg_catalog.pg_locks l
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
	LEFT JOIN pg_catalog.pg_locks own ON l.pid IS NULL AND own.locktype = 'transactionid'
		AND own.virtualtransaction = l.virtualtransaction
	LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = own.transactionid
	WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
	  AND l.relation = '_activity.event'::pg_catalog.regclass
	  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
	ORDER BY since LIMIT 1) holder ON true
LEFT JOIN LATERAL (
	-- The right to publish is this lock (stream/right.c).
	SELECT l.pid, a.usename AS role, a.xact_start AS since,
		coalesce(a.backend_type || ': ' || a.state, a.state, a.backend_type) AS state
	FROM pg_catalog.pg_locks l
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
	WHERE l.locktype = 'object' AND l.mode = 'ExclusiveLock' AND l.granted
	  AND l.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
	  AND l.objid = '_activity.publication'::pg_catalog.regclass AND l.objsubid = -1
	  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
	LIMIT 1) publisher ON true;
COMMENT ON VIEW activity.health IS
	'how publishing is doing: the worker of this database (publishing, failing, waiting for the extension, starting, stopped, or none), how many committed events have no position yet and since when (null: not known, because of problems), what went wrong last, the oldest transaction that has recorded and not ended (its events come when it ends; no pid: a prepared one), who is publishing at this moment, as whom, since when and in which state (nobody else can meanwhile; role, time and state need pg_read_all_stats), the sizes of things, and what is wrong with the tables themselves (problems, empty when nothing is), and how much failed by itself and is set aside (the view set_aside), and which consumers retention is about to pass or has passed (threatened_consumers)';
