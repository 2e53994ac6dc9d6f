#include "lib/cluster/catalog.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct catalog {
	struct node *node;
	void (*committed)(void *arg, struct database *db, const struct journal_pos *head, int64_t row_bytes);
	void *arg;
	pthread_mutex_t change;        /* one change of the set at a time; taken before lock */
	pthread_mutex_t lock;          /* of the set and of the references */
	pthread_cond_t unused;         /* a reference was given back */
	struct database **db;          /* [0] is _ddb */
	size_t n;
};

/* ---- files ---- */

static void path_in(const struct catalog *c, const char *folder, const char *name, const char *end, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%.*s/%s/%s%s", PATH_MAX - 256, c->node->conf.data, folder, name, end);
}

/* Renames a database file together with its -wal and -shm. */
static enum err_code move_file(const char *from, const char *to, struct err *e)
{
	static const char *const parts[] = {"-shm", "-wal", ""};
	for (size_t i = 0; i < 3; i++) {
		char a[PATH_MAX + 8], b[PATH_MAX + 8];
		snprintf(a, sizeof a, "%s%s", from, parts[i]);
		snprintf(b, sizeof b, "%s%s", to, parts[i]);
		if (rename(a, b) != 0 && errno != ENOENT)
			return err_set(e, ERR_IO, "cannot move %s to %s: %s", a, b, strerror(errno));
	}
	return ERR_OK;
}

/* Removes the -wal and -shm that were left beside a file which is complete without them. */
static void remove_extras(const char *path)
{
	static const char *const parts[] = {"-shm", "-wal"};
	for (size_t i = 0; i < 2; i++) {
		char extra[PATH_MAX + 8];
		snprintf(extra, sizeof extra, "%s%s", path, parts[i]);
		unlink(extra);
	}
}

/* Moves a file out of the way into `folder` (dropped or orphaned), under a name that says what it was. */
static enum err_code set_aside(const struct catalog *c, const struct database *db, const char *folder, char *kept,
	size_t kept_size, struct err *e)
{
	char name[CATALOG_NAME_LEN + JOURNAL_ID_LEN + 32], to[PATH_MAX], in_db[PATH_MAX];
	snprintf(name, sizeof name, "%s.%.8s.%" PRId64, db->name, db->id[0] ? db->id : "unknown", clock_wall_ms());
	path_in(c, folder, name, ".db", to);
	if (kept)
		snprintf(kept, kept_size, "%s/%s.db", folder, name);
	if (access(db->path, F_OK) != 0)
		return ERR_OK;
	path_in(c, "db", "", "", in_db);
	if (move_file(db->path, to, e) == ERR_OK)
		file_sync_dir(in_db, e);
	return e->code;
}

/* A new empty database in <data>/incoming/ID.db, complete and closed. */
static enum err_code make_file(const struct catalog *c, const char *name, const char *id, char path[PATH_MAX],
	struct err *e)
{
	struct conn conn;
	path_in(c, "incoming", id, ".db", path);
	unlink(path);
	if (conn_open(&conn, path, CONN_CREATE, 512, e) != ERR_OK)
		return e->code;
	journal_create(&conn, id, name, e);
	conn_close(&conn); /* the last connection moves the log into the file */
	remove_extras(path);
	return e->code;
}

/* Puts a complete file in the database's place. */
static enum err_code place_file(const struct catalog *c, const struct database *db, const char *from, struct err *e)
{
	char folder[PATH_MAX];
	path_in(c, "db", "", "", folder);
	if (move_file(from, db->path, e) == ERR_OK)
		file_sync_dir(folder, e);
	return e->code;
}

/* ---- the set ---- */

static void committed(void *arg, const struct journal_pos *head, int64_t row_bytes)
{
	struct database *db = arg;
	if (db->catalog->committed)
		db->catalog->committed(db->catalog->arg, db, head, row_bytes);
}

/* Opens the writer; a file that is missing or damaged leaves it NULL, which a
 * snapshot cures on a slave, and says so. */
static void open_writer(struct catalog *c, struct database *db)
{
	struct err e = ERR_INIT;
	struct writer *w;
	struct writer_events events = {committed, db};
	if (access(db->path, F_OK) != 0)
		return;
	if (writer_open(&w, db->path, &c->node->conf, &c->node->reign, &events, &e) != ERR_OK) {
		node_event(c->node, "database.unreadable", "alert", NULL, "the database %s cannot be opened: %s", db->name, e.text);
		return;
	}
	if (db->id[0] && strcmp(db->id, writer_id(w)) != 0) {
		node_event(c->node, "database.foreign", "alert", NULL, "the file of %s holds the database %s, not %s", db->name,
			writer_id(w), db->id);
		writer_close(w);
		return;
	}
	memcpy(db->id, writer_id(w), JOURNAL_ID_LEN);
	pthread_mutex_lock(&c->lock);
	db->writer = w;
	pthread_mutex_unlock(&c->lock);
}

static struct database *add(struct catalog *c, const char *name, const char *id)
{
	struct database *db = calloc(1, sizeof *db);
	snprintf(db->name, sizeof db->name, "%s", name);
	snprintf(db->id, sizeof db->id, "%s", id);
	path_in(c, "db", name, ".db", db->path);
	db->catalog = c;
	open_writer(c, db);
	pthread_mutex_lock(&c->lock);
	c->db = realloc(c->db, (c->n + 1) * sizeof(struct database *));
	c->db[c->n++] = db;
	pthread_mutex_unlock(&c->lock);
	return db;
}

static void wait_unused(struct catalog *c, struct database *db, int but)
{
	while (db->refs > but)
		pthread_cond_wait(&c->unused, &c->lock);
}

/* Takes db out of the set, waits until nobody uses it, moves its file to dropped/. */
static void remove_at(struct catalog *c, size_t i, char *kept, size_t kept_size)
{
	struct err e = ERR_INIT;
	pthread_mutex_lock(&c->lock);
	struct database *db = c->db[i];
	memmove(&c->db[i], &c->db[i + 1], (c->n - i - 1) * sizeof(struct database *));
	c->n--;
	wait_unused(c, db, 0);
	pthread_mutex_unlock(&c->lock);
	writer_close(db->writer);
	if (set_aside(c, db, "dropped", kept, kept_size, &e) != ERR_OK)
		log_warn("drop_file", "database=%s error=\"%s\"", db->name, e.text);
	free(db);
}

struct named {
	char name[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN];
};

/* What _ddb names; *n 0 while its tables are not there yet. */
static enum err_code read_names(struct catalog *c, struct named **out, size_t *n, struct err *e)
{
	struct conn conn;
	sqlite3_stmt *stmt;
	unsigned traits;
	int64_t there = 0;
	static const char sql[] = "SELECT name, id FROM databases ORDER BY name";
	*out = NULL;
	*n = 0;
	if (!c->db[0]->writer)
		return ERR_OK;
	if (conn_open(&conn, c->db[0]->path, CONN_READER, 512, e) != ERR_OK)
		return e->code;
	if (conn_int(&conn, "SELECT count(*) FROM sqlite_schema WHERE name = 'databases'", 0, &there, e) == ERR_OK && there &&
		conn_prepare(&conn, sql, sizeof sql - 1, &stmt, &traits, NULL, e) == ERR_OK) {
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			*out = realloc(*out, (*n + 1) * sizeof **out);
			struct named *one = &(*out)[(*n)++];
			snprintf(one->name, sizeof one->name, "%s", (const char *)sqlite3_column_text(stmt, 0));
			snprintf(one->id, sizeof one->id, "%s", (const char *)sqlite3_column_text(stmt, 1));
		}
		conn_release(&conn, stmt);
	}
	conn_close(&conn);
	return e->code;
}

static bool is_named(const struct named *names, size_t n, const struct database *db)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, db->name) == 0)
			return strcmp(names[i].id, db->id) == 0;
	return false;
}

/* c->change is held, or nobody else knows c yet. */
static enum err_code refresh(struct catalog *c, struct err *e)
{
	struct named *names;
	size_t n;
	if (read_names(c, &names, &n, e) == ERR_OK) {
		for (size_t i = c->n; i-- > 1;)
			if (!is_named(names, n, c->db[i])) {
				log_info("database_gone", "database=%s id=%s", c->db[i]->name, c->db[i]->id);
				remove_at(c, i, NULL, 0);
			}
		for (size_t i = 0; i < n; i++) {
			bool known = false;
			for (size_t k = 1; k < c->n; k++)
				known = known || strcmp(c->db[k]->name, names[i].name) == 0;
			if (!known)
				add(c, names[i].name, names[i].id);
		}
	}
	free(names);
	return e->code;
}

enum err_code catalog_refresh(struct catalog *c, struct err *e)
{
	pthread_mutex_lock(&c->change);
	refresh(c, e);
	pthread_mutex_unlock(&c->change);
	return e->code;
}

bool catalog_at_rest(struct catalog *c)
{
	if (pthread_mutex_trylock(&c->change) != 0)
		return false;
	pthread_mutex_unlock(&c->change);
	return true;
}

/* A crash between naming a database and putting its file in place is mended
 * here; files that nothing names are set aside. */
static void tidy(struct catalog *c)
{
	char folder[PATH_MAX], made[PATH_MAX];
	struct err e = ERR_INIT;
	for (size_t i = 1; i < c->n; i++) {
		struct database *db = c->db[i];
		path_in(c, "incoming", db->id, ".db", made);
		if (!db->writer && access(db->path, F_OK) != 0 && access(made, F_OK) == 0 &&
			place_file(c, db, made, &e) == ERR_OK)
			open_writer(c, db);
	}
	path_in(c, "db", "", "", folder);
	DIR *dir = c->db[0]->writer ? opendir(folder) : NULL;
	struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		bool known = len <= 3 || strcmp(entry->d_name + len - 3, ".db") != 0;
		for (size_t i = 0; i < c->n && !known; i++)
			known = strncmp(c->db[i]->name, entry->d_name, len - 3) == 0 && c->db[i]->name[len - 3] == '\0';
		if (known)
			continue;
		struct database stray = {.catalog = c};
		snprintf(stray.name, sizeof stray.name, "%.*s", (int)(len - 3), entry->d_name);
		path_in(c, "db", entry->d_name, "", stray.path);
		set_aside(c, &stray, "dropped", NULL, 0, &e);
		log_warn("stray_file", "file=%s action=moved_to_dropped", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

enum err_code catalog_open(struct catalog **out, struct node *node,
	void (*on_commit)(void *arg, struct database *db, const struct journal_pos *head, int64_t row_bytes), void *arg,
	struct err *e)
{
	struct catalog *c = calloc(1, sizeof *c);
	*out = NULL;
	if (!c)
		return err_set(e, ERR_NOMEM, "no memory for the catalog");
	c->node = node;
	c->committed = on_commit;
	c->arg = arg;
	pthread_mutex_init(&c->change, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->unused, NULL);
	add(c, CATALOG_SYSTEM, "");
	if (node->role == NODE_MASTER && !c->db[0]->writer)
		err_set(e, ERR_DATABASE_MISSING, "%s is missing or damaged; a master cannot start without it", c->db[0]->path);
	else if (refresh(c, e) == ERR_OK)
		tidy(c);
	if (e->code != ERR_OK)
		catalog_close(c);
	else
		*out = c;
	return e->code;
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++) {
		writer_close(c->db[i]->writer);
		free(c->db[i]);
	}
	free(c->db);
	pthread_mutex_destroy(&c->change);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->unused);
	free(c);
}

/* ---- references ---- */

static struct database *find(struct catalog *c, const char *name, const char *id)
{
	struct database *found = NULL;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->n && !found; i++)
		if (name ? strcmp(c->db[i]->name, name) == 0 : strcmp(c->db[i]->id, id) == 0)
			found = c->db[i];
	if (found)
		found->refs++;
	pthread_mutex_unlock(&c->lock);
	return found;
}

struct database *catalog_get(struct catalog *c, const char *name)
{
	return find(c, name, NULL);
}

struct database *catalog_get_id(struct catalog *c, const char *id)
{
	return *id ? find(c, NULL, id) : NULL;
}

void catalog_put(struct catalog *c, struct database *db)
{
	if (!db)
		return;
	pthread_mutex_lock(&c->lock);
	db->refs--;
	pthread_cond_broadcast(&c->unused);
	pthread_mutex_unlock(&c->lock);
}

size_t catalog_all(struct catalog *c, struct database ***out)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->n;
	*out = malloc((n ? n : 1) * sizeof **out);
	for (size_t i = 0; i < n; i++) {
		(*out)[i] = c->db[i];
		c->db[i]->refs++;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* ---- as master ---- */

enum err_code catalog_system_op(struct catalog *c, const json_t *op, struct journal_pos *pos, struct err *e)
{
	struct writer_answer a = {.results = BUF_INIT(65536)};
	struct writer *w = c->db[0]->writer;
	memset(pos, 0, sizeof *pos);
	if (!w)
		return err_set(e, ERR_STARTING, "this node has no catalog yet");
	writer_op(w, op, c->node->conf.write_deadline_ms, false, &a, e);
	*pos = a.pos;
	buf_release(&a.results);
	return e->code;
}

static enum err_code create(struct catalog *c, const char *name, struct database **out, struct err *e)
{
	char id[JOURNAL_ID_LEN], made[PATH_MAX], body[256];
	struct journal_pos pos;
	node_random_id(id);
	if (make_file(c, name, id, made, e) != ERR_OK)
		return e->code;
	json_t *op = json_pack("{s:[{s:s,s:[s,s,I]}]}", "statements", "sql",
		"INSERT INTO databases(name, id, created_ms) VALUES(?, ?, ?)", "params", name, id,
		(json_int_t)clock_wall_ms());
	catalog_system_op(c, op, &pos, e);
	json_decref(op);
	if (e->code != ERR_OK) {
		unlink(made);
		return e->code;
	}
	struct database place = {.catalog = c};
	path_in(c, "db", name, ".db", place.path);
	if (place_file(c, &place, made, e) != ERR_OK)
		return e->code;
	struct database *db = add(c, name, id);
	if (!db->writer)
		return err_set(e, ERR_IO, "the new database %s cannot be opened", name);
	snprintf(body, sizeof body, "{\"name\":\"%s\",\"id\":\"%s\"}", name, id);
	writer_control(db->writer, "create", body, &pos, e);
	*out = catalog_get(c, name);
	return e->code;
}

enum err_code catalog_create(struct catalog *c, const char *name, struct database **out, struct err *e)
{
	*out = NULL;
	if (!catalog_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "a database's name begins with a letter and has up to 63 letters, digits, - and _");
	pthread_mutex_lock(&c->change);
	*out = catalog_get(c, name);
	if (*out)
		err_set(e, ERR_EXISTS, "the database %s exists already", name);
	else
		create(c, name, out, e);
	pthread_mutex_unlock(&c->change);
	return e->code;
}

enum err_code catalog_drop(struct catalog *c, const char *name, char *kept, size_t kept_size, struct err *e)
{
	struct journal_pos pos;
	size_t at = 0;
	pthread_mutex_lock(&c->change);
	for (size_t i = 1; i < c->n; i++)
		if (strcmp(c->db[i]->name, name) == 0)
			at = i;
	if (at == 0) {
		err_set(e, ERR_DATABASE_UNKNOWN, "there is no database '%.80s'", name);
	} else {
		json_t *op = json_pack("{s:[{s:s,s:[s]}]}", "statements", "sql", "DELETE FROM databases WHERE name = ?", "params",
			name);
		catalog_system_op(c, op, &pos, e);
		json_decref(op);
		if (e->code == ERR_OK)
			remove_at(c, at, kept, kept_size);
	}
	pthread_mutex_unlock(&c->change);
	return e->code;
}

/* ---- as slave ---- */

enum err_code catalog_make_file(struct catalog *c, const char *name, const char *id, struct err *e)
{
	char made[PATH_MAX];
	pthread_mutex_lock(&c->change);
	struct database *db = catalog_get(c, name);
	if (!db)
		err_set(e, ERR_DATABASE_UNKNOWN, "the catalog here does not name a database %s yet", name);
	else if (db->writer)
		err_set(e, ERR_EXISTS, "the database %s exists here already", name);
	else if (db->id[0] && strcmp(db->id, id) != 0)
		err_set(e, ERR_POSITION, "the catalog here names %s as %s, not %s", name, db->id, id);
	else if (set_aside(c, db, "orphaned", NULL, 0, e) == ERR_OK && make_file(c, name, id, made, e) == ERR_OK &&
		place_file(c, db, made, e) == ERR_OK)
		open_writer(c, db);
	if (e->code == ERR_OK && !db->writer)
		err_set(e, ERR_IO, "the new file of %s cannot be opened", name);
	catalog_put(c, db);
	pthread_mutex_unlock(&c->change);
	return e->code;
}

static enum err_code copy(sqlite3 *from, sqlite3 *to, struct err *e)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return err_set(e, ERR_IO, "cannot begin to copy: %s", sqlite3_errmsg(to));
	int rc = sqlite3_backup_step(b, -1);
	int end = sqlite3_backup_finish(b);
	if (rc == SQLITE_DONE && end == SQLITE_OK)
		return ERR_OK;
	return err_set(e, (rc & 0xff) == SQLITE_FULL ? ERR_DISK_FULL : ERR_IO, "the copy failed: %s", sqlite3_errstr(rc));
}

struct install {
	const char *from;
	const char *keep;      /* where the old content goes; NULL: nowhere */
	int64_t cache_kib;
};

/* In the writer's thread: readers in other processes see the old state until
 * the new one is complete; a crash midway leaves the old one. */
static enum err_code bring_in(struct conn *live, void *arg, struct err *e)
{
	const struct install *in = arg;
	struct conn other;
	if (in->keep && conn_open(&other, in->keep, CONN_CREATE, in->cache_kib, e) == ERR_OK) {
		struct err lost = ERR_INIT;
		if (copy(live->db, other.db, &lost) != ERR_OK)
			log_warn("keep_old_failed", "path=%s error=\"%s\"", in->keep, lost.text);
		conn_close(&other);
	}
	if (e->code != ERR_OK || conn_open(&other, in->from, CONN_READER, in->cache_kib, e) != ERR_OK)
		return e->code;
	copy(other.db, live->db, e);
	conn_close(&other);
	return e->code;
}

static enum err_code install(struct catalog *c, struct database *db, const char *from, bool keep_old, struct err *e)
{
	char keep[PATH_MAX], name[CATALOG_NAME_LEN + 64];
	if (!db->writer) {
		if (set_aside(c, db, "orphaned", NULL, 0, e) == ERR_OK && place_file(c, db, from, e) == ERR_OK)
			open_writer(c, db);
		if (e->code == ERR_OK && !db->writer)
			err_set(e, ERR_CORRUPT, "the snapshot of %s cannot be opened", db->name);
		return e->code;
	}
	snprintf(name, sizeof name, "%s.%.8s.%" PRId64, db->name, db->id, clock_wall_ms());
	path_in(c, "orphaned", name, ".db", keep);
	struct install in = {from, keep_old ? keep : NULL, c->node->conf.cache_kib};
	enum err_code code = writer_call(db->writer, bring_in, &in, e);
	if (code != ERR_CORRUPT && code != ERR_OK)
		return code;
	if (code == ERR_OK) {
		unlink(from);
		remove_extras(from);
		return ERR_OK;
	}
	/* The live file is damaged beyond the backup API: replace it whole. */
	err_reset(e);
	pthread_mutex_lock(&c->lock);
	struct writer *w = db->writer;
	wait_unused(c, db, 1); /* this one */
	db->writer = NULL;
	pthread_mutex_unlock(&c->lock);
	writer_close(w);
	return install(c, db, from, keep_old, e);
}

enum err_code catalog_install(struct catalog *c, const char *name, const char *id, const char *from, bool keep_old,
	struct err *e)
{
	pthread_mutex_lock(&c->change);
	struct database *db = catalog_get(c, name);
	bool system = strcmp(name, CATALOG_SYSTEM) == 0;
	if (!db)
		err_set(e, ERR_DATABASE_UNKNOWN, "the catalog here does not name a database %s", name);
	else if (!system && strcmp(db->id, id) != 0)
		err_set(e, ERR_POSITION, "the catalog here names %s as %s, not %s", name, db->id, id);
	else
		install(c, db, from, keep_old, e);
	if (e->code == ERR_OK && db && system) {
		memcpy(db->id, id, JOURNAL_ID_LEN);
		refresh(c, e);
	}
	catalog_put(c, db);
	pthread_mutex_unlock(&c->change);
	return e->code;
}
