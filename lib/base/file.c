#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_code file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	for (;;) {
		char chunk[16384];
		ssize_t got = read(fd, chunk, sizeof chunk);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(errno));
		if (got <= 0)
			break;
		buf_add(out, chunk, (size_t)got);
		if (out->failed) {
			err_set(e, ERR_TOO_BIG, "%s is larger than %zu bytes", path, out->max);
			break;
		}
	}
	close(fd);
	return e->code;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		data += done;
		len -= (size_t)done;
	}
	return true;
}

enum err_code file_replace(const char *path, const void *data, size_t len, bool durable, struct err *e)
{
	char temp[PATH_MAX];
	if (snprintf(temp, sizeof temp, "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof temp)
		return err_set(e, ERR_IO, "the path is too long: %s", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set(e, ERR_IO, "cannot create %s: %s", temp, strerror(errno));
	bool done = write_all(fd, data, len) && (!durable || fsync(fd) == 0);
	int why = errno;
	if (close(fd) != 0 && done) {
		done = false;
		why = errno;
	}
	if (done && rename(temp, path) != 0) {
		done = false;
		why = errno;
	}
	if (!done) {
		unlink(temp);
		return err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(why));
	}
	if (!durable)
		return ERR_OK;
	char dir[PATH_MAX];
	snprintf(dir, sizeof dir, "%s", path);
	char *slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	return file_sync_dir(slash ? dir : ".", e);
}

enum err_code file_mkdir(const char *path, struct err *e)
{
	if (mkdir(path, 0750) != 0 && errno != EEXIST)
		return err_set(e, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
	return ERR_OK;
}

enum err_code file_sync_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err_set(e, ERR_IO, "cannot sync the folder %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return e->code;
}
