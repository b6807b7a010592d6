// SPDX-License-Identifier: Apache-2.0
//
// The client's side of the NBD protocol (its doc/proto.md), as far as a spare connection needs it:
// fixed newstyle and simple replies, which is what the kernel speaks, and the export's first bytes.
#define _GNU_SOURCE
#include "internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INIT_MAGIC 0x4e42444d41474943ull // "NBDMAGIC"
#define OPTION_MAGIC 0x49484156454f5054ull // "IHAVEOPT"
#define REPLY_MAGIC 0x0003e889045565a9ull
#define FIXED_NEWSTYLE 1u
#define NO_ZEROES 2u
#define OPT_EXPORT_NAME 1u
#define OPT_GO 7u
#define REP_ACK 1u
#define REP_INFO 3u
#define REP_ERROR 0x80000000u
#define INFO_EXPORT 0u
#define REQUEST_MAGIC 0x25609513u
#define SIMPLE_REPLY_MAGIC 0x67446698u
#define HAS_FLAGS 1u
#define READ_ONLY 2u
#define CAN_MULTI_CONN 256u
#define MOST_REPLIES 32
#define MOST_REPLY_BYTES 4096u

#define HEAD_BYTES 4096

// The first two are the thread's that looks, the third the one's that acts.
static _Alignas(HEAD_BYTES) char theirs[HEAD_BYTES], ours[HEAD_BYTES], reached[HEAD_BYTES];

/// All of it, or an error. -ECONNRESET: the other side ended it.
static int transfer(int fd, void *bytes, size_t length, bool sends, uint64_t until)
{
	char *at = bytes;

	while (length > 0) {
		ssize_t count = sends ? send(fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL)
				      : recv(fd, at, length, MSG_DONTWAIT);
		struct pollfd one = {.fd = fd, .events = sends ? POLLOUT : POLLIN};
		uint64_t now;

		if (count > 0) {
			at += count;
			length -= (size_t)count;
			continue;
		}
		if (count == 0)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		now = now_ns();
		if (now >= until)
			return -ETIMEDOUT;
		if (poll(&one, 1, (int)((until - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

static int read_whole(int fd, void *bytes, size_t length, uint64_t until)
{
	return transfer(fd, bytes, length, false, until);
}

static int write_whole(int fd, void *bytes, size_t length, uint64_t until)
{
	return transfer(fd, bytes, length, true, until);
}

struct __attribute__((packed)) option {
	uint64_t magic;
	uint32_t option;
	uint32_t length;
};

struct __attribute__((packed)) option_reply {
	uint64_t magic;
	uint32_t option;
	uint32_t type;
	uint32_t length;
};

static int refusal(uint32_t type)
{
	switch (type) {
	case REP_ERROR | 1:
		return -EOPNOTSUPP;
	case REP_ERROR | 2:
		return -EACCES;
	case REP_ERROR | 5:
		return -ENOKEY; // it wants TLS
	case REP_ERROR | 6:
		return -ENOENT; // no such export
	default:
		return -EPROTO;
	}
}

/// NBD_OPT_GO. -EOPNOTSUPP: the server does not know it, and goes on.
static int ask_to_go(int fd, const char *export_name, struct export_facts *facts, uint64_t until)
{
	uint32_t name_length = (uint32_t)strlen(export_name);
	struct option option = {htobe64(OPTION_MAGIC), htobe32(OPT_GO), htobe32(name_length + 6)};
	uint32_t length = htobe32(name_length);
	uint16_t wanted = 0;
	char message[sizeof(option) + 4 + RW_EXPORT_BYTES + 2], *at = message;
	bool has_facts = false;
	int error;

	at = mempcpy(at, &option, sizeof(option));
	at = mempcpy(at, &length, sizeof(length));
	at = mempcpy(at, export_name, name_length);
	at = mempcpy(at, &wanted, sizeof(wanted));
	error = write_whole(fd, message, (size_t)(at - message), until);
	for (int i = 0; !error && i < MOST_REPLIES; i++) {
		struct option_reply reply;
		uint32_t type, count;

		error = read_whole(fd, &reply, sizeof(reply), until);
		if (error)
			return error;
		type = be32toh(reply.type);
		count = be32toh(reply.length);
		if (be64toh(reply.magic) != REPLY_MAGIC || be32toh(reply.option) != OPT_GO ||
		    count > MOST_REPLY_BYTES)
			return -EPROTO;
		error = read_whole(fd, theirs, count, until);
		if (error)
			return error;
		if (type & REP_ERROR)
			return refusal(type);
		if (type == REP_ACK)
			return has_facts ? 0 : -EPROTO;
		if (type == REP_INFO && count >= 12 && !theirs[0] && theirs[1] == INFO_EXPORT) {
			memcpy(&facts->bytes, theirs + 2, 8);
			memcpy(&facts->flags, theirs + 10, 2);
			facts->bytes = be64toh(facts->bytes);
			facts->flags = be16toh(facts->flags);
			has_facts = true;
		}
	}
	return error ? error : -EPROTO;
}

/// NBD_OPT_EXPORT_NAME, for servers of before 2016.
static int ask_by_name(int fd, const char *export_name, bool zeroes, struct export_facts *facts,
		       uint64_t until)
{
	uint32_t name_length = (uint32_t)strlen(export_name);
	struct option option = {htobe64(OPTION_MAGIC), htobe32(OPT_EXPORT_NAME),
				htobe32(name_length)};
	struct __attribute__((packed)) {
		uint64_t bytes;
		uint16_t flags;
	} size;
	char message[sizeof(option) + RW_EXPORT_BYTES], padding[124];
	char *at = mempcpy(message, &option, sizeof(option));
	int error;

	at = mempcpy(at, export_name, name_length);
	error = write_whole(fd, message, (size_t)(at - message), until);
	if (!error)
		error = read_whole(fd, &size, sizeof(size), until);
	if (!error && zeroes)
		error = read_whole(fd, padding, sizeof(padding), until);
	if (!error) {
		facts->bytes = be64toh(size.bytes);
		facts->flags = be16toh(size.flags);
	}
	return error;
}

int export_negotiate(int fd, const char *export_name, struct export_facts *facts, uint64_t until)
{
	struct __attribute__((packed)) {
		uint64_t init;
		uint64_t option;
		uint16_t flags;
	} greeting;
	uint32_t flags;
	bool zeroes;
	int error = read_whole(fd, &greeting, sizeof(greeting), until);

	if (error)
		return error;
	if (be64toh(greeting.init) != INIT_MAGIC || be64toh(greeting.option) != OPTION_MAGIC ||
	    !(be16toh(greeting.flags) & FIXED_NEWSTYLE))
		return -EPROTO;
	zeroes = !(be16toh(greeting.flags) & NO_ZEROES);
	flags = htobe32(FIXED_NEWSTYLE | (zeroes ? 0 : NO_ZEROES));
	error = write_whole(fd, &flags, sizeof(flags), until);
	if (!error)
		error = ask_to_go(fd, export_name, facts, until);
	if (error == -EOPNOTSUPP)
		error = ask_by_name(fd, export_name, zeroes, facts, until);
	if (error)
		return error;
	if (!(facts->flags & HAS_FLAGS))
		return -EPROTO;
	if (facts->flags & READ_ONLY)
		return -EROFS;
	// Else what was written over one connection may not be what is read over another.
	return facts->flags & CAN_MULTI_CONN ? 0 : -EOPNOTSUPP;
}

struct __attribute__((packed)) request {
	uint32_t magic;
	uint16_t flags;
	uint16_t type;
	uint64_t cookie;
	uint64_t offset;
	uint32_t length;
};

struct __attribute__((packed)) reply {
	uint32_t magic;
	uint32_t error;
	uint64_t cookie;
};

int export_ask(int fd, uint64_t until)
{
	struct request request = {.magic = htobe32(REQUEST_MAGIC), .length = htobe32(HEAD_BYTES)};

	return write_whole(fd, &request, sizeof(request), until);
}

static int take(int fd, char *head, uint64_t until)
{
	struct reply reply;
	int error = read_whole(fd, &reply, sizeof(reply), until);

	if (error)
		return error;
	if (be32toh(reply.magic) != SIMPLE_REPLY_MAGIC || reply.cookie)
		return -EPROTO;
	if (reply.error)
		return -EIO;
	return read_whole(fd, head, HEAD_BYTES, until);
}

int export_compare(int fd, const struct export_facts *facts, int disk, uint64_t until)
{
	static const char zeroes[HEAD_BYTES];
	struct stat status;
	uint64_t bytes = 0;
	int error = export_ask(fd, until);

	if (!error)
		error = take(fd, theirs, until);
	if (error)
		return error;
	if (fstat(disk, &status) ||
	    (S_ISBLK(status.st_mode) && ioctl(disk, BLKGETSIZE64, &bytes)) ||
	    pread(disk, ours, HEAD_BYTES, 0) != HEAD_BYTES)
		error = errno ? -errno : -EIO;
	else if (!S_ISBLK(status.st_mode))
		bytes = (uint64_t)status.st_size;
	if (error)
		return error;
	// A device's size is in whole blocks.
	if (bytes > facts->bytes || facts->bytes - bytes >= HEAD_BYTES)
		return -ESTALE;
	// The header of a swap has its UUID; zeroes are alike everywhere.
	return memcmp(theirs, ours, HEAD_BYTES) || !memcmp(ours, zeroes, HEAD_BYTES) ? -ESTALE : 0;
}

int export_answer(int fd, uint64_t until)
{
	int there = 0;

	// All of it or nothing: what is left behind would be taken for an answer to the kernel.
	while (there < (int)sizeof(struct reply) + HEAD_BYTES) {
		char byte;

		if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			return -ECONNRESET;
		if (ioctl(fd, FIONREAD, &there))
			return -errno;
		if (there >= (int)sizeof(struct reply) + HEAD_BYTES)
			break;
		if (now_ns() >= until)
			return -ETIMEDOUT;
		usleep(5000);
	}
	return take(fd, reached, until);
}
