#!/usr/bin/perl
# A write happens once or not at all: HAProxy and nginx replay none, whatever goes wrong.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Client;
use DDB::Cluster;
use DDB::Compare qw(sqlite);
use DDB::Load;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('once');
$c->execute($db, 'create table t(word text, v)');
$c->wait_in_sync;

sub fresh ($name) { my $dir = $c->scratch . "/$name"; mkdir $dir or die "$dir: $!"; return $dir }
sub insert ($word) { return qq({"sql":"insert into t(word) values(?)","params":["$word"]}) }
sub doubled () { return sqlite($c->file('n1', $db), 'select word, count(*) from t group by word having count(*) > 1') }
sub count_of ($word) { return (sqlite($c->file('n1', $db), "select count(*) from t where word glob '$word'"))[0] }

subtest 'clients give up while the master is frozen' => sub {
	my @p = $c->freeze('n1', 'write');
	my $load = DDB::Load->new(dir => fresh('frozen'), url => $c->url, timeout => 1.5);
	$load->start(12, sub ($w) {
		DDB::Load::writer("/v1/db/$db/execute", sub ($w) { return (insert("frozen-$w->{id}"), "frozen-$w->{id}") })->($w);
		return 0;
	})->wait;
	my @w = $load->records;
	is(scalar(grep { $_->[4] eq 'acked' } @w), 0, 'none was acknowledged');
	$c->thaw(@p);
	$c->wait_until(20, 'the master serves again', sub { $c->health('n1', 'write') == 200 && $c->server_status('writes', 'n1') eq 'UP' });
	# All that were on their way have arrived when a later write through the same door has, and some quiet has passed.
	$c->execute($db, 'select 1');
	my $seen = -1;
	$c->wait_until(20, 'no more of them arrive', sub { my $n = count_of('frozen-*'); my $same = $n == $seen; $seen = $n; $c->watch(0.5); $same });
	is_deeply([ doubled() ], [], "each at most once ($seen of 12 took place)");
};

subtest 'the master is killed under load' => sub {
	my $load = DDB::Load->new(dir => fresh('killed'), url => $c->url);
	$load->start(24, DDB::Load::writer("/v1/db/$db/execute", sub ($w) { return (insert("killed-$w->{id}-$w->{turn}"), "killed-$w->{id}-$w->{turn}") }));
	for (1 .. $c->long_or(25, 4)) {
		$c->watch(0.4);
		my $what = (qw(write nginx))[ $_ % 2 ];
		$c->wait_respawn('n1', $what, $c->kill_program('n1', $what));
	}
	$c->wait_until(20, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
	$c->watch(0.5);
	$load->stop;
	is_deeply([ doubled() ], [], 'no write took place twice');
	my %there = map { $_ => 1 } sqlite($c->file('n1', $db), "select word from t where word glob 'killed-*'");
	my @w = $load->records;
	my %n;
	$n{ $_->[4] }++ for @w;
	diag(join ', ', map { "$n{$_} $_" } sort keys %n);
	is(scalar(grep { $_->[4] eq 'acked' && !$there{ $_->[1] } } @w), 0, 'none that was acknowledged is missing');
	my @there = grep { $_->[4] eq 'refused' && $there{ $_->[1] } } @w;
	is(scalar(@there), 0, 'none that was refused took place') or diag($there[0][7]);
};

subtest 'the same at a slave, which passes writes on' => sub {
	my $load = DDB::Load->new(dir => fresh('passed'), url => $c->url('n2'));
	$load->start(8, DDB::Load::writer("/v1/db/$db/execute", sub ($w) { return (insert("passed-$w->{id}-$w->{turn}"), "passed-$w->{id}-$w->{turn}") }));
	for (1 .. $c->long_or(10, 2)) {
		$c->watch(0.4);
		$c->wait_respawn('n1', $_, $c->kill_program('n1', $_)) for qw(write nginx);
	}
	$c->wait_until(20, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
	$c->watch(0.5);
	$load->stop;
	is_deeply([ doubled() ], [], 'no write took place twice');
	my %there = map { $_ => 1 } sqlite($c->file('n1', $db), "select word from t where word glob 'passed-*'");
	my @w = $load->records;
	cmp_ok(scalar(grep { $_->[4] eq 'acked' } @w), '>', 50, 'writes were passed on');
	is(scalar(grep { $_->[4] eq 'acked' && !$there{ $_->[1] } } @w), 0, 'none that was acknowledged is missing');
	my @there = grep { $_->[4] eq 'refused' && $there{ $_->[1] } } @w;
	is(scalar(@there), 0, 'none that was refused took place') or diag($there[0][7]);
};

subtest 'ways by which a write must not come' => sub {
	$c->wait_until(20, 'HAProxy has a master again', sub { $c->server_status('writes', 'n1') eq 'UP' && $c->health('n1', 'write') == 200 });
	my $r = $c->post("/v1/db/$db/execute", { sql => q{insert into t values('wrong way', 1)} }, node => 'n1', headers => { 'DDB-Route' => 'reads' });
	is("$r->{status} $r->{json}{code}", '421 misdirected', 'a write that came through a backend that repeats');
	$r = $c->post("/v1/db/$db/execute", { sql => q{insert into t values('wrong way', 1)} }, node => 'n2', headers => { 'DDB-Forwarded' => 'n3' });
	is("$r->{status} $r->{json}{code}", '421 forwarded_twice', 'a write passed on to a slave');
	is(count_of('wrong way'), 0, 'neither took place');
	for my $h ([ 'DDB-Route' => 'reads' ], [ 'DDB-Forwarded' => 'n3' ], [ 'DDB-Last-Resort' => 1 ], [ 'X-Accel-Redirect' => '@master' ]) {
		is($c->post("/v1/db/$db/execute", { sql => 'select 1' }, headers => {@$h})->{status}, 200, "a client's own $h->[0] header does not matter");
	}
	$r = $c->post("/v1/db/$db/query", { sql => 'select 1' }, headers => { 'DDB-Forwarded' => 'n3' }, node => 'n2');
	is($r->{status}, 200, 'a read that says it was passed on is answered by a slave in sync');
};

$c->converged('at the end');
$c->clean_logs;
done_testing;
