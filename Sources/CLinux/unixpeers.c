// SPDX-License-Identifier: Apache-2.0
//
// sock_diag(7) for unix sockets: /proc/net/unix does not tell which two belong together.

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clinux.h"

static uint32_t peer_of(struct nlmsghdr *message)
{
	struct unix_diag_msg *answer = NLMSG_DATA(message);
	struct rtattr *attribute = (struct rtattr *)(answer + 1);
	int rest = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*answer)));
	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
		if (attribute->rta_type == UNIX_DIAG_PEER)
			return *(uint32_t *)RTA_DATA(attribute);
	}
	return 0;
}

static int ask(int descriptor)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
		.header =
			{
				.nlmsg_len = sizeof(message),
				.nlmsg_type = SOCK_DIAG_BY_FAMILY,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			},
		.request =
			{
				.sdiag_family = AF_UNIX,
				.udiag_states = ~0u,
				.udiag_show = UDIAG_SHOW_PEER,
			},
	};
	return send(descriptor, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

int rw_unix_peers(struct rw_unix_pair *pairs, uint32_t capacity)
{
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (descriptor < 0)
		return -errno;
	int result = ask(descriptor);
	uint32_t count = 0;
	// The kernel fills a buffer of at most 32 kB in one go.
	static _Alignas(struct nlmsghdr) char buffer[32 * 1024];
	while (result == 0) {
		ssize_t length = recv(descriptor, buffer, sizeof(buffer), 0);
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0) {
			result = length < 0 ? -errno : -EIO;
			break;
		}
		int rest = (int)length;
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;
		for (; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
			if (message->nlmsg_type == NLMSG_DONE) {
				close(descriptor);
				return (int)count;
			}
			if (message->nlmsg_type == NLMSG_ERROR) {
				result = ((struct nlmsgerr *)NLMSG_DATA(message))->error;
				if (result == 0)
					result = -EIO;
				break;
			}
			uint32_t peer = peer_of(message);
			if (peer == 0)
				continue;
			if (count == capacity) {
				close(descriptor);
				return (int)count;
			}
			struct unix_diag_msg *answer = NLMSG_DATA(message);
			pairs[count].inode = answer->udiag_ino;
			pairs[count].peer = peer;
			count++;
		}
	}
	close(descriptor);
	return result;
}
