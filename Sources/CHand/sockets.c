// SPDX-License-Identifier: Apache-2.0
//
// sock_diag(7): whose sockets hold the most unread, and the end of one connection.
#define _GNU_SOURCE
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ESTABLISHED 1
#define LISTEN 10
#define SOCKETS 64 // the fullest, whose owners are looked for
#define OWNERS 64

struct full_socket {
	uint32_t inode;
	uint32_t bytes;
};

// Of the one thread that looks for owners: its stack is small.
static struct full_socket sockets[SOCKETS];
static uint32_t socket_count;
// What nobody has accepted is its listener's, found by the port.
static struct {
	uint32_t inode; // 0: not seen
	uint32_t bytes;
	uint16_t port;
} waiting[SOCKETS];
static uint32_t waiting_count;
static struct {
	int pid;
	uint64_t bytes;
} owners[OWNERS];
static uint32_t owner_count;
static _Alignas(struct nlmsghdr) char answers[32 * 1024];
static _Alignas(8) char names[4096], more_names[4096];

static void take_socket(uint32_t inode, uint32_t bytes)
{
	uint32_t place = socket_count;

	if (bytes == 0 || inode == 0)
		return;
	while (place > 0 && sockets[place - 1].bytes < bytes)
		place--;
	if (place >= SOCKETS)
		return;
	if (socket_count < SOCKETS)
		socket_count++;
	memmove(&sockets[place + 1], &sockets[place],
		(socket_count - 1 - place) * sizeof(sockets[0]));
	sockets[place] = (struct full_socket){.inode = inode, .bytes = bytes};
}

static void take_waiting(uint16_t port, uint32_t inode, uint32_t bytes)
{
	uint32_t place = 0;

	while (place < waiting_count && waiting[place].port != port)
		place++;
	if (place == SOCKETS)
		return;
	if (place == waiting_count) {
		waiting[place].port = port;
		waiting[place].inode = waiting[place].bytes = 0;
		waiting_count++;
	}
	if (inode)
		waiting[place].inode = inode;
	waiting[place].bytes += bytes;
}

static void take_answer(struct nlmsghdr *message)
{
	struct inet_diag_msg *answer = NLMSG_DATA(message);
	struct rtattr *attribute = (struct rtattr *)(answer + 1);
	int rest = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*answer)));

	if (answer->idiag_state == LISTEN) {
		take_waiting(answer->id.idiag_sport, answer->idiag_inode, 0);
		return;
	}
	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
		uint32_t memory[SK_MEMINFO_RCVBUF + 1];

		if (attribute->rta_type != INET_DIAG_SKMEMINFO ||
		    RTA_PAYLOAD(attribute) < sizeof(memory))
			continue;
		memcpy(memory, RTA_DATA(attribute), sizeof(memory));
		if (answer->idiag_inode)
			take_socket(answer->idiag_inode, memory[SK_MEMINFO_RMEM_ALLOC]);
		else
			take_waiting(answer->id.idiag_sport, 0, memory[SK_MEMINFO_RMEM_ALLOC]);
	}
}

static int dump(int diag, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = {.nlmsg_len = sizeof(message),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = family,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			    .idiag_states = 1 << ESTABLISHED | 1 << LISTEN},
	};

	if (send(diag, &message, sizeof(message), 0) < 0)
		return -errno;
	for (;;) {
		struct nlmsghdr *answer = (struct nlmsghdr *)answers;
		ssize_t length = recv(diag, answers, sizeof(answers), 0);
		int rest = (int)length;

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return length < 0 ? -errno : -EIO;
		for (; NLMSG_OK(answer, rest); answer = NLMSG_NEXT(answer, rest)) {
			if (answer->nlmsg_type == NLMSG_DONE)
				return 0;
			if (answer->nlmsg_type == NLMSG_ERROR) {
				int error = ((struct nlmsgerr *)NLMSG_DATA(answer))->error;

				return error ? error : -EIO;
			}
			take_answer(answer);
		}
	}
}

static void credit(int pid, uint64_t bytes)
{
	for (uint32_t i = 0; i < owner_count; i++) {
		if (owners[i].pid == pid) {
			owners[i].bytes += bytes;
			return;
		}
	}
	if (owner_count < OWNERS) {
		owners[owner_count].pid = pid;
		owners[owner_count++].bytes = bytes;
	}
}

/// Credits a process with each of the fullest sockets that it has open.
static void look_through(int proc, int pid)
{
	char path[32], target[64];
	int directory;
	long count;

	snprintf(path, sizeof(path), "%d/fd", pid);
	directory = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return;
	while ((count = syscall(SYS_getdents64, directory, more_names, sizeof(more_names))) > 0) {
		for (long at = 0; at < count;) {
			struct entry64 *entry = (struct entry64 *)(more_names + at);
			ssize_t length;
			uint32_t inode;

			at += entry->length;
			length = readlinkat(directory, entry->name, target, sizeof(target) - 1);
			if (length < 9 || strncmp(target, "socket:[", 8))
				continue;
			target[length] = 0;
			inode = (uint32_t)strtoul(target + 8, NULL, 10);
			for (uint32_t i = 0; i < socket_count; i++)
				if (sockets[i].inode == inode)
					credit(pid, sockets[i].bytes);
		}
	}
	close(directory);
}

int find_socket_owner(int diag, int proc, const struct protection *protection, struct owner *owner)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	long count;
	int error;

	socket_count = owner_count = waiting_count = 0;
	error = dump(diag, AF_INET);
	if (!error)
		error = dump(diag, AF_INET6);
	if (error)
		return error;
	for (uint32_t i = 0; i < waiting_count; i++)
		take_socket(waiting[i].inode, waiting[i].bytes);
	if (!socket_count)
		return -ESRCH;
	if (lseek(proc, 0, SEEK_SET))
		return -errno;
	while ((count = syscall(SYS_getdents64, proc, names, sizeof(names))) > 0) {
		for (long at = 0; at < count;) {
			struct entry64 *entry = (struct entry64 *)(names + at);
			int pid = atoi(entry->name);

			at += entry->length;
			if (pid > 0)
				look_through(proc, pid);
		}
	}
	for (;;) {
		uint32_t best = OWNERS;

		for (uint32_t i = 0; i < owner_count; i++)
			if (owners[i].bytes > 0 &&
			    (best == OWNERS || owners[i].bytes > owners[best].bytes))
				best = i;
		if (best == OWNERS)
			return -ESRCH;
		if (!read_process(proc, owners[best].pid, &owner->process) &&
		    !is_protected(protection, proc, &owner->process)) {
			owner->unread_pages = owners[best].bytes / page;
			return 0;
		}
		owners[best].bytes = 0;
	}
}

struct ending {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

static int send_ending(int diag, const struct ending *message)
{
	_Alignas(struct nlmsghdr) char answer[1024];
	struct nlmsghdr header;
	int32_t error;
	ssize_t length;

	if (send(diag, message, sizeof(*message), 0) < 0)
		return -errno;
	do
		length = recv(diag, answer, sizeof(answer), 0);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	if ((size_t)length < NLMSG_HDRLEN + sizeof(error))
		return -EBADMSG;
	memcpy(&header, answer, sizeof(header));
	memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
	return header.nlmsg_type == NLMSG_ERROR ? error : -EBADMSG;
}

static struct ending ending(uint8_t family)
{
	struct ending message = {
		.header = {.nlmsg_len = sizeof(message),
			   .nlmsg_type = SOCK_DESTROY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.request = {.sdiag_family = family,
			    .sdiag_protocol = IPPROTO_TCP,
			    .idiag_states = ~0u,
			    .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};

	return message;
}

int end_connection(int diag, const struct rw_directive *directive)
{
	struct ending message = ending((uint8_t)directive->family);
	size_t bytes = directive->family == AF_INET6 ? 16 : 4;

	message.request.id.idiag_sport = htons(directive->local_port);
	message.request.id.idiag_dport = htons(directive->peer_port);
	memcpy(message.request.id.idiag_src, directive->local, bytes);
	memcpy(message.request.id.idiag_dst, directive->peer, bytes);
	return send_ending(diag, &message);
}

/// Ends a connection of our own, so that it is known to work.
int try_end_connection(int diag)
{
	// Whom it leads to does not matter: no packet is sent, as a unit may be kept from its own host too.
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(9),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	struct rw_directive directive = {.family = AF_INET, .peer_port = 9};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP, result;
	char byte;

	memcpy(directive.peer, &address.sin_addr, 4);
	// net/ipv4/tcp_output.c:tcp_connect(): connected at once, under repair.
	if (client < 0 || setsockopt(client, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    connect(client, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(client, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) ||
	    getsockname(client, (struct sockaddr *)&address, &length)) {
		result = -errno;
		goto out;
	}
	memcpy(directive.local, &address.sin_addr, 4);
	directive.local_port = ntohs(address.sin_port);
	result = end_connection(diag, &directive);
	// Ended, and not only said to be.
	if (!result && (recv(client, &byte, 1, MSG_DONTWAIT) >= 0 || errno != ECONNABORTED))
		result = -EIO;
out:
	if (client >= 0)
		close(client);
	return result;
}
