#include "lib/sql/authz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *prefix)
{
	return text && sqlite3_strnicmp(text, prefix, (int)strlen(prefix)) == 0;
}

static bool listed(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (sqlite3_stricmp(*list, name) == 0)
			return true;
	return false;
}

/* PRAGMAs: what an operation may set (it is stored in the file, or ends with
 * the operation), what it may ask (FTS and R-tree do), what a query may ask. */
static const char *const pragma_op[] = {"defer_foreign_keys", "user_version", "application_id", NULL};
static const char *const pragma_op_ask[] = {"data_version", "page_size", NULL};
static const char *const pragma_query[] = {"table_info", "table_xinfo", "table_list", "index_list", "index_info",
	"index_xinfo", "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check", NULL};
static const char *const pragma_query_ask[] = {"user_version", "application_id", "schema_version", "encoding",
	"page_count", "page_size", "freelist_count", "data_version", "collation_list", "function_list", "module_list",
	"pragma_list", "compile_options", NULL};

static const char *const modules[] = {"fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "rtree", "rtree_i32", NULL};

/* Their results are of this file's layout, this build or this process. */
static const char *const tables_never[] = {"dbstat", "sqlite_dbpage", "sqlite_dbdata", "sqlite_dbptr", "sqlite_stmt",
	"bytecode", "tables_used", "sqlite_memstat", "pragma_database_list", NULL};
static const char *const functions_never[] = {"load_extension", "fts3_tokenizer", "sqlite_log", NULL};
static const char *const functions_not_in_op[] = {"sqlite_version", "sqlite_source_id", "sqlite_offset",
	"sqlite_compileoption_used", "sqlite_compileoption_get", "fts5_source_id", NULL};
static const char *const functions_now[] = {"random", "randomblob", "date", "time", "datetime", "julianday", "unixepoch",
	"strftime", "current_date", "current_time", "current_timestamp", "changes", "total_changes", "last_insert_rowid",
	NULL};

static int deny(struct authz *a, const char *what, const char *name)
{
	snprintf(a->denied, sizeof a->denied, "%s%s%s is not allowed here", what, name ? " " : "", name ? name : "");
	return SQLITE_DENY;
}

static int check_pragma(struct authz *a, const char *name, const char *arg)
{
	bool ok;
	if (a->mode == AUTHZ_OP) {
		ok = listed(pragma_op, name) || (!arg && listed(pragma_op_ask, name));
		if (sqlite3_stricmp(name, "defer_foreign_keys") == 0)
			a->saw |= AUTHZ_SAW_DEFER;
	} else {
		ok = listed(pragma_query, name) || (!arg && listed(pragma_query_ask, name));
	}
	return ok ? SQLITE_OK : deny(a, "PRAGMA", name);
}

static int check_function(struct authz *a, const char *name)
{
	if (listed(functions_now, name))
		a->saw |= AUTHZ_SAW_NOW;
	if (listed(functions_never, name) || (a->mode == AUTHZ_OP && listed(functions_not_in_op, name)))
		return deny(a, "the function", name);
	return SQLITE_OK;
}

static int check_read(struct authz *a, const char *table, const char *column)
{
	if (begins(table, "ddb_"))
		return deny(a, "the table", table);
	if (listed(tables_never, table) || (a->mode == AUTHZ_OP && begins(table, "pragma_")))
		return deny(a, "the table", table);
	if (a->mode == AUTHZ_OP && !a->own_schema_work && column && sqlite3_stricmp(column, "rootpage") == 0 &&
		(begins(table, "sqlite_schema") || begins(table, "sqlite_master")))
		return deny(a, "the column", "rootpage (it differs between nodes)");
	return SQLITE_OK;
}

static void see_vtab(struct authz *a, const char *table)
{
	for (size_t i = 0; i < a->vtab_n && table; i++)
		if (sqlite3_stricmp(a->vtab[i], table) == 0)
			a->saw |= AUTHZ_SAW_VTAB;
}

static int check_write(struct authz *a, const char *table)
{
	a->saw |= AUTHZ_SAW_WRITE;
	if (begins(table, "ddb_"))
		return deny(a, "the table", table);
	if (begins(table, "sqlite_stat") && !a->own_schema_work)
		return deny(a, "writing to", table);
	return SQLITE_OK;
}

/* name: what is made or dropped; on: the table it belongs to, or NULL. */
static int check_schema(struct authz *a, const char *name, const char *on)
{
	a->saw |= AUTHZ_SAW_DDL | AUTHZ_SAW_WRITE;
	if (a->mode == AUTHZ_QUERY)
		return deny(a, "a change of the schema", NULL);
	if (begins(name, "ddb_"))
		return deny(a, "the name", name);
	if (begins(on, "ddb_"))
		return deny(a, "the table", on);
	if (begins(name, "sqlite_stat"))
		return deny(a, "changing", name);
	return SQLITE_OK;
}

static int authorize(void *arg, int action, const char *one, const char *two, const char *database,
	const char *trigger)
{
	struct authz *a = arg;
	(void)database;
	(void)trigger;
	if (a->mode == AUTHZ_INTERNAL)
		return SQLITE_OK;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_READ:
		see_vtab(a, one);
		return check_read(a, one, two);
	case SQLITE_FUNCTION:
		return check_function(a, two);
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
		see_vtab(a, one);
		return check_write(a, one);
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_VIEW:
	case SQLITE_DROP_TABLE:
	case SQLITE_DROP_VIEW:
		return check_schema(a, one, NULL);
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_DROP_INDEX:
	case SQLITE_DROP_TRIGGER:
		return check_schema(a, one, two);
	case SQLITE_ALTER_TABLE:      /* database, table */
		return check_schema(a, two, NULL);
	case SQLITE_ANALYZE: /* also called for each of our own tables */
	case SQLITE_REINDEX:
		return check_schema(a, NULL, NULL);
	case SQLITE_CREATE_VTABLE:
		a->saw |= AUTHZ_SAW_VTAB;
		if (!listed(modules, two))
			return deny(a, "the virtual table module", two);
		return check_schema(a, one, NULL);
	case SQLITE_DROP_VTABLE:
		a->saw |= AUTHZ_SAW_VTAB;
		return check_schema(a, one, NULL);
	case SQLITE_PRAGMA:
		return check_pragma(a, one, two);
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
		return deny(a, "ATTACH and DETACH (and VACUUM)", NULL);
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return deny(a, "BEGIN, COMMIT, ROLLBACK and SAVEPOINT (a request is one transaction by itself)", NULL);
	case SQLITE_CREATE_TEMP_TABLE:
	case SQLITE_CREATE_TEMP_INDEX:
	case SQLITE_CREATE_TEMP_TRIGGER:
	case SQLITE_CREATE_TEMP_VIEW:
	case SQLITE_DROP_TEMP_TABLE:
	case SQLITE_DROP_TEMP_INDEX:
	case SQLITE_DROP_TEMP_TRIGGER:
	case SQLITE_DROP_TEMP_VIEW:
		return deny(a, "a temporary object", one);
	default:
		return deny(a, "this kind of statement", NULL);
	}
}

const char *authz_skip_blank(const char *sql, const char *end)
{
	while (sql < end) {
		if (*sql == ' ' || (*sql >= '\t' && *sql <= '\r') || *sql == ';') {
			sql++;
		} else if (end - sql >= 2 && sql[0] == '-' && sql[1] == '-') {
			while (sql < end && *sql != '\n')
				sql++;
		} else if (end - sql >= 2 && sql[0] == '/' && sql[1] == '*') {
			sql += 2;
			while (end - sql >= 2 && !(sql[0] == '*' && sql[1] == '/'))
				sql++;
			sql = end - sql >= 2 ? sql + 2 : end;
		} else {
			break;
		}
	}
	return sql;
}

static bool begins_with_any(const char *const *verbs, const char *sql, const char *end)
{
	for (; *verbs; verbs++) {
		size_t n = strlen(*verbs);
		if ((size_t)(end - sql) >= n && sqlite3_strnicmp(sql, *verbs, (int)n) == 0)
			return true;
	}
	return false;
}

bool authz_statement(struct authz *a, const char *sql, size_t len)
{
	static const char *const schema_verbs[] = {"analyze", "drop", "alter", NULL};
	static const char *const row_verbs[] = {"select", "insert", "update", "delete", "replace", "with", "values", NULL};
	const char *end = sql + len, *from = authz_skip_blank(sql, end);
	a->saw = 0;
	a->denied[0] = '\0';
	a->own_schema_work = begins_with_any(schema_verbs, from, end);
	return begins_with_any(row_verbs, from, end);
}

void authz_install(struct authz *a, sqlite3 *db)
{
	memset(a, 0, sizeof *a);
	a->mode = AUTHZ_INTERNAL;
	sqlite3_set_authorizer(db, authorize, a);
}

static void forget_vtabs(struct authz *a)
{
	for (size_t i = 0; i < a->vtab_n; i++)
		free(a->vtab[i]);
	free(a->vtab);
	a->vtab = NULL;
	a->vtab_n = 0;
}

void authz_schema_changed(struct authz *a, sqlite3 *db)
{
	sqlite3_stmt *stmt;
	enum authz_mode mode = a->mode;
	a->mode = AUTHZ_INTERNAL;
	forget_vtabs(a);
	if (sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage = 0", -1, &stmt,
		    NULL) == SQLITE_OK) {
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			char **more = realloc(a->vtab, (a->vtab_n + 1) * sizeof *more);
			if (!more)
				break;
			a->vtab = more;
			a->vtab[a->vtab_n] = strdup((const char *)sqlite3_column_text(stmt, 0));
			if (!a->vtab[a->vtab_n])
				break;
			a->vtab_n++;
		}
		sqlite3_finalize(stmt);
	}
	a->mode = mode;
}

bool authz_schema_trespasses(sqlite3 *db, char *out, size_t size)
{
	sqlite3_stmt *stmt;
	bool found = false;
	if (sqlite3_prepare_v2(db,
		    "SELECT name FROM sqlite_schema WHERE (name LIKE 'ddb\\_%' ESCAPE '\\' OR tbl_name LIKE 'ddb\\_%' ESCAPE '\\')"
		    " AND name NOT IN ('ddb_journal', 'ddb_key', 'ddb_meta', 'sqlite_autoindex_ddb_key_1',"
		    " 'sqlite_autoindex_ddb_meta_1')", -1, &stmt, NULL) != SQLITE_OK)
		return false;
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
		found = true;
	}
	sqlite3_finalize(stmt);
	return found;
}

void authz_release(struct authz *a)
{
	forget_vtabs(a);
}
