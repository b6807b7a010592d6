// SPDX-License-Identifier: Apache-2.0
#include "ccurl.h"

#include <curl/curl.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

// More than anybody says who took an alert; the rest is not waited for.
#define LONGEST_BODY (64 * 1024)

struct slot {
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	char body[RW_HTTP_EXCERPT];
	size_t kept;
	size_t seen;
	int is_busy;
	// A connection of its own, without requests.
	int is_stream;
	// The head of a final answer has come whole: a body that hangs changes nothing.
	int is_answered;
};

struct rw_http {
	CURLM *multi;
	unsigned count;
	struct slot slots[];
};

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	size_t room = sizeof(slot->body) - slot->kept;
	size_t taken = size * count;

	memcpy(slot->body + slot->kept, bytes, taken < room ? taken : room);
	slot->kept += taken < room ? taken : room;
	slot->seen += taken;
	return slot->seen > LONGEST_BODY ? 0 : taken;
}

static size_t take_head(char *bytes, size_t size, size_t count, void *context)
{
	struct slot *slot = context;
	size_t taken = size * count;
	long status = 0;

	if (taken <= 2 && (bytes[0] == '\r' || bytes[0] == '\n')) {
		curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
		slot->is_answered = status >= 200;
	}
	return taken;
}

struct rw_http *rw_http_open(unsigned slots)
{
	struct rw_http *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return NULL;
	http = calloc(1, sizeof(*http) + slots * sizeof(http->slots[0]));
	if (!http)
		return NULL;
	http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return NULL;
	}
	http->count = slots;
	return http;
}

void rw_http_close(struct rw_http *http)
{
	if (!http)
		return;
	for (unsigned i = 0; i < http->count; i++) {
		rw_http_abandon(http, i);
		if (http->slots[i].easy)
			curl_easy_cleanup(http->slots[i].easy);
	}
	curl_multi_cleanup(http->multi);
	free(http);
}

void rw_http_abandon(struct rw_http *http, unsigned number)
{
	struct slot *slot = &http->slots[number];

	if (slot->is_busy)
		curl_multi_remove_handle(http->multi, slot->easy);
	curl_slist_free_all(slot->headers);
	slot->headers = NULL;
	slot->is_busy = 0;
}

static int add_header(struct slot *slot, const char *text)
{
	struct curl_slist *longer = curl_slist_append(slot->headers, text);

	if (!longer)
		return -ENOMEM;
	slot->headers = longer;
	return 0;
}

static int set_headers(struct slot *slot, const struct rw_http_request *request)
{
	char type[128] = "Content-Type: ";

	strncat(type, request->content_type, sizeof(type) - strlen(type) - 1);
	// Nobody is asked first whether it may be sent: alerts are short.
	if (add_header(slot, type) || add_header(slot, "Expect:"))
		return -ENOMEM;
	return request->authorization ? add_header(slot, request->authorization) : 0;
}

static int start(struct rw_http *http, unsigned number, const struct rw_http_request *request,
		 int is_stream)
{
	struct slot *slot = &http->slots[number];
	CURLcode code = CURLE_OK;
	CURL *easy;

	if (slot->is_busy)
		return -EBUSY;
	// Reset and not made anew: its connection may still be there.
	if (slot->easy)
		curl_easy_reset(slot->easy);
	else
		slot->easy = curl_easy_init();
	easy = slot->easy;
	if (!easy || set_headers(slot, request)) {
		rw_http_abandon(http, number);
		return -ENOMEM;
	}
	slot->kept = slot->seen = 0;
	slot->is_answered = 0;
	slot->is_stream = is_stream;
	slot->error[0] = 0;
#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (!code)                                                                         \
			code = curl_easy_setopt(easy, option, value);                              \
	} while (0)
	SET(CURLOPT_ERRORBUFFER, slot->error);
	SET(CURLOPT_PRIVATE, (char *)slot);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	if (is_stream) {
		SET(CURLOPT_CONNECT_ONLY, 1L);
		// Asked of the server it would be HTTP's own.
		SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
	} else {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
		SET(CURLOPT_COPYPOSTFIELDS, request->body);
		SET(CURLOPT_HTTPHEADER, slot->headers);
		SET(CURLOPT_TIMEOUT_MS, request->whole_ms);
	}
	SET(CURLOPT_USERAGENT, request->user_agent);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, slot);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_HEADERDATA, slot);
	SET(CURLOPT_CONNECTTIMEOUT_MS, request->connect_ms);
	// "" is no proxy; without it the environment would name one.
	SET(CURLOPT_PROXY, request->proxy ? request->proxy : "");
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (request->authorities) {
		SET(CURLOPT_CAINFO, request->authorities);
		// These and no others.
		SET(CURLOPT_CAPATH, NULL);
	}
	if (request->certificate)
		SET(CURLOPT_SSLCERT, request->certificate);
	if (request->key)
		SET(CURLOPT_SSLKEY, request->key);
	if (request->user) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, request->user);
		SET(CURLOPT_PASSWORD, request->password ? request->password : "");
	}
#undef SET
	if (code || curl_multi_add_handle(http->multi, easy)) {
		rw_http_abandon(http, number);
		return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	}
	slot->is_busy = 1;
	return 0;
}

int rw_http_start(struct rw_http *http, unsigned slot, const struct rw_http_request *request)
{
	return start(http, slot, request, 0);
}

int rw_http_connect(struct rw_http *http, unsigned slot, const struct rw_http_request *request)
{
	return start(http, slot, request, 1);
}

long rw_http_send(struct rw_http *http, unsigned number, const void *bytes, size_t count)
{
	struct slot *slot = &http->slots[number];
	size_t sent = 0;

	if (!slot->is_busy || !slot->is_stream)
		return -EPIPE;
	switch (curl_easy_send(slot->easy, bytes, count, &sent)) {
	case CURLE_OK:
		return (long)sent;
	case CURLE_AGAIN:
		return -EAGAIN;
	default:
		return -EPIPE;
	}
}

int rw_http_is_closed(struct rw_http *http, unsigned number)
{
	struct slot *slot = &http->slots[number];
	char thrown[1024];

	if (!slot->is_busy || !slot->is_stream)
		return 1;
	// As much as it likes to send between two looks, within bounds.
	for (int i = 0; i < 16; i++) {
		size_t count = 0;
		CURLcode code = curl_easy_recv(slot->easy, thrown, sizeof(thrown), &count);

		if (code == CURLE_AGAIN)
			return 0;
		if (code || !count)
			return 1;
	}
	return 0;
}

int rw_http_socket(struct rw_http *http, unsigned number)
{
	struct slot *slot = &http->slots[number];
	curl_socket_t descriptor = CURL_SOCKET_BAD;

	if (slot->is_busy && slot->is_stream)
		curl_easy_getinfo(slot->easy, CURLINFO_ACTIVESOCKET, &descriptor);
	return descriptor == CURL_SOCKET_BAD ? -1 : descriptor;
}

long rw_http_unacknowledged(struct rw_http *http, unsigned number)
{
	int descriptor = rw_http_socket(http, number);
	int bytes = 0;

	return ioctl(descriptor, SIOCOUTQ, &bytes) ? -errno : bytes;
}

int rw_http_wait(struct rw_http *http, struct pollfd *extra, unsigned count, int milliseconds)
{
	struct curl_waitfd waiting[64];
	int running = 0;

	if (count > sizeof(waiting) / sizeof(waiting[0]))
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		waiting[i].fd = extra[i].fd;
		waiting[i].events = ((extra[i].events & POLLIN) ? CURL_WAIT_POLLIN : 0) |
				    ((extra[i].events & POLLOUT) ? CURL_WAIT_POLLOUT : 0);
		waiting[i].revents = 0;
	}
	if (curl_multi_perform(http->multi, &running))
		return -EIO;
	if (curl_multi_poll(http->multi, waiting, count, milliseconds, NULL))
		return -EIO;
	for (unsigned i = 0; i < count; i++)
		extra[i].revents = ((waiting[i].revents & CURL_WAIT_POLLIN) ? POLLIN : 0) |
				   ((waiting[i].revents & CURL_WAIT_POLLOUT) ? POLLOUT : 0);
	return curl_multi_perform(http->multi, &running) ? -EIO : 0;
}

static enum rw_http_end end_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
	case CURLE_WRITE_ERROR: // we had enough of the body
		return RW_HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return RW_HTTP_NO_NAME;
	case CURLE_COULDNT_CONNECT:
		return RW_HTTP_NO_CONNECTION;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return RW_HTTP_UNTRUSTED;
	case CURLE_OPERATION_TIMEDOUT:
		return RW_HTTP_TIMEOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return RW_HTTP_CLOSED;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_BAD_CONTENT_ENCODING:
		return RW_HTTP_NO_HTTP;
	default:
		return RW_HTTP_LOCAL;
	}
}

int rw_http_next(struct rw_http *http, struct rw_http_answer *answer)
{
	CURLMsg *message;
	int rest = 0;

	while ((message = curl_multi_info_read(http->multi, &rest))) {
		CURLcode code = message->data.result;
		CURL *easy = message->easy_handle;
		struct slot *slot = NULL;
		curl_off_t retry = 0;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
		memset(answer, 0, sizeof(*answer));
		answer->slot = (unsigned)(slot - http->slots);
		answer->end = slot->is_answered ? RW_HTTP_ANSWERED : end_of(code);
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
		curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry);
		answer->retry_after_s = retry;
		strncpy(answer->error, slot->error[0] ? slot->error : curl_easy_strerror(code),
			sizeof(answer->error) - 1);
		memcpy(answer->body, slot->body, slot->kept);
		answer->body_bytes = slot->kept;
		if (slot->is_stream && answer->end == RW_HTTP_ANSWERED) {
			// It stays in the slot: it is what was asked for.
			answer->status = 0;
			return 1;
		}
		// An end that says nothing of a final head is none.
		if (answer->end == RW_HTTP_ANSWERED && answer->status < 200)
			answer->end = RW_HTTP_CLOSED;
		rw_http_abandon(http, answer->slot);
		return 1;
	}
	return 0;
}

const char *rw_http_version(void)
{
	return curl_version();
}
