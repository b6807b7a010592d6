// SPDX-License-Identifier: Apache-2.0

// sock_diag(7) for TCP: what each socket may hold unread, which /proc/net/tcp does not tell.

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "clinux.h"
#include "sockdiag.h"

#define ESTABLISHED 1

struct taking {
	uint32_t *bytes;
	uint32_t capacity;
	uint32_t count;
};

static void take(struct nlmsghdr *answer, void *context)
{
	struct taking *taking = context;
	uint32_t memory[SK_MEMINFO_RCVBUF + 1];
	const void *found = rw_diag_attribute(answer, sizeof(struct inet_diag_msg),
					      INET_DIAG_SKMEMINFO, sizeof(memory));

	if (!found || taking->count == taking->capacity)
		return;
	memcpy(memory, found, sizeof(memory));
	taking->bytes[taking->count++] = memory[SK_MEMINFO_RCVBUF];
}

int rw_tcp_receive_buffers(uint32_t *bytes, uint32_t capacity)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct taking taking = {.bytes = bytes, .capacity = capacity};

	for (unsigned i = 0; i < sizeof(families); i++) {
		struct inet_diag_req_v2 request = {
			.sdiag_family = families[i],
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			.idiag_states = 1 << ESTABLISHED,
		};
		int result = rw_diag_ask(&request, sizeof(request), take, &taking);

		if (result < 0)
			return result;
	}
	return (int)taking.count;
}
