#!/usr/bin/perl
# Each program as plain CGI: one request from the environment and standard input.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(program node_folder);
use DDB::Program qw(cgi run_program);
use Test::More;

plan skip_all => 'the programs are not built' if grep { !program($_) } qw(read status);
my $dir = node_folder(conf => { sync_wait_ms => 50 });
my $conf = "$dir/ddb.conf";

sub problem ($r, $status, $code, $title) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$r->{status} " . ($r->{json}{code} // '-'), "$status $code", $title) or diag($r->{raw}, $r->{stderr});
	is($r->{exit}, 0, "$title: a clean end") or diag($r->{stderr});
	is($r->{headers}{'content-type'}, 'application/problem+json', "$title: a problem document");
}

subtest 'options and exit codes' => sub {
	for my $name (grep { program($_) } qw(read write status)) {
		my ($exit, $out, $err) = run_program($name, args => ['--version']);
		is($exit, 0, "$name --version");
		like($out, qr/^$name \d+\.\d+\.\d+$/, 'names program and version');
		($exit, $out) = run_program($name, args => ['--routes']);
		is($exit, 0, "$name --routes");
		my @line = split /\n/, $out;
		cmp_ok(scalar @line, '>', 30, 'prints the whole table');
		ok(!(grep { !/^(?:GET|POST|PUT|PATCH|DELETE)\t\/\S*\t(?:read|write|status)\t(?:public|peers|health)\t(?:reads|writes|node)\t(?:anyone|reader|writer|admin|peer)\t\d+$/ } @line),
			'in its form') or diag $out;
		is((run_program($name))[0], 64, "$name: neither sockets nor a request: usage");
		is((run_program($name, args => ['--nonsense']))[0], 64, "$name: unknown option: usage");
		($exit, $out, $err) = run_program($name, args => ['-c', "$dir/none"], env => { REQUEST_METHOD => 'GET' });
		is($exit, 78, "$name: no configuration: 78");
		like($out, qr/^Status: 500 /, 'and the client is told');
		open my $bad, '>', "$dir/bad.conf" or die;
		print $bad "name = n1\nheartbeat_ms = fast\n";
		close $bad;
		($exit, $out, $err) = run_program($name, args => ['-c', "$dir/bad.conf"], env => { REQUEST_METHOD => 'GET' });
		is($exit, 78, "$name: bad configuration: 78");
		like($err, qr/line 2.*heartbeat_ms/, 'with line and setting');
	}
};

subtest 'status' => sub {
	my $r = cgi('status', GET => '/ping', conf => $conf);
	is("$r->{status}$r->{body}", "200pong\n", 'ping');
	$r = cgi('status', HEAD => '/ping', conf => $conf);
	is("$r->{status}$r->{body}", '200', 'HEAD has no body');
	is($r->{headers}{'content-length'}, 5, 'but its length');
	$r = cgi('status', GET => '/status', conf => $conf);
	is($r->{status}, 200, 'status');
	is($r->{json}{node}, 'n1', 'knows its node');
	ok(exists $r->{json}{$_} && !defined $r->{json}{$_}, "$_ is unknown, and says so")
		for qw(role state epoch databases master lag_ms heartbeat_age_ms);
	ok(!$r->{json}{programs}{$_}{running}, "$_ does not run") for qw(read write status);
	problem(cgi('status', POST => '/ping', conf => $conf), 405, 'method_not_allowed', 'another method');
	problem(cgi('status', GET => '/nowhere', conf => $conf), 404, 'not_found', 'another address');
	problem(cgi('status', GET => '/v1/db', conf => $conf), 421, 'misdirected', "another program's address");
	problem(cgi('status', POST => '/heartbeat', conf => $conf), 404, 'not_found', 'the peers addresses are closed');
};

subtest 'read of a node that knows nothing' => sub {
	problem(cgi('read', GET => '/v1/db/shop/query?sql=select+1', conf => $conf), 425, 'not_ready', 'refuses to read');
	problem(cgi('read', GET => '/v1/db', conf => $conf), 425, 'not_ready', 'refuses to list');
	my $r = cgi('read', GET => '/health/read', conf => $conf);
	is($r->{status}, 503, 'is not healthy');
	is($r->{json}{state}, undef, 'and does not invent a state');
	problem(cgi('read', GET => '/health/read?lag=x', conf => $conf), 400, 'bad_request', 'a bad number');
};

done_testing if !program('write');
exit 0 if !program('write');

subtest 'the first master' => sub {
	my ($exit, $out, $err) = run_program('write', args => ['-c', $conf, 'init-master']);
	is($exit, 0, 'is made') or diag $err;
	($exit, $out, $err) = run_program('write', args => ['-c', $conf, 'init-master']);
	is($exit, 1, 'once only');
	like($err, qr/already belongs to a node/, 'and says why');
};

sub write_cgi ($method, $uri, %opt) { return cgi('write', $method, $uri, conf => $conf, %opt) }

subtest 'write' => sub {
	my $r = write_cgi(PUT => '/v1/db/shop');
	is($r->{status}, 201, 'creates a database') or diag($r->{raw}, $r->{stderr});
	is($r->{json}{name}, 'shop', 'name');
	like($r->{json}{id}, qr/^[0-9a-f]{32}$/, 'id');
	my $id = $r->{json}{id};
	is(write_cgi(PUT => '/v1/db/shop')->{status}, 200, 'creating it again is no error');
	problem(write_cgi(PUT => '/v1/db/9lives'), 400, 'bad_name', 'a bad name');
	problem(write_cgi(PUT => '/v1/db/_ddb'), 400, 'bad_name', 'the system name');
	problem(write_cgi(PUT => '/v1/db/x', body => '{"page_size":512}'), 400, 'bad_json', 'an option nobody knows');

	$r = write_cgi(POST => '/v1/db/shop/execute', body =>
		'{"statements":["create table t(a, b)",{"sql":"insert into t values(?,?)","params":[9007199254740993,"x\u0000y"]}]}');
	is($r->{status}, 200, 'executes') or diag($r->{raw}, $r->{stderr});
	is($r->{json}{results}[1]{changes}, 1, 'one row');
	like($r->{headers}{'ddb-seq'}, qr/^$id\.\d+\.$r->{json}{seq}$/, 'says its position');
	like($r->{headers}{'set-cookie'}, qr{^DDB-Seq=$r->{headers}{'ddb-seq'}; Path=/v1/db/shop; HttpOnly; SameSite=Strict$}, 'to browsers too');
	is($r->{headers}{'ddb-node'}, 'n1', 'and who it is');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":'), 400, 'bad_json', 'cut JSON');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '[' x 20000), 400, 'bad_json', 'deep JSON');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"nonsense"}'), 400, 'sql_error', 'nonsense');
	problem(write_cgi(POST => '/v1/db/nope/execute', body => '{"sql":"select 1"}'), 404, 'database_unknown', 'no such database');
	problem(write_cgi(POST => '/v1/db/_ddb/execute', body => '{"sql":"select 1"}'), 403, 'sql_forbidden', 'the system database');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"select 1"}', env => { HTTP_DDB_ROUTE => 'reads' }), 421,
		'misdirected', 'a write that could be repeated');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{}', env => { CONTENT_TYPE => 'text/plain' }), 415,
		'unsupported_media_type', 'a form');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{}', env => { HTTP_ORIGIN => 'http://evil' }), 403,
		'origin_refused', 'a page of another origin');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{}', env => { CONTENT_LENGTH => 10 }), 400, 'bad_request', 'a cut body');
	problem(write_cgi(POST => '/v1/db/shop/execute', body => '{}', env => { HTTP_DDB_SYNC => 'all' }), 400, 'bad_request',
		'a bad DDB-Sync');
	$r = write_cgi(POST => '/v1/db/shop/execute?big=string', body => '{"sql":"select a, b from t"}');
	is($r->{body} =~ /"rows":\[\["9007199254740993","x\\u0000y"\]\]/ ? 1 : $r->{body}, 1, 'values come back');
	like(write_cgi(GET => '/health/write')->{status}, qr/^(?:200|503)$/, 'answers for its health, open already or not yet');
};

subtest 'a write program beside another' => sub {
	my $running = DDB::Program->new('write', conf => $conf, names => [qw(public peers health)]);
	is($running->request(PUT => '/v1/db/shop')->{status}, 200, 'one runs');
	my $r = $running->request(GET => '/health/write', socket => 'health');
	is("$r->{status} $r->{json}{state}", '200 master', 'and is a healthy master');
	$r = write_cgi(PUT => '/v1/db/other');
	is("$r->{status} $r->{json}{code} $r->{exit}", '503 writer_locked 75', 'another refuses');
	$r = cgi('read', POST => '/v1/db/shop/query', conf => $conf, body => '{"sql":"select count(*) from t"}');
	is($r->{status}, 200, 'read answers beside it') or diag $r->{raw};
	$r = cgi('read', GET => '/v1/db', conf => $conf);
	is(($r->{json}{databases} // [])->[0]{name}, 'shop', 'and lists the databases') or diag $r->{raw};
	is($running->stop, 0, 'it ends cleanly') or diag $running->log_text;
};

subtest 'slaves that are asked for' => sub {
	my $r = write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"insert into t values(1, 2)"}', env => { HTTP_DDB_SYNC => 2 });
	is("$r->{status} $r->{json}{acked} $r->{json}{wanted}", '200 0 2', 'a write that no slave has is done all the same, and says so') or diag $r->{raw};
	$r = write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"select 1"}', env => { HTTP_DDB_SYNC => 2 });
	is("$r->{status} $r->{json}{acked} $r->{json}{wanted}", '200 0 2', 'reading writes nothing that could be waited for');
	my $strict = "$dir/strict.conf";
	system(qq{sed 's/^sync_wait_ms.*/min_slaves_to_write = 1/' "$conf" > "$strict"});
	my $before = write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"select count(*) from t"}')->{json}{results}[0]{rows}[0][0];
	problem(cgi('write', POST => '/v1/db/shop/execute', conf => $strict, body => '{"sql":"insert into t values(3, 4)"}'), 503,
		'too_few_slaves', 'too few slaves');
	is(write_cgi(POST => '/v1/db/shop/execute', body => '{"sql":"select count(*) from t"}')->{json}{results}[0]{rows}[0][0], $before,
		'and nothing was done');
};

subtest 'a slave without a master' => sub {
	my $slave = node_folder(name => 'n2', conf => { open_wait_ms => 50 }) . '/ddb.conf';
	my @write = (POST => '/v1/db/shop/execute', conf => $slave, body => '{"sql":"select 1"}');
	problem(cgi('write', @write), 503, 'master_unreachable', 'refuses a write');
	problem(cgi('write', @write, env => { DDB_FORWARDED => 'n3' }), 421, 'forwarded_twice', 'and one that was passed on to it');
	problem(cgi('write', PUT => '/v1/db/shop', conf => $slave), 503, 'master_unreachable', 'makes no database');
	my $r = cgi('write', GET => '/health/write', conf => $slave);
	is("$r->{status} $r->{json}{state}", '503 joining', 'is no healthy master');
	is($r->{headers}{'retry-after'}, undef, 'and asks nobody to wait for it');
	is((run_program('write', args => ['-c', $slave, 'init-master']))[0], 1, 'cannot be made a first master any more');
};

subtest 'dropping' => sub {
	my $r = write_cgi(DELETE => '/v1/db/shop');
	is($r->{status}, 200, 'a database is dropped') or diag $r->{raw};
	ok(-e "$dir/data/$r->{json}{kept}", 'its file is kept');
	problem(write_cgi(DELETE => '/v1/db/shop'), 404, 'database_unknown', 'once');
};

done_testing;
