/* The log: logfmt lines on standard error, one write() each.
 * Both sides' figures belong into a line; parameters, bodies and secrets never. */
#ifndef DDB_BASE_LOG_H
#define DDB_BASE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Names the program and the node in every line, and the lowest level printed. */
void log_setup(const char *program, const char *node, enum log_level least);

/* Prints `time=… level=… program=… node=… event=EVENT <fields>`; fmt makes the
 * fields, as key=value with %s of texts that may hold spaces given as key="…"
 * (quotes and line ends inside are replaced). */
void log_line(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_line(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif
