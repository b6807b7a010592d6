// SPDX-License-Identifier: Apache-2.0

// One question of sock_diag(7), and its answers.
#ifndef RESERVEWATCH_SOCKDIAG_H
#define RESERVEWATCH_SOCKDIAG_H

#include <linux/netlink.h>
#include <stddef.h>

/// Is handed every answer.
typedef void rw_diag_take(struct nlmsghdr *answer, void *context);

/// Asks for all that a struct unix_diag_req or inet_diag_req_v2 of `length` bytes asks for. 0, or
/// a negative errno.
int rw_diag_ask(const void *request, size_t length, rw_diag_take *take, void *context);

/// The attribute of an answer that begins with `head` bytes of its family; NULL: it has none, or
/// one of less than `length` bytes.
const void *rw_diag_attribute(struct nlmsghdr *answer, size_t head, unsigned short type,
			      size_t length);

#endif
