# Says whether copies of a database are the same, without asking DDB: the sqlite3 command line reads the files.
#
# A copy is read in one transaction. Compared are: the schema, every row of every table with its rowid and with exact
# values (also of shadow tables, sqlite_sequence and statistics), PRAGMA integrity_check and foreign_key_check, FTS5's
# own integrity-check (on a copy, as it is an INSERT), and the journals: equal heads with equal hashes, equal rows where
# both have them, and no gap.
package DDB::Compare;
use v5.36;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Exporter qw(import);
our @EXPORT_OK = qw(sqlite rows_of dump_copy differences head_of);

# Runs SQL with the sqlite3 command line on a file, read only (a reader that closes last must not checkpoint). Returns
# the output's lines; dies with sqlite3's message.
sub sqlite ($file, $sql) {
	my @line;
	_run([ 'sqlite3', '-batch', '-readonly', '-bail', '-cmd', '.timeout 10000', "file:" . _uri($file) . '?mode=ro' ], $sql,
		sub ($l) { push @line, $l });
	return @line;
}

sub _uri ($file) { return $file =~ s/([?#%])/sprintf '%%%02x', ord $1/ger }

# One value from a query.
sub rows_of ($file, $table) { return (sqlite($file, "select count(*) from $table"))[0] }

# (epoch, seq, hash in hex) of the last journal row.
sub head_of ($file) {
	my ($line) = sqlite($file, 'select epoch, seq, hex(hash) from ddb_journal order by seq desc limit 1');
	return $line ? split /\|/, $line : (0, 0, '');
}

# Feeds SQL to a command and hands each line of its output to $take.
sub _run ($cmd, $sql, $take) {
	my $in = File::Temp->new(TEMPLATE => 'ddb-sql-XXXXXX', TMPDIR => 1);
	my $err = File::Temp->new(TEMPLATE => 'ddb-err-XXXXXX', TMPDIR => 1);
	binmode $in, ':raw';
	print $in $sql, "\n";
	close $in;
	my $pid = open(my $out, '-|') // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', "$in" or POSIX::_exit(127);
		open STDERR, '>', "$err" or POSIX::_exit(127);
		exec @$cmd or POSIX::_exit(127);
	}
	binmode $out, ':raw';
	while (my $line = <$out>) {
		chomp $line;
		$take->($line);
	}
	my $ok = close $out;
	open my $e, '<', "$err" or die "$err: $!";
	my $said = do { local $/; <$e> };
	die "sqlite3 (status $?) on $cmd->[-1]: $said\n" if !$ok || $said =~ /\S/;
	return;
}

sub _id ($name) { return '"' . ($name =~ s/"/""/gr) . '"' }

# The SELECT that prints a table's rows exactly: text as hex (quote() stops at a NUL), reals as SQLite's own round-trip
# form, everything with its type.
sub _select ($table, $columns, $has_rowid, $key) {
	my @e = map {
		my $c = _id($_);
		"case typeof($c) when 'text' then 't'||hex($c) when 'blob' then 'b'||hex($c) else quote($c) end"
	} @$columns;
	unshift @e, q{'#'||rowid} if $has_rowid;
	my $order = $has_rowid ? 'order by rowid' : @$key ? 'order by ' . join ',', map { _id($_) } @$key : '';
	return "select '  '||" . join("||'|'||", @e) . ' from ' . _id($table) . " $order;\n";
}

# Writes a copy's whole content to $to as text, one row a line, each table under a line with its name.
sub dump_copy ($file, $to) {
	my (@table, %col);
	# One statement finds everything needed to write the next script.
	my @line = sqlite($file, <<~'SQL');
		select hex(m.name)||'|'||m.type||'|'||coalesce((select l.type||','||l.wr from pragma_table_list(m.name) l
		       where l.schema='main'), '')||'|'||group_concat(hex(x.name)||':'||x.pk||':'||x.hidden, ' ')
		  from sqlite_schema m, pragma_table_xinfo(m.name) x
		 where m.type='table' and m.name not like 'ddb\_%' escape '\'
		 group by m.name order by m.name;
		SQL
	my $script = "begin;\n.print header\nselect '  '||user_version from pragma_user_version;\nselect '  '||application_id from pragma_application_id;\n.print schema\n"
		. "select '  '||type||'|'||name||'|'||tbl_name||'|'||coalesce(hex(sql),'') from sqlite_schema order by type, name;\n";
	my @fts;
	for (@line) {
		my ($name, $type, $how, $cols) = split /\|/;
		$name = pack 'H*', $name;
		my ($kind, $without_rowid) = split /,/, $how;
		my (@names, %pk, $rowid_taken);
		for (split / /, $cols) {
			my ($c, $pk, $hidden) = split /:/;
			$c = pack 'H*', $c;
			next if $hidden == 1;                # a virtual table's hidden column
			push @names, $c;
			$pk{$c} = $pk if $pk;
			$rowid_taken ||= lc $c eq 'rowid';
		}
		my $rowid = !$without_rowid && !$rowid_taken;
		# Shadow tables hold what a virtual table returns; virtual tables are read as well, through their module. Ones
		# without content (FTS5 content='') return NULLs, which is fine.
		$script .= ".print 'table " . ($name =~ s/'/''/gr) . "'\n"
			. _select($name, \@names, $rowid, [ sort { $pk{$a} <=> $pk{$b} } keys %pk ]);
	}
	$script .= ".print integrity\nselect '  '||integrity_check from pragma_integrity_check;\n"
		. "select '  foreign key of '||\"table\"||' row '||coalesce(rowid,'') from pragma_foreign_key_check;\ncommit;\n";
	open my $out, '>:raw', $to or die "$to: $!";
	_run([ 'sqlite3', '-batch', '-readonly', '-bail', '-cmd', '.timeout 10000', 'file:' . _uri($file) . '?mode=ro' ],
		$script, sub ($l) { print $out "$l\n" });
	close $out or die "$to: $!";
	return;
}

# Nodes prune when it suits them: only what all of them still have is compared.
sub _cut_journals (@files) {
	my ($from) = sort { $b <=> $a } map { open my $in, '<:raw', $_ or die "$_: $!"; (<$in> // '') =~ /^(\d+)\|/ ? $1 : 0 } @files;
	for my $file (@files) {
		open my $in, '<:raw', $file or die "$file: $!";
		open my $out, '>:raw', "$file.cut" or die "$file.cut: $!";
		while (my $row = <$in>) { print $out $row if $row =~ /^(\d+)\|/ && $1 >= $from }
		close $out or die "$file.cut: $!";
		rename "$file.cut", $file or die "$file: $!";
	}
	return;
}

sub _dump_journal ($file, $to) {
	open my $out, '>:raw', $to or die "$to: $!";
	_run([ 'sqlite3', '-batch', '-readonly', '-bail', 'file:' . _uri($file) . '?mode=ro' ],
		"select seq, epoch, at_ms, seed, kind, changes, hex(hash), hex(body) from ddb_journal order by seq;",
		sub ($l) { print $out "$l\n" });
	close $out or die "$to: $!";
	return;
}

# FTS5 tables of the file that fail their own check.
sub _fts_complaints ($file) {
	my @fts = sqlite($file, q{select name from sqlite_schema where type='table' and sql like 'create virtual table%using fts5%'
		and sql not like '%content=''''%' and sql not like '%content=""%';}) or return;
	my $dir = tempdir('ddb-fts-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my $copy = "$dir/copy.db";
	# sqlite3's .backup is one consistent snapshot; a file copy of a live database would not be.
	_run([ 'sqlite3', '-batch', '-readonly', '-bail', 'file:' . _uri($file) . '?mode=ro' ], ".backup $copy", sub { });
	my @bad;
	for my $t (@fts) {
		eval { _run([ 'sqlite3', '-batch', '-bail', $copy ], 'insert into ' . _id($t) . '(' . _id($t)
			. ") values('integrity-check');", sub { }); 1 } or push @bad, "FTS5 table $t: $@";
	}
	return @bad;
}

# Differences between copies, as lines for people; none when all are equal and sound. $copies: [[name, file], …], the
# first is the master's. Works in $dir (a scratch folder).
sub differences ($copies, $dir) {
	my ($first, @bad, %head) = ($copies->[0][0]);
	for my $copy (@$copies) {
		my ($name, $file) = @$copy;
		my ($n, $least, $most) = split /\|/, (sqlite($file, 'select count(*), min(seq), max(seq) from ddb_journal'))[0];
		push @bad, "$name: the journal has gaps: $n rows from $least to $most" if $n != $most - $least + 1;
		$head{$name} = join '.', head_of($file);
		push @bad, "$name stands at $head{$name}, $first at $head{$first}" if $head{$name} ne $head{$first};
		dump_copy($file, "$dir/$name.rows");
		_dump_journal($file, "$dir/$name.journal");
		my @sound = _section("$dir/$name.rows", 'integrity');
		push @bad, map { "$name: $_" } @sound if "@sound" ne '  ok';
		push @bad, map { "$name: $_" } _fts_complaints($file);
	}
	_cut_journals(map { "$dir/$_->[0].journal" } @$copies);
	for my $name (map { $_->[0] } @$copies) {
		for my $part (qw(rows journal)) {
			next if $name eq $first || system('cmp', '-s', "$dir/$first.$part", "$dir/$name.$part") == 0;
			push @bad, "$part of $first (<) and $name (>) differ:", _diff("$dir/$first.$part", "$dir/$name.$part");
		}
	}
	return @bad;
}

sub _section ($file, $title) {
	my ($in, @line);
	open my $h, '<:raw', $file or die "$file: $!";
	while (<$h>) {
		chomp;
		if (/^\S/) { $in = $_ eq $title }
		elsif ($in) { push @line, $_ }
	}
	return @line;
}

sub _diff ($one, $other) {
	open my $h, '-|', 'diff', $one, $other or die "diff: $!";
	my @line;
	while (<$h>) {
		chomp;
		push @line, substr $_, 0, 300 if @line < 20;
	}
	close $h;
	return @line;
}

1;
