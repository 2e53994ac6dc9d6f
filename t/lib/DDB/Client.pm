# A small HTTP/1.1 client that hides nothing: it never repeats a request (HTTP::Tiny repeats a GET whose connection was
# cut, which would hide exactly the failures that the tests look for), says how far it came, and can send bytes that
# are no HTTP at all.
#
#   my $http = DDB::Client->new('http://127.0.0.1:8080');
#   my $r = $http->request(POST => '/v1/db/shop/query', body => '{"sql":"select 1"}');
#   $r->{status}    HTTP status; 0 when there was no complete answer, and then
#   $r->{error}     says why: 'connect: …', 'send: …', 'closed', 'truncated', 'timeout'
#   $r->{sent}      whether any byte of the request was handed to the kernel on an open connection
#   $r->{headers}   lower-case names; a repeated header's values joined with ', '
#   $r->{body}      bytes
#   $r->{began}, $r->{ended}   monotonic seconds
package DDB::Client;
use v5.36;
use Errno qw(EAGAIN EINTR);
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVTIMEO SO_SNDTIMEO IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# Options: timeout (seconds without any byte; 30), keep (1: keep the connection).
sub new ($class, $url, %opt) {
	my ($host, $port) = $url =~ m{^http://([^:/]+):(\d+)/?$} or die "not an address: $url\n";
	return bless { host => $host, port => $port, timeout => 30, keep => 1, %opt }, $class;
}

sub now () { return clock_gettime(CLOCK_MONOTONIC) }

# Options: headers => {…}, body => bytes, raw => bytes (sent as they are instead of a request that is made here).
sub request ($self, $method, $path, %opt) {
	my $r = { status => 0, headers => {}, body => '', sent => 0, began => now() };
	my $text = $opt{raw} // $self->_text($method, $path, \%opt);
	eval { $self->_connect; $self->_send($text, $r); $self->_receive($method, $r); 1 } or do {
		chomp($r->{error} = $@);
		$r->{status} = 0;
		$self->close;
	};
	$r->{ended} = now();
	$self->close if !$self->{keep} || ($r->{headers}{connection} // '') =~ /close/i;
	return $r;
}

sub close ($self) {
	CORE::close($self->{socket}) if $self->{socket};
	delete $self->{socket};
	$self->{buffer} = '';
	return;
}

sub _text ($self, $method, $path, $opt) {
	my %h = (Host => "$self->{host}:$self->{port}", ($opt->{headers} // {})->%*);
	if (defined $opt->{body}) {
		$h{'Content-Type'} //= 'application/json';
		$h{'Content-Length'} //= length $opt->{body};
	} elsif ($method !~ /^(?:GET|HEAD)$/) {
		$h{'Content-Length'} //= 0;
	}
	$h{Connection} //= 'close' if !$self->{keep};
	return "$method $path HTTP/1.1\r\n" . join('', map { "$_: $h{$_}\r\n" } sort grep { defined $h{$_} } keys %h)
		. "\r\n" . ($opt->{body} // '');
}

sub _connect ($self) {
	if (my $s = $self->{socket}) {
		# A server may end an idle connection at any time; what is visibly closed is no failure of a request.
		my $bits = '';
		vec($bits, fileno $s, 1) = 1;
		return if $self->{buffer} eq '' && !select($bits, undef, undef, 0);
		$self->close;
	}
	my $s = IO::Socket::INET->new(PeerAddr => $self->{host}, PeerPort => $self->{port}, Proto => 'tcp',
		Timeout => $self->{timeout}) or die "connect: $@\n";
	my $tv = pack 'l!l!', int $self->{timeout}, 1e6 * ($self->{timeout} - int $self->{timeout});
	setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, $tv;
	setsockopt $s, SOL_SOCKET, SO_SNDTIMEO, $tv;
	setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
	binmode $s;
	@$self{qw(socket buffer)} = ($s, '');
	return;
}

sub _send ($self, $text, $r) {
	local $SIG{PIPE} = 'IGNORE';
	my $at = 0;
	while ($at < length $text) {
		my $n = syswrite $self->{socket}, $text, length($text) - $at, $at;
		if (!defined $n) {
			next if $! == EINTR;
			# A server that has answered already (413, say) stops reading: the answer counts.
			last if !($! == EAGAIN);
			die "timeout\n";
		}
		$r->{sent} = 1;
		$at += $n;
	}
	return;
}

# Reads more into the buffer; false at the end of the stream.
sub _more ($self) {
	while (1) {
		my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
		return $n if defined $n;
		next if $! == EINTR;
		die $! == EAGAIN ? "timeout\n" : "closed ($!)\n";
	}
}

# Takes n bytes from the stream.
sub _take ($self, $n) {
	while (length $self->{buffer} < $n) { $self->_more or die "truncated\n" }
	return substr $self->{buffer}, 0, $n, '';
}

sub _line ($self) {
	my $i;
	while (($i = index $self->{buffer}, "\n") < 0) { $self->_more or die "truncated\n" }
	return substr($self->{buffer}, 0, $i + 1, '') =~ s/\r?\n\z//r;
}

sub _receive ($self, $method, $r) {
	my $end;
	do {
		while (($end = index $self->{buffer}, "\r\n\r\n") < 0) {
			$self->_more or die $self->{buffer} eq '' ? "closed\n" : "truncated\n";
		}
		my ($first, @lines) = split /\r\n/, substr $self->{buffer}, 0, $end + 4, '';
		($r->{status}) = $first =~ m{^HTTP/1\.[01] (\d{3})} or die "not HTTP: $first\n";
		$r->{headers} = {};
		for (@lines) {
			my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or die "not a header: $_\n";
			my $h = \$r->{headers}{ lc $name };
			$$h = defined $$h ? "$$h, $value" : $value;
		}
	} while $r->{status} < 200;
	my $h = $r->{headers};
	return if $method eq 'HEAD' || $r->{status} == 204 || $r->{status} == 304;
	if (($h->{'transfer-encoding'} // '') =~ /chunked/i) {
		while (1) {
			my $line = $self->_line;
			my ($size) = $line =~ /^([0-9a-fA-F]+)/ or die "not a chunk: $line\n";
			if (!hex $size) {
				1 while $self->_line ne '';
				return;
			}
			$r->{body} .= $self->_take(hex $size);
			$self->_line;
		}
	} elsif (defined $h->{'content-length'}) {
		$r->{body} = $self->_take($h->{'content-length'});
	} else {
		1 while $self->_more;
		($r->{body}, $self->{buffer}) = ($self->{buffer}, '');
		$self->close;
	}
	return;
}

1;
