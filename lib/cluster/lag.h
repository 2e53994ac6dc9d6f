/* How far behind, in time: since when something newer than what is reached
 * has been known. A position says nothing of time, and a slave that gets rows
 * all the time is always a few behind; what counts is the age of the oldest
 * head it heard of and has not reached.
 *
 * Heads heard within LAG_WINDOW_MS share one entry with the first one's
 * moment, so that memory is bounded and the lag is never understated. */
#ifndef DDB_CLUSTER_LAG_H
#define DDB_CLUSTER_LAG_H

#include <stdbool.h>
#include <stdint.h>

#define LAG_RING 64
#define LAG_WINDOW_MS 20

struct lag {
	struct {
		int64_t seq, at_ms;
	} ring[LAG_RING];       /* heads not reached yet, oldest first */
	int first, n;
	int64_t reached;        /* the position */
	bool proved;            /* a head that was heard since the reset has been reached */
};

/* Nothing was heard yet; the position stays. */
void lag_reset(struct lag *l);

/* The head is seq (or beyond); now_ms: boot clock. */
void lag_heard(struct lag *l, int64_t seq, int64_t now_ms);

/* The position is seq; it may go back (a snapshot). */
void lag_reached(struct lag *l, int64_t seq);

/* The boot clock's moment since when it is behind; -1: it is not. */
int64_t lag_since(const struct lag *l);

#endif
