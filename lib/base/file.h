/* Whole files: read, replace atomically, remove, make folders durable. */
#ifndef DDB_BASE_FILE_H
#define DDB_BASE_FILE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Reads all of path into out (appended). A file longer than out's ceiling is
 * ERR_TOO_BIG, a missing one ERR_IO. */
enum err_code file_read(const char *path, struct buf *out, struct err *e);

/* Replaces path by data in one rename, so that a reader sees the old or the
 * new text whole. durable: also fsynced, file and folder. */
enum err_code file_replace(const char *path, const void *data, size_t len, bool durable, struct err *e);

/* Makes the folder (not its parents); one that exists is fine. */
enum err_code file_mkdir(const char *path, struct err *e);

/* fsync of a folder, so that a rename in it survives a power cut. */
enum err_code file_sync_dir(const char *path, struct err *e);

#endif
