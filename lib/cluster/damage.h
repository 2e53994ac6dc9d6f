/* How `read`, which meets a damaged page first, tells `write`, which can have
 * the file replaced: by an empty file <run>/damaged.NAME. */
#ifndef DDB_CLUSTER_DAMAGE_H
#define DDB_CLUSTER_DAMAGE_H

#include "lib/base/conf.h"

#include <stdbool.h>

/* A statement met damage in this database. Quick. */
void damage_report(const struct conf *conf, const char *database);

/* Takes the reports: calls take for each and forgets it, until take returns false. */
void damage_take(const struct conf *conf, bool (*take)(void *arg, const char *database), void *arg);

#endif
