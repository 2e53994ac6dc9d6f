#!/usr/bin/perl
# The pool changes at run time: slaves are added and removed through the API and HAProxy follows; an admin's drain
# survives its reload. A slave that is new, pruned away, damaged or different is brought in by snapshot, by itself.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite head_of);
use DDB::Load;
use Test::More;

# Little is kept in the journal, so that slaves are soon beyond it.
my $c = DDB::Cluster->new(conf => { retention_ms => 0, retention_rows => 20, pending_bytes => 1 << 20, retention_bytes => 1 << 20 });
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(id integer primary key, v, pad)', 'create index ti on t(v)', 'create virtual table f using fts5(x)' ]);
$c->execute($db, { sql => 'insert into t(v, pad) values(?,?)', rows => [ map { [ $_, 'x' x 300 ] } 1 .. 3000 ] });
$c->execute($db, { sql => 'insert into f values(?)', rows => [ map { ["some words number $_"] } 1 .. 300 ] });
$c->wait_in_sync;

sub events ($since = 0) { return $c->must(GET => "/v1/events?limit=1000&since=$since")->{events}->@* }
sub last_event { my @e = events(); return @e ? $e[-1]{id} : 0 }
sub journal_floor ($node) { return (sqlite($c->file($node, $db), 'select min(seq) from ddb_journal'))[0] }

# What a slave went through, as its own events tell, is a matter of the slave: its log of snapshots.
sub snapshots ($node) { return scalar grep { $_->{kind} =~ /snapshot/ } $c->must(GET => '/v1/events?limit=1000', node => $node)->{events}->@* }

# Writes enough that the journal is pruned beyond $from. (Pruning has a rhythm of its own.)
sub prune_beyond ($from) {
	$c->wait_until(60, 'rows are pruned', sub {
		$c->execute($db, { sql => 'update t set v = v + 1, pad = ? where id <= 50', params => [ 'y' x 200_000 ] }) if journal_floor('n1') <= $from;
		$c->execute($db, { sql => 'update t set pad = ? where id <= 50', params => [ 'z' x 300 ] });
		journal_floor('n1') > $from;
	});
	return;
}

subtest 'a slave is added and removed under load' => sub {
	my $dir = $c->scratch . '/load';
	mkdir $dir;
	my $load = DDB::Load->new(dir => $dir, url => $c->url, timeout => 20);
	$load->start(4, DDB::Load::reader(sub ($r) { return (GET => "/v1/db/$db/tables/t/rows/" . (1 + $r->{turn} % 3000)) }));
	$c->stats_action('reads', 'n2', 'drain');
	$c->stats_action('reads', 'n3', 'maint');
	$c->stats_action('reads', 'n3', 'ready');
	$c->up(3);
	is(join(' ', $c->nodes), 'n1 n2 n3 n4', 'n4 is there');
	ok((grep { $_->{name} eq 'n4' } $c->pool->{slaves}->@*), 'and in the pool');
	$c->wait_in_sync(slaves => ['n4']);
	$c->wait_until(15, 'HAProxy has it', sub { $c->server_status('reads', 'n4') eq 'UP' });
	like($c->server_status('reads', 'n2'), qr/DRAIN/, "an admin's drain survived the reload");
	is($c->server_status('reads', 'n3'), 'UP', 'and so did READY');
	$c->wait_until(15, 'reads reach it', sub { grep { $_->[4] eq 'n4' } $load->records });
	my $r = $c->request(DELETE => '/v1/pool/slaves/n4');
	is($r->{status}, 200, 'removed') or diag($r->{body});
	$c->wait_until(15, 'HAProxy has it no more', sub { $c->server_status('reads', 'n4') eq 'absent' });
	ok(!(grep { $_->{name} eq 'n4' } $c->pool->{slaves}->@*), 'the pool neither');
	$c->wait_until(15, 'it calls itself out of sync', sub { $c->health('n4') != 200 });
	like($c->server_status('reads', 'n2'), qr/DRAIN/, 'the drain survived this reload, too');
	is($c->request(DELETE => '/v1/pool/slaves/n4')->{status}, 404, 'removed twice');
	$c->execute($db, 'update t set v = -1 where id = 1');
	$r = $c->post('/v1/pool/slaves', { name => 'n4', url => $c->url('n4'), peer_url => 'http://127.0.0.1:' . ($c->{port} + 24) });
	is($r->{status}, 201, 'added again through the API') or diag($r->{body});
	is($c->post('/v1/pool/slaves', { name => 'n4', url => $c->url('n4'), peer_url => 'http://127.0.0.1:' . ($c->{port} + 24) })->{status}, 409, 'but not twice');
	$c->wait_in_sync;
	$c->wait_until(15, 'HAProxy has it again', sub { $c->server_status('reads', 'n4') eq 'UP' });
	$c->stats_action('reads', 'n2', 'ready');
	$c->wait_until(15, 'n2 is back', sub { $c->server_status('reads', 'n2') eq 'UP' });
	$load->stop;
	my @r = $load->records;
	my @failed = grep { $_->[3] != 200 } @r;
	is(scalar(@failed), 0, 'no read of ' . @r . ' failed meanwhile') or diag(join "\n", map { $_->[8] } @failed[0 .. ($#failed > 4 ? 4 : $#failed)]);
	for my $bad ([ name => '1 2' ], [ url => 'nowhere' ], [ url => 'http://127.0.0.1' ], [ url => 'http://h:1/x' ], [ url => 'http://a b:1' ], [ url => 'http://h:99999' ], [ name => '' ], [ peer_url => 'ftp://x:1' ], [ name => undef ]) {
		my %s = (name => 'n9', url => 'http://127.0.0.1:1', peer_url => 'http://127.0.0.1:2', @$bad);
		is($c->post('/v1/pool/slaves', \%s)->{status}, 400, "refused: $bad->[0] " . ($bad->[1] // 'null'));
	}
	$c->converged('afterwards');
};

subtest 'replication goes on in maintenance' => sub {
	$c->stats_action('reads', 'n2', 'maint');
	$c->execute($db, 'update t set v = v + 1 where id < 100');
	$c->wait_in_sync;
	pass('a slave in maintenance stays in sync');
	$c->stats_action('reads', 'n2', 'ready');
};

subtest 'a new empty slave, when the first rows are pruned' => sub {
	prune_beyond(1);
	$c->up(4);
	$c->wait_in_sync;
	cmp_ok(snapshots('n5'), '>', 0, 'n5 was brought in by snapshot');
	cmp_ok(journal_floor('n5'), '>', 1, 'and has no more of the journal than the master');
	$c->converged('with n5');
	$c->must(DELETE => '/v1/pool/slaves/n5');
	$c->must(DELETE => '/v1/pool/slaves/n4');
	$c->stop_node($_) for qw(n4 n5);
	delete $c->{node}{$_} for qw(n4 n5);
};

# Stops n3, does something to it, starts it, and sees it come back in sync by snapshot, while it never serves.
sub mended ($title, $do, %opt) {
	subtest $title => sub {
		$c->wait_in_sync;
		my $before = snapshots('n3');
		$c->stop_node('n3');
		$do->();
		$c->start_node('n3');
		$opt{then}->() if $opt{then};
		$c->wait_in_sync(seconds => 90);
		cmp_ok($opt{fresh} ? snapshots('n3') : snapshots('n3') - $before, '>', 0, 'it was brought in by snapshot') if !$opt{no_snapshot};
		$c->converged('afterwards');
		is($c->state('n2'), 'ready', 'the other slave had no part in it');
	};
	return;
}

mended('a slave whose rows were pruned', sub {
	my (undef, $seq) = head_of($c->file('n1', $db));
	prune_beyond($seq + 2);
});
mended('a slave with an empty folder', sub { system('rm', '-rf', "$c->{dir}/n3/data") == 0 && mkdir "$c->{dir}/n3/data" or die }, fresh => 1, no_snapshot => 0);
mended('a slave that lost one file', sub { unlink $c->file('n3', $db) . $_ for '', '-wal', '-shm' });
mended('a slave with a damaged file', sub {
	damage($c->file('n3', $db));
}, then => sub { $c->execute($db, 'update t set v = v + 1') });
mended('a slave whose file is no database at all', sub {
	my $file = $c->file('n3', $db);
	unlink "$file$_" for '-wal', '-shm';
	open my $out, '>', $file or die "$file: $!";
	print $out 'this is no database ' x 1000;
});
mended('a slave that differs', sub {
	# Somebody edited the file by hand.
	system('sqlite3', $c->file('n3', $db), 'update t set v = 123456 where id = 77;') == 0 or die 'sqlite3';
}, then => sub {
	$c->execute($db, 'update t set v = v + 1 where id = 77');
	$c->wait_until(20, 'it is found', sub { grep { $_->{text} =~ /n3/ && $_->{kind} =~ /diverged/ } events() });
	pass('the first operation that shows it finds it');
	ok(glob("$c->{dir}/n3/data/orphaned/*"), 'the file that differed is kept');
});
mended('a slave with a schema of its own', sub {
	system('sqlite3', $c->file('n3', $db), 'drop index ti; create index ti on t(v, id);') == 0 or die 'sqlite3';
}, then => sub { $c->execute($db, 'create index other on t(pad)') });

# Overwrites pages in the middle of a file, as a bad disk would.
sub damage ($file) {
	unlink "$file$_" for '-wal', '-shm';
	my $size = -s $file;
	open my $out, '+<:raw', $file or die "$file: $!";
	for my $page (int($size / 4096 / 4) .. int($size / 4096 / 2)) {
		seek $out, 4096 * $page, 0;
		print $out "\xde\xad" x 2048;
	}
	close $out or die "$file: $!";
	return;
}

subtest 'a slave that is paused and resumed, and one that is given new copies' => sub {
	is($c->request(POST => '/v1/pool/slaves/n2/pause', json => {})->{status}, 200, 'paused');
	$c->wait_until(10, 'it says so', sub { $c->state('n2') eq 'paused' });
	$c->wait_until(15, 'it serves no reads', sub { $c->health('n2') != 200 });
	$c->execute($db, 'update t set v = v + 1 where id < 10');
	is($c->slave('n2')->{databases}{$db}{lag}, 1, 'one operation behind');
	is($c->request(POST => '/v1/pool/slaves/n2/resume', json => {})->{status}, 200, 'resumed');
	$c->wait_in_sync;
	my $before = snapshots('n2');
	is($c->request(POST => '/v1/pool/slaves/n2/reseed', json => {})->{status}, 200, 'reseed');
	$c->wait_until(30, 'a snapshot comes', sub { snapshots('n2') > $before });
	$c->converged('afterwards');
};

subtest 'a snapshot under load' => sub {
	my $dir = $c->scratch . '/under';
	mkdir $dir;
	my $load = DDB::Load->new(dir => $dir, url => $c->url);
	$load->start(4, DDB::Load::writer("/v1/db/$db/execute", sub ($w) { return ('{"sql":"insert into f values(?)","params":["load ' . "$w->{id} $w->{turn}" . '"]}', "$w->{id}:$w->{turn}") }));
	for my $i (1 .. $c->long_or(10, 2)) {
		my $before = snapshots('n3');
		$c->must(POST => '/v1/pool/slaves/n3/reseed', json => {});
		# Killed in the middle every other time: the old content or the new, nothing between.
		$c->kill_program('n3', 'write') if $i % 2;
		$c->wait_until(60, 'it was brought in', sub { snapshots('n3') > $before && $c->state('n3') eq 'ready' });
	}
	$load->stop;
	my @w = $load->records;
	is(scalar(grep { $_->[4] ne 'acked' } @w), 0, 'no write of ' . @w . ' failed');
	$c->converged('afterwards');
};

subtest 'a node of another cluster is left alone' => sub {
	my $other = DDB::Cluster->new(slaves => 1);
	$other->create('theirs');
	$other->wait_in_sync;
	my $r = $c->post('/v1/pool/slaves', { name => 'foreign', url => $other->url('n2'), peer_url => 'http://127.0.0.1:' . ($other->{port} + 22) });
	like($r->{status}, qr/^(?:201|409)$/, "added or refused: $r->{status}");
	if ($r->{status} == 201) {
		$c->wait_until(20, 'it is not taken for ours', sub { $c->state('foreign') =~ /^(?:incompatible|down|connecting)$/ && $c->slave('foreign')->{last_error} });
		$c->watch(1);
		isnt($c->state('foreign'), 'ready', 'it never becomes ready here');
		is($c->request(DELETE => '/v1/pool/slaves/foreign')->{status}, 200, 'removed');
	}
	$other->converged('the other cluster');
	ok(!-e $other->file('n2', $db), 'nothing of ours came there');
	$other->destroy;
	$c->wait_in_sync;
};

$c->clean_logs;
done_testing;
