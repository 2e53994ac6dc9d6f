#include "lib/cluster/fetch.h"
#include "lib/base/clock.h"
#include "lib/cluster/call.h"
#include "lib/cluster/snapshot.h"
#include "lib/cluster/surplus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE 4
#define ATTEMPTS 8
#define PAUSE_MS 500

struct fetch {
	struct fetch *next;
	struct fetcher *fetcher;
	struct wire_offer offer;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic int64_t bytes;         /* downloaded */
	_Atomic int phase;             /* enum wire_phase; done and failed: the thread is about to end */
	enum wire_condition before;    /* of the database, to be restored on failure */
	struct err why;                /* valid once failed */
};

struct fetcher {
	struct node *node;
	struct readers *readers;
	struct self *self;
	_Atomic(struct catalog *) catalog;
	pthread_mutex_t lock;          /* of the list */
	pthread_cond_t wake;           /* ends pauses; CLOCK_MONOTONIC */
	struct fetch *list;
	bool stopping;
};

enum err_code fetcher_new(struct fetcher **out, struct node *node, struct readers *readers, struct self *self,
	struct err *e)
{
	struct fetcher *f = calloc(1, sizeof *f);
	pthread_condattr_t attr;
	if (!f)
		return err_set(e, ERR_NOMEM, "no memory for fetching copies");
	f->node = node;
	f->readers = readers;
	f->self = self;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &attr);
	pthread_condattr_destroy(&attr);
	*out = f;
	return ERR_OK;
}

void fetcher_set_catalog(struct fetcher *f, struct catalog *catalog)
{
	f->catalog = catalog;
}

static bool has_ended(const struct fetch *t)
{
	return t->phase == WIRE_DONE || t->phase == WIRE_FAILED;
}

void fetcher_free(struct fetcher *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	for (struct fetch *t = f->list; t; t = t->next)
		t->stop = true;
	pthread_cond_broadcast(&f->wake);
	pthread_mutex_unlock(&f->lock);
	while (f->list) {
		struct fetch *t = f->list;
		pthread_join(t->thread, NULL);
		f->list = t->next;
		free(t);
	}
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- the thread ---- */

static void part_path(const struct fetch *t, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/incoming/%s.part", PATH_MAX - WIRE_FILE_LEN - 32, t->fetcher->node->conf.data,
		t->offer.name);
}

/* Parts of earlier copies of this database are of no use any more. */
static void remove_other_parts(const struct fetch *t)
{
	char folder[PATH_MAX], mine[PATH_MAX], path[PATH_MAX + 300];
	part_path(t, mine);
	snprintf(folder, sizeof folder, "%.*s/incoming", PATH_MAX - 32, t->fetcher->node->conf.data);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		size_t len = strlen(entry->d_name);
		bool is_part = len > 5 && strcmp(entry->d_name + len - 5, ".part") == 0;
		if (is_part && strncmp(entry->d_name, t->offer.id, JOURNAL_ID_LEN - 1) == 0 && strcmp(path, mine) != 0)
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

/* What opening the copy leaves beside it; it is complete without them. */
static void remove_extras(const char *path)
{
	char extra[PATH_MAX + 8];
	snprintf(extra, sizeof extra, "%s-wal", path);
	unlink(extra);
	snprintf(extra, sizeof extra, "%s-shm", path);
	unlink(extra);
}

static bool wait_a_moment(struct fetch *t, int64_t ms)
{
	struct timespec until = clock_deadline(ms);
	int rc = 0;
	pthread_mutex_lock(&t->fetcher->lock);
	while (!t->stop && rc == 0)
		rc = pthread_cond_timedwait(&t->fetcher->wake, &t->fetcher->lock, &until);
	pthread_mutex_unlock(&t->fetcher->lock);
	return !t->stop;
}

/* Downloads what is still missing of the file; a break is resumed where it came. */
static enum err_code download(struct fetch *t, const char *path, struct err *e)
{
	char url[WIRE_URL_LEN + WIRE_FILE_LEN + 16];
	struct stat st;
	snprintf(url, sizeof url, "%s/snapshot/%s", t->offer.peer_url, t->offer.name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0 || fstat(fd, &st) != 0 || (st.st_size > t->offer.bytes && ftruncate(fd, 0) != 0))
		err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	if (e->code == ERR_OK)
		t->bytes = lseek(fd, 0, SEEK_END);
	for (int i = 1; e->code == ERR_OK && t->bytes < t->offer.bytes; i++) {
		int64_t before = t->bytes;
		if (call_download(url, fd, &t->bytes, t->offer.bytes, &t->stop, e) != ERR_IO)
			continue;
		if (t->bytes > before)
			i = 0; /* it gets on */
		if (i < ATTEMPTS && wait_a_moment(t, PAUSE_MS))
			err_reset(e);
	}
	if (e->code == ERR_OK && fsync(fd) != 0)
		err_set(e, ERR_IO, "cannot sync %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return e->code;
}

/* The bytes, and that the file is what the offer says: database, position, page format. */
static enum err_code check(struct fetch *t, const char *path, struct err *e)
{
	const struct wire_offer *o = &t->offer;
	unsigned char digest[JOURNAL_HASH_LEN];
	char id[JOURNAL_ID_LEN] = "";
	struct journal_pos head;
	int64_t bytes, page_size = 0;
	struct conn c;
	if (snapshot_digest(path, digest, &bytes, &t->stop, e) != ERR_OK)
		return e->code;
	if (bytes != o->bytes || memcmp(digest, o->digest, sizeof digest) != 0) {
		unlink(path);
		return err_set(e, ERR_CORRUPT, "the copy of %s arrived damaged (%" PRId64 " of %" PRId64 " bytes)", o->db, bytes,
			o->bytes);
	}
	if (conn_open(&c, path, CONN_READER, t->fetcher->node->conf.cache_kib, e) != ERR_OK)
		return e->code;
	if (journal_id(&c, id, e) == ERR_OK && journal_head(&c, &head, e) == ERR_OK)
		conn_int(&c, "PRAGMA page_size", 0, &page_size, e);
	conn_close(&c);
	remove_extras(path);
	if (e->code == ERR_OK && (strcmp(id, o->id) != 0 || head.seq != o->pos.seq || head.epoch != o->pos.epoch ||
			memcmp(head.hash, o->pos.hash, JOURNAL_HASH_LEN) != 0 || page_size != 4096))
		err_set(e, ERR_CORRUPT, "the copy of %s holds %s at %" PRId64 ".%" PRId64 " in pages of %" PRId64 ", not %s at %"
			PRId64 ".%" PRId64, o->db, id, head.epoch, head.seq, page_size, o->id, o->pos.epoch, o->pos.seq);
	return e->code;
}

/* Saves what the live file has beyond the copy's history; *own: the live file's position. */
static enum err_code save_surplus(struct fetch *t, const char *path, const char *live, struct journal_pos *own,
	struct err *e)
{
	struct conn *mine, copy;
	char file[PATH_MAX];
	int64_t common = 0, rows = 0;
	memset(own, 0, sizeof *own);
	if (access(live, F_OK) != 0)
		return ERR_OK;
	struct err ignored = ERR_INIT;
	/* A file that cannot be read is kept as a whole by catalog_install(). */
	if (readers_take(t->fetcher->readers, live, &mine, &ignored) != ERR_OK)
		return ERR_OK;
	if (conn_open(&copy, path, CONN_READER, t->fetcher->node->conf.cache_kib, e) == ERR_OK) {
		snprintf(file, sizeof file, "%.*s/orphaned/%s.%.8s.%" PRId64 ".ndjson", PATH_MAX - 256,
			t->fetcher->node->conf.data, t->offer.db, t->offer.id, clock_wall_ms());
		if (journal_head(mine, own, &ignored) == ERR_OK && surplus_common(mine, &copy, &common, &ignored) == ERR_OK &&
			(common > 0 || t->offer.keep_old))
			surplus_save(mine, common, file, &rows, e);
		conn_close(&copy);
		remove_extras(path);
	}
	readers_give(t->fetcher->readers, mine, ignored.code != ERR_OK);
	if (rows > 0)
		node_event(t->fetcher->node, "surplus.saved", "alert", NULL, "%" PRId64 " rows of %s after %" PRId64
			" are not in the master's history; they are kept in %s", rows, t->offer.db, common, file);
	return e->code;
}

static void live_path(const struct fetch *t, char path[PATH_MAX])
{
	path[0] = '\0';
	struct database *db = catalog_get(t->fetcher->catalog, t->offer.db);
	if (db) {
		snprintf(path, PATH_MAX, "%s", db->path);
		catalog_put(t->fetcher->catalog, db);
	}
}

static enum err_code install(struct fetch *t, const char *path, struct err *e)
{
	const struct wire_offer *o = &t->offer;
	char live[PATH_MAX];
	struct journal_pos own;
	live_path(t, live);
	if (save_surplus(t, path, live, &own, e) != ERR_OK)
		return e->code;
	t->phase = WIRE_INSTALLING;
	if (catalog_install(t->fetcher->catalog, o->db, o->id, path, o->keep_old, e) != ERR_OK)
		return e->code;
	node_event(t->fetcher->node, "snapshot.installed", "info", NULL, "database %s is now a copy of the master's at %"
		PRId64 ".%" PRId64 " (%" PRId64 " bytes, %s); it was at %" PRId64 ".%" PRId64, o->db, o->pos.epoch, o->pos.seq,
		o->bytes, o->reason, own.epoch, own.seq);
	return ERR_OK;
}

static void *fetch_thread(void *arg)
{
	struct fetch *t = arg;
	struct self *self = t->fetcher->self;
	char path[PATH_MAX];
	part_path(t, path);
	remove_other_parts(t);
	if (download(t, path, &t->why) == ERR_OK && check(t, path, &t->why) == ERR_OK && install(t, path, &t->why) == ERR_OK) {
		unlink(path);
		node_state_reached(self, t->offer.id, &t->offer.pos);
		node_state_condition(self, t->offer.id, WIRE_OK);
		t->phase = WIRE_DONE;
		return NULL;
	}
	if (t->why.code != ERR_STOPPING)
		node_event(t->fetcher->node, "snapshot.failed", "warn", NULL, "the copy of %s could not be had: %s", t->offer.db,
			t->why.text);
	node_state_condition(self, t->offer.id, t->before);
	t->phase = WIRE_FAILED;
	return NULL;
}

/* ---- offers ---- */

static void remove_fetch(struct fetcher *f, struct fetch *t)
{
	for (struct fetch **at = &f->list; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	pthread_join(t->thread, NULL);
	free(t);
}

static void start(struct fetcher *f, const struct wire_offer *o, struct wire_reply *reply)
{
	int n = 0;
	for (struct fetch *t = f->list; t; t = t->next)
		n += !has_ended(t);
	if (n >= AT_ONCE || f->stopping)
		return; /* its turn comes when it is offered again */
	struct fetch *t = calloc(1, sizeof *t);
	if (!t) {
		reply->code = ERR_NOMEM;
		return;
	}
	t->fetcher = f;
	t->offer = *o;
	t->phase = WIRE_FETCHING;
	err_reset(&t->why);
	t->before = node_state_condition_of(f->self, o->id);
	if (t->before == WIRE_SNAPSHOT)
		t->before = WIRE_OK;
	node_state_condition(f->self, o->id, WIRE_SNAPSHOT);
	if (pthread_create(&t->thread, NULL, fetch_thread, t) != 0) {
		node_state_condition(f->self, o->id, t->before);
		free(t);
		reply->code = ERR_NOMEM;
		return;
	}
	t->next = f->list;
	f->list = t;
}

void fetcher_offer(struct fetcher *f, const struct wire_offer *o, struct wire_reply *reply)
{
	struct fetch *t;
	reply->phase = WIRE_FETCHING;
	reply->phase_bytes = 0;
	pthread_mutex_lock(&f->lock);
	for (t = f->list; t && strcmp(t->offer.id, o->id) != 0;)
		t = t->next;
	if (!t) {
		start(f, o, reply);
	} else if (strcmp(t->offer.name, o->name) != 0) {
		t->stop = true; /* a newer copy is offered: give this one up, take the other at the next offer */
		pthread_cond_broadcast(&f->wake);
		if (has_ended(t))
			remove_fetch(f, t);
	} else {
		reply->phase = t->phase;
		reply->phase_bytes = t->bytes;
		if (reply->phase == WIRE_DONE) {
			reply->has_pos = true;
			reply->pos = t->offer.pos;
		} else if (reply->phase == WIRE_FAILED) {
			snprintf(reply->detail, sizeof reply->detail, "the copy of %s: %.380s", o->db, t->why.text);
		}
		if (has_ended(t))
			remove_fetch(f, t);
	}
	pthread_mutex_unlock(&f->lock);
}

bool fetcher_busy(struct fetcher *f, const char *id)
{
	bool busy = false;
	pthread_mutex_lock(&f->lock);
	for (struct fetch *t = f->list; t; t = t->next)
		busy |= strcmp(t->offer.id, id) == 0 && !has_ended(t);
	pthread_mutex_unlock(&f->lock);
	return busy;
}
