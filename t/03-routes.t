#!/usr/bin/perl
# nginx and HAProxy send each request where the table of routes says. Their rules are read from the templates and
# applied to an example of every row.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(top program);
use DDB::Program qw(run_program cgi);
use DDB::Build qw(node_folder);
use Test::More;

plan skip_all => 'read is not built' if !program('read');

my @field = qw(method pattern program listener backend access body_max);
my ($exit, $out) = run_program('read', args => ['--routes']);
my @route = map { my %r; @r{@field} = split /\t/; \%r } split /\n/, $out;
cmp_ok(scalar @route, '>', 30, 'the table was read');
my %seen;
ok(!(grep { $seen{"$_->{listener} $_->{method} " . $_->{pattern} =~ s/\{\w+\}/{}/gr}++ } @route), 'no two rows for the same request');
$_->{uri} = $_->{pattern} =~ s/\{(\w+)\}/{ db => 'shop', table => 'my t', key => 'a b', slave => 'n2' }->{$1}/ger for @route;

sub text_of ($path) {
	open my $f, '<', top() . "/$path" or die "$path: $!\n";
	local $/;
	return scalar <$f>;
}

# ---- nginx ----

my $nginx = text_of('nginx/node.conf.in') =~ s/^\s*#.*$//mgr;

# What a map of "$request_method $uri" gives for a request.
sub mapped ($variable, $method, $uri) {
	my ($body) = $nginx =~ /map "\$request_method \$uri" \$$variable \{(.*?)\n    \}/s or die "no map of $variable";
	my $default;
	while ($body =~ /^\s*(?:default|"~([^"]*)")\s+(\S+);/mg) {
		my ($regex, $value) = ($1, $2 =~ s/"//gr);
		$default = $value if !defined $regex;
		return $value if defined $regex && "$method $uri" =~ /$regex/;
	}
	return $default;
}

sub location_regex ($server) {
	my ($text) = $nginx =~ /(listen \@\U$server\E_LISTEN\@.*?)(?=listen \@|\z)/s or die;
	return map { qr/$_/ } $text =~ /location ~ (\S+) \{\s*(?:client_max|fastcgi_pass)/g;
}

my ($public) = location_regex('public');
my ($peers) = location_regex('peers');
subtest 'nginx' => sub {
	for my $r (@route) {
		for my $method ($r->{method}, $r->{method} eq 'GET' ? 'HEAD' : ()) {
			my $what = "$method $r->{pattern}";
			if ($r->{listener} eq 'peers') {
				like($r->{uri}, $peers, "$what is on the peers' listener");
				unlike($r->{uri}, $public, "$what is not on the public one");
				next;
			}
			like($r->{uri}, $public, "$what is on the public listener");
			unlike($r->{uri}, $peers, "$what is not on the peers' one");
			my $want = "ddb_$r->{program}" . ($r->{listener} eq 'health' ? '_health' : '');
			is(mapped(ddb_program => $method, $r->{uri}), $want, "$what goes to $want");
			is(mapped(ddb_is_read => $method, $r->{uri}), $method =~ /GET|HEAD/ || $r->{backend} eq 'reads' ? 1 : '',
				"$what may be answered by another node, or not");
		}
	}
	my %unit = (k => 1024, m => 1024 ** 2);
	my ($all, $for_peers) = map { /(\d+)([km])/ ? $1 * $unit{$2} : $_ } $nginx =~ /client_max_body_size\s+(\w+);/g;
	for my $r (@route) {
		my $limit = $r->{listener} eq 'peers' ? $for_peers : $all;
		cmp_ok($limit, '>=', $r->{body_max}, "nginx lets the largest body of $r->{method} $r->{pattern} pass");
	}
};

# ---- HAProxy ----

my $haproxy = text_of('haproxy/haproxy.cfg.in') =~ s/^\s*#.*$//mgr;
my ($frontend) = $haproxy =~ /^frontend ddb\n(.*?)^backend /ms or die 'no frontend';
my %acl;
push $acl{$1}->@*, [$2, split ' ', $3] while $frontend =~ /^\s+acl (\w+)\s+(method|path\w*)\s+(.*)$/mg;

sub holds ($name, $method, $uri) {
	for my $test ($acl{$name}->@*) {
		my ($how, @value) = @$test;
		for my $v (@value) {
			return 1 if $how eq 'method' && $method eq $v or $how eq 'path' && $uri eq $v
				or $how eq 'path_beg' && index($uri, $v) == 0 or $how eq 'path_reg' && $uri =~ /$v/;
		}
	}
	return 0;
}

# The frontend's rules, all nodes being well.
sub backend ($method, $uri) {
	my $read = holds(is_read => $method, $uri) || ($method eq 'POST' && holds(is_query => $method, $uri));
	return !$read || holds(is_pool => $method, $uri) ? 'writes' : 'reads';
}

subtest 'HAProxy' => sub {
	my @use = $frontend =~ /^\s+use_backend (.*)$/mg;
	is_deeply([map { s/\s+/ /gr } @use], ['writes if !read', 'any if is_pool no_master', 'writes if is_pool', 'reads if !no_reader',
		'reads_stale if is_data'], 'the order of its rules is the one that this test applies');
	for my $r (grep { $_->{listener} eq 'public' && $_->{backend} ne 'node' } @route) {
		is(backend($r->{method}, $r->{uri}), $r->{backend}, "$r->{method} $r->{pattern} goes to $r->{backend}");
	}
	my @repeated = grep { $_->{method} !~ /GET/ && backend($_->{method}, $_->{uri}) eq 'reads' } @route;
	is_deeply([map { $_->{pattern} } @repeated], ['/v1/db/{db}/query'], 'of all that is not GET, only queries may be repeated');
};

# ---- the programs ----

subtest 'each program answers its rows' => sub {
	my $conf = node_folder() . '/ddb.conf';
	run_program('write', args => ['-c', $conf, 'init-master']) if program('write');
	for my $r (@route) {
		next if !program($r->{program});
		my $got = cgi($r->{program}, $r->{method}, $r->{uri} =~ s/ /%20/gr, conf => $conf, env => { DDB_LISTENER => $r->{listener} });
		my $code = $got->{json}{code} // '';
		ok($got->{status} && $code !~ /^(?:misdirected|not_found|method_not_allowed)$/,
			"$r->{program} answers $r->{method} $r->{pattern} ($got->{status} $code)") or diag $got->{raw}, $got->{stderr};
	}
};

done_testing;
