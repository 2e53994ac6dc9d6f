/* The inside of the pool, for pool.c (facts and states) and pool_count.c
 * (accounting and views) alone. */
#ifndef DDB_CLUSTER_POOL_TABLE_H
#define DDB_CLUSTER_POOL_TABLE_H

#include "lib/cluster/pool.h"

#include <pthread.h>

/* A change of state that was made under the lock and is told after it. */
struct pool_change {
	struct pool_change *next;
	char kind[40];
	const char *level;
	char text[400];
	json_t *data;
};

struct pool {
	struct node *node;
	struct readers *readers;
	void (*changed)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t acked;          /* CLOCK_MONOTONIC */
	int waiters;
	bool draining;
	struct slave **slaves;
	size_t slave_n;
	struct pool_database *databases;   /* ordered by id */
	size_t database_n;
	struct pool_change *changes, **last_change;
};

void pool_lock(struct pool *p);

/* Unlocks, then tells the changes that were noted. */
void pool_unlock(struct pool *p);

/* The index of a database, SIZE_MAX when it is unknown. */
size_t pool_index(const struct pool *p, const char *id);

/* The link of s to the database with this id; NULL when it is unknown or s is gone. */
struct link *pool_find_link(struct pool *p, struct slave *s, const char *id, struct pool_database **db);

/* Notes an event to be told at pool_unlock(); steals data. */
void pool_note(struct pool *p, const char *kind, const char *level, json_t *data, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Works out one slave's state. */
void pool_update_slave(struct pool *p, struct slave *s);

void pool_set_copy(struct link *k, const char *reason, bool keep_old);

#endif
