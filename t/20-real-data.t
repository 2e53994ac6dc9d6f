#!/usr/bin/perl
# Real data through the front door: Debian's package list with a full-text index, and the table of Unicode characters.
# What was loaded is compared with its source, every node with the master.
use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use DDB::Cluster;
use DDB::Compare qw(sqlite);
use DDB::Data qw(available_packages unicode_characters);
use Test::More;

my $c = DDB::Cluster->new;
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

subtest 'packages' => sub {
	my ($n, %section, $kib, %like);
	my $most = DDB::Cluster::long() ? undef : 30_000;
	available_packages(sub ($p) {
		$n++;
		$section{ $p->{Section} // '' }++;
		$kib += $p->{'Installed-Size'} // 0;
		$like{ $p->{Package} } = $p if $p->{Package} =~ /^(?:sqlite3|nginx|haproxy|coreutils|bash)$/;
		return !$most || $n < $most;
	});
	cmp_ok($n, '>', 20_000, 'the machine knows tens of thousands of packages')
		or diag('only those that are installed: apt-get update brings the rest');
	my $began = DDB::Client::now();
	my $said = `$^X $FindBin::Bin/data/load-packages @{[ $most ? "-n $most" : '' ]} $c->{url} 2>&1`;
	is($?, 0, 'loaded through HAProxy') or diag($said);
	diag(sprintf '%d packages loaded in %.1f s', $n, DDB::Client::now() - $began);
	like($said, qr/\n\nFull text: .*\n(?:  \S.*\n)+/, 'and full-text queries were answered');
	$c->wait_in_sync;
	$c->same('packages', 'after the load');
	is($c->one('packages', 'select count(*) from package'), $n, 'all are there');
	is($c->one('packages', 'select sum(kib) from package'), $kib, 'with their sizes');
	is_deeply($c->query('packages', 'select section, count(*) from package where section is not null group by section order by section'),
		[ map { [ $_, $section{$_} ] } sort grep { $_ ne '' } keys %section ], 'and sections');
	for my $name (sort keys %like) {
		my $row = $c->query('packages', 'select version, summary, maintainer from package where name = ? order by id desc', $name)->[0];
		is_deeply($row, [ $like{$name}->@{qw(Version Description Maintainer)} ], "$name: its very texts");
	}
	# Each slave answers full-text queries from its own index, alike.
	my %answer;
	for my $node ($c->nodes) {
		my $r = $c->post('/v1/db/packages/query', { sql => 'select p.name from package_fts f join package p on p.id = f.rowid'
			. ' where package_fts match ? order by rank, p.id', params => ['sql AND (database OR server)'] }, node => $node);
		is($r->{headers}{'ddb-node'}, $node, "$node answers itself");
		$answer{$node} = join ' ', map { $_->[0] } $r->{json}{rows}->@*;
	}
	is($answer{$_}, $answer{n1}, "full text at $_ as at the master") for $c->slaves;
	like(" $answer{n1} ", qr/ \S*sql\S* /, "finds what it should");
	my ($packed) = sqlite($c->file('n2', 'packages'), 'select count(*) from package where packed is not round(kib*1024.0/nullif(bytes,0),2)');
	is($packed, 0, 'the generated column holds what it says, on a slave');
	# The index follows its table.
	$c->execute('packages', q{update package set summary = 'xylophonic ' || summary where name glob 'a*'});
	$c->execute('packages', q{delete from package where name glob 'b*'});
	my $a = $c->one('packages', q{select count(*) from package where name glob 'a*'});
	is($c->one('packages', q{select count(*) from package_fts where package_fts match 'xylophonic'}), $a, 'triggers keep the index in step');
	$c->converged('after updates of an eighth of the rows');
};

subtest 'unicode' => sub {
	my $said = `$^X $FindBin::Bin/data/load-unicode $c->{url} 2>&1`;
	is($?, 0, 'loaded through HAProxy') or diag($said);
	my %want;
	my $n = unicode_characters(sub ($u) { $want{ $u->{code} } = $u; 1 });
	my ($pages, $after, %got) = (0, 0);
	while (1) {
		my $rows = $c->query('unicode', 'select code, character, name, category, upper, hex from character where code >= ? order by code limit 10000', $after);
		last if !@$rows;
		$got{ $_->[0] } = $_ for @$rows;
		$after = $rows->[-1][0] + 1;
		$pages++;
	}
	is(scalar(keys %got), $n, "all $n characters came back, in $pages pages");
	my @bad = grep {
		my ($w, $g) = ($want{$_}, $got{$_});
		!$g || ($g->[1] // 'null') ne ($w->{character} // 'null') || $g->[2] ne $w->{name} || $g->[3] ne $w->{category}
			|| ($g->[4] // -1) != ($w->{upper} // -1) || $g->[5] ne sprintf 'U+%04X', $_
	} sort { $a <=> $b } keys %want;
	is(scalar(@bad), 0, 'each of them exactly') or diag("first: $bad[0]");
	is_deeply($c->query('unicode', 'select code from character where name = ? and character = ?', 'snowman', "\x{2603}"), [ [0x2603] ],
		'found by a name without regard to case, and as text');
	$c->converged('after the load');
};

$c->clean_logs;
done_testing;
