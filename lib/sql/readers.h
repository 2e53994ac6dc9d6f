/* Reading connections, kept open between requests and shared by the threads of
 * one program: one at a time to each. A file that was replaced (other inode)
 * or removed is noticed when a connection is asked for. */
#ifndef DDB_SQL_READERS_H
#define DDB_SQL_READERS_H

#include "lib/sql/conn.h"

struct readers;

/* idle_max: connections kept open over all files. */
struct readers *readers_new(int64_t cache_kib, size_t idle_max);
void readers_free(struct readers *r);

/* A connection to path for this thread alone, in AUTHZ_QUERY mode, without
 * deadline. ERR_DATABASE_UNKNOWN when the file is not there. */
enum err_code readers_take(struct readers *r, const char *path, struct conn **out, struct err *e);

/* Gives it back; an open transaction is ended, the deadline taken off. broken: close it. */
void readers_give(struct readers *r, struct conn *c, bool broken);

/* A place beside a connection from readers_take() for what its user derives
 * from the file; NULL at first. When the connection closes, release gets what is there. */
void **readers_place(struct conn *c, void (*release)(void *));

#endif
