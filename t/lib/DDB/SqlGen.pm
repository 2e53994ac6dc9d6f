# A seeded generator of operations that replicas of other systems stumble over: the same seed gives the same operations.
#
#   my $gen = DDB::SqlGen->new($seed);
#   $db->execute($_) for $gen->schema;      # what must exist first, one operation each
#   my $op = $gen->next;                    # {"statements": […]}, as POST …/execute takes it
#
# Operations may fail (constraints, RAISE, dropped tables): a failed one must leave no trace on any node, and is as good
# a test as one that succeeds.
package DDB::SqlGen;
use v5.36;

sub new ($class, $seed) { return bless { state => $seed & 0xffffffff, made => 0, extra => {} }, $class }

# A number from 0 to n-1. An own generator (xorshift32), so that a seed means the same under every perl and nothing else
# that draws numbers disturbs it.
sub pick ($self, $n) {
	my $x = $self->{state} || 0x9e3779b9;
	$x = ($x ^ ($x << 13)) & 0xffffffff;
	$x ^= $x >> 17;
	$x = ($x ^ ($x << 5)) & 0xffffffff;
	$self->{state} = $x;
	return $x % $n;
}

sub one_of ($self, @list) { return $list[ $self->pick(scalar @list) ] }

sub _number ($n) { return 0 + $n }

# A value of any kind, as it goes into "params".
sub value ($self) {
	my $k = $self->pick(12);
	return undef if $k == 0;
	return _number($self->pick(40)) if $k < 5;
	return _number($self->one_of(-1, 9007199254740993, -9223372036854775808, 9223372036854775807, 2147483648)) if $k == 5;
	return $self->one_of(0.1, -2.5, 1e300, 1e-300, 3.141592653589793, 1e308) if $k == 6;
	return { blob => $self->one_of('', 'AA==', 'AP8Q', '/////w==') } if $k == 7;
	return $self->one_of('', "nul\0inside", "\x{e4}\x{f6}\x{fc}", "\x{1F642}", "quote'\"", 'ABC', 'abc', 'AbC') if $k == 8;
	return $self->word;
}

sub word ($self) {
	return join ' ', map { $self->one_of(qw(alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi)) }
		0 .. $self->pick(4);
}

# Each table stands for something that breaks replication by statements, by rows or by changesets elsewhere.
sub schema ($self) {
	return map { { statements => [$_] } } (
		'create table plain(id integer primary key, a, b text, c real)',
		'create index plain_a on plain(a)',
		'create table nokey(a, b)',
		'create table nullkey(k unique, a primary key, b)',
		'create table worid(k text primary key, a, b) without rowid',
		'create table worid2(x, y, a, primary key(x, y desc)) without rowid',
		'create table swap(id integer primary key, u integer unique, a)',
		'create table nocase(k text primary key collate nocase, a)',
		'create table auto(id integer primary key autoincrement, a)',
		'create table gen(id integer primary key, a, b, s as (coalesce(a,0)||b) stored, v as (length(b)) virtual)',
		'create index gen_v on gen(v)',
		'create table strict1(id integer primary key, i integer, r real, t text, b blob, y any) strict',
		'create table dflt(id integer primary key, a, r default (random()), h default (hex(randomblob(8))),'
			. ' t default (datetime(\'now\')), j default (julianday(\'now\')), c text default current_timestamp)',
		'create table parent(id integer primary key, a)',
		'create table child(id integer primary key, p integer references parent(id) on delete cascade on update cascade, a)',
		'create table childn(id integer primary key, p integer references parent(id) on delete set null, a)',
		'create table childd(id integer primary key,'
			. ' p integer references parent(id) deferrable initially deferred, a)',
		'create table log(at, what, n, r)',
		q{create trigger plain_ins after insert on plain begin
			insert into log values(datetime('now'), 'ins', new.id, random()); end},
		q{create trigger plain_upd after update of a on plain when new.a is not old.a begin
			insert into log values(strftime('%s','now'), 'upd', old.id, hex(randomblob(4)));
			update swap set a = new.a where id = new.id; end},
		q{create trigger plain_del before delete on plain begin
			select raise(abort, 'row 13 stays') where old.id = 13;
			insert into log select current_timestamp, 'del', old.id, last_insert_rowid() where old.id % 2; end},
		q{create trigger nokey_roll before insert on nokey when new.a = 39 begin select raise(rollback, 'all of it'); end},
		q{create trigger nokey_ign before insert on nokey when new.a = 38 begin select raise(ignore); end},
		'create view seen as select p.id, p.a, count(c.id) n from parent p left join child c on c.p = p.id group by p.id',
		'create trigger seen_ins instead of insert on seen begin insert into parent(id, a) values(new.id, new.a); end',
		'create table doc(id integer primary key, title text, body text)',
		q{create virtual table doc_fts using fts5(title, body, content='doc', content_rowid='id')},
		'create trigger doc_ai after insert on doc begin'
			. ' insert into doc_fts(rowid, title, body) values(new.id, new.title, new.body); end',
		'create trigger doc_ad after delete on doc begin'
			. " insert into doc_fts(doc_fts, rowid, title, body) values('delete', old.id, old.title, old.body); end",
		'create trigger doc_au after update on doc begin'
			. " insert into doc_fts(doc_fts, rowid, title, body) values('delete', old.id, old.title, old.body);"
			. ' insert into doc_fts(rowid, title, body) values(new.id, new.title, new.body); end',
		'create virtual table notes using fts5(x, y, prefix=2)',
		'create virtual table notes4 using fts4(x)',
		'create virtual table box using rtree(id, x0, x1, y0, y1, +label)',
	);
}

sub _s ($sql, @params) { return @params ? { sql => $sql, params => [@params] } : $sql }

# What a statement can be; each is a method's name and its weight.
my @kinds = (
	[ plain => 14 ], [ nokey => 8 ], [ keys => 10 ], [ swaps => 5 ], [ auto => 5 ], [ gens => 6 ], [ strict => 3 ],
	[ dflt => 6 ], [ family => 12 ], [ fts => 14 ], [ rtree => 5 ], [ limits => 6 ], [ views => 3 ], [ ddl => 4 ],
	[ forbidden => 2 ], [ stats => 1 ], [ state => 3 ], [ upsert => 4 ],
);
my @wheel = map { ($_->[0]) x $_->[1] } @kinds;

# The next operation: one to five statements.
sub next ($self) {
	$self->{made}++;
	my $n = $self->pick(3) ? 1 : 1 + $self->pick(5);
	my @s = map { my $kind = 'k_' . $self->one_of(@wheel); $self->$kind } 1 .. $n;
	return { statements => \@s };
}

sub _id ($self) { return _number(1 + $self->pick(60)) }

sub _verb ($self) { return $self->one_of('insert', 'insert', 'insert or replace', 'insert or ignore', 'replace',
	'insert or fail', 'insert or abort', 'insert or rollback') }

sub k_plain ($self) {
	my $k = $self->pick(7);
	return _s($self->_verb . ' into plain(id,a,b,c) values(?,?,?,?)', $self->_id, $self->value, $self->word, $self->pick(9) / 7)
		if $k < 3;
	return _s('update plain set a = ? where id = ?', $self->value, $self->_id) if $k == 3;
	return _s('update or replace plain set id = id + ? where id > ?', $self->pick(5), $self->_id) if $k == 4;
	return _s('delete from plain where id = ? returning *', $self->_id) if $k == 5;
	return { sql => 'insert into plain(a,b) values(?,?)', rows => [ map { [ $self->value, $self->word ] } 0 .. $self->pick(6) ] };
}

sub k_nokey ($self) {
	my $k = $self->pick(6);
	return _s($self->_verb . ' into nokey values(?,?)', $self->value, $self->value) if $k < 3;
	return _s('update nokey set b = ?, a = a where rowid % 7 = ?', $self->value, $self->pick(7)) if $k == 3;
	return _s('delete from nokey where a is ?', $self->value) if $k == 4;
	return _s('insert into nokey select b, a from nokey order by random() limit ?', $self->pick(4));
}

sub k_keys ($self) {
	my $t = $self->one_of(qw(nullkey worid nocase worid2));
	my $cols = $t eq 'worid2' ? '(x,y,a)' : $t eq 'nocase' ? '(k,a)' : '(k,a,b)';
	my @v = map { $self->value } 1 .. $cols =~ tr/,// + 1;
	$v[0] = $self->one_of('Abc', 'aBC', 'x', 'X', 'y', $self->word) if $t eq 'nocase';
	my $k = $self->pick(5);
	return _s($self->_verb . " into $t$cols values(" . join(',', ('?') x @v) . ')', @v) if $k < 3;
	my $key = $t eq 'worid2' ? 'x' : 'k';
	return _s("update or replace $t set $key = ? where $key is ?", $v[0], $self->one_of($self->value, 'abc', 'X')) if $k == 3;
	return _s("delete from $t where $key is ?", $v[0]);
}

sub k_swaps ($self) {
	my ($i, $j) = ($self->_id, $self->_id);
	return _s($self->_verb . ' into swap values(?,?,?)', $i, $j, $self->value) if $self->pick(2);
	return _s('update or replace swap set u = case id when ?1 then ?2 else ?1 end where id in (?1, ?2)', $i, $j)
		if $self->pick(2);
	return 'update swap set u = -u' if $self->pick(2);
	return _s('update swap set u = (select u from swap s where s.id = ?) where id = ?', $i, $j);
}

sub k_auto ($self) {
	return _s('insert into auto(a) values(?)', $self->value) if $self->pick(3);
	return 'delete from auto where id = (select max(id) from auto)' if $self->pick(2);
	return _s($self->_verb . ' into auto(id, a) values(?,?)', $self->_id, $self->value);
}

sub k_gens ($self) {
	return _s($self->_verb . ' into gen(id,a,b) values(?,?,?)', $self->_id, $self->value, $self->word) if $self->pick(2);
	return _s('update gen set b = ? where v = ?', $self->word, $self->pick(30)) if $self->pick(2);
	return _s('delete from gen where s like ?', '%' . $self->one_of(qw(mu nu eta)) . '%');
}

sub k_strict ($self) {
	return _s($self->_verb . ' into strict1 values(?,?,?,?,?,?)', $self->_id, $self->pick(100), $self->pick(100) / 7, $self->word,
		$self->one_of(undef, { blob => 'AAEC' }), $self->value) if $self->pick(4);
	return _s('insert into strict1(i) values(?)', $self->word);          # refused: not an integer
}

sub k_dflt ($self) {
	return _s('insert into dflt(a) values(?)', $self->value) if $self->pick(2);
	return q{update dflt set t = datetime('now','+1 day'), r = random() % 1000, h = hex(randomblob(3)) where id % 5 = }
		. $self->pick(5) if $self->pick(2);
	return _s('delete from dflt where r % 3 = ?', $self->pick(3)) if $self->pick(2);
	return q{insert into dflt(a, t) select unixepoch('now'), strftime('%Y-%m-%d %H:%M:%f','now','localtime')};
}

sub k_family ($self) {
	my $k = $self->pick(9);
	my $t = $self->one_of(qw(child childn childd));
	return _s($self->_verb . ' into parent values(?,?)', $self->_id, $self->value) if $k < 3;
	return _s($self->_verb . " into $t values(?,?,?)", $self->_id, $self->_id, $self->value) if $k < 6;
	return _s('delete from parent where id = ?', $self->_id) if $k == 6;
	return _s('update or ignore parent set id = ? where id = ?', $self->_id, $self->_id) if $k == 7;
	return 'pragma defer_foreign_keys = on';
}

sub k_fts ($self) {
	my $k = $self->pick(9);
	return _s($self->_verb . ' into doc values(?,?,?)', $self->_id, $self->word, $self->word) if $k < 2;
	return _s('update doc set body = ? where id = ?', $self->word, $self->_id) if $k == 2;
	return _s('delete from doc where id = ?', $self->_id) if $k == 3;
	my $t = $self->one_of(qw(notes notes4));
	return _s("insert into $t(rowid, x) values(?,?)", $self->_id, $self->word) if $k == 4;
	return _s("insert or replace into $t(rowid, x) values(?,?)", $self->_id, $self->word) if $k == 5;
	return _s("update $t set x = ? where $t match ?", $self->word, $self->one_of(qw(mu nu xi eta))) if $k == 6;
	return _s("delete from $t where rowid in (select rowid from $t where $t match ? limit 2)",
		$self->one_of(qw(alpha beta gamma delta))) if $k == 7;
	return $self->one_of(q{insert into notes(notes) values('optimize')}, q{insert into doc_fts(doc_fts) values('rebuild')},
		q{insert into notes4(notes4) values('optimize')}, q{insert into notes(notes, rank) values('merge', 4)});
}

sub k_rtree ($self) {
	my ($x, $y) = ($self->pick(100), $self->pick(100));
	return _s($self->one_of('insert', 'insert or replace') . ' into box values(?,?,?,?,?,?)', $self->_id, $x,
		$x + $self->pick(10) - 1, $y, $y + 3, $self->word) if $self->pick(3);
	return _s('delete from box where x0 > ? and y1 < ?', $x, $y) if $self->pick(2);
	return _s('update box set x1 = x1 + 1, label = ? where id = ?', $self->word, $self->_id);
}

sub k_limits ($self) {
	my $n = $self->pick(5);
	my $k = $self->pick(5);
	return "insert into log select datetime('now'), 'pick', id, random() from plain order by random() limit $n" if $k == 0;
	return "update plain set a = random() where id in (select id from plain order by random() limit $n)" if $k == 1;
	# Debian's SQLite may be built with or without these; both nodes must think the same.
	return "update plain set b = 'limited' where a is not null order by id desc limit $n" if $k == 2;
	return "delete from log order by rowid limit $n" if $k == 3;
	return 'delete from log where rowid in (select rowid from log order by n, rowid limit 3)';
}

sub k_views ($self) {
	return _s('insert into seen(id, a) values(?,?)', $self->_id, $self->value) if $self->pick(3);
	return 'insert into log select datetime(), \'seen\', sum(n), max(a) from seen';
}

# Schema changes, on tables of their own that come and go.
sub k_ddl ($self) {
	my $t = 'x' . $self->pick(5);
	my $k = $self->pick(12);
	return "create table if not exists $t(id integer primary key, a, b default (random()))" if $k < 3;
	return "drop table if exists $t" if $k == 3;
	return "alter table $t add column c" . $self->pick(3) . q{ default 'd'} if $k == 4;
	return "alter table $t rename column a to a" . $self->pick(2) if $k == 5;
	return "alter table $t drop column c" . $self->pick(3) if $k == 6;
	return "alter table $t rename to x" . $self->pick(5) if $k == 7;
	return "create index if not exists ${t}_i on $t(b)" if $k == 8;
	return "drop index if exists ${t}_i" if $k == 9;
	return "create table if not exists y$t as select id, a, random() r from plain order by random() limit 3" if $k == 10;
	return _s("insert into $t(id) values(?)", $self->_id);
}

# What must be refused, everywhere alike and without a trace.
sub k_forbidden ($self) {
	return $self->one_of('create temp table t1(a)', 'create temporary view v1 as select 1', q{attach ':memory:' as m},
		'begin', 'commit', 'savepoint a', 'pragma journal_mode = delete',
		'insert into ddb_meta values(1,1)', 'delete from ddb_journal', 'create table ddb_mine(a)', 'vacuum',
		'insert into log values(1, sqlite_version(), 2, 3)', 'insert into plain(id) values(9223372036854775807)',
		'select load_extension(\'x\')', 'alter table plain rename to ddb_plain', 'delete from sqlite_stat1');
}

sub k_stats ($self) { return $self->one_of('pragma user_version = ' . $self->pick(9), 'analyze', 'reindex', 'analyze plain', 'reindex nocase') }

# What hangs on a connection and not on a file.
sub k_state ($self) {
	return $self->one_of('insert into log values(last_insert_rowid(), \'rowid\', changes(), total_changes())',
		'insert into nokey values(changes(), last_insert_rowid())',
		'update plain set c = total_changes() where id < 5');
}

sub k_upsert ($self) {
	return _s('insert into plain(id,a,b) values(?,?,?) on conflict(id) do update set a = excluded.a, c = coalesce(c,0) + 1'
		. ' where b is not excluded.b returning id, a', $self->_id, $self->value, $self->word);
}

1;
