/* The clock shim: a VFS named "ddb" over SQLite's own, whose current time is
 * what vfs_set_now() said in this thread. It governs 'now' in every date
 * function, in DEFAULT clauses and triggers, too. */
#ifndef DDB_SQL_VFS_H
#define DDB_SQL_VFS_H

#include <stdint.h>

/* Registers the shim, once per process; any thread, any number of times. */
void vfs_register(void);

/* From now on 'now' means unix_ms in this thread; 0: the real time again. */
void vfs_set_now(int64_t unix_ms);

#endif
