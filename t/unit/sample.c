/* dist/ddb.conf, the sample configuration, says what the table in
 * lib/base/conf.h says. `t/unit/sample.t --print` makes it anew. */
#include "lib/base/conf.h"
#include "lib/base/file.h"
#include "t/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static const char head[] =
	"# Configuration of one DDB node: `key = value` lines; '#' begins a comment. The\n"
	"# programs read it when they start (-c FILE, or $DDB_CONF). All nodes of a\n"
	"# cluster should have the same settings below the first five.\n"
	"\n"
	"# This node's name: letters, digits, - and _. It never changes.\n"
	"name = n1\n"
	"\n"
	"# Folder of the databases, the journals in them, and node.db.\n"
	"data = /var/lib/ddb\n"
	"\n"
	"# Folder of sockets and state files.\n"
	"run = /run/ddb\n"
	"\n"
	"# Address of this node's nginx for clients, HAProxy and forwarded requests.\n"
	"url = http://127.0.0.1:8001\n"
	"\n"
	"# Address of this node's nginx for the other nodes. Strangers must not reach it.\n"
	"peer_url = http://127.0.0.1:8101\n"
	"\n"
	"# What a master does after a reboot while no other node answers: wait (the safe\n"
	"# way: another node may have been made master) or go.\n"
	"#alone = wait\n";

/* Adds text as comment lines of at most 80 columns. */
static void add_comment(struct buf *b, const char *text)
{
	size_t column = 0;
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column > 0 && column + 1 + word > 79) {
			buf_add_char(b, '\n');
			column = 0;
		}
		buf_add_str(b, column ? " " : "# ");
		column += column ? 1 : 2;
		buf_add(b, text, word);
		column += word;
		text += word;
		text += *text == ' ';
	}
	buf_add_char(b, '\n');
}

static void add_setting(struct buf *b, const char *key, int64_t value, int64_t least, int64_t most, const char *text)
{
	char line[400];
	snprintf(line, sizeof line, "%c%s (%" PRId64 " to %" PRId64 ").", text[0] >= 'a' ? text[0] - 32 : text[0], text + 1,
		least, most);
	/* a unit keeps its spelling */
	if (strncmp(text, "ms ", 3) == 0)
		line[0] = 'm';
	buf_add_char(b, '\n');
	add_comment(b, line);
	buf_addf(b, "#%s = %" PRId64 "\n", key, value);
}

static void make(struct buf *b)
{
	buf_add_str(b, head);
#define X(key, value, least, most, text) add_setting(b, #key, value, least, most, text);
	CONF_NUMBERS(X)
#undef X
}

static void test_defaults(const char *path)
{
	struct conf sample, plain;
	struct err e = ERR_INIT;
	is_int(conf_load(&sample, path, &e), ERR_OK, "the sample can be loaded as it is");
	if (e.code)
		printf("# %s\n", e.text);
	conf_init(&plain);
	ok(sample.alone == plain.alone && sample.heartbeat_ms == plain.heartbeat_ms, "and changes no default");
}

/* Every setting's comment lines, once uncommented, are accepted. */
static void test_uncommented(const struct buf *text)
{
	char path[] = "/tmp/ddb-sample-XXXXXX";
	int fd = mkstemp(path);
	struct buf open = BUF_INIT(1 << 20);
	struct conf c;
	struct err e = ERR_INIT;
	close(fd);
	for (const char *line = text->data; *line; line += strcspn(line, "\n") + 1) {
		bool setting = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
		buf_add(&open, line + setting, strcspn(line, "\n") + 1 - setting);
	}
	file_replace(path, open.data, open.len, false, &e);
	is_int(conf_load(&c, path, &e), ERR_OK, "every default is within its own bounds");
	if (e.code)
		printf("# %s\n", e.text);
	buf_release(&open);
	unlink(path);
}

int main(int argc, char **argv)
{
	struct buf want = BUF_INIT(1 << 20), have = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	char path[PATH_MAX];
	make(&want);
	if (argc > 1) {
		fputs(want.data, stdout);
		buf_release(&want);
		return 0;
	}
	const char *top = getenv("srcdir");
	snprintf(path, sizeof path, "%s/dist/ddb.conf", top ? top : ".");
	file_read(path, &have, &e);
	is_str(have.data, want.data, "dist/ddb.conf says what lib/base/conf.h says");
	if (!e.code)
		test_defaults(path);
	test_uncommented(&want);
	buf_release(&want);
	buf_release(&have);
	return tap_done();
}
