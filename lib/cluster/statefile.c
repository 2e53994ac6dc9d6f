#include "lib/cluster/statefile.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (16 * 1024 * 1024)

/* File times are that of the kernel's last tick: a file that was replaced
 * within one tick of being read may look unchanged. */
#define TICK_MS 20

/* The file as it was parsed last: moments, from which each view makes ages. */
static struct {
	pthread_mutex_t lock;
	bool valid;
	char path[PATH_MAX];
	ino_t inode;
	off_t size;
	struct timespec changed;
	int64_t read_wall_ms;
	struct statefile_view view;      /* without ages */
	int64_t heartbeat_boot_ms;       /* -1: none yet */
	int64_t behind_boot_ms;          /* -1: not behind */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool file_path(const struct conf *conf, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/write.json", conf->run) < PATH_MAX;
}

enum err_code statefile_write(const struct conf *conf, const json_t *doc, struct err *e)
{
	char path[PATH_MAX];
	if (!file_path(conf, path))
		return err_set(e, ERR_IO, "the path of the run folder is too long");
	char *text = json_dumps(doc, JSON_COMPACT);
	if (!text)
		return err_set(e, ERR_NOMEM, "no memory for the state file");
	enum err_code code = file_replace(path, text, strlen(text), false, e);
	free(text);
	return code;
}

bool statefile_host(const char *url, char *out, size_t size)
{
	static const char scheme[] = "http://";
	if (!url || strncmp(url, scheme, sizeof scheme - 1) != 0)
		return false;
	url += sizeof scheme - 1;
	size_t len = strcspn(url, "/?#");
	if (len == 0 || len >= size)
		return false;
	memcpy(out, url, len);
	out[len] = '\0';
	return true;
}

json_t *statefile_document(const struct conf *conf)
{
	char path[PATH_MAX];
	struct buf text = BUF_INIT(FILE_MAX);
	struct err e = ERR_INIT;
	json_t *doc = NULL;
	if (file_path(conf, path) && file_read(path, &text, &e) == ERR_OK && text.data)
		doc = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	buf_release(&text);
	if (doc && json_integer_value(json_object_get(doc, "version")) != 1) {
		json_decref(doc);
		doc = NULL;
	}
	return doc;
}

static int64_t moment(const json_t *v)
{
	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static void copy_text(char *to, size_t size, const json_t *v)
{
	const char *text = json_string_value(v);
	snprintf(to, size, "%s", text ? text : "");
}

/* Fills the cache from doc; moments of another boot mean nothing in this one. */
static void digest(const json_t *doc)
{
	struct statefile_view *v = &cache.view;
	*v = (struct statefile_view){.known = false, .state = NODE_STARTING};
	cache.heartbeat_boot_ms = cache.behind_boot_ms = -1;
	const char *boot = json_string_value(json_object_get(doc, "boot_id"));
	enum node_state state = node_state_by_name(json_string_value(json_object_get(doc, "state")));
	if (!boot || strcmp(boot, clock_boot_id()) != 0 || state == NODE_STATE_N)
		return;
	v->known = true;
	v->state = state;
	v->was_in_sync = json_is_true(json_object_get(doc, "was_in_sync"));
	v->epoch = json_integer_value(json_object_get(doc, "epoch"));
	v->is_master = state == NODE_IS_MASTER;
	copy_text(v->node, sizeof v->node, json_object_get(doc, "node"));
	copy_text(v->error, sizeof v->error, json_object_get(doc, "error"));
	const json_t *master = json_object_get(doc, "master");
	if (!statefile_host(json_string_value(json_object_get(master, "url")), v->master_host, sizeof v->master_host))
		v->master_host[0] = '\0';
	cache.heartbeat_boot_ms = moment(json_object_get(doc, "heartbeat_boot_ms"));
	const char *name;
	json_t *database;
	json_object_foreach(json_object_get(doc, "databases"), name, database) {
		int64_t since = moment(json_object_get(database, "behind_since_boot_ms"));
		if (since >= 0 && (cache.behind_boot_ms < 0 || since < cache.behind_boot_ms))
			cache.behind_boot_ms = since;
	}
}

/* Brings the cache up to date; called with its lock held. */
static void refresh(const struct conf *conf)
{
	char path[PATH_MAX];
	struct stat st;
	if (!file_path(conf, path) || stat(path, &st) != 0) {
		digest(NULL);
		cache.valid = false;
		return;
	}
	int64_t changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	if (cache.valid && strcmp(cache.path, path) == 0 && cache.inode == st.st_ino && cache.size == st.st_size &&
		memcmp(&cache.changed, &st.st_mtim, sizeof st.st_mtim) == 0 && cache.read_wall_ms - changed_ms > TICK_MS)
		return;
	cache.read_wall_ms = clock_wall_ms();
	json_t *doc = statefile_document(conf);
	digest(doc);
	json_decref(doc);
	cache.valid = true;
	memcpy(cache.path, path, sizeof path);
	cache.inode = st.st_ino;
	cache.size = st.st_size;
	cache.changed = st.st_mtim;
}

/* What time alone does to a state: nobody has to write the file for it. */
static void apply_ages(const struct conf *conf, struct statefile_view *v)
{
	bool silent = v->heartbeat_age_ms < 0 || v->heartbeat_age_ms > conf->silent_ms;
	if ((v->state == NODE_READY || v->state == NODE_LAGGING) && silent) {
		v->was_in_sync = v->state == NODE_READY;
		v->state = NODE_SILENT;
	} else if (v->state == NODE_READY && v->lag_ms > conf->lag_ms) {
		v->state = NODE_LAGGING;
	}
}

void statefile_view(const struct conf *conf, struct statefile_view *v)
{
	pthread_mutex_lock(&cache.lock);
	refresh(conf);
	*v = cache.view;
	int64_t heartbeat = cache.heartbeat_boot_ms, behind = cache.behind_boot_ms;
	pthread_mutex_unlock(&cache.lock);
	int64_t now = clock_boot_ms();
	v->heartbeat_age_ms = heartbeat < 0 ? -1 : now > heartbeat ? now - heartbeat : 0;
	v->lag_ms = behind >= 0 ? (now > behind ? now - behind : 0) : v->known && heartbeat >= 0 ? 0 : -1;
	if (v->known)
		apply_ages(conf, v);
}
