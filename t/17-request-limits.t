#!/usr/bin/perl
# What a request may ask for itself: the master's own answer, less time, slaves that have a write, a compressed answer.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use IO::Uncompress::Gunzip qw(gunzip);
use JSON::PP;
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(a integer primary key, b text)',
	{ sql => 'insert into t values(?, ?)', rows => [ map { [ $_, "row $_ " x 10 ] } 1 .. 500 ] } ]);
$c->wait_in_sync;
my $endless = 'with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c';

subtest 'consistency=strong' => sub {
	for my $node ($c->nodes) {
		for my $path ("/v1/db/$db/tables", "/v1/db/$db/tables/t/rows?limit=1", "/v1/db/$db/tables/t/rows/1", '/v1/db',
			"/v1/db/$db/query?sql=select%201") {
			my $r = $c->get($path . ($path =~ /\?/ ? '&' : '?') . 'consistency=strong', node => $node);
			is("$r->{status} $r->{headers}{'ddb-node'}", '200 n1', "$path asked at $node is answered by the master") or diag($r->{body});
		}
		my $r = $c->post("/v1/db/$db/query?consistency=strong", { sql => 'select count(*) from t' }, node => $node);
		is("$r->{status} $r->{headers}{'ddb-node'}", '200 n1', "a query asked at $node too") or diag($r->{body});
	}
	my $r = $c->get("/v1/db/$db/tables?consistency=weak");
	is("$r->{status} $r->{json}{code}", '400 bad_request', 'there is no other word for it');
	is($c->request(PATCH => "/v1/db/$db/tables/t/rows/1?consistency=strong", json => { b => 'x' })->{status}, 400, 'nor a meaning for writes');
	$c->stop_node('n1');
	$r = $c->get("/v1/db/$db/tables?consistency=strong", node => 'n2');
	is("$r->{status} $r->{json}{code}", '425 not_ready', 'without a master nobody answers it') or diag($r->{body});
	is($c->get("/v1/db/$db/tables", node => 'n2')->{status}, 200, 'though an ordinary read is answered');
	$c->start_node('n1');
	$c->wait_in_sync;
};

subtest 'DDB-Timeout' => sub {
	for my $ms (50, 200) {
		my $r = $c->post("/v1/db/$db/query", { sql => $endless }, headers => { 'DDB-Timeout' => $ms });
		is("$r->{status} $r->{json}{code}", '422 deadline', "a read of more than $ms ms is ended");
		cmp_ok($r->{ended} - $r->{began}, '<', 2, 'long before the configured time');
	}
	my $r = $c->post("/v1/db/$db/execute", { sql => "insert into t(b) $endless" }, headers => { 'DDB-Timeout' => 50 });
	is("$r->{status} $r->{json}{code}", '422 deadline', 'a write likewise');
	is($c->one($db, 'select count(*) from t'), 500, 'and it left nothing');
	for my $bad ('0', '-1', 'soon', '1.5', '99999999999999999999') {
		is($c->post("/v1/db/$db/query", { sql => 'select 1' }, headers => { 'DDB-Timeout' => $bad })->{status}, 400, "DDB-Timeout: $bad is refused");
	}
	is($c->post("/v1/db/$db/query", { sql => 'select 1' }, headers => { 'DDB-Timeout' => 999_999_999 })->{status}, 200,
		'more than the ceiling is the ceiling');
};

subtest 'DDB-Sync' => sub {
	my $r = $c->post("/v1/db/$db/execute", { sql => "insert into t(b) values('both')" }, headers => { 'DDB-Sync' => 2 });
	is("$r->{status} $r->{json}{acked} $r->{json}{wanted}", '200 2 2', 'two slaves have it');
	$c->request(POST => '/v1/pool/slaves/n3/pause', json => {});
	$c->wait_until(10, 'n3 is paused', sub { $c->state('n3') eq 'paused' });
	$r = $c->post("/v1/db/$db/execute", { sql => "insert into t(b) values('one')" }, headers => { 'DDB-Sync' => 2, 'DDB-Sync-Timeout' => 100 });
	is("$r->{status} $r->{json}{acked} $r->{json}{wanted}", '200 1 2', 'one of two has it, and the write stands') or diag($r->{body});
	cmp_ok($r->{ended} - $r->{began}, '<', 2, 'told after the time that was asked for');
	is($c->post("/v1/db/$db/execute", { sql => 'select 1' })->{json}{acked}, undef, 'who asks for no slaves is told of none');
	$c->request(POST => '/v1/pool/slaves/n3/resume', json => {});
	$c->wait_in_sync;
};

subtest 'compressed answers' => sub {
	my $path = "/v1/db/$db/tables/t/rows?limit=400";
	my $plain = $c->get($path);
	is($plain->{headers}{'content-encoding'}, undef, 'who does not ask gets plain text');
	for my $at ([], map { [ node => $_ ] } $c->nodes) {
		my $r = $c->request(GET => $path, headers => { 'Accept-Encoding' => 'gzip' }, @$at);
		is("$r->{status} " . ($r->{headers}{'content-encoding'} // ''), '200 gzip', 'compressed' . (@$at ? " by $at->[1]" : ''));
		gunzip(\$r->{body}, \my $text) or die 'gunzip failed';
		cmp_ok(length $r->{body}, '<', length($text) / 2, 'and shorter');
		is_deeply(decode_json($text)->{rows}, $plain->{json}{rows}, 'with the same rows');
		like($r->{headers}{vary} // '', qr/Accept-Encoding/i, 'and says what it depends on');
		my $again = $c->request(GET => $path, headers => { 'Accept-Encoding' => 'gzip', 'If-None-Match' => $r->{headers}{etag} }, @$at);
		is($again->{status}, 304, 'its ETag is known when it comes back') if @$at;
	}
	my $page = $c->request(GET => '/js/main.js', headers => { 'Accept-Encoding' => 'gzip' });
	is($page->{headers}{'content-encoding'}, 'gzip', "the page's parts too");
};

$c->converged('at the end');
done_testing;
