#!/usr/bin/perl
# What breaks replicas elsewhere: each slave ends with exactly the master's content, whatever the batches it got.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::SqlGen;
use Test::More;

my $c = DDB::Cluster->new;
my $json = JSON::PP->new->utf8->canonical;

# Runs statements as one operation each; every one must succeed.
sub run ($db, @statements) { $c->execute($db, $_) for @statements; return }

# name => what it does to its own database
my @case = (
	[ triggers => sub ($db) {
		run($db, 'create table t(id integer primary key, a)', 'create table log(at, id, r)',
			q{create trigger ti after insert on t begin insert into log values(datetime('now'), new.id, random()); end},
			q{create trigger tu after update on t begin insert into log select current_timestamp, old.id, hex(randomblob(8)); end},
			q{create trigger td after delete on t when old.id % 2 begin update t set a = a + 1 where id > old.id; end},
			'with recursive n(i) as (select 1 union all select i+1 from n where i < 200) insert into t select i, i*i from n',
			'update t set a = -a where id % 3 = 0', 'delete from t where id between 20 and 60');
		# 200 inserts; 66 updates; for each odd id from 21 to 59 one of every row above it.
		is($c->one($db, "select count(*) from log"), 200 + 66 + 3200, "the triggers ran");
		cmp_ok($c->one($db, 'select count(distinct r) from log'), '>', 200, 'with different random numbers');
	} ],
	[ fts5 => sub ($db) {
		run($db, 'create virtual table f using fts5(a, b, prefix=\'2 3\')', 'create virtual table f4 using fts4(a)',
			'create table doc(id integer primary key, x text)', q{create virtual table ext using fts5(x, content='doc', content_rowid='id')},
			'create trigger dai after insert on doc begin insert into ext(rowid, x) values(new.id, new.x); end',
			q{create trigger dad after delete on doc begin insert into ext(ext, rowid, x) values('delete', old.id, old.x); end});
		for my $i (1 .. 40) {
			run($db, { sql => 'insert into f values(?,?)', params => [ "word$i common", 'text ' x ($i % 7) ] },
				{ sql => 'insert into f4 values(?)', params => ["some words $i"] }, { sql => 'insert into doc(x) values(?)', params => ["doc $i same"] });
		}
		run($db, q{delete from f where f match 'word7'}, q{update f set b = 'other' where rowid % 4 = 0}, 'delete from doc where id % 5 = 0',
			q{insert into f(f) values('optimize')}, q{insert into ext(ext) values('rebuild')}, q{insert into f4(f4) values('optimize')});
		is($c->one($db, q{select count(*) from f where f match 'common'}), 39, 'full text through HAProxy');
		is($c->one($db, q{select count(*) from ext where ext match 'same'}), 32, 'and of external content');
	} ],
	[ rtree => sub ($db) {
		run($db, 'create virtual table r using rtree(id, x0, x1, y0, y1, +note)');
		run($db, { sql => 'insert into r values(?,?,?,?,?,?)', rows => [ map { [ $_, $_, $_ + 5, $_ * 2, $_ * 2 + 1, "n$_" ] } 1 .. 300 ] },
			'update r set x1 = x1 + 100 where id % 10 = 0', 'delete from r where id % 3 = 0', 'insert or replace into r values(1, 0, 0.1, 0, 0.3, null)');
		is($c->one($db, 'select count(*) from r'), 200, 'boxes');
	} ],
	[ generated => sub ($db) {
		run($db, 'create table g(a, b as (a * 2) stored, c as (b || a), d real as (a / 3.0) virtual unique)', 'create index gc on g(c)',
			{ sql => 'insert into g(a) values(?)', rows => [ map { [$_] } 1 .. 50 ] }, 'update g set a = a + 1000 where b > 60',
			'insert or replace into g(a) values(5)', 'delete from g where c like \'2%\'');
		is($c->one($db, 'select count(*) from g where b is not a * 2'), 0, 'columns that follow others');
	} ],
	[ keys => sub ($db) {
		run($db, 'create table nokey(a, b)', 'create table nullkey(k text primary key, u unique, v)', 'create table wr(a text, b, c, primary key(a desc, b)) without rowid',
			'insert into nokey values(1,2),(1,2),(1,2),(null,null),(null,null)', 'delete from nokey where rowid in (select rowid from nokey where a = 1 limit 1)',
			'update nokey set b = 3 where rowid = (select max(rowid) from nokey where a = 1)', 'insert into nullkey values(null,null,1),(null,null,2),(null,1,3)',
			'update nullkey set v = v * 10 where k is null', 'delete from nullkey where v = 20', q{insert into wr values('x',1,2),('y',2,3),('x',2,3)},
			q{update wr set a = 'z' where b = 2 and a = 'y'}, q{replace into wr values('x',1,99)}, q{update wr set b = b + 10});
		is($c->one($db, 'select count(*) from nokey'), 4, 'rows without a key');
		is($c->one($db, 'select count(*) from nullkey where k is null'), 2, 'rows with a NULL key');
	} ],
	[ swaps => sub ($db) {
		run($db, 'create table s(id integer primary key, u integer unique, v)', 'insert into s values(1,1,\'a\'),(2,2,\'b\'),(3,3,\'c\')',
			'update s set u = -u', 'update s set u = case id when 1 then 2 when 2 then 1 else 3 end', 'update or replace s set u = 2 where id = 3',
			'insert or replace into s values(4, 2, \'d\')', 'insert into s values(5, 1, \'e\') on conflict(u) do update set v = excluded.v, id = 50',
			'update s set id = id + 1000');
	} ],
	[ replace => sub ($db) {
		run($db, 'create table r(a integer primary key, b unique, c unique)', 'create table gone(x)', 'create trigger rd after delete on r begin insert into gone values(old.a); end',
			'insert into r values(1,1,1),(2,2,2),(3,3,3)', 'replace into r values(4,1,2)', 'insert or replace into r values(3,9,9)',
			'insert or ignore into r values(8,9,7)', 'update or ignore r set b = 1', 'update or replace r set c = 9 where a = 4');
	} ],
	[ nocase => sub ($db) {
		run($db, 'create table n(k text primary key collate nocase, v) without rowid', q{insert into n values('Abc', 1), ('DEF', 2)},
			q{update n set k = 'aBC' where k = 'abc'}, q{insert or replace into n values('def', 3)}, q{update n set k = upper(k)}, q{delete from n where k = 'DEF'},
			q{insert into n values('ABC', 5) on conflict do update set k = excluded.k || '', v = 7}, 'create table n2(k text collate nocase unique, v)',
			q{insert into n2 values('x', 1)}, q{replace into n2 values('X', 2)}, q{update n2 set k = 'x'});
		is_deeply($c->query($db, 'select k, v from n'), [ [ 'ABC', 7 ] ], 'the case of a key');
	} ],
	[ autoincrement => sub ($db) {
		run($db, 'create table a(id integer primary key autoincrement, v)', 'insert into a(v) values(1),(2),(3)', 'delete from a where id = 3', 'insert into a(v) values(4)',
			'insert into a(id, v) values(100, 5)', 'delete from a', 'insert into a(v) values(6)', 'update sqlite_sequence set seq = 500', 'insert into a(v) values(7)');
		is_deeply($c->query($db, 'select id from a order by id'), [ [101], [501] ], 'keys never come again');
	} ],
	[ alter => sub ($db) {
		run($db, 'create table t(id integer primary key, a, b)', 'create index ti on t(a)', 'insert into t values(1,2,3),(2,3,4)', 'create view v as select a from t',
			'alter table t add column c text default \'dd\'', 'insert into t(a) values(9)', 'alter table t rename column a to aa', 'alter table t drop column b',
			'alter table t rename to u', 'update u set c = c || id', 'create table copy as select * from u', 'analyze', 'alter table copy rename to "odd name"',
			'drop index ti', 'drop view v', 'drop table "odd name"', 'reindex', 'create unique index ui on u(aa)');
		is_deeply($c->query($db, 'select id, aa, c from u order by id'), [ [ 1, 2, 'dd1' ], [ 2, 3, 'dd2' ], [ 3, 9, 'dd3' ] ], 'columns after ALTER');
	} ],
	[ foreign_keys => sub ($db) {
		run($db, 'create table p(id integer primary key, v)', 'create table c(id integer primary key, p references p on delete cascade on update cascade)',
			'create table n(id integer primary key, p references p on delete set null)', 'create table d(id integer primary key, p references p deferrable initially deferred)',
			'create table self(id integer primary key, up references self on delete cascade)',
			'insert into p values(1,1),(2,2),(3,3),(4,4)', 'insert into c values(1,1),(2,1),(3,2)', 'insert into n values(1,3),(2,4)', 'update p set id = id + 10 where id = 1',
			'delete from p where id = 11', 'delete from p where id = 3', [ 'insert into d values(1, 77)', 'insert into p values(77, 0)' ],
			[ 'pragma defer_foreign_keys = on', 'insert into c values(9, 88)', 'insert into p values(88, 0)' ],
			'insert into self values(1,null),(2,1),(3,2),(4,3)', 'delete from self where id = 1');
		my $r = $c->post("/v1/db/$db/execute", { sql => 'insert into d values(2, 999)' });
		is("$r->{status} $r->{json}{code}", '409 constraint', 'a deferred constraint is checked at the end of its operation');
		$r = $c->post("/v1/db/$db/execute", { sql => 'insert into c values(10, 999)' });
		is($r->{status}, 409, 'PRAGMA defer_foreign_keys does not outlive its operation');
		is($c->one($db, 'select count(*) from self'), 0, 'cascades');
	} ],
	[ random_and_now => sub ($db) {
		run($db, q{create table t(id integer primary key, r default (random()), h default (hex(randomblob(16))), at default (datetime('now')),
			c default current_timestamp, j default (julianday('now')), s default (strftime('%s %f', 'now')))}, 'create table src(v)');
		run($db, 'insert into t(id) values(null)') for 1 .. 20;
		run($db, { sql => 'insert into src values(?)', rows => [ map { [$_] } 1 .. 100 ] }, 'insert into t(id, r) select null, v from src order by random() limit 10',
			'insert into t(r) select abs(random() % 1000) from src', 'update t set r = (select v from src order by random() limit 1) where id % 2',
			'delete from t where id in (select id from t order by random() limit 7)', q{update t set at = datetime('now', 'localtime'), j = unixepoch()},
			'create table shuffled as select v, random() r from src order by random()');
		cmp_ok($c->one($db, 'select count(distinct h) from t'), '>=', 100, 'random is random on the master');
		my $age = $c->one($db, q{select abs(unixepoch('now') - unixepoch(c)) from t where id = 1});
		cmp_ok($age, '<', 600, 'and now is now');
	} ],
	[ update_limit => sub ($db) {
		run($db, 'create table t(id integer primary key, v)', { sql => 'insert into t(v) values(?)', rows => [ map { [ $_ % 7 ] } 1 .. 60 ] });
		my $r = $c->post("/v1/db/$db/execute", { sql => 'update t set v = 100 where v > 2 order by v limit 5' });
		ok($r->{status} == 200 || $r->{status} == 400, "UPDATE … LIMIT: $r->{status}") or diag($r->{body});
		is($c->one($db, 'select count(*) from t where v = 100'), 5, 'five rows') if $r->{status} == 200;
		$r = $c->post("/v1/db/$db/execute", { sql => 'delete from t order by v, id limit 5' });
		ok($r->{status} == 200 || $r->{status} == 400, "DELETE … LIMIT: $r->{status}");
		run($db, 'update t set v = 50 where id in (select id from t order by v desc limit 3)');
	} ],
	[ header => sub ($db) {
		run($db, 'create table t(a)', 'pragma user_version = 77', 'pragma application_id = 5', 'insert into t values(1)');
		is_deeply($c->query($db, 'pragma user_version'), [ [77] ], 'user_version is part of the content');
	} ],
	[ views => sub ($db) {
		run($db, 'create table t(a, b)', 'create view v as select a, sum(b) s from t group by a', q{create trigger vi instead of insert on v begin insert into t values(new.a, new.s); end},
			q{create trigger vd instead of delete on v begin delete from t where a = old.a; end}, 'insert into v values(1,2),(1,3),(2,5)', 'delete from v where a = 2',
			'create table m as select * from v');
		is_deeply($c->query($db, 'select * from v'), [ [ 1, 5 ] ], 'through a view');
	} ],
	[ refused => sub ($db) {
		run($db, 'create table t(a unique)', 'insert into t values(1)');
		for my $sql ('create temp table x(a)', 'create temp view x as select 1', 'create temp trigger x after insert on t begin select 1; end', q{attach ':memory:' as y}, 'begin',
			'commit', 'rollback', 'savepoint s', 'vacuum', 'pragma journal_mode=delete', 'pragma writable_schema=on', 'pragma recursive_triggers=on', 'create table ddb_x(a)', 'drop table ddb_journal',
			'alter table t rename to ddb_t', 'insert into t select sqlite_version()', 'update sqlite_schema set sql = null', 'insert into temp.sqlite_schema values(1,1,1,1,1)') {
			my $r = $c->post("/v1/db/$db/execute", { statements => [ 'insert into t values(2)', $sql ] });
			ok($r->{status} >= 400 && $r->{status} < 500, "$sql: refused with $r->{status}") or diag($r->{body});
		}
		is_deeply($c->query($db, 'select a from t'), [ [1] ], 'and nothing of it stayed');
		for my $sql ('insert or rollback into t values(1)', 'insert or fail into t values(3),(1)', 'insert into t values(9223372036854775807),(1)') {
			is($c->post("/v1/db/$db/execute", { statements => [ 'insert into t values(2)', $sql ] })->{status}, 409, "$sql: 409");
		}
		is_deeply($c->query($db, 'select a from t'), [ [1] ], 'a failed operation leaves nothing');
		my $r = $c->post("/v1/db/$db/execute", { sql => 'insert into t(rowid, a) values(9223372036854775807, 5)' });
		ok($r->{status} >= 400 && $r->{status} < 500, "the last rowid: $r->{status}") or diag($r->{body});
	} ],
	[ connection_state => sub ($db) {
		run($db, 'create table t(id integer primary key, a, b, c)', 'insert into t(a) values(1),(2),(3)', 'insert into t(a,b,c) values(last_insert_rowid(), changes(), total_changes())',
			[ 'insert into t(a) values(7)', 'insert into t(a,b,c) values(last_insert_rowid(), changes(), total_changes())' ], 'update t set b = changes() where id < 3');
		is_deeply($c->query($db, 'select a, b, c from t where id = 4'), [ [ 0, 0, 0 ] ], 'an operation begins with last_insert_rowid() and changes() at 0');
	} ],
);

for (@case) {
	my ($name, $do) = @$_;
	subtest $name => sub { eval { $do->($c->create($name)); pass('every statement ran'); 1 } or fail($@) };
}
$c->converged('after all of these');
is_deeply([ grep { $_->{kind} =~ /diverged/ } $c->must(GET => '/v1/events?limit=1000')->{events}->@* ], [], 'no slave found itself different');

# ---- random operations, the slaves in other batch sizes than the master ----

my $seed = $ENV{DDB_SEED} // time & 0xffffff;
my $rounds = $c->long_or(12, 2);
my $each = $c->long_or(2500, 900);
diag("seed $seed (DDB_SEED=$seed repeats it)");

for my $round (1 .. $rounds) {
	my $s = $seed + 7919 * ($round - 1);
	subtest "random operations, seed $s" => sub {
		my $db = $c->create("gen$round");
		my $gen = DDB::SqlGen->new($s);
		$c->execute($db, $_) for $gen->schema;
		my ($ok, %refused, $paused) = (0);
		for my $i (1 .. $each) {
			# A paused slave gets what waits in batches of many; one that follows, in batches of few. Closing and opening
			# the file in between must make no difference either.
			if ($i % 150 == 75) { $c->must(POST => '/v1/pool/slaves/n3/pause', json => {}) }
			if ($i % 150 == 149) { $c->must(POST => '/v1/pool/slaves/n3/resume', json => {}) }
			if ($i % 400 == 200) { $c->kill_program('n2', 'write', $i % 800 == 200 ? 'TERM' : 'KILL') }
			if ($i % 400 == 390) { my $old = $c->kill_program('n1', 'write', 'TERM'); $c->wait_respawn('n1', 'write', $old) }
			my $op = $gen->next;
			my $r = $c->wait_until(30, "an answer to operation $i of seed $s", sub {
				my $r = $c->post("/v1/db/$db/execute", $op);
				# Nothing was done: asked again. (outcome_unknown would fail the test: the master ends cleanly here.)
				$r->{status} == 503 && $r->{json}{code} =~ /^(?:starting|stopping|master_unreachable)$/ ? undef : $r;
			});
			if ($r->{status} == 200) { $ok++ }
			elsif ($r->{status} >= 400 && $r->{status} < 500) { $refused{ $r->{json}{code} // $r->{status} }++ }
			else { fail("operation $i: " . ($r->{error} // "$r->{status} $r->{body}")); diag($json->encode($op)); last }
		}
		diag("seed $s: $ok done, refused: " . join ', ', map { "$refused{$_} $_" } sort keys %refused);
		cmp_ok($ok, '>', $each / 3, 'a good part succeeded');
		$c->must(POST => '/v1/pool/slaves/n3/resume', json => {});
		eval { $c->wait_in_sync; 1 } or fail("in sync: $@");
		$c->same($db, "seed $s");
	};
}
is_deeply([ grep { $_->{kind} =~ /diverged/ } $c->must(GET => '/v1/events?limit=1000')->{events}->@* ], [], 'no slave found itself different')
	or diag("seed $seed");

$c->clean_logs;
done_testing;
