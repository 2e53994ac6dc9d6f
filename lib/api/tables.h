/* The schema as people and pages read it. */
#ifndef DDB_API_TABLES_H
#define DDB_API_TABLES_H

#include "lib/http/request.h"

/* GET /v1/db/{db}/tables: all tables and views but DDB's and SQLite's own. */
void tables_list(struct request *r);

/* GET /v1/db/{db}/tables/{table}: columns, key, indexes, triggers, foreign keys. */
void tables_describe(struct request *r);

#endif
