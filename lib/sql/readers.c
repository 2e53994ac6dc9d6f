#include "lib/sql/readers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* conn comes first: a struct conn that was handed out is its reader. */
struct reader {
	struct conn conn;
	dev_t device;
	ino_t inode;
	void *place;
	void (*release)(void *place);
	struct reader *next;
};

struct readers {
	pthread_mutex_t lock;
	struct reader *idle;     /* given back last comes first */
	size_t idle_n, idle_max;
	int64_t cache_kib;
};

struct readers *readers_new(int64_t cache_kib, size_t idle_max)
{
	struct readers *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	r->cache_kib = cache_kib;
	r->idle_max = idle_max;
	return r;
}

static void discard(struct reader *list)
{
	while (list) {
		struct reader *next = list->next;
		conn_close(&list->conn);
		if (list->place)
			list->release(list->place);
		free(list);
		list = next;
	}
}

void readers_free(struct readers *r)
{
	if (!r)
		return;
	discard(r->idle);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Takes the idle connection to this very file out of the list, NULL if there
 * is none. Those to another file that once was at path are moved to *stale. */
static struct reader *take_idle(struct readers *r, const char *path, const struct stat *file, struct reader **stale)
{
	struct reader *found = NULL;
	pthread_mutex_lock(&r->lock);
	for (struct reader **at = &r->idle; *at;) {
		struct reader *one = *at;
		bool same = strcmp(one->conn.path, path) == 0;
		bool current = file && one->device == file->st_dev && one->inode == file->st_ino;
		if (!same || (current && found)) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		r->idle_n--;
		if (current) {
			found = one;
		} else {
			one->next = *stale;
			*stale = one;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

static enum err_code missing(const char *path, struct err *e)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(e, ERR_DATABASE_UNKNOWN, "there is no file %s", path);
	return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
}

/* A file that is replaced between the look at it and its opening would be kept
 * under the wrong inode: it is looked at again afterwards. */
static struct reader *open_new(const struct readers *r, const char *path, struct stat file, struct err *e)
{
	struct stat after;
	for (;;) {
		struct reader *one = calloc(1, sizeof *one);
		if (!one) {
			err_set(e, ERR_NOMEM, "no memory for a connection to %s", path);
			return NULL;
		}
		enum err_code code = conn_open(&one->conn, path, CONN_READER, r->cache_kib, e);
		if (stat(path, &after) != 0) {
			err_reset(e);
			missing(path, e);
			discard(one);
			return NULL;
		}
		if (code == ERR_OK && file.st_dev == after.st_dev && file.st_ino == after.st_ino) {
			one->device = file.st_dev;
			one->inode = file.st_ino;
			return one;
		}
		discard(one);
		if (e->code != ERR_OK && file.st_dev == after.st_dev && file.st_ino == after.st_ino)
			return NULL;
		err_reset(e);
		file = after;
	}
}

enum err_code readers_take(struct readers *r, const char *path, struct conn **out, struct err *e)
{
	struct stat file;
	struct reader *stale = NULL;
	bool there = stat(path, &file) == 0;
	if (!there)
		missing(path, e);
	struct reader *one = take_idle(r, path, there ? &file : NULL, &stale);
	discard(stale);
	if (there && !one)
		one = open_new(r, path, file, e);
	if (!one)
		return e->code;
	one->conn.authz.mode = AUTHZ_QUERY;
	*out = &one->conn;
	return ERR_OK;
}

void readers_give(struct readers *r, struct conn *c, bool broken)
{
	struct reader *one = (struct reader *)c;
	struct reader *surplus = NULL;
	struct err ignored = ERR_INIT;
	c->deadline_us = 0;
	c->cancelled = NULL;
	c->cancelled_arg = NULL;
	if (!sqlite3_get_autocommit(c->db) && conn_exec(c, "ROLLBACK", &ignored) != ERR_OK)
		broken = true;
	one->next = NULL;
	if (broken || r->idle_max == 0) {
		discard(one);
		return;
	}
	pthread_mutex_lock(&r->lock);
	one->next = r->idle;
	r->idle = one;
	if (++r->idle_n > r->idle_max) {
		struct reader **last = &r->idle;
		while ((*last)->next)
			last = &(*last)->next;
		surplus = *last;
		*last = NULL;
		r->idle_n--;
	}
	pthread_mutex_unlock(&r->lock);
	discard(surplus);
}

void **readers_place(struct conn *c, void (*release)(void *))
{
	struct reader *one = (struct reader *)c;
	one->release = release;
	return &one->place;
}
