#include "lib/sql/vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

/* Julian day of the Unix epoch, in the ms that xCurrentTimeInt64 counts. */
#define JULIAN_UNIX_MS 210866760000000LL

static _Thread_local int64_t now_ms;
static sqlite3_vfs shim;
static const sqlite3_vfs *base;

static int current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
	(void)vfs;
	if (now_ms == 0)
		return base->xCurrentTimeInt64((sqlite3_vfs *)base, out);
	*out = JULIAN_UNIX_MS + now_ms;
	return SQLITE_OK;
}

static int current_time(sqlite3_vfs *vfs, double *out)
{
	sqlite3_int64 ms;
	int rc = current_time_int64(vfs, &ms);
	*out = (double)ms / 86400000.0;
	return rc;
}

static void register_shim(void)
{
	sqlite3_initialize();
	base = sqlite3_vfs_find(NULL);
	shim = *base;
	shim.zName = "ddb";
	shim.pNext = NULL;
	shim.xCurrentTime = current_time;
	shim.xCurrentTimeInt64 = current_time_int64;
	sqlite3_vfs_register(&shim, 0);
}

void vfs_register(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, register_shim);
}

void vfs_set_now(int64_t unix_ms)
{
	now_ms = unix_ms;
}
