/* /v1/db: the databases of the cluster. */
#ifndef DDB_API_DATABASES_H
#define DDB_API_DATABASES_H

#include "lib/http/request.h"

/* PUT /v1/db/{db}: 201 {"name", "id", "epoch", "seq", "ms"}, 200 with the same
 * when it exists already. In `write`. */
void databases_put(struct request *r);

/* DELETE /v1/db/{db}: 200 {"dropped": NAME, "kept": FILE in the data folder,
 * "epoch", "seq" (of the system database), "ms"}. In `write`. */
void databases_delete(struct request *r);

/* GET /v1/db: {"databases": [{"name", "id", "epoch", "seq", "bytes", "created"}]};
 * epoch, seq and bytes are null for a database that this node does not have
 * yet. In `read` (databases_list.c). */
void databases_list(struct request *r);

#endif
