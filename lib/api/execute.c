#include "lib/api/execute.h"
#include "lib/api/master.h"
#include "lib/journal/op.h"

/* What the answer holds beside the results. */
#define FRAME_BYTES 512

static void answer(struct master_write *w)
{
	struct buf body = BUF_INIT(w->answer.results.len + FRAME_BYTES);
	buf_add_str(&body, "{\"results\":");
	buf_add(&body, w->answer.results.data, w->answer.results.len);
	buf_add_char(&body, ',');
	master_tail(w, &body);
	master_answer(w, 200, &body);
	buf_release(&body);
}

void execute_post(struct request *r)
{
	struct master_write w;
	if (!master_begin(r, &w))
		return;
	struct err e = ERR_INIT;
	size_t most = (size_t)w.app->node.conf.body_bytes;
	struct buf body = BUF_INIT(most);
	json_t *op = NULL;
	if (request_body(r, most, &body, &e) == ERR_OK)
		op_parse(body.data, body.len, &op, &e);
	buf_release(&body);
	if (e.code == ERR_OK && master_run(&w, op, &e) == ERR_OK)
		answer(&w);
	else
		response_problem(r, &e);
	json_decref(op);
	master_end(&w);
}
