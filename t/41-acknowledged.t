#!/usr/bin/perl
# 64 clients write while both slaves are killed and come back at random: every acknowledged write is on all nodes
# afterwards, none that was refused is on any, and nothing is there twice.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite);
use DDB::Load;
use DDB::SqlGen;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('acks');
$c->execute($db, [ 'create table t(client integer, turn integer, v)', 'create table never(v check(v < 0))' ]);
$c->wait_in_sync;

my $seed = $ENV{DDB_SEED} // time & 0xffffff;
diag("seed $seed");
my $dice = DDB::SqlGen->new($seed);
my $load = DDB::Load->new(dir => $c->scratch, url => $c->url);
$load->start(64, DDB::Load::writer("/v1/db/$db/execute", sub ($w) {
	my $turn = $w->{turn};
	my $insert = qq({"sql":"insert into t values(?,?,?)","params":[$w->{id},$turn,null]});
	# Every tenth is to be refused: its first statement must leave nothing.
	return $turn % 10 == 9 ? (qq({"statements":[$insert,"insert into never values(1)"]}), "$w->{id}:$turn")
		: (qq({"statements":[$insert]}), "$w->{id}:$turn");
}));

my $end = DDB::Client::now() + $c->long_or(90, 15);
my %count;
while (DDB::Client::now() < $end) {
	my $node = $dice->one_of(qw(n2 n3));
	my $what = $dice->one_of(qw(node write write nginx read both));
	$count{$what}++;
	if ($what eq 'node') { $c->kill_node($node); $c->watch($dice->pick(20) / 10); $c->start_node($node) }
	elsif ($what eq 'both') { $c->kill_node($_) for qw(n2 n3); $c->watch($dice->pick(10) / 10); $c->start_node($_) for qw(n3 n2) }
	else { $c->kill_program($node, $what) }
	$c->watch($dice->pick(10) / 10);
}
$load->stop;
diag('killed: ' . join ', ', map { "$_ $count{$_} times" } sort keys %count);

my @w = $load->records;
my %by;
push $by{ $_->[4] }->@*, $_ for @w;
diag(join ', ', map { scalar($by{$_}->@*) . " $_" } sort keys %by);
cmp_ok(scalar(($by{acked} // [])->@*), '>', 1000, 'writes were acknowledged');
# The master was never touched: it must have answered each of them.
is(scalar(($by{unknown} // [])->@*), 0, 'no write without a clear answer') or diag(join "\n", map { $_->[7] } $by{unknown}->@[0 .. 4]);
is(scalar(grep { $_->[5] >= 500 } ($by{refused} // [])->@*), 0, 'and slaves that come and go refused none')
	or diag((grep { $_->[5] >= 500 } $by{refused}->@*)[0][7]);

$c->wait_in_sync(seconds => 120);
for my $node ($c->nodes) {
	my %rows = map { my ($i, $t, $k) = split /\|/; ("$i:$t" => $k) } sqlite($c->file($node, $db), 'select client, turn, count(*) from t group by 1, 2');
	my @missing = grep { !$rows{ $_->[1] } } ($by{acked} // [])->@*;
	my @there = grep { $rows{ $_->[1] } } ($by{refused} // [])->@*;
	is(scalar(@missing), 0, "$node has every acknowledged write") or diag("lost: $missing[0][1] of " . @missing);
	is(scalar(@there), 0, "$node has none that was refused") or diag("there: $there[0][1] of " . @there);
	is(scalar(grep { $_ > 1 } values %rows), 0, "$node has none twice");
}
# The sequence number in an answer is that write's own: in the journal, that row holds it.
my %body = map { my ($seq, $b) = split /\|/, $_, 2; ($seq => $b) } sqlite($c->file('n3', $db), q{select seq, body from ddb_journal where kind = 'op'});
my @wrong = grep { my ($i, $t) = split /:/, $_->[1]; my $b = $body{ $_->[6] }; defined $b && $b !~ /\[$i,$t,null\]/ } ($by{acked} // [])->@*;
is(scalar(@wrong), 0, 'each answer named its own place in the journal') or diag("$wrong[0][1] was told seq $wrong[0][6]: $body{$wrong[0][6]}");
$c->converged('at the end');
$c->clean_logs;
done_testing;
