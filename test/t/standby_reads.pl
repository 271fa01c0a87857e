# Every public function and view on a hot standby: what reads answers as the primary does,
# tokens and secrets authenticate, and what writes says that it can't (25006). A function
# that this test does not know fails it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "activity.default_tier = 'enterprise'\nactivity.record_reads = on\n");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION activity CASCADE;
	CREATE TABLE memberships (id int PRIMARY KEY, organization_id text, user_id text, role text, status text);
	SET client_min_messages = error;
	SELECT activity.track('memberships', 'membership');
	INSERT INTO memberships VALUES (1, 'org', 'u1', 'admin', 'active');
	SELECT activity.define_event_type('kitchen.burnt', 'Burnt {dish}');
	SELECT activity.define_measure('kitchen.burnt', 'burnt', 'grams', 'g');
	SELECT activity.set_actor('u1'), activity.record('org', 'kitchen.burnt', jsonb_build_object('id', i, 'dish', 'soup'), '{"grams": 3}') FROM generate_series(1, 40) i;
	SELECT activity.record('org', 'order.created', jsonb_build_object('id', i, 'customer_id', 'c' || i % 3), '{"amount": 3, "currency": "usd"}') FROM generate_series(1, 9) i;
	SELECT activity.record('org', 'subscription.active', '{"id": "s"}', '{"amount": 20, "currency": "eur", "interval": "month"}');
	SELECT activity.create_webhook('org', 'https://example.com/hook');
	SELECT activity.disable_webhook(endpoint_id) FROM activity.create_webhook('org', 'https://example.com/two');
	SELECT activity.create_consumer('ship', 'org', start => 'earliest');
	SELECT activity.place_hold('org', 'a case');
	SELECT activity.set_retention('org', '1 year')});
$primary->poll_query_until('postgres', 'SELECT activity.publish() = 0') or die;
$primary->safe_psql('postgres', q{SELECT activity.test_webhook(endpoint_id) FROM activity.webhook_endpoints WHERE status = 'active'});
$primary->safe_psql('postgres', q{SELECT activity.park('ship', lease, cursor, 'bad') FROM activity.poll('ship', 1)});
my $token = $primary->safe_psql('postgres', q{SELECT token FROM activity.create_token('org', capabilities => '{read,analytics,export,stream,webhooks,administer}')});
my $secret = $primary->safe_psql('postgres', q{SELECT secret FROM activity.create_connection('org', 'u1', 'laptop')});
my $event = $primary->safe_psql('postgres', q{SELECT id FROM activity.feed('org') LIMIT 1});
my $endpoint = $primary->safe_psql('postgres', q{SELECT endpoint_id FROM activity.webhook_endpoints WHERE status = 'active'});
my $delivery = $primary->safe_psql('postgres', q{SELECT delivery_id FROM activity.webhook_deliveries LIMIT 1});
my $cursor = $primary->safe_psql('postgres', q{SELECT cursor FROM activity.stream_head('org')});
$primary->poll_query_until('postgres', 'SELECT activity.publish() = 0') or die;
my $early = $cursor =~ s/\d+$/5/r;
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

my $range = q{now() - interval '1 day', now() + interval '1 day'};
my $bearer = qq{'{"authorization": "Bearer $token"}'};
my $digest = sub { "sha256('$_[0]')" };
my %reads = (
	version => q{SELECT activity.version()}, action => q{SELECT activity.action('auth.signin')}, category => q{SELECT activity.category('auth.signin')},
	channel => q{SELECT activity.channel('org')},
	event_id => q{SELECT activity.event_time(activity.event_id('2026-01-01'))},
	event_time => qq{SELECT activity.event_time('$event')},
	event_line => q{SELECT activity.event_line('org', f) FROM activity.feed('org') f},
	event_object => q{SELECT activity.event_object(f) FROM activity.feed('org') f},
	feed => q{SELECT * FROM activity.feed('org', viewer => 'u1', search => 'soup')},
	feed_page => q{SELECT activity.feed_page('org', page_size => 7)},
	feed_count => q{SELECT activity.feed_count('org', actor => 'u1')},
	audit => q{SELECT * FROM activity.audit(page_size => 50)},
	summary => qq{SELECT * FROM activity.summary('org', $range)},
	members => q{SELECT * FROM activity.members('org')}, memberships => q{SELECT * FROM activity.memberships('u1')},
	organization_tier => q{SELECT activity.organization_tier('org')},
	render_description => q{SELECT activity.render_description('kitchen.burnt', '{"dish": "x"}')},
	retry_after => q{SELECT activity.retry_after('120')},
	verify_webhook_signature => q{SELECT activity.verify_webhook_signature('{"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}', 'x', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')},
	connection_guide => q{SELECT activity.connection_guide('org', 'u1')},
	replay => qq{SELECT * FROM activity.replay('org', '$early', '{kitchen.*}')},
	stream_head => q{SELECT * FROM activity.stream_head('org')},
	checkpoint => q{SELECT position, hash, events FROM activity.checkpoint('org')},
	verify => q{SELECT count(*) FROM activity.verify('org')},
	active_members => qq{SELECT * FROM activity.active_members('org', $range)},
	timeline => qq{SELECT * FROM activity.timeline('org', $range, by => 'event_type')},
	usage => qq{SELECT * FROM activity.usage('org', $range, 'burnt')},
	revenue => qq{SELECT * FROM activity.revenue('org', $range)},
	mrr => q{SELECT * FROM activity.mrr('org')},
	top_customers => qq{SELECT * FROM activity.top_customers('org', $range)},
	credits_by_member => qq{SELECT count(*) FROM activity.credits_by_member('org', $range)},
	conversion => qq{SELECT * FROM activity.conversion('org', $range, 'kitchen.burnt', 'order.created')},
	rollup_verify => qq{SELECT count(*) FROM activity.rollup_verify('org', $range)},
	export => qq{SELECT activity.export('org', 'ndjson', up_to => '$cursor')},
	export_organization => q{SELECT count(*) FROM activity.export_organization('org') l WHERE l !~ '"line":"(organization|end|read|event)"'},
	redaction_ledger => q{SELECT activity.redaction_ledger()},
	authenticate_connection => qq{SELECT * FROM activity.authenticate_connection('$secret')},
	http => [ map { qq{SELECT status, body FROM activity.http('GET', '/api/v1/organizations/org/$_', '', $bearer, '')} }
		qw(activity activity/types activity/summary webhooks realtime/secrets analytics/revenue analytics/mrr analytics/timeline analytics/usage), "activity/$event", "webhooks/$endpoint/deliveries" ],
	serve_lines => qq{SELECT activity.serve_lines('/api/v1/organizations/org/activity/export', 'format=ndjson&upTo=$cursor', $bearer)},
	serve_authenticate => qq{SELECT member, cursor, earliest FROM activity.serve_authenticate('org', @{[ $digest->($secret) ]})},
	serve_check => qq{SELECT * FROM activity.serve_check('{org,org}', ARRAY[@{[ $digest->($secret) ]}, @{[ $digest->($token) ]}])},
	serve_filter => q{SELECT * FROM activity.serve_filter('{kitchen.*}')},
	serve_replay => qq{SELECT * FROM activity.serve_replay('org', @{[ $digest->($token) ]}, '$early')},
	set_actor => q{SELECT activity.set_actor('u1')});
my %writes = (
	ack => qq{'ship', '$event', NULL, NULL}, allow => q{'pg_monitor', 'read'}, claim_deliveries => q{1, '1 minute'},
	create_connection => q{'org', 'u1'}, create_consumer => q{'other'}, create_token => q{'org'}, create_webhook => q{'org', 'https://example.com/x'},
	dashboard_link => q{'org', 'u1'}, declare_personal => q{'order.created', '{x}'}, define_event_type => q{'a.b', 'c'},
	define_measure => q{'order.created', 'm', 'x', 'y'}, delete_webhook => qq{'$endpoint'}, disable_webhook => qq{'$endpoint'},
	drop_consumer => q{'ship'}, enable_webhook => q{(SELECT endpoint_id FROM activity.webhook_endpoints WHERE status = 'disabled')}, maintain => '', park => qq{'ship', '$event', '$early', 'x'},
	place_hold => q{'org', 'x'}, poll => q{'ship'}, publish => '', record => q{'org', 'auth.signin'}, recover_webhook => qq{'$endpoint', now() - interval '1 hour', now()},
	redact => qq{'org', '$event', 'x'}, redact_person => q{'u1', 'x'}, refold => q{'burnt'}, release_hold => qq{(SELECT id FROM activity.holds LIMIT 1), 'x'},
	remove_organization => q{'org', '1:1:'}, distribute => q{'memberships'}, replay_redactions => qq{jsonb '[]'}, replay_webhook => qq{'$endpoint', now() - interval '1 hour', now()},
	report_delivery => qq{'$delivery', 1, 200, NULL, NULL, NULL, NULL}, retry_delivery => qq{'$delivery'}, revoke_connection => q{(SELECT connection_id FROM activity.connections)},
	revoke_token => q{(SELECT token_id FROM activity.tokens)}, rotate_connection => q{(SELECT connection_id FROM activity.connections)},
	rotate_webhook_secret => qq{'$endpoint'}, seek => q{'ship', 'earliest'}, set_retention => q{'org', interval '1 year'}, set_tier => q{'org', 'free'},
	test_webhook => qq{'$endpoint'}, track => q{'memberships', 'membership'}, unpark => qq{'ship', (SELECT cursor FROM activity.parked)}, unset_retention => q{'org'},
	untrack => q{'memberships'}, update_webhook => qq{'$endpoint', 'https://example.com/y'},
	import_organization => q{'{"line":"organization","format":1}'});

# Both have asked once on the primary, where it is noted when they were used last.
$primary->safe_psql('postgres', ref $reads{$_} ? join(';', @{ $reads{$_} }) : $reads{$_}) foreach sort grep { !/^(export|serve_lines)/ } keys %reads;
$primary->poll_query_until('postgres', 'SELECT activity.publish() = 0') or die;
foreach my $name (split /\n/, $primary->safe_psql('postgres', q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'activity'::regnamespace
	AND oid NOT IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[]) FROM pg_type) ORDER BY 1}))
{
	my $is_stable = $primary->safe_psql('postgres', qq{SELECT bool_or(provolatile <> 'v' AND prokind = 'f') FROM pg_proc WHERE pronamespace = 'activity'::regnamespace AND proname = '$name'}) eq 't';
	if ($reads{$name})
	{
		foreach my $query (ref $reads{$name} ? @{ $reads{$name} } : $reads{$name})
		{
			# What an export on the primary leaves comes after what it has read.
			my $before = $primary->safe_psql('postgres', "SET TimeZone = 'UTC'; $query");
			$primary->wait_for_catchup($standby);
			is($standby->safe_psql('postgres', "SET TimeZone = 'UTC'; $query"), $before, "$name() reads there");
			like($before, qr/[^|]/, 'something') unless $name =~ /^(?:set_actor|active_members|top_customers)$/;
		}
	}
	elsif (defined $writes{$name})
	{
		my ($result, undef, $errors) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSELECT activity.$name($writes{$name})");
		like($errors, $name eq 'distribute' ? qr/ERROR:  55000/ : qr/ERROR:  25006/, "$name() writes nothing there") or diag($errors);
		ok(!$is_stable, 'and says so in the catalog');
	}
	else
	{
		fail("$name() is in this test");
	}
}
foreach my $view (split /\n/, $primary->safe_psql('postgres', q{SELECT relname FROM pg_class WHERE relnamespace = 'activity'::regnamespace AND relkind = 'v' ORDER BY 1}))
{
	my $query = "SET TimeZone = 'UTC'; " . ($view eq 'health' ? 'SELECT backlog FROM activity.health' :
		$view eq 'retention' ? 'SELECT organization, keep FROM activity.retention' : $view eq 'consumers' ? 'SELECT name, cursor, lag_events FROM activity.consumers' : "SELECT * FROM activity.$view t ORDER BY t::text");
	$primary->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', $query), $primary->safe_psql('postgres', $query), "view $view");
}

# When a secret was used last is noted on a primary alone; one that is not valid is refused there.
my $used = q{SELECT count(*) FROM activity.connections WHERE last_used_at IS NOT NULL};
$primary->safe_psql('postgres', q{UPDATE _activity.connection SET last_used_at = NULL; UPDATE _activity.token SET last_used_at = NULL});
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', $reads{serve_replay});
$standby->safe_psql('postgres', $reads{authenticate_connection});
is($standby->safe_psql('postgres', $used), '0', 'last used is not written there');
$primary->safe_psql('postgres', q{SELECT activity.revoke_connection(connection_id) FROM activity.connections; SELECT activity.revoke_token(token_id) FROM activity.tokens});
$primary->wait_for_catchup($standby);
foreach my $query ($reads{authenticate_connection}, $reads{serve_replay})
{
	my ($result, undef, $errors) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$query");
	like($errors, qr/ERROR:  (?:AC021|28P01|42501)/, 'revoked there, too') or diag($errors);
}
is($standby->safe_psql('postgres', ref $reads{http} ? $reads{http}[0] : '') =~ s/\|.*//sr, '401', 'and over HTTP');
$standby->stop;
$primary->stop;
done_testing();
