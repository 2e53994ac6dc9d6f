# Many clients at once, each a process of its own, and what they saw.
#
#   my $load = DDB::Load->new(dir => $scratch);
#   $load->start($n, sub ($client) { … });    # called over and over until stop(); $client: see below
#   $load->stop;                              # asks all to end after what they are doing, and waits
#   my @records = $load->records;             # what they noted, in no order between clients
#
# A client's function gets {id => number of the client, turn => 0, 1, 2 …, http => DDB::Client, note => sub (@fields)}.
# It ends its client by returning false.
package DDB::Load;
use v5.36;
use DDB::Client;
use POSIX ();

# url: where the clients' http goes; timeout: theirs.
sub new ($class, %opt) { return bless { timeout => 40, child => [], file => [], %opt }, $class }

sub start ($self, $n, $work, %opt) {
	for my $id (1 .. $n) {
		my $number = @{ $self->{file} } + 1;
		my $file = "$self->{dir}/client-$number";
		# A signal before the child has its handler must not be lost: blocked until then.
		my $term = POSIX::SigSet->new(POSIX::SIGTERM());
		POSIX::sigprocmask(POSIX::SIG_BLOCK(), $term);
		my $pid = fork // die "fork: $!";
		if (!$pid) {
			my $ok = eval { $self->_child($number, $file, $work, $term, \%opt); 1 };
			print STDERR "# client $number: $@" if !$ok;
			POSIX::_exit($ok ? 0 : 1);       # no END block, no destructor: those are the parent's
		}
		POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $term);
		push $self->{child}->@*, $pid;
		push $self->{file}->@*, $file;
	}
	return $self;
}

sub _child ($self, $number, $file, $work, $term, $opt) {
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $term);
	open my $out, '>:raw', $file or die "$file: $!\n";
	my %client = (id => $number, turn => 0, note => sub (@f) { print $out join("\t", @f), "\n" },
		http => DDB::Client->new($opt->{url} // $self->{url}, timeout => $self->{timeout}));
	while (!$stop && getppid != 1) {
		last if !$work->(\%client);
		$client{turn}++;
	}
	close $out or die "$file: $!\n";
	return;
}

# Ends the clients. Dies if one of them did not end well.
sub stop ($self) {
	kill TERM => $self->{child}->@*;
	return $self->wait;
}

# Waits until every client has ended by itself.
sub wait ($self) {
	my $bad = 0;
	for my $pid (splice $self->{child}->@*) {
		waitpid $pid, 0;
		$bad++ if $?;
	}
	die "$bad clients ended badly\n" if $bad;
	return $self;
}

# Each note as a reference to its fields.
sub records ($self) {
	my @all;
	for my $file ($self->{file}->@*) {
		open my $in, '<:raw', $file or die "$file: $!\n";
		while (<$in>) {
			last if !s{\n\z}{};       # a line that is still being written
			push @all, [ split /\t/, $_, -1 ];
		}
	}
	return @all;
}

sub DESTROY ($self) {
	local ($?, $!, $@);
	kill KILL => $self->{child}->@* if $self->{child}->@*;
	waitpid $_, 0 for $self->{child}->@*;
	return;
}

# ---- kinds of clients ----

# A reader at full rate. Notes for each answer: 'read', began, ended, status, node, epoch, seq, whether it was stale, and
# what went wrong if it was not 200 (or "" ). $request gives method, path and options for a turn.
sub reader ($request) {
	return sub ($c) {
		my ($method, $path, %opt) = $request->($c);
		my $r = $c->{http}->request($method, $path, %opt);
		my $h = $r->{headers};
		my (undef, $epoch, $seq) = split /\./, $h->{'ddb-seq'} // '..';
		$c->{note}->('read', sprintf('%.6f', $r->{began}), sprintf('%.6f', $r->{ended}), $r->{status}, $h->{'ddb-node'} // '-',
			$epoch // '-', $seq // '-', $h->{'ddb-stale'} // '', $r->{status} == 200 ? '' : wrong($r));
		return 1;
	};
}

# A writer. $body gives the body for a turn and a word to note it by. Notes: 'write', word, began, ended, outcome, status,
# seq, and what went wrong. The outcomes: 'acked'; 'refused' (nothing was done, the answer says so); 'unknown' (no
# answer, or one that leaves it open).
sub writer ($path, $body) {
	return sub ($c) {
		my ($text, $word, %opt) = $body->($c);
		my $r = $c->{http}->request(POST => $path, body => $text, %opt);
		my ($seq) = $r->{body} =~ /"seq":\s*(\d+)/;
		$c->{note}->('write', $word, sprintf('%.6f', $r->{began}), sprintf('%.6f', $r->{ended}), outcome($r), $r->{status}, $seq // '',
			$r->{status} == 200 ? '' : wrong($r));
		return 1;
	};
}

sub outcome ($r) {
	return 'acked' if $r->{status} == 200 || $r->{status} == 201;
	return $r->{sent} ? 'unknown' : 'refused' if !$r->{status};
	return 'unknown' if $r->{status} == 504 || $r->{status} == 502 || $r->{body} =~ /"outcome_unknown"/ || $r->{status} == 500;
	return 'refused';
}

sub wrong ($r) {
	return substr(($r->{status} ? "$r->{status} $r->{body}" : $r->{error} . ($r->{sent} ? ' after sending' : '')) =~ s/[\t\n]+/ /gr,
		0, 300);
}

# Among answers of readers, those that were older than allowed: the answer to a request that began at t must hold
# everything that was acknowledged before t - $bound seconds. $acked: [[when, seq], …] in any order. Answers that say that they are
# stale (no master) do not count. Returns lines for people.
sub too_old ($reads, $acked, $bound) {
	my @a = sort { $a->[0] <=> $b->[0] } @$acked;
	my $most = 0;
	$_ = [ $_->[0], $most = $_->[1] > $most ? $_->[1] : $most ] for @a;
	my @bad;
	my $i = 0;
	for my $r (sort { $a->[1] <=> $b->[1] } grep { $_->[3] == 200 && $_->[7] eq '' } @$reads) {
		my (undef, $began, $ended, $status, $node, $epoch, $seq) = @$r;
		$i++ while $i < @a && $a[$i][0] <= $began - $bound;
		my $due = $i ? $a[$i - 1][1] : 0;
		if ($seq eq '-' || $seq < $due) {
			push @bad, sprintf '%s answered at %.3f from position %s, but %d was acknowledged %.3f s before', $node, $began, $seq,
				$due, $began - $a[$i - 1][0];
		}
	}
	return @bad;
}

1;
