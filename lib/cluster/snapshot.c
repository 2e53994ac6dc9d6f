#include "lib/cluster/snapshot.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define UNUSED_MS (5 * 60 * 1000)

/* A copy is of use only while the rows after it are there: they stay until
 * whoever ordered it had time to take it. */
#define FRESH_MS 5000
#define MAKING ".making"
#define PAGES_PER_STEP 4096

struct item {
	struct snapshot it;            /* first: what was handed out is its item */
	struct item *next;
	int refs;
	int64_t used_boot_ms;
};

/* A copy somebody waits for. */
struct order {
	struct order *next;
	char id[JOURNAL_ID_LEN], path[PATH_MAX];
	bool done;                     /* tried: why says how it failed */
	struct err why;
};

struct shelf {
	const struct conf *conf;
	struct readers *readers;
	void (*ready)(void *arg);
	void *arg;
	char folder[PATH_MAX];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct item *items;
	struct order *orders;
	_Atomic bool stop;
};

enum err_code snapshot_digest(const char *path, unsigned char digest[JOURNAL_HASH_LEN], int64_t *bytes,
	const _Atomic bool *stop, struct err *e)
{
	XXH3_state_t state;
	XXH128_canonical_t canonical;
	static _Thread_local char chunk[65536];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	XXH3_128bits_reset(&state);
	*bytes = 0;
	while ((got = read(fd, chunk, sizeof chunk)) != 0 && !*stop) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		XXH3_128bits_update(&state, chunk, (size_t)got);
		*bytes += got;
	}
	if (got < 0)
		err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(errno));
	else if (got > 0)
		err_set(e, ERR_STOPPING, "stopped while reading %s", path);
	close(fd);
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
	memcpy(digest, canonical.digest, JOURNAL_HASH_LEN);
	return e->code;
}

/* ---- making a copy ---- */

static void path_of(const struct shelf *s, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - WIRE_FILE_LEN - 8, s->folder, name);
}

/* What SQLite leaves beside a file that is complete without it. */
static void remove_extras(const char *path)
{
	static const char *const parts[] = {"-shm", "-wal", "-journal"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char name[PATH_MAX + 16];
		snprintf(name, sizeof name, "%s%s", path, parts[i]);
		unlink(name);
	}
}

static bool on_shelf(struct shelf *s, const char *name)
{
	bool there = false;
	pthread_mutex_lock(&s->lock);
	for (struct item *i = s->items; i && !there; i = i->next)
		there = strcmp(i->it.name, name) == 0;
	pthread_mutex_unlock(&s->lock);
	return there;
}

/* One read transaction of `from` spans all steps, so that the copy is one
 * state; the steps are there to notice that the program ends. */
static enum err_code copy_all(struct shelf *s, struct conn *from, sqlite3 *to, struct err *e)
{
	int64_t ignored;
	if (conn_exec(from, "BEGIN", e) != ERR_OK ||
		conn_int(from, "SELECT count(*) FROM sqlite_schema", 0, &ignored, e) != ERR_OK)
		return e->code;
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from->db, "main");
	if (!b)
		return err_set(e, ERR_IO, "cannot begin to copy: %s", sqlite3_errmsg(to));
	int rc;
	do
		rc = sqlite3_backup_step(b, PAGES_PER_STEP);
	while (rc == SQLITE_OK && !s->stop);
	int end = sqlite3_backup_finish(b);
	if (rc == SQLITE_DONE && end == SQLITE_OK)
		return ERR_OK;
	if (rc == SQLITE_OK)
		return err_set(e, ERR_STOPPING, "stopped while copying");
	return err_set(e, (rc & 0xff) == SQLITE_FULL ? ERR_DISK_FULL : ERR_IO, "the copy failed: %s", sqlite3_errstr(rc));
}

/* The file at `path` as it is now, whole, into the new file `to`; *pos is the copy's position. */
static enum err_code copy_file(struct shelf *s, const char *path, const char *to, struct journal_pos *pos,
	struct err *e)
{
	struct conn *from, copy;
	if (readers_take(s->readers, path, &from, e) != ERR_OK)
		return e->code;
	if (conn_open(&copy, to, CONN_CREATE, s->conf->cache_kib, e) == ERR_OK) {
		/* Without a write-ahead log every page is written once, not twice. */
		if (conn_exec(&copy, "PRAGMA journal_mode=DELETE", e) == ERR_OK && copy_all(s, from, copy.db, e) == ERR_OK)
			journal_head(&copy, pos, e);
		conn_close(&copy);
	}
	readers_give(s->readers, from, e->code != ERR_OK);
	return e->code;
}

static enum err_code add_item(struct shelf *s, const char *id, const struct journal_pos *pos, struct err *e)
{
	char path[PATH_MAX];
	struct item *item = calloc(1, sizeof *item);
	if (!item)
		return err_set(e, ERR_NOMEM, "no memory for a snapshot");
	snprintf(item->it.id, sizeof item->it.id, "%s", id);
	item->it.pos = *pos;
	wire_snapshot_name(id, pos, item->it.name);
	path_of(s, item->it.name, path);
	item->used_boot_ms = clock_boot_ms();
	if (snapshot_digest(path, item->it.digest, &item->it.bytes, &s->stop, e) != ERR_OK) {
		free(item);
		return e->code;
	}
	pthread_mutex_lock(&s->lock);
	item->next = s->items;
	s->items = item;
	pthread_mutex_unlock(&s->lock);
	return ERR_OK;
}

static enum err_code make(struct shelf *s, const struct order *order, struct err *e)
{
	char making[PATH_MAX], name[WIRE_FILE_LEN], path[PATH_MAX];
	struct journal_pos pos = {0};
	int64_t began = clock_boot_ms();
	path_of(s, MAKING, making);
	unlink(making);
	remove_extras(making);
	if (copy_file(s, order->path, making, &pos, e) == ERR_OK) {
		wire_snapshot_name(order->id, &pos, name);
		path_of(s, name, path);
		if (on_shelf(s, name))
			log_info("snapshot_again", "name=%s", name); /* nothing was written since */
		else if (rename(making, path) != 0)
			err_set(e, ERR_IO, "cannot name %s: %s", path, strerror(errno));
		else
			add_item(s, order->id, &pos, e);
	}
	unlink(making);
	remove_extras(making);
	if (e->code == ERR_OK)
		log_info("snapshot_made", "name=%s ms=%" PRId64, name, clock_boot_ms() - began);
	else
		log_warn("snapshot_failed", "path=%s ms=%" PRId64 " error=\"%s\"", order->path, clock_boot_ms() - began, e->text);
	return e->code;
}

/* ---- the thread ---- */

/* Copies of an earlier process are complete (they got their names when they
 * were): a slave that is half through one can go on. */
static void adopt(struct shelf *s, const char *name)
{
	struct err e = ERR_INIT;
	char path[PATH_MAX], id[JOURNAL_ID_LEN], expected[WIRE_FILE_LEN], text[WIRE_FILE_LEN];
	struct journal_pos pos = {0};
	struct conn c;
	path_of(s, name, path);
	snprintf(text, sizeof text, "%s", name);
	size_t len = strlen(text);
	if (len > 3 && strcmp(text + len - 3, ".db") == 0) {
		text[len - 3] = '\0';
		if (journal_token_parse(text, id, &pos.epoch, &pos.seq) &&
			conn_open(&c, path, CONN_READER, s->conf->cache_kib, &e) == ERR_OK) {
			journal_head(&c, &pos, &e);
			conn_close(&c);
			remove_extras(path);
			wire_snapshot_name(id, &pos, expected);
			if (e.code == ERR_OK && strcmp(expected, name) == 0 && add_item(s, id, &pos, &e) == ERR_OK)
				return;
		}
	}
	if (e.code != ERR_STOPPING)
		unlink(path);
}

static void adopt_all(struct shelf *s)
{
	DIR *dir = opendir(s->folder);
	struct dirent *entry;
	while (dir && !s->stop && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			adopt(s, entry->d_name);
	if (dir)
		closedir(dir);
}

static struct order *next_order(struct shelf *s)
{
	for (struct order *o = s->orders; o; o = o->next)
		if (!o->done)
			return o;
	return NULL;
}

static void drop_order(struct shelf *s, struct order *order)
{
	for (struct order **at = &s->orders; *at; at = &(*at)->next)
		if (*at == order) {
			*at = order->next;
			free(order);
			return;
		}
}

static void *shelf_thread(void *arg)
{
	struct shelf *s = arg;
	adopt_all(s);
	s->ready(s->arg);
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct order *o = next_order(s);
		if (!o) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		struct err e = ERR_INIT;
		pthread_mutex_unlock(&s->lock);
		make(s, o, &e);
		pthread_mutex_lock(&s->lock);
		if (e.code == ERR_OK) {
			drop_order(s, o);
		} else {
			o->done = true;
			o->why = e;
		}
		pthread_mutex_unlock(&s->lock);
		s->ready(s->arg);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

enum err_code shelf_new(struct shelf **out, const struct conf *conf, struct readers *readers,
	void (*ready)(void *arg), void *arg, struct err *e)
{
	struct shelf *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, ERR_NOMEM, "no memory for snapshots");
	s->conf = conf;
	s->readers = readers;
	s->ready = ready;
	s->arg = arg;
	snprintf(s->folder, sizeof s->folder, "%.*s/snapshots", PATH_MAX - WIRE_FILE_LEN - 32, conf->data);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	if (pthread_create(&s->thread, NULL, shelf_thread, s) != 0) {
		free(s);
		return err_set(e, ERR_NOMEM, "cannot start the snapshots' thread");
	}
	*out = s;
	return ERR_OK;
}

void shelf_free(struct shelf *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	while (s->items) {
		struct item *i = s->items;
		s->items = i->next;
		free(i);
	}
	while (s->orders)
		drop_order(s, s->orders);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- for senders ---- */

static struct item *take_item(struct shelf *s, const char *id, int64_t least_seq)
{
	struct item *best = NULL;
	pthread_mutex_lock(&s->lock);
	for (struct item *i = s->items; i; i = i->next)
		if (strcmp(i->it.id, id) == 0 && i->it.pos.seq >= least_seq && (!best || i->it.pos.seq > best->it.pos.seq))
			best = i;
	if (best)
		best->refs++;
	pthread_mutex_unlock(&s->lock);
	return best;
}

/* Whether the journal at path still leads on from the copy. */
static bool leads_on(struct shelf *s, const char *path, const struct journal_pos *pos)
{
	struct conn *c;
	struct err e = ERR_INIT;
	struct journal_pos here = {0};
	if (readers_take(s->readers, path, &c, &e) != ERR_OK)
		return false;
	journal_at(c, pos->seq, &here, &e);
	readers_give(s->readers, c, e.code != ERR_OK);
	return e.code == ERR_OK && here.seq == pos->seq && memcmp(here.hash, pos->hash, JOURNAL_HASH_LEN) == 0;
}

static void order_copy(struct shelf *s, const char *id, const char *path, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	struct order *o = s->orders;
	while (o && strcmp(o->id, id) != 0)
		o = o->next;
	if (o && o->done) {
		*e = o->why;
		drop_order(s, o);
	} else if (!o && (o = calloc(1, sizeof *o))) {
		snprintf(o->id, sizeof o->id, "%s", id);
		snprintf(o->path, sizeof o->path, "%s", path);
		o->next = s->orders;
		s->orders = o;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
}

const struct snapshot *shelf_get(struct shelf *s, const char *id, const char *path, int64_t least_seq, struct err *e)
{
	struct item *i = take_item(s, id, least_seq);
	if (i && leads_on(s, path, &i->it.pos))
		return &i->it;
	if (i)
		shelf_put(s, &i->it);
	order_copy(s, id, path, e);
	return NULL;
}

void shelf_put(struct shelf *s, const struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	pthread_mutex_lock(&s->lock);
	for (struct item *i = s->items; i; i = i->next)
		if (&i->it == snapshot) {
			i->refs--;
			i->used_boot_ms = clock_boot_ms();
		}
	pthread_mutex_unlock(&s->lock);
}

int64_t shelf_pin(struct shelf *s, const char *id)
{
	int64_t pin = INT64_MAX, now = clock_boot_ms();
	pthread_mutex_lock(&s->lock);
	for (struct order *o = s->orders; o; o = o->next)
		if (!o->done && strcmp(o->id, id) == 0)
			pin = 0; /* where the copy will stand is not known yet */
	for (struct item *i = s->items; i; i = i->next)
		if ((i->refs > 0 || now - i->used_boot_ms < FRESH_MS) && strcmp(i->it.id, id) == 0 && i->it.pos.seq < pin)
			pin = i->it.pos.seq;
	pthread_mutex_unlock(&s->lock);
	return pin;
}

void shelf_tidy(struct shelf *s)
{
	int64_t now = clock_boot_ms();
	char path[PATH_MAX];
	pthread_mutex_lock(&s->lock);
	for (struct item **at = &s->items; *at;) {
		struct item *i = *at;
		if (i->refs > 0 || now - i->used_boot_ms < UNUSED_MS) {
			at = &i->next;
			continue;
		}
		path_of(s, i->it.name, path);
		unlink(path);
		*at = i->next;
		free(i);
	}
	pthread_mutex_unlock(&s->lock);
}
