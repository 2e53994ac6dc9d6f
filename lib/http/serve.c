/* FastCGI. The threads of a socket share one epoll set: the listening socket
 * and every connection that nginx keeps open between two requests. So a kept
 * connection holds no thread while it is idle (in libfcgi's own loop it would,
 * and with more kept connections than threads requests starve), and no thread
 * sleeps in accept(), so that a stop cuts nothing off.
 *
 * The connection is handed to libfcgi by setting FCGX_Request.ipcFd before
 * FCGX_Accept_r() and taken back after FCGX_Finish_r(): with ipcFd set, Accept
 * reads the next request from it instead of accepting. fcgiapp.h calls that
 * field private; the library is frozen, and nothing else gives a way to set a
 * receive time limit before the first byte is read. */
#define _GNU_SOURCE
#include "lib/http/serve.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RECEIVE_S 10                         /* seconds in which the next bytes of a request must come */
#define SEND_S 60                            /* seconds in which nginx must take more of an answer */
#define DRAIN_MAX (128L * 1024 * 1024)       /* bytes of an unread body that are thrown away */
#define GRACE_MS 50                          /* at the end, for requests that nginx is just sending on kept connections */
#define FDS_WANTED 65536
#define FIRST_FD 3                           /* systemd's SD_LISTEN_FDS_START */

/* A connection that nginx keeps open. Linked while it waits for its next request. */
struct kept {
	int fd;
	struct kept *prev, *next;
};

/* One listening socket with its threads. */
struct gate {
	const struct serve *serve;
	enum route_listener listener;
	bool close_each;
	int listen_fd, epoll_fd;
	pthread_mutex_t lock;          /* of waiting */
	struct kept *waiting;
	pthread_t *thread;
	int thread_n;
};

/* Says to a thread that the end was asked for. Blocked but while the thread
 * waits for requests, so that it interrupts nothing else, and cannot be missed. */
#define STOP_SIGNAL SIGUSR2
static _Thread_local volatile sig_atomic_t stop_asked;

static void on_stop_signal(int sig)
{
	stop_asked = 1;
}

/* ---- libfcgi as a carrier ---- */

struct carrier {
	FCGX_Request fcgx;
	bool cut;
};

static const char *fcgi_get(void *carrier, const char *variable)
{
	struct carrier *c = carrier;
	return FCGX_GetParam(variable, c->fcgx.envp);
}

static long fcgi_read(void *carrier, char *to, size_t len)
{
	struct carrier *c = carrier;
	int got = FCGX_GetStr(to, len > INT32_MAX ? INT32_MAX : (int)len, c->fcgx.in);
	return got > 0 ? got : FCGX_GetError(c->fcgx.in) ? -1 : 0;
}

static bool fcgi_write(void *carrier, const char *data, size_t len)
{
	struct carrier *c = carrier;
	while (len > 0) {
		int part = len > INT32_MAX ? INT32_MAX : (int)len;
		if (FCGX_PutStr(data, part, c->fcgx.out) != part)
			return false;
		data += part;
		len -= (size_t)part;
	}
	return true;
}

static bool fcgi_gone(void *carrier)
{
	struct carrier *c = carrier;
	struct pollfd p = {.fd = c->fcgx.ipcFd, .events = POLLRDHUP};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void fcgi_cut(void *carrier)
{
	struct carrier *c = carrier;
	c->cut = true;
	shutdown(c->fcgx.ipcFd, SHUT_RDWR);
}

/* Reads what is left of the body, up to the mark that ends it: nginx would
 * stumble over a connection closed while it still writes, and the next request
 * of a kept connection begins behind it. */
static bool drain(FCGX_Request *q)
{
	char rest[16384];
	long total = 0;
	int got;
	while ((got = FCGX_GetStr(rest, sizeof rest, q->in)) > 0)
		if ((total += got) > DRAIN_MAX)
			return false;
	return FCGX_GetError(q->in) == 0;
}

/* Answers one request on fd. Returns fd if the connection can and may carry
 * another, -1 if it is closed. */
static int answer_on(struct gate *g, struct carrier *c, int fd, bool may_keep)
{
	FCGX_Request *q = &c->fcgx;
	const struct request_io io = {
		.carrier = c, .get = fcgi_get, .read = fcgi_read, .write = fcgi_write, .gone = fcgi_gone,
		.cut = fcgi_cut,
	};
	c->cut = false;
	q->ipcFd = fd;
	q->keepConnection = 1; /* else Accept begins by closing it, as what the last request left */
	/* On a connection that ended or speaks nonsense libfcgi closes it and turns
	 * to its listening socket, which is -1 here: it fails at once. */
	if (FCGX_Accept_r(q) != 0) {
		q->ipcFd = -1;
		return -1;
	}
	serve_one(g->serve, g->listener, &io);
	bool keep_it = drain(q) && q->keepConnection && !c->cut && may_keep;
	/* libfcgi would close with shutdown() and wait for nginx to do the same. All
	 * has been read and written, so that close() loses nothing. */
	q->keepConnection = 1;
	FCGX_Finish_r(q);
	fd = q->ipcFd; /* -1 when the answer could not be written */
	q->ipcFd = -1;
	if (fd >= 0 && !keep_it) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- connections ---- */

static void unlink_kept(struct gate *g, struct kept *k)
{
	if (k->prev)
		k->prev->next = k->next;
	else
		g->waiting = k->next;
	if (k->next)
		k->next->prev = k->prev;
}

/* Lets fd wait for its next request, which any of the gate's threads may take.
 * k is NULL for a connection that was not kept before. */
static void keep(struct gate *g, struct kept *k, int fd)
{
	int how = k ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (!k)
		k = malloc(sizeof *k);
	if (!k) {
		close(fd);
		return;
	}
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = k};
	pthread_mutex_lock(&g->lock);
	*k = (struct kept){.fd = fd, .next = g->waiting};
	if (k->next)
		k->next->prev = k;
	g->waiting = k;
	bool waits = epoll_ctl(g->epoll_fd, how, fd, &ev) == 0;
	if (!waits)
		unlink_kept(g, k);
	pthread_mutex_unlock(&g->lock);
	if (!waits) {
		free(k);
		close(fd);
	}
}

/* The connection on which a request came; this thread's alone from now on. */
static int take_kept(struct gate *g, struct kept *k)
{
	pthread_mutex_lock(&g->lock);
	unlink_kept(g, k);
	pthread_mutex_unlock(&g->lock);
	return k->fd;
}

/* Watches the listening socket for one event: a connection wakes one thread,
 * which takes it and watches again, so that another is woken only by another. */
static bool watch(struct gate *g, int how)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = NULL};
	return epoll_ctl(g->epoll_fd, how, g->listen_fd, &ev) == 0;
}

/* A new connection, -1 if there is none to get. */
static int take_connection(struct gate *g)
{
	int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_error("accept.failed", "listener=%s reason=\"%s\"", route_listener_name(g->listener), strerror(errno));
		usleep(50000); /* out of descriptors or memory: it stays ready, and without a pause this would spin */
	}
	watch(g, EPOLL_CTL_MOD);
	if (fd < 0)
		return -1;
	const struct timeval receive = {.tv_sec = RECEIVE_S}, send = {.tv_sec = SEND_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof send);
	return fd;
}

/* One thread. Once the end was asked for, it answers what still comes on kept
 * connections, closing each after its answer, and ends when nothing came for a
 * moment. New connections wait in the socket's queue for the next process. */
static void *work(void *arg)
{
	struct gate *g = arg;
	struct carrier c;
	sigset_t waiting;
	pthread_sigmask(SIG_BLOCK, NULL, &waiting);
	sigdelset(&waiting, STOP_SIGNAL);
	FCGX_InitRequest(&c.fcgx, -1, 0);
	bool stopping = false;
	for (;;) {
		struct epoll_event ev;
		int n = epoll_pwait(g->epoll_fd, &ev, 1, stopping ? GRACE_MS : -1, &waiting);
		if (n < 0 && errno == EINTR) {
			stopping = stop_asked; /* not after SIGSTOP and SIGCONT, nor for a debugger */
			continue;
		}
		if (n <= 0)
			break;
		struct kept *k = ev.data.ptr;
		int fd = k ? take_kept(g, k) : take_connection(g);
		if (fd < 0)
			continue;
		fd = answer_on(g, &c, fd, !stopping && !g->close_each);
		if (fd >= 0)
			keep(g, k, fd);
		else
			free(k);
	}
	FCGX_Free(&c.fcgx, 0);
	return NULL;
}

/* ---- sockets ---- */

static bool is_listening(int fd)
{
	int yes = 0;
	socklen_t len = sizeof yes;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

static int inherited_n(void)
{
	const char *text = getenv("LISTEN_FDS");
	int n = text ? atoi(text) : 0;
	return n > 0 && n <= SERVE_SOCKET_MAX && is_listening(FIRST_FD) ? n : 0;
}

enum serve_mode serve_mode(void)
{
	if (inherited_n() > 0 || is_listening(STDIN_FILENO))
		return SERVE_FASTCGI;
	return getenv("GATEWAY_INTERFACE") || getenv("REQUEST_METHOD") ? SERVE_CGI : SERVE_NEITHER;
}

/* The inherited socket of that name, -1 if there is none. A single one is the
 * public one, whatever it is called. */
static int inherited(const char *name)
{
	int n = inherited_n();
	bool is_public = strcmp(name, "public") == 0;
	if (n == 0)
		return is_public && is_listening(STDIN_FILENO) ? STDIN_FILENO : -1;
	if (n == 1)
		return is_public ? FIRST_FD : -1;
	const char *names = getenv("LISTEN_FDNAMES");
	for (int i = 0; names && i < n; i++) {
		size_t len = strcspn(names, ":");
		if (len == strlen(name) && memcmp(names, name, len) == 0)
			return is_listening(FIRST_FD + i) ? FIRST_FD + i : -1;
		names += len + (names[len] == ':');
	}
	return -1;
}

void serve_block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGUSR1); /* libfcgi's own way to stop, which leaves threads behind */
	sigaddset(&set, STOP_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void serve_stop(void)
{
	kill(getpid(), SIGTERM);
}

/* Each connection and each database needs descriptors; the usual soft limit is 1024. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FDS_WANTED)
		return;
	limit.rlim_cur = limit.rlim_max < FDS_WANTED ? limit.rlim_max : FDS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static bool gate_watch(struct gate *g)
{
	return g->epoll_fd >= 0 && fcntl(g->listen_fd, F_SETFD, FD_CLOEXEC) == 0 &&
	       fcntl(g->listen_fd, F_SETFL, fcntl(g->listen_fd, F_GETFL) | O_NONBLOCK) == 0 &&
	       watch(g, EPOLL_CTL_ADD);
}

/* Opens the gate with at least one thread. gate_close() in any case. */
static enum err_code gate_open(struct gate *g, const struct serve *s, const struct serve_socket *socket, int fd,
	struct err *e)
{
	*g = (struct gate){.serve = s, .listener = socket->listener, .close_each = socket->close_each,
		.listen_fd = fd};
	pthread_mutex_init(&g->lock, NULL);
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	g->thread = calloc((size_t)socket->threads, sizeof *g->thread);
	if (!g->thread || !gate_watch(g))
		return err_set(e, ERR_IO, "cannot serve the %s socket: %s", socket->name, strerror(errno));
	while (g->thread_n < socket->threads && pthread_create(&g->thread[g->thread_n], NULL, work, g) == 0) {
		char name[16];
		snprintf(name, sizeof name, "%.7s-%d", socket->name, g->thread_n);
		pthread_setname_np(g->thread[g->thread_n++], name);
	}
	if (g->thread_n == 0)
		return err_set(e, ERR_NOMEM, "cannot start a thread for the %s socket", socket->name);
	if (g->thread_n < socket->threads)
		log_warn("serve.threads", "listener=%s wanted=%d have=%d", socket->name, socket->threads, g->thread_n);
	return ERR_OK;
}

/* Takes no more connections, and tells the threads. */
static void gate_stop(struct gate *g)
{
	epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, g->listen_fd, NULL);
	for (int i = 0; i < g->thread_n; i++)
		pthread_kill(g->thread[i], STOP_SIGNAL);
}

/* Waits for the gate's threads, after gate_stop(). */
static void gate_close(struct gate *g)
{
	for (int i = 0; i < g->thread_n; i++)
		pthread_join(g->thread[i], NULL);
	while (g->waiting) {
		struct kept *k = g->waiting;
		unlink_kept(g, k);
		close(k->fd);
		free(k);
	}
	if (g->epoll_fd >= 0)
		close(g->epoll_fd);
	free(g->thread);
	pthread_mutex_destroy(&g->lock);
}

static enum err_code open_gates(const struct serve *s, struct gate *gate, size_t *n, struct err *e)
{
	for (size_t i = 0; i < s->socket_n && e->code == ERR_OK; i++) {
		int fd = inherited(s->socket[i].name);
		if (fd < 0)
			log_warn("serve.socket_missing", "listener=%s", s->socket[i].name);
		else
			gate_open(&gate[(*n)++], s, &s->socket[i], fd, e);
	}
	if (*n == 0)
		err_set(e, ERR_IO, "no listening socket was inherited (LISTEN_FDS, LISTEN_FDNAMES, or descriptor 0)");
	return e->code;
}

static void wait_end(void)
{
	sigset_t ends;
	int sig;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGQUIT); /* what multiwatch 1.0.0 makes of `-s TERM` */
	sigwait(&ends, &sig);
	log_info("serve.ends", "signal=%d", sig);
}

enum err_code serve_fastcgi(const struct serve *s, void (*before_drain)(void *app), struct err *e)
{
	struct gate gate[SERVE_SOCKET_MAX];
	size_t n = 0;
	const struct sigaction on_stop = {.sa_handler = on_stop_signal};
	raise_descriptors();
	if (FCGX_Init() != 0 || sigaction(STOP_SIGNAL, &on_stop, NULL) != 0)
		return err_set(e, ERR_IO, "cannot prepare FastCGI: %s", strerror(errno));
	if (open_gates(s, gate, &n, e) == ERR_OK) {
		log_info("serve.began", "sockets=%zu", n);
		wait_end();
	}
	for (size_t i = 0; i < n; i++)
		gate_stop(&gate[i]);
	if (before_drain)
		before_drain(s->app);
	for (size_t i = 0; i < n; i++)
		gate_close(&gate[i]);
	return e->code;
}
