#!/usr/bin/perl
# Rows by filters, in pages, from `read` as plain CGI, held against the sqlite3 command line on the same file; written
# before by `write` through the addresses of rows.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(program node_folder);
use DDB::Program qw(cgi run_program);
use JSON::PP;
use Test::More;

plan skip_all => 'the programs are not built' if grep { !program($_) } qw(read write);
plan skip_all => 'the sqlite3 command line is not there' if !grep { -x "$_/sqlite3" } split /:/, $ENV{PATH};
my $seed = $ENV{DDB_SEED} // 20261122;
srand $seed;
my $dir = node_folder();
my $conf = "$dir/ddb.conf";
my $json = JSON::PP->new->canonical->ascii;
is((run_program('write', args => ['-c', $conf, 'init-master']))[0], 0, 'a master');
my $write = DDB::Program->new('write', conf => $conf, names => [qw(public peers health)]);
is($write->request(PUT => '/v1/db/shop')->{status}, 201, 'a database');

sub sent ($status, $method, $path, $body, $title) {
	my $r = $write->request($method, "/v1/db/shop/$path", body => $json->encode($body));
	is($r->{status}, $status, $title) or diag $r->{raw};
	return $r->{json};
}

sub rows ($query) { return cgi('read', GET => "/v1/db/shop/tables/$query", conf => $conf) }

# The first column of what SQL gives, one a line.
sub direct ($sql) {
	utf8::encode($sql);
	open my $out, '-|', 'sqlite3', '-readonly', "$dir/data/db/shop.db", $sql or die "sqlite3: $!\n";
	return join ' ', map { chomp; $_ } <$out>;
}

# Words of all kinds; what is a number for SQL is one here.
my @words = ('a', 'B', 'ab', 'Ab', "\x{e4}", "\x{1f600}", '', ' ', '10', '9', "it's", 'x,y', '(z)', '"q"', 'a%b', 'a_b', 'null');
my @numbers = (0, 1, 2, 3, 5, 10, -1, 2.5, 0.1, 9007199254740993, -9223372036854775807);
sub maybe ($value) { return rand() < 0.2 ? undef : $value }

sent(200, POST => 'execute', { sql => 'create table item(id integer primary key, name text, price real, qty integer, tag text collate nocase, any);'
	. 'create index item_tag on item(tag, price); create table pair(a text, b integer, id integer, primary key(a, b)) without rowid' }, 'tables');
my $n = 120;
my $made = sent(201, POST => 'tables/item/rows', [ map { { name => maybe($words[rand @words]), price => maybe($numbers[rand 9] / 4),
	qty => maybe($numbers[rand @numbers]), tag => maybe($words[rand @words]), any => maybe(rand() < 0.5 ? $words[rand @words] : $numbers[rand @numbers]) } } 1 .. $n ],
	"$n rows")->{keys};
is(scalar @$made, $n, 'with their keys');
my %pair;
$pair{ $words[rand @words] . "\0" . int rand 9 } //= $_ for 1 .. 60;
sent(201, POST => 'tables/pair/rows', [ map { my ($a, $b) = split /\0/; { a => $a, b => $b + 0, id => $pair{$_} } } sort keys %pair ], 'rows with a composite key');

sub encoded ($text) { utf8::encode($text); return $text =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger }
sub quoted ($text) { return "'" . $text =~ s/'/''/gr . "'" }
sub listed ($text) { return '"' . $text =~ s/(["\\])/\\$1/gr . '"' }

# A random filter, as a parameter and as SQL.
sub filter () {
	my %op = (eq => '=', neq => '<>', gt => '>', gte => '>=', lt => '<', lte => '<=');
	my $op = (sort keys %op)[rand 6];
	my $not = rand() < 0.3;
	my ($a, $b) = map { $words[rand @words] } 1, 2;
	my ($x, $y) = map { $numbers[rand @numbers] } 1, 2;
	my ($param, $sql) = @{ [
		[ "name=${\($not ? 'not.' : '')}$op." . encoded($a), "name $op{$op} " . quoted($a) ],
		[ "tag=${\($not ? 'not.' : '')}$op." . encoded($a), "tag $op{$op} " . quoted($a) ],
		[ "qty=${\($not ? 'not.' : '')}$op.$x", "qty $op{$op} $x" ],
		[ "price=${\($not ? 'not.' : '')}$op.$y", "price $op{$op} $y" ],
		[ "name=${\($not ? 'not.' : '')}in.(" . encoded(listed($a) . ',' . listed($b)) . ')', 'name in (' . quoted($a) . ',' . quoted($b) . ')' ],
		[ "qty=${\($not ? 'not.' : '')}in.($x,$y)", "qty in ($x,$y)" ],
		[ "tag=${\($not ? 'not.' : '')}is.null", 'tag is null' ],
		[ "name=${\($not ? 'not.' : '')}like." . encoded('*b*'), "name glob '*b*'" ],
		[ "name=${\($not ? 'not.' : '')}ilike." . encoded('a%'), "name like 'a%'" ],
		[ "name=${\($not ? 'not.' : '')}ilike." . encoded('*\\_*'), q{name like '%!_%' escape '!'} ],
	]->[rand 10] }[0, 1];
	return ($param, $not ? "not ($sql)" : $sql);
}

# A random order, as a parameter and as SQL; the key follows it in the direction of its last column.
sub order (@columns) {
	my (@param, @sql);
	my $desc = 0;
	for my $column ((sort { rand() <=> 0.5 } @columns)[0 .. int rand 2]) {
		$desc = rand() < 0.5;
		my $nulls = ('', '', 'first', 'last')[rand 4];
		push @param, $column . ($desc ? '.desc' : '') . ($nulls ? ".nulls$nulls" : '');
		push @sql, $column . ($desc ? ' desc' : '') . ($nulls ? " nulls $nulls" : '');
	}
	return (join(',', @param), join(', ', @sql), $desc ? ' desc' : '');
}

my ($walks, $pages, @wrong) = (0, 0);
for my $round (1 .. 60) {
	my ($table, @key) = $round % 4 ? ('item', 'id') : ('pair', 'a', 'b');
	my ($order, $by, $desc) = order($table eq 'item' ? qw(name price qty tag any) : qw(b id));
	my @filters = $table eq 'item' ? map { [ filter() ] } 1 .. int rand 3 : ();
	my $limit = 5 + int rand 60;
	my $query = join '&', 'select=id', "limit=$limit", "order=$order", map { $_->[0] } @filters;
	my $where = join ' and ', 1, map { $_->[1] } @filters;
	my $want = direct("select id from $table where $where order by $by" . join '', map { ", $_$desc" } @key);
	my ($next, @got);
	do {
		my $r = rows("$table/rows?$query" . (defined $next ? "&after=$next" : ''));
		push @got, $r->{status} == 200 ? map { $_->[0] } $r->{json}{rows}->@* : $r->{body};
		$next = $r->{json}{next};
		$pages++;
	} while (defined $next && @got < 1000);
	$walks++;
	push @wrong, "$query\n  got  @got\n  want $want" if "@got" ne $want;
}
is(scalar @wrong, 0, "$walks random filters and orders in $pages pages (seed $seed)") or diag join "\n", @wrong[0 .. ($#wrong < 2 ? $#wrong : 2)];

subtest 'what rows went through' => sub {
	my $key = $made->[7];
	my $row = rows("item/rows/$key")->{json}{row};
	my $changed = sent(200, PATCH => "tables/item/rows/$key", { name => 'changed', any => { blob => 'AP8=' } }, 'changed')->{row};
	is_deeply($changed, { %$row, name => 'changed', any => { blob => 'AP8=' } }, 'the answer is the row');
	is_deeply(rows("item/rows/$key")->{json}{row}, $changed, 'as it is read');
	is(direct("select hex(any) from item where id = $key"), '00FF', 'and as it is in the file');
	is(sent(200, PUT => "tables/item/rows/$key", { name => 'whole' }, 'replaced')->{row}{qty}, undef, 'what is not given is gone');
	is(sent(201, PUT => 'tables/item/rows/5000', { name => 'new' }, 'put where none was')->{row}{id}, 5000, 'with its key');
	is($write->request(DELETE => '/v1/db/shop/tables/item/rows/5000')->{status}, 200, 'deleted');
	is(rows('item/rows/5000')->{json}{code}, 'row_not_found', 'gone');
	my $before = direct('select count(*) from item where qty > 2');
	is($write->request(DELETE => '/v1/db/shop/tables/item/rows?qty=gt.2')->{json}{changes}, $before, 'by a filter');
	is(direct('select count(*) from item where qty > 2'), 0, 'gone as well');
};

is($write->stop, 0, 'a clean end') or diag $write->log_text;
done_testing;
