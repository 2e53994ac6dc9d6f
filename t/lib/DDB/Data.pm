# Real data that every Debian machine has: its list of packages, and the table of Unicode characters.
package DDB::Data;
use v5.36;
use Encode qw(decode encode FB_DEFAULT);
use Exporter qw(import);
our @EXPORT_OK = qw(available_packages unicode_characters json_string);

my %escape = ("\n" => '\n', "\t" => '\t', "\r" => '\r', '"' => '\"', '\\' => '\\\\');

# A string as JSON, in UTF-8: of characters. JSON::PP would need minutes for the data used here.
sub json_string ($text) {
	$text =~ s/(["\\\x00-\x1f])/$escape{$1} \/\/ sprintf '\\u%04x', ord $1/ge;
	utf8::encode($text);
	return "\"$text\"";
}

# Calls $take with each package as a hash of its fields, until it returns false. Machines without apt's lists still have
# the packages that are installed.
sub available_packages ($take) {
	open my $in, '-|', 'apt-cache', 'dumpavail' or die "apt-cache: $!";
	my $n = _records($in, $take);
	{
		local ($!, $?);
		close $in;               # not read to its end: apt-cache's status says nothing
	}
	return $n if $n;
	open $in, '<', '/var/lib/dpkg/status' or die "/var/lib/dpkg/status: $!";
	return _records($in, $take);
}

sub _records ($in, $take) {
	local $/ = '';
	my $n = 0;
	while (my $record = <$in>) {
		$record = decode('UTF-8', $record, FB_DEFAULT);
		chomp $record;
		$record =~ s/\n[ \t]/ /g;            # folded lines
		my %p = $record =~ /^([\w-]+):[ \t]*(.*)$/mg;
		next if !defined $p{Package} || !defined $p{Version};
		$p{Description} //= '';
		$p{Description} =~ s/ {2,}.*//s;     # the summary; longer texts are not in every list
		$n++;
		last if !$take->(\%p);
	}
	return $n;
}

# Calls $take with each character of UnicodeData.txt. Surrogates are no characters that UTF-8 can hold: their
# `character` is undefined.
sub unicode_characters ($take) {
	my $file = '/usr/share/unicode/UnicodeData.txt';
	open my $in, '<', $file or die "$file: $! (Debian package unicode-data)\n";
	my $n = 0;
	while (<$in>) {
		chomp;
		my @f = split /;/, $_, -1;
		my $code = hex $f[0];
		$take->({
			code => $code,
			character => $code >= 0xd800 && $code <= 0xdfff ? undef : chr $code,
			name => $f[1] eq '<control>' && $f[10] ne '' ? $f[10] : $f[1],
			category => $f[2], combining => $f[3], numeric => $f[8] ne '' ? $f[8] : undef,
			upper => $f[12] ne '' ? hex $f[12] : undef, lower => $f[13] ne '' ? hex $f[13] : undef,
		});
		$n++;
	}
	return $n;
}

1;
