#include "lib/api/routes.h"

/* Ceilings of bodies. One operation is at most 16 MiB (the setting body_bytes
 * may lower that); a message to a slave holds batch_bytes, at most 64 MiB, or
 * one larger row alone, in JSON that may need a few bytes more. */
#define OPERATION (16 * 1024 * 1024)
#define SMALL (64 * 1024)
#define TINY 2048
#define BATCH (80 * 1024 * 1024)

#define DB "/v1/db/{db}"
#define ROWS DB "/tables/{table}/rows"
#define SLAVE "/v1/pool/slaves/{slave}"

#define STATUS ROUTE_STATUS, ROUTE_PUBLIC
#define READ ROUTE_READ, ROUTE_PUBLIC
#define WRITE ROUTE_WRITE, ROUTE_PUBLIC
#define PEERS ROUTE_WRITE, ROUTE_PEERS

const struct route routes[ROUTE_ID_N] = {
	[ROUTE_ID_PING] = {"GET", "/ping", STATUS, ROUTE_READS, ROUTE_ANYONE, 0,
		"answers pong"},
	[ROUTE_ID_HEALTH_LIVE] = {"GET", "/health/live", STATUS, ROUTE_NODE, ROUTE_ANYONE, 0,
		"200 while the node's programs run"},
	[ROUTE_ID_HEALTH_READ] = {"GET", "/health/read", ROUTE_READ, ROUTE_HEALTH, ROUTE_NODE, ROUTE_ANYONE, 0,
		"200 while the node may serve reads as a slave (?lag=MS tightens it, ?stale=1 asks for the last resort)"},
	[ROUTE_ID_HEALTH_WRITE] = {"GET", "/health/write", ROUTE_WRITE, ROUTE_HEALTH, ROUTE_NODE, ROUTE_ANYONE, 0,
		"200 on the active master alone"},
	[ROUTE_ID_STATUS] = {"GET", "/status", STATUS, ROUTE_WRITES, ROUTE_READER, 0,
		"what this node says of itself"},
	[ROUTE_ID_OPENAPI] = {"GET", "/openapi.json", STATUS, ROUTE_READS, ROUTE_ANYONE, 0,
		"this API described by itself (OpenAPI 3.1)"},

	[ROUTE_ID_DB_LIST] = {"GET", "/v1/db", READ, ROUTE_READS, ROUTE_READER, 0,
		"lists the databases"},
	[ROUTE_ID_DB_CREATE] = {"PUT", DB, WRITE, ROUTE_WRITES, ROUTE_ADMIN, TINY,
		"creates a database"},
	[ROUTE_ID_DB_DROP] = {"DELETE", DB, WRITE, ROUTE_WRITES, ROUTE_ADMIN, 0,
		"drops a database; its file is kept"},

	[ROUTE_ID_QUERY_GET] = {"GET", DB "/query", READ, ROUTE_READS, ROUTE_READER, 0,
		"runs one statement that only reads (?sql=, ?params=)"},
	[ROUTE_ID_QUERY_POST] = {"POST", DB "/query", READ, ROUTE_READS, ROUTE_READER, OPERATION,
		"runs one statement that only reads"},
	[ROUTE_ID_EXECUTE] = {"POST", DB "/execute", WRITE, ROUTE_WRITES, ROUTE_WRITER, OPERATION,
		"runs one or many statements, atomically"},

	[ROUTE_ID_TABLE_LIST] = {"GET", DB "/tables", READ, ROUTE_READS, ROUTE_READER, 0,
		"lists the tables"},
	[ROUTE_ID_TABLE_GET] = {"GET", DB "/tables/{table}", READ, ROUTE_READS, ROUTE_READER, 0,
		"describes a table"},
	[ROUTE_ID_ROWS_GET] = {"GET", ROWS, READ, ROUTE_READS, ROUTE_READER, 0,
		"rows by filters, in pages"},
	[ROUTE_ID_ROWS_INSERT] = {"POST", ROWS, WRITE, ROUTE_WRITES, ROUTE_WRITER, OPERATION,
		"inserts one row or many"},
	[ROUTE_ID_ROWS_UPDATE] = {"PATCH", ROWS, WRITE, ROUTE_WRITES, ROUTE_WRITER, OPERATION,
		"changes the rows that filters choose"},
	[ROUTE_ID_ROWS_DELETE] = {"DELETE", ROWS, WRITE, ROUTE_WRITES, ROUTE_WRITER, 0,
		"deletes the rows that filters choose"},
	[ROUTE_ID_ROW_GET] = {"GET", ROWS "/{key}", READ, ROUTE_READS, ROUTE_READER, 0,
		"one row by its key"},
	[ROUTE_ID_ROW_PUT] = {"PUT", ROWS "/{key}", WRITE, ROUTE_WRITES, ROUTE_WRITER, OPERATION,
		"inserts or replaces one row"},
	[ROUTE_ID_ROW_UPDATE] = {"PATCH", ROWS "/{key}", WRITE, ROUTE_WRITES, ROUTE_WRITER, OPERATION,
		"changes one row"},
	[ROUTE_ID_ROW_DELETE] = {"DELETE", ROWS "/{key}", WRITE, ROUTE_WRITES, ROUTE_WRITER, 0,
		"deletes one row"},

	[ROUTE_ID_POOL] = {"GET", "/v1/pool", STATUS, ROUTE_WRITES, ROUTE_READER, 0,
		"the master and each slave with state, position and pending queue"},
	[ROUTE_ID_POOL_SLAVES] = {"GET", "/v1/pool/slaves", STATUS, ROUTE_WRITES, ROUTE_READER, 0,
		"the slaves alone"},
	[ROUTE_ID_POOL_ADD] = {"POST", "/v1/pool/slaves", WRITE, ROUTE_WRITES, ROUTE_ADMIN, SMALL,
		"adds a slave"},
	[ROUTE_ID_POOL_REMOVE] = {"DELETE", SLAVE, WRITE, ROUTE_WRITES, ROUTE_ADMIN, 0,
		"removes a slave"},
	[ROUTE_ID_POOL_PENDING] = {"GET", SLAVE "/pending", READ, ROUTE_WRITES, ROUTE_READER, 0,
		"the operations that a slave still lacks"},
	[ROUTE_ID_POOL_PAUSE] = {"POST", SLAVE "/pause", WRITE, ROUTE_WRITES, ROUTE_ADMIN, SMALL,
		"stops sending to a slave"},
	[ROUTE_ID_POOL_RESUME] = {"POST", SLAVE "/resume", WRITE, ROUTE_WRITES, ROUTE_ADMIN, SMALL,
		"sends to a paused slave again"},
	[ROUTE_ID_POOL_RESEED] = {"POST", SLAVE "/reseed", WRITE, ROUTE_WRITES, ROUTE_ADMIN, SMALL,
		"gives a slave whole new copies"},
	[ROUTE_ID_EVENTS] = {"GET", "/v1/events", STATUS, ROUTE_WRITES, ROUTE_READER, 0,
		"what happened on this node, newest last"},

	[ROUTE_ID_REPLICATE] = {"POST", "/replicate", PEERS, ROUTE_NODE, ROUTE_PEER, BATCH,
		"a batch of journal rows from the master"},
	[ROUTE_ID_REPLICATE_SNAPSHOT] = {"POST", "/replicate/snapshot", PEERS, ROUTE_NODE, ROUTE_PEER, SMALL,
		"the master's offer of a whole copy"},
	[ROUTE_ID_HEARTBEAT] = {"POST", "/heartbeat", PEERS, ROUTE_NODE, ROUTE_PEER, BATCH,
		"the master's sign of life with its positions"},
};
