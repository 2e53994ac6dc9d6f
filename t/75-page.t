#!/usr/bin/perl
# The page in Debian's Chromium, against a cluster of its own: every button once, and a slave killed while it watches.
# The steps are in t/page/. With DDB_URL and DDB_DIR set (as ./cluster env prints them) it takes that cluster instead.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cwd qw(abs_path);
use File::Compare qw(compare);
use File::Copy qw(copy);
use File::Path qw(make_path);

my $here = "$FindBin::Bin/page";
my $work = abs_path('.') . '/var/page';

sub found ($program) { return grep { -x "$_/$program" } split /:/, $ENV{PATH} }

for my $program (qw(node npm)) {
	next if found($program);
	print "1..0 # SKIP no $program\n";
	exit 0;
}
if (!-x '/usr/bin/chromium') {
	print "1..0 # SKIP no /usr/bin/chromium\n";
	exit 0;
}

# The browser's driver goes to the build folder, in the exact version of the lock file, and stays there.
sub install_modules () {
	make_path("$work/npm");
	my @files = qw(package.json package-lock.json);
	return if -e "$work/npm/.installed" && !grep { compare("$here/$_", "$work/npm/$_") } @files;
	unlink "$work/npm/.installed";
	copy("$here/$_", "$work/npm/$_") or die "$work/npm/$_: $!" for @files;
	my $said = `cd "$work/npm" && npm ci --ignore-scripts --no-audit --no-fund 2>&1`;
	die "npm ci: $said" if $?;
	open my $mark, '>', "$work/npm/.installed" or die "$work/npm/.installed: $!";
	return;
}

install_modules();
my $cluster;
if (!$ENV{DDB_URL} || !$ENV{DDB_DIR}) {
	require DDB::Cluster;
	$cluster = DDB::Cluster->new(slaves => 2);
	@ENV{qw(DDB_URL DDB_DIR)} = ($cluster->url, $cluster->{dir});
}
$ENV{DDB_CLUSTER} = abs_path("$FindBin::Bin/../cluster");
$ENV{MODULES} = "$work/npm";
$ENV{SHOTS} = "$work/shots";
my $status = system 'node', "$here/page.test.mjs";
exit($status == 0 ? 0 : 1);
