# A gateway on a node, and clients that speak raw bytes, WebSocket and SSE to it.
#
# The program is the one that was built with sanitizers, where there is one: what
# they find ends it, and that fails whatever test comes next.
package Gateway;
use strict;
use warnings;
use Carp;
use Exporter 'import';
use File::Temp;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ':sys_wait_h';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

our @EXPORT = qw(gateway_node program poll_until $patience);
our $patience = 60;

# The program, its folder made by scripts/check.
sub program
{
	my ($plain) = @_;
	my $sanitized = 'gateway/sanitized/activity-gateway';
	return $sanitized if -x $sanitized && !$plain;
	chomp(my $folder = `pg_config --bindir`);
	return "$folder/activity-gateway";
}

sub poll_until
{
	my ($what, $test) = @_;
	my $until = time + $patience;
	my $result;
	until ($result = $test->())
	{
		croak "gave up waiting: $what" if time > $until;
		select undef, undef, undef, 0.02;
	}
	return $result;
}

# A server with an organization `org` of the members ann and bob, and the role gateway.
# The settings are lines of postgresql.conf.
sub gateway_node
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', join "\n", 'shared_preload_libraries = activity',
		"activity.databases = 'postgres'", 'max_worker_processes = 20', @settings, '');
	$node->start;
	$node->safe_psql('postgres', q{
		SET client_min_messages = warning;
		CREATE EXTENSION activity CASCADE;
		CREATE TABLE memberships (organization_id text, user_id text, role text, status text, PRIMARY KEY (organization_id, user_id));
		SELECT activity.track('memberships', 'membership');
		INSERT INTO memberships VALUES ('org', 'ann', 'admin', 'active'), ('org', 'bob', 'member', 'active'),
			('other', 'eve', 'admin', 'active');
		SELECT activity.set_tier('org', 'enterprise'), activity.set_tier('other', 'enterprise');
		CREATE ROLE gateway LOGIN;
		SELECT activity.allow('gateway', 'serve');
	});
	return $node;
}

# Where the database is, for a role that has nothing but the right to serve.
sub conninfo
{
	my ($node) = @_;
	return $node->connstr('postgres') . ' user=gateway';
}

sub start
{
	my ($class, $node, @options) = @_;
	my %self = (node => $node, out => File::Temp->new, log => File::Temp->new, options => [@options]);
	my $plain = @options && $options[0] eq 'plain' && shift @options;
	my $self = bless \%self, $class;
	my ($descriptors) = map { /^--descriptors=(\d+)$/ } @options;
	@options = grep { !/^--descriptors=/ } @options;
	my @command = (program($plain), '--database', conninfo($node), '--listen', '127.0.0.1:0', @options);
	unshift @command, 'sh', '-c', "ulimit -n $descriptors; exec \"\$@\"", 'sh' if $descriptors;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>', $self->{out}->filename or die;
		open STDERR, '>', $self->{log}->filename or die;
		open STDIN, '<', '/dev/null' or die;
		exec @command or die "exec: $!";
	}
	$self->{pid} = $pid;
	poll_until('the gateway starts', sub {
		die 'it did not start: ' . $self->log if waitpid($pid, WNOHANG);
		return slurp_file($self->{out}->filename) =~ m{^listening on (https?)://127\.0\.0\.1:(\d+)$}m
		  && (@{$self}{qw(scheme port)} = ($1, $2));
	});
	poll_until('the gateway is healthy', sub { $self->scheme_is_https || $self->get('/healthz')->{status} == 200 })
	  unless grep { $_ eq '--no-wait' } @options;
	return $self;
}

sub scheme_is_https { return $_[0]{scheme} eq 'https' }
sub log { return slurp_file($_[0]{log}->filename) }

# Sends a signal and waits for the end; the exit code, or -1 of a signal.
sub stop
{
	my ($self, $signal) = @_;
	return $self->{ended} if defined $self->{ended};
	kill $signal // 'TERM', $self->{pid};
	my $until = time + $patience;
	until (waitpid($self->{pid}, WNOHANG) > 0)
	{
		if (time > $until)
		{
			kill 'KILL', $self->{pid};
			croak 'the gateway did not stop';
		}
		select undef, undef, undef, 0.02;
	}
	$self->{ended} = WIFEXITED($?) ? WEXITSTATUS($?) : -1;
	diag($self->log) if $self->{ended} > 0;
	return $self->{ended};
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop('KILL') if $self->{pid} && !defined $self->{ended};
	return;
}

sub connect
{
	my ($self, %options) = @_;
	my $socket;
	poll_until('a connection', sub {
		$socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, %options);
	});
	$socket->autoflush(1);
	binmode $socket;
	return $socket;
}

# Bytes that TLS has decrypted, which select does not see.
sub pending
{
	my ($socket) = @_;
	return $socket->can('pending') && $socket->pending;
}

# Everything that comes until the other side ends, the pattern matches, or so many
# bytes are there.
sub read_until
{
	my ($socket, $pattern, $limit) = @_;
	my ($data, $until) = ('', time + ($limit // 20));
	my $select = IO::Select->new($socket);
	while (1)
	{
		return $data if defined $pattern && (ref $pattern ? $data =~ $pattern : length $data >= $pattern);
		my $left = $until - time;
		return $data . ($limit ? '' : '<timeout>') if $left <= 0 || !(pending($socket) || $select->can_read($left));
		my $read = sysread $socket, $data, 65536, length $data;
		return $data unless $read;
	}
}

# Sends raw bytes and returns what comes back until the end of the connection.
sub raw
{
	my ($self, $bytes, $pattern, $limit) = @_;
	my $socket = $self->connect;
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $bytes;
	return read_until($socket, $pattern, $limit);
}

sub get
{
	my ($self, $path, @fields) = @_;
	my $answer = $self->raw("GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" . join('', map { "$_\r\n" } @fields) . "\r\n");
	return parse($answer);
}

sub parse
{
	my ($answer) = @_;
	my ($head, $body) = split /\r\n\r\n/, $answer, 2;
	my ($status) = ($head // '') =~ m{^HTTP/1\.1 (\d+)};
	return { status => $status // 0, head => $head, body => $body };
}

sub metric
{
	my ($self, $name) = @_;
	my ($value) = $self->get('/metrics')->{body} =~ /^activity_gateway_\Q$name\E ([\d.e+-]+)$/m;
	return $value;
}

# A secret of a member, made by SQL.
sub secret
{
	my ($self, $member, $organization) = @_;
	$organization //= 'org';
	return $self->{node}->safe_psql('postgres',
		"SELECT secret FROM activity.create_connection('$organization', '$member')");
}

sub record
{
	my ($self, $number, $organization) = @_;
	$organization //= 'org';
	return $self->{node}->safe_psql('postgres',
		"SELECT count(activity.record('$organization', 'credit.charge', jsonb_build_object('amount', n))) FROM generate_series(1, $number) n");
}

sub websocket
{
	my ($self, %options) = @_;
	return Gateway::WebSocket->new($self, %options);
}

sub sse
{
	my ($self, %options) = @_;
	return Gateway::Sse->new($self, %options);
}

# A client of WebSocket that can also do what no client may.
package Gateway::WebSocket;
use strict;
use warnings;
use Carp;
use IO::Select;
use JSON::PP;
use Time::HiRes 'time';

sub new
{
	my ($class, $gateway, %options) = @_;
	my $socket = $options{socket} // $gateway->connect;
	my $self = bless { socket => $socket, buffer => '', closed => 0 }, $class;
	my $organization = $options{organization} // 'org';
	my @fields = ('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
		'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', @{ $options{fields} // [] });
	push @fields, "Authorization: Bearer $options{secret}" if defined $options{secret};
	syswrite $socket, "GET /api/v1/organizations/$organization/stream HTTP/1.1\r\nHost: x\r\n" . join('', map { "$_\r\n" } @fields) . "\r\n"
	  . ($options{early} // '');
	my $answer = '';
	while ($answer !~ /\r\n\r\n/)
	{
		my $more = Gateway::read_until($socket, qr/./s);
		last if $more eq '' || $more =~ /<timeout>/;
		$answer .= $more;
	}
	@{$self}{qw(head buffer)} = $answer =~ /^(.*?\r\n\r\n)(.*)$/s;
	$self->{answer} = $answer;
	($self->{status}) = $answer =~ m{^HTTP/1\.1 (\d+)};
	$self->subscribe(%{ $options{subscribe} }) if $options{subscribe};
	return $self;
}

sub frame
{
	my (undef, $opcode, $payload, %options) = @_;
	my $length = length $payload;
	my $first = ($options{first} // (0x80 | $opcode));
	my $mask = $options{mask} // "\x12\x34\x56\x78";
	my $bit = $mask eq '' ? 0 : 0x80;
	my $head = $options{head}
	  // ($length < 126 ? pack('CC', $first, $bit | $length)
		: $length < 65536 ? pack('CCn', $first, $bit | 126, $length)
		: pack('CCQ>', $first, $bit | 127, $length));
	my $masked = $mask eq '' ? $payload : $payload ^ substr($mask x ($length / 4 + 1), 0, $length);
	return $head . $mask . $masked;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes)
	{
		my $sent = syswrite $self->{socket}, $bytes;
		return unless $sent;
		substr $bytes, 0, $sent, '';
	}
	return;
}

sub send_text { my ($self, $text) = @_; return $self->send_bytes($self->frame(1, $text)) }

sub subscribe
{
	my ($self, %what) = @_;
	return $self->send_text(encode_json({ op => 'subscribe', %what }));
}

# The next frame: opcode and payload; empty at the end of the connection, or when
# nothing comes in that time.
sub next_frame
{
	my ($self, $limit) = @_;
	my $until = time + ($limit // 20);
	my $select = IO::Select->new($self->{socket});
	while (1)
	{
		if ($self->{buffer} =~ /^(.)(.)/s)
		{
			my ($opcode, $length, $at) = (ord($1) & 0x0f, ord($2), 2);
			($length, $at) = length $self->{buffer} < 4 ? (1e9, 4) : (unpack('x2n', $self->{buffer}), 4) if $length == 126;
			($length, $at) = length $self->{buffer} < 10 ? (1e9, 10) : (unpack('x2Q>', $self->{buffer}), 10) if $length == 127;
			if (length $self->{buffer} >= $at + $length)
			{
				my $payload = substr $self->{buffer}, $at, $length;
				substr $self->{buffer}, 0, $at + $length, '';
				return ($opcode, $payload);
			}
		}
		my $left = $until - time;
		return if $left <= 0 || !(Gateway::pending($self->{socket}) || $select->can_read($left));
		my $read = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		if (!$read)
		{
			$self->{closed} = 1;
			return;
		}
	}
}

# The next JSON frame; a close frame as {op: 'close', code, reason}.  Pings are answered.
sub next
{
	my ($self, $limit) = @_;
	while (my ($opcode, $payload) = $self->next_frame($limit))
	{
		return decode_json($payload) if $opcode == 1;
		return { op => 'close', code => length $payload ? unpack('n', $payload) : 1005, reason => substr($payload, 2) }
		  if $opcode == 8;
		$self->{pings}++ if $opcode == 9;
		$self->send_bytes($self->frame(10, $payload)) if $opcode == 9 && !$self->{deaf};
	}
	return { op => $self->{closed} ? 'end' : 'nothing' };
}

# Frames until one of this op, all of them.
sub until_op
{
	my ($self, $op, $limit) = @_;
	my $until = time + ($limit // 20);
	my @frames;
	while (1)
	{
		my $frame = $self->next($until - time);
		push @frames, $frame;
		return @frames if $frame->{op} eq $op || $frame->{op} =~ /^(?:close|end|nothing)$/;
	}
}

sub close { my ($self) = @_; return close $self->{socket} }

# A client of Server-Sent Events.
package Gateway::Sse;
use strict;
use warnings;
use IO::Select;
use JSON::PP;
use Time::HiRes 'time';

sub new
{
	my ($class, $gateway, %options) = @_;
	my $socket = $gateway->connect;
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my $organization = $options{organization} // 'org';
	my @fields = ('Accept: text/event-stream', @{ $options{fields} // [] });
	push @fields, "Authorization: Bearer $options{secret}" if defined $options{secret};
	my $query = $options{query} // '';
	syswrite $socket, "GET /api/v1/organizations/$organization/stream$query HTTP/1.1\r\nHost: x\r\n" . join('', map { "$_\r\n" } @fields) . "\r\n";
	my $answer = '';
	while ($answer !~ /\r\n\r\n/)
	{
		my $more = Gateway::read_until($socket, qr/./s);
		last if $more eq '' || $more =~ /<timeout>/;
		$answer .= $more;
	}
	@{$self}{qw(head buffer)} = $answer =~ /^(.*?\r\n\r\n)(.*)$/s;
	($self->{status}) = $answer =~ m{^HTTP/1\.1 (\d+)};
	$self->{answer} = $answer;
	return $self;
}

# The next event: its frame, with what SSE says as sse_event and sse_id.
sub next
{
	my ($self, $limit) = @_;
	my $until = time + ($limit // 20);
	my $select = IO::Select->new($self->{socket});
	while (1)
	{
		if ($self->{buffer} =~ s/^(.*?)\n\n//s)
		{
			my %field = map { /^(\w+): (.*)$/ ? ($1 => $2) : () } split /\n/, $1;
			my $frame = decode_json($field{data});
			@{$frame}{qw(sse_event sse_id)} = @field{qw(event id)};
			return $frame;
		}
		my $left = $until - time;
		return { op => 'nothing' } if $left <= 0 || !$select->can_read($left);
		my $read = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		return { op => 'end' } unless $read;
	}
}

sub until_op
{
	my ($self, $op, $limit) = @_;
	my $until = time + ($limit // 20);
	my @frames;
	while (1)
	{
		my $frame = $self->next($until - time);
		push @frames, $frame;
		return @frames if $frame->{op} eq $op || $frame->{op} =~ /^(?:close|end|nothing)$/;
	}
}

sub close { my ($self) = @_; return close $self->{socket} }

1;
