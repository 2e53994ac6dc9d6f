#!/usr/bin/perl
# What the tree promises: parts depend one way, each library has one door, nothing uses what cannot be used safely, and
# the Makefile knows every file.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(top);
use Test::More;

chdir top() or die;
my %rank = (base => 1, http => 2, sql => 2, journal => 3, cluster => 4, api => 5);

sub text_of ($path) {
	open my $f, '<', $path or die "$path: $!\n";
	local $/;
	return scalar <$f>;
}

# The code alone: without comments, and with empty strings.
sub code_of ($path) {
	my $code = text_of($path);
	$code =~ s{(/\*.*?\*/)|("(?:\\.|[^"\\\n])*")|('(?:\\.|[^'\\\n])+')|(//[^\n]*)}
		{ my $all = $&; my $lines = $all =~ tr/\n//; defined $2 ? '""' : defined $3 ? "' '" : "\n" x $lines }gesx;
	return $code;
}

sub includes_of ($path) { return text_of($path) =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/mg }

my @source = sort map { glob } 'lib/*/*.[ch]', 'cgi/*.[ch]';
cmp_ok(scalar @source, '>', 50, 'the sources were found: ' . @source);

subtest 'parts depend one way: base < http, sql < journal < cluster < api < cgi' => sub {
	for my $file (@source) {
		my ($part) = $file =~ m{^lib/(\w+)/};
		my @wrong = grep {
			my ($of) = m{^lib/(\w+)/};
			defined $part && (m{^(?:cgi|t)/} || (defined $of && $of ne $part && $rank{$of} >= $rank{$part}))
		} includes_of($file);
		ok(!@wrong, $file) or diag("includes @wrong");
	}
};

subtest 'headers do not include each other in circles' => sub {
	my %state;
	my $visit;
	$visit = sub ($file, @path) {
		return if ($state{$file} // '') eq 'done' || !-e $file;
		if (($state{$file} // '') eq 'open') {
			fail("a circle: @path $file");
			return;
		}
		$state{$file} = 'open';
		$visit->($_, @path, $file) for grep { m{^lib/} } includes_of($file);
		$state{$file} = 'done';
	};
	$visit->($_) for grep { /\.h$/ } @source;
	pass('all headers visited');
};

# [what is included, who may, why]
my @door = (
	[qr{^fcgi}, qr{^lib/http/serve\.c$}, 'FastCGI is known to serve.c alone'],
	[qr{^curl/}, qr{^lib/cluster/}, 'other nodes are called from lib/cluster alone'],
	[qr{^sqlite3}, qr{^lib/sql/}, 'lib/sql is the door to SQLite'],
	[qr{^db/schema\.h$}, qr{^lib/(?:journal|cluster)/}, 'the schema is made in lib/journal and lib/cluster'],
);
for my $door (@door) {
	my ($what, $who, $why) = @$door;
	my @wrong = grep { my $f = $_; $f !~ $who && grep { $_ =~ $what } includes_of($f) } @source;
	is_deeply(\@wrong, [], $why);
}

# Functions that cannot be used safely, that are not for threads, or that hide a shell.
my @banned = qw(strcpy strcat strncpy strncat stpcpy sprintf vsprintf gets strtok asctime ctime gmtime localtime getpwnam
	getgrnam gethostbyname readdir_r tmpnam tempnam mktemp alloca setjmp longjmp system popen rand srand random drand48
	signal_handler sleep);
subtest 'no function that cannot be used safely' => sub {
	my $any = join '|', @banned;
	for my $file (@source) {
		my $code = code_of($file);
		my @found;
		while ($code =~ /(?<![\w.>])($any)\s*\(/g) {
			push @found, "$1 in line " . (1 + (substr($code, 0, $-[0]) =~ tr/\n//));
		}
		ok(!@found, $file) or diag(join ', ', @found);
	}
};

subtest 'a header says what it is for, and is read once' => sub {
	for my $file (grep { /\.h$/ } @source) {
		my $text = text_of($file);
		my $guard = 'DDB_' . uc($file =~ s{^lib/}{}r =~ s{[/.]}{_}gr);
		ok($text =~ m{\A/\*.*?\*/\s*#ifndef $guard\n#define $guard\n.*#endif\s*\z}s, $file);
	}
};

subtest 'files stay short enough to be read' => sub {
	for my $file (@source) {
		my $lines = text_of($file) =~ tr/\n//;
		ok($lines <= 700, "$file") or diag("$lines lines");
	}
};

subtest 'the Makefile knows every file' => sub {
	my $make = text_of('Makefile.am');
	for my $file (@source, glob('t/unit/*.c'), glob('db/*.sql')) {
		ok($make =~ /(?<![\w\/.])\Q$file\E(?![\w.])/, $file);
	}
};

subtest 'tests can be run, and are in what is distributed' => sub {
	my $make = text_of('Makefile.am');
	for my $file (glob 't/*.t') {
		ok(-x $file, "$file is a program");
		ok($make =~ /(?<![\w\/.])\Q$file\E(?![\w.])/, "the Makefile knows $file");
	}
};

subtest 'nothing is left for later in the code' => sub {
	for my $file (@source) {
		my @left = text_of($file) =~ /\b(TODO|FIXME|XXX|HACK)\b/g;
		ok(!@left, $file) or diag("@left");
	}
};

done_testing;
