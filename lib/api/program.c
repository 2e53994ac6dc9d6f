#include "lib/api/program.h"
#include "config.h"
#include "lib/api/routes.h"
#include "lib/base/log.h"
#include "lib/base/presence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int usage(const struct program *p, FILE *to)
{
	fprintf(to,
		"usage: %s [-c FILE]%s%s%s\n"
		"       %s --routes | --version | --help\n"
		"A FastCGI program of DDB %s: its supervisor gives it listening sockets (LISTEN_FDS\n"
		"and LISTEN_FDNAMES, or descriptor 0). With CGI variables in the environment it\n"
		"answers that one request. FILE: the node's ddb.conf, else $DDB_CONF.\n",
		route_program_name(p->program), p->command ? " [" : "", p->command ? p->command : "", p->command ? "]" : "",
		route_program_name(p->program), PACKAGE_VERSION);
	return to == stdout ? 0 : PROGRAM_EXIT_USAGE;
}

/* True: go on, *path being the configuration that was named. */
static bool read_options(struct program *p, int argc, char **argv, const char **path, int *status)
{
	*status = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--routes") == 0) {
			route_print(routes, ROUTE_ID_N, stdout);
			return false;
		} else if (strcmp(argv[i], "--version") == 0) {
			printf("%s %s\n", route_program_name(p->program), PACKAGE_VERSION);
			return false;
		} else if (strcmp(argv[i], "--help") == 0) {
			*status = usage(p, stdout);
			return false;
		} else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			*path = argv[++i];
		} else if (p->command && strcmp(argv[i], p->command) == 0) {
			p->has_command = true;
		} else {
			*status = usage(p, stderr);
			return false;
		}
	}
	return true;
}

static enum log_level level_wanted(void)
{
	const char *text = getenv("DDB_LOG");
	return text && strcmp(text, "debug") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

bool program_begin(struct program *p, int argc, char **argv, int *status)
{
	struct err e = ERR_INIT;
	const char *path = getenv("DDB_CONF");
	if (!read_options(p, argc, argv, &path, status))
		return false;
	serve_block_signals();
	/* SQL's 'localtime' must mean the same on every node */
	setenv("TZ", "UTC", 1);
	tzset();
	log_setup(route_program_name(p->program), "-", level_wanted());
	p->mode = p->has_command ? SERVE_NEITHER : serve_mode();
	if (p->mode == SERVE_NEITHER && !p->has_command) {
		*status = usage(p, stderr);
		return false;
	}
	if (!path)
		err_set(&e, ERR_BAD_VALUE, "no configuration: give -c FILE or set DDB_CONF");
	else
		conf_load(&p->conf, path, &e);
	if (e.code != ERR_OK) {
		program_refuse(p, &e);
		*status = PROGRAM_EXIT_CONF;
		return false;
	}
	log_setup(route_program_name(p->program), p->conf.name, level_wanted());
	return true;
}

int program_serve(const struct program *p, const struct serve *s, void (*before_drain)(void *app))
{
	struct err e = ERR_INIT;
	if (p->mode == SERVE_CGI)
		return serve_cgi(s, &e) == ERR_OK ? 0 : PROGRAM_EXIT_FAILED;
	if (presence_hold(p->conf.run, route_program_name(p->program), &e) != ERR_OK) {
		log_warn("presence", "text=\"%s\"", e.text);
		err_reset(&e);
	}
	return serve_fastcgi(s, before_drain, &e) == ERR_OK ? 0 : program_refuse(p, &e);
}

int program_refuse(const struct program *p, const struct err *e)
{
	log_error("cannot_serve", "code=%s text=\"%s\"", err_name(e->code), e->text);
	if (p->mode == SERVE_CGI)
		serve_cgi_refuse(e);
	return e->code == ERR_WRITER_LOCKED ? PROGRAM_EXIT_LOCKED : PROGRAM_EXIT_FAILED;
}
