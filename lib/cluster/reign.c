#include "lib/cluster/reign.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1000

enum reign_verdict reign_judge(int64_t epoch, const struct reign_answer *answers, size_t n, bool alone_goes)
{
	size_t answered = 0, open = 0;
	bool behind = false, taken = false;
	for (size_t i = 0; i < n; i++) {
		if (answers[i].answered && answers[i].promised > epoch)
			return REIGN_OVER;
		taken |= answers[i].answered && answers[i].reigns;
		behind |= answers[i].answered && answers[i].later;
		answered += answers[i].answered;
		open += !answers[i].answered && !answers[i].failed;
	}
	if (taken)
		return REIGN_TAKEN;
	if (behind)
		return REIGN_BEHIND;
	if (open > 0)
		return REIGN_ASKING;
	return n == 0 || answered > 0 || alone_goes ? REIGN_OPENS : REIGN_ALONE;
}

struct reign {
	struct node *node;
	struct self *self;
	pthread_mutex_t lock;
	pthread_cond_t changed;        /* CLOCK_MONOTONIC */
	bool is_master, open, draining, has_members;
	bool conflict;                 /* two masters of one epoch: closed until an administrator acts */
	char why[240];                 /* why it is not open */
	int64_t retry_at_ms;
	struct reign_answer answers[REIGN_MEMBERS_MAX];
	size_t n;
	enum reign_verdict told;       /* the verdict that was made an event */
};

enum err_code reign_new(struct reign **out, struct node *node, struct self *self, struct err *e)
{
	struct reign *r = calloc(1, sizeof *r);
	pthread_condattr_t attr;
	if (!r)
		return err_set(e, ERR_NOMEM, "no memory for the reign");
	r->node = node;
	r->self = self;
	r->is_master = node->role == NODE_MASTER;
	r->told = REIGN_ASKING;
	snprintf(r->why, sizeof r->why, "the other nodes are being asked");
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	node_state_master(self, r->is_master, false, r->why);
	*out = r;
	return ERR_OK;
}

void reign_free(struct reign *r)
{
	if (!r)
		return;
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int64_t own_epoch(struct node *n)
{
	pthread_mutex_lock(&n->lock);
	int64_t epoch = n->promised;
	pthread_mutex_unlock(&n->lock);
	return epoch;
}

/* ---- asking ---- */

void reign_members(struct reign *r, const char (*names)[WIRE_NAME_LEN], size_t n)
{
	pthread_mutex_lock(&r->lock);
	r->n = n < REIGN_MEMBERS_MAX ? n : REIGN_MEMBERS_MAX;
	memset(r->answers, 0, sizeof r->answers);
	for (size_t i = 0; i < r->n; i++)
		memcpy(r->answers[i].node, names[i], WIRE_NAME_LEN);
	r->has_members = true;
	pthread_mutex_unlock(&r->lock);
}

/* The first database in which the member is ahead of this node. */
static void find_later(struct reign_answer *a, const struct wire_reply *reply, const struct wire_database *heads,
	size_t n)
{
	a->later = false;
	for (size_t i = 0; i < reply->n && !a->later; i++) {
		const struct wire_database *theirs = &reply->databases[i], *mine = NULL;
		for (size_t j = 0; j < n && !mine; j++)
			if (strcmp(heads[j].id, theirs->id) == 0)
				mine = &heads[j];
		if (!mine || !theirs->has_pos || theirs->pos.epoch < mine->pos.epoch || theirs->pos.seq <= mine->pos.seq)
			continue;
		a->later = true;
		snprintf(a->what, sizeof a->what, "node %s has %.40s up to %" PRId64 ".%" PRId64 ", this one up to %" PRId64 ".%"
			PRId64, a->node, theirs->name, theirs->pos.epoch, theirs->pos.seq, mine->pos.epoch, mine->pos.seq);
	}
}

void reign_answered(struct reign *r, const char *node, const struct wire_reply *reply,
	const struct wire_database *heads, size_t n)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++) {
		struct reign_answer *a = &r->answers[i];
		if (strcmp(a->node, node) != 0)
			continue;
		a->answered = reply != NULL;
		a->failed = !reply;
		if (reply) {
			a->promised = reply->promised;
			a->reigns = reply->reign != 0;
			find_later(a, reply, heads, n);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- opening ---- */

/* The first row of this process in each database makes what was recovered
 * from the log durable, before anything is sent or acknowledged. */
static enum err_code write_openings(struct reign *r, struct catalog *catalog, int64_t epoch, struct err *e)
{
	struct database **all;
	struct journal_pos pos;
	char body[240];
	size_t n = catalog_all(catalog, &all);
	snprintf(body, sizeof body, "{\"epoch\":%" PRId64 ",\"node\":\"%s\",\"node_id\":\"%s\",\"reason\":\"start\"}", epoch,
		r->node->conf.name, r->node->node_id);
	for (size_t i = 0; i < n; i++) {
		struct writer *w = all[i]->writer;
		if (w && e->code == ERR_OK)
			writer_control(w, "epoch", body, &pos, e);
		else if (!w)
			node_event(r->node, "database.missing", "alert", NULL, "the file of %s is missing or damaged on the master",
				all[i]->name);
		catalog_put(catalog, all[i]);
	}
	free(all);
	return e->code;
}

static bool open_reign(struct reign *r, struct catalog *catalog)
{
	struct err e = ERR_INIT;
	int64_t epoch = own_epoch(r->node);
	r->node->reign = epoch;
	bool good = write_openings(r, catalog, epoch, &e) == ERR_OK;
	pthread_mutex_lock(&r->lock);
	/* It may have been fenced meanwhile. */
	good = good && r->is_master && !r->conflict && r->node->reign == epoch;
	r->open = good;
	if (!good && r->is_master && !r->conflict) {
		r->node->reign = 0;
		r->retry_at_ms = clock_boot_ms() + RETRY_MS;
		snprintf(r->why, sizeof r->why, "the first row of this start could not be written: %.180s", e.text);
	}
	if (good)
		r->why[0] = '\0';
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	node_state_fault(r->self, good || !r->is_master ? NULL : e.text);
	if (good)
		node_state_master(r->self, true, true, NULL);
	if (good)
		node_event(r->node, "master.open", "info", NULL, "node %s takes writes as master of epoch %" PRId64,
			r->node->conf.name, epoch);
	return good;
}

/* Says why it waits; under the lock. The event is told by the caller. */
static const char *reason(struct reign *r, enum reign_verdict verdict)
{
	if (verdict == REIGN_TAKEN)
		for (size_t i = 0; i < r->n; i++) {
			if (r->answers[i].reigns)
				snprintf(r->why, sizeof r->why, "node %s is the active master of this node's own epoch; one of them is a"
					" copy that must not be started", r->answers[i].node);
		}
	else if (verdict == REIGN_ALONE)
		snprintf(r->why, sizeof r->why, "the machine was restarted and no other node answers: another may reign by now"
			" (the setting alone = go would open it)");
	else if (verdict == REIGN_BEHIND)
		for (size_t i = 0; i < r->n; i++) {
			if (r->answers[i].later)
				snprintf(r->why, sizeof r->why, "this node has lost rows and stays closed: %s", r->answers[i].what);
		}
	else
		snprintf(r->why, sizeof r->why, "the other nodes are being asked");
	return r->why;
}

bool reign_step(struct reign *r, struct catalog *catalog)
{
	int64_t epoch = own_epoch(r->node);
	bool alone_goes = !r->node->rebooted || r->node->conf.alone == CONF_ALONE_GO;
	char by[WIRE_NAME_LEN] = "", why[240] = "";
	int64_t higher = 0;
	pthread_mutex_lock(&r->lock);
	bool idle = !r->is_master || r->open || r->conflict || !r->has_members || clock_boot_ms() < r->retry_at_ms;
	enum reign_verdict verdict = idle ? REIGN_ASKING : reign_judge(epoch, r->answers, r->n, alone_goes);
	for (size_t i = 0; i < r->n && verdict == REIGN_OVER; i++)
		if (r->answers[i].promised > higher) {
			higher = r->answers[i].promised;
			memcpy(by, r->answers[i].node, sizeof by);
		}
	static const struct {
		const char *kind, *level;
	} events[] = {[REIGN_ALONE] = {"master.alone", "warn"}, [REIGN_BEHIND] = {"master.behind", "alert"},
		[REIGN_TAKEN] = {"master.taken", "alert"}, [REIGN_OVER] = {NULL, NULL}};
	bool tell = !idle && verdict != r->told && events[verdict].kind;
	if (!idle && verdict != REIGN_OPENS) {
		snprintf(why, sizeof why, "%s", reason(r, verdict));
		r->told = verdict;
	}
	pthread_mutex_unlock(&r->lock);
	if (why[0] && verdict != REIGN_OVER)
		node_state_master(r->self, true, false, why);
	if (tell)
		node_event(r->node, events[verdict].kind, events[verdict].level, NULL, "%s", why);
	if (verdict == REIGN_OVER)
		reign_fenced(r, higher, by, "it has promised a higher epoch");
	return !idle && verdict == REIGN_OPENS && open_reign(r, catalog);
}

/* ---- the end ---- */

static void depose(struct reign *r, int64_t epoch, int64_t own, const char *by, const char *detail)
{
	struct err e = ERR_INIT;
	if (node_promise(r->node, epoch, &e) != ERR_OK || node_set_role(r->node, NODE_SLAVE, &e) != ERR_OK)
		log_error("depose_failed", "error=\"%s\"", e.text); /* it stays closed all the same */
	node_event(r->node, "master.deposed", "alert", NULL, "node %s is no longer master: epoch %" PRId64 " is known to %s,"
		" its own is %" PRId64 " (%s)", r->node->conf.name, epoch, by, own, detail);
}

void reign_fenced(struct reign *r, int64_t epoch, const char *by, const char *detail)
{
	int64_t own = own_epoch(r->node);
	pthread_mutex_lock(&r->lock);
	bool higher = r->is_master && epoch > own, conflict = r->is_master && epoch == own && !r->conflict;
	if (higher || conflict) {
		r->node->reign = 0;
		r->open = false;
		r->is_master = !higher;
		r->conflict |= conflict;
		snprintf(r->why, sizeof r->why, "two nodes take themselves for the master of epoch %" PRId64 ": %.150s", epoch,
			detail);
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	if (higher)
		depose(r, epoch, own, by, detail);
	if (conflict)
		node_event(r->node, "master.conflict", "alert", NULL, "both %s and %s stop: they take themselves for the master of"
			" epoch %" PRId64 " (%s)", r->node->conf.name, by, epoch, detail);
	if (higher || conflict)
		node_state_master(r->self, conflict, false, detail);
}

/* ---- asking about it ---- */

bool reign_is_open(struct reign *r)
{
	pthread_mutex_lock(&r->lock);
	bool is = r->open;
	pthread_mutex_unlock(&r->lock);
	return is;
}

bool reign_is_master(struct reign *r)
{
	pthread_mutex_lock(&r->lock);
	bool is = r->is_master;
	pthread_mutex_unlock(&r->lock);
	return is;
}

enum err_code reign_wait_open(struct reign *r, int64_t timeout_ms, struct err *e)
{
	struct timespec until = clock_deadline(timeout_ms);
	int rc = 0;
	pthread_mutex_lock(&r->lock);
	while (r->is_master && !r->open && !r->conflict && !r->draining && timeout_ms > 0 && rc == 0)
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &until);
	if (!r->is_master)
		err_set(e, ERR_MISDIRECTED, "node %s is not the master", r->node->conf.name);
	else if (!r->open && r->draining)
		err_set(e, ERR_STOPPING, "node %s is stopping", r->node->conf.name);
	else if (!r->open)
		err_set(e, ERR_STARTING, "the master %s does not take writes yet: %s", r->node->conf.name, r->why);
	pthread_mutex_unlock(&r->lock);
	return e->code;
}

void reign_drain(struct reign *r)
{
	pthread_mutex_lock(&r->lock);
	r->draining = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
