#include "lib/api/openapi.h"
#include "config.h"
#include "lib/api/openapi_components.h"
#include "lib/api/routes.h"
#include "lib/base/err.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_MAX (1024 * 1024)
#define NAME_MAX_LEN 64
#define CODES_MAX 40

/* What requests of one kind have in common: parameters, headers of the answer, error codes. */
enum kind { KIND_NODE, KIND_READ, KIND_WRITE, KIND_POOL_VIEW, KIND_N };

static const struct {
	const char *params, *headers;
	enum err_code code[CODES_MAX];
} kinds[KIND_N] = {
	[KIND_NODE] = {"", "", {ERR_BAD_REQUEST, ERR_STARTING, ERR_BUSY}},
	[KIND_READ] = {"big consistency DDB-Min-Seq DDB-Max-Stale DDB-Timeout If-None-Match", "DDB-Seq DDB-Node DDB-Stale ETag",
		{ERR_BAD_REQUEST, ERR_DATABASE_UNKNOWN, ERR_POSITION_LOST, ERR_DEADLINE, ERR_TOO_BIG, ERR_NOT_READY,
			ERR_TOO_STALE, ERR_MISDIRECTED, ERR_STARTING, ERR_BUSY, ERR_DATABASE_MISSING, ERR_IO, ERR_CORRUPT, ERR_NOMEM}},
	[KIND_WRITE] = {"big DDB-Sync DDB-Sync-Timeout DDB-Timeout", "DDB-Seq DDB-Node",
		{ERR_BAD_REQUEST, ERR_BAD_JSON, ERR_BAD_VALUE, ERR_ORIGIN, ERR_SQL_FORBIDDEN, ERR_DATABASE_UNKNOWN,
			ERR_CONSTRAINT, ERR_TOO_BIG, ERR_MEDIA, ERR_MISDIRECTED, ERR_LOOP, ERR_SQL_RUNTIME, ERR_DEADLINE,
			ERR_STARTING, ERR_BUSY, ERR_MASTER_UNREACHABLE, ERR_TOO_FEW_SLAVES, ERR_OUTCOME_UNKNOWN, ERR_STOPPING,
			ERR_DATABASE_MISSING, ERR_DISK_FULL, ERR_IO, ERR_CORRUPT, ERR_NOMEM}},
	[KIND_POOL_VIEW] = {"", "DDB-Node", {ERR_BAD_REQUEST, ERR_STARTING, ERR_BUSY}},
};

/* Beside each row of the table of routes. params, headers, code: in addition to
 * the kind's. request, answer: schemas of JSON documents; without an answer it is text. */
struct operation {
	const char *id, *tag;
	enum kind kind;
	const char *params, *headers, *request, *answer;
	int status[3];
	enum err_code code[8];
};

static const struct operation operations[ROUTE_ID_N] = {
	[ROUTE_ID_PING] = {"ping", "operation", KIND_NODE, "", "", NULL, NULL, {200}, {0}},
	[ROUTE_ID_HEALTH_LIVE] = {"healthLive", "operation", KIND_NODE, "", "", NULL, "Health", {200}, {0}},
	[ROUTE_ID_HEALTH_READ] = {"healthRead", "operation", KIND_NODE, "lag stale", "", NULL, "Health",
		{200, 404, 503}, {0}},
	[ROUTE_ID_HEALTH_WRITE] = {"healthWrite", "operation", KIND_NODE, "", "", NULL, "Health", {200, 404, 503}, {0}},
	[ROUTE_ID_STATUS] = {"status", "operation", KIND_NODE, "", "", NULL, "Status", {200}, {0}},
	[ROUTE_ID_OPENAPI] = {"openapi", "operation", KIND_NODE, "", "", NULL, "OpenAPI", {200}, {0}},

	[ROUTE_ID_DB_LIST] = {"listDatabases", "databases", KIND_READ, "", "", NULL, "Databases", {200, 304}, {0}},
	[ROUTE_ID_DB_CREATE] = {"createDatabase", "databases", KIND_WRITE, "", "Location", NULL, "Created", {200, 201},
		{ERR_BAD_NAME}},
	[ROUTE_ID_DB_DROP] = {"dropDatabase", "databases", KIND_WRITE, "", "", NULL, "Dropped", {200}, {0}},

	[ROUTE_ID_QUERY_GET] = {"queryByAddress", "SQL", KIND_READ, "sql params", "", NULL, "Rows", {200, 304},
		{ERR_SQL, ERR_SQL_FORBIDDEN, ERR_NOT_READ_ONLY, ERR_BAD_VALUE, ERR_BAD_JSON, ERR_SQL_RUNTIME}},
	[ROUTE_ID_QUERY_POST] = {"query", "SQL", KIND_READ, "", "", "Query", "Rows", {200},
		{ERR_SQL, ERR_SQL_FORBIDDEN, ERR_NOT_READ_ONLY, ERR_BAD_VALUE, ERR_BAD_JSON, ERR_SQL_RUNTIME, ERR_MEDIA,
			ERR_ORIGIN}},
	[ROUTE_ID_EXECUTE] = {"execute", "SQL", KIND_WRITE, "", "", "Execute", "Executed", {200}, {ERR_SQL}},

	[ROUTE_ID_TABLE_LIST] = {"listTables", "schema", KIND_READ, "", "", NULL, "Tables", {200, 304}, {0}},
	[ROUTE_ID_TABLE_GET] = {"describeTable", "schema", KIND_READ, "", "", NULL, "Table", {200, 304},
		{ERR_TABLE_UNKNOWN}},

	[ROUTE_ID_ROWS_GET] = {"listRows", "rows", KIND_READ, "filters select order limit after", "", NULL, "Rows",
		{200, 304}, {ERR_TABLE_UNKNOWN, ERR_BAD_FILTER, ERR_BAD_CURSOR, ERR_BAD_VALUE, ERR_SQL_RUNTIME}},
	[ROUTE_ID_ROWS_INSERT] = {"insertRows", "rows", KIND_WRITE, "", "Location", "InsertRows", "Inserted",
		{200, 201}, {ERR_TABLE_UNKNOWN, ERR_BAD_FILTER, ERR_SQL}},
	[ROUTE_ID_ROWS_UPDATE] = {"updateRows", "rows", KIND_WRITE, "filters all", "", "Row", "Changed", {200},
		{ERR_TABLE_UNKNOWN, ERR_BAD_FILTER, ERR_NO_FILTER, ERR_SQL}},
	[ROUTE_ID_ROWS_DELETE] = {"deleteRows", "rows", KIND_WRITE, "filters all", "", NULL, "Changed", {200},
		{ERR_TABLE_UNKNOWN, ERR_BAD_FILTER, ERR_NO_FILTER, ERR_SQL}},
	[ROUTE_ID_ROW_GET] = {"getRow", "rows", KIND_READ, "", "", NULL, "OneRow", {200, 304},
		{ERR_TABLE_UNKNOWN, ERR_ROW_UNKNOWN, ERR_BAD_FILTER, ERR_BAD_VALUE}},
	[ROUTE_ID_ROW_PUT] = {"putRow", "rows", KIND_WRITE, "", "", "Row", "Changed", {200, 201},
		{ERR_TABLE_UNKNOWN, ERR_ROW_UNKNOWN, ERR_BAD_FILTER, ERR_SQL}},
	[ROUTE_ID_ROW_UPDATE] = {"updateRow", "rows", KIND_WRITE, "", "", "Row", "Changed", {200},
		{ERR_TABLE_UNKNOWN, ERR_ROW_UNKNOWN, ERR_BAD_FILTER, ERR_SQL}},
	[ROUTE_ID_ROW_DELETE] = {"deleteRow", "rows", KIND_WRITE, "", "", NULL, "Changed", {200},
		{ERR_TABLE_UNKNOWN, ERR_ROW_UNKNOWN, ERR_BAD_FILTER, ERR_SQL}},

	[ROUTE_ID_POOL] = {"pool", "pool", KIND_POOL_VIEW, "", "", NULL, "Pool", {200}, {0}},
	[ROUTE_ID_POOL_SLAVES] = {"listSlaves", "pool", KIND_POOL_VIEW, "", "", NULL, "Slaves", {200}, {0}},
	[ROUTE_ID_POOL_ADD] = {"addSlave", "pool", KIND_WRITE, "", "", "AddSlave", "PoolChanged", {201},
		{ERR_EXISTS, ERR_BAD_NAME}},
	[ROUTE_ID_POOL_REMOVE] = {"removeSlave", "pool", KIND_WRITE, "", "", NULL, "PoolChanged", {200},
		{ERR_NODE_UNKNOWN}},
	[ROUTE_ID_POOL_PENDING] = {"pendingOperations", "pool", KIND_POOL_VIEW, "pending_limit", "", NULL, "Pending",
		{200}, {ERR_NODE_UNKNOWN, ERR_MISDIRECTED, ERR_LOOP, ERR_MASTER_UNREACHABLE, ERR_NOT_READY, ERR_DEADLINE}},
	[ROUTE_ID_POOL_PAUSE] = {"pauseSlave", "pool", KIND_WRITE, "", "", "Empty", "PoolChanged", {200},
		{ERR_NODE_UNKNOWN}},
	[ROUTE_ID_POOL_RESUME] = {"resumeSlave", "pool", KIND_WRITE, "", "", "Empty", "PoolChanged", {200},
		{ERR_NODE_UNKNOWN}},
	[ROUTE_ID_POOL_RESEED] = {"reseedSlave", "pool", KIND_WRITE, "", "", "Empty", "PoolChanged", {200},
		{ERR_NODE_UNKNOWN}},
	[ROUTE_ID_EVENTS] = {"events", "pool", KIND_POOL_VIEW, "since events_limit", "", NULL, "Events", {200}, {0}},
};

/* ---- pieces ---- */

/* Calls take for each word of a list separated by blanks. */
static void each_word(const char *list, void (*take)(json_t *to, const char *word), json_t *to)
{
	char word[NAME_MAX_LEN];
	while (*list) {
		size_t len = strcspn(list, " ");
		snprintf(word, sizeof word, "%.*s", (int)len, list);
		if (len > 0)
			take(to, word);
		list += len + (list[len] == ' ');
	}
}

static json_t *reference(const char *section, const char *name)
{
	return json_pack("{s:s++}", "$ref", "#/components/", section, name);
}

static void add_param(json_t *to, const char *word)
{
	json_array_append_new(to, reference("parameters/", word));
}

static void add_header(json_t *to, const char *word)
{
	json_object_set_new(to, word, reference("headers/", word));
}

/* The body: a JSON document of the named schema, or text. */
static json_t *content(const char *schema)
{
	if (!schema)
		return json_pack("{s:{s:{s:s}}}", "text/plain", "schema", "type", "string");
	return json_pack("{s:{s:o}}", "application/json", "schema", reference("schemas/", schema));
}

/* {name} in the address. */
static void add_path_params(json_t *to, const char *pattern)
{
	char name[NAME_MAX_LEN];
	while ((pattern = strchr(pattern, '{'))) {
		size_t len = strcspn(++pattern, "}");
		snprintf(name, sizeof name, "%.*s", (int)len, pattern);
		json_array_append_new(to, json_pack("{s:s, s:s, s:b, s:{s:s, s:i}}", "name", name, "in", "path", "required", true,
			"schema", "type", "string", "minLength", 1));
	}
}

/* ---- answers ---- */

/* Adds to the answer of that status that code may be why. */
static void add_error(json_t *responses, enum err_code code)
{
	char status[8];
	snprintf(status, sizeof status, "%d", err_status(code));
	json_t *there = json_object_get(responses, status);
	const char *before = there ? json_string_value(json_object_get(there, "description")) : NULL;
	json_t *text = before ? json_sprintf("%s; `%s`: %s", before, err_name(code), err_title(code))
			      : json_sprintf("`%s`: %s", err_name(code), err_title(code));
	if (!there) {
		there = json_object();
		json_object_set_new(responses, status, there);
	}
	json_object_set_new(there, "description", text);
	json_t *forms = json_object_get(there, "content");
	if (!forms) {
		forms = json_object();
		json_object_set_new(there, "content", forms);
	}
	json_object_set_new(forms, "application/problem+json", json_pack("{s:o}", "schema", reference("schemas/", "Problem")));
}

static const char *meaning(int status)
{
	switch (status) {
	case 200: return "Done";
	case 201: return "Done; it is new";
	case 304: return "The client has this answer already";
	default: return "Not now; the body says why";
	}
}

static json_t *answer_json(const struct operation *o, int status)
{
	json_t *headers = json_object();
	each_word(kinds[o->kind].headers, add_header, headers);
	each_word(o->headers, add_header, headers);
	json_t *answer = json_pack("{s:s, s:o}", "description", meaning(status), "headers", headers);
	if (status != 304)
		json_object_set_new(answer, "content", content(o->answer));
	return answer;
}

static json_t *responses_of(const struct operation *o)
{
	json_t *responses = json_object();
	for (size_t i = 0; i < sizeof o->status / sizeof *o->status && o->status[i]; i++) {
		char status[8];
		snprintf(status, sizeof status, "%d", o->status[i]);
		json_object_set_new(responses, status, answer_json(o, o->status[i]));
	}
	for (size_t i = 0; i < CODES_MAX && kinds[o->kind].code[i]; i++)
		add_error(responses, kinds[o->kind].code[i]);
	for (size_t i = 0; i < sizeof o->code / sizeof *o->code && o->code[i]; i++)
		add_error(responses, o->code[i]);
	return responses;
}

static json_t *operation_json(const struct route *route, const struct operation *o)
{
	json_t *params = json_array();
	add_path_params(params, route->pattern);
	each_word(kinds[o->kind].params, add_param, params);
	each_word(o->params, add_param, params);
	json_t *op = json_pack("{s:s, s:s, s:[s], s:o, s:o, s:s}", "operationId", o->id, "summary", route->does, "tags", o->tag,
		"parameters", params, "responses", responses_of(o), "x-ddb-access", route_access_name(route->access));
	if (o->request)
		json_object_set_new(op, "requestBody", json_pack("{s:b, s:o}", "required", strcmp(o->request, "Empty") != 0,
			"content", content(o->request)));
	return op;
}

/* ---- the document ---- */

static json_t *paths(void)
{
	json_t *all = json_object();
	for (size_t i = 0; i < ROUTE_ID_N; i++) {
		const struct route *route = &routes[i];
		char method[16];
		size_t n = 0;
		if (route->listener == ROUTE_PEERS)
			continue;
		for (; route->method[n] && n + 1 < sizeof method; n++)
			method[n] = (char)tolower((unsigned char)route->method[n]);
		method[n] = '\0';
		json_t *path = json_object_get(all, route->pattern);
		if (!path) {
			path = json_object();
			json_object_set_new(all, route->pattern, path);
		}
		json_object_set_new(path, method, operation_json(route, &operations[i]));
	}
	return all;
}

static json_t *problem_schema(void)
{
	static const struct {
		const char *name, *type;
	} members[] = {{"type", "string"}, {"title", "string"}, {"status", "integer"}, {"detail", "string"},
		{"statement", "integer"}, {"row", "integer"}, {"offset", "integer"}};
	json_t *codes = json_array(), *properties = json_object();
	for (int i = ERR_OK + 1; i < ERR_CODE_N; i++)
		json_array_append_new(codes, json_string(err_name(i)));
	json_object_set_new(properties, "code", json_pack("{s:o}", "enum", codes));
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		json_object_set_new(properties, members[i].name, json_pack("{s:s}", "type", members[i].type));
	return json_pack("{s:s, s:s, s:o, s:[s, s, s, s]}", "type", "object", "description",
		"What happened, what it means and what to do (RFC 9457). `code` is stable.", "properties", properties,
		"required", "title", "status", "code", "detail");
}

static json_t *document(void)
{
	json_t *components = json_loads(openapi_components, 0, NULL);
	if (!components)
		return NULL;
	json_object_set_new(json_object_get(components, "schemas"), "Problem", problem_schema());
	return json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:[{s:s}], s:o, s:o}", "openapi", "3.1.0",
		"info", "title", "DDB", "version", PACKAGE_VERSION,
		"description", "Databases of SQLite on a cluster of one master and any number of slaves. "
			       "Errors are problem documents with a stable `code`.",
		"license", "name", "MIT", "servers", "url", "/", "paths", paths(), "components", components);
}

void openapi_get(struct request *r)
{
	struct err e = ERR_INIT;
	struct buf body = BUF_INIT(DOCUMENT_MAX);
	json_t *doc = document();
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	if (text) {
		buf_add_str(&body, text);
		buf_add_char(&body, '\n');
		response_json(r, 200, &body);
	} else {
		err_set(&e, ERR_NOMEM, "no memory for the document");
		response_problem(r, &e);
	}
	free(text);
	json_decref(doc);
	buf_release(&body);
}
