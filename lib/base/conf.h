/* A node's configuration: one table of settings with their defaults, bounds
 * and meanings, from which the parser, the sample file dist/ddb.conf (checked
 * by a test) and the documentation follow. */
#ifndef DDB_BASE_CONF_H
#define DDB_BASE_CONF_H

#include "lib/base/err.h"

#include <limits.h>
#include <stdint.h>

/* X(key, default, least, most, unit and meaning). All are 64-bit integers. */
#define CONF_NUMBERS(X) \
	X(heartbeat_ms, 250, 50, 10000, "ms between two heartbeats of the master to each slave") \
	X(silent_ms, 3000, 500, 600000, "ms without a heartbeat after which a slave calls its master silent, and the master a slave down") \
	X(lag_ms, 1000, 50, 600000, "ms behind the master beyond which a slave leaves the rotation as lagging") \
	X(max_stale_ms, 3600000, 0, 864000000, "ms for which slaves that were in sync go on answering reads while there is no master; 0: never") \
	X(min_seq_wait_ms, 150, 0, 10000, "ms a slave waits for the position a read asks for before it passes the read to the master") \
	X(sync_wait_ms, 5000, 10, 600000, "ms a write with DDB-Sync waits for its slaves") \
	X(min_slaves_to_write, 0, 0, 64, "slaves that must be in sync for a write to be taken") \
	X(retention_ms, 86400000, 0, 31536000000, "ms a journal row is kept after every slave has it") \
	X(retention_rows, 10000, 1, 1000000000, "journal rows that are kept at the least") \
	X(retention_bytes, 1073741824, 1048576, 1099511627776, "bytes of rows that retention may keep in one journal") \
	X(pending_bytes, 4294967296, 1048576, 1099511627776, "bytes a slave's pending queue may hold in one journal before the slave is marked for a snapshot") \
	X(key_ms, 86400000, 60000, 31536000000, "ms an Idempotency-Key is remembered") \
	X(write_deadline_ms, 5000, 10, 600000, "ms the statements of one write may run") \
	X(read_deadline_ms, 10000, 10, 600000, "ms one read may run") \
	X(open_wait_ms, 2000, 0, 60000, "ms a write waits for a starting master to open") \
	X(body_bytes, 16777216, 1024, 16777216, "bytes of a request body, and so of one operation") \
	X(answer_bytes, 16777216, 1024, 1073741824, "bytes of rows that one execute may return") \
	X(queue_operations, 4096, 1, 1000000, "operations that may wait in one database's writer") \
	X(queue_wait_ms, 5000, 10, 600000, "ms an operation may wait there before it is refused instead of begun") \
	X(group_operations, 512, 1, 100000, "operations in one commit at the most") \
	X(batch_operations, 512, 1, 100000, "journal rows in one message to a slave at the most") \
	X(batch_bytes, 4194304, 65536, 67108864, "bytes of journal rows in one message to a slave; one larger row goes alone") \
	X(send_timeout_ms, 60000, 1000, 3600000, "ms a slave may take to apply one message") \
	X(retry_least_ms, 50, 10, 10000, "ms before the first new attempt to reach a slave; doubles") \
	X(retry_most_ms, 1000, 100, 600000, "ms between two attempts at the most") \
	X(write_threads, 64, 1, 1024, "threads of write that take requests") \
	X(peer_threads, 16, 2, 256, "threads of write that take messages of other nodes") \
	X(read_threads, 16, 1, 1024, "threads of read") \
	X(status_threads, 8, 1, 256, "threads of status") \
	X(checkpoint_pages, 4000, 100, 1000000, "pages in the write-ahead log before they are moved into the file") \
	X(cache_kib, 8192, 256, 16777216, "KiB of page cache per connection") \
	X(events, 10000, 100, 10000000, "events a node keeps")

enum conf_alone { CONF_ALONE_WAIT, CONF_ALONE_GO };

struct conf {
	char name[64];            /* of this node: letters, digits, - and _ */
	char data[PATH_MAX];      /* folder of databases and node.db */
	char run[PATH_MAX];       /* folder of sockets and state files */
	char url[256];            /* http://host:port of the public listener */
	char peer_url[256];       /* http://host:port of the peers' listener */
	enum conf_alone alone;    /* what a master does after a reboot while no other node answers:
	                           * wait (default) or go */
#define X(key, value, least, most, text) int64_t key;
	CONF_NUMBERS(X)
#undef X
};

/* All settings at their defaults, names and folders empty. */
void conf_init(struct conf *c);

/* Reads `key = value` lines (# begins a comment). An unknown key, a key given
 * twice, or a value out of bounds is ERR_BAD_VALUE with file and line. */
enum err_code conf_load(struct conf *c, const char *path, struct err *e);

#endif
