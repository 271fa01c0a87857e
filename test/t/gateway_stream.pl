# The stream over WebSocket and SSE: the protocol, RFC 6455 by raw frames, who may
# listen and for how long, limits, and how it ends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../gateway";
use File::Temp;
use Gateway;
use IO::Select;
use IO::Socket::SSL ();
use JSON::PP;
use PostgreSQL::Test::Utils;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes 'time';

my $node = gateway_node('stream');
my $gateway = Gateway->start($node, '--max-connections-per-member', 40, '--request-time', 2);
my $secret = $gateway->secret('ann');
sub sql { return $node->safe_psql('postgres', $_[0]) }

# The protocol.
my ($epoch) = sql("SELECT cursor FROM activity.stream_head('org')") =~ /^(\d+)\./;
{
	my $client = $gateway->websocket(secret => $secret);
	is($client->{status}, 101, 'a WebSocket');
	like($client->{head}, qr/^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/m, 'the RFC\'s own example of a key');
	unlike($client->{head}, qr/^Sec-WebSocket-Protocol/m, 'no subprotocol where none was offered');
	is_deeply($client->next, { op => 'hello', epoch => $epoch, head => 2, earliest => 1 }, 'hello');
	$client->subscribe(cursor => 'earliest');
	my @frames = $client->until_op('live');
	is_deeply([ map { $_->{op} } @frames ], [ 'event', 'event', 'live' ], 'what was, then live');
	is_deeply([ map { [ @{$_}{qw(cursor position prev)} ] } @frames[ 0, 1 ] ], [ [ "$epoch.1", 1, 0 ], [ "$epoch.2", 2, 1 ] ], 'places');
	is_deeply($frames[0]{event}, decode_json(sql(q{SELECT activity.event_object(ROW(e.*)::activity.entry)
		FROM (SELECT id, occurred_at, event_type, actor_kind, actor_id, actor_name, subject_kind, subject_id, subject, metadata, description, context, on_behalf_of, recorded_at
			FROM activity.replay('org') LIMIT 1) e})), 'an event is the event object');
	is($frames[2]{cursor}, "$epoch.2", 'live says where');
	$gateway->record(1);
	my $frame = $client->next;
	is_deeply([ @{$frame}{qw(op position prev)} ], [ 'event', 3, 2 ], 'and then what happens');

	my $resumed = $gateway->websocket(secret => $secret, subscribe => { cursor => "$epoch.1" });
	is_deeply([ map { $_->{position} // $_->{op} } $resumed->until_op('live') ], [ 'hello', 2, 3, 'live' ], 'from a cursor');
	my $now = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now' });
	is_deeply([ map { $_->{op} } $now->until_op('live') ], [ 'hello', 'live' ], 'from now');
	$gateway->record(1);
	is_deeply([ map { my @f = $_->until_op('event'); $f[-1]{position} } $client, $resumed, $now ], [ 4, 4, 4 ], 'everybody is told');

	# Subprotocols, as a browser says its secret.
	my $browser = $gateway->websocket(fields => [ "Sec-WebSocket-Protocol: activity.v1, activity.auth.$secret" ],
		subscribe => { cursor => 'now' });
	is($browser->{status}, 101, 'a secret as subprotocol');
	like($browser->{head}, qr/^Sec-WebSocket-Protocol: activity\.v1\r$/m, 'the other one is answered');
	unlike($browser->{head}, qr/activity\.auth/, 'never the secret');

	# Filters.
	my $filtered = $gateway->websocket(secret => $secret, subscribe => { cursor => 'earliest', types => [ 'credit.*' ] });
	is_deeply([ map { $_->{position} // $_->{op} } $filtered->until_op('live') ], [ 'hello', 3, 4, 'live' ], 'a filter');
	my $others = $gateway->websocket(secret => $secret, subscribe => { cursor => 'earliest', types => [ '!credit.*' ] });
	my @frames_of_others = $others->until_op('live');
	is_deeply([ map { $_->{position} // $_->{op} } @frames_of_others ], [ 'hello', 1, 2, 'live' ], 'negations alone take the rest');
	is($frames_of_others[-1]{cursor}, "$epoch.4", 'its cursor is past what did not match');
	sql(q{SELECT activity.define_event_type('credit.lost', 'Lost'), activity.record('org', 'order.created', '{"id": "o"}')});
	sql(q{SELECT activity.record('org', 'credit.lost')});
	my $defined = $filtered->next;
	is_deeply([ @{$defined}{qw(position prev)}, $defined->{event}{eventType} ], [ 6, 4, 'credit.lost' ],
		'a type that was defined later is in its category; prev is what was told last');
	is_deeply([ $others->next->{position} ], [ 5 ], 'and left out by its negation');
}

# What a client may not say; the codes.
sub closed_with
{
	my ($bytes, %options) = @_;
	my $client = $gateway->websocket(secret => $secret);
	$client->next; # hello
	$client->send_bytes($_) foreach ref $bytes ? @$bytes : $bytes;
	my @frames = $client->until_op('close', 5);
	return $frames[-1]{code} // $frames[-1]{op};
}
my $ws = 'Gateway::WebSocket';
my $subscribe = encode_json({ op => 'subscribe', cursor => 'now' });
sub text { return $ws->frame(1, $_[0]) }
my @said = (
	# name, bytes, code
	[ 'no JSON', text('hello'), 4000 ],
	[ 'no object', text('[]'), 4000 ],
	[ 'an empty message', text(''), 4000 ],
	[ 'an unknown op', text('{"op":"publish"}'), 4000 ],
	[ 'a cursor that is none', text('{"op":"subscribe","cursor":"x"}'), 4000 ],
	[ 'a cursor that is a number', text('{"op":"subscribe","cursor":1}'), 4000 ],
	[ 'a cursor with a sign', text('{"op":"subscribe","cursor":"1.-1"}'), 4000 ],
	[ 'a cursor that is huge', text('{"op":"subscribe","cursor":"' . '9' x 30 . '.1"}'), 4000 ],
	[ 'types that are no list', text('{"op":"subscribe","types":"x"}'), 4000 ],
	[ 'types that are numbers', text('{"op":"subscribe","types":[1]}'), 4000 ],
	[ 'types with NUL', text('{"op":"subscribe","types":["a\u0000b"]}'), 4000 ],
	[ 'a type that does not exist', text('{"op":"subscribe","types":["no.such"]}'), 4000 ],
	[ 'a type that breaks out of a list', text('{"op":"subscribe","types":["a\\"},{"]}'), 4000 ],
	[ 'deep JSON', text('[' x 5000), 4000 ],
	[ 'two members of one name', text('{"op":"subscribe","op":"x"}'), 4000 ],
	[ 'subscribing twice', text($subscribe) x 2, 4000 ],
	[ 'binary', $ws->frame(2, $subscribe), 4000 ],
	[ 'an expired or foreign epoch', text('{"op":"subscribe","cursor":"1.1"}'), 4009 ],
	[ 'a cursor of the future', text("{\"op\":\"subscribe\",\"cursor\":\"$epoch.1000\"}"), 4009 ],
	[ '5.1: not masked', $ws->frame(1, $subscribe, mask => ''), 1002 ],
	[ '5.2: a reserved bit', $ws->frame(1, $subscribe, first => 0xc1), 1002 ],
	[ '5.2: the second', $ws->frame(1, $subscribe, first => 0xa1), 1002 ],
	[ '5.2: the third', $ws->frame(1, $subscribe, first => 0x91), 1002 ],
	( map { [ sprintf('5.2: opcode %x', $_), $ws->frame($_, ''), 1002 ] } 3 .. 7, 11 .. 15 ),
	[ '5.2: a length that is not minimal', $ws->frame(1, 'abc', head => pack('CCn', 0x81, 0xfe, 3)), 1002 ],
	[ '5.2: one of eight bytes that is not minimal', $ws->frame(1, 'abc', head => pack('CCQ>', 0x81, 0xff, 300)), 1002 ],
	[ '5.2: the highest bit of a length', pack('CCQ>', 0x81, 0xff, 1 << 63) . "\0\0\0\0", 1002 ],
	[ '5.4: a continuation of nothing', $ws->frame(0, 'abc'), 1002 ],
	[ '5.4: a message within a message', $ws->frame(1, 'a', first => 0x01) . $ws->frame(1, 'b'), 1002 ],
	[ '5.5: a ping that is fragmented', $ws->frame(9, 'a', first => 0x09), 1002 ],
	[ '5.5: a ping that is too long', $ws->frame(9, 'a' x 126), 1002 ],
	[ '5.5.1: a close of one byte', $ws->frame(8, 'a'), 1002 ],
	( map { [ "7.4: a close with $_", $ws->frame(8, pack 'n', $_), 1002 ] } 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535 ),
	[ '5.5.1: a reason that is not UTF-8', $ws->frame(8, pack('n', 1000) . "\xff"), 1007 ],
	[ '8.1: text that is not UTF-8', text("\xff"), 1007 ],
	[ '8.1: a surrogate', text("\xed\xa0\x80"), 1007 ],
	[ '8.1: a longer form', text("\xc0\xaf"), 1007 ],
	[ '8.1: beyond the last character', text("\xf4\x90\x80\x80"), 1007 ],
	[ '8.1: cut off', text("\xe2\x82"), 1007 ],
	[ '8.1: wrong across fragments', $ws->frame(1, "\xe2", first => 0x01) . $ws->frame(0, "\x28"), 1007 ],
	[ '10.4: a message that is too large', text('x' x 9000), 1009 ],
	[ '10.4: announced to be', pack('CCQ>', 0x81, 0xff, 1 << 40) . "\0\0\0\0", 1009 ],
	[ '10.4: in fragments', $ws->frame(1, 'x' x 5000, first => 0x01) . $ws->frame(0, 'x' x 5000), 1009 ],
	[ '10.4: 10,000 empty fragments', $ws->frame(1, '', first => 0x01) . $ws->frame(0, '', first => 0x00) x 10000, 1009 ],
	[ '5.5.1: a close', $ws->frame(8, pack('n', 1000) . 'bye'), 1000 ],
	[ '5.5.1: a close with nothing', $ws->frame(8, ''), 1005 ],
	( map { [ "7.4: a close with $_", $ws->frame(8, pack 'n', $_), $_ ] } 1001, 1003, 1011, 3000, 4999 ),
);
is(closed_with($_->[1]), $_->[2], $_->[0]) foreach @said;

# What it may say, in odd pieces.
{
	my $client = $gateway->websocket(secret => $secret, early => $ws->frame(9, 'early') . text($subscribe));
	my @frames = map { [ $client->next_frame ] } 1 .. 3;
	is_deeply([ map { $_->[0] } @frames ], [ 1, 10, 1 ], 'frames behind the handshake are read');
	is($frames[1][1], 'early', 'a pong carries what the ping did');
	$client = $gateway->websocket(secret => $secret);
	$client->next;
	my $half = int(length($subscribe) / 2);
	$client->send_bytes($_) foreach split //, $ws->frame(1, substr($subscribe, 0, $half), first => 0x01) . $ws->frame(9, 'between')
	  . $ws->frame(0, '', first => 0x00) . $ws->frame(0, substr($subscribe, $half));
	is_deeply([ ($client->next_frame)[0] ], [ 10 ], 'a ping between fragments');
	is($client->next->{op}, 'live', 'fragments, byte by byte');
	is(closed_with([ text('{"op":"subscribe","cursor":"now"}'), $ws->frame(10, 'unasked'), $ws->frame(8, pack 'n', 1000) ]), 1000, 'a pong that nobody asked for');
	my $waiting = $gateway->websocket(secret => $secret);
	is(($waiting->until_op('close', 6))[-1]{code}, 4000, 'who does not subscribe is sent away');
}

# SSE.
{
	my $client = $gateway->sse(secret => $secret, query => '?cursor=earliest&types=credit.*,order.*');
	is($client->{status}, 200, 'SSE');
	like($client->{head}, qr/^Content-Type: text\/event-stream\r$/m);
	like($client->{head}, qr/^X-Accel-Buffering: no\r$/m, 'no proxy keeps it back');
	my @frames = $client->until_op('live');
	is_deeply([ map { [ $_->{sse_event}, $_->{sse_id}, $_->{position} ] } @frames ],
		[ [ 'hello', undef, undef ], ( map { [ undef, "$epoch.$_", $_ ] } 3 .. 6 ), [ 'live', undef, undef ] ], 'events have ids, others names');
	my $resumed = $gateway->sse(secret => $secret, query => '?cursor=earliest', fields => [ "Last-Event-ID: $epoch.5" ]);
	is_deeply([ map { $_->{position} // $_->{op} } $resumed->until_op('live') ], [ 'hello', 6, 'live' ], 'Last-Event-ID wins');
	my $reset = $gateway->sse(secret => $secret, query => "?cursor=$epoch.99");
	my @of_reset = $reset->until_op('end');
	is_deeply([ @{ $of_reset[1] }{qw(op reason sse_event)} ], [ 'reset', 'future', 'reset' ], 'reset');
	is($of_reset[-1]{op}, 'end', 'and the end');
	is($gateway->sse(secret => $secret, query => '?types=no.such')->until_op('end') > 0, 1, 'a wrong filter ends');
}

# Who may not.
sub refused
{
	my ($client, $status, $code, $name) = @_;
	is($client->{status}, $status, $name);
	return is(decode_json($client->{answer} =~ s/.*?\r\n\r\n//sr)->{code}, $code, "$name: its code");
}
refused($gateway->sse(), 401, 'no_secret', 'no secret');
refused($gateway->sse(secret => "wss_$_"), 401, 'bad_secret', 'a secret that is none') foreach '', 'A' x 43, "\xff";
refused($gateway->sse(secret => 'x' x 1100), 401, 'no_secret', 'one that is too long');
refused($gateway->websocket(secret => 'wss_x'), 401, 'bad_secret', 'WebSocket, too');
refused($gateway->sse(secret => $secret, organization => $_), 403, 'forbidden', "organization $_") foreach 'other', 'none', "o%2Frg";

is($gateway->get('/api/v1/organizations/org/stream', "Authorization: Bearer $secret")->{status}, 426, 'neither WebSocket nor SSE');
is($gateway->get("/api/v1/organizations/org/stream?secret=$secret", 'Accept: text/event-stream')->{status}, 401, 'no secret from the query');

# Who may no longer, within a second; others stay.
sub loses
{
	my ($name, $member, $statement, $undo) = @_;
	my $organization = $member eq 'eve' ? 'other' : 'org';
	my $its = $gateway->secret($member, $organization);
	my $stays = $gateway->websocket(secret => $gateway->secret($member eq 'eve' ? 'ann' : 'eve', $member eq 'eve' ? 'org' : 'other'),
		organization => $member eq 'eve' ? 'org' : 'other', subscribe => { cursor => 'now' });
	my $websocket = $gateway->websocket(secret => $its, organization => $organization, subscribe => { cursor => 'now' });
	my $sse = $gateway->sse(secret => $its, organization => $organization);
	$_->until_op('live') foreach $websocket, $sse, $stays;
	my ($id) = sql("SELECT connection_id FROM activity.connections WHERE last_four = right('$its', 4)");
	my $began = time;
	sql($statement =~ s/\$id/$id/r);
	is(($websocket->until_op('close', 10))[-1]{code}, 4003, $name);
	is(($sse->until_op('end', 10))[-1]{op}, 'end', "$name: SSE");
	note(sprintf '%s: after %.1f s', $name, time - $began);
	is($stays->next(0.05)->{op}, 'nothing', "$name: others stay");
	sql($undo) if $undo;
	return;
}
loses('a secret that is revoked', 'bob', "SELECT activity.revoke_connection('\$id')");
loses('one that is rotated', 'bob', "SELECT activity.rotate_connection('\$id')");
loses('a member who is removed', 'bob', "DELETE FROM memberships WHERE user_id = 'bob'", "INSERT INTO memberships VALUES ('org', 'bob', 'member', 'active')");
loses('one who is deactivated', 'bob', "UPDATE memberships SET status = 'inactive' WHERE user_id = 'bob'", "UPDATE memberships SET status = 'active' WHERE user_id = 'bob'");
loses('one who is removed without an event', 'bob', "SET activity.capture = off; DELETE FROM memberships WHERE user_id = 'bob'", "INSERT INTO memberships VALUES ('org', 'bob', 'member', 'active')");
loses('a tier that is lowered', 'eve', "SELECT activity.set_tier('other', 'premium')", "SELECT activity.set_tier('other', 'enterprise')");

# Limits.
{
	my $bob = $gateway->secret('bob');
	my @many = map { $gateway->websocket(secret => $bob) } 1 .. 40;
	is($many[-1]{status}, 101, 'as many as a member may have');
	refused($gateway->websocket(secret => $bob), 429, 'too_many_connections', 'one more');
	is($gateway->websocket(secret => $secret)->{status}, 101, 'another member');
	$_->close foreach @many;
	poll_until('they are gone', sub { $gateway->websocket(secret => $bob)->{status} == 101 });
	pass('and when they are gone the member may again');
}
# Opening and closing in a loop leaves nothing behind.
{
	my $before = $gateway->metric('heap_bytes');
	foreach my $n (1 .. 150)
	{
		my $client = $gateway->websocket(secret => $secret, $n % 2 ? (subscribe => { cursor => 'earliest' }) : ());
		setsockopt $client->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $n % 3 == 0;
		$client->close;
	}
	poll_until('they are gone', sub { ($gateway->metric('connections') // 99) <= 3 });
	cmp_ok($gateway->metric('heap_bytes') - $before, '<', 500_000, 'connections that came and went cost nothing');
}
# A flood of pings is answered no faster than the answers are read.
{
	my $before = $gateway->metric('heap_bytes');
	my $client = $gateway->websocket(secret => $secret);
	$client->{socket}->blocking(0);
	my $flood = $ws->frame(9, 'x' x 125) x 500;
	my ($sent, $until) = (0, time + 2);
	while (time < $until)
	{
		my $n = syswrite $client->{socket}, $flood;
		$sent += $n // 0;
		last if !$n && !IO::Select->new($client->{socket})->can_write(0.5);
	}
	cmp_ok($gateway->metric('heap_bytes') - $before, '<', 1_000_000, "a flood of pings ($sent bytes) waits with its sender");
	is($gateway->websocket(secret => $secret)->{status}, 101, 'and holds up nobody');
}
is($gateway->stop, 0, 'it stops');
is($gateway->log =~ /Sanitizer|runtime error/ ? $gateway->log : '', '', 'and the sanitizers have found nothing');

# Heartbeats, those who do not answer, the end.
$gateway = Gateway->start($node, '--heartbeat', 1, '--pong-time', 2);
{
	my $client = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now', types => [ 'order.*' ] });
	my $sse = $gateway->sse(secret => $secret);
	my $deaf = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now' });
	$deaf->{deaf} = 1;
	$gateway->record(3);
	my ($head) = sql("SELECT cursor FROM activity.stream_head('org')");
	my @frames;
	push @frames, $client->next(3) until @frames && $frames[-1]{op} =~ /head|nothing/ && $frames[-1]{cursor} eq $head;
	is($frames[-1]{op}, 'head', 'an idle client is told the head, past what its filter left out');
	$gateway->record(1);
	sql(q{SELECT activity.record('org', 'order.created', '{"id": "o"}')});
	my $event = ($client->until_op('event'))[-1];
	is($event->{prev}, (split /\./, $head)[1], 'prev is the head that was told');
	is(($sse->until_op('head'))[-1]{sse_event}, 'head', 'SSE, too');
	is(($deaf->until_op('end', 6))[-1]{op}, 'end', 'who answers no ping is cut');
	cmp_ok($client->{pings}, '>=', 1, 'who does was pinged');
	is($client->next(2)->{op}, 'head', 'and stays');
	my $drained = $gateway->websocket(secret => $secret, subscribe => { cursor => 'now' });
	$drained->until_op('live');
	kill 'TERM', $gateway->{pid};
	is(($drained->until_op('close'))[-1]{code}, 4200, 'SIGTERM sends clients to the next gateway');
	is(($sse->until_op('end'))[-1]{op}, 'end', 'SSE ends');
	is($gateway->stop, 0, 'it stops');
}

# TLS, and a certificate that changes under it.
{
	my $dir = File::Temp->newdir;
	my $certificate = sub {
		my ($name) = @_;
		system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
			. " -subj /CN=$name -keyout $dir/key -out $dir/cert 2>/dev/null") == 0 or die 'openssl';
	};
	$certificate->('first');
	my $tls = Gateway->start($node, '--tls-certificate', "$dir/cert", '--tls-key', "$dir/key");
	my $open = sub {
		my $socket = IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $tls->{port}, SSL_verify_mode => 0) or die "$IO::Socket::SSL::SSL_ERROR";
		return $socket;
	};
	my $ask = sub {
		my ($socket) = @_;
		print $socket "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
		my $answer = '';
		sysread $socket, $answer, 65536, length $answer until $answer =~ /\r\n\r\n.*\}/s;
		return $answer;
	};
	my $old = $open->();
	is($old->peer_certificate('commonName'), 'first', 'TLS');
	like($ask->($old), qr/^HTTP\/1.1 200/, 'an answer');
	append_to_file("$dir/key", 'x' x 10);
	truncate "$dir/key", 10;
	kill 'HUP', $tls->{pid};
	poll_until('it complains', sub { $tls->log =~ /event=reload problem=/ });
	is($open->()->peer_certificate('commonName'), 'first', 'a bad key leaves the old one in use');
	$certificate->('second');
	kill 'HUP', $tls->{pid};
	poll_until('it reads again', sub { $tls->log =~ /event=reload state=done/ });
	is($open->()->peer_certificate('commonName'), 'second', 'a new certificate after SIGHUP');
	like($ask->($old), qr/^HTTP\/1.1 200/, 'who was there stays');
	# Much of it, to one who reads late: nothing is lost or torn.
	my $slow = $tls->websocket(secret => $secret, socket => $open->());
	is($slow->{status}, 101, 'a WebSocket over TLS');
	$slow->subscribe(cursor => 'now');
	$slow->until_op('live');
	my $quick = $tls->websocket(secret => $secret, socket => $open->(), subscribe => { cursor => 'now' });
	sql(q{SELECT count(activity.record('org', 'credit.charge', jsonb_build_object('amount', n, 'note', repeat('x', 4000)))) FROM generate_series(1, 2000) n});
	foreach my $client ($quick, $slow)
	{
		my @positions = map { ($client->until_op('event', 10))[-1]{position} // 0 } 1 .. 2000;
		is(scalar(grep { $positions[$_] != $positions[0] + $_ } 0 .. $#positions), 0, 'every event, in order');
	}
	$ask->($open->()) foreach 1 .. 20;
	my $plain = $tls->raw("GET / HTTP/1.1\r\n\r\n", undef, 3);
	unlike($plain, qr/HTTP/, 'no plain HTTP there');
	is($tls->stop, 0, 'it stops');
}
done_testing();
