/* Which of a node's programs run: each holds a lock on <run>/NAME.run as long
 * as it lives, which the kernel takes back however it ends. So a process id
 * that was given to another process cannot mislead anyone. */
#ifndef DDB_BASE_PRESENCE_H
#define DDB_BASE_PRESENCE_H

#include "lib/base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct presence {
	bool running;
	pid_t pid;          /* 0: unknown */
	int64_t since_ms;   /* Unix ms of its start; 0: unknown */
};

/* Says from now on, until the process ends, that this program runs. Two at a
 * time are possible while one takes over from another. */
enum err_code presence_hold(const char *run, const char *program, struct err *e);

/* What is known of a program; all zero when it never ran here. */
void presence_look(const char *run, const char *program, struct presence *p);

#endif
