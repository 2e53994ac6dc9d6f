#!/usr/bin/perl
# Bad input through real HAProxy and nginx: a clear 4xx each, nothing changed, nothing leaked, the next request served,
# and no node taken for sick because of it.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Client;
use DDB::Cluster;
use DDB::Compare qw(head_of);
use JSON::PP;
use Test::More;

# Short deadlines, so that what runs for ever is soon over.
my $c = DDB::Cluster->new(conf => { write_deadline_ms => 700, read_deadline_ms => 700 });
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(id integer primary key, v)', q{insert into t values(1,'one'),(2,'two')}, 'create table big(b)' ]);
$c->wait_in_sync;
my @before = head_of($c->file('n1', $db));
my %pid = map { my $n = $_; map { ("$n/$_" => $c->pid($n, $_)) } qw(write read status nginx) } $c->nodes;
my %down = map { $_ => $c->stats->{$_}{chkdown} } grep { m{^(?:reads|writes|any|reads_stale)/n} } keys $c->stats->%*;
my $json = JSON::PP->new->utf8;
my $X = "/v1/db/$db/execute";
my $Q = "/v1/db/$db/query";

# One request that must be refused. $want: status, or a pattern for it; $code: the problem's code, or a pattern.
sub refused ($title, $want, $code, $method, $path, %opt) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $began = DDB::Client::now();
	my $r = $c->request($method, $path, %opt);
	my $bad = '';
	if ($r->{status} !~ /^$want$/) { $bad = 'status ' . ($r->{status} || $r->{error}) }
	elsif (defined $code && ($r->{json}{code} // 'none') !~ /^(?:$code)$/) { $bad = 'code ' . ($r->{json}{code} // 'none') }
	elsif (defined $code && !length($r->{json}{detail} // '')) { $bad = 'no detail' }
	elsif (DDB::Client::now() - $began > 8) { $bad = 'it took ' . (DDB::Client::now() - $began) . ' s' }
	# The next request is served.
	my $next = $c->post($path =~ m{/execute} ? $X : $Q, { sql => 'select v from t where id = 1' });
	$bad ||= "then a good request got $next->{status}" if $next->{status} != 200;
	ok(!$bad, $title) or diag("$bad: " . substr $r->{body}, 0, 400);
	return;
}

subtest 'bodies that are not what they should be' => sub {
	my @bad = (
		[ 'nothing' => '' ], [ 'half an object' => '{"sql":' ], [ 'rubbish' => 'hello' ], [ 'an array' => '["select 1"]' ], [ 'null' => 'null' ],
		[ 'a number' => '5' ], [ 'an empty object' => '{}' ], [ 'sql is a number' => '{"sql":1}' ], [ 'sql is null' => '{"sql":null}' ],
		[ 'params is a number' => '{"sql":"select 1","params":5}' ], [ 'params of an array' => '{"sql":"select ?","params":[[1]]}' ],
		[ 'params of an object' => '{"sql":"select ?","params":[{"x":1}]}' ], [ 'rubbish behind' => '{"sql":"select 1"} x' ],
		[ 'a NUL byte' => "{\"sql\":\"select\0 1\"}" ], [ 'not UTF-8' => "{\"sql\":\"select '\xff'\"}" ], [ 'half a surrogate pair' => '{"sql":"select \'\ud800\'"}' ],
		[ 'a byte order mark' => "\xef\xbb\xbf{\"sql\":\"select 1\"}" ], [ 'too few parameters' => '{"sql":"select ?, ?","params":[1]}' ],
		[ 'too many parameters' => '{"sql":"select ?","params":[1,2]}' ], [ 'no parameters' => '{"sql":"select ?"}' ],
		[ 'a name that is not there' => '{"sql":"select :a","params":{"b":1}}' ], [ 'an unknown member' => '{"sql":"select 1","parms":[1]}' ],
		[ 'single quotes' => "{'sql':'select 1'}" ], [ 'an integer beyond 64 bits' => '{"sql":"select ?","params":[18446744073709551616]}' ],
		[ 'a real beyond all' => '{"sql":"select ?","params":[1e400]}' ],
	);
	for (@bad) {
		refused("$_->[0] to execute", 400, 'bad_json|bad_value|bad_request|sql_error', POST => $X, body => $_->[1]);
		refused("$_->[0] to query", 400, 'bad_json|bad_value|bad_request|sql_error', POST => $Q, body => $_->[1]);
	}
	for my $b ('{"statements":{}}', '{"statements":[]}', '{"statements":[1]}', '{"statements":[{"sql":"select 1"},{}]}', '{"statements":[{"sql":"insert into t values(?,?)","rows":[1]}]}',
		'{"statements":[{"sql":"select 1","params":[],"rows":[]}]}', '{"sql":"select 1","statements":[]}', '{"statements":null}') {
		refused($b, 400, 'bad_json|bad_value|bad_request', POST => $X, body => $b);
	}
	refused('rows that are not objects', 400, 'bad_json|bad_value', POST => "/v1/db/$db/tables/t/rows", body => '[1,2]');
	refused('a row with an unknown column', 400, undef, POST => "/v1/db/$db/tables/t/rows", body => '{"nix":1}');
	refused('a row with a value of an object', 400, 'bad_value|bad_json', POST => "/v1/db/$db/tables/t/rows", body => '{"v":{"a":1}}');
	for my $type ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'text/json') {
		refused("type $type", 415, 'unsupported_media_type', POST => $X, body => '{"sql":"delete from t"}', headers => { 'Content-Type' => $type });
	}
};

subtest '10,000 levels deep' => sub {
	my $n = 10_000;
	refused('arrays', 400, 'bad_json', POST => $X, body => '[' x $n . ']' x $n);
	refused('objects', 400, 'bad_json', POST => $X, body => '{"a":' x $n . '1' . '}' x $n);
	refused('never closed', 400, 'bad_json', POST => $Q, body => '[' x 1_000_000);
	refused('within params', 400, 'bad_json|bad_value', POST => $Q, body => '{"sql":"select ?","params":[' . '[' x $n . ']' x $n . ']}');
	refused('parentheses in SQL', 400, 'sql_error', POST => $X, body => '{"sql":"select ' . '(' x $n . '1' . ')' x $n . '"}');
	refused('parentheses in a query', 400, 'sql_error', POST => $Q, body => '{"sql":"select ' . '(' x $n . '1' . ')' x $n . '"}');
	refused('an expression', 400, 'sql_error', POST => $Q, body => '{"sql":"select 1' . '+1' x $n . '"}');
	refused('sub-selects', 400, 'sql_error', POST => $Q, body => '{"sql":"' . 'select * from (' x $n . 'select 1' . ')' x $n . '"}');
	refused('a compound', 400, 'sql_error', POST => $Q, body => '{"sql":"select 1' . ' union select 1' x $n . '"}');
	refused('columns', 400, 'sql_error', POST => $X, body => '{"sql":"create table w(' . join(',', map { "c$_" } 1 .. $n) . ')"}');
};

subtest 'huge' => sub {
	refused('a body of 17 MiB', 413, 'too_big', POST => $X, body => '{"sql":"insert into big values(?)","params":["' . 'x' x (17 << 20) . '"]}');
	refused('a query of 17 MiB', 413, 'too_big', POST => $Q, body => '{"sql":"select ?","params":["' . 'x' x (17 << 20) . '"]}');
	refused('10,001 statements', '4(?:00|13)', 'too_big|bad_json|bad_value|bad_request', POST => $X, body => '{"statements":[' . join(',', ('"select 1"') x 10_001) . ']}');
	refused('an answer of a gigabyte', '4\d\d', undef, POST => $X, json => { sql => 'select zeroblob(1000000000)' });
	refused('a gigabyte of text', '4\d\d', undef, POST => $X, json => { sql => q{insert into big select replace(hex(zeroblob(250000000)), '00', 'abcd')} });
	refused('rows without end in an execute', '4(?:13|22)', 'too_big|deadline', POST => $X,
		json => { sql => q{with recursive n(i) as (select 1 union all select i+1 from n) select i, hex(zeroblob(5000)) from n} });
	refused('a long address', '4(?:00|14)', undef, GET => "$Q?sql=" . 'a' x 100_000);
	refused('a long path', '4(?:00|04|14)', undef, GET => "/v1/db/$db/tables/" . 'a' x 20_000);
	refused('1,000 parameters in the address', '4\d\d', undef, GET => "/v1/db/$db/tables/t/rows?" . join('&', map { "id=eq.$_" } 1 .. 1000));
	refused('a deep path', 404, undef, GET => '/v1' . '/x' x 1000);
};

subtest 'SQL that is wrong or forbidden' => sub {
	my @execute = (
		[ 'no SQL' => 'hello world', 400 ], [ 'an unknown table' => 'insert into nix values(1)', 400 ], [ 'half a statement' => 'insert into', 400 ], [ 'an open quote' => q{select 'abc}, 400 ],
		[ 'ATTACH' => q{attach '/etc/passwd' as x} ], [ 'ATTACH memory' => q{attach ':memory:' as x} ], [ 'DETACH' => 'detach main' ], [ 'VACUUM' => 'vacuum' ], [ 'VACUUM INTO' => q{vacuum into '/tmp/ddb-leak.db'} ],
		[ 'BEGIN' => 'begin' ], [ 'COMMIT' => 'commit' ], [ 'ROLLBACK' => 'rollback' ], [ 'SAVEPOINT' => 'savepoint x' ], [ 'a temp table' => 'create temp table x(a)' ],
		[ 'load_extension' => q{select load_extension('/tmp/x.so')} ], [ 'readfile' => q{select readfile('/etc/passwd')} ], [ 'writefile' => q{select writefile('/tmp/x', 'y')} ],
		[ 'fts3_tokenizer' => q{select fts3_tokenizer('simple', x'4141414141414141')} ], [ 'sqlite_version' => 'insert into t select 5, sqlite_version()' ],
		[ 'a virtual table of another kind' => q{create virtual table x using csv(filename='/etc/passwd')} ], [ 'dbstat' => 'create virtual table x using dbstat' ],
		[ 'sqlite_schema' => 'delete from sqlite_schema' ], [ 'writable_schema' => 'pragma writable_schema = 1' ], [ 'statistics' => 'delete from sqlite_stat1' ],
		(map { [ "PRAGMA $_" => "pragma $_" ] } 'journal_mode = off', 'synchronous = off', 'page_size = 512', 'wal_checkpoint', 'incremental_vacuum', 'foreign_keys = off',
			'temp_store_directory = \'/tmp\'', 'locking_mode = exclusive', 'recursive_triggers = on', 'case_sensitive_like = on', 'ignore_check_constraints = on', 'trusted_schema = on',
			'query_only = on', 'cache_spill = off', 'secure_delete = on', 'schema_version = 99', 'optimize', 'hard_heap_limit = 1', 'busy_timeout = 0'),
		(map { [ $_ => $_ ] } 'create table ddb_x(a)', 'drop table ddb_journal', 'insert into ddb_meta values(1,2)', 'update ddb_journal set seq = 5', 'delete from ddb_key', 'create index ddb_i on t(v)',
			'create view ddb_v as select 1', 'create trigger ddb_t after insert on t begin select 1; end', 'alter table t rename to ddb_t', 'alter table t rename to DDB_T', 'create table "ddb_"(a)',
			'create virtual table ddb_f using fts5(x)', 'create trigger tj after insert on ddb_journal begin select 1; end', 'create table x as select * from ddb_journal',
			'create trigger z after insert on t begin delete from ddb_journal; end; insert into t values(77,7)', 'select * from ddb_journal', 'select * from main.ddb_meta'),
	);
	for (@execute) {
		my ($name, $sql, $status) = @$_;
		refused("execute: $name", $status // '4(?:00|03|09|22)', 'sql_error|sql_forbidden|sql_runtime|not_read_only', POST => $X, json => { sql => $sql });
	}
	my @query = ('insert into t values(9,9)', 'delete from t', 'update t set v = 1', 'create table x(a)', 'drop table t', 'pragma journal_mode', 'pragma user_version = 3', 'attach \'x\' as y', 'begin', 'begin immediate',
		'insert into t values(9,9) returning *', 'with x as (select 1) delete from t', 'replace into t values(1,1)', 'select 1; delete from t', 'select 1; select 2', '', ';', '-- nothing', 'vacuum', 'analyze', 'reindex',
		'select * from ddb_journal', 'select body from ddb_journal', 'select * from ddb_key', 'explain delete from ddb_journal', 'create temp table x(a)', 'alter table t add column z',
		'select load_extension(\'x\')', 'select fts3_tokenizer(\'simple\')', 'savepoint a', 'pragma query_only = off', 'pragma wal_checkpoint(truncate)');
	refused("query: $_", '4(?:00|03|22)', 'not_read_only|sql_error|sql_forbidden|bad_json|bad_value|bad_request|sql_runtime', POST => $Q, json => { sql => $_ }) for @query;
	refused("query by GET: $_", '4(?:00|03)', 'not_read_only|sql_error|sql_forbidden', GET => "$Q?sql=" . s/([^\w])/sprintf '%%%02X', ord $1/ger) for 'delete from t', 'select * from ddb_meta';
	refused('rows of ddb_journal', '40[034]', undef, GET => "/v1/db/$db/tables/ddb_journal/rows") if $c->get("/v1/db/$db/tables/ddb_journal/rows")->{status} != 200;
	refused("$_ of ddb_meta", '40[0345]', undef, $_ => "/v1/db/$db/tables/ddb_meta/rows?all=true", $_ eq 'DELETE' ? () : (body => '{"name":"format","value":"9"}')) for qw(POST PATCH DELETE);
	refused("$_ of sqlite_schema", '40[0345]', undef, $_ => "/v1/db/$db/tables/sqlite_schema/rows?all=true", $_ eq 'DELETE' ? () : (body => '{"sql":"x"}')) for qw(POST PATCH DELETE);
	refused('the system database', '40[034]', undef, POST => '/v1/db/_ddb/execute', json => { sql => 'delete from nodes' });
	refused('its rows', '40[034]', undef, DELETE => '/v1/db/_ddb/tables/nodes/rows?all=true');
	refused('dropping it', '40[034]', undef, DELETE => '/v1/db/_ddb');
	ok(!-e '/tmp/ddb-leak.db', 'VACUUM INTO wrote nothing');
};

subtest 'what runs for ever ends at the deadline' => sub {
	my $forever = 'with recursive n(i) as (select 1 union all select i+1 from n) select count(*) from n';
	refused('execute', 422, 'deadline', POST => $X, json => { sql => $forever });
	refused('query', 422, 'deadline', POST => $Q, json => { sql => $forever });
	refused('an insert', 422, 'deadline', POST => $X, json => { sql => 'insert into big with recursive n(i) as (select 1 union all select i+1 from n) select i from n' });
	refused('the second statement', 422, 'deadline', POST => $X, json => { statements => [ 'insert into t values(50, 50)', $forever ] });
	refused('a sort', 422, 'deadline', POST => $Q, json => { sql => 'with recursive n(i) as (select 1 union all select i+1 from n) select * from n order by -i' });
	refused('a LIKE of many wildcards', '(?:422|400)', 'deadline|sql_error|sql_runtime', POST => $Q,
		json => { sql => 'select hex(zeroblob(20000)) like ?, count(*) from (with recursive n(i) as (select 1 union all select i+1 from n) select * from n)', params => [ '%a' x 200 ] });
	# Many at once: the next request is served all the same.
	my @http = map { DDB::Client->new($c->url, timeout => 30) } 1 .. 6;
	my @kid = map { my $h = $_; my $p = fork // die; if (!$p) { my $r = $h->request(POST => $Q, body => $json->encode({ sql => $forever })); POSIX::_exit($r->{status} == 422 ? 0 : 1) } $p } @http;
	is($c->post($Q, { sql => 'select 1' })->{status}, 200, 'a request beside six of them');
	is(scalar(grep { waitpid $_, 0; $? } @kid), 0, 'all six ended at their deadline');
};

subtest 'bytes that are hardly HTTP' => sub {
	my @raw = (
		[ 'no HTTP' => "hello\r\n\r\n" ], [ 'binary' => join('', map { chr($_ * 7 % 256) } 1 .. 3000) . "\r\n\r\n" ], [ 'two lengths' => "POST $X HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc" ],
		[ 'a negative length' => "POST $X HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n" ], [ 'length and chunks' => "POST $X HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" ],
		[ 'a bad chunk' => "POST $X HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n" ], [ 'a header of 100 kB' => "GET /ping HTTP/1.1\r\nHost: x\r\nX: " . 'a' x 100_000 . "\r\n\r\n" ],
		[ 'a path that climbs' => "GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n" ], [ 'the same, encoded' => "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n" ], [ 'an encoded NUL' => "GET /v1/db/shop%00/tables HTTP/1.1\r\nHost: x\r\n\r\n" ],
		[ 'a bad escape' => "GET /v1/db/%zz/tables HTTP/1.1\r\nHost: x\r\n\r\n" ], [ 'TRACE' => "TRACE /v1/db HTTP/1.1\r\nHost: x\r\n\r\n" ], [ 'an unknown method' => "FROB $X HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" ],
		[ 'no Host' => "POST $X HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"sql\":\"delete from t\"}" ], [ 'a Host of elsewhere' => "POST $X HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://other.example\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"sql\":\"delete from t\"}" ],
	);
	for my $where (undef, $c->nodes) {
		for (@raw) {
			my ($name, $bytes) = @$_;
			my $r = DDB::Client->new($c->url($where), timeout => 5, keep => 0)->request(GET => '/', raw => $bytes);
			ok($r->{status} >= 400 && $r->{status} < 502 && $r->{status} != 500 || !$r->{status} && $r->{error} !~ /timeout/, "$name to " . ($where // 'HAProxy') . ': ' . ($r->{status} || $r->{error}))
				or diag(substr $r->{body}, 0, 300);
		}
	}
	# A body that never comes whole: the connection is closed in the middle.
	for my $where ($c->url, map { $c->url($_) } $c->nodes) {
		for (1 .. 10) {
			my $h = DDB::Client->new($where, timeout => 0.05, keep => 0);
			$h->request(POST => $X, raw => "POST $X HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"sql\":\"delete from t\"");
		}
	}
	is($c->post($X, { sql => 'select 1' })->{status}, 200, 'the next request is served');
	# A client that goes away in the middle of a large answer.
	for (1 .. 5) {
		my $h = DDB::Client->new($c->url, timeout => 0.05, keep => 0);
		$h->request(POST => $Q, body => $json->encode({ sql => 'with recursive n(i) as (select 1 union all select i+1 from n where i < 3000000) select i, hex(zeroblob(500)) from n' }));
	}
	is($c->post($Q, { sql => 'select 1' })->{status}, 200, 'and after clients that went away');
	# A body in chunks is an ordinary one.
	my $text = '{"sql":"select 41+1"}';
	my $r = DDB::Client->new($c->url, keep => 0)->request(POST => $Q, raw => "POST $Q HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
		. join('', map { "1\r\n$_\r\n" } split //, $text) . "0\r\n\r\n");
	like("$r->{status} $r->{body}", qr/^200 .*\[\[42\]\]/, 'a body in chunks');
};

subtest 'nothing changed, nothing fell over' => sub {
	$c->wait_in_sync;
	is(join('.', head_of($c->file($_, $db))), join('.', @before), "the journal of $_ stands where it stood") for $c->nodes;
	is_deeply($c->query($db, 'select id, v from t order by id'), [ [ 1, 'one' ], [ 2, 'two' ] ], 'the rows are as they were');
	is($c->one($db, q{select count(*) from sqlite_schema where name not like 'ddb%' and name not like 'sqlite%'}), 2, 'and so is the schema');
	my %now = map { my $n = $_; map { ("$n/$_" => $c->pid($n, $_)) } qw(write read status nginx) } $c->nodes;
	is_deeply(\%now, \%pid, 'every program is the very process it was');
	my $stats = $c->stats;
	my @taken = grep { $stats->{$_}{chkdown} != $down{$_} } sort keys %down;
	is("@taken", '', 'HAProxy took no node out because of a client');
	for my $node ($c->nodes) {
		for my $program (qw(write read)) {
			open my $in, '<', '/proc/' . $c->pid($node, $program) . '/status' or next;
			my ($peak) = map { /^VmHWM:\s+(\d+)/ ? $1 : () } <$in>;
			cmp_ok($peak / 1024, '<', $ENV{DDB_PATIENCE} ? 4000 : 700, "$program of $node never held more than some hundred MiB");
		}
	}
};

$c->converged('at the end');
# A clean end, so that a leak checker has its say.
$c->stop_node($_) for reverse $c->nodes;
$c->clean_logs;
done_testing;
