#include "lib/cluster/lag.h"

void lag_reset(struct lag *l)
{
	l->first = l->n = 0;
	l->proved = false;
}

void lag_heard(struct lag *l, int64_t seq, int64_t now_ms)
{
	if (seq <= l->reached) {
		l->proved = true;
		return;
	}
	int last = (l->first + l->n - 1) % LAG_RING;
	if (l->n > 0 && seq <= l->ring[last].seq)
		return;
	if (l->n > 0 && (l->n == LAG_RING || now_ms - l->ring[last].at_ms < LAG_WINDOW_MS)) {
		l->ring[last].seq = seq;
		return;
	}
	int at = (l->first + l->n++) % LAG_RING;
	l->ring[at].seq = seq;
	l->ring[at].at_ms = now_ms;
}

void lag_reached(struct lag *l, int64_t seq)
{
	l->reached = seq;
	while (l->n > 0 && l->ring[l->first].seq <= seq) {
		l->first = (l->first + 1) % LAG_RING;
		l->n--;
		l->proved = true;
	}
}

int64_t lag_since(const struct lag *l)
{
	return l->n > 0 ? l->ring[l->first].at_ms : -1;
}
