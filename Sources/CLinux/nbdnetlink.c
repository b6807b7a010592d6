// SPDX-License-Identifier: Apache-2.0

#include "nbdnetlink.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_WAIT_S 10

/// A message that grows; `length` is beyond `capacity` once something did not fit.
struct growing {
	unsigned char *bytes;
	size_t capacity;
	size_t length;
};

static void add(struct growing *message, const void *bytes, size_t count)
{
	size_t whole = NLMSG_ALIGN(count);

	if (message->length + whole <= message->capacity) {
		memset(message->bytes + message->length, 0, whole);
		memcpy(message->bytes + message->length, bytes, count);
	}
	message->length += whole;
}

static void add_attribute(struct growing *message, uint16_t type, const void *value, size_t count)
{
	struct nlattr attribute = {
		.nla_len = (uint16_t)(NLA_HDRLEN + count),
		.nla_type = type,
	};

	add(message, &attribute, sizeof(attribute));
	add(message, value, count);
}

static struct growing begin(void *bytes, size_t capacity, uint16_t type, uint16_t flags,
			    uint8_t command, uint8_t version)
{
	struct growing message = {.bytes = bytes, .capacity = capacity};
	struct nlmsghdr header = {
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = 1,
	};
	struct genlmsghdr generic = {.cmd = command, .version = version};

	add(&message, &header, sizeof(header));
	add(&message, &generic, sizeof(generic));
	return message;
}

static int end(struct growing *message)
{
	uint32_t length = (uint32_t)message->length;

	if (message->length > message->capacity)
		return -EMSGSIZE;
	memcpy(message->bytes, &length, sizeof(length));
	return (int)length;
}

int rw_nbd_family_request(void *bytes, size_t capacity)
{
	struct growing message = begin(bytes, capacity, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);

	add_attribute(&message, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME,
		      sizeof(NBD_GENL_FAMILY_NAME));
	return end(&message);
}

static int add_backend(struct growing *message, const char *backend)
{
	size_t count = strlen(backend) + 1;

	// Beyond it no attribute's length is told in 16 bits.
	if (count > message->capacity)
		return -EMSGSIZE;
	add_attribute(message, NBD_ATTR_BACKEND_IDENTIFIER, backend, count);
	return 0;
}

int rw_nbd_reconfigure_request(void *bytes, size_t capacity, uint16_t family,
			       const struct rw_nbd_timeouts *timeouts)
{
	struct growing message =
		begin(bytes, capacity, family, NLM_F_ACK, NBD_CMD_RECONFIGURE, NBD_GENL_VERSION);

	add_attribute(&message, NBD_ATTR_INDEX, &timeouts->index, sizeof(timeouts->index));
	add_attribute(&message, NBD_ATTR_TIMEOUT, &timeouts->timeout_s,
		      sizeof(timeouts->timeout_s));
	add_attribute(&message, NBD_ATTR_DEAD_CONN_TIMEOUT, &timeouts->dead_conn_timeout_s,
		      sizeof(timeouts->dead_conn_timeout_s));
	if (timeouts->backend && add_backend(&message, timeouts->backend))
		return -EMSGSIZE;
	return end(&message);
}

/// The header of an answer that is whole; 0 or -EBADMSG.
static int read_header(const void *answer, size_t length, struct nlmsghdr *header)
{
	if (length < sizeof(*header))
		return -EBADMSG;
	memcpy(header, answer, sizeof(*header));
	if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > length)
		return -EBADMSG;
	return 0;
}

int rw_netlink_acknowledged(const void *answer, size_t length)
{
	struct nlmsghdr header;
	int32_t error;

	if (read_header(answer, length, &header) || header.nlmsg_type != NLMSG_ERROR ||
	    header.nlmsg_len < NLMSG_HDRLEN + sizeof(error))
		return -EBADMSG;
	memcpy(&error, (const unsigned char *)answer + NLMSG_HDRLEN, sizeof(error));
	return error <= 0 ? error : -EBADMSG;
}

int rw_nbd_family_answer(const void *answer, size_t length)
{
	const unsigned char *bytes = answer;
	size_t at = NLMSG_HDRLEN + GENL_HDRLEN;
	struct nlmsghdr header;
	struct nlattr attribute;

	if (read_header(answer, length, &header))
		return -EBADMSG;
	if (header.nlmsg_type == NLMSG_ERROR) {
		int error = rw_netlink_acknowledged(answer, length);

		return error ? error : -EBADMSG;
	}
	if (header.nlmsg_type != GENL_ID_CTRL)
		return -EBADMSG;
	while (at + sizeof(attribute) <= header.nlmsg_len) {
		uint16_t family;

		memcpy(&attribute, bytes + at, sizeof(attribute));
		if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > header.nlmsg_len - at)
			return -EBADMSG;
		if ((attribute.nla_type & NLA_TYPE_MASK) == CTRL_ATTR_FAMILY_ID &&
		    attribute.nla_len >= NLA_HDRLEN + sizeof(family)) {
			memcpy(&family, bytes + at + NLA_HDRLEN, sizeof(family));
			return family;
		}
		at += NLA_ALIGN(attribute.nla_len);
	}
	return -EBADMSG;
}

/// Sends a message and receives one answer. Its length, or a negative errno.
static ssize_t converse(int descriptor, const void *message, size_t length, void *answer,
			size_t capacity)
{
	ssize_t count = send(descriptor, message, length, 0);

	if (count < 0)
		return -errno;
	do
		count = recv(descriptor, answer, capacity, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

int rw_nbd_disconnect_request(void *bytes, size_t capacity, uint16_t family, uint32_t index)
{
	struct growing message =
		begin(bytes, capacity, family, NLM_F_ACK, NBD_CMD_DISCONNECT, NBD_GENL_VERSION);

	add_attribute(&message, NBD_ATTR_INDEX, &index, sizeof(index));
	return end(&message);
}

int rw_nbd_open(void)
{
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (descriptor < 0)
		return -errno;
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return descriptor;
}

static int ask_family(int descriptor)
{
	_Alignas(struct nlmsghdr) unsigned char message[RW_NBD_MESSAGE_BYTES];
	_Alignas(struct nlmsghdr) unsigned char answer[8192];
	int length = rw_nbd_family_request(message, sizeof(message));
	ssize_t count;

	if (length < 0)
		return length;
	count = converse(descriptor, message, (size_t)length, answer, sizeof(answer));
	return count < 0 ? (int)count : rw_nbd_family_answer(answer, (size_t)count);
}

int rw_nbd_family(void)
{
	int descriptor = rw_nbd_open();
	int family;

	if (descriptor < 0)
		return descriptor;
	family = ask_family(descriptor);
	close(descriptor);
	return family;
}

/// Sends a message of that length, or hands its error on, and says what the driver made of it.
static int request(int descriptor, const void *message, int length)
{
	_Alignas(struct nlmsghdr) unsigned char answer[8192];
	ssize_t count;

	if (length < 0)
		return length;
	count = converse(descriptor, message, (size_t)length, answer, sizeof(answer));
	return count < 0 ? (int)count : rw_netlink_acknowledged(answer, (size_t)count);
}

int rw_nbd_disconnect(int descriptor, uint32_t index)
{
	_Alignas(struct nlmsghdr) unsigned char message[RW_NBD_MESSAGE_BYTES];
	int family = ask_family(descriptor);

	if (family < 0)
		return family;
	return request(
		descriptor, message,
		rw_nbd_disconnect_request(message, sizeof(message), (uint16_t)family, index));
}

int rw_nbd_reconnect_request(void *bytes, size_t capacity, uint16_t family, uint32_t index,
			     const char *backend, int connection)
{
	struct growing message =
		begin(bytes, capacity, family, NLM_F_ACK, NBD_CMD_RECONFIGURE, NBD_GENL_VERSION);
	struct {
		struct nlattr item;
		struct nlattr number;
		uint32_t descriptor;
	} socket = {
		.item = {.nla_len = sizeof(socket), .nla_type = NBD_SOCK_ITEM | NLA_F_NESTED},
		.number = {.nla_len = NLA_HDRLEN + sizeof(uint32_t), .nla_type = NBD_SOCK_FD},
		.descriptor = (uint32_t)connection,
	};

	add_attribute(&message, NBD_ATTR_INDEX, &index, sizeof(index));
	add_attribute(&message, NBD_ATTR_SOCKETS | NLA_F_NESTED, &socket, sizeof(socket));
	if (backend[0] && add_backend(&message, backend))
		return -EMSGSIZE;
	return end(&message);
}

int rw_nbd_reconnect(int descriptor, uint32_t index, const char *backend, int connection)
{
	_Alignas(struct nlmsghdr) unsigned char message[RW_NBD_MESSAGE_BYTES];
	int family = ask_family(descriptor);

	if (family < 0)
		return family;
	return request(descriptor, message,
		       rw_nbd_reconnect_request(message, sizeof(message), (uint16_t)family, index,
						backend, connection));
}

int rw_nbd_reconfigure(const struct rw_nbd_timeouts *timeouts)
{
	_Alignas(struct nlmsghdr) unsigned char message[RW_NBD_MESSAGE_BYTES];
	int descriptor = rw_nbd_open();
	int result;

	if (descriptor < 0)
		return descriptor;
	result = ask_family(descriptor);
	if (result >= 0)
		result = request(descriptor, message,
				 rw_nbd_reconfigure_request(message, sizeof(message),
							    (uint16_t)result, timeouts));
	close(descriptor);
	return result;
}
