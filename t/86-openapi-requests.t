#!/usr/bin/perl
# Requests made from the API's description of itself, by schemathesis, against a cluster: no 5xx, and no answer that the
# description does not have.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cwd qw(abs_path);
use DDB::Cluster;
use File::Compare qw(compare);
use File::Copy qw(copy);
use File::Path qw(make_path);
use Test::More;

my $here = "$FindBin::Bin/openapi";
my $work = abs_path('.') . '/var/openapi';
plan skip_all => 'no python3 with venv' if system('python3 -c "import ensurepip, venv" 2>/dev/null');

# The tool goes to a folder of its own, in the exact versions of the list, and stays there. Returns why that cannot be done.
sub install_tool () {
	return if -e "$work/.installed" && !compare("$here/requirements.txt", "$work/.installed");
	make_path($work);
	for my $command (qq(python3 -m venv --clear "$work/venv"), qq("$work/venv/bin/pip" install --quiet --requirement "$here/requirements.txt")) {
		my $said = `$command 2>&1`;
		return "cannot install schemathesis: $said" =~ s/\s+/ /gr if $?;
	}
	copy("$here/requirements.txt", "$work/.installed") or die "$work/.installed: $!";
	return;
}

# As with the other tools: without a way to get them there is nothing to test with.
my $why = install_tool();
plan skip_all => $why if $why;
my $c = DDB::Cluster->new(conf => { sync_wait_ms => 50 });   # DDB-Sync is asked for at random
my $db = $c->create('shop');
$c->execute($db, [ 'create table t(a integer primary key, b text)', "insert into t values(1, 'one')" ]);
$c->wait_in_sync;

# Not asked: what drops the database; what adds nodes that are not there, or removes those that are; and /health/…, where
# 503 is how a node says that it is not for this, and nothing is wrong.
my @not = map { ('--exclude-operation-id', $_) } qw(dropDatabase addSlave removeSlave healthRead healthWrite);
my $seed = $ENV{DDB_SEED} // int rand 2 ** 31;
my @command = ("$work/venv/bin/schemathesis", '--config-file', "$here/schemathesis.toml", 'run', $c->url . '/openapi.json', '--no-color',
	'--seed', $seed, '--max-examples', $c->long_or(100, 10), '--phases', 'examples,fuzzing', '--generation-database', 'none',
	'--checks', 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance', @not);
note("DDB_SEED=$seed");
my $pid = open(my $out, '-|') // die "fork: $!";
if (!$pid) {
	open STDERR, '>&', \*STDOUT;
	chdir $c->scratch or die "chdir: $!";
	exec @command or POSIX::_exit(127);
}
my $said = do { local $/; <$out> };
close $out;
is($? >> 8, 0, 'each answer is one that the description has') or diag("seed $seed", "\n", $said);
my ($cases) = $said =~ /(\d+) generated/;
cmp_ok($cases // 0, '>', 100, 'and many were asked for');
my ($tested) = $said =~ /Tested: (\d+)/;
cmp_ok($tested // 0, '>=', 25, 'of nearly all addresses');
# Slaves were paused and given new copies: that too ends well.
$c->request(POST => "/v1/pool/slaves/$_/resume", json => {}) for $c->slaves;
$c->wait_in_sync;
$c->same($db, 'after all of it');
done_testing;
