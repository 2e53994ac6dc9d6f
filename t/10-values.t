#!/usr/bin/perl
# All values that SQLite can hold pass both ways unharmed: through execute, rows, query, and on every node's disk.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strtod);
use Test::More;

my $c = DDB::Cluster->new;
my $db = $c->create('vals');
$c->execute($db, [ 'create table t(id integer primary key, v)', 'create table s(id integer primary key, i integer, r real,'
	. ' t text, b blob, y any) strict' ]);

# JSON that goes in; what the file must then hold (type and exact content); JSON that comes out, if it is not the same.
my $long = 'x' x 100_000;
my $bytes = join '', map { chr } 0 .. 255;
sub real ($text) { return 'real:' . uc unpack 'H*', pack 'd>', scalar strtod($text) }
sub text ($text) { utf8::encode($text); return 'text:' . uc unpack 'H*', $text }
sub blob ($bytes) { return 'blob:' . uc unpack 'H*', $bytes }
my @value = (
	[ 'null', 'null:' ],
	[ '0', 'integer:0' ],
	[ '-1', 'integer:-1' ],
	[ '9007199254740993', 'integer:9007199254740993' ],
	[ '9223372036854775807', 'integer:9223372036854775807' ],
	[ '-9223372036854775808', 'integer:-9223372036854775808' ],
	[ 'true', 'integer:1', '1' ],
	[ 'false', 'integer:0', '0' ],
	(map { [ $_, real($_) ] } '0.1', '-2.5', '0.30000000000000004', '3.141592653589793', '1e300', '5e-324',
		'2.2250738585072014e-308', '1.7976931348623157e308', '123456789.12345679', '1e22', '9007199254740993.0',
		'0.1000000000000000055511151231257827', '4.35', '1e15', '100.0'),
	[ '3.0', real('3.0') ],                  # a real stays one, although it is whole
	[ '-0.0', real('-0.0') ],
	[ '{"real":"Infinity"}', 'real:7FF0000000000000' ],
	[ '{"real":"-Infinity"}', 'real:FFF0000000000000' ],
	[ '""', text('') ],
	[ '"a\u0000b"', text("a\0b") ],
	[ '"\u0000"', text("\0") ],
	[ '"\u0001\u001f\u007f\"\\\\\/\b\f\n\r\t"', text("\x01\x1f\x7f\"\\/\b\f\n\r\t") ],
	[ '"\ud83d\ude42 \u00e4\u00df\u4e2d\u2028\uffff"', text("\x{1F642} \x{e4}\x{df}\x{4e2d}\x{2028}\x{ffff}") ],
	[ '"1"', text('1') ],
	[ '"{\"blob\":\"AA==\"}"', text('{"blob":"AA=="}') ],
	[ "\"$long\"", text($long) ],
	[ '{"blob":""}', blob('') ],
	[ '{"blob":"AA=="}', blob("\0") ],
	[ '{"blob":"' . encode_base64($bytes, '') . '"}', blob($bytes) ],
	[ '{"blob":"' . encode_base64($bytes x 400, '') . '"}', blob($bytes x 400) ],
);

my $json = JSON::PP->new->allow_nonref->utf8;

# The text of the one value in the rows of an answer, as it came over the wire.
sub raw_value ($r) {
	my ($raw) = $r->{body} =~ /"rows":\s*\[\s*\[(.*)\]\s*\]/s;
	return $raw // "no row in $r->{status} $r->{body}";
}

# Whether two JSON texts mean the same value: numbers to the last bit, with their kind; strings by their characters.
sub same_value ($got, $want) {
	my $number = qr/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/;
	if ($want =~ $number) {
		return 0 if $got !~ $number;
		return $got eq $want if $want =~ /^-?\d+$/;
		return $got =~ /[.eE]/ && pack('d', (strtod($got))[0]) eq pack('d', (strtod($want))[0]);
	}
	return eval { $json->canonical->encode($json->decode($got)) eq $json->canonical->encode($json->decode($want)) };
}

# Type and content of v in a node's file. Reals by their bits: every decimal form in between could hide a difference.
sub on_disk ($node, $id) {
	my ($line) = sqlite($c->file($node, $db), "select typeof(v)||':'||case typeof(v) when 'real' then hex(ieee754_to_blob(v))"
		. " when 'integer' then v when 'null' then '' else hex(v) end from t where id = $id");
	return $line;
}

# Like is(), without printing a megabyte.
sub holds ($got, $want, $title) {
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(($got // "") eq $want, $title) || diag("got " . brief($got // "no row") . ", expected " . brief($want));
}

sub brief ($text) { return length $text > 60 ? substr($text, 0, 57) . '...' : $text }

my $id = 0;
for (@value) {
	my ($in, $stored, $out) = @$_;
	$out //= $in;
	$id++;
	subtest "value " . brief($in) => sub {
		my $r = $c->request(POST => "/v1/db/$db/execute",
			body => qq({"sql":"insert into t values(?,?) returning v","params":[$id,$in]}));
		is($r->{status}, 200, 'stored') or diag(brief $r->{body});
		ok(same_value(raw_value($r), $out), 'RETURNING gives it back') or diag(brief raw_value($r));
		holds(on_disk($c->master, $id), $stored, "the file holds exactly it");
		$c->{position}{$db} = $r->{headers}{'ddb-seq'};
		for my $node (undef, $c->nodes) {
			my $q = $c->request(POST => "/v1/db/$db/query", body => qq({"sql":"select v from t where id = ?","params":[$id]}),
				headers => { 'DDB-Min-Seq' => $r->{headers}{'ddb-seq'} }, defined $node ? (node => $node) : ());
			ok(same_value(raw_value($q), $out), 'query gives it back' . (defined $node ? " from $node" : '')) or diag(brief raw_value($q));
		}
		my $q = $c->get("/v1/db/$db/tables/t/rows?id=eq.$id&select=v", headers => { 'DDB-Min-Seq' => $r->{headers}{'ddb-seq'} });
		ok(same_value(raw_value($q), $out), 'rows give it back') or diag(brief raw_value($q));

		my $rid = 1000 + $id;
		my $i = $c->request(POST => "/v1/db/$db/tables/t/rows", body => qq({"id":$rid,"v":$in}));
		is($i->{status}, 201, 'inserted as a row') or diag(brief $i->{body});
		holds(on_disk($c->master, $rid), $stored, "which the file holds as well");

		my $p = $c->request(POST => "/v1/db/$db/query", body => qq({"sql":"select :v","params":{"v":$in}}));
		ok(same_value(raw_value($p), $out), 'a named parameter alone comes back') or diag(brief raw_value($p));
	};
}

subtest 'values that cannot be stored as given are refused' => sub {
	for my $in ('9223372036854775808', '-9223372036854775809', '1e999', '[1]', '{"x":1}', '{"blob":"!"}', '{"blob":1}',
		'{"real":"x"}', '{"blob":"AA==","x":1}', '"\ud800"') {
		my $r = $c->request(POST => "/v1/db/$db/execute", body => qq({"sql":"insert into t values(null,?)","params":[$in]}));
		is($r->{status}, 400, "$in") or diag($r->{body});
		like($r->{json}{code} // '', qr/^bad_(?:json|value)$/, 'with a code that says it');
	}
};

subtest 'what SQL itself makes comes out right' => sub {
	my %want = (
		q{9e999} => '{"real":"Infinity"}', q{-9e999} => '{"real":"-Infinity"}',
		q{cast(x'ff41' as text)} => '{"blob":"/0E="}',       # text that is not UTF-8
		q{char(0)} => '"\u0000"', q{1/3.0} => '0.33333333333333331', q{1.0} => '1.0', q{9223372036854775807} => '9223372036854775807',
		q{x''} => '{"blob":""}', q{null} => 'null', q{'a'||char(0)||'b'} => '"a\u0000b"',
	);
	for my $sql (sort keys %want) {
		my $r = $c->request(POST => "/v1/db/$db/query", body => $json->encode({ sql => "select $sql" }));
		ok(same_value(raw_value($r), $want{$sql}), $sql) or diag(brief raw_value($r));
	}
	my $r = $c->request(POST => "/v1/db/$db/query?big=string", body => '{"sql":"select 9007199254740993, 9007199254740991, -9007199254740993"}');
	is(raw_value($r), '"9007199254740993",9007199254740991,"-9007199254740993"', '?big=string spares browsers');
};

subtest 'forms of a request' => sub {
	my $r = $c->execute($db, { statements => [ 'delete from s', { sql => 'insert into s(i,r,t,b,y) values(:i,@r,$t,:b,:y)',
		params => { i => 5, r => 2.5, t => 'x', b => { blob => 'AQI=' }, y => 'any' } },
		{ sql => 'insert into s(i) values(?)', rows => [ [1], [2], [3] ] },
		'select count(*) n, max(i) "the most" from s', 'update s set y = 1 where i = 2 returning id, y' ] });
	is(scalar $r->{results}->@*, 5, 'one result per statement');
	is($r->{results}[2]{changes}, 3, 'rows changed by a statement run for three rows');
	is($r->{results}[1]{last_rowid}, 1, 'the last rowid');
	is_deeply($r->{results}[3]{columns}, [ 'n', 'the most' ], 'names of columns');
	is_deeply($r->{results}[3]{rows}, [ [ 4, 5 ] ], 'rows of a SELECT within an operation');
	is_deeply($r->{results}[4]{types}, [ 'INTEGER', 'ANY' ], 'declared types');
	is_deeply($r->{results}[4]{rows}, [ [ 3, 1 ] ], 'rows of RETURNING');
	is_deeply($c->query($db, 'select i, r, t, b, y from s where id = 1'), [ [ 5, 2.5, 'x', { blob => 'AQI=' }, 'any' ] ],
		'named parameters with each of the three signs');
	my $script = $c->execute($db, 'create table a1(x); insert into a1 values(1); insert into a1 values(2)');
	is($c->one($db, 'select sum(x) from a1'), 3, 'a text of several statements');
	my $get = $c->get("/v1/db/$db/query?sql=select%20%3F%2B1&params=%5B41%5D");
	is_deeply($get->{json}{rows}, [ [42] ], 'a query as GET');
};

$c->converged('at the end');
$c->clean_logs;
done_testing;
