#include "lib/base/log.h"
#include "lib/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char program_name[32] = "ddb";
static char node_name[72] = "-";
static enum log_level least_level = LOG_LEVEL_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(const char *program, const char *node, enum log_level least)
{
	snprintf(program_name, sizeof program_name, "%s", program);
	snprintf(node_name, sizeof node_name, "%s", node && *node ? node : "-");
	least_level = least;
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	if (level < least_level)
		return;
	char line[1600], now[CLOCK_ISO_LEN];
	clock_iso(clock_wall_ms(), now);
	int len = snprintf(line, sizeof line, "time=%s level=%s program=%s node=%s event=%s ", now,
		level_names[level], program_name, node_name, event);
	va_list ap;
	va_start(ap, fmt);
	int more = vsnprintf(line + len, sizeof line - (size_t)len - 1, fmt, ap);
	va_end(ap);
	if (more > 0)
		len += more;
	if (len > (int)sizeof line - 2)
		len = (int)sizeof line - 2;
	for (int i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = ' ';
	line[len++] = '\n';
	/* A log that cannot be written must not stop the work. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)len);
	(void)ignored;
}
