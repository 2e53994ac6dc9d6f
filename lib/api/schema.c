#include "lib/api/schema.h"
#include "lib/sql/readers.h"

#include <stdlib.h>
#include <string.h>

/* Tables kept per connection; beyond, all are read anew. */
#define KEPT_MAX 64

struct kept {
	int64_t version;                       /* PRAGMA schema_version they are of */
	struct schema_table *table[KEPT_MAX];
	int n;
};

static void table_free(struct schema_table *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->column_n; i++) {
		free(t->column[i].name);
		free(t->column[i].type);
		free(t->column[i].fallback);
		free(t->column[i].key_collation);
	}
	free(t->column);
	free(t->key_column);
	free(t->name);
	free(t);
}

static void forget(struct kept *k)
{
	for (int i = 0; i < k->n; i++)
		table_free(k->table[i]);
	k->n = 0;
}

static void release(void *place)
{
	forget(place);
	free(place);
}

/* ---- reading ---- */

static const char *text_at(sqlite3_stmt *stmt, int i)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);
	return text ? text : "";
}

/* Calls row for each row of our own statement about the table name. */
static enum err_code each(struct conn *c, const char *sql, const char *name,
	enum err_code (*row)(struct schema_table *, sqlite3_stmt *, struct err *), struct schema_table *t, struct err *e)
{
	sqlite3_stmt *stmt;
	unsigned traits;
	int rc;
	if (conn_prepare(c, sql, strlen(sql), &stmt, &traits, NULL, e) != ERR_OK)
		return e->code;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (row(t, stmt, e) != ERR_OK)
			break;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		conn_error(c, rc, e);
	conn_release(c, stmt);
	return e->code;
}

static enum err_code no_memory(struct err *e)
{
	return err_set(e, ERR_NOMEM, "no memory for a table's schema");
}

static enum err_code take_table(struct schema_table *t, sqlite3_stmt *stmt, struct err *e)
{
	static const char *const types[] = {
		[SCHEMA_TABLE] = "table", [SCHEMA_VIEW] = "view", [SCHEMA_VIRTUAL] = "virtual", [SCHEMA_SHADOW] = "shadow",
	};
	free(t->name);
	t->name = strdup(text_at(stmt, 0));
	for (int i = 0; i < (int)(sizeof types / sizeof *types); i++)
		if (strcmp(types[i], text_at(stmt, 1)) == 0)
			t->type = i;
	t->without_rowid = sqlite3_column_int(stmt, 2);
	t->strict = sqlite3_column_int(stmt, 3);
	return t->name ? ERR_OK : no_memory(e);
}

static bool holds(const char *type, const char *part)
{
	size_t len = strlen(part);
	for (; *type; type++)
		if (sqlite3_strnicmp(type, part, (int)len) == 0)
			return true;
	return false;
}

/* SQLite's own rules, in its order (datatype3.html, 3.1). */
enum schema_affinity schema_affinity_of(const char *type, bool strict)
{
	if (strict && sqlite3_stricmp(type, "ANY") == 0)
		return SCHEMA_NONE;
	if (holds(type, "INT"))
		return SCHEMA_NUMERIC;
	if (holds(type, "CHAR") || holds(type, "CLOB") || holds(type, "TEXT"))
		return SCHEMA_TEXTUAL;
	if (*type == '\0' || holds(type, "BLOB"))
		return SCHEMA_NONE;
	return SCHEMA_NUMERIC;
}

static enum err_code take_column(struct schema_table *t, sqlite3_stmt *stmt, struct err *e)
{
	struct schema_column *more = realloc(t->column, ((size_t)t->column_n + 1) * sizeof *more);
	if (!more)
		return no_memory(e);
	t->column = more;
	int hidden = sqlite3_column_int(stmt, 5);
	struct schema_column *one = &more[t->column_n++];
	*one = (struct schema_column){
		.name = strdup(text_at(stmt, 0)),
		.type = strdup(text_at(stmt, 1)),
		.notnull = sqlite3_column_int(stmt, 2),
		.pk = sqlite3_column_int(stmt, 4),
		.hidden = hidden == 1,
		.generated = hidden == 2 || hidden == 3,
	};
	if (sqlite3_column_type(stmt, 3) != SQLITE_NULL && !(one->fallback = strdup(text_at(stmt, 3))))
		return no_memory(e);
	if (!one->name || !one->type)
		return no_memory(e);
	one->affinity = schema_affinity_of(one->type, t->strict);
	one->boolean = sqlite3_strnicmp(one->type, "BOOL", 4) == 0;
	return ERR_OK;
}

/* The index of a primary key: it has one unless the key is the rowid itself. */
static enum err_code take_key_index(struct schema_table *t, sqlite3_stmt *stmt, struct err *e)
{
	int column = schema_column(t, text_at(stmt, 0));
	t->rowid_column = -1;
	if (!t->without_rowid || column < 0)
		return ERR_OK;
	free(t->column[column].key_collation);
	t->column[column].key_collation = strdup(text_at(stmt, 1));
	return t->column[column].key_collation ? ERR_OK : no_memory(e);
}

/* A key mostly sorts as its columns do; only where it does not, its collation counts. */
static void forget_plain_collations(struct conn *c, struct schema_table *t)
{
	for (int i = 0; i < t->column_n; i++) {
		struct schema_column *one = &t->column[i];
		const char *collation;
		if (!one->key_collation || sqlite3_table_column_metadata(c->db, "main", t->name, one->name, NULL, &collation,
						   NULL, NULL, NULL) != SQLITE_OK)
			continue;
		if (sqlite3_stricmp(collation, one->key_collation) == 0) {
			free(one->key_collation);
			one->key_collation = NULL;
		}
	}
}

/* Of an R-tree, told by its shadow: its first column is its rowid, and the name
 * rowid is not enough to set it. */
static enum err_code take_rtree(struct schema_table *t, sqlite3_stmt *stmt, struct err *e)
{
	(void)stmt;
	(void)e;
	t->column[0].pk = 1;
	t->rowid_column = 0;
	return ERR_OK;
}

static void choose_rowid_name(struct schema_table *t)
{
	static const char *const names[] = {"rowid", "_rowid_", "oid"};
	t->rowid = NULL;
	if (t->without_rowid || t->type == SCHEMA_VIEW)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names && !t->rowid; i++)
		if (schema_column(t, names[i]) == -2)
			t->rowid = names[i];
}

static enum err_code choose_key(struct schema_table *t, struct err *e)
{
	int last = 0;
	for (int i = 0; i < t->column_n; i++)
		if (t->column[i].pk > last)
			last = t->column[i].pk;
	t->key_column = calloc((size_t)last + 1, sizeof *t->key_column);
	if (!t->key_column)
		return no_memory(e);
	for (int i = 0; i < t->column_n; i++) {
		struct schema_column *one = &t->column[i];
		one->never_null = t->rowid_column == i || (t->type == SCHEMA_TABLE && (one->notnull ||
			(one->pk > 0 && t->without_rowid)));
		if (one->pk > 0)
			t->key_column[one->pk - 1] = i;
	}
	t->key = last == 1 ? SCHEMA_PRIMARY : t->rowid ? SCHEMA_ROWID : last > 1 && t->without_rowid ? SCHEMA_COMPOSITE :
		SCHEMA_KEYLESS;
	t->key_n = t->key == SCHEMA_KEYLESS ? 0 : t->key == SCHEMA_COMPOSITE ? last : 1;
	if (t->key == SCHEMA_ROWID)
		t->key_column[0] = SCHEMA_THE_ROWID;
	return ERR_OK;
}

static enum err_code unknown(const char *name, struct err *e)
{
	return err_set(e, ERR_TABLE_UNKNOWN, "there is no table or view '%.100s'", name);
}

static enum err_code load(struct conn *c, const char *name, struct schema_table *t, struct err *e)
{
	if (sqlite3_strnicmp(name, "ddb_", 4) == 0 || sqlite3_strnicmp(name, "sqlite_", 7) == 0)
		return unknown(name, e);
	if (each(c, "SELECT name, type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'", name, take_table, t,
		    e) != ERR_OK)
		return e->code;
	if (!t->name)
		return unknown(name, e);
	if (each(c, "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)", t->name,
		    take_column, t, e) != ERR_OK)
		return e->code;
	choose_rowid_name(t);
	t->rowid_column = -1;
	for (int i = 0; i < t->column_n && !t->without_rowid; i++)
		if (t->column[i].pk == 1)
			t->rowid_column = i;
	if (each(c, "SELECT x.name, x.coll FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS x"
		    " WHERE i.origin = 'pk' AND x.key", t->name, take_key_index, t, e) != ERR_OK)
		return e->code;
	if (t->type == SCHEMA_VIRTUAL && t->column_n > 0 &&
		each(c, "SELECT 1 FROM pragma_table_list(?1 || '_parent') WHERE schema = 'main' AND type = 'shadow'", t->name,
			take_rtree, t, e) != ERR_OK)
		return e->code;
	forget_plain_collations(c, t);
	return choose_key(t, e);
}

/* ---- finding ---- */

static struct kept *kept_of(struct conn *c, struct err *e)
{
	void **place = readers_place(c, release);
	struct kept *k = *place;
	int64_t version;
	if (conn_int(c, "PRAGMA schema_version", 0, &version, e) != ERR_OK)
		return NULL;
	if (!k) {
		k = calloc(1, sizeof *k);
		if (!k) {
			no_memory(e);
			return NULL;
		}
		*place = k;
	}
	if (k->version != version || k->n == KEPT_MAX)
		forget(k);
	k->version = version;
	return k;
}

enum err_code schema_find(struct conn *c, const char *name, const struct schema_table **out, struct err *e)
{
	struct kept *k = kept_of(c, e);
	for (int i = 0; k && i < k->n; i++)
		if (sqlite3_stricmp(k->table[i]->name, name) == 0) {
			*out = k->table[i];
			return ERR_OK;
		}
	if (!k)
		return e->code;
	struct schema_table *t = calloc(1, sizeof *t);
	if (!t)
		return no_memory(e);
	enum authz_mode mode = c->authz.mode;
	c->authz.mode = AUTHZ_INTERNAL;
	load(c, name, t, e);
	c->authz.mode = mode;
	if (e->code != ERR_OK) {
		table_free(t);
		return e->code;
	}
	k->table[k->n++] = t;
	*out = t;
	return ERR_OK;
}

int schema_column(const struct schema_table *t, const char *name)
{
	for (int i = 0; i < t->column_n; i++)
		if (sqlite3_stricmp(t->column[i].name, name) == 0)
			return i;
	return t->rowid && sqlite3_stricmp(t->rowid, name) == 0 ? SCHEMA_THE_ROWID : -2;
}

const char *schema_column_name(const struct schema_table *t, int column)
{
	return column == SCHEMA_THE_ROWID ? t->rowid : t->column[column].name;
}

void schema_quote(struct buf *sql, const char *name)
{
	buf_add_char(sql, '"');
	for (; *name; name++) {
		if (*name == '"')
			buf_add_char(sql, '"');
		buf_add_char(sql, *name);
	}
	buf_add_char(sql, '"');
}

void schema_add_column(struct buf *sql, const struct schema_table *t, int column)
{
	schema_quote(sql, t->name);
	buf_add_char(sql, '.');
	schema_quote(sql, schema_column_name(t, column));
}
