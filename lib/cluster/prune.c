#include "lib/cluster/prune.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000
#define COUNTS_PER_TICK 16
#define CUT_ROWS 2000            /* in one transaction */
#define CUTS_PER_TICK 50
#define WORTH_ROWS 1000          /* fewer wait until PATIENCE_MS have passed */
#define PATIENCE_MS 5000
#define KEYS_MS (10 * 60 * 1000)

struct prune {
	struct prune_env env;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;           /* CLOCK_MONOTONIC */
	_Atomic bool quit;
	int64_t patience_boot_ms;      /* small cuts are made when this has come */
	int64_t keys_boot_ms;
	bool small_too;                /* in this tick */
};

int64_t prune_retention_floor(const struct conf *conf, int64_t head_seq, int64_t age_seq)
{
	int64_t rows_seq = head_seq - conf->retention_rows + 1;
	int64_t floor = rows_seq < age_seq ? rows_seq : age_seq;
	return floor > head_seq ? head_seq : floor < 0 ? 0 : floor;
}

/* ---- cutting, in the writer's thread ---- */

struct cut {
	int64_t below;                 /* rows before this one may go */
	int64_t excess;                /* and beyond that none once so many bytes went; 0: all of them */
	int64_t floor, bytes;          /* out: the first row left, bytes that went */
};

static enum err_code cut_some(struct conn *c, void *arg, struct err *e)
{
	struct cut *cut = arg;
	struct journal_pos head;
	int64_t first, rows, oldest;
	char sql[96];
	if (journal_floor(c, &first, e) != ERR_OK || journal_head(c, &head, e) != ERR_OK)
		return e->code;
	int64_t below = cut->below > head.seq ? head.seq : cut->below; /* the last row is the position */
	cut->floor = first;
	if (below <= first)
		return ERR_OK;
	if (below > first + CUT_ROWS)
		below = first + CUT_ROWS;
	snprintf(sql, sizeof sql, "DELETE FROM ddb_journal WHERE seq < %" PRId64, below);
	if (journal_pending(c, first - 1, below - first, &rows, &cut->bytes, &oldest, e) == ERR_OK &&
		conn_exec(c, sql, e) == ERR_OK)
		cut->floor = below;
	return e->code;
}

/* Cuts one database's journal below a row; with excess only until so many bytes went. */
static void cut_journal(struct prune *p, struct database *db, int64_t below, int64_t excess)
{
	struct err e = ERR_INIT;
	struct writer *w = db->writer;
	int64_t went = 0, from = 0, to = 0;
	for (int i = 0; i < CUTS_PER_TICK && !p->quit; i++) {
		struct cut cut = {.below = below};
		if (writer_call(w, cut_some, &cut, &e) != ERR_OK || cut.floor == to)
			break;
		if (!from)
			from = cut.floor;
		to = cut.floor;
		went += cut.bytes;
		pool_pruned(p->env.pool, db->id, cut.floor, cut.bytes);
		if (cut.bytes == 0 || (excess > 0 && went >= excess))
			break;
	}
	if (went > 0)
		log_info("journal_cut", "database=%s from=%" PRId64 " floor=%" PRId64 " wanted=%" PRId64 " bytes=%" PRId64, db->name,
			from, to, below, went);
	if (e.code != ERR_OK && e.code != ERR_STOPPING)
		log_warn("journal_not_cut", "database=%s below=%" PRId64 " error=\"%s\"", db->name, below, e.text);
}

/* ---- how far ---- */

static enum err_code at_ms_of(struct conn *c, int64_t seq, int64_t *at_ms, struct err *e)
{
	int64_t rows, bytes;
	return journal_pending(c, seq - 1, 1, &rows, &bytes, at_ms, e);
}

/* The first row younger than `since` (head + 1: none): at_ms never goes back. */
static enum err_code first_younger(struct conn *c, int64_t floor, int64_t head, int64_t since, int64_t *seq,
	struct err *e)
{
	int64_t low = floor, high = head + 1;
	while (low < high && e->code == ERR_OK) {
		int64_t mid = low + (high - low) / 2, at_ms;
		if (at_ms_of(c, mid, &at_ms, e) != ERR_OK)
			break;
		if (at_ms > since)
			high = mid;
		else
			low = mid + 1;
	}
	*seq = low;
	return e->code;
}

struct span {
	int64_t floor, head, age_seq;
};

static enum err_code look(struct prune *p, const struct database *db, struct span *s, struct err *e)
{
	struct conn *c;
	struct journal_pos head;
	if (readers_take(p->env.readers, db->path, &c, e) != ERR_OK)
		return e->code;
	int64_t since = clock_wall_ms() - p->env.node->conf.retention_ms;
	if (journal_floor(c, &s->floor, e) == ERR_OK && journal_head(c, &head, e) == ERR_OK) {
		s->head = head.seq;
		first_younger(c, s->floor, s->head, since, &s->age_seq, e);
	}
	readers_give(p->env.readers, c, e->code != ERR_OK);
	return e->code;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void prune_as_master(struct prune *p, struct database *db)
{
	const struct conf *conf = &p->env.node->conf;
	struct span s;
	struct err e = ERR_INIT;
	if (look(p, db, &s, &e) != ERR_OK || s.head == 0)
		return;
	pool_pruned(p->env.pool, db->id, s.floor, 0);
	/* The row at a slave's position stays, so that its hash can be compared. */
	int64_t allowed = least(pool_prune_floor(p->env.pool, db->id, conf->pending_bytes), shelf_pin(p->env.shelf, db->id));
	int64_t below = least(allowed, prune_retention_floor(conf, s.head, s.age_seq));
	if (below - s.floor >= WORTH_ROWS || (p->small_too && below > s.floor))
		cut_journal(p, db, below, 0);
	int64_t excess = pool_journal_bytes(p->env.pool, db->id) - conf->retention_bytes;
	if (excess > 0 && allowed > s.floor)
		cut_journal(p, db, allowed, excess);
}

static void prune_as_slave(struct prune *p, struct database *db)
{
	struct span s;
	struct err e = ERR_INIT;
	int64_t floor = node_state_floor(p->env.self, db->id);
	if (floor == 0 || node_state_condition_of(p->env.self, db->id) != WIRE_OK || look(p, db, &s, &e) != ERR_OK)
		return;
	if (floor - s.floor >= WORTH_ROWS || (p->small_too && floor > s.floor && s.head > s.floor))
		cut_journal(p, db, floor, 0);
}

/* ---- idempotency keys ---- */

static enum err_code forget_keys(struct conn *c, void *arg, struct err *e)
{
	char sql[96];
	snprintf(sql, sizeof sql, "DELETE FROM ddb_key WHERE at_ms < %" PRId64, *(const int64_t *)arg);
	return conn_exec(c, sql, e);
}

static void prune_keys(struct prune *p, struct database *db)
{
	int64_t before = clock_wall_ms() - p->env.node->conf.key_ms, there = 0;
	struct err e = ERR_INIT;
	struct conn *c;
	char sql[96];
	snprintf(sql, sizeof sql, "SELECT 1 FROM ddb_key WHERE at_ms < %" PRId64 " LIMIT 1", before);
	if (readers_take(p->env.readers, db->path, &c, &e) != ERR_OK)
		return;
	conn_int(c, sql, 0, &there, &e);
	readers_give(p->env.readers, c, e.code != ERR_OK);
	if (there)
		writer_call(db->writer, forget_keys, &before, &e);
}

/* ---- the thread ---- */

/* The ids of all databases (JOURNAL_ID_LEN bytes each; caller frees): a
 * reference held while journals are cut would hold up a DROP. */
static size_t all_ids(struct catalog *c, char (**ids)[JOURNAL_ID_LEN])
{
	struct database **all;
	size_t n = catalog_all(c, &all);
	*ids = calloc(n + 1, sizeof **ids);
	for (size_t i = 0; i < n; i++) {
		if (*ids)
			memcpy((*ids)[i], all[i]->id, JOURNAL_ID_LEN);
		catalog_put(c, all[i]);
	}
	free(all);
	return *ids ? n : 0;
}

static void tick(struct prune *p)
{
	char (*ids)[JOURNAL_ID_LEN];
	int64_t now = clock_boot_ms();
	bool master = reign_is_open(p->env.reign), slave = !reign_is_master(p->env.reign);
	bool keys = now >= p->keys_boot_ms;
	p->small_too = now >= p->patience_boot_ms;
	if (p->small_too)
		p->patience_boot_ms = now + PATIENCE_MS;
	if (keys)
		p->keys_boot_ms = now + KEYS_MS;
	for (int i = 0; master && i < COUNTS_PER_TICK && pool_count_some(p->env.pool); i++)
		;
	size_t n = all_ids(p->env.catalog, &ids);
	for (size_t i = 0; i < n && (master || slave) && !p->quit; i++) {
		struct database *db = catalog_get_id(p->env.catalog, ids[i]);
		if (db && db->writer && master)
			prune_as_master(p, db);
		else if (db && db->writer)
			prune_as_slave(p, db);
		if (db && db->writer && keys)
			prune_keys(p, db);
		catalog_put(p->env.catalog, db);
	}
	free(ids);
	shelf_tidy(p->env.shelf);
}

static void *prune_thread(void *arg)
{
	struct prune *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->quit) {
		pthread_mutex_unlock(&p->lock);
		tick(p);
		struct timespec until = clock_deadline(TICK_MS);
		pthread_mutex_lock(&p->lock);
		for (int rc = 0; !p->quit && rc == 0;)
			rc = pthread_cond_timedwait(&p->wake, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

enum err_code prune_start(struct prune **out, const struct prune_env *env, struct err *e)
{
	struct prune *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;
	if (!p)
		return err_set(e, ERR_NOMEM, "no memory for housekeeping");
	p->env = *env;
	p->patience_boot_ms = clock_boot_ms() + PATIENCE_MS;
	p->keys_boot_ms = clock_boot_ms() + PATIENCE_MS;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&p->thread, NULL, prune_thread, p) != 0) {
		free(p);
		return err_set(e, ERR_NOMEM, "cannot start the housekeeping thread");
	}
	*out = p;
	return ERR_OK;
}

void prune_stop(struct prune *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
