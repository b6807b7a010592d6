// SPDX-License-Identifier: Apache-2.0
//
// The client's side of the NBD protocol, with a server that has said all that it will say before it
// was asked: `handtrial export ANSWERS DEVICE NAME`.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../Sources/CHand/internal.h"
#include "export.h"

int try_export(const char *answers, const char *device, const char *name)
{
	static unsigned char bytes[64 * 1024];
	struct export_facts facts = {0};
	int ends[2], file = open(answers, O_RDONLY), disk = open(device, O_RDONLY | O_DIRECT);
	// What is not there by now does not come.
	uint64_t soon = now_ns() + 50000000;
	ssize_t count = file < 0 ? -1 : read(file, bytes, sizeof(bytes));
	int error, compared = 1, answered = 1;

	if (count < 0 || disk < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ||
	    write(ends[1], bytes, (size_t)count) != count)
		return 1;
	error = export_negotiate(ends[0], name, &facts, soon);
	if (!error)
		compared = export_compare(ends[0], &facts, disk, soon);
	if (!compared) {
		answered = export_ask(ends[0], soon);
		if (!answered)
			answered = export_answer(ends[0], soon);
	}
	printf("negotiated=%d bytes=%llu flags=%u compared=%d answered=%d sent=", error,
	       (unsigned long long)facts.bytes, facts.flags, compared, answered);
	count = recv(ends[1], bytes, sizeof(bytes), MSG_DONTWAIT);
	for (ssize_t i = 0; i < count; i++)
		printf("%02x", bytes[i]);
	printf("\n");
	return 0;
}
