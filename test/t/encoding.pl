# Databases of other encodings: everybody's events are published, claimed, exported
# to other programs in UTF-8, whatever bytes one of them has.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('encoding');
$node->init;
$node->append_conf('postgresql.conf', "activity.notify = 'shared'");
$node->start;

# What a text of these bytes must become.
my %databases = (
	ascii => [ 'SQL_ASCII', 'c3a9ff80fe2265', qr/^\x{e9}\x{fffd}\x{fffd}\x{fffd}"e$/ ],
	latin => [ 'LATIN1', 'e9ff2265', qr/^\x{e9}\x{ff}"e$/ ],
	euc => [ 'EUC_JP', 'a4a22265', qr/^\x{3042}"e$/ ],
	utf8 => [ 'UTF8', 'c3a92265', qr/^\x{e9}"e$/ ]);
foreach my $name (sort keys %databases)
{
	my ($encoding, $bytes, $expected) = @{ $databases{$name} };
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($name, qq{
		SET client_min_messages = error;
		CREATE EXTENSION activity CASCADE;
		SELECT activity.set_tier(o, 'enterprise') FROM unnest('{bad,good}'::text[]) o;
		SELECT activity.create_webhook(o, 'https://' || o || '.example.com/') FROM unnest('{bad,good}'::text[]) o;
		CREATE FUNCTION raw() RETURNS text LANGUAGE sql AS \$\$ SELECT convert_from('\\x$bytes', '$encoding') \$\$;
		SELECT activity.set_actor('u', name => raw());
		BEGIN;
		SELECT activity.set_actor(raw(), name => raw(), context => jsonb_build_object('note', raw()));
		SELECT activity.record('bad', 'auth.signin', jsonb_build_object('kind', 'user', 'id', raw(), 'name', raw()),
			jsonb_build_object(raw(), raw()), raw());
		SELECT activity.record('good', 'auth.signin', '{"id": "x"}');
		COMMIT;
		SELECT activity.publish();
		SELECT activity.publish()});
	is($node->safe_psql($name, 'SELECT count(*) FROM activity.set_aside'), 0, "$encoding: nothing is set aside");
	my @claimed = split /\n/, $node->safe_psql($name, q{
		SET client_encoding = 'SQL_ASCII';
		SELECT url || ' ' || encode(convert_to(body, getdatabaseencoding()), 'hex')
			|| ' ' || activity.verify_webhook_signature(headers, body, s.secret)
		FROM activity.claim_deliveries(100) c
		CROSS JOIN LATERAL (SELECT coalesce((SELECT secret FROM _activity.webhook_secret s
			JOIN activity.webhook_deliveries d ON d.delivery_id = c.delivery_id
			JOIN _activity.webhook_endpoint e ON e.id = d.endpoint_id AND e.key = s.endpoint LIMIT 1), '') AS secret) s
		WHERE body ~ 'auth.signin'});
	is(scalar(grep { /good/ } @claimed), 1, "$encoding: the others' deliveries are handed out") or diag("@claimed");
	my ($body) = map { (split)[1] } grep { /bad/ } @claimed;
	ok(defined $body, "$encoding: so is this one");
	next unless defined $body;
	$body = pack 'H*', $body;
	{
		# The text comes in the database's encoding, SQL_ASCII as it is.
		require Encode;
		my $text = Encode::decode({ ascii => 'UTF-8', latin => 'iso-8859-1', euc => 'euc-jp', utf8 => 'UTF-8' }->{$name},
			$body, Encode::FB_CROAK());
		my ($actor) = $text =~ /"actorUserId":"((?:[^"\\]|\\.)*)"/;
		$actor =~ s/\\"/"/g;
		like($actor, $expected, "$encoding: in UTF-8, with what no UTF-8 is replaced");
	}
	is($node->safe_psql($name, q{SELECT count(*) FROM activity.feed('bad', event_types => '{auth.signin}')}), 1, "$encoding: the feed");
	is($node->safe_psql($name, q{SELECT count(*) FROM activity.replay('bad', event_types => '{auth.signin}') WHERE id IS NOT NULL}), 1, "$encoding: the stream");
	is($node->safe_psql($name, q{SELECT count(*) FROM activity.verify('bad')}), 0, "$encoding: the chain");
	ok($node->safe_psql($name, q{SELECT count(activity.event_object(f)) FROM activity.feed('bad', event_types => '{auth.signin}') f}) == 1, "$encoding: the object");
	# What other programs read is UTF-8, where it is told as the server has it, too.
	next unless $name eq 'ascii';
	foreach my $asked ("activity.event_object(f) FROM activity.feed('bad', event_types => '{auth.signin}') f",
		map { "activity.export('bad', '$_', event_types => '{auth.signin}')" } qw(csv json ndjson cloudevents ocsf))
	{
		my $hex = $node->safe_psql($name, "SELECT encode(convert_to(string_agg(t, E'\n'), 'SQL_ASCII'), 'hex') FROM (SELECT $asked) q (t)");
		my $told = eval { Encode::decode('UTF-8', pack('H*', $hex), Encode::FB_CROAK()) };
		ok(defined $told && $told =~ /\x{e9}\x{fffd}\x{fffd}\x{fffd}/, "$encoding: $asked is in UTF-8") or diag(pack 'H*', $hex);
	}
}
$node->stop;
done_testing();
