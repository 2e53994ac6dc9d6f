#include "lib/cluster/inspect.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/cluster/damage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TICK_MS 500
#define CACHE_KIB 2048

/* Larger files are looked through only where `read` met damage: reading all of
 * one at each start would keep the disk busy for minutes. */
#define WHOLE_MOST ((off_t)4 << 30)

struct inspect {
	struct node *node;
	struct catalog *catalog;
	struct self *self;
	void (*changed)(void *arg);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;           /* CLOCK_MONOTONIC */
	_Atomic bool quit;
};

enum err_code inspect_file(struct conn *c, struct err *e)
{
	char *text = NULL;
	if (conn_text(c, "PRAGMA quick_check(1)", &text, e) != ERR_OK)
		return e->code;
	/* Other findings (a CHECK that does not hold) are of the data, not of the file. */
	if (text && strncmp(text, "***", 3) == 0)
		err_set(e, ERR_CORRUPT, "%s: %.300s", c->path, text);
	free(text);
	return e->code;
}

static bool stopped(void *arg)
{
	return ((struct inspect *)arg)->quit;
}

/* What is looked through: no reference is held meanwhile, a DROP does not wait. */
struct target {
	char name[CATALOG_NAME_LEN], id[JOURNAL_ID_LEN], path[PATH_MAX];
};

static void condemn(struct inspect *i, const struct target *t, const char *why)
{
	struct node_state_view v;
	node_state_look(i->self, &v);
	if (!v.is_master)
		node_state_condition(i->self, t->id, WIRE_CORRUPT);
	node_event(i->node, "database.corrupt", "alert", NULL, "the file of database %s is damaged: %s", t->name, why);
	if (node_state_update(i->self))
		i->changed(i->arg);
}

static void look_through(struct inspect *i, const struct target *t)
{
	struct conn c;
	struct err e = ERR_INIT;
	int64_t began = clock_boot_ms();
	if (node_state_condition_of(i->self, t->id) != WIRE_OK)
		return;
	/* A connection of its own: one that was used before would find sound pages in its cache. */
	if (conn_open(&c, t->path, CONN_READER, CACHE_KIB, &e) == ERR_OK) {
		c.cancelled = stopped;
		c.cancelled_arg = i;
		inspect_file(&c, &e);
		conn_close(&c);
	}
	if (e.code == ERR_CORRUPT)
		condemn(i, t, e.text);
	log_debug("inspected", "database=%s ms=%lld result=%s", t->name, (long long)(clock_boot_ms() - began),
		err_name(e.code));
}

/* One database by its name; whole: only if it is not huge. */
static void inspect_one(struct inspect *i, const char *name, bool whole)
{
	struct stat st;
	struct target t;
	struct database *db = catalog_get(i->catalog, name);
	bool there = db && db->writer;
	if (there) {
		memcpy(t.name, db->name, sizeof t.name);
		memcpy(t.id, db->id, sizeof t.id);
		memcpy(t.path, db->path, sizeof t.path);
	}
	catalog_put(i->catalog, db);
	if (there && stat(t.path, &st) == 0 && (!whole || st.st_size <= WHOLE_MOST))
		look_through(i, &t);
}

static void inspect_all(struct inspect *i)
{
	struct database **all;
	size_t n = catalog_all(i->catalog, &all);
	char (*names)[CATALOG_NAME_LEN] = calloc(n + 1, sizeof *names);
	for (size_t k = 0; k < n; k++) {
		if (names)
			memcpy(names[k], all[k]->name, CATALOG_NAME_LEN);
		catalog_put(i->catalog, all[k]);
	}
	free(all);
	for (size_t k = 0; names && k < n && !i->quit; k++)
		inspect_one(i, names[k], true);
	free(names);
}

static bool take_report(void *arg, const char *name)
{
	struct inspect *i = arg;
	inspect_one(i, name, false);
	return !i->quit;
}

static void *inspect_thread(void *arg)
{
	struct inspect *i = arg;
	inspect_all(i);
	pthread_mutex_lock(&i->lock);
	while (!i->quit) {
		pthread_mutex_unlock(&i->lock);
		damage_take(&i->node->conf, take_report, i);
		struct timespec until = clock_deadline(TICK_MS);
		pthread_mutex_lock(&i->lock);
		for (int rc = 0; !i->quit && rc == 0;)
			rc = pthread_cond_timedwait(&i->wake, &i->lock, &until);
	}
	pthread_mutex_unlock(&i->lock);
	return NULL;
}

enum err_code inspect_start(struct inspect **out, struct node *node, struct catalog *catalog, struct self *self,
	void (*changed)(void *arg), void *arg, struct err *e)
{
	struct inspect *i = calloc(1, sizeof *i);
	pthread_condattr_t attr;
	if (!i)
		return err_set(e, ERR_NOMEM, "no memory for looking through files");
	i->node = node;
	i->catalog = catalog;
	i->self = self;
	i->changed = changed;
	i->arg = arg;
	pthread_mutex_init(&i->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&i->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&i->thread, NULL, inspect_thread, i) != 0) {
		free(i);
		return err_set(e, ERR_NOMEM, "cannot start the thread that looks through files");
	}
	*out = i;
	return ERR_OK;
}

void inspect_stop(struct inspect *i)
{
	if (!i)
		return;
	pthread_mutex_lock(&i->lock);
	i->quit = true;
	pthread_cond_signal(&i->wake);
	pthread_mutex_unlock(&i->lock);
	pthread_join(i->thread, NULL);
	pthread_cond_destroy(&i->wake);
	pthread_mutex_destroy(&i->lock);
	free(i);
}
