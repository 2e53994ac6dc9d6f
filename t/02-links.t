#!/usr/bin/perl
# The programs are split by what they may do: what reads does not even contain what writes.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Build qw(program);
use Test::More;

plan skip_all => 'no nm' if !grep { -x "$_/nm" } split /:/, $ENV{PATH};

my %may_not = (
	read => qr/^(?:writer_\w+|op_run|apply_\w+|catalog_(?!name_ok)\w+|node_(?!state_)\w+|replica_\w+|pool_(?!pending)\w+)$/,
	status => qr/^(?:writer_\w+|op_\w+|apply_\w+|catalog_\w+|node_(?!state_)\w+|replica_\w+|query_\w+)$/,
);
for my $name (sort keys %may_not) {
	my $path = program($name);
	SKIP: {
		skip "$name is not built", 2 if !$path;
		my @symbol = map { /\s[Tt]\s(\w+)$/ ? $1 : () } qx{nm "$path"};
		skip "$name has no symbols", 2 if !@symbol;
		is_deeply([grep { $_ =~ $may_not{$name} } @symbol], [], "$name holds nothing that writes");
		is_deeply([grep { /\bcurl_/ } qx{nm -u "$path"}], [], "$name calls no other node");
	}
}
done_testing;
