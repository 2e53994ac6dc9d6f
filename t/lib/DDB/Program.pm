# One program alone, without a web server: as plain CGI, or as FastCGI over a socket that the test holds, spoken to in
# FastCGI by the test itself (so that it can also send what nginx never would).
package DDB::Program;
use v5.36;
use DDB::Build qw(program);
use Fcntl qw(F_DUPFD);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw(dup2 _exit WNOHANG);
use Socket qw(SOMAXCONN);
use Time::HiRes qw(sleep time);
use Exporter qw(import);
our @EXPORT_OK = qw(cgi run_program answer_of);

my $json = JSON::PP->new->allow_nonref;

# The environment of a request as a web server makes it.
sub variables ($method, $uri, %opt) {
	my ($query) = $uri =~ /\?(.*)/s;
	my %v = (GATEWAY_INTERFACE => 'CGI/1.1', REQUEST_METHOD => $method, REQUEST_URI => $uri, QUERY_STRING => $query // '',
		SERVER_PROTOCOL => 'HTTP/1.1', HTTP_HOST => '127.0.0.1:9');
	@v{qw(CONTENT_LENGTH CONTENT_TYPE)} = (length $opt{body}, 'application/json') if defined $opt{body};
	return (%v, ($opt{env} // {})->%*);
}

# Takes apart what a program wrote.
sub answer_of ($text) {
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my %r = (raw => $text, body => $body // '', status => 0, headers => {});
	for (split /\r\n/, $head // '') {
		my ($name, $value) = /^([^:]+): ?(.*)$/s or next;
		push $r{headers}{ lc $name }->@*, $value;
	}
	$r{headers} = { map { $_ => join ', ', $r{headers}{$_}->@* } keys $r{headers}->%* };
	$r{status} = $1 if ($r{headers}{status} // '') =~ /^(\d+)/;
	$r{json} = eval { $json->decode($r{body}) } if ($r{headers}{'content-type'} // '') =~ /json/;
	return \%r;
}

# Runs a program to its end. Options: args, env, input. Returns (exit status, standard output, standard error).
sub run_program ($name, %opt) {
	my $path = program($name) // die "$name is not built\n";
	open my $in, '+>', undef or die $!;
	binmode $in;
	print $in $opt{input} // '';
	seek $in, 0, 0;
	$in->flush;
	open my $out, '+>', undef or die $!;
	open my $err, '+>', undef or die $!;
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		%ENV = (PATH => $ENV{PATH}, map({ exists $ENV{$_} ? ($_ => $ENV{$_}) : () } qw(ASAN_OPTIONS UBSAN_OPTIONS)),
			($opt{env} // {})->%*);
		dup2(fileno $in, 0);
		dup2(fileno $out, 1);
		dup2(fileno $err, 2);
		exec { $path } $path, ($opt{args} // [])->@* or _exit(127);
	}
	waitpid $pid, 0;
	my $status = $?;
	local $/;
	seek $_, 0, 0 for $out, $err;
	return ($status & 127 ? "signal " . ($status & 127) : $status >> 8, scalar <$out>, scalar <$err>);
}

# One request as plain CGI. Options: conf (file), body, env. Adds exit and stderr to the answer.
sub cgi ($name, $method, $uri, %opt) {
	my ($exit, $out, $err) = run_program($name, args => ['-c', $opt{conf}], env => { variables($method, $uri, %opt) },
		input => $opt{body} // '');
	return { answer_of($out)->%*, exit => $exit, stderr => $err };
}

# ---- FastCGI ----

# A running program. Options: conf, names (public), env, files (how many descriptors it may have). Its sockets stay
# open over restarts.
sub new ($class, $name, %opt) {
	my $self = bless { name => $name, names => ['public'], %opt }, $class;
	my $dir = $opt{conf} =~ s{/[^/]+$}{}r;
	for my $socket ($self->{names}->@*) {
		my $path = "$dir/run/$name-$socket.sock";
		$self->{path}{$socket} = $path;
		push $self->{listen}->@*, IO::Socket::UNIX->new(Local => $path, Listen => SOMAXCONN) // die "$path: $!\n";
	}
	$self->start;
	return $self;
}

sub start ($self) {
	my $path = program($self->{name}) // die "$self->{name} is not built\n";
	open my $log, '+>>', ($self->{log} //= $self->{conf} =~ s{/[^/]+$}{/run/}r . "$self->{name}.log") or die $!;
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		# out of the way first: the sockets may be among the numbers that they are to get
		my @high = map { fcntl($_, F_DUPFD, 50) // die $! } $self->{listen}->@*;
		dup2($high[$_], 3 + $_) for 0 .. $#high;
		open STDIN, '<', '/dev/null';
		dup2(fileno $log, 2);
		$ENV{LISTEN_FDS} = @high;
		$ENV{LISTEN_FDNAMES} = join ':', $self->{names}->@*;
		delete @ENV{qw(REQUEST_METHOD GATEWAY_INTERFACE)};
		$ENV{$_} = $self->{env}{$_} for keys(($self->{env} // {})->%*);
		my @limit = $self->{files} ? ('prlimit', "--nofile=$self->{files}") : ();
		exec @limit, $path, '-c', $self->{conf} or _exit(127);
	}
	$self->{pid} = $pid;
	return;
}

# Ends it; how it ended, or 'hangs' (killed then).
sub stop ($self, $signal = 'TERM', $patience = 20) {
	my $pid = delete $self->{pid} // return 'gone';
	kill $signal, $pid;
	my $until = time + $patience;
	while (time < $until) {
		return $? & 127 ? 'signal ' . ($? & 127) : $? >> 8 if waitpid($pid, WNOHANG) == $pid;
		sleep 0.005;
	}
	kill KILL => $pid;
	waitpid $pid, 0;
	return 'hangs';
}

sub log_text ($self) {
	open my $f, '<', $self->{log} or return '';
	local $/;
	return scalar <$f>;
}

sub DESTROY ($self) {
	local ($?, $!);
	$self->stop('KILL') if $self->{pid};
}

sub connect_to ($self, $socket = 'public') {
	return IO::Socket::UNIX->new(Peer => $self->{path}{$socket}) // die "connect: $!\n";
}

sub record ($type, $content) { return pack('CCnnCx', 1, $type, 1, length $content, 0) . $content }

sub stream ($type, $content) { return join '', map({ record($type, $_) } unpack '(a32768)*', $content), record($type, '') }

# The bytes of a request. Options: body, env, keep (leave the connection open afterwards).
sub request_bytes ($method, $uri, %opt) {
	my %v = variables($method, $uri, %opt);
	my $params = join '', map { pack('NN', 0x80000000 | length $_, 0x80000000 | length $v{$_}) . $_ . $v{$_} } sort keys %v;
	return record(1, pack('nCx5', 1, $opt{keep} ? 1 : 0)) . stream(4, $params) . stream(5, $opt{body} // '');
}

# Reads one answer from a connection; undef when it ended or nothing came in time. whole: the answer was ended properly.
sub read_answer ($fh, $patience = 20) {
	my ($buffer, $out, $until) = ('', '', time + $patience);
	my $select = IO::Select->new($fh);
	while (1) {
		while (length $buffer >= 8) {
			my (undef, $type, undef, $len, $pad) = unpack 'CCnnC', $buffer;
			last if length $buffer < 8 + $len + $pad;
			my $content = substr $buffer, 8, $len;
			substr $buffer, 0, 8 + $len + $pad, '';
			$out .= $content if $type == 6;
			return { answer_of($out)->%*, whole => 1 } if $type == 3;
		}
		return undef if time > $until || !$select->can_read($until - time);
		my $got = sysread $fh, $buffer, 65536, length $buffer;
		return $out eq '' ? undef : { answer_of($out)->%*, whole => 0 } if !$got;
	}
}

# One request on a connection of its own. Options: as request_bytes, socket, patience.
sub request ($self, $method, $uri, %opt) {
	my $fh = $self->connect_to($opt{socket} // 'public');
	syswrite $fh, request_bytes($method, $uri, %opt);
	return read_answer($fh, $opt{patience} // 20);
}

1;
