#!/usr/bin/perl
# A slave that was away catches up first, then serves: watched through HAProxy while clients read and write. Nothing is
# missing or doubled, also when programs are killed in the middle.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite head_of);
use DDB::Load;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('shop');
# No unique key: a doubled operation would show as two rows.
$c->execute($db, [ 'create table t(client integer, turn integer, pad)', 'create table n(id integer primary key, v)', 'insert into n values(1, 0)' ]);
$c->wait_in_sync;

# $clients write $each rows in all, each a request and an operation of its own. With $stubborn, what was refused is asked
# again. Returns the load, which goes on.
my $batch = 0;
sub writers ($clients, $each, %opt) {
	my $b = ++$batch;
	my $load = DDB::Load->new(dir => fresh("writers-$b"), url => $c->url);
	my $post = DDB::Load::writer("/v1/db/$db/execute", sub ($w) {
		my $turn = $w->{next} //= 0;
		return (qq({"statements":[{"sql":"insert into t values(?,?,?)","params":[@{[ $b * 1000 + $w->{id} ]},$turn,"some words to fill a row with"]},)
			. '{"sql":"update n set v = v + 1 where id = 1"}]}', "$b:$w->{id}:$turn");
	});
	$load->start($clients, sub ($w) {
		return 0 if $each && ($w->{next} // 0) >= $each / $clients;
		$post->($w);
		$w->{next}++;
		return 1;
	});
	return $load;
}

sub fresh ($name) {
	my $dir = $c->scratch . "/$name";
	mkdir $dir or die "$dir: $!";
	return $dir;
}

# Every acknowledged write is there once, what was refused is not, on each node; the counter says the same.
sub exact ($title, @loads) {
	my @w = map { $_->records } @loads;
	my %by;
	push $by{ $_->[4] }->@*, $_->[1] for @w;
	note(join ', ', map { scalar($by{$_}->@*) . " $_" } sort keys %by);
	for my $node ($c->nodes) {
		my %rows = map { my ($b, $i, $t, $k) = split /\|/; ("$b:$i:$t" => $k) } sqlite($c->file($node, $db),
			'select client/1000, client%1000, turn, count(*) from t group by client, turn');
		my @missing = grep { !$rows{$_} } ($by{acked} // [])->@*;
		my @there = grep { $rows{$_} } ($by{refused} // [])->@*;
		my @twice = grep { $rows{$_} > 1 } keys %rows;
		ok(!@missing && !@there && !@twice, "$title: $node lacks nothing and holds nothing twice")
			or diag(scalar(@missing) . " missing (@missing[0 .. ($#missing > 4 ? 4 : $#missing)]), " . scalar(@there) . ' that were refused, '
				. scalar(@twice) . ' twice');
		my ($count) = sqlite($c->file($node, $db), 'select (select v from n) - (select count(*) from t)');
		is($count, 0, "$title: the counter of $node has counted each row");
	}
	return scalar(($by{unknown} // [])->@*);
}

subtest '50,000 operations while a slave is stopped' => sub {
	my $n = 50_000;
	$c->stop_node('n3');
	my $began = DDB::Client::now();
	my $load = writers(16, $n);
	$load->wait;
	diag(sprintf '%d writes in %.1f s', $n, DDB::Client::now() - $began);
	$c->wait_until(10, 'the master has noticed', sub { $c->state('n3') eq 'down' });
	# The figures are made with each heartbeat.
	my $s = $c->wait_until(5, 'the pool counts them', sub { my $s = $c->slave('n3'); $s->{pending}{operations} >= $n && $s });
	is($s->{pending}{operations}, $n, 'they wait for it');
	cmp_ok($s->{pending}{bytes}, '>', $n * 50, 'with their bytes');
	cmp_ok($s->{pending}{oldest_ms}, '>', 1000, 'and their age');
	my (undef, $head) = head_of($c->file('n1', $db));
	# Readers through HAProxy, and at the slave itself, all the while.
	my $read = DDB::Load::reader(sub ($r) { return (POST => "/v1/db/$db/query", body => '{"sql":"select max(turn) from t where client = 1001"}') });
	my $front = DDB::Load->new(dir => fresh('front'), url => $c->url)->start(3, $read);
	my $direct = DDB::Load->new(dir => fresh('direct'), url => $c->url('n3'))->start(1, sub ($r) { $read->($r); 1 });
	$began = DDB::Client::now();
	$c->start_node('n3');
	my ($not_yet, $first);
	$c->wait_until(120, 'n3 is in sync', sub {
		my ($status, $state) = $c->health('n3');
		$not_yet++ if $status != 200;
		$status == 200;
	});
	diag(sprintf 'caught up within %.1f s of its start', DDB::Client::now() - $began);
	$c->wait_until(30, 'HAProxy sends reads to it again', sub { grep { $_->[4] eq 'n3' } $front->records });
	$front->stop;
	$direct->stop;
	my @front = $front->records;
	my @n3 = grep { $_->[4] eq 'n3' } @front, $direct->records;
	cmp_ok($not_yet // 0, '>', 0, 'it was seen not in sync');
	is(scalar(grep { $_->[3] != 200 } @front), 0, 'no read through HAProxy failed') or diag(join "\n", map { $_->[8] } grep { $_->[3] != 200 } @front);
	cmp_ok(scalar(grep { $_->[4] eq 'n3' } @front), '>', 0, 'n3 serves again');
	is(scalar(grep { $_->[3] == 200 && $_->[6] < $head } @n3), 0, 'and never answered before it had all of them');
	exact_later('afterwards', $load);
	$c->converged('afterwards');
};

# Kills something again and again while clients write, then looks.
sub loop ($title, $times, $kill) {
	subtest $title => sub {
		my $load = writers(8, 0);
		for my $i (1 .. $times) {
			my (undef, $at) = head_of($c->file('n1', $db));
			$kill->($i);
			$c->wait_until(30, 'writes go on', sub { (head_of($c->file('n1', $db)))[1] > $at + 50 });
		}
		$load->stop;
		my $unknown = exact_later($title, $load);
		diag(sprintf '%s: %d times, %d writes, %d of them with unknown outcome', $title, $times, scalar($load->records), $unknown);
		$c->converged($title);
	};
	return;
}
sub exact_later ($title, $load) {
	$c->wait_in_sync;
	return exact($title, $load);
}

my $times = $c->long_or(60, 6);
loop("kill -9 of a slave's write", $times, sub ($i) {
	my $n = $i % 2 ? 'n2' : 'n3';
	$c->wait_respawn($n, 'write', $c->kill_program($n, 'write'));
});
loop("kill -9 of a slave's nginx", $times, sub ($i) {
	my $n = $i % 2 ? 'n2' : 'n3';
	$c->wait_respawn($n, 'nginx', $c->kill_program($n, 'nginx'));
});
loop("kill -9 of the master's write", $times, sub ($i) {
	$c->wait_respawn('n1', 'write', $c->kill_program('n1', 'write'));
	$c->wait_until(30, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
});
loop('kill -9 of a whole slave', $c->long_or(15, 2), sub ($i) {
	$c->kill_node('n2');
	my (undef, $at) = head_of($c->file('n1', $db));
	$c->wait_until(30, 'writes go on without it', sub { (head_of($c->file('n1', $db)))[1] > $at + 200 });
	$c->start_node('n2');
});
loop('kill -9 of the whole master', $c->long_or(10, 1), sub ($i) {
	$c->kill_node('n1');
	$c->start_node('n1');
	$c->wait_until(30, 'the master is active again', sub { $c->health('n1', 'write') == 200 });
});

$c->clean_logs;
done_testing;
