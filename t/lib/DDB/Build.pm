# Where the built programs are, for tests that run one of them alone.
package DDB::Build;
use v5.36;
use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Exporter qw(import);
our @EXPORT_OK = qw(top program node_folder);

my $top = abs_path(dirname(__FILE__) . '/../../..');
sub top () { return $top }

# The path of a program: in $DDB_BUILD, in the folder where `make check` runs, or where ./cluster builds. undef: not built.
sub program ($name) {
	for my $dir (grep { defined } $ENV{DDB_BUILD}, getcwd(), "$top/build", $top) {
		return abs_path("$dir/cgi/$name") if -x "$dir/cgi/$name";
	}
	return undef;
}

# A fresh folder for a node that nobody else knows, with its ddb.conf. Returns the folder; it goes with the test.
# Options: name (n1), conf => { setting => value }.
sub node_folder (%opt) {
	my $dir = tempdir('ddb-node-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	make_path("$dir/run");
	my %conf = (name => $opt{name} // 'n1', data => "$dir/data", run => "$dir/run", url => 'http://127.0.0.1:9',
		peer_url => 'http://127.0.0.1:9', ($opt{conf} // {})->%*);
	open my $file, '>', "$dir/ddb.conf" or die "$dir/ddb.conf: $!\n";
	print $file map { "$_ = $conf{$_}\n" } sort keys %conf;
	close $file or die "$dir/ddb.conf: $!\n";
	return $dir;
}

1;
