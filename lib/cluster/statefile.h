/* <run>/write.json: what `write` knows, for the node's other programs. Written
 * at every heartbeat and at every change of state, by rename. Holds moments of
 * the boot clock, never ages, so that a hung writer cannot look fresh.
 *
 *   {"version":1, "boot_id":"…", "pid":123, "node":"n2", "node_id":"…", "cluster":"…",
 *    "role":"slave", "state":"ready", "since_ms":<unix>, "epoch":1, "reign":0, "was_in_sync":true,
 *    "heartbeat_boot_ms":…, (slave: last heartbeat got; master: last round sent)
 *    "error":null,
 *    "master":{"name":"n1","url":"http://…","peer_url":"…"} or null,
 *    "databases":{"shop":{"id":"…","epoch":1,"seq":42,"head":42,"behind_since_boot_ms":null}},
 *    "slaves":[ … as GET /v1/pool shows them … ] (master only) } */
#ifndef DDB_CLUSTER_STATEFILE_H
#define DDB_CLUSTER_STATEFILE_H

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/cluster/state.h"

#include <jansson.h>

/* What a reading program needs to know for each request. */
struct statefile_view {
	bool known;                /* false: missing, unreadable, of another boot */
	enum node_state state;     /* after ages were applied: ready becomes silent or lagging by itself */
	bool was_in_sync;          /* it was ready when the master fell silent */
	int64_t heartbeat_age_ms;  /* -1: unknown */
	int64_t lag_ms;            /* 0 in sync; -1 unknown */
	int64_t epoch;
	bool is_master;
	char node[64];
	char master_host[256];     /* "host:port" of the master's public listener; "" unknown */
	char error[240];
};

/* Replaces the file by doc; for `write` alone. */
enum err_code statefile_write(const struct conf *conf, const json_t *doc, struct err *e);

/* "host:port" of "http://host:port[/…]"; false when url has another form or does not fit. */
bool statefile_host(const char *url, char *out, size_t size);

/* The view of now; cheap (the file is parsed only when it changed), any thread. */
void statefile_view(const struct conf *conf, struct statefile_view *v);

/* The whole document as it is now (caller: json_decref); NULL when missing or unreadable. */
json_t *statefile_document(const struct conf *conf);

#endif
