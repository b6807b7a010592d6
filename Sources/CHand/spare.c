// SPDX-License-Identifier: Apache-2.0
//
// A second connection to the swap's server, made while all is well: what NBD_CMD_RECONFIGURE puts in
// the place of one that was ended.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../CLinux/include/clinux.h"

#define TALK_NS 5000000000ull // for a connection and its negotiation
#define ANSWER_NS 2000000000ull // for an answer while the host is being rescued
#define RETRY_NS 30000000000ull
// What tcp_wmem lets a connection grow to by itself, from the beginning: a sender who waits for room
// holds the connection's lock. SO_SNDBUFFORCE makes twice as much of it. More eats the reserve.
#define SEND_BYTES (2 << 20)

/// A connection to the place. The descriptor, or a negative errno.
static int reach(const struct rw_swap_place *place, uint64_t until)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(place->peer_port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(place->peer_port)};
	bool is_v6 = place->family == AF_INET6;
	int one = 1, idle = 30, interval = 10, probes = 6, error = 0;
	socklen_t length = sizeof(error);
	struct pollfd ready = {.events = POLLOUT};
	uint64_t now = now_ns();
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	memcpy(&v4.sin_addr, place->peer, 4);
	memcpy(&v6.sin6_addr, place->peer, 16);
	if (connect(fd, is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
		    is_v6 ? sizeof(v6) : sizeof(v4)) &&
	    errno != EINPROGRESS)
		error = errno;
	ready.fd = fd;
	if (!error && poll(&ready, 1, until > now ? (int)((until - now) / 1000000) : 0) != 1)
		error = ETIMEDOUT;
	if (!error)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error) {
		close(fd);
		return -error;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	// A spare whose server is gone must not be found to be so in the deadlock.
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	return fd;
}

// No scheduler, under which a request whose sending a signal interrupts comes back under another tag,
// and no writeback throttling, in which who should receive waits for replies: as `prepare` sets them.
static const struct {
	const char *name, *value;
} calm[QUEUE_FILES] = {{"scheduler", "none"}, {"wbt_lat_usec", "0"}};

#define QUEUE_PATH_BYTES 96

static void queue_path(const struct spare *spare, int index, char *path)
{
	snprintf(path, QUEUE_PATH_BYTES, "/sys/block/%.*s/queue/%s", RW_NAME_BYTES,
		 spare->place.disk, calm[index].name);
}

static void read_queue(struct queue_file *file)
{
	int count = file->descriptor < 0
			    ? file->descriptor
			    : read_setting(file->descriptor, file->present, sizeof(file->present));

	// EINVAL of wbt_lat_usec: there is nothing to switch off.
	if (count < 0)
		file->present[0] = 0;
}

static void open_queue(struct spare *spare)
{
	for (int i = 0; i < QUEUE_FILES; i++) {
		char path[QUEUE_PATH_BYTES];

		queue_path(spare, i, path);
		spare->queue[i].descriptor = open(path, O_RDWR | O_CLOEXEC);
		if (spare->queue[i].descriptor < 0)
			spare->queue[i].descriptor = -errno;
		read_queue(&spare->queue[i]);
	}
}

static void read_backend(struct spare *spare)
{
	char path[64];
	int file, count;

	snprintf(path, sizeof(path), "/sys/block/%.*s/backend", RW_NAME_BYTES, spare->place.disk);
	file = open(path, O_RDONLY | O_CLOEXEC);
	count = file < 0 ? -1 : read_small(file, spare->backend, sizeof(spare->backend));
	if (count < 0)
		spare->backend[0] = 0;
	if (file >= 0)
		close(file);
}

static int make_ready(const struct rw_swap_place *place, const char *export_name, int *disk)
{
	uint64_t until = now_ns() + TALK_NS;
	struct export_facts facts = {0};
	char device[8 + RW_NAME_BYTES];
	int fd = reach(place, until);
	int error;

	if (fd < 0)
		return fd;
	snprintf(device, sizeof(device), "/dev/%.*s", RW_NAME_BYTES, place->disk);
	error = export_negotiate(fd, export_name, &facts, until);
	*disk = error ? -1 : open(device, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
	if (!error)
		error = *disk < 0 ? -errno : export_compare(fd, &facts, *disk, until);
	if (!error)
		return fd;
	if (*disk >= 0)
		close(*disk);
	close(fd);
	return error;
}

// ---- the spares of one host ----

static void lock(struct spare *spare)
{
	while (atomic_exchange(&spare->lock, 1))
		sched_yield();
}

static void unlock(struct spare *spare)
{
	atomic_store(&spare->lock, 0);
}

static void drop(struct spare *spare, int error)
{
	lock(spare);
	if (spare->descriptor >= 0) {
		close(spare->descriptor);
		close(spare->disk);
		for (int i = 0; i < QUEUE_FILES; i++)
			if (spare->queue[i].descriptor >= 0)
				close(spare->queue[i].descriptor);
	}
	spare->descriptor = -1;
	spare->owed = 0;
	atomic_store(&spare->error, error);
	unlock(spare);
}

/// Nothing came that nobody asked for, and it has not ended.
static int check(const struct spare *spare)
{
	char byte;
	ssize_t count = recv(spare->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (count < 0 && errno == EAGAIN)
		return 0;
	return count < 0 ? -errno : count == 0 ? -ECONNRESET : -EPROTO;
}

/// Whoever acts finds one reading or the other, whole.
static void reread_queue(struct spare *spare)
{
	for (int i = 0; i < QUEUE_FILES; i++) {
		struct queue_file file = spare->queue[i];

		read_queue(&file);
		lock(spare);
		memcpy(spare->queue[i].present, file.present, sizeof(file.present));
		unlock(spare);
	}
}

void spares_init(struct rw_hand *hand)
{
	for (int i = 0; i < RW_HAND_SWAPS; i++) {
		hand->spares[i].descriptor = -1;
		atomic_store(&hand->spares[i].error, ENODEV);
	}
}

static void place_spares(struct rw_hand *hand, const struct swap_places *places)
{
	for (uint32_t i = 0; i < RW_HAND_SWAPS; i++) {
		struct spare *spare = &hand->spares[i];
		static const struct rw_swap_place nowhere;
		const struct rw_swap_place *place =
			i < places->count ? &places->places[i] : &nowhere;

		if (!memcmp(place, &spare->place, sizeof(*place)))
			continue;
		drop(spare, ENODEV);
		lock(spare);
		spare->place = *place;
		unlock(spare);
		spare->next_try_ns = 0;
	}
	atomic_store(&hand->spare_count, places->count);
}

bool spares_place(struct rw_hand *hand)
{
	struct swap_places places;
	bool has_changed = false;

	while (ring_take(&hand->to_spare, &places)) {
		place_spares(hand, &places);
		has_changed = true;
	}
	return has_changed;
}

void spares_keep(struct rw_hand *hand)
{
	bool is_calm = atomic_load(&hand->host_state) < STATE_RESERVE;

	for (int i = 0; i < RW_HAND_SWAPS; i++) {
		struct spare *spare = &hand->spares[i];
		int fd, disk = -1;

		if (!spare->place.disk[0])
			continue;
		if (spare->descriptor >= 0) {
			// What was asked in trouble, and never used, is not a spare to rely on.
			int error = !spare->owed ? check(spare) : is_calm ? -EPROTO : 0;

			if (!error && is_calm)
				reread_queue(spare);
			if (!error)
				continue;
			drop(spare, -error);
		}
		// In trouble it would take memory, and wait.
		if (!is_calm || now_ns() < spare->next_try_ns)
			continue;
		spare->next_try_ns = now_ns() + RETRY_NS;
		fd = spare->place.netns && spare->place.netns == hand->netns
			     ? make_ready(&spare->place, hand->settings.spare_export, &disk)
			     : -ENONET;
		lock(spare);
		spare->descriptor = fd < 0 ? -1 : fd;
		spare->disk = disk;
		if (fd >= 0)
			open_queue(spare);
		spare->owed = 0;
		read_backend(spare);
		atomic_store(&spare->error, fd < 0 ? -fd : 0);
		unlock(spare);
	}
}

// ---- acts ----

int nbd_index(const char *disk, uint32_t *index)
{
	char *end;

	if (strncmp(disk, "nbd", 3))
		return -ENODEV;
	*index = (uint32_t)strtoul(disk + 3, &end, 10);
	return end == disk + 3 || *end ? -ENODEV : 0;
}

/// The spare of a disk, with descriptors that are the caller's own; NULL: none is kept.
static struct spare *borrow(struct rw_hand *hand, const char *name, int *fd, int *disk)
{
	for (int i = 0; i < RW_HAND_SWAPS; i++) {
		struct spare *spare = &hand->spares[i];
		bool is_it;

		lock(spare);
		is_it = spare->descriptor >= 0 && !strncmp(spare->place.disk, name, RW_NAME_BYTES);
		if (is_it) {
			*fd = fcntl(spare->descriptor, F_DUPFD_CLOEXEC, 3);
			*disk = fcntl(spare->disk, F_DUPFD_CLOEXEC, 3);
		}
		unlock(spare);
		if (is_it)
			return spare;
	}
	return NULL;
}

/// Whether a connection answers: then the host receives again. An answer that does not come in time
/// is waited for by the next attempt: what follows it on the connection must be the kernel's.
static int answers(struct spare *spare, int fd)
{
	uint64_t until = now_ns() + ANSWER_NS;
	int error = spare->owed ? 0 : export_ask(fd, until);

	if (error)
		return error;
	spare->owed = 1;
	error = export_answer(fd, until);
	if (!error)
		spare->owed = 0;
	return error;
}

/// Now, while requests fail at once and the queue can be frozen; it stays so until the agent ends.
/// Where one cannot be written the connection is worth its try all the same.
static void calm_queue(struct rw_hand *hand, const struct rw_directive *directive,
		       struct spare *spare)
{
	for (int i = 0; i < QUEUE_FILES; i++) {
		struct queue_file file;
		char path[QUEUE_PATH_BYTES];

		lock(spare);
		file = spare->queue[i];
		if (file.descriptor >= 0)
			file.descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 3);
		unlock(spare);
		queue_path(spare, i, path);
		calm_queue_file(hand, directive, &file, path, calm[i].value);
		if (file.descriptor >= 0)
			close(file.descriptor);
	}
}

/// drivers/block/nbd.c:nbd_clear_sock_ioctl(): what was sent on a connection which is no more ends
/// with an error, and the device may have another one. What was to be written stays in memory; who
/// waits for a page that was to be read loses it.
void clear_requests(struct rw_hand *hand, const struct rw_directive *directive,
		    struct rw_enforce *act)
{
	struct spare *spare;
	int fd = -1, disk = -1;

	if (!directive->enforced)
		return;
	spare = borrow(hand, directive->disk, &fd, &disk);
	if (!spare) {
		refuse(act, RW_ENFORCE_NO_SPARE);
		return;
	}
	if (disk < 0 || ioctl(disk, NBD_CLEAR_SOCK))
		fail(act, -errno);
	else
		calm_queue(hand, directive, spare);
	close(disk);
	close(fd);
}

void reconnect(struct rw_hand *hand, const struct rw_directive *directive, struct rw_enforce *act)
{
	struct spare *spare;
	uint32_t index;
	int bytes = SEND_BYTES, fd = -1, disk = -1, error = nbd_index(directive->disk, &index);

	if (error)
		fail(act, error);
	if (error || !directive->enforced)
		return;
	spare = borrow(hand, directive->disk, &fd, &disk);
	if (!spare) {
		refuse(act, RW_ENFORCE_NO_SPARE);
		return;
	}
	error = fd < 0 ? -EMFILE : answers(spare, fd);
	if (!error) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
		error = rw_nbd_reconnect(hand->nbd, index, spare->backend, fd);
	}
	// The device has its own reference.
	close(fd);
	close(disk);
	if (error)
		fail(act, error);
	// Its answer may still come; else it is used up, or no good, and the next one is tried.
	if (error != -ETIMEDOUT)
		drop(spare, error ? -error : ENODEV);
}
