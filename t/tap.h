/* A small TAP producer for unit tests, in the shape of c-tap-harness. */
#ifndef DDB_T_TAP_H
#define DDB_T_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool good, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	if (!good)
		tap_failed++;
	fflush(stdout);
	return good;
}

static inline bool is_int(long long got, long long want, const char *what)
{
	bool good = ok(got == want, "%s", what);
	if (!good)
		printf("#   got %lld, wanted %lld\n", got, want);
	return good;
}

static inline bool is_str(const char *got, const char *want, const char *what)
{
	bool good = ok(got == want || (got && want && strcmp(got, want) == 0), "%s", what);
	if (!good)
		printf("#   got    '%s'\n#   wanted '%s'\n", got ? got : "(null)", want ? want : "(null)");
	return good;
}

/* Ends the test: prints the plan; the exit status of main(). */
static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
