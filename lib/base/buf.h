/* A growing buffer of bytes with a ceiling given at birth.
 *
 * Failure is sticky: once an addition did not fit (ceiling or memory), failed
 * is set and all further additions do nothing, so that a caller tests once at
 * the end. data is always NUL-terminated when not NULL; len does not count
 * that NUL. */
#ifndef DDB_BASE_BUF_H
#define DDB_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;    /* NULL while empty and never grown */
	size_t len;    /* bytes in use */
	size_t cap;
	size_t max;    /* ceiling of len, bytes */
	bool failed;
};

#define BUF_INIT(ceiling) { .data = NULL, .len = 0, .cap = 0, .max = (ceiling), .failed = false }

void buf_init(struct buf *b, size_t max);

/* Frees the memory; b can be used again with the same ceiling. */
void buf_release(struct buf *b);

/* Empties b and forgets a failure, but keeps the memory. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_char(struct buf *b, char c);
void buf_add_str(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for len more bytes. Returns where they may be written (then add
 * to b->len what was used), NULL when it does not fit. */
char *buf_reserve(struct buf *b, size_t len);

/* Gives the memory away: the caller frees it. b is empty afterwards.
 * Never NULL for an unfailed buffer (an empty string is allocated). */
char *buf_steal(struct buf *b);

#endif
