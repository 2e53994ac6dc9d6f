#!/usr/bin/perl
# ./cluster: up is idempotent and mends what is not well; stop, start, kill, status, env, logs, down, destroy do what
# they say; two clusters side by side know nothing of each other.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use Test::More;

my $c = DDB::Cluster->new(slaves => 1);
my @programs = qw(write read status nginx);
sub pids { return { (map { my $n = $_; map { ("$n $_" => $c->pid($n, $_)) } @programs } $c->nodes), haproxy => $c->pid('haproxy', 'haproxy') } }

$c->create('keep');
$c->execute('keep', [ 'create table t(a)', 'insert into t values(1)' ]);

# Whether a process runs. One that has ended and waits for whoever adopted it to notice does not.
sub lives ($pid) {
	open my $in, '<', "/proc/$pid/stat" or return 0;
	return (<$in> // '') !~ /\) [ZX] / ? 1 : 0;
}

subtest 'up, run again, changes nothing that is well' => sub {
	my $before = pids();
	ok(!(grep { !$_ } values %$before), 'everything runs');
	my $said = $c->cluster('up');
	is_deeply(pids(), $before, 'every process is the same');
	like($said, qr{http://127\.0\.0\.1:$c->{port}/index2\.html}, 'it prints the page');
	like($said, qr{:@{[$c->{port} + 324]}/stats.*user \S+, password \S+}, 'the stats page with its user and password');
	like($said, qr/n1\s+\S+:@{[$c->{port} - 79]}\s+master/, 'the master');
	like($said, qr/n2\s+\S+:@{[$c->{port} - 78]}\s+slave/, 'the slave');
	my ($curl) = $said =~ /(curl -X PUT \S+)/;
	is(scalar(() = $said =~ /^\s+curl /mg), 3, 'three curl lines to try');
	# They are meant to be tried.
	my ($try) = $said =~ /To try:\n(.*)/s;
	my $out = `set -e; $try` =~ s/\s+//gr;
	is($?, 0, 'which work');
	like($out, qr/"rows":\[\[1,"hello"\]\]/, 'and show what was put in');
	like($c->{env}{DDB_DIR}, qr/^\Q$c->{dir}\E$/, 'env says where it is');
};

subtest 'up mends what is not well' => sub {
	$c->kill_node('n2');
	is($c->pid('n2', 'write'), 0, 'kill ends a node, supervisors and all');
	my ($status) = $c->try_cluster('status');
	isnt($status, 0, 'status sees it');
	my $before = pids();
	$c->cluster('up');
	is($c->pid('n1', $_), $before->{"n1 $_"}, "n1's $_ was left alone") for @programs;
	ok($c->pid('n2', $_), "n2's $_ runs again") for @programs;
	$c->wait_in_sync;
	($status) = $c->try_cluster('status');
	is($status, 0, 'status finds all well');
};

subtest 'one program is killed and comes back' => sub {
	for my $p (@programs) {
		my $old = $c->pid('n2', $p);
		$c->cluster(kill => 'n2', $p);
		isnt($c->wait_respawn('n2', $p, $old), $old, $p);
	}
	my ($status, $said) = $c->try_cluster(kill => 'n2', 'emacs');
	isnt($status, 0, 'a program that is not there');
	like($said, qr/emacs/, 'is named');
	my $old = $c->pid('haproxy', 'haproxy');
	$c->cluster(kill => 'haproxy', 'haproxy');
	$c->wait_respawn('haproxy', 'haproxy', $old);
	$c->wait_until(10, 'HAProxy answers', sub { $c->get('/ping')->{status} == 200 });
};

subtest 'stop and start' => sub {
	$c->wait_in_sync;
	$c->stop_node('n2');
	ok(!(grep { $c->pid('n2', $_) } @programs), 'a stopped node runs nothing');
	$c->execute('keep', 'insert into t values(2)');
	$c->start_node('n2');
	$c->converged('after stop and start');
	$c->cluster(stop => 'n1');
	$c->cluster(start => 'n1');
	$c->wait_until(30, 'the master is active', sub { $c->health('n1', 'write') == 200 });
	is($c->one('keep', 'select count(*) from t'), 2, 'the data is there');
	my ($status, $said) = $c->try_cluster(stop => 'n7');
	isnt($status, 0, 'a node that is not there');
	like($said, qr/n7/, 'is named');
};

subtest 'status, logs, wrong use' => sub {
	$c->wait_in_sync;
	my ($status, $said) = $c->try_cluster('status');
	is($status, 0, 'status');
	like($said, qr/n1 .*master/, 'shows the master');
	like($said, qr/n2 .*ready/, 'and the slave');
	like($c->cluster(logs => 'n1'), qr/\w/, 'logs');
	($status, $said) = $c->try_cluster('frobnicate');
	isnt($status, 0, 'an unknown command');
	like($said, qr/frobnicate/, 'is named');
	($status) = $c->try_cluster('up', '--slaves', 'many');
	isnt($status, 0, 'a wrong number');
	# Everything listens on loopback only.
	my @open = grep { /:($c->{port}|@{[$c->{port} + 324]}|@{[$c->{port} - 79]}|@{[$c->{port} - 78]}|@{[$c->{port} + 21]}|@{[$c->{port} + 22]})\s/ } `ss -ltnH`;
	is(scalar(@open), 6, 'six listening ports');
	is(scalar(grep { !/\s127\.0\.0\.1:\d+\s+0\.0\.0\.0/ } @open), 0, 'on 127.0.0.1 only') or diag(@open);
};

subtest 'two clusters side by side' => sub {
	my $d = DDB::Cluster->new(slaves => 1);
	$d->create('other');
	is($c->get('/v1/db/other/tables')->{status}, 404, 'what one has, the other has not');
	is($d->get('/v1/db/keep/tables')->{status}, 404, 'nor the other way round');
	my $before = pids();
	$d->cluster('destroy');
	ok(!-d "$d->{dir}/n1", 'destroy removes nodes and data');
	is_deeply(pids(), $before, 'of its own cluster only');
	$d->destroy;
};

subtest 'down keeps the data' => sub {
	my $before = pids();
	$c->cluster('down');
	ok(!(grep { lives($_) } values %$before), 'nothing runs any more');
	ok(-s $c->file('n2', 'keep'), 'the files are there');
	$c->cluster('up');
	is($c->one('keep', 'select count(*) from t'), 2, 'and come back with up');
	$c->converged('after down and up');
};

subtest 'destroy' => sub {
	my $before = pids();
	$c->cluster('destroy');
	ok(!(grep { lives($_) } values %$before), 'nothing runs any more');
	ok(!-d "$c->{dir}/n1" && !-d "$c->{dir}/haproxy", 'and nothing is left');
};

done_testing;
