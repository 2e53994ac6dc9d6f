#include "lib/cluster/damage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char prefix[] = "damaged.";

void damage_report(const struct conf *conf, const char *database)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/%s%s", conf->run, prefix, database) >= (int)sizeof path)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd >= 0)
		close(fd);
}

void damage_take(const struct conf *conf, bool (*take)(void *arg, const char *database), void *arg)
{
	DIR *dir = opendir(conf->run);
	struct dirent *entry;
	bool more = true;
	while (dir && more && (entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0) {
			unlinkat(dirfd(dir), entry->d_name, 0);
			more = take(arg, entry->d_name + sizeof prefix - 1);
		}
	if (dir)
		closedir(dir);
}
