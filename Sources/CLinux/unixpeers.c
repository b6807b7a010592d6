// SPDX-License-Identifier: Apache-2.0

// sock_diag(7) for unix sockets: /proc/net/unix does not tell which two belong together.

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "clinux.h"
#include "sockdiag.h"

struct taking {
	struct rw_unix_pair *pairs;
	uint32_t capacity;
	uint32_t count;
};

static void take(struct nlmsghdr *answer, void *context)
{
	struct unix_diag_msg *message = NLMSG_DATA(answer);
	struct taking *taking = context;
	uint32_t peer = 0;
	const void *found =
		rw_diag_attribute(answer, sizeof(*message), UNIX_DIAG_PEER, sizeof(peer));

	if (found)
		memcpy(&peer, found, sizeof(peer));
	if (!peer || taking->count == taking->capacity)
		return;
	taking->pairs[taking->count].inode = message->udiag_ino;
	taking->pairs[taking->count].peer = peer;
	taking->count++;
}

int rw_unix_peers(struct rw_unix_pair *pairs, uint32_t capacity)
{
	struct taking taking = {.pairs = pairs, .capacity = capacity};
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX,
		.udiag_states = ~0u,
		.udiag_show = UDIAG_SHOW_PEER,
	};
	int result = rw_diag_ask(&request, sizeof(request), take, &taking);

	return result < 0 ? result : (int)taking.count;
}
