#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The one table of errors. A client's mistake is never a 5xx: HAProxy would
 * repeat the request on every slave and take each of them down. */
static const struct {
	const char *name;
	int status;
	const char *title;
} codes[ERR_CODE_N] = {
	[ERR_OK] = {"ok", 200, "OK"},
	[ERR_BAD_REQUEST] = {"bad_request", 400, "The request is malformed"},
	[ERR_BAD_JSON] = {"bad_json", 400, "The body is not the JSON that was expected"},
	[ERR_BAD_VALUE] = {"bad_value", 400, "A value cannot be stored as given"},
	[ERR_BAD_NAME] = {"bad_name", 400, "The name is not allowed"},
	[ERR_BAD_FILTER] = {"bad_filter", 400, "A filter or order is malformed"},
	[ERR_BAD_CURSOR] = {"bad_cursor", 400, "The cursor does not belong to this query"},
	[ERR_SQL] = {"sql_error", 400, "The SQL was not understood"},
	[ERR_SQL_FORBIDDEN] = {"sql_forbidden", 403, "The SQL uses something that is not allowed"},
	[ERR_NOT_READ_ONLY] = {"not_read_only", 400, "The statement writes; query only reads"},
	[ERR_CONSTRAINT] = {"constraint", 409, "The change breaks a constraint"},
	[ERR_SQL_RUNTIME] = {"sql_runtime", 422, "The statement failed while it ran"},
	[ERR_DEADLINE] = {"deadline", 422, "The statement took too long and was stopped"},
	[ERR_NO_ROUTE] = {"not_found", 404, "There is nothing at this address"},
	[ERR_METHOD] = {"method_not_allowed", 405, "This address does not take that method"},
	[ERR_MEDIA] = {"unsupported_media_type", 415, "The body must be application/json"},
	[ERR_ORIGIN] = {"origin_refused", 403, "A page of another origin may not do this"},
	[ERR_TOO_BIG] = {"too_big", 413, "The request or an answer within it is too big"},
	[ERR_DATABASE_UNKNOWN] = {"database_unknown", 404, "There is no database of that name"},
	[ERR_TABLE_UNKNOWN] = {"table_unknown", 404, "There is no table of that name"},
	[ERR_ROW_UNKNOWN] = {"row_not_found", 404, "There is no row with that key"},
	[ERR_NODE_UNKNOWN] = {"node_unknown", 404, "There is no node of that name"},
	[ERR_EXISTS] = {"exists", 409, "It exists already"},
	[ERR_NO_FILTER] = {"no_filter", 400, "A change of all rows must be asked for with all=true"},
	[ERR_POSITION_LOST] = {"position_lost", 409, "That position is not part of this database's history"},
	[ERR_TOO_STALE] = {"too_stale", 425, "Only older data is at hand than the request accepts"},
	[ERR_MISDIRECTED] = {"misdirected", 421, "This node does not take that request"},
	[ERR_NOT_READY] = {"not_ready", 425, "This node is not in sync and cannot reach the master"},
	[ERR_STARTING] = {"starting", 503, "The node is starting; try again in a moment"},
	[ERR_MASTER_UNREACHABLE] = {"master_unreachable", 503, "There is no master that can be reached"},
	[ERR_LOOP] = {"forwarded_twice", 421, "The request was passed on by a node that thought this one is the master"},
	[ERR_TOO_FEW_SLAVES] = {"too_few_slaves", 503, "Too few slaves are in sync to take a write"},
	[ERR_WRITER_LOCKED] = {"writer_locked", 503, "Another writer holds this node's data"},
	[ERR_BUSY] = {"busy", 503, "Too much is waiting already; try again"},
	[ERR_DISK_FULL] = {"disk_full", 507, "The disk is full; nothing was changed"},
	[ERR_OUTCOME_UNKNOWN] = {"outcome_unknown", 503, "Whether the write took place is not known"},
	[ERR_STOPPING] = {"stopping", 503, "The node is stopping; try again in a moment"},
	[ERR_DATABASE_MISSING] = {"database_missing", 503, "The file of this database is missing on this node"},
	[ERR_CLUSTER_FOREIGN] = {"foreign_cluster", 409, "The node belongs to another cluster"},
	[ERR_EPOCH_STALE] = {"epoch_stale", 409, "A newer master is known here"},
	[ERR_POSITION] = {"position", 409, "The rows do not continue what is here"},
	[ERR_DIVERGED] = {"diverged", 409, "The operation had another effect here than on the master"},
	[ERR_WIRE] = {"bad_wire", 400, "The replication message is malformed"},
	[ERR_IO] = {"io_error", 500, "Reading or writing failed"},
	[ERR_CORRUPT] = {"corrupt", 500, "The database file is damaged"},
	[ERR_NOMEM] = {"out_of_memory", 500, "There was not enough memory"},
	[ERR_INTERNAL] = {"internal", 500, "A fault in DDB"},
};

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	if (e->code != ERR_OK)
		return e->code;
	e->code = code;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return code;
}

void err_reset(struct err *e)
{
	*e = (struct err)ERR_INIT;
}

static enum err_code known(enum err_code code)
{
	return (int)code >= 0 && code < ERR_CODE_N ? code : ERR_INTERNAL;
}

const char *err_name(enum err_code code)
{
	return codes[known(code)].name;
}

int err_status(enum err_code code)
{
	return codes[known(code)].status;
}

const char *err_title(enum err_code code)
{
	return codes[known(code)].title;
}

enum err_code err_by_name(const char *name)
{
	for (int i = 0; i < ERR_CODE_N; i++)
		if (strcmp(codes[i].name, name) == 0)
			return i;
	return ERR_CODE_N;
}
