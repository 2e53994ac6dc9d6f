#!/usr/bin/perl
# Reads at full load while slaves die, freeze, lag, are put to maintenance, and HAProxy reloads: not one failed request,
# and not one answer from a slave that was not in sync.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Load;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(id integer primary key, v)', 'create index ti on t(v)' ]);
$c->execute($db, { sql => 'insert into t(v) values(?)', rows => [ map { [ $_ % 97 ] } 1 .. 2000 ] });
$c->wait_in_sync;

# How old an answer may be. A slave whose master does not speak to it calls itself silent after silent_ms (3 s), one
# that hears that it is behind leaves after lag_ms (1 s); the rest is the way of the answer and this machine's pauses.
my $BOUND = 3 + 1 + 1;
my $READERS = 8;
my $rounds = $c->long_or(8, 1);

# Runs readers and one writer while $fault happens, then checks all that they saw. $want: names of nodes that must have
# answered at the end.
my $turn = 0;
sub under ($title, $fault, %opt) {
	subtest $title => sub {
		for my $round (1 .. ($opt{once} ? 1 : $rounds)) {
			my $dir = $c->scratch . '/' . ++$turn;
			mkdir $dir or die "$dir: $!";
			my $reads = DDB::Load->new(dir => $dir, url => $c->url, timeout => 20);
			my @ask = (
				sub ($r) { return (POST => "/v1/db/$db/query", body => qq({"sql":"select count(*) from t where v = ?","params":[$r->{turn}]})) },
				sub ($r) { return (GET => "/v1/db/$db/tables/t/rows?v=eq." . $r->{turn} % 97 . '&limit=5') },
				sub ($r) { return (GET => "/v1/db/$db/tables/t/rows/" . (1 + $r->{turn} % 2000)) },
			);
			$reads->start($READERS, DDB::Load::reader(sub ($r) { return $ask[ $r->{turn} % @ask ]->($r) }));
			mkdir "$dir/w" or die "$dir/w: $!";
			my $writes = DDB::Load->new(dir => "$dir/w", url => $c->url);
			my $post = DDB::Load::writer("/v1/db/$db/execute", sub ($w) {
				return ('{"sql":"update t set v = ? where id = ?","params":[' . $w->{turn} % 97 . ',' . (1 + $w->{turn} % 2000) . ']}', $w->{turn});
			});
			$writes->start(1, sub ($w) { $post->($w); select undef, undef, undef, 0.005; 1 });
			my $ok = eval { $fault->(); 1 } or fail("the fault itself: $@");
			$c->thaw;
			$reads->stop;
			$writes->stop;
			my @r = $reads->records;
			my @failed = grep { $_->[3] != 200 } @r;
			my @slow = sort { $b <=> $a } map { $_->[2] - $_->[1] } @r;
			my %by;
			$by{ $_->[4] }++ for @r;
			diag(sprintf '%s: %d reads (%s), slowest %.2f s', $title, scalar(@r), join(', ', map { "$_ $by{$_}" } sort keys %by), $slow[0] // 0);
			is(scalar(@failed), 0, 'no failed request') or diag(join "\n", map { sprintf '%.3f s: %s', $_->[2] - $_->[1], $_->[8] } @failed[0 .. ($#failed > 5 ? 5 : $#failed)]);
			my @w = $writes->records;
			my @old = DDB::Load::too_old(\@r, [ map { [ $_->[3], $_->[6] ] } grep { $_->[4] eq 'acked' } @w ], $BOUND);
			is(scalar(@old), 0, 'no answer from a slave that was not in sync') or diag(join "\n", @old[0 .. ($#old > 5 ? 5 : $#old)]);
			is(scalar(grep { $_->[4] ne 'acked' } @w), 0, 'writes went on') or diag((grep { $_->[4] ne 'acked' } @w)[0][7])
				if !$opt{writes_may_fail};
			cmp_ok($slow[0] // 99, '<', $opt{slowest} // 5, 'and none took for ever');
			eval { $c->wait_in_sync; 1 } or fail("in sync again: $@");
		}
	};
	return;
}

# Reads reach a node again.
sub serves ($node) {
	return $c->wait_until(30, "$node serves reads through HAProxy", sub {
		$c->server_status('reads', $node) eq 'UP' && grep { ($c->get("/v1/db/$db/tables/t/rows/1")->{headers}{'ddb-node'} // '') eq $node } 1 .. 6;
	});
}

under('nothing happens', sub { $c->watch(2) }, once => 1);
under("kill -9 of a slave's read", sub { for (1 .. 4) { $c->wait_respawn('n2', 'read', $c->kill_program('n2', 'read')); $c->watch(0.5) } });
under("kill -9 of a slave's nginx", sub { for (1 .. 2) { $c->wait_respawn('n2', 'nginx', $c->kill_program('n2', 'nginx')); $c->watch(0.7) } });
under("kill -9 of a slave's write", sub { for (1 .. 3) { $c->wait_respawn('n2', 'write', $c->kill_program('n2', 'write')); $c->watch(0.5) } });
under('a whole slave is killed and returns', sub {
	$c->kill_node('n2');
	$c->watch(1.5);
	$c->start_node('n2');
	serves('n2');
});
under('both slaves are killed and return', sub {
	$c->kill_node('n2');
	$c->kill_node('n3');
	$c->watch(1.5);
	$c->start_node($_) for qw(n2 n3);
	serves($_) for qw(n2 n3);
});
under("a slave's read is frozen and thawed", sub {
	my @p = $c->freeze('n2', 'read');
	$c->wait_until(10, 'HAProxy takes it out', sub { $c->server_status('reads', 'n2') =~ /DOWN/ });
	$c->watch(1);
	$c->thaw(@p);
	serves('n2');
});
under("a slave's nginx is frozen and thawed", sub {
	my @p = $c->freeze('n2', 'nginx');
	$c->wait_until(10, 'HAProxy takes it out', sub { $c->server_status('reads', 'n2') =~ /DOWN/ });
	$c->watch(1);
	$c->thaw(@p);
	serves('n2');
});
under("a slave's write is frozen and thawed: it hears nothing and lags", sub {
	my @p = $c->freeze('n2', 'write');
	$c->wait_until(15, 'it says that it is not in sync', sub { $c->health('n2') != 200 });
	$c->wait_until(10, 'HAProxy takes it out', sub { $c->server_status('reads', 'n2') =~ /DOWN/ });
	$c->watch(1);
	$c->thaw(@p);
	serves('n2');
});
under('maintenance and back on the stats page while it lags', sub {
	$c->stats_action('reads', 'n2', 'maint');
	$c->wait_until(5, 'it is in maintenance', sub { $c->server_status('reads', 'n2') =~ /MAINT/ });
	my @p = $c->freeze('n2', 'write');
	$c->wait_until(15, 'it lags', sub { $c->health('n2') != 200 });
	# Back while it lags: HAProxy believes it for a moment; the node itself must refuse or pass on.
	for (1 .. 3) {
		$c->stats_action('reads', 'n2', 'ready');
		$c->wait_until(10, 'its check fails', sub { $c->server_status('reads', 'n2') =~ /DOWN/ });
		$c->stats_action('reads', 'n2', 'maint');
	}
	$c->stats_action('reads', 'n2', 'ready');
	$c->thaw(@p);
	serves('n2');
});
under('drain and back', sub {
	$c->stats_action('reads', 'n3', 'drain');
	$c->wait_until(5, 'it is drained', sub { $c->server_status('reads', 'n3') =~ /DRAIN/ });
	$c->watch(1);
	$c->stats_action('reads', 'n3', 'ready');
	serves('n3');
});
under('HAProxy reloads', sub {
	for (1 .. 4) { $c->reload_haproxy; $c->watch(1) }
	serves($_) for qw(n2 n3);
});
under('a slave ends cleanly and starts again', sub { $c->stop_node('n2'); $c->watch(0.5); $c->start_node('n2'); serves('n2') });
under("kill -9 of the master's write: reads go on", sub {
	for (1 .. 3) { $c->wait_respawn('n1', 'write', $c->kill_program('n1', 'write')); $c->watch(0.5) }
	$c->wait_until(20, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
}, writes_may_fail => 1);

subtest 'without a master, slaves that were in sync go on, and say so' => sub {
	$c->wait_in_sync;
	$c->kill_node('n1');
	my $r = $c->wait_until(20, 'a stale answer', sub {
		my $r = $c->post("/v1/db/$db/query", { sql => 'select count(*) from t' });
		($r->{headers}{'ddb-stale'} // '') ne '' && $r;
	});
	is($r->{status}, 200, 'an answer');
	like($r->{headers}{'ddb-node'}, qr/^n[23]$/, 'of a slave');
	like($r->{headers}{'ddb-stale'}, qr/^\d+$/, 'with its age');
	my $w = $c->post("/v1/db/$db/execute", { sql => 'insert into t(v) values(-1)' });
	is($w->{status}, 503, 'a write is refused');
	is($w->{json}{code}, 'master_unreachable', 'with a code that says why');
	$c->start_node('n1');
	$c->wait_until(30, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
	$c->wait_in_sync;
	is($c->one($db, 'select count(*) from t where v = -1'), 0, 'and was not done');
};

$c->converged('at the end');
$c->clean_logs;
done_testing;
