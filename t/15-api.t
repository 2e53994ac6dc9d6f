#!/usr/bin/perl
# Every endpoint once: status codes, headers, shapes of answers, through HAProxy and at the nodes.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use JSON::PP;
use Test::More;

my $c = DDB::Cluster->new;

# A problem document as RFC 9457 and our own table want it.
sub problem ($r, $status, $code, $title) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($r->{status}, $status, "$title: $status") or diag($r->{error} // $r->{body});
	my $p = $r->{json} // {};
	like($r->{headers}{'content-type'} // '', qr{^application/problem\+json}, "$title: a problem document");
	is($p->{code}, $code, "$title: code $code") or diag($r->{body});
	is($p->{status}, $status, "$title: says its status");
	ok(length($p->{title} // '') && length($p->{detail} // '') && length($p->{type} // ''), "$title: type, title and detail");
	return;
}

subtest 'operation' => sub {
	for my $where (undef, $c->nodes) {
		my @at = defined $where ? (node => $where) : ();
		my $name = $where // 'HAProxy';
		is($c->get('/ping', @at)->{body}, "pong\n", "/ping at $name");
		my $head = $c->request(HEAD => '/ping', @at);
		is("$head->{status}:$head->{body}", '200:', "HEAD /ping at $name");
		my $s = $c->get('/status', @at);
		is($s->{status}, 200, "/status at $name");
		is($s->{json}{role}, !defined $where || $where eq $c->master ? 'master' : 'slave', 'role');
		is($s->{json}{state}, !defined $where || $where eq $c->master ? 'master' : 'ready', 'state');
		is($s->{json}{epoch}, 1, 'epoch');
		like($s->{json}{$_}, qr/./, $_) for qw(node since cluster version sqlite);
		like(join(',', sort keys $s->{json}{programs}->%*), qr/read.*write/, 'programs') if ref $s->{json}{programs};
	}
	for my $node ($c->nodes) {
		is($c->health($node, 'live'), 200, "/health/live at $node");
		my $master = $node eq $c->master;
		my $r = $c->get('/health/read', node => $node);
		is($r->{status}, $master ? 404 : 200, "/health/read at $node");
		is($r->{json}{node}, $node, 'names its node');
		is($r->{json}{state}, $master ? 'master' : 'ready', 'and its state');
		like($r->{json}{status} // '', qr/\w/, 'and says why');
		my $w = $c->get('/health/write', node => $node);
		if ($master) { is($w->{status}, 200, "/health/write at $node") }
		else { isnt($w->{status}, 200, "/health/write at $node: not the master") }
		is($w->{json}{node}, $node, 'names its node');
		my $page = $c->get('/', node => $node);
		is($page->{status}, 302, "/ at $node");
		like($page->{headers}{location}, qr{/index2\.html$}, 'leads to the page');
		$page = $c->get('/index2.html', node => $node);
		is($page->{status}, 200, 'which is there');
		like($page->{headers}{'content-security-policy'} // '', qr/default-src/, 'with its content security policy');
	}
	is($c->get('/index2.html')->{status}, 200, 'the page through HAProxy');
};

subtest 'databases' => sub {
	problem($c->get('/v1/db/nix/tables'), 404, 'database_unknown', 'unknown database');
	my $r = $c->request(PUT => '/v1/db/shop');
	is($r->{status}, 201, 'created') or diag($r->{body});
	is($r->{json}{name}, 'shop', 'its name');
	my $id = $r->{json}{id};
	like($id, qr/^[0-9a-f]{32}$/, 'its id');
	like($r->{json}{$_}, qr/^\d+$/, $_) for qw(epoch seq);
	$r = $c->request(PUT => '/v1/db/shop');
	is("$r->{status} $r->{json}{id}", "200 $id", 'created again: it is there already');
	$c->wait_in_sync;
	for my $at ([], map { [ node => $_ ] } $c->nodes) {
		my $list = $c->get('/v1/db', @$at);
		my ($shop) = grep { $_->{name} eq 'shop' } $list->{json}{databases}->@*;
		is($shop->{id}, $id, 'in the list' . (@$at ? " of $at->[1]" : ''));
		like($shop->{$_}, qr/^\d+$/, $_) for qw(epoch seq bytes);
		like($shop->{created} // '', qr/^\d{4}-\d\d-\d\dT.*Z$/, 'created');
		ok(!grep({ $_->{name} eq '_ddb' } $list->{json}{databases}->@*), 'the system database is not in it');
	}
	for my $bad ('1st', 'a.b', 'a%2Fb', '_ddb', 'x' x 64, '%00', '..') {
		my $r = $c->request(PUT => "/v1/db/$bad");
		ok($r->{status} == 400 || $r->{status} == 404, "a name like $bad is refused: $r->{status}") or diag($r->{body});
	}
	is($c->request(PUT => '/v1/db/' . 'x' x 63)->{status}, 201, 'a name of 63 letters is fine');
	$r = $c->request(DELETE => '/v1/db/' . 'x' x 63);
	is($r->{status}, 200, 'dropped');
	is($r->{json}{dropped}, 'x' x 63, 'says what');
	like($r->{json}{kept}, qr/^dropped\//, 'and where it is kept');
	ok(-s "$c->{dir}/n1/data/$r->{json}{kept}", 'where it really is');
	problem($c->request(DELETE => '/v1/db/' . 'x' x 63), 404, 'database_unknown', 'dropped twice');
	# A dropped and re-created name is another database.
	$c->create('again');
	$c->execute('again', 'create table old(a)');
	my $old = $c->{position}{again};
	$c->must(DELETE => '/v1/db/again');
	my $new = $c->must(PUT => '/v1/db/again');
	isnt($new->{id}, (split /\./, $old)[0], 'a re-created name has another id');
	$c->wait_in_sync;
	for my $node ($c->slaves) {
		my $t = $c->get('/v1/db/again/tables', node => $node);
		is_deeply($t->{json}{tables}, [], "nothing of the old one at $node");
		my $q = $c->post('/v1/db/again/query', { sql => 'select 1' }, node => $node, headers => { 'DDB-Min-Seq' => $old });
		problem($q, 409, 'position_lost', 'a position of the old one');
	}
};

subtest 'execute and query' => sub {
	my $r = $c->post('/v1/db/shop/execute', { statements => [
		'create table item(id integer primary key, name text not null, price real, qty integer default 1)',
		{ sql => 'insert into item(name, price) values(?,?)', rows => [ [ 'nut', 0.1 ], [ 'bolt', 0.2 ], [ 'gear', 7 ] ] } ] });
	is($r->{status}, 200, 'execute') or diag($r->{body});
	is($r->{json}{results}[1]{changes}, 3, 'changes');
	like($r->{headers}{'ddb-seq'}, qr/^[0-9a-f]{32}\.1\.$r->{json}{seq}$/, 'DDB-Seq is id.epoch.seq');
	is($r->{headers}{'ddb-node'}, 'n1', 'DDB-Node');
	is($r->{json}{epoch}, 1, 'epoch');
	like($r->{json}{ms}, qr/^[\d.]+(?:e-\d+)?$/, 'ms');
	my $seq = $r->{json}{seq};
	$c->{position}{shop} = $r->{headers}{'ddb-seq'};
	my $next = $c->execute('shop', q{update item set qty = 2 where name = 'nut'});
	is($next->{seq}, $seq + 1, 'the next write is the next in sequence');
	is($c->execute('shop', 'select 1')->{seq}, $seq + 1, 'an execute that only reads journals nothing');
	for my $at ([], map { [ node => $_ ] } $c->nodes) {
		my $q = $c->post('/v1/db/shop/query', { sql => 'select name, price from item where price < ? order by id', params => [1] },
			@$at, headers => { 'DDB-Min-Seq' => $c->{position}{shop} });
		is($q->{status}, 200, 'query' . (@$at ? " at $at->[1]" : '')) or diag($q->{body});
		is_deeply([ $q->{json}->@{qw(columns types rows)} ], [ [qw(name price)], [qw(TEXT REAL)], [ [ 'nut', 0.1 ], [ 'bolt', 0.2 ] ] ],
			'columns, types, rows');
		is($q->{json}{seq}, $seq + 1, 'read our own write');
		is($q->{headers}{'ddb-node'}, $q->{json}{node}, 'the header names the node that answers');
		is($q->{headers}{'ddb-seq'}, $c->{position}{shop}, 'and its position');
	}
	problem($c->post('/v1/db/shop/query', { sql => 'delete from item' }), 400, 'not_read_only', 'a write through query');
	problem($c->post('/v1/db/shop/execute', { sql => 'insrt into item' }), 400, 'sql_error', 'a syntax error');
	my $e = $c->post('/v1/db/shop/execute', { statements => [ 'delete from item', 'select nix from item' ] });
	problem($e, 400, 'sql_error', 'an unknown column');
	is($e->{json}{statement}, 1, 'which statement of the batch');
	is($e->{json}{offset}, 7, 'and where in it');
	like($e->{json}{detail}, qr/no such column: nix/, "SQLite's own words");
	is($c->one('shop', 'select count(*) from item'), 3, 'and the batch was undone as a whole');
	$e = $c->post('/v1/db/shop/execute', { statements => [ 'delete from item where id = 1', 'insert into item(id,name) values(2, \'x\')' ] });
	problem($e, 409, 'constraint', 'a constraint');
	is($e->{json}{statement}, 1, 'of the second statement');
	is($c->one('shop', 'select count(*) from item'), 3, 'undone');
	problem($c->post('/v1/db/nix/execute', { sql => 'select 1' }), 404, 'database_unknown', 'execute in an unknown database');
	problem($c->request(POST => '/v1/db/shop/execute', body => '{"sql":"select 1"}', headers => { 'Content-Type' => 'text/plain' }),
		415, 'unsupported_media_type', 'a body that is not JSON by its type');
	problem($c->request(POST => '/v1/db/shop/execute', body => '{"sql":"select 1"}', headers => { Origin => 'http://evil.example' }),
		403, 'origin_refused', 'a page of another origin');
	problem($c->request(PATCH => '/v1/db/shop/query', body => '{}'), 405, 'method_not_allowed', 'a method that is not there');
	problem($c->get('/v1/nothing'), 404, 'not_found', 'an unknown address');
	# A write at a slave, a too fresh read: passed to the master.
	my $w = $c->post('/v1/db/shop/execute', { sql => q{insert into item(name) values('via slave')} }, node => 'n2');
	is("$w->{status} $w->{headers}{'ddb-node'}", '200 n1', 'a write at a slave reaches the master');
};

subtest 'tables' => sub {
	$c->execute('shop', [ 'create table pair(a text, b text, n integer, primary key(a, b)) without rowid',
		'create table heap(x, y)', 'create index item_name on item(name)', 'create unique index item_pq on item(price, qty) where qty > 5',
		'create view cheap as select * from item where price < 1', 'create virtual table words using fts5(w)',
		'create table part(id integer primary key, item integer references item(id) on delete cascade, g as (item * 2))',
		'create trigger item_ai after insert on item when new.qty = 77 begin insert into heap values(new.id, 1); end' ]);
	my %fresh = (headers => { 'DDB-Min-Seq' => $c->{position}{shop} });
	my $r = $c->get('/v1/db/shop/tables', %fresh);
	is($r->{status}, 200, 'list');
	my %t = map { $_->{name} => $_ } $r->{json}{tables}->@*;
	is($t{item}{type}, 'table', 'a table');
	is($t{item}{columns}, 4, 'with its columns');
	is($t{cheap}{type}, 'view', 'a view');
	is($t{words}{type}, 'virtual', 'a virtual table');
	is($t{words_data}{type}, 'shadow', 'its shadow');
	ok(!$t{ddb_journal}, 'the journal is not among them') if !exists $t{ddb_journal};
	my $i = $c->must(GET => '/v1/db/shop/tables/item', %fresh);
	is_deeply([ $i->{name}, $i->{type}, $i->{key}, $i->{key_kind} ], [ 'item', 'table', ['id'], 'primary' ], 'item: name, type, key');
	is_deeply([ map { $_->{name} } $i->{columns}->@* ], [qw(id name price qty)], 'columns');
	ok($i->{columns}[1]{notnull}, 'not null');
	is($i->{columns}[3]{default}, '1', 'default');
	is_deeply([ sort map { $_->{name} } $i->{indexes}->@* ], [qw(item_name item_pq)], 'indexes');
	is_deeply([ map { [ !!$_->{unique}, !!$_->{partial}, $_->{columns} ] } grep { $_->{name} eq 'item_pq' } $i->{indexes}->@* ],
		[ [ !!1, !!1, [qw(price qty)] ] ], 'a partial unique index');
	is_deeply([ map { $_->{name} } $i->{triggers}->@* ], ['item_ai'], 'triggers');
	my $p = $c->must(GET => '/v1/db/shop/tables/part', %fresh);
	is_deeply([ map { [ $_->{table}, $_->{from}, $_->{to}, $_->{on_delete} ] } $p->{foreign_keys}->@* ],
		[ [ 'item', ['item'], ['id'], 'CASCADE' ] ], 'foreign keys');
	ok((grep { $_->{name} eq 'g' && $_->{generated} } $p->{columns}->@*), 'a generated column');
	my $pair = $c->must(GET => '/v1/db/shop/tables/pair', %fresh);
	is_deeply([ !!$pair->{without_rowid}, $pair->{key_kind}, $pair->{key} ], [ !!1, 'composite', [qw(a b)] ], 'a composite key');
	is($c->must(GET => '/v1/db/shop/tables/heap', %fresh)->{key_kind}, 'rowid', 'no key: the rowid');
	problem($c->get('/v1/db/shop/tables/nix'), 404, 'table_unknown', 'an unknown table');
};

subtest 'rows' => sub {
	my $rows = '/v1/db/shop/tables/item/rows';
	$c->execute('shop', 'delete from item');
	my $r = $c->post($rows, { name => 'one', price => 1.5 });
	is($r->{status}, 201, 'one inserted') or diag($r->{body});
	is($r->{json}{inserted}, 1, 'says so');
	my $key = $r->{json}{keys}[0];
	like($r->{headers}{location} // '', qr{/rows/$key$}, 'Location');
	$r = $c->post($rows, [ map { { name => "n$_", price => $_ / 10, qty => $_ } } 1 .. 250 ]);
	is($r->{json}{inserted}, 250, 'many inserted');
	is(scalar $r->{json}{keys}->@*, 250, 'with their keys');
	my %fresh = (headers => { 'DDB-Min-Seq' => $r->{headers}{'ddb-seq'} });
	$r = $c->post($rows, [ { name => 'a' }, { price => 5, name => 'b', qty => undef } ]);
	is($r->{json}{inserted}, 2, 'rows with different columns');
	%fresh = (headers => { 'DDB-Min-Seq' => $r->{headers}{'ddb-seq'} });

	my $page = $c->must(GET => "$rows?limit=100&order=id", %fresh);
	is(scalar $page->{rows}->@*, 100, 'a page');
	is_deeply($page->{columns}, [qw(id name price qty)], 'columns');
	my ($n, $pages, %seen) = (0, 0);
	my $after = '';
	while (1) {
		my $p = $c->must(GET => "$rows?limit=60&order=price.desc$after", %fresh);
		$seen{ $_->[0] }++ for $p->{rows}->@*;
		$n += $p->{rows}->@*;
		$pages++;
		last if !defined $p->{next} || $pages > 10;
		$after = '&after=' . $p->{next} =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger;
	}
	is("$n in $pages pages, " . keys(%seen) . ' different', '253 in 5 pages, 253 different', 'all rows by pages, each once, with NULLs in the order');
	my %count = ('price=gte.24' => 11, 'qty=in.(1,2,3)' => 5, 'name=like.n24*' => 11, 'name=like.n24%25' => 11, 'name=ilike.N7' => 1, 'price=is.null' => 1,
		'qty=not.eq.1' => undef, 'name=eq.one' => 1, 'or=(name.eq.one,and(qty.gt.9,qty.lt.12))' => 3, 'price=gt.1&price=lt.2' => 10, 'qty=neq.250&qty=gt.248' => 1);
	for my $f (sort keys %count) {
		my $r = $c->get("$rows?$f&limit=1000", %fresh);
		is($r->{status}, 200, "filter $f") or diag($r->{body});
		is(scalar(($r->{json}{rows} // [])->@*), $count{$f}, "$f finds its rows") if defined $count{$f} && $f ne 'name=like.n24*';
	}
	is_deeply($c->must(GET => "$rows?select=name,qty&name=eq.n5", %fresh)->{rows}, [ [ 'n5', 5 ] ], 'select');
	problem($c->get("$rows?nix=eq.1"), 400, 'bad_filter', 'a filter on no column');
	problem($c->get("$rows?qty=wat.1"), 400, 'bad_filter', 'an unknown filter');
	problem($c->get("$rows?after=rubbish"), 400, 'bad_cursor', 'a cursor of nobody');
	problem($c->get("$rows?limit=0"), 400, 'bad_request', 'limit 0') if $c->get("$rows?limit=0")->{status} != 200;
	is($c->get("$rows?limit=1000000")->{status}, 400, 'a limit beyond the most');

	is($c->must(GET => "$rows/$key", %fresh)->{row}{name}, 'one', 'one row');
	problem($c->get("$rows/999999"), 404, 'row_not_found', 'no such row');
	$r = $c->request(PATCH => "$rows/$key", json => { price => 9 });
	is_deeply([ $r->{status}, $r->{json}{changes}, $r->{json}{row}{price}, $r->{json}{row}{name} ], [ 200, 1, 9, 'one' ], 'changed');
	problem($c->request(PATCH => "$rows/999999", json => { price => 9 }), 404, 'row_not_found', 'change of no row');
	$r = $c->request(PUT => "$rows/$key", json => { name => 'whole' });
	is($r->{status}, 200, 'replaced') or diag($r->{body});
	is_deeply($c->query('shop', 'select name, price from item where id = ' . $key), $c->query('shop', 'select \'whole\', null'), 'by a whole row')
		if $c->{position}{shop} = $r->{headers}{'ddb-seq'};
	$r = $c->request(PUT => "$rows/70000", json => { name => 'new' });
	is($r->{status}, 201, 'PUT of a new key');
	is($c->request(DELETE => "$rows/70000")->{json}{changes}, 1, 'deleted');
	problem($c->request(DELETE => "$rows/70000"), 404, 'row_not_found', 'deleted twice');
	is($c->request(PATCH => "$rows?qty=gt.248", json => { price => 0 })->{json}{changes}, 2, 'changes by a filter');
	is($c->request(DELETE => "$rows?qty=gt.248")->{json}{changes}, 2, 'deletes by a filter');
	problem($c->request(DELETE => $rows), 400, 'no_filter', 'a delete of everything');
	problem($c->request(PATCH => $rows, json => { qty => 1 }), 400, 'no_filter', 'a change of everything');
	is($c->request(DELETE => "$rows?all=true")->{status}, 200, 'unless it is asked for');

	$c->execute('shop', 'delete from heap');    # what the trigger put there
	$c->post('/v1/db/shop/tables/heap/rows', [ { x => 'a', y => 1 }, { x => 'b', y => 2 } ]);
	my $heap = $c->request(GET => '/v1/db/shop/tables/heap/rows', headers => { 'DDB-Min-Seq' => $c->execute('shop', 'delete from part') && $c->{position}{shop} });
	is_deeply([ $heap->{json}{columns}, $heap->{json}{rows} ], [ [qw(rowid x y)], [ [ 1, 'a', 1 ], [ 2, 'b', 2 ] ] ], 'a table without a key comes with its rowid');
	is($c->request(PATCH => '/v1/db/shop/tables/heap/rows/2', json => { y => 3 })->{json}{row}{y}, 3, 'and is addressed by it');
	$c->post('/v1/db/shop/tables/pair/rows', { a => 'x/y', b => 'z', n => 1 });
	is($c->request(PATCH => '/v1/db/shop/tables/pair/rows?a=eq.x%2Fy&b=eq.z', json => { n => 2 })->{json}{changes}, 1, 'a composite key by filters');
	my $odd = "sla/sh \x{e4}%";
	$c->execute('shop', 'create table bykey(k text primary key, v)');
	$c->post('/v1/db/shop/tables/bykey/rows', { k => $odd, v => 1 });
	my $coded = do { my $o = $odd; utf8::encode($o); $o =~ s/([^A-Za-z0-9_])/sprintf '%%%02X', ord $1/ger };
	my $row = $c->get("/v1/db/shop/tables/bykey/rows/$coded", headers => { 'DDB-Min-Seq' => ($c->execute('shop', 'delete from part'), $c->{position}{shop})[1] });
	is($row->{json}{row}{k}, $odd, 'a key that must be percent-encoded') or diag($row->{body});
	problem($c->post('/v1/db/shop/tables/ddb_journal/rows', { seq => 1 }), 403, 'sql_forbidden', 'rows of the journal')
		if $c->post('/v1/db/shop/tables/ddb_journal/rows', { seq => 1 })->{status} != 404;
};

subtest 'pool and events' => sub {
	$c->wait_in_sync;
	for my $at ([], [ node => 'n1' ]) {
		my $p = $c->get('/v1/pool', @$at);
		is($p->{status}, 200, 'pool');
		is_deeply([ $p->{json}{epoch}, $p->{json}{master}{name}, $p->{json}{master}{url} ], [ 1, 'n1', $c->url('n1') ], 'the master');
		is_deeply([ map { $_->{name} } $p->{json}{slaves}->@* ], [qw(n2 n3)], 'the slaves');
		for my $s ($p->{json}{slaves}->@*) {
			is_deeply([ $s->{state}, $s->{url}, $s->{last_error}, $s->{pending}{operations}, $s->{pending}{bytes}, $s->{pending}{oldest_ms} ],
				[ 'ready', $c->url($s->{name}), undef, 0, 0, undef ], "$s->{name} is in sync");
			like($s->{since}, qr/^\d{4}-.*Z$/, 'since');
			is($s->{databases}{shop}{lag}, 0, 'no lag');
			like($s->{databases}{shop}{seq}, qr/^\d+$/, 'position');
		}
	}
	is(scalar $c->must(GET => '/v1/pool/slaves')->{slaves}->@*, 2, 'the slaves alone') if ref $c->must(GET => '/v1/pool/slaves') eq 'HASH';
	my $none = $c->must(GET => '/v1/pool/slaves/n2/pending');
	is($none->{slave}, 'n2', 'pending of a slave');
	my $r = $c->request(POST => '/v1/pool/slaves/n2/pause', json => {});
	is($r->{status}, 200, 'paused') or diag($r->{body});
	$c->wait_until(10, 'the master shows it', sub { $c->state('n2') eq 'paused' });
	$c->execute('shop', 'insert into heap values(?, ?)', 'waits', $_) for 1 .. 5;
	my $pending = $c->must(GET => '/v1/pool/slaves/n2/pending?limit=3')->{databases}{shop};
	is($pending->{operations}, 5, 'five operations wait for it');
	is(scalar $pending->{rows}->@*, 3, 'three were asked for');
	like($pending->{rows}[0]{body}, qr/insert into heap/, 'as they were sent') if !ref $pending->{rows}[0]{body};
	is($pending->{to} - $pending->{from}, 4, 'from and to');
	# The pool tells what the master's write program published with its last heartbeat.
	# Besides, the row of _ddb that pauses it may wait for it, or have reached it just before.
	$c->wait_until(10, 'the pool counts them as well', sub { $c->slave('n2')->{databases}{shop}{lag} == 5 });
	like($c->slave('n2')->{pending}{operations}, qr/^[56]$/, 'among all that wait');
	cmp_ok($c->slave('n2')->{pending}{oldest_ms}, '>', 0, 'and knows their age');
	is($c->request(POST => '/v1/pool/slaves/n2/resume', json => {})->{status}, 200, 'resumed');
	$c->wait_in_sync;
	problem($c->request(POST => '/v1/pool/slaves/n9/pause', json => {}), 404, 'node_unknown', 'a node that is not there');
	problem($c->get('/v1/pool/slaves/n9/pending'), 404, 'node_unknown', 'pending of a node that is not there');
	my $events = $c->must(GET => '/v1/events?limit=500')->{events};
	cmp_ok(scalar @$events, '>', 3, 'events');
	ok(!(grep { !defined $_->{id} || $_->{at} !~ /Z$/ || !$_->{kind} || !$_->{text} || $_->{level} !~ /^(?:info|warn|alert)$/ } @$events), 'each complete');
	is_deeply([ map { $_->{id} } @$events ], [ sort { $a <=> $b } map { $_->{id} } @$events ], 'newest last');
	my $since = $events->[-3]{id};
	is(scalar $c->must(GET => "/v1/events?since=$since")->{events}->@* >= 2, 1, 'since an id');
	ok((grep { $_->{text} =~ /n2/ } @$events), 'n2 is spoken of');
};

subtest 'what peers alone may ask' => sub {
	for my $path (qw(/replicate /replicate/snapshot /heartbeat)) {
		is($c->request(POST => $path, json => {}, node => 'n2')->{status}, 404, "POST $path on the public listener");
		is($c->request(POST => $path, json => {})->{status}, 404, "POST $path through HAProxy");
	}
	is($c->get('/snapshot/x', node => 'n1')->{status}, 404, 'GET /snapshot/ on the public listener');
};

$c->converged('at the end');
$c->clean_logs;
done_testing;
