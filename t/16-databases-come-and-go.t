#!/usr/bin/perl
# Databases are created, filled, dropped and created again, several at once, while heartbeats ask the slaves about each: the
# slaves follow, and none of their programs waits for ever for another's reference.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Load;
use Test::More;

my $c = DDB::Cluster->new(conf => { heartbeat_ms => 50 });
my $rounds = $c->long_or(200, 40);
my $dir = $c->scratch . '/comings';
mkdir $dir or die "$dir: $!";

my $load = DDB::Load->new(dir => $dir, url => $c->url);
$load->start(3, sub ($w) {
	return 0 if ($w->{round} // 0) >= $rounds;
	my $name = "db$w->{id}";
	my $statements = '{"statements":["create table t(a)","insert into t values(1)"]}';
	for my $step ([ PUT => "/v1/db/$name" ], [ POST => "/v1/db/$name/execute", body => $statements ], [ DELETE => "/v1/db/$name" ]) {
		my $r = $w->{http}->request(@$step);
		$w->{note}->(DDB::Load::outcome($r), "$step->[0] $name", DDB::Load::wrong($r));
	}
	$w->{round}++;
	return 1;
});
$load->wait;
my @records = $load->records;
my @bad = map { "@$_" } grep { $_->[0] ne 'acked' } @records;
is("@bad", '', 'every creation, write and drop is acknowledged');
is(scalar(@records), 9 * $rounds, 'and none was left out');
$c->create('last');
$c->execute('last', 'create table t(a)');
$c->wait_in_sync;
$c->same('last', 'after the comings and goings');
done_testing;
