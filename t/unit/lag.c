/* lib/cluster: how far behind (lag), what a node says of itself (node_state),
 * when a master opens (reign), how far journals are cut (prune). */
#include "lib/cluster/lag.h"
#include "lib/cluster/node_state.h"
#include "lib/cluster/prune.h"
#include "lib/cluster/reign.h"
#include "t/tap.h"

static void test_lag(void)
{
	struct lag l = {.n = 0};
	ok(lag_since(&l) == -1 && !l.proved, "nothing heard: not behind, and nothing proved");
	lag_heard(&l, 0, 1000);
	ok(l.proved, "an empty master is reached by an empty slave");
	lag_heard(&l, 10, 1000);
	is_int(lag_since(&l), 1000, "behind since the head was heard of");
	lag_heard(&l, 20, 2000);
	lag_reached(&l, 10);
	is_int(lag_since(&l), 2000, "the next head is behind since it was heard of");
	lag_reached(&l, 15);
	is_int(lag_since(&l), 2000, "on the way there, too");
	lag_reached(&l, 20);
	is_int(lag_since(&l), -1, "reached: not behind");
	lag_heard(&l, 20, 3000);
	is_int(lag_since(&l), -1, "the same head again is nothing new");
	lag_heard(&l, 30, 4000);
	lag_heard(&l, 31, 4000 + LAG_WINDOW_MS - 1);
	lag_reached(&l, 30);
	is_int(lag_since(&l), 4000, "heads of one moment share it: never understated");
	lag_reached(&l, 31);
	for (int i = 0; i < 10 * LAG_RING; i++)
		lag_heard(&l, 100 + i, 5000 + i * 2 * LAG_WINDOW_MS);
	is_int(lag_since(&l), 5000, "many heads: the oldest one counts");
	lag_reached(&l, 100 + 10 * LAG_RING - 2);
	ok(lag_since(&l) > 5000, "memory is bounded");
	lag_reached(&l, 100 + 10 * LAG_RING);
	is_int(lag_since(&l), -1, "and all of it is reached");
	lag_reset(&l);
	ok(!l.proved && lag_since(&l) == -1, "a reset proves nothing");
	lag_heard(&l, 50, 9000);
	ok(l.proved, "a head that was reached before proves at once");
	lag_reached(&l, 5);
	lag_heard(&l, 60, 9100);
	is_int(lag_since(&l), 9100, "a position may go back");
}

static struct node_facts in_sync(void)
{
	struct node_facts f = {.heartbeat_age_ms = 10, .silent_ms = 3000, .lag_most_ms = 1000, .proved = true};
	return f;
}

static void is_state(struct node_facts f, enum node_state before, enum node_state want, const char *what)
{
	bool was = f.was_in_sync;
	enum node_state got = node_state_judge(&f, before, &was);
	is_str(node_state_table[got].name, node_state_table[want].name, what);
}

static void test_states(void)
{
	struct node_facts f = in_sync();
	is_state(f, NODE_JOINING, NODE_READY, "caught up");
	f.proved = false;
	is_state(f, NODE_JOINING, NODE_SYNCING, "no head reached yet");
	is_state(f, NODE_READY, NODE_READY, "a new database makes nobody unready");
	f.lag_ms = 1001;
	is_state(f, NODE_READY, NODE_LAGGING, "unless it lags");
	f = in_sync();
	f.lag_ms = 500;
	is_state(f, NODE_SYNCING, NODE_SYNCING, "half a second behind is not caught up");
	is_state(f, NODE_READY, NODE_READY, "but no reason to leave");
	is_state(f, NODE_LAGGING, NODE_LAGGING, "nor to return");
	f.lag_ms = 200;
	is_state(f, NODE_LAGGING, NODE_READY, "a moment behind is");
	f.ahead = true;
	is_state(f, NODE_READY, NODE_SYNCING, "rows that the master does not have: not ready");
	f = in_sync();
	f.heartbeat_age_ms = 3001;
	bool was = false;
	ok(node_state_judge(&f, NODE_READY, &was) == NODE_SILENT && was, "silent, and in sync until then");
	was = false;
	ok(node_state_judge(&f, NODE_LAGGING, &was) == NODE_SILENT && !was, "silent, and not in sync");
	is_state(f, NODE_SYNCING, NODE_JOINING, "never in sync: joining");
	f.was_in_sync = true;
	is_state(f, NODE_JOINING, NODE_SILENT, "what the process before knew counts");
	f.heartbeat_age_ms = -1;
	is_state(f, NODE_STARTING, NODE_JOINING, "no heartbeat in this process yet");
	f = in_sync();
	f.paused = f.fault = f.diverged = f.snapshot = true;
	is_state(f, NODE_READY, NODE_PAUSED, "paused before all");
	f.paused = false;
	is_state(f, NODE_READY, NODE_ERROR, "then an error");
	f.fault = false;
	is_state(f, NODE_READY, NODE_DIVERGED, "then diverged");
	f.diverged = false;
	is_state(f, NODE_READY, NODE_SNAPSHOT, "then a copy");
	f = in_sync();
	f.is_master = true;
	is_state(f, NODE_READY, NODE_WAITING, "a master that is not open");
	f.open = true;
	is_state(f, NODE_WAITING, NODE_IS_MASTER, "and one that is");
}

static void test_reign(void)
{
	struct reign_answer a[2] = {{.node = "n2"}, {.node = "n3"}};
	ok(reign_judge(1, a, 0, false) == REIGN_OPENS, "the only member opens");
	ok(reign_judge(1, a, 2, true) == REIGN_ASKING, "others are waited for");
	a[0].answered = true;
	a[0].promised = 1;
	ok(reign_judge(1, a, 2, true) == REIGN_ASKING, "all of them");
	a[1].failed = true;
	ok(reign_judge(1, a, 2, false) == REIGN_OPENS, "who cannot be reached is not waited for");
	a[0].later = true;
	ok(reign_judge(1, a, 2, true) == REIGN_BEHIND, "a later position keeps it closed");
	a[0].reigns = true;
	ok(reign_judge(1, a, 2, true) == REIGN_TAKEN, "so does a master of the same epoch");
	a[0].promised = 2;
	ok(reign_judge(1, a, 2, true) == REIGN_OVER, "a higher epoch ends it");
	a[1] = (struct reign_answer){.node = "n3"};
	ok(reign_judge(1, a, 2, true) == REIGN_OVER, "whoever else answers");
	a[0] = (struct reign_answer){.node = "n2", .failed = true};
	a[1].failed = true;
	ok(reign_judge(1, a, 2, true) == REIGN_OPENS && reign_judge(1, a, 2, false) == REIGN_ALONE,
		"nobody answers: the setting decides");
}

static void test_retention(void)
{
	struct conf c;
	conf_init(&c);
	c.retention_rows = 100;
	is_int(prune_retention_floor(&c, 1000, 1001), 901, "all rows are old: the last hundred stay");
	is_int(prune_retention_floor(&c, 1000, 500), 500, "young rows stay");
	is_int(prune_retention_floor(&c, 50, 51), 0, "few rows stay");
	c.retention_rows = 1;
	is_int(prune_retention_floor(&c, 1000, 1001), 1000, "never the last row");
}

int main(void)
{
	test_lag();
	test_states();
	test_reign();
	test_retention();
	return tap_done();
}
