/* The messages between nodes, version 1. All are POSTs on the peers' listener;
 * UTF-8 JSON, integers exact in 64 bits, hashes and ids 32 lower case hex
 * digits. A reader skips members that it does not know, except in the lines of
 * journal rows, whose form is exact.
 *
 * POST /replicate, application/x-ndjson: a header line, then a row a line.
 *   {"v":1, FROM, "db":"shop","id":"…","prev":POS,"head":SEQ,"floor":SEQ}
 *   {"seq":42,"epoch":1,"at_ms":…,"seed":…,"kind":"op","changes":1,"hash":"…","body":{…}}
 * FROM is "cluster":"…","to":"n2","node":"n1","node_id":"…","epoch":1: who speaks
 * in which reign to whom. POS is {"epoch":1,"seq":41,"hash":"…"}; prev is the
 * position before the first row, head the newest row of the master, floor the
 * oldest that it still wants kept. A row's members stand in this order without
 * white space; the bytes of body up to the closing brace are the journaled text,
 * which is hashed, and are never encoded anew. Every line ends with \n. Without
 * rows the message only asks.
 * Answer (any status): REPLY =
 *   {"v":1,"code":"ok","detail":"…","node":"n2","promised":1,"pos":POS or null,"bad_seq":null}
 * code is the name of an error (err.h); pos the durable position of this
 * database there, null when its file is not there; bad_seq the row that had
 * another effect.
 *
 * POST /replicate/snapshot: offers a whole copy of a database, and asks again
 * how far it is.
 *   {"v":1, FROM, "db":"shop","id":"…","peer_url":"http://…","name":"ID.EPOCH.SEQ.db","bytes":…,"digest":"…",
 *    "pos":POS,"keep_old":true,"reason":"diverged"}
 * digest is the XXH3_128 of the file in its canonical form; the file lies at
 * <peer_url>/snapshot/NAME. Answer: REPLY with
 *   "snapshot":{"phase":"fetching","bytes":…}     phase: fetching, installing, done, failed
 *
 * POST /heartbeat:
 *   {"v":1, FROM, "ask":false,"paused":false,"url":"…","peer_url":"…","sqlite":"3.40.1","machine":"x86_64",
 *    "databases":{"shop":{"id":"…","pos":POS,"floor":SEQ}, …}}
 * With ask it is only a question and no sign of a reigning master. Answer: REPLY
 * (pos null) with
 *   "node_id":"…","cluster":"…","role":"slave","reign":0,"state":"ready","sqlite":…,"machine":…,"error":null,
 *   "databases":{"shop":{"id":"…","pos":POS or null,"condition":"ok"}, …}
 * condition: ok; diverged, corrupt or missing (wants a copy), snapshot (is getting one). */
#ifndef DDB_CLUSTER_WIRE_H
#define DDB_CLUSTER_WIRE_H

#include "lib/cluster/catalog.h"

#define WIRE_VERSION 1
#define WIRE_MESSAGE_MAX ((size_t)80 << 20)   /* bytes of one message, with its rows */
#define WIRE_ANSWER_MAX ((size_t)16 << 20)
#define WIRE_DATABASES_MAX 100000
#define WIRE_NAME_LEN 64
#define WIRE_URL_LEN 256
#define WIRE_FILE_LEN 128                      /* a snapshot's name, with NUL */

struct wire_from {
	char cluster[JOURNAL_ID_LEN], to[WIRE_NAME_LEN], node[WIRE_NAME_LEN], node_id[JOURNAL_ID_LEN];
	int64_t epoch;
};

/* ---- /replicate ---- */

struct wire_batch {
	struct wire_from from;
	char db[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN];
	struct journal_pos prev;
	int64_t head, floor;
	/* parsed messages only; the bodies point into the message's text */
	struct journal_row *rows;
	json_t **ops;                  /* NULL for control rows */
	size_t n;
};

/* Adds the header line. */
void wire_batch_begin(struct buf *out, const struct wire_batch *b);

/* Adds a row's line. False (and adds nothing) when the row cannot be carried:
 * its body holds a line end, or its kind is none of a journal. */
bool wire_batch_row(struct buf *out, const struct journal_row *row);

/* Takes a message apart; ERR_WIRE says what is wrong with it. Nothing needs
 * releasing on failure. Safe on any bytes. */
enum err_code wire_batch_parse(const char *text, size_t len, struct wire_batch *b, struct err *e);
void wire_batch_release(struct wire_batch *b);

/* ---- /replicate/snapshot ---- */

struct wire_offer {
	struct wire_from from;
	char db[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN], name[WIRE_FILE_LEN], reason[32];
	char peer_url[WIRE_URL_LEN];
	unsigned char digest[JOURNAL_HASH_LEN];
	struct journal_pos pos;
	int64_t bytes;
	bool keep_old;
};

void wire_offer_write(struct buf *out, const struct wire_offer *o);
enum err_code wire_offer_parse(const char *text, size_t len, struct wire_offer *o, struct err *e);

/* The name a snapshot of that database at that position has. */
void wire_snapshot_name(const char *id, const struct journal_pos *pos, char out[WIRE_FILE_LEN]);

enum wire_phase { WIRE_FETCHING, WIRE_INSTALLING, WIRE_DONE, WIRE_FAILED, WIRE_PHASE_N };
extern const char *const wire_phase_name[WIRE_PHASE_N];

/* ---- /heartbeat ---- */

enum wire_condition {
	WIRE_OK, WIRE_DIVERGED, WIRE_CORRUPT, WIRE_MISSING, WIRE_SNAPSHOT,
	WIRE_CONDITION_N
};
extern const char *const wire_condition_name[WIRE_CONDITION_N];

struct wire_database {
	char name[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN];
	bool has_pos;
	struct journal_pos pos;
	int64_t floor;                 /* in a master's message */
	enum wire_condition condition; /* in a slave's answer */
};

struct wire_heartbeat {
	struct wire_from from;
	bool ask, paused;
	char url[WIRE_URL_LEN], peer_url[WIRE_URL_LEN], sqlite[24], machine[32];
	struct wire_database *databases;
	size_t n;
};

void wire_heartbeat_write(struct buf *out, const struct wire_heartbeat *h);
enum err_code wire_heartbeat_parse(const char *text, size_t len, struct wire_heartbeat *h, struct err *e);
void wire_heartbeat_release(struct wire_heartbeat *h);

/* ---- answers ---- */

struct wire_reply {
	enum err_code code;            /* ERR_CODE_N: a name this program does not know */
	char detail[480], node[WIRE_NAME_LEN];
	int64_t promised;
	bool has_pos;
	struct journal_pos pos;
	int64_t bad_seq;               /* 0: none */
	/* of an offer */
	enum wire_phase phase;         /* WIRE_PHASE_N: not said */
	int64_t phase_bytes;
	/* of a heartbeat */
	char node_id[JOURNAL_ID_LEN], cluster[JOURNAL_ID_LEN], role[16], state[24], sqlite[24], machine[32], error[240];
	int64_t reign;
	struct wire_database *databases;
	size_t n;
};

enum wire_reply_kind { WIRE_REPLY_ROWS, WIRE_REPLY_OFFER, WIRE_REPLY_HEARTBEAT };

void wire_reply_write(struct buf *out, const struct wire_reply *r, enum wire_reply_kind kind);
enum err_code wire_reply_parse(const char *text, size_t len, struct wire_reply *r, struct err *e);
void wire_reply_release(struct wire_reply *r);

/* This machine's architecture and byte order, as in "machine". */
const char *wire_machine(void);

#endif
