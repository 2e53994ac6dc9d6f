# A cluster of a test's own, and what tests do to it.
#
#   my $c = DDB::Cluster->new(slaves => 2);          # ./cluster up, on ports and in a folder of its own
#   my $db = $c->create('shop');
#   $c->execute('shop', 'create table t(a)');        # through HAProxy; dies unless the answer is 200
#   $c->wait_in_sync;
#   $c->same('shop', 'after the load');              # a test: every node's file holds the same
#
# Ports: bases 20080, 21080 … 29080, each held by a lock while its test runs, so that tests run side by side, beside
# other checkouts and beside a running cluster. What a killed test left behind is destroyed by the next that takes its
# base. The cluster is destroyed at the end, however the test ends; DDB_KEEP=1 keeps the folder and the cluster.
package DDB::Cluster;
use v5.36;
use Carp qw(croak);
use Cwd qw(abs_path);
use DDB::Client;
use DDB::Compare ();
use Fcntl qw(LOCK_EX LOCK_NB);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Spec;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More ();
use Time::HiRes ();

our $TOP = abs_path(dirname(__FILE__) . '/../../..');
# Slow builds (sanitizers, a machine busy with other tests) get more time everywhere; nothing else changes.
our $PATIENCE = $ENV{DDB_PATIENCE} // 1;
# Tests never install anything; ./cluster check does that before them.
$ENV{DDB_NO_PACKAGES} //= 1;
my $json = JSON::PP->new->utf8->allow_nonref->canonical;
my %running;             # by folder, for END

sub long () { return $ENV{DDB_LONG} ? 1 : 0 }

# Options: slaves (2), conf => { setting => value } for every node's ddb.conf.
sub new ($class, %opt) {
	my $self = bless { slaves => 2, conf => {}, pid => $$, http => {}, %opt }, $class;
	$self->_take_ports;
	$running{ $self->{dir} } = $self;
	$self->up($self->{slaves});
	$self->{good} = 1;
	return $self;
}

sub _take_ports ($self) {
	for my $base (map { 20080 + 1000 * $_ } 0 .. 9) {
		open my $lock, '>>', File::Spec->tmpdir . "/ddb-test-$base.lock" or next;
		chmod 0666, $lock;
		flock $lock, LOCK_EX | LOCK_NB or next;
		my $dir = "$TOP/var/test-$base";
		_destroy($dir) if -d $dir;
		next if grep { _taken($_) } $base, $base + 324, $base - 79, $base + 21;
		make_path("$dir/scratch");
		@$self{qw(lock port dir scratch)} = ($lock, $base, "$dir/cluster", "$dir/scratch");
		return;
	}
	die "all ports for test clusters are taken (20080, 21080 … 29080)\n";
}

sub _taken ($port) { return !!IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1) }

sub _destroy ($dir) {
	system("$TOP/cluster", 'destroy', '--dir', "$dir/cluster") if -d "$dir/cluster" && -x "$TOP/cluster";
	remove_tree($dir);
	return;
}

# Runs ./cluster; returns what it printed (also on stderr). Dies if it fails.
sub cluster ($self, @args) {
	my ($status, $said) = $self->try_cluster(@args);
	die "./cluster @args: status $status\n$said" if $status;
	return $said;
}

sub try_cluster ($self, $command, @args) {
	my $pid = open(my $out, '-|') // die "fork: $!";
	if (!$pid) {
		open STDERR, '>&', \*STDOUT;
		open STDIN, '<', '/dev/null';
		exec "$TOP/cluster", $command, @args, '--dir', $self->{dir} or POSIX::_exit(127);
	}
	my $said = do { local $/; <$out> } // '';
	close $out;
	return ($? >> 8 || $? & 127, $said);
}

sub up ($self, $slaves) {
	my @set = map { ('--set', "$_ = $self->{conf}{$_}") } sort keys $self->{conf}->%*;
	$self->cluster('up', '--slaves', $slaves, '--port', $self->{port}, @set);
	my %env = map { /^(\w+)=["']?(.*?)["']?$/ ? ($1 => $2) : () } split /\n/, $self->cluster('env');
	$self->{env} = \%env;
	$self->{url} = $env{DDB_URL} // die "./cluster env says no DDB_URL\n";
	$self->{node} = { map { /^(\w+)=(.*)$/ ? ($1 => $2) : () } split ' ', $env{DDB_NODES} // '' };
	return;
}

sub url ($self, $node = undef) {
	return $self->{url} if !defined $node;
	return $self->{node}{$node} // croak "no node $node";
}
sub nodes ($self) { return sort keys $self->{node}->%* }
sub slaves ($self) { return grep { $_ ne $self->master } $self->nodes }
sub master ($self) { return 'n1' }
sub file ($self, $node, $db) { return "$self->{dir}/$node/data/db/$db.db" }
sub scratch ($self) { return $self->{scratch} }
sub long_or ($self, $long, $short) { return long() ? $long : $short }

# ---- requests ----

# A request through HAProxy, or to a node (node => 'n2'). Also: headers, body (bytes), json (to be encoded). The answer
# as DDB::Client gives it, with {json} if it is a JSON document.
sub request ($self, $method, $path, %opt) {
	my $node = delete $opt{node};
	$opt{body} = $json->encode(delete $opt{json}) if exists $opt{json};
	my $http = $self->{http}{ $node // '' } //= DDB::Client->new($self->url($node), timeout => 60);
	my $r = $http->request($method, $path, %opt);
	$r->{json} = eval { $json->decode($r->{body}) } if ($r->{headers}{'content-type'} // '') =~ /json/;
	return $r;
}
sub get ($self, $path, %opt) { return $self->request(GET => $path, %opt) }
sub post ($self, $path, $data, %opt) { return $self->request(POST => $path, json => $data, %opt) }

# The decoded answer of a request that must succeed.
sub must ($self, $method, $path, %opt) {
	my $r = $self->request($method, $path, %opt);
	croak "$method $path: " . ($r->{status} || $r->{error}) . " $r->{body}" if $r->{status} !~ /^2/;
	return $r->{json} // $r->{body};
}

# A statement and its parameters; a list of statements as [ … ]; or a whole body as { … }. The answer decoded. The
# position is remembered for the same database's next query().
sub execute ($self, $db, $what, @params) {
	my $body = ref $what eq 'ARRAY' ? { statements => $what } : ref $what ? $what
		: { sql => $what, @params ? (params => \@params) : () };
	my $r = $self->request(POST => "/v1/db/$db/execute", json => $body);
	croak "execute in $db: " . ($r->{status} || $r->{error}) . " $r->{body} (of " . substr($json->encode($body), 0, 300) . ')'
		if $r->{status} != 200;
	$self->{position}{$db} = $r->{headers}{'ddb-seq'};
	return $r->{json};
}

# Rows of a query through HAProxy, not older than our own last write.
sub query ($self, $db, $sql, @params) {
	my $r = $self->request(POST => "/v1/db/$db/query", json => { sql => $sql, @params ? (params => \@params) : () },
		headers => { defined $self->{position}{$db} ? ('DDB-Min-Seq' => $self->{position}{$db}) : () });
	croak "query in $db: " . ($r->{status} || $r->{error}) . " $r->{body}" if $r->{status} != 200;
	return $r->{json}{rows};
}
sub one ($self, $db, $sql, @params) { return $self->query($db, $sql, @params)->[0][0] }

sub create ($self, $db) {
	$self->must(PUT => "/v1/db/$db");
	return $db;
}

# ---- waiting ----

# Calls $what until it returns something true, and returns that. Dies with $title when $seconds are over. The one place
# in which tests wait.
sub wait_until ($self, $seconds, $title, $what) {
	my $end = DDB::Client::now() + $seconds * $PATIENCE;
	my ($got, $pause) = (undef, 0.01);
	while (1) {
		$got = $what->();
		return $got if $got;
		die "waited $seconds s in vain: $title\n" if DDB::Client::now() > $end;
		Time::HiRes::sleep($pause);
		$pause = 0.1 if ($pause *= 1.5) > 0.1;
	}
}

# Lets time pass while $what is watched: for loads that run beside. Dies with what it returns, if anything.
sub watch ($self, $seconds, $what = sub { '' }) {
	my $end = DDB::Client::now() + $seconds;
	while (DDB::Client::now() < $end) {
		my $bad = $what->();
		die "$bad\n" if $bad;
		Time::HiRes::sleep(0.05);
	}
	return;
}

sub pool ($self) { return $self->must(GET => '/v1/pool') }
sub slave ($self, $name) { return (grep { $_->{name} eq $name } $self->pool->{slaves}->@*)[0] }
sub state ($self, $name) { return ($self->slave($name) // {})->{state} // 'unknown' }

# The health answer of a node: its status, and what the node calls its state.
sub health ($self, $node, $kind = 'read') {
	my $r = $self->get("/health/$kind", node => $node);
	return wantarray ? ($r->{status}, ($r->{json} // {})->{state} // '') : $r->{status};
}

# Until every slave (or those named) is ready, by the master's and by its own word, and has all of what the master had
# when this was called.
sub wait_in_sync ($self, %opt) {
	my @who = ($opt{slaves} // [ $self->slaves ])->@*;
	my $why = '';
	my $ok = eval {
		$self->wait_until($opt{seconds} // 60, 'in sync', sub { !($why = $self->_not_in_sync(@who)) });
	};
	return if $ok;
	die 'not in sync after ' . ($opt{seconds} // 60) . " s: $why\n";
}

sub _not_in_sync ($self, @who) {
	my $r = $self->get('/v1/pool', node => $self->master);
	return 'the master says ' . ($r->{status} || $r->{error}) if $r->{status} != 200;
	my %slave = map { $_->{name} => $_ } $r->{json}{slaves}->@*;
	my %head = map { my ($e, $s) = DDB::Compare::head_of($self->file($self->master, $_)); ($_ => "$e.$s") } $self->databases;
	for my $name (@who) {
		my $s = $slave{$name} // return "$name is not in the pool";
		return "$name is $s->{state}: " . ($s->{last_error} // '') if $s->{state} ne 'ready';
		return "$name has $s->{pending}{operations} operations pending" if $s->{pending}{operations} // 1;
		my ($status, $state) = $self->health($name);
		return "$name says $status $state" if $status != 200;
		for my $db (sort keys %head) {
			my $file = $self->file($name, $db);
			return "$name has no $db" if !-f $file;
			my ($e, $seq) = DDB::Compare::head_of($file);
			return "$name stands at $e.$seq of $db, the master at $head{$db}" if "$e.$seq" ne $head{$db};
			my $known = $s->{databases}{$db} // {};
			$known = ($known->{epoch} // '') . '.' . ($known->{seq} // '');
			return "the master knows $name at $known of $db, which is at $head{$db}" if $known ne $head{$db};
		}
	}
	return '';
}

# Names of the databases by the master's files, the system database among them.
sub databases ($self) {
	return sort map { m{([^/]+)\.db$} } glob("$self->{dir}/@{[$self->master]}/data/db/*.db");
}

# A test: all nodes' files of a database are equal and sound.
sub same ($self, $db, $title, @nodes) {
	@nodes = $self->nodes if !@nodes;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @bad = eval { DDB::Compare::differences([ map { [ $_, $self->file($_, $db) ] } @nodes ], $self->{scratch}) };
	push @bad, $@ if $@;
	return Test::More::ok(!@bad, "$title: $db is the same on " . join ', ', @nodes)
		|| $self->_fail(@bad);
}

sub _fail ($self, @lines) {
	Test::More::diag("  $_") for @lines;
	$self->tell_logs;
	return 0;
}

# In sync, and the same, for every database (also the system's).
sub converged ($self, $title, %opt) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	eval { $self->wait_in_sync(%opt); 1 } or do {
		Test::More::fail("$title: in sync");
		return $self->_fail($@);
	};
	return Test::More::subtest("$title: all databases" => sub { $self->same($_, $title) for $self->databases });
}

# ---- faults ----

# The process of a program of a node (write, read, status, nginx; haproxy of 'haproxy'), 0 if it does not run. From the
# supervisor's own files: service/NAME/supervise/pid is multiwatch, whose child is the program; of nginx and HAProxy it
# is the master process.
sub pid ($self, $node, $program) {
	open my $in, '<', "$self->{dir}/$node/service/$program/supervise/pid" or return 0;
	my $pid = <$in> // return 0;
	chomp $pid;
	return 0 if $pid !~ /^\d+$/ || !kill 0, $pid;
	return $pid if $program !~ /^(?:write|read|status)$/;
	my ($child) = _children($pid);
	return $child // 0;
}

sub _children ($pid) {
	open my $in, '<', "/proc/$pid/task/$pid/children" or return;
	return split ' ', <$in> // '';
}

# A program's processes: of nginx its workers, too.
sub pids ($self, $node, $program) {
	my $pid = $self->pid($node, $program) or return;
	return ($pid, _children($pid));
}

# SIGKILL; the supervisor starts it again. Returns the pid that died; fails if there was none.
sub kill_program ($self, $node, $program, $signal = 'KILL') {
	my $pid = $self->wait_until(10, "$program of $node runs", sub { $self->pid($node, $program) });
	kill $signal => $pid or die "kill $program of $node ($pid): $!\n";
	return $pid;
}

# Until the program runs again as another process.
sub wait_respawn ($self, $node, $program, $old, $seconds = 15) {
	return $self->wait_until($seconds, "$program of $node is started again", sub {
		my $pid = $self->pid($node, $program);
		$pid && $pid != $old && $pid;
	});
}

# SIGSTOP and SIGCONT to all processes of a program. Remembered, so that the end of the test finds none stopped.
sub freeze ($self, $node, $program) {
	my @pids = $self->pids($node, $program) or die "$program of $node does not run\n";
	$self->{frozen}{$_} = 1 for @pids;
	kill STOP => @pids;
	return @pids;
}
sub thaw ($self, @pids) {
	@pids = keys $self->{frozen}->%* if !@pids;
	kill CONT => @pids;
	delete $self->{frozen}->@{@pids};
	return;
}

sub stop_node ($self, $node) { return $self->cluster(stop => $node) }
sub start_node ($self, $node) { return $self->cluster(start => $node) }
sub kill_node ($self, $node) { return $self->cluster(kill => $node) }

sub reload_haproxy ($self) {
	system('sv', 2, "$self->{dir}/haproxy/service/haproxy") == 0 or die "HAProxy does not run\n";
	return;
}

# ---- the stats page ----

sub _stats ($self, $method, $path, %opt) {
	my $user = $self->{env}{DDB_STATS_USER};
	open my $in, "<", $self->{env}{DDB_STATS_PASSWORD_FILE} or die "the stats page's password: $!\n";
	chomp(my $password = <$in>);
	my ($base, $page) = $self->{env}{DDB_STATS} =~ m{^(http://[^/]+)(/[^?]*)?} or die "no DDB_STATS\n";
	my $http = DDB::Client->new($base, keep => 0);
	return $http->request($method, ($page // '/stats') . $path, %opt,
		headers => { Authorization => 'Basic ' . encode_base64("$user:$password", ''), Origin => $base,
			'Content-Type' => 'application/x-www-form-urlencoded' });
}

# A sysadmin's choice on the page: drain, maint, ready, …
sub stats_action ($self, $backend, $server, $action) {
	my $r = $self->_stats(POST => '', body => "s=$server&action=$action&b=$backend");
	die "the stats page answers $r->{status} " . ($r->{headers}{location} // $r->{body}) . "\n"
		if $r->{status} != 303 || ($r->{headers}{location} // '') !~ /DONE/;
	return;
}

# The page's figures: {"backend/server" => {status => 'UP', …}}.
sub stats ($self) {
	my $r = $self->_stats(GET => ';csv');
	die "the stats page answers $r->{status}\n" if $r->{status} != 200;
	my ($head, @line) = split /\n/, $r->{body};
	my @name = split /,/, $head =~ s/^# //r;
	my %all;
	for (@line) {
		my %f;
		@f{@name} = split /,/, $_, -1;
		$all{"$f{pxname}/$f{svname}"} = \%f;
	}
	return \%all;
}
sub server_status ($self, $backend, $server) { return ($self->stats->{"$backend/$server"} // {})->{status} // 'absent' }

# ---- the end ----

# The last lines of each log of each node, on stderr as TAP comments.
sub tell_logs ($self, $lines = 12) {
	return if $self->{told}++ > 2;
	for my $log (sort glob("$self->{dir}/*/log/*/current"), glob("$self->{dir}/*/log/supervisor")) {
		open my $in, '<', $log or next;
		my @tail = <$in>;
		splice @tail, 0, -$lines if @tail > $lines;
		Test::More::diag("--- $log") if @tail;
		chomp, Test::More::diag(substr $_, 0, 400) for @tail;
	}
	return;
}

# All that the programs of all nodes logged so far, as [file, line].
sub log_lines ($self) {
	my @all;
	for my $log (sort glob("$self->{dir}/*/log/*/*"), glob("$self->{dir}/*/log/supervisor")) {
		next if $log =~ m{/(?:lock|config|state)$};
		open my $in, '<', $log or next;
		push @all, map { chomp; [ $log, $_ ] } <$in>;
	}
	return @all;
}

# What sanitizers and crashes leave in the logs.
sub complaints ($self) {
	return map { "$_->[0]: $_->[1]" } grep { $_->[1] =~ /Sanitizer|runtime error:|WARNING: ThreadSanitizer|SUMMARY:|assertion|Assertion|core dumped|stack smashing|free\(\): |malloc\(\): /
	} $self->log_lines;
}

# A test, for the end: no program crashed or was reported by a sanitizer, and no slave found itself diverged.
sub clean_logs ($self, $title = 'the logs hold no report of a sanitizer or a crash') {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @bad = $self->complaints;
	return Test::More::ok(!@bad, $title) || do { Test::More::diag("  $_") for @bad > 60 ? @bad[ 0 .. 59 ] : @bad; 0 };
}

sub destroy ($self) {
	delete $running{ $self->{dir} };
	$self->thaw if $self->{frozen} && $self->{frozen}->%*;
	if ($ENV{DDB_KEEP}) {
		Test::More::diag("kept: $self->{dir}, $self->{url}");
		return;
	}
	_destroy(dirname $self->{dir});
	return;
}

# Whether the test passed or died: the cluster goes, in the process that made it alone.
END {
	my $status = $?;
	for my $c (values %running) {
		next if $c->{pid} != $$;
		local $@;
		$c->tell_logs if $status || !Test::More->builder->is_passing;
		eval { $c->destroy; 1 } or warn $@;
	}
	$? = $status;
}
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub ($name) { exit 130 };

1;
