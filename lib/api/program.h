/* What the mains of all programs have in common: options, configuration, log,
 * how the program was started, exit codes. */
#ifndef DDB_API_PROGRAM_H
#define DDB_API_PROGRAM_H

#include "lib/base/conf.h"
#include "lib/http/serve.h"

#define PROGRAM_EXIT_FAILED 1
#define PROGRAM_EXIT_USAGE 64     /* sysexits EX_USAGE */
#define PROGRAM_EXIT_LOCKED 75    /* another writer holds the data folder (EX_TEMPFAIL) */
#define PROGRAM_EXIT_CONF 78      /* bad configuration (EX_CONFIG) */

struct program {
	enum route_program program;
	const char *command;       /* the one sub-command it knows, NULL if none */
	bool has_command;          /* it was given */
	enum serve_mode mode;
	struct conf conf;
};

/* Reads `[-c FILE] [COMMAND]`, --routes, --version and --help, loads the
 * configuration (-c, else $DDB_CONF), blocks signals, sets up the log and
 * TZ=UTC. True: go on. False: end with *status. */
bool program_begin(struct program *p, int argc, char **argv, int *status);

/* Serves as it was started, until the end; the exit status. before_drain: see serve_fastcgi(). */
int program_serve(const struct program *p, const struct serve *s, void (*before_drain)(void *app));

/* The program cannot serve because of e: says so in the log and, as plain CGI,
 * to the client; the exit status. */
int program_refuse(const struct program *p, const struct err *e);

#endif
