#include "lib/cluster/call.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALL_CONNECT_MS 1000
#define CALL_CONNECTIONS 16
#define DOWNLOAD_STALL_S 30

struct calls {
	CURLM *multi;
	struct call *stillborn;   /* could not even begin; the next to finish */
};

struct call {
	struct calls *calls;
	CURL *easy;
	struct curl_slist *headers;
	void *owner;
	bool busy;
	int status;
	struct buf answer;
	char error[CURL_ERROR_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum err_code calls_new(struct calls **out, struct err *e)
{
	pthread_once(&once, init_curl);
	struct calls *c = calloc(1, sizeof *c);
	if (!c || !(c->multi = curl_multi_init())) {
		free(c);
		return err_set(e, ERR_NOMEM, "no memory for connections to other nodes");
	}
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CALL_CONNECTIONS);
	*out = c;
	return ERR_OK;
}

void calls_free(struct calls *c)
{
	if (!c)
		return;
	curl_multi_cleanup(c->multi);
	free(c);
}

void calls_wake(struct calls *c)
{
	curl_multi_wakeup(c->multi);
}

static size_t take_answer(char *data, size_t size, size_t n, void *arg)
{
	struct call *k = arg;
	buf_add(&k->answer, data, size * n);
	return k->answer.failed ? 0 : size * n;
}

/* What every request has in common. */
static void set_common(CURL *easy, char *error)
{
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CALL_CONNECT_MS);
}

struct call *call_new(struct calls *c, void *owner, size_t answer_max)
{
	struct call *k = calloc(1, sizeof *k);
	if (!k || !(k->easy = curl_easy_init())) {
		free(k);
		return NULL;
	}
	k->calls = c;
	k->owner = owner;
	buf_init(&k->answer, answer_max);
	set_common(k->easy, k->error);
	curl_easy_setopt(k->easy, CURLOPT_PRIVATE, k);
	curl_easy_setopt(k->easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(k->easy, CURLOPT_WRITEDATA, k);
	return k;
}

void call_cancel(struct call *k)
{
	if (k->calls->stillborn == k)
		k->calls->stillborn = NULL;
	if (!k->busy)
		return;
	curl_multi_remove_handle(k->calls->multi, k->easy);
	k->busy = false;
}

void call_free(struct call *k)
{
	if (!k)
		return;
	call_cancel(k);
	curl_easy_cleanup(k->easy);
	curl_slist_free_all(k->headers);
	buf_release(&k->answer);
	free(k);
}

void call_post(struct call *k, const char *url, const char *content_type, const char *body, size_t len,
	int64_t timeout_ms)
{
	char type[96];
	call_cancel(k);
	buf_reset(&k->answer);
	k->status = 0;
	k->error[0] = '\0';
	curl_slist_free_all(k->headers);
	snprintf(type, sizeof type, "Content-Type: %s", content_type);
	k->headers = curl_slist_append(NULL, type);
	/* Waiting for "100 Continue" would cost a round trip on each larger batch. */
	k->headers = curl_slist_append(k->headers, "Expect:");
	curl_easy_setopt(k->easy, CURLOPT_HTTPHEADER, k->headers);
	curl_easy_setopt(k->easy, CURLOPT_URL, url);
	curl_easy_setopt(k->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(k->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(k->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(k->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	k->busy = curl_multi_add_handle(k->calls->multi, k->easy) == CURLM_OK;
	if (!k->busy) {
		snprintf(k->error, sizeof k->error, "no memory for the call");
		k->calls->stillborn = k;
	}
}

/* A transfer that has ended, taken off the multi handle. */
static struct call *finished(struct calls *c)
{
	int left;
	CURLMsg *m;
	while ((m = curl_multi_info_read(c->multi, &left))) {
		struct call *k;
		long status = 0;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode result = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &k);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		k->status = result == CURLE_OK ? (int)status : 0;
		if (result != CURLE_OK && k->error[0] == '\0')
			snprintf(k->error, sizeof k->error, "%s", curl_easy_strerror(result));
		else if (result == CURLE_OK)
			snprintf(k->error, sizeof k->error, "HTTP status %ld", status);
		call_cancel(k);
		return k;
	}
	return NULL;
}

struct call *calls_next(struct calls *c, int64_t wait_ms)
{
	int running;
	curl_multi_perform(c->multi, &running);
	struct call *k = c->stillborn ? c->stillborn : finished(c);
	c->stillborn = NULL;
	if (k)
		return k;
	curl_multi_poll(c->multi, NULL, 0, (int)(wait_ms < 0 ? 0 : wait_ms > 3600000 ? 3600000 : wait_ms), NULL);
	curl_multi_perform(c->multi, &running);
	return finished(c);
}

void *call_owner(const struct call *k)
{
	return k->owner;
}

int call_status(const struct call *k)
{
	return k->status;
}

const struct buf *call_answer(const struct call *k)
{
	return &k->answer;
}

const char *call_error(const struct call *k)
{
	return k->error;
}

/* ---- one whole file ---- */

struct download {
	CURL *easy;
	int fd, status, why;
	_Atomic int64_t *at;
	int64_t from, whole;
	const _Atomic bool *stop;
};

static size_t take_bytes(char *data, size_t size, size_t n, void *arg)
{
	struct download *d = arg;
	size_t len = size * n, done = 0;
	long status = 0;
	curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
	d->status = (int)status;
	/* The whole file instead of its rest, or more than was offered, must not be appended. */
	if ((status != 206 && !(status == 200 && d->from == 0)) || *d->at + (int64_t)len > d->whole)
		return 0;
	while (done < len) {
		ssize_t wrote = write(d->fd, data + done, len - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0) {
			d->why = errno;
			return 0;
		}
		done += (size_t)wrote;
		*d->at += wrote;
	}
	return len;
}

static int look_at_stop(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t f)
{
	const struct download *d = arg;
	return *d->stop;
}

static enum err_code download_error(struct download *d, CURLcode result, const char *text, const char *url,
	struct err *e)
{
	if (*d->stop)
		return err_set(e, ERR_STOPPING, "the download of %s was stopped", url);
	if (d->why == ENOSPC || d->why == EDQUOT)
		return err_set(e, ERR_DISK_FULL, "no space for %s (%lld of %lld bytes are here)", url,
			(long long)*d->at, (long long)d->whole);
	if (d->why)
		return err_set(e, ERR_IO, "cannot write what comes from %s: %s", url, strerror(d->why));
	if (d->status == 404 || d->status == 416 || (d->status == 200 && d->from > 0))
		return err_set(e, ERR_POSITION, "%s: HTTP status %d at byte %lld", url, d->status, (long long)*d->at);
	return err_set(e, ERR_IO, "%s: %s, %lld of %lld bytes are here (HTTP status %d)", url,
		text[0] ? text : curl_easy_strerror(result), (long long)*d->at, (long long)d->whole, d->status);
}

enum err_code call_download(const char *url, int fd, _Atomic int64_t *at, int64_t whole, const _Atomic bool *stop,
	struct err *e)
{
	char error[CURL_ERROR_SIZE] = "";
	pthread_once(&once, init_curl);
	struct download d = {.easy = curl_easy_init(), .fd = fd, .at = at, .from = *at, .whole = whole, .stop = stop};
	if (!d.easy)
		return err_set(e, ERR_NOMEM, "no memory for a download");
	set_common(d.easy, error);
	curl_easy_setopt(d.easy, CURLOPT_URL, url);
	curl_easy_setopt(d.easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(d.easy, CURLOPT_WRITEDATA, &d);
	curl_easy_setopt(d.easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(d.easy, CURLOPT_XFERINFOFUNCTION, look_at_stop);
	curl_easy_setopt(d.easy, CURLOPT_XFERINFODATA, &d);
	curl_easy_setopt(d.easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(d.easy, CURLOPT_LOW_SPEED_TIME, (long)DOWNLOAD_STALL_S);
	if (*at > 0)
		curl_easy_setopt(d.easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)*at);
	CURLcode result = curl_easy_perform(d.easy);
	long status = 0;
	curl_easy_getinfo(d.easy, CURLINFO_RESPONSE_CODE, &status);
	d.status = (int)status;
	curl_easy_cleanup(d.easy);
	if (result != CURLE_OK || status / 100 != 2 || *at != whole)
		return download_error(&d, result, error, url, e);
	return ERR_OK;
}
