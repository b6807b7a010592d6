// SPDX-License-Identifier: Apache-2.0
//
// The seam to libcurl: requests that are sent beside each other, by one thread that waits for
// all of them at once. Certificates are verified, redirects not followed, and nothing is taken
// from the environment.
#ifndef RESERVEWATCH_CCURL_H
#define RESERVEWATCH_CCURL_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct rw_http;

/// How a request ended.
enum rw_http_end {
	RW_HTTP_ANSWERED = 0, /* the head of an answer came: its status tells */
	RW_HTTP_NO_NAME = 1, /* the host's name has no address */
	RW_HTTP_NO_CONNECTION = 2,
	RW_HTTP_UNTRUSTED = 3, /* TLS failed: the certificate, its name, the handshake */
	RW_HTTP_TIMEOUT = 4,
	RW_HTTP_CLOSED = 5, /* the connection ended before an answer came */
	RW_HTTP_NO_HTTP = 6, /* what came is no answer of HTTP */
	RW_HTTP_LOCAL = 7, /* it could not be begun here: a file, memory */
};

struct rw_http_request {
	const char *_Nonnull url;
	const char *_Nonnull content_type;
	const void *_Nonnull body;
	size_t body_bytes;
	/// "Name: value", or NULL.
	const char *_Nullable authorization;
	const char *_Nullable user;
	const char *_Nullable password;
	/// Files in PEM; NULL: the system's authorities, no certificate of our own.
	const char *_Nullable authorities;
	const char *_Nullable certificate;
	const char *_Nullable key;
	/// NULL: none, whatever the environment says.
	const char *_Nullable proxy;
	const char *_Nonnull user_agent;
	long connect_ms;
	long whole_ms;
};

/// What is worth keeping of an answer's body.
#define RW_HTTP_EXCERPT 512

struct rw_http_answer {
	unsigned slot;
	enum rw_http_end end;
	long status;
	/// Of Retry-After, in seconds; 0: not said.
	long long retry_after_s;
	/// libcurl's words, where the end is none of an answer.
	char error[256];
	char body[RW_HTTP_EXCERPT];
	size_t body_bytes;
};

/// Room for requests in so many slots, one at a time in each. NULL: no memory.
struct rw_http *_Nullable rw_http_open(unsigned slots);
void rw_http_close(struct rw_http *_Nullable http);

/// Begins a request; everything is copied. 0, or a negative errno: -EBUSY while the slot has one.
int rw_http_start(struct rw_http *_Nonnull http, unsigned slot,
		  const struct rw_http_request *_Nonnull request);

/// Gives a request up.
void rw_http_abandon(struct rw_http *_Nonnull http, unsigned slot);

/// Waits until a request can go on, one of `extra` is ready, or so long; then goes on with all
/// requests. The extra descriptors' `revents` are set. 0, or a negative errno.
int rw_http_wait(struct rw_http *_Nonnull http, struct pollfd *_Nullable extra, unsigned count,
		 int milliseconds);

/// Begins a connection and no more, to the host and port of an address; over TLS for https://. It
/// is there when rw_http_next() answers with status 0, until the slot is given up.
int rw_http_connect(struct rw_http *_Nonnull http, unsigned slot,
		    const struct rw_http_request *_Nonnull request);

/// Sends on such a connection: how many bytes were taken, -EAGAIN, or -EPIPE when it is gone.
long rw_http_send(struct rw_http *_Nonnull http, unsigned slot, const void *_Nonnull bytes,
		  size_t count);

/// 1 when the other end closed it. What it sent is thrown away.
int rw_http_is_closed(struct rw_http *_Nonnull http, unsigned slot);

/// Bytes that the other end's kernel has not acknowledged yet. A negative errno: not known.
long rw_http_unacknowledged(struct rw_http *_Nonnull http, unsigned slot);

/// Its descriptor, to wait for; -1: there is none.
int rw_http_socket(struct rw_http *_Nonnull http, unsigned slot);

/// The next request that ended: 1, or 0 when there is none.
int rw_http_next(struct rw_http *_Nonnull http, struct rw_http_answer *_Nonnull answer);

/// "libcurl/7.88.1 OpenSSL/3.0.19 ..."
const char *_Nonnull rw_http_version(void);

#endif
