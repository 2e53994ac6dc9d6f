#include "lib/api/app.h"
#include "lib/api/health.h"
#include "lib/base/jsonw.h"
#include "lib/cluster/replica.h"

#define BODY_MAX 4096

void health_write(struct request *r)
{
	struct app_write *app = r->app;
	struct replica_self self;
	replica_self(app->replica, &self);
	const struct node_state_row *row = &node_state_table[self.state];
	int status = row->health_write;
	const char *why = row->sentence;
	if (app->stopping || (status == 200 && !self.open)) {
		status = 503;
		why = app->stopping ? "The program is stopping." : "The master has not opened yet.";
	}
	struct buf body = BUF_INIT(BODY_MAX);
	buf_add_str(&body, "{\"node\":");
	jsonw_str(&body, app->node.conf.name);
	buf_add_str(&body, ",\"state\":");
	jsonw_str(&body, row->name);
	buf_add_str(&body, ",\"status\":");
	jsonw_str(&body, why);
	buf_add_str(&body, ",\"error\":");
	jsonw_str(&body, self.error[0] ? self.error : NULL);
	buf_add_str(&body, "}\n");
	response_json(r, status, &body);
	buf_release(&body);
}
