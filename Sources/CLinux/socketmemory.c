// SPDX-License-Identifier: Apache-2.0
//
// sock_diag(7) for TCP: what each socket may hold unread, which /proc/net/tcp does not tell.

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clinux.h"

#define ESTABLISHED 1

struct taking {
	uint32_t *bytes;
	uint32_t capacity;
	uint32_t count;
};

static int ask(int descriptor, uint8_t family)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header =
			{
				.nlmsg_len = sizeof(message),
				.nlmsg_type = SOCK_DIAG_BY_FAMILY,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			},
		.request =
			{
				.sdiag_family = family,
				.sdiag_protocol = IPPROTO_TCP,
				.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
				.idiag_states = 1 << ESTABLISHED,
			},
	};
	return send(descriptor, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

static void take(struct nlmsghdr *message, struct taking *taking)
{
	struct inet_diag_msg *answer = NLMSG_DATA(message);
	struct rtattr *attribute = (struct rtattr *)(answer + 1);
	int rest = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*answer)));

	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
		uint32_t memory[SK_MEMINFO_RCVBUF + 1];

		if (attribute->rta_type != INET_DIAG_SKMEMINFO ||
		    RTA_PAYLOAD(attribute) < sizeof(memory) || taking->count == taking->capacity)
			continue;
		memcpy(memory, RTA_DATA(attribute), sizeof(memory));
		taking->bytes[taking->count++] = memory[SK_MEMINFO_RCVBUF];
	}
}

/// 1 at the end of an answer, 0 when more follows, or a negative errno.
static int take_some(int descriptor, struct taking *taking)
{
	// The kernel fills a buffer of at most 32 kB in one go.
	static _Alignas(struct nlmsghdr) char buffer[32 * 1024];
	struct nlmsghdr *message = (struct nlmsghdr *)buffer;
	ssize_t length = recv(descriptor, buffer, sizeof(buffer), 0);
	int rest = (int)length;

	if (length <= 0)
		return length < 0 ? (errno == EINTR ? 0 : -errno) : -EIO;
	for (; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR) {
			int error = ((struct nlmsgerr *)NLMSG_DATA(message))->error;

			return error ? error : -EIO;
		}
		take(message, taking);
	}
	return 0;
}

int rw_tcp_receive_buffers(uint32_t *bytes, uint32_t capacity)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct taking taking = {.bytes = bytes, .capacity = capacity};
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int result = descriptor < 0 ? -errno : 0;

	for (unsigned i = 0; i < sizeof(families) && result >= 0; i++) {
		result = ask(descriptor, families[i]);
		while (result == 0)
			result = take_some(descriptor, &taking);
	}
	if (descriptor >= 0)
		close(descriptor);
	return result < 0 ? result : (int)taking.count;
}
