#!/usr/bin/perl
# How the programs serve FastCGI: idle connections hold no thread, broken ones harm nobody, an end loses nothing.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(program node_folder);
use DDB::Program qw(run_program);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'the programs are not built' if !program('status');

# Sends a request on a connection and reads its answer.
sub ask ($fh, $method, $uri, %opt) {
	syswrite $fh, DDB::Program::request_bytes($method, $uri, keep => 1, %opt);
	return DDB::Program::read_answer($fh, $opt{patience} // 20);
}

sub status_program (%opt) {
	my $dir = node_folder(conf => { status_threads => 2 });
	return DDB::Program->new('status', conf => "$dir/ddb.conf", %opt);
}

subtest 'connections that are kept' => sub {
	my $p = status_program();
	my @fh = map { $p->connect_to } 1 .. 30;
	for my $round (1, 2) {
		my @answer = map { ask($_, GET => '/ping') } @fh;
		is(scalar(grep { $_ && $_->{body} eq "pong\n" } @answer), 30, "round $round: 2 threads answer on 30 kept connections");
	}
	is($p->request(GET => '/ping')->{body}, "pong\n", 'and on a new one beside them');
	my $r = ask($fh[0], POST => '/ping', body => 'x' x 300_000);
	is($r->{status}, 405, 'a body that nobody wants');
	is(ask($fh[0], GET => '/ping')->{body}, "pong\n", 'does not disturb the next request behind it');
	$r = ask($fh[0], GET => '/nowhere', env => { HTTP_X_LONG => 'y' x 100_000 });
	is($r->{status}, 404, 'a very long header');
	close $_ for @fh;
	is($p->request(GET => '/ping')->{body}, "pong\n", 'after all went away');
	is($p->stop, 0, 'a clean end') or diag $p->log_text;
};

subtest 'connections that are broken' => sub {
	my $p = status_program();
	for my $bytes ("GET /ping HTTP/1.1\r\n\r\n", "\0" x 100, "\1\1\0\1\xff\xff\0\0", "\1\4\0\1\0\4\0\0abcd", '') {
		my $fh = $p->connect_to;
		syswrite $fh, $bytes;
		close $fh;
	}
	my @half = ($p->connect_to);
	syswrite $half[0], substr DDB::Program::request_bytes(GET => '/ping'), 0, 30;
	is($p->request(GET => '/ping')->{body}, "pong\n", 'one thread waits for the rest of a request, the other answers');
	SKIP: {
		skip 'ten seconds; DDB_LONG=1 runs it', 2 if !$ENV{DDB_LONG};
		push @half, $p->connect_to;
		syswrite $half[1], substr DDB::Program::request_bytes(GET => '/ping'), 0, 30;
		my $began = time;
		my $r = $p->request(GET => '/ping');
		is($r->{body}, "pong\n", 'even when all threads wait, an answer comes');
		cmp_ok(time - $began, '<', 15, 'once their time is over');
	}
	close $_ for @half;
	is($p->stop, 0, 'a clean end') or diag $p->log_text;
};

subtest 'frozen and thawed' => sub {
	my $p = status_program();
	my $kept = $p->connect_to;
	is(ask($kept, GET => '/ping')->{status}, 200, 'a kept connection');
	for my $round (1 .. 3) {
		kill STOP => $p->{pid};
		waitpid $p->{pid}, POSIX::WUNTRACED;
		my $fh = $p->connect_to;
		syswrite $fh, DDB::Program::request_bytes(GET => '/ping');
		is(DDB::Program::read_answer($fh, 0.1), undef, "round $round: frozen");
		kill CONT => $p->{pid};
		is((DDB::Program::read_answer($fh) // {})->{body}, "pong\n", 'the request that waited is answered');
	}
	kill STOP => $p->{pid};
	waitpid $p->{pid}, POSIX::WUNTRACED;
	kill CONT => $p->{pid};
	sleep 0.2;      # a thread that took this for the end would be gone by now
	is((ask($kept, GET => '/ping', patience => 2) // {})->{status}, 200, 'nothing waited: the kept connection goes on');
	is($p->stop, 0, 'a clean end') or diag $p->log_text;
};

subtest 'no descriptors left' => sub {
	plan skip_all => 'no prlimit' if system('prlimit --version >/dev/null 2>&1') != 0;
	my $p = status_program(files => 24);
	my @fh = map { $p->connect_to } 1 .. 40;
	syswrite $_, DDB::Program::request_bytes(GET => '/ping', keep => 1) for @fh;
	my $n = grep { my $r = DDB::Program::read_answer($_, 0.3); $r && $r->{status} == 200 } @fh;
	cmp_ok($n, '>', 0, "$n of 40 connections were answered");
	cmp_ok($n, '<', 40, 'not all');
	like($p->log_text, qr/accept\.failed.*Too many open files/, 'the log says why');
	close $_ for @fh;
	is($p->request(GET => '/ping')->{body}, "pong\n", 'and when they are gone it goes on');
	is($p->stop, 0, 'a clean end') or diag $p->log_text;
};

subtest 'an end, and the next program' => sub {
	my $p = status_program();
	my $kept = $p->connect_to;
	is(ask($kept, GET => '/ping')->{status}, 200, 'a kept connection');
	is($p->stop, 0, 'the program ends although it is open');
	is(sysread($kept, my $rest, 1), 0, 'and closes it');
	my $early = $p->connect_to;
	syswrite $early, DDB::Program::request_bytes(GET => '/ping');
	$p->start;
	is(DDB::Program::read_answer($early)->{body}, "pong\n", 'what came in between is answered by the next one');
	is($p->stop('INT'), 0, 'SIGINT ends it as well');
	$p->start;
	is($p->request(GET => '/ping')->{status}, 200, 'the next one runs');
	my @busy = map { $p->connect_to } 1 .. 20;
	syswrite $_, DDB::Program::request_bytes(GET => '/status') for @busy;
	is($p->stop, 0, 'ended while requests came in');
	my @answer = map { DDB::Program::read_answer($_, 0.2) } @busy;
	is(scalar(grep { $_ && !$_->{whole} } @answer), 0, 'no answer is cut');
	$p->start;
	my @open = grep { !$answer[$_] } 0 .. $#busy;
	is(scalar(grep { my $r = DDB::Program::read_answer($busy[$_]); $r && $r->{status} == 200 } @open), scalar @open,
		'what was not answered (' . @open . ') is answered by the next one');
};

if (program('write')) {
	my $dir = node_folder(conf => { read_threads => 1, read_deadline_ms => 500, write_deadline_ms => 20000 });
	my $conf = "$dir/ddb.conf";
	run_program('write', args => ['-c', $conf, 'init-master']);
	my $write = DDB::Program->new('write', conf => $conf, names => [qw(public peers health)]);
	my $read = DDB::Program->new('read', conf => $conf, names => [qw(public health)]);
	is($write->request(PUT => '/v1/db/shop')->{status}, 201, 'a database') or diag $write->log_text;
	my $count = 'with recursive c(n) as (values(1) union all select n+1 from c where n < %d) select %s from c';

	subtest 'long requests' => sub {
		my $slow = $write->connect_to;
		syswrite $slow, DDB::Program::request_bytes(POST => '/v1/db/shop/execute',
			body => sprintf '{"statements":["create table t(a)","insert into t ' . $count . '"]}', 400_000, 'n');
		sleep 0.1;
		is($write->stop, 0, 'write ends while an operation runs') or diag $write->log_text;
		my $r = DDB::Program::read_answer($slow);
		is($r && $r->{status}, 200, 'the operation is finished and answered');
		$write->start;
		$r = $write->request(POST => '/v1/db/shop/execute', body => '{"sql":"select count(*) from t"}');
		like($r->{body}, qr/\[\[400000\]\]/, 'and is there') or diag $r->{raw}, $write->log_text;

		my $long = sprintf '{"sql":"' . $count . '"}', 100_000_000, 'n';
		$r = $read->request(POST => '/v1/db/shop/query', body => $long);
		ok($r->{status} == 200 && !$r->{whole}, 'a read beyond its deadline is cut, so that nobody takes it for whole')
			or diag substr $r->{raw}, 0, 300;
		$r = $read->request(POST => '/v1/db/shop/query', body => sprintf '{"sql":"' . $count . '"}', 100_000_000, 'sum(n)');
		is("$r->{status} $r->{json}{code}", '422 deadline', 'one that answered nothing yet says so');
		my $gone = $read->connect_to;
		syswrite $gone, DDB::Program::request_bytes(POST => '/v1/db/shop/query', body => $long);
		sleep 0.1;
		close $gone;
		my $began = time;
		is($read->request(GET => '/v1/db/shop/query?sql=select+1')->{status}, 200, 'the one thread is free');
		cmp_ok(time - $began, '<', 0.35, 'soon after its client went away, long before the deadline');
		my $health = $read->connect_to;
		syswrite $health, DDB::Program::request_bytes(POST => '/v1/db/shop/query', body => $long);
		$began = time;
		is($read->request(GET => '/health/read', socket => 'health')->{status}, 404, 'a busy program answers for its health');
		cmp_ok(time - $began, '<', 0.35, 'at once');
	};
	is($read->stop, 0, 'read ends cleanly') or diag $read->log_text;
	is($write->stop, 0, 'write ends cleanly') or diag $write->log_text;
}
done_testing;
