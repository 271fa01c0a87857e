-- What failed and was set aside (src/event/aside.c), until it succeeds.
CREATE TABLE _activity.set_aside (
	step         text        NOT NULL, -- publish, claim, maintain, trim, compact, or what listens to the publisher
	organization integer     NOT NULL, -- 0: it is nobody's
	item         text        NOT NULL, -- an event, an endpoint, a delivery; empty: the organization
	position     bigint      NOT NULL, -- of its stream, up to which the step is done
	reason       text        NOT NULL,
	sqlstate     text        NOT NULL,
	since        timestamptz NOT NULL,
	attempts     integer     NOT NULL,
	next_attempt timestamptz NOT NULL,
	PRIMARY KEY (step, organization, item)
);
SELECT pg_catalog.pg_extension_config_dump('_activity.set_aside', '');

CREATE VIEW activity.set_aside WITH (security_barrier) AS
SELECT a.step,
	(SELECT o.id FROM _activity.organization o WHERE o.key = a.organization LIMIT 1) COLLATE "default" AS organization,
	nullif(a.item, '') AS item, a.reason, a.sqlstate, a.since, a.attempts, a.next_attempt
FROM _activity.set_aside a;
COMMENT ON VIEW activity.set_aside IS
	'what failed by itself and is left out, so that it stops nobody else, with the reason; it is tried again at next_attempt: publish (an event that got no position), webhooks (an organization whose events wait for their deliveries), claim (an endpoint), deliver (a delivery), maintain and trim (a step of the upkeep), compact (the rollups of an organization)';
