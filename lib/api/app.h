/* What handlers find at r->app, per program, and what they share. */
#ifndef DDB_API_APP_H
#define DDB_API_APP_H

#include "lib/base/conf.h"
#include "lib/cluster/catalog.h"
#include "lib/cluster/node.h"
#include "lib/sql/readers.h"

#include <stdatomic.h>

struct replica;   /* lib/cluster/replica.h */

/* Requests of one program that wait for something (a position, slaves, a
 * starting master): at most half of its threads, so that the rest serve. */
struct app_wait {
	_Atomic int waiting;
	int most;
};

/* False: too many wait already; answer at once as if the wait were over. */
static inline bool app_wait_enter(struct app_wait *w)
{
	if (atomic_fetch_add(&w->waiting, 1) < w->most)
		return true;
	atomic_fetch_sub(&w->waiting, 1);
	return false;
}

static inline void app_wait_leave(struct app_wait *w)
{
	atomic_fetch_sub(&w->waiting, 1);
}

struct app_write {
	struct node node;              /* node.conf holds the settings */
	struct catalog *catalog;
	struct readers *readers;
	struct replica *replica;
	struct app_wait wait;
	_Atomic bool stopping;         /* the end was asked for: nobody waits any more */
};

struct app_read {
	struct conf conf;
	struct readers *readers;
	struct app_wait wait;
	_Atomic bool stopping;
};

struct app_status {
	struct conf conf;
	struct readers *readers;
};

#endif
