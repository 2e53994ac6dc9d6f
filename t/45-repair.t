#!/usr/bin/perl
# Slaves that cannot go on by rows are repaired by themselves: a new one, one whose rows are pruned, one whose file is
# damaged or gone, one whose content differs. Nothing that a slave had is dropped in silence.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite head_of);
use Test::More;

# Journals are cut at once, so that a slave which was away finds its rows gone.
my $c = DDB::Cluster->new(conf => { retention_ms => 0, retention_rows => 5, pending_bytes => 1048576 });
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(id integer primary key, v)', 'create table log(at text default current_timestamp, x)',
	'create virtual table words using fts5(word)', 'create index tv on t(v)' ]);
fill(200);
$c->wait_in_sync;

sub fill ($n, $pad = '') {
	state $i = 0;
	while ($n > 0) {
		my $some = $n > 500 ? 500 : $n;
		$c->execute($db, { statements => [ map { $i++; ({ sql => 'insert into t values(?, ?)', params => [ $i, "$i$pad" ] },
			{ sql => 'insert into words values(?)', params => ["word$i"] }) } 1 .. $some ] });
		$n -= $some;
	}
	return;
}
# Many operations, not many statements.
sub operations ($n, $size = 10) {
	$c->execute($db, q{insert into log(x) values(?)}, 'x' x $size) for 1 .. $n;
	return;
}
sub events ($node, $kind) {
	my ($n) = sqlite("$c->{dir}/$node/data/node.db", "select count(*) from event where kind = '$kind'");
	return $n;
}
sub kept ($node) { return map { s{.*/}{}r } glob "$c->{dir}/$node/data/orphaned/*" }
sub floor_of ($node) { return (sqlite($c->file($node, $db), 'select min(seq) from ddb_journal'))[0] }

subtest 'journals are cut on every node' => sub {
	operations(60);
	$c->wait_until(30, 'few rows are left', sub { !grep { $_ > 8 } map { (sqlite($c->file($_, $db), 'select count(*) from ddb_journal'))[0] } $c->nodes });
	my ($seq) = (head_of($c->file('n1', $db)))[1];
	cmp_ok($seq, '>', 60, 'rows were cut, the position stays');
	$c->converged('cut');
};

subtest 'a slave whose rows are pruned' => sub {
	$c->stop_node('n3');
	my $had = (head_of($c->file('n3', $db)))[1];
	$c->wait_until(20, 'it is down', sub { $c->state('n3') eq 'down' });
	operations(40);
	is(floor_of('n1') <= $had ? 1 : 0, 1, 'rows are kept for a slave that is away');
	operations(12, 120_000);
	$c->wait_until(30, 'its queue exceeds the limit and is dropped', sub { floor_of('n1') > $had });
	cmp_ok(events('n1', 'slave.queue_limit'), '>', 0, 'an event says so');
	$c->start_node('n3');
	$c->converged('after a copy');
	cmp_ok(events('n3', 'snapshot.installed'), '>', 0, 'it was given a copy');
	cmp_ok((head_of($c->file('n3', $db)))[1], '>', $had, 'and goes on');
};

subtest 'a new slave' => sub {
	fill(3000);
	$c->up(3);
	$c->converged('with n4');
	cmp_ok(events('n4', 'snapshot.installed'), '>', 0, 'it was given copies, for the first rows are gone');
};

subtest 'a slave whose file is damaged' => sub {
	my $before = events('n2', 'snapshot.installed');
	$c->stop_node('n2');
	unlink map { $c->file('n2', $db) . $_ } '-wal', '-shm';
	open my $f, '+<', $c->file('n2', $db) or die;
	print $f "this is not a database any more" x 10;
	close $f;
	$c->start_node('n2');
	operations(3);
	$c->converged('afterwards');
	cmp_ok(events('n2', 'snapshot.installed'), '>', $before, 'it was given a copy');
	ok((grep { /^shop\..*\.db$/ } kept('n2')), 'the damaged file is kept');
};

# A page in the middle of a table, as a bad disk leaves it.
sub spoil ($file) {
	my ($page) = sqlite($file, "select pageno from dbstat where name = 't' and pagetype = 'leaf' limit 1 offset 3");
	open my $f, '+<', $file or die;
	seek $f, ($page - 1) * 4096, 0;
	print $f "\xa5" x 4096;
	close $f;
	return;
}

subtest 'a slave with a damaged page' => sub {
	fill(3000);
	$c->wait_in_sync;
	my $before = events('n2', 'snapshot.installed');
	$c->stop_node('n2');
	system('sqlite3', $c->file('n2', $db), 'pragma wal_checkpoint(truncate)') == 0 or die;
	spoil($c->file('n2', $db));
	$c->start_node('n2');
	$c->wait_until(30, 'it is noticed without anybody asking', sub { events('n2', 'snapshot.installed') > $before });
	$c->converged('afterwards');
};

subtest 'a page damaged while the slave runs' => sub {
	my $before = events('n3', 'snapshot.installed');
	# Without the log of the past, which would hide the damage and then mend it.
	$c->stop_node('n3');
	system('sqlite3', $c->file('n3', $db), 'pragma wal_checkpoint(truncate)') == 0 or die;
	$c->start_node('n3');
	$c->wait_in_sync;
	spoil($c->file('n3', $db));
	is(events('n3', 'snapshot.installed'), $before, 'nobody notices yet');
	my $r = $c->post("/v1/db/$db/query", { sql => 'select count(*), sum(length(v)) from t' }, node => 'n3');
	is($r->{status}, 200, 'the first reader gets an answer') or diag($r->{body});
	is($r->{json}{node}, 'n1', "the master's");
	$c->wait_until(30, 'the slave is repaired', sub { events('n3', 'snapshot.installed') > $before });
	$c->converged('afterwards');
};

subtest 'a slave whose file is gone' => sub {
	$c->stop_node('n2');
	unlink map { $c->file('n2', $db) . $_ } '', '-wal', '-shm';
	$c->start_node('n2');
	$c->converged('afterwards');
};

subtest 'a slave whose system database is gone' => sub {
	$c->stop_node('n2');
	unlink map { $c->file('n2', '_ddb') . $_ } '', '-wal', '-shm';
	$c->start_node('n2');
	$c->converged('afterwards');
};

subtest 'a slave that lost everything but who it is' => sub {
	$c->stop_node('n2');
	unlink glob("$c->{dir}/n2/data/db/*");
	$c->start_node('n2');
	$c->converged('afterwards');
};

subtest 'a row edited by hand behind its back' => sub {
	my ($before, $kept) = (events('n3', 'snapshot.installed'), scalar(my @before = kept('n3')));
	system('sqlite3', '-cmd', '.timeout 5000', $c->file('n3', $db), "update t set v = 'forged' where id = 17") == 0 or die;
	$c->wait_in_sync;
	is((sqlite($c->file('n3', $db), 'select v from t where id = 17'))[0], 'forged', 'nothing notices yet');
	$c->execute($db, q{update t set v = v || '!' where id = 17});
	$c->wait_until(20, 'the first operation that shows it', sub { events('n3', 'database.diverged') > 0 });
	$c->converged('repaired');
	is((sqlite($c->file('n3', $db), 'select v from t where id = 17'))[0], '17!', 'with the right value');
	cmp_ok(events('n3', 'snapshot.installed'), '>', $before, 'by a copy');
	cmp_ok(scalar(my @now = kept('n3')), '>', $kept, 'the forged file is kept');
	cmp_ok(events('n1', 'slave.differs'), '>', 0, 'and the master said so');
};

subtest 'two slaves that differ at the same operation' => sub {
	my $before = events('n2', 'snapshot.installed') + events('n3', 'snapshot.installed');
	for my $node (qw(n2 n3)) {
		system('sqlite3', '-cmd', '.timeout 5000', $c->file($node, $db), "update t set v = 'forged' where id = 18") == 0 or die;
	}
	$c->execute($db, q{update t set v = v || '!' where id = 18});
	$c->wait_until(20, 'the alert', sub { events('n1', 'slave.diverged_again') > 0 });
	# The second is left alone, and the first, too, unless its copy was on its way already.
	my @stuck = $c->wait_until(20, 'it is left alone', sub { $c->state('n2') eq 'diverged' || $c->state('n3') eq 'diverged' })
		? grep { $c->state($_) eq 'diverged' } qw(n2 n3) : ();
	for my $stuck (@stuck) {
		is($c->health($stuck), 503, "$stuck serves no reads");
		$c->must(POST => "/v1/pool/slaves/$stuck/reseed", json => {});
	}
	$c->converged('after reseed');
};

subtest 'rows that the master never had' => sub {
	$c->stop_node('n4');
	# A reign that n1 knows nothing of: a row more, as a forced promotion would leave it behind.
	my (undef, $seq) = head_of($c->file('n4', $db));
	system('sqlite3', $c->file('n4', $db), 'insert into ddb_journal select seq + 1, epoch, at_ms, seed, kind, body, changes,'
		. " randomblob(16) from ddb_journal where seq = $seq") == 0 or die;
	operations(2);
	$c->start_node('n4');
	$c->converged('afterwards');
	my ($saved) = grep { /\.ndjson$/ } kept('n4');
	ok($saved, 'they are saved');
	open my $in, '<', "$c->{dir}/n4/data/orphaned/$saved" or die;
	my @rows = <$in>;
	is(scalar @rows, 1, 'one row');
	like($rows[0], qr/^\{"seq":@{[ $seq + 1 ]},.*"body":/, 'as it was journaled');
	cmp_ok(events('n4', 'surplus.saved'), '>', 0, 'an event names them');
};

subtest 'what a slave lacks is known over a restart of the master' => sub {
	$c->stop_node('n4');
	operations(5);
	$c->wait_until(20, 'it is down', sub { $c->state('n4') eq 'down' });
	my $s = $c->slave('n4');
	cmp_ok($s->{pending}{operations}, '>=', 5, 'rows wait for it');
	$c->watch(2.5);          # positions are kept every two seconds
	$c->wait_respawn('n1', 'write', $c->kill_program('n1', 'write'));
	$c->wait_until(20, 'the master is active', sub { $c->health('n1', 'write') == 200 });
	my $n = $s->{pending}{operations} + (my @all = $c->databases);
	ok($c->wait_until(10, "its $n pending rows", sub { ($c->slave('n4')->{pending}{operations} // -1) == $n }),
		'the same rows wait for it, and the first row of this start in each database');
	ok($c->wait_until(10, 'their bytes', sub { $c->slave('n4')->{pending}{bytes} }), 'with their bytes');
	$c->start_node('n4');
	$c->converged('afterwards');
};

subtest 'a slave ahead of its master' => sub {
	$c->stop_node('n4');
	my (undef, $seq) = head_of($c->file('n4', $db));
	system('sqlite3', $c->file('n4', $db), "insert into ddb_journal select seq + 1, epoch, at_ms, seed, kind, body, changes,"
		. " randomblob(16) from ddb_journal where seq = $seq") == 0 or die;
	$c->start_node('n4');
	$c->wait_until(20, 'the alert', sub { events('n1', 'slave.stuck') > 0 });
	ok($c->wait_until(5, 'the pool says what is the matter', sub { ($c->slave('n4')->{last_error} // '') =~ /ahead of the master/ }),
		'the pool says what is the matter');
	is($c->health('n4'), 503, 'it serves no reads');
	$c->stop_node('n1');
	$c->try_cluster('start', 'n1');
	$c->wait_until(20, 'the master starts and stays closed', sub { events('n1', 'master.behind') > 0 });
	is($c->health('n1', 'write'), 503, 'it takes no writes');
	is($c->post("/v1/db/$db/execute", { sql => "insert into log(x) values('no')" })->{status}, 503, 'none at all');
	$c->stop_node('n4');
	$c->wait_until(30, 'it opens when that slave is gone', sub { $c->health('n1', 'write') == 200 });
	$c->start_node('n4');
	$c->must(POST => '/v1/pool/slaves/n4/reseed', json => {});
	$c->converged('after reseed');
};

subtest 'kill -9 while a copy is made, fetched and brought in' => sub {
	fill(20_000, 'y' x 200);
	$c->wait_in_sync;
	for my $i (1 .. $c->long_or(30, 6)) {
		$c->must(POST => '/v1/pool/slaves/n2/reseed', json => {});
		my @who = ([ 'n2', 'write' ], [ 'n1', 'write' ], [ 'n2', 'nginx' ])[ $i % 3 ]->@*;
		$c->watch(0.05 * $i);
		$c->wait_respawn(@who, $c->kill_program(@who));
		$c->wait_until(30, 'the master is active', sub { $c->health('n1', 'write') == 200 });
		$c->wait_until(30, 'HAProxy knows it', sub { eval { $c->execute($db, q{insert into log(x) values('between')}) } });
	}
	$c->converged('after all of them', seconds => 120);
};

# Last, for nothing brings the master back: promoting a node is another matter.
subtest 'a higher epoch stops the master at once' => sub {
	$c->stop_node('n2');
	system('sqlite3', "$c->{dir}/n2/data/node.db", "update node set value = '2' where name = 'promised'") == 0 or die;
	my $n = 0;
	$c->execute($db, q{insert into log(x) values('before')});
	$c->start_node('n2');
	$c->wait_until(20, 'the master has stepped down', sub { events('n1', 'master.deposed') > 0 });
	is($c->health('n1', 'write'), 503, 'it takes no writes');
	is($c->post("/v1/db/$db/execute", { sql => "insert into log(x) values('after')" }, node => 'n1')->{status}, 503, 'none at all');
	my ($role) = sqlite("$c->{dir}/n1/data/node.db", q{select value from node where name = 'role'});
	is($role, 'slave', 'and is a slave from now on');
	$c->stop_node('n1');
	$c->start_node('n1');
	is($c->health('n1', 'write'), 503, 'also after a restart');
};

$c->clean_logs;
done_testing;
