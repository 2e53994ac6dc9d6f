#!/usr/bin/perl
# What a client may rely on while everything is busy and slaves come and go: it reads its own writes through any slave
# (DDB-Min-Seq), never goes back in time when it sends what it saw, and sees every operation whole or not at all.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Load;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('bank');
$c->execute($db, [ 'create table account(id integer primary key, amount integer)', 'create table own(client integer primary key, n integer)' ]);
$c->execute($db, { sql => 'insert into account values(?, 1000)', rows => [ map { [$_] } 1 .. 20 ] });
$c->wait_in_sync;

my $load = DDB::Load->new(dir => $c->scratch, url => $c->url);

# Sessions: write, then read what was written; what was seen is sent along.
$load->start(8, sub ($w) {
	my $n = ++$w->{n};
	my $r = $w->{http}->request(POST => "/v1/db/$db/execute", body => '{"sql":"insert into own values(?1,?2) on conflict do update set n = ?2","params":['
		. "$w->{id},$n]}");
	my $token = $r->{headers}{'ddb-seq'};
	return $w->{note}->('session', $w->{id}, $n, 'write', $r->{status} || $r->{error}) && 1 if $r->{status} != 200;
	for (1 .. 3) {
		my $q = $w->{http}->request(POST => "/v1/db/$db/query", body => qq({"sql":"select n from own where client = ?","params":[$w->{id}]}),
			headers => { 'DDB-Min-Seq' => $token });
		my ($got) = $q->{body} =~ /"rows":\[\[(\d+)\]\]/;
		my ($before, $now) = map { (split /\./, $_ // '..0')[2] } $token, $q->{headers}{'ddb-seq'};
		$w->{note}->('session', $w->{id}, $n, $got // '-', $q->{status} || $q->{error}, $q->{headers}{'ddb-node'} // '-', $now >= $before ? 'forward' : 'back');
		$token = $q->{headers}{'ddb-seq'} // $token;
	}
	return 1;
});

# Transfers, in one operation of two statements; readers sum up. The sum never changes.
$load->start(4, sub ($w) {
	my ($from, $to, $x) = (1 + int rand 20, 1 + int rand 20, 1 + int rand 50);
	my $r = $w->{http}->request(POST => "/v1/db/$db/execute", body => qq({"statements":[{"sql":"update account set amount = amount - ? where id = ?","params":[$x,$from]},)
		. qq({"sql":"update account set amount = amount + ? where id = ?","params":[$x,$to]}]}));
	$w->{note}->('transfer', $r->{status} || $r->{error});
	return 1;
});
$load->start(4, sub ($w) {
	my $r = $w->{http}->request(POST => "/v1/db/$db/query", body => '{"sql":"select sum(amount) from account"}');
	my ($sum) = $r->{body} =~ /"rows":\[\[(-?\d+)\]\]/;
	$w->{note}->('sum', $sum // '-', $r->{status} || $r->{error}, $r->{headers}{'ddb-node'} // '-');
	return 1;
});

for (1 .. $c->long_or(20, 3)) {
	$c->watch(1);
	$c->wait_respawn('n2', 'write', $c->kill_program('n2', 'write'));
	$c->watch(0.5);
	my @p = $c->freeze('n3', 'write');       # n3 lags; reads that ask for more go to the master
	$c->watch(1);
	$c->thaw(@p);
	$c->wait_respawn('n3', 'read', $c->kill_program('n3', 'read'));
}
$load->stop;

my @all = $load->records;
my @s = grep { $_->[0] eq 'session' && $_->[3] ne 'write' } @all;
my %by;
$by{ $_->[5] }++ for @s;
diag(scalar(@s) . ' reads of own writes: ' . join ', ', map { "$_ $by{$_}" } sort keys %by);
cmp_ok(scalar(@s), '>', 500, 'sessions read');
cmp_ok(scalar(grep { /n[23]/ } keys %by), '==', 2, 'from both slaves');
is(scalar(grep { $_->[0] eq 'session' && $_->[3] eq 'write' } @all), 0, 'every write was taken') or diag((grep { $_->[3] eq 'write' } @all)[0][4]);
my @failed = grep { $_->[4] ne '200' } @s;
is(scalar(@failed), 0, 'every read was answered') or diag("$failed[0][4]");
my @wrong = grep { $_->[4] eq '200' && $_->[3] ne $_->[2] } @s;
is(scalar(@wrong), 0, 'with the own last write') or diag("client $wrong[0][1] wrote $wrong[0][2] and read $wrong[0][3] at $wrong[0][5]");
is(scalar(grep { $_->[6] eq 'back' } @s), 0, 'and nobody went back in time');

my @sum = grep { $_->[0] eq 'sum' } @all;
my %n;
$n{ $_->[3] }++ for @sum;
diag(scalar(@sum) . ' sums: ' . join ', ', map { "$_ $n{$_}" } sort keys %n);
is(scalar(grep { $_->[2] ne '200' } @sum), 0, 'every sum was answered');
@wrong = grep { $_->[2] eq '200' && $_->[1] ne '20000' } @sum;
is(scalar(@wrong), 0, 'and is the same: transfers are seen whole') or diag("$wrong[0][1] at $wrong[0][3]");
cmp_ok(scalar(grep { $_->[0] eq 'transfer' && $_->[1] eq '200' } @all), '>', 200, 'transfers took place');

$c->converged('at the end');
$c->clean_logs;
done_testing;
