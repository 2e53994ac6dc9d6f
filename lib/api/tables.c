#include "lib/api/tables.h"
#include "lib/api/schema.h"
#include "lib/api/serving.h"
#include "lib/sql/value.h"

#include <string.h>

/* Each gives one row with one column, a JSON text. json() keeps a subquery's
 * text what it is: JSON. */
static const char list_sql[] =
	"SELECT json_group_array(json_object('name', name, 'type', type, 'columns', ncol, 'sql', sql)) FROM"
	" (SELECT l.name, l.type, l.ncol, s.sql FROM pragma_table_list AS l"
	" LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type IN ('table', 'view')"
	" WHERE l.schema = 'main' AND l.name NOT LIKE 'ddb\\_%' ESCAPE '\\' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
	" ORDER BY l.name COLLATE NOCASE)";

static const char sql_sql[] =
	"SELECT json_quote((SELECT sql FROM sqlite_schema WHERE name = ?1 AND type IN ('table', 'view')))";

static const char columns_sql[] =
	"SELECT json_group_array(json_object('name', name, 'type', type, 'notnull', json(iif(\"notnull\", 'true', 'false')),"
	" 'default', dflt_value, 'pk', pk, 'hidden', json(iif(hidden = 1, 'true', 'false')),"
	" 'generated', json(iif(hidden > 1, 'true', 'false')))) FROM pragma_table_xinfo(?1)";

static const char indexes_sql[] =
	"SELECT json_group_array(json_object('name', i.name, 'unique', json(iif(i.\"unique\", 'true', 'false')),"
	" 'origin', i.origin, 'partial', json(iif(i.partial, 'true', 'false')),"
	" 'columns', json((SELECT json_group_array(x.name) FROM pragma_index_info(i.name) AS x)),"
	" 'sql', (SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = i.name)))"
	" FROM pragma_index_list(?1) AS i";

static const char triggers_sql[] =
	"SELECT json_group_array(json_object('name', name, 'sql', sql)) FROM (SELECT name, sql FROM sqlite_schema"
	" WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name)";

static const char foreign_keys_sql[] =
	"SELECT json_group_array(json_object('table', \"table\", 'from', json(f), 'to', json(t), 'on_delete', on_delete,"
	" 'on_update', on_update)) FROM (SELECT \"table\", json_group_array(\"from\") AS f, json_group_array(\"to\") AS t,"
	" on_delete, on_update FROM (SELECT * FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq)"
	" GROUP BY id ORDER BY id DESC)";

/* Adds ,"member": and the JSON that sql gives for the table name (may be NULL). */
static enum err_code add(struct serving *s, const char *member, const char *sql, const char *name, struct err *e)
{
	sqlite3_stmt *stmt;
	unsigned traits;
	s->c->authz.mode = AUTHZ_INTERNAL;
	if (conn_prepare(s->c, sql, strlen(sql), &stmt, &traits, NULL, e) == ERR_OK) {
		if (name)
			sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		int rc = sqlite3_step(stmt);
		const char *json = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
		buf_addf(&s->r->out, "\"%s\":", member);
		if (json)
			value_add_clean(&s->r->out, json, (size_t)sqlite3_column_bytes(stmt, 0));
		else
			conn_error(s->c, rc, e);
		buf_add_char(&s->r->out, ',');
		conn_release(s->c, stmt);
	}
	s->c->authz.mode = AUTHZ_QUERY;
	return e->code;
}

void tables_list(struct request *r)
{
	struct serving s;
	struct err e = ERR_INIT;
	if (!serving_begin(r, &s))
		return;
	if (serving_answers(&s, 0)) {
		buf_add_char(&r->out, '{');
		if (add(&s, "tables", list_sql, NULL, &e) == ERR_OK)
			serving_tail(&s);
		else
			serving_fail(&s, &e);
	}
	serving_end(&s);
}

static void add_head(struct buf *out, const struct schema_table *t)
{
	static const char *const types[] = {"table", "view", "virtual", "shadow"};
	static const char *const keys[] = {"\"primary\"", "\"rowid\"", "\"composite\"", "null"};
	buf_add_str(out, "{\"name\":");
	value_add_name(out, t->name);
	buf_addf(out, ",\"type\":\"%s\",\"without_rowid\":%s,\"strict\":%s,\"key_kind\":%s,\"key\":[", types[t->type],
		t->without_rowid ? "true" : "false", t->strict ? "true" : "false", keys[t->key]);
	for (int i = 0; i < t->key_n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		value_add_name(out, schema_column_name(t, t->key_column[i]));
	}
	buf_add_str(out, "],");
}

static enum err_code describe(struct serving *s, struct err *e)
{
	const struct schema_table *t;
	static const struct {
		const char *member, *sql;
	} parts[] = {
		{"sql", sql_sql}, {"columns", columns_sql}, {"indexes", indexes_sql}, {"triggers", triggers_sql},
		{"foreign_keys", foreign_keys_sql},
	};
	if (schema_find(s->c, request_path(s->r, "table"), &t, e) != ERR_OK || !serving_answers(s, 0))
		return e->code;
	add_head(&s->r->out, t);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (add(s, parts[i].member, parts[i].sql, t->name, e) != ERR_OK)
			return e->code;
	serving_tail(s);
	return ERR_OK;
}

void tables_describe(struct request *r)
{
	struct serving s;
	struct err e = ERR_INIT;
	if (!serving_begin(r, &s))
		return;
	if (describe(&s, &e) != ERR_OK)
		serving_fail(&s, &e);
	serving_end(&s);
}
