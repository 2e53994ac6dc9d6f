#define _GNU_SOURCE
#include "lib/base/presence.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_LEN 64   /* "PID UNIX-MS\n" */

static int open_file(const char *run, const char *program, int flags)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/%s.run", run, program) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_CLOEXEC, 0640);
}

enum err_code presence_hold(const char *run, const char *program, struct err *e)
{
	int fd = open_file(run, program, O_RDWR | O_CREAT);
	if (fd < 0)
		return err_set(e, ERR_IO, "cannot open %s/%s.run: %s", run, program, strerror(errno));
	/* Shared, so that the next program need not wait for the last one's end. An
	 * open file description's lock: no other open() in this process can lose it. */
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char text[TEXT_LEN];
	int len = snprintf(text, sizeof text, "%ld %lld\n", (long)getpid(), (long long)clock_wall_ms());
	if (fcntl(fd, F_OFD_SETLK, &lock) != 0 || ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		err_set(e, ERR_IO, "cannot write %s/%s.run: %s", run, program, strerror(errno));
		close(fd);
	}
	return e->code; /* the descriptor stays open until the process ends */
}

void presence_look(const char *run, const char *program, struct presence *p)
{
	*p = (struct presence){.running = false};
	int fd = open_file(run, program, O_RDWR);
	if (fd < 0)
		return;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	p->running = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	char text[TEXT_LEN];
	ssize_t len = pread(fd, text, sizeof text - 1, 0);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	long pid;
	long long since;
	if (sscanf(text, "%ld %lld", &pid, &since) == 2) {
		p->pid = (pid_t)pid;
		p->since_ms = since;
	}
}
