// SPDX-License-Identifier: Apache-2.0

#include "sockdiag.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONGEST_REQUEST 64

static int send_request(int descriptor, const void *request, size_t length)
{
	struct {
		struct nlmsghdr header;
		char request[LONGEST_REQUEST];
	} message = {
		.header =
			{
				.nlmsg_len = (uint32_t)NLMSG_LENGTH(length),
				.nlmsg_type = SOCK_DIAG_BY_FAMILY,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			},
	};

	if (length > sizeof(message.request))
		return -EMSGSIZE;
	memcpy(message.request, request, length);
	return send(descriptor, &message, message.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

/// 1 at the end of the answers, 0 when more follow, or a negative errno.
static int take_some(int descriptor, rw_diag_take *take, void *context)
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
		take(message, context);
	}
	return 0;
}

int rw_diag_ask(const void *request, size_t length, rw_diag_take *take, void *context)
{
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int result;

	if (descriptor < 0)
		return -errno;
	result = send_request(descriptor, request, length);
	while (result == 0)
		result = take_some(descriptor, take, context);
	close(descriptor);
	return result < 0 ? result : 0;
}

const void *rw_diag_attribute(struct nlmsghdr *answer, size_t head, unsigned short type,
			      size_t length)
{
	struct rtattr *attribute =
		(struct rtattr *)((char *)NLMSG_DATA(answer) + NLMSG_ALIGN(head));
	int rest = (int)(answer->nlmsg_len - NLMSG_LENGTH(head));

	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest))
		if (attribute->rta_type == type && RTA_PAYLOAD(attribute) >= length)
			return RTA_DATA(attribute);
	return NULL;
}
