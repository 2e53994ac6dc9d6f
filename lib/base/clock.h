/* The clocks: wall time for people and for what 'now' means in SQL, the boot
 * clock (it counts suspension too) for every age and deadline. */
#ifndef DDB_BASE_CLOCK_H
#define DDB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void);      /* Unix ms */
int64_t clock_boot_ms(void);      /* ms since boot (CLOCK_BOOTTIME) */
int64_t clock_boot_us(void);

/* The kernel's boot id (36 characters), the same for all processes until the
 * machine restarts; "unknown" where it cannot be read. */
const char *clock_boot_id(void);

/* A CLOCK_MONOTONIC moment ms from now, for pthread_cond_clockwait(). */
struct timespec clock_deadline(int64_t ms);

/* "2026-11-22T20:50:22.123Z" (24 characters and NUL). */
#define CLOCK_ISO_LEN 25
void clock_iso(int64_t unix_ms, char out[CLOCK_ISO_LEN]);

#endif
