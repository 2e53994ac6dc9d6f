/* Who this node is: node.db and the lock on the data folder. */
#ifndef DDB_CLUSTER_NODE_H
#define DDB_CLUSTER_NODE_H

#include "lib/base/conf.h"
#include "lib/journal/journal.h"

#include <pthread.h>

enum node_role { NODE_SLAVE, NODE_MASTER };

struct node {
	struct conf conf;
	int lock_fd;                   /* flock on <data>/lock: the proof of being the only writer */
	struct conn db;                /* node.db; under lock */
	pthread_mutex_t lock;          /* of db and of all below */
	char node_id[JOURNAL_ID_LEN];
	char cluster_id[JOURNAL_ID_LEN];   /* "" until adopted */
	enum node_role role;           /* what it is meant to be; whether it may write is `reign` */
	int64_t promised;              /* highest epoch promised; older ones are refused */
	bool rebooted;                 /* the machine was restarted since the node last ran */
	_Atomic int64_t reign;         /* epoch in which it is the active master; 0: it is not */
};

/* 32 random hex digits. */
void node_random_id(char id[JOURNAL_ID_LEN]);

/* A new first master: data folder, node.db (role master, epoch 1 promised), a
 * new cluster id, _ddb with this node in it. ERR_EXISTS when there is a node.db. */
enum err_code node_init_master(const struct conf *conf, struct err *e);

/* Locks the folder (ERR_WRITER_LOCKED) and opens node.db; makes a slave's
 * where there is none. */
enum err_code node_open(struct node *n, const struct conf *conf, struct err *e);
void node_close(struct node *n);

/* Joins the cluster that a master speaks for; ERR_CLUSTER_FOREIGN when it
 * belongs to another. Durable on return. */
enum err_code node_adopt(struct node *n, const char *cluster_id, struct err *e);

/* Promises to follow `epoch` and to refuse older ones; durable on return.
 * ERR_EPOCH_STALE when a higher one was promised before. Equal is fine. */
enum err_code node_promise(struct node *n, int64_t epoch, struct err *e);

enum err_code node_set_role(struct node *n, enum node_role role, struct err *e);

/* Notes an event in node.db (bounded to conf.events rows) and in the log.
 * data_json may be NULL. Never fails the caller. */
void node_event(struct node *n, const char *kind, const char *level, const char *data_json, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
