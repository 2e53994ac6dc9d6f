#!/usr/bin/perl
# The API's description of itself: it has each route of the table and no other, each error code, and no loose ends.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(node_folder program);
use DDB::Program qw(cgi run_program);
use JSON::PP;
use Test::More;

plan skip_all => 'status is not built' if !program('status');

my $r = cgi('status', GET => '/openapi.json', conf => node_folder() . '/ddb.conf');
is($r->{status}, 200, 'GET /openapi.json') or diag(explain($r));
my $doc = JSON::PP->new->utf8->decode($r->{body});
is($doc->{openapi}, '3.1.0', 'its version of the format');

my (undef, $table) = run_program('status', args => ['--routes']);
my %route = map { my ($method, $path, undef, $listener) = split /\t/; $listener eq 'peers' ? () : ("$method $path" => 1) } split /\n/, $table;
cmp_ok(scalar keys %route, '>', 25, 'the table of routes was read');
my %described;
for my $path (sort keys $doc->{paths}->%*) {
	$described{ uc($_) . " $path" } = $doc->{paths}{$path}{$_} for keys $doc->{paths}{$path}->%*;
}
is_deeply([ sort keys %described ], [ sort keys %route ], 'the routes are those of the table, without the peers\'');

my (%used, %id);
sub walk ($node) {
	if (ref $node eq 'HASH') {
		$used{ $node->{'$ref'} } = 1 if defined $node->{'$ref'} && !ref $node->{'$ref'};
		walk($_) for values %$node;
	}
	elsif (ref $node eq 'ARRAY') { walk($_) for @$node }
	return;
}
walk($doc);
my %there = map { my $section = $_; map { ("#/components/$section/$_" => 1) } keys $doc->{components}{$section}->%* } keys $doc->{components}->%*;
is_deeply([ grep { !$there{$_} } sort keys %used ], [], 'what is referred to is there');
is_deeply([ grep { !$used{$_} } sort keys %there ], [], 'and what is there is referred to');

for my $what (sort keys %described) {
	my $op = $described{$what};
	ok(!$id{ $op->{operationId} }++, "$what: an operationId of its own");
	my @in_path = $what =~ /\{(\w+)\}/g;
	is_deeply([ map { $_->{name} } grep { ($_->{in} // '') eq 'path' } $op->{parameters}->@* ], \@in_path, "$what: the parameters of its address");
	ok((grep { /^2/ } keys $op->{responses}->%*), "$what: an answer when all is well");
	ok(length $op->{summary} && $op->{tags}->@* == 1, "$what: a sentence and a group");
}

open my $in, '<', "$FindBin::Bin/../lib/base/err.c" or die "err.c: $!";
my @codes = map { /^\t\[ERR_(?!OK\])\w+\] = \{"(\w+)"/ ? $1 : () } <$in>;
cmp_ok(scalar @codes, '>', 30, 'the table of errors was read');
is_deeply([ sort $doc->{components}{schemas}{Problem}{properties}{code}{enum}->@* ], [ sort @codes ], 'each error code is named');
done_testing;
