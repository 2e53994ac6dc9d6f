#include "lib/journal/writer.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/journal/apply.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The log is moved into the file by force once it is this many times longer
 * than the setting says; until then only as far as readers allow. */
#define WRITER_LOG_TOO_LONG 8
#define WRITER_FORCE_WAIT_MS 200

/* A group that has run this long is committed before it takes more, so that a
 * slow operation delays its neighbours by its own time only. */
#define WRITER_GROUP_US 20000

enum job_kind { JOB_OP, JOB_CONTROL, JOB_APPLY, JOB_CALL };

/* One request to the thread; lives on the stack of the one who waits. */
struct job {
	enum job_kind kind;
	struct job *next;
	sem_t done;
	struct err *e;
	struct journal_pos pos;
	/* JOB_OP, JOB_CONTROL */
	const json_t *op;
	const char *row_kind, *body;
	size_t body_len;
	int64_t deadline_ms;
	int64_t queued_us;             /* boot clock */
	bool big_as_string, journaled;
	struct buf *results;
	int64_t changes;
	/* JOB_APPLY */
	const struct writer_batch *batch;
	int64_t *bad_seq;
	/* JOB_CALL */
	enum err_code (*fn)(struct conn *c, void *arg, struct err *e);
	void *arg;
};

struct writer {
	struct conf const *conf;
	const _Atomic int64_t *reign;
	struct writer_events events;
	char id[JOURNAL_ID_LEN];
	char path[512];
	pthread_t thread;

	pthread_mutex_t lock;          /* of what follows, down to the thread's own */
	pthread_cond_t wake;
	struct job *first, **last;
	int64_t queued;
	bool closing;
	struct journal_pos head;       /* durable */
	struct writer_stats stats;

	/* the thread's own */
	struct conn conn;
	struct journal_pos pos;        /* within the open transaction */
	int64_t last_at_ms;            /* of the durable head */
	int64_t at_ms;                 /* of the last row in the open transaction */
	int log_pages;                 /* in the write-ahead log after the last commit */
	bool broken;                   /* a commit's outcome is unknown: nothing more is taken */
};

/* ---- the thread: connection ---- */

static int note_log(void *arg, sqlite3 *db, const char *database, int pages)
{
	struct writer *w = arg;
	(void)db;
	(void)database;
	w->log_pages = pages;
	return SQLITE_OK;
}

static enum err_code connect(struct writer *w, struct err *e)
{
	if (conn_open(&w->conn, w->path, CONN_WRITER, w->conf->cache_kib, e) != ERR_OK)
		return e->code;
	char id[JOURNAL_ID_LEN];
	sqlite3_wal_hook(w->conn.db, note_log, w);
	if (journal_id(&w->conn, id, e) == ERR_OK && journal_head(&w->conn, &w->pos, e) == ERR_OK)
		journal_last_at(&w->conn, &w->last_at_ms, e);
	if (e->code != ERR_OK)
		conn_close(&w->conn);
	else if (strcmp(w->id, id) != 0)
		memcpy(w->id, id, sizeof id);
	w->at_ms = w->last_at_ms;
	return e->code;
}

/* Ends any transaction and starts over with a connection whose memory holds
 * nothing of a failed operation. */
static enum err_code reconnect(struct writer *w, struct err *e)
{
	if (w->conn.db && !sqlite3_get_autocommit(w->conn.db))
		sqlite3_exec(w->conn.db, "ROLLBACK", NULL, NULL, NULL);
	conn_close(&w->conn);
	return connect(w, e);
}

static void set_head(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->head = w->pos;
	pthread_mutex_unlock(&w->lock);
	w->last_at_ms = w->at_ms;
}

static void rollback(struct writer *w)
{
	if (!sqlite3_get_autocommit(w->conn.db))
		sqlite3_exec(w->conn.db, "ROLLBACK", NULL, NULL, NULL);
	w->pos = w->head; /* only this thread changes head */
	w->at_ms = w->last_at_ms;
}

static void checkpoint(struct writer *w)
{
	int limit = (int)w->conf->checkpoint_pages;
	if (w->log_pages < limit)
		return;
	bool force = w->log_pages / WRITER_LOG_TOO_LONG >= limit;
	if (force)
		sqlite3_busy_timeout(w->conn.db, WRITER_FORCE_WAIT_MS);
	int log = 0, moved = 0;
	int rc = sqlite3_wal_checkpoint_v2(w->conn.db, "main", force ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
		&log, &moved);
	if (force)
		sqlite3_busy_timeout(w->conn.db, 5000);
	if (rc != SQLITE_OK && rc != SQLITE_BUSY)
		log_warn("checkpoint_failed", "path=%s rc=%d error=\"%s\"", w->path, rc, sqlite3_errmsg(w->conn.db));
	/* Look again only after as many pages more, not at every commit. */
	if (log == moved || rc != SQLITE_OK)
		w->log_pages = 0;
}

/* COMMIT with fsync. On an I/O error the frames may be in the log all the
 * same: then nobody knows, and this process must end so that the next one
 * reads what is there. */
static enum err_code commit(struct writer *w, struct err *e)
{
	int rc = sqlite3_exec(w->conn.db, "COMMIT", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return ERR_OK;
	if ((rc & 0xff) == SQLITE_FULL) {
		err_set(e, ERR_DISK_FULL, "%s: the disk is full", w->path);
		rollback(w);
		return e->code;
	}
	err_set(e, ERR_OUTCOME_UNKNOWN, "%s: COMMIT failed: %s (%d); whether the write took place is not known yet, ask again",
		w->path, sqlite3_errmsg(w->conn.db), rc);
	log_error("commit_failed", "path=%s rc=%d error=\"%s\" action=restart", w->path, rc, sqlite3_errmsg(w->conn.db));
	w->broken = true;
	kill(getpid(), SIGTERM);
	return e->code;
}

/* ---- the thread: as master ---- */

static void answer(struct job *j)
{
	sem_post(&j->done);
}

/* Appends the row of a job that has run, in the open transaction. */
static enum err_code journal_job(struct writer *w, struct job *j, int64_t epoch, int64_t seed,
	const struct op_result *r, struct err *e)
{
	struct journal_row row = {.pos = {.epoch = epoch, .seq = w->pos.seq + 1}, .at_ms = w->at_ms, .seed = seed,
		.changes = r->changes, .kind = j->row_kind, .body = j->body, .body_len = j->body_len};
	journal_chain(w->pos.hash, &row, r->row_sum, r->schema_sum);
	if (journal_append(&w->conn, &row, e) == ERR_OK)
		w->pos = row.pos;
	return e->code;
}

enum ran { RAN_FINE, RAN_FAILED, RAN_POISONED };

static enum ran run_job(struct writer *w, struct job *j, int64_t epoch)
{
	struct op_result r = {.wrote = true};
	int64_t waited_us = clock_boot_us() - j->queued_us;
	int64_t seed, now = clock_wall_ms();
	randombytes_buf(&seed, sizeof seed);
	if (now > w->at_ms)
		w->at_ms = now;
	if (j->results)
		buf_reset(j->results);
	err_reset(j->e);
	if (j->op && waited_us > w->conf->queue_wait_ms * 1000)
		err_set(j->e, ERR_BUSY, "the operation waited for %lld ms and was not begun; nothing was changed",
			(long long)waited_us / 1000);
	else if (j->op)
		op_run(&w->conn, j->op, w->at_ms, seed, j->deadline_ms, j->big_as_string, j->results, &r, j->e);
	if (j->e->code != ERR_OK)
		return r.poisoned ? RAN_POISONED : RAN_FAILED;
	j->journaled = r.wrote;
	j->changes = r.changes;
	if (r.wrote && journal_job(w, j, epoch, seed, &r, j->e) != ERR_OK)
		return RAN_POISONED;
	j->pos = w->pos;
	return RAN_FINE;
}

static void fail_all(struct job **jobs, size_t n, const struct err *why)
{
	for (size_t i = 0; i < n; i++)
		if (jobs[i]->e->code == ERR_OK)
			*jobs[i]->e = *why;
}

/* Opens the group's transaction; the epoch it is written in, 0 on failure. */
static int64_t begin_group(struct writer *w, struct err *e)
{
	int64_t epoch = *w->reign;
	if (w->broken)
		err_set(e, ERR_OUTCOME_UNKNOWN, "the writer is restarting after an I/O error");
	else if (epoch == 0)
		err_set(e, ERR_MISDIRECTED, "this node is not the master");
	else if (!w->conn.db && connect(w, e) != ERR_OK)
		return 0;
	else
		conn_step(&w->conn, "BEGIN IMMEDIATE", e);
	return e->code == ERR_OK ? epoch : 0;
}

static void end_group(struct writer *w, struct job **jobs, size_t n, int64_t bytes)
{
	struct err e = ERR_INIT;
	bool grew = w->pos.seq != w->head.seq;
	if (commit(w, &e) != ERR_OK) {
		fail_all(jobs, n, &e);
		return;
	}
	if (!grew)
		return;
	set_head(w);
	if (w->events.committed)
		w->events.committed(w->events.arg, &w->head, bytes);
}

/* Runs the first of the jobs as one transaction. A job that fails by itself is undone alone; one
 * that takes the transaction with it (poisoned) ends the group: the jobs
 * before it run again and commit, and those after it are the caller's next
 * group. Returns how many jobs are done. */
static size_t run_group(struct writer *w, struct job **jobs, size_t n)
{
	struct err e = ERR_INIT;
	int64_t bytes = 0;
	bool poisoned = false;
	int64_t epoch = begin_group(w, &e);
	if (!epoch) {
		fail_all(jobs, n, &e);
		return n;
	}
	size_t i;
	int64_t full_us = clock_boot_us() + WRITER_GROUP_US;
	for (i = 0; i < n && (i == 0 || clock_boot_us() < full_us); i++) {
		enum ran ran = run_job(w, jobs[i], epoch);
		poisoned = ran == RAN_POISONED;
		if (poisoned)
			break;
		if (ran == RAN_FINE && jobs[i]->journaled)
			bytes += (int64_t)jobs[i]->body_len;
	}
	if (!poisoned) {
		end_group(w, jobs, i, bytes);
		return i;
	}
	rollback(w);
	if (reconnect(w, &e) != ERR_OK) {
		fail_all(jobs, n, &e);
		return n;
	}
	/* Those before it were fine without it: they are again, since nothing else changed. */
	struct job **again = jobs;
	size_t left = i;
	while (left > 0) {
		size_t done = run_group(w, again, left);
		again += done;
		left -= done;
	}
	return i + 1;
}

static void run_groups(struct writer *w, struct job **jobs, size_t n)
{
	size_t at = 0;
	while (at < n)
		at += run_group(w, jobs + at, n - at);
	pthread_mutex_lock(&w->lock);
	w->stats.groups++;
	for (size_t i = 0; i < n; i++)
		if (jobs[i]->e->code == ERR_OK)
			w->stats.operations++;
		else
			w->stats.failed++;
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < n; i++)
		answer(jobs[i]);
}

/* ---- the thread: as slave, and calls ---- */

static void run_apply(struct writer *w, struct job *j)
{
	int64_t bytes = 0, before = w->head.seq;
	bool poisoned = false;
	if (w->broken)
		err_set(j->e, ERR_OUTCOME_UNKNOWN, "the writer is restarting after an I/O error");
	else if (w->conn.db || connect(w, j->e) == ERR_OK)
		conn_step(&w->conn, "BEGIN IMMEDIATE", j->e);
	if (j->e->code == ERR_OK) {
		apply_batch(&w->conn, j->batch, &w->pos, &w->at_ms, &bytes, j->bad_seq, &poisoned, j->e);
		if (j->e->code == ERR_OK)
			commit(w, j->e);
		if (j->e->code != ERR_OK && !w->broken)
			rollback(w);
	}
	if (poisoned) {
		struct err e = ERR_INIT;
		reconnect(w, &e);
	}
	if (j->e->code == ERR_OK && w->pos.seq != before) {
		set_head(w);
		pthread_mutex_lock(&w->lock);
		w->stats.applied += w->head.seq - before;
		pthread_mutex_unlock(&w->lock);
		if (w->events.committed)
			w->events.committed(w->events.arg, &w->head, bytes);
	}
	j->pos = w->head;
}

static void run_call(struct writer *w, struct job *j)
{
	struct err e = ERR_INIT;
	if (w->broken)
		err_set(j->e, ERR_OUTCOME_UNKNOWN, "the writer is restarting after an I/O error");
	else if (w->conn.db || connect(w, j->e) == ERR_OK)
		j->fn(&w->conn, j->arg, j->e);
	if (!w->conn.db)
		return;
	/* The call may have changed anything: the connection starts over with the file as it is. */
	if (reconnect(w, &e) != ERR_OK) {
		log_error("reopen_failed", "path=%s error=\"%s\"", w->path, e.text);
		err_set(j->e, e.code, "%s", e.text);
		return;
	}
	set_head(w);
}

/* Takes what may run together off the queue: operations in one group, or one
 * job of another kind. */
static size_t take_jobs(struct writer *w, struct job **jobs, size_t most)
{
	size_t n = 0;
	while (w->first && n < most) {
		bool grouped = w->first->kind == JOB_OP || w->first->kind == JOB_CONTROL;
		if (!grouped && n > 0)
			break;
		struct job *j = w->first;
		w->first = j->next;
		if (!w->first)
			w->last = &w->first;
		w->queued--;
		jobs[n++] = j;
		if (!grouped)
			break;
	}
	return n;
}

static void *writer_thread(void *arg)
{
	struct writer *w = arg;
	size_t most = (size_t)w->conf->group_operations;
	struct job **jobs = calloc(most, sizeof *jobs);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->closing)
			pthread_cond_wait(&w->wake, &w->lock);
		size_t n = take_jobs(w, jobs, most);
		pthread_mutex_unlock(&w->lock);
		if (n == 0)
			break;
		if (jobs[0]->kind == JOB_OP || jobs[0]->kind == JOB_CONTROL) {
			run_groups(w, jobs, n);
		} else {
			if (jobs[0]->kind == JOB_APPLY)
				run_apply(w, jobs[0]);
			else
				run_call(w, jobs[0]);
			answer(jobs[0]);
		}
		if (w->conn.db && !w->broken)
			checkpoint(w);
		pthread_mutex_lock(&w->lock);
	}
	conn_close(&w->conn);
	free(jobs);
	return NULL;
}

/* ---- from any thread ---- */

enum err_code writer_open(struct writer **out, const char *path, const struct conf *conf,
	const _Atomic int64_t *reign, const struct writer_events *events, struct err *e)
{
	struct writer *w = calloc(1, sizeof *w);
	*out = NULL;
	if (!w)
		return err_set(e, ERR_NOMEM, "no memory for a writer");
	w->conf = conf;
	w->reign = reign;
	if (events)
		w->events = *events;
	w->last = &w->first;
	snprintf(w->path, sizeof w->path, "%s", path);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	if (connect(w, e) == ERR_OK) {
		w->head = w->pos;
		if (pthread_create(&w->thread, NULL, writer_thread, w) == 0) {
			*out = w;
			return ERR_OK;
		}
		conn_close(&w->conn);
		err_set(e, ERR_NOMEM, "cannot start the writer's thread for %s", path);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
	return e->code;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
}

const char *writer_id(const struct writer *w)
{
	return w->id;
}

void writer_head(struct writer *w, struct journal_pos *head)
{
	pthread_mutex_lock(&w->lock);
	*head = w->head;
	pthread_mutex_unlock(&w->lock);
}

void writer_stats(struct writer *w, struct writer_stats *s)
{
	pthread_mutex_lock(&w->lock);
	*s = w->stats;
	s->waiting = w->queued;
	pthread_mutex_unlock(&w->lock);
}

/* Puts the job into the queue and waits until it is done. */
static enum err_code submit(struct writer *w, struct job *j, struct err *e)
{
	j->e = e;
	pthread_mutex_lock(&w->lock);
	if (w->closing) {
		pthread_mutex_unlock(&w->lock);
		return err_set(e, ERR_STOPPING, "the database is being closed");
	}
	if (j->kind == JOB_OP && w->queued >= w->conf->queue_operations) {
		pthread_mutex_unlock(&w->lock);
		return err_set(e, ERR_BUSY, "%lld operations wait already", (long long)w->conf->queue_operations);
	}
	sem_init(&j->done, 0, 0);
	j->queued_us = clock_boot_us();
	j->next = NULL;
	*w->last = j;
	w->last = &j->next;
	if (w->queued++ == 0)
		pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	while (sem_wait(&j->done) != 0)
		;
	sem_destroy(&j->done);
	return e->code;
}

enum err_code writer_op(struct writer *w, const json_t *op, int64_t deadline_ms, bool big_as_string,
	struct writer_answer *a, struct err *e)
{
	struct job j = {.kind = JOB_OP, .op = op, .row_kind = "op", .deadline_ms = deadline_ms,
		.big_as_string = big_as_string, .results = &a->results};
	char *text = op_text(op, &j.body_len);
	if (!text)
		return err_set(e, ERR_NOMEM, "no memory for the operation's text");
	j.body = text;
	if (j.body_len > (size_t)w->conf->body_bytes)
		err_set(e, ERR_TOO_BIG, "the operation has %zu bytes; at most %lld are allowed", j.body_len,
			(long long)w->conf->body_bytes);
	else
		submit(w, &j, e);
	free(text);
	a->pos = j.pos;
	a->changes = j.changes;
	a->journaled = j.journaled;
	return e->code;
}

enum err_code writer_control(struct writer *w, const char *kind, const char *body, struct journal_pos *pos,
	struct err *e)
{
	struct job j = {.kind = JOB_CONTROL, .row_kind = kind, .body = body, .body_len = strlen(body)};
	submit(w, &j, e);
	*pos = j.pos;
	return e->code;
}

enum err_code writer_apply(struct writer *w, const struct writer_batch *batch, struct journal_pos *pos,
	int64_t *bad_seq, struct err *e)
{
	struct job j = {.kind = JOB_APPLY, .batch = batch, .bad_seq = bad_seq};
	*bad_seq = 0;
	if (submit(w, &j, e) == ERR_STOPPING)
		writer_head(w, &j.pos);
	*pos = j.pos;
	return e->code;
}

enum err_code writer_call(struct writer *w, enum err_code (*fn)(struct conn *c, void *arg, struct err *e), void *arg,
	struct err *e)
{
	struct job j = {.kind = JOB_CALL, .fn = fn, .arg = arg};
	return submit(w, &j, e);
}
