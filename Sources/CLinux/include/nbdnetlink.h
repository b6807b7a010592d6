// SPDX-License-Identifier: Apache-2.0
//
// The NBD driver's netlink, linux/nbd-netlink.h: NBD_CMD_RECONFIGURE with the timeouts. Messages
// are made and read apart from the socket, so that tests see the bytes.
#ifndef RESERVEWATCH_NBDNETLINK_H
#define RESERVEWATCH_NBDNETLINK_H

#include <stddef.h>
#include <stdint.h>

/// What is asked of one device that was set up over netlink; the driver refuses others.
struct rw_nbd_timeouts {
	/// N of nbdN.
	uint32_t index;
	/// Seconds without an answer after which a connection is given up; 0 never.
	uint64_t timeout_s;
	/// Seconds that requests wait for a new connection when none is left; 0 they fail.
	uint64_t dead_conn_timeout_s;
	/// /sys/block/nbdN/backend: the driver wants it where the device has one. NULL without.
	const char *_Nullable backend;
};

/// Enough for each message made here.
#define RW_NBD_MESSAGE_BYTES 1024

/// CTRL_CMD_GETFAMILY for "nbd". Its length; -EMSGSIZE.
int rw_nbd_family_request(void *_Nonnull message, size_t capacity);

/// The family's number from the answer. -ENOENT: no driver. -EBADMSG: not such an answer.
int rw_nbd_family_answer(const void *_Nonnull answer, size_t length);

/// NBD_CMD_RECONFIGURE, acknowledged. Its length; -EMSGSIZE.
int rw_nbd_reconfigure_request(void *_Nonnull message, size_t capacity, uint16_t family,
			       const struct rw_nbd_timeouts *_Nonnull timeouts);

/// What an acknowledgement says: 0, or a negative errno. -EBADMSG: it is none.
int rw_netlink_acknowledged(const void *_Nonnull answer, size_t length);

/// The number of the NBD driver's family on this host. -ENOENT: no driver.
int rw_nbd_family(void);

/// Asks the driver of this host, and waits at most 10 s for its answer. Needs CAP_SYS_ADMIN.
/// -EINVAL: no such device, not connected, or set up by ioctl.
int rw_nbd_reconfigure(const struct rw_nbd_timeouts *_Nonnull timeouts);

/// A socket for rw_nbd_disconnect(), or a negative errno.
int rw_nbd_open(void);

/// NBD_CMD_DISCONNECT, acknowledged. Its length; -EMSGSIZE.
int rw_nbd_disconnect_request(void *_Nonnull message, size_t capacity, uint16_t family,
			      uint32_t index);

/// Has the driver end a device: what is in flight ends with an error. May wait in the kernel, and
/// then at most 10 s for its answer. Opens nothing. Needs CAP_SYS_ADMIN.
int rw_nbd_disconnect(int descriptor, uint32_t index);

/// NBD_CMD_RECONFIGURE with a connection, acknowledged. Its length; -EMSGSIZE.
int rw_nbd_reconnect_request(void *_Nonnull message, size_t capacity, uint16_t family,
			     uint32_t index, const char *_Nonnull backend, int connection);

/// Has the driver take a connection for one that is dead; `backend` "" where the device has none.
/// Opens nothing, and waits at most 10 s for the answer, which is 0 also where none is dead. Needs
/// CAP_SYS_ADMIN. -EINVAL: not connected, or set up by ioctl.
int rw_nbd_reconnect(int descriptor, uint32_t index, const char *_Nonnull backend, int connection);

#endif
