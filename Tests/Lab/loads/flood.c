// SPDX-License-Identifier: Apache-2.0
//
// Packets into sockets whose owner is slow to read.
//
//   flood send PORT DATAGRAMS_PER_S      outside the guest, on loopback
//   flood sink HOST PORT STREAMS         in the guest
//
// The sink connects STREAMS times over TCP, asks for datagrams over UDP, and
// takes 4 KiB of each stream and two datagrams ten times a second, in locked
// memory. The sender fills the streams as far as they go, and sends datagrams of
// 1400 bytes from the sink's first word until its last, for five minutes at most.
// Each says at SIGTERM what it sent or took.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STREAMS = 64, DATAGRAM = 1400, LONGEST_S = 300 };

static volatile sig_atomic_t stopped;
static char bytes[64 * 1024];

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int refused(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	return 74;
}

static int send_all(struct sockaddr_in *here, int rate)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int streams[STREAMS], count = 0, asked = 0;
	long long sent = 0, poured = 0, refusals = 0;
	struct sockaddr_in peer;
	double began = 0, due = 0;

	if (bind(listener, (struct sockaddr *)here, sizeof(*here)) || listen(listener, STREAMS))
		return refused("TCP");
	if (bind(datagrams, (struct sockaddr *)here, sizeof(*here)))
		return refused("UDP");
	while (!stopped) {
		struct timespec tick = {.tv_nsec = 5000000};
		socklen_t length = sizeof(peer);
		int stream = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		ssize_t size;

		if (stream >= 0 && count < STREAMS)
			streams[count++] = stream;
		size = recvfrom(datagrams, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer,
				&length);
		if (size > 0) {
			asked = bytes[0] == 'b' && rate > 0;
			began = due = now();
		}
		for (int i = 0; i < count; i++) {
			size = send(streams[i], bytes, sizeof(bytes), MSG_NOSIGNAL);
			poured += size > 0 ? size : 0;
		}
		for (; asked && due < now(); due += 1.0 / rate) {
			size = sendto(datagrams, bytes, DATAGRAM, 0, (struct sockaddr *)&peer,
				      sizeof(peer));
			sent += size > 0;
			refusals += size < 0;
		}
		if (asked && now() - began > LONGEST_S)
			asked = 0;
		nanosleep(&tick, NULL);
	}
	printf("%lld datagrams, %lld not taken, %lld bytes over %d streams\n", sent, refusals,
	       poured, count);
	return 0;
}

static int sink(const struct sockaddr_in *there, int count)
{
	struct timespec tick = {.tv_nsec = 100000000};
	int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int adjust = open("/proc/self/oom_score_adj", O_WRONLY);
	int streams[STREAMS];
	long long taken = 0, read_bytes = 0;

	for (int i = 0; i < count; i++) {
		streams[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(streams[i], (const struct sockaddr *)there, sizeof(*there)))
			return refused("connect");
	}
	if (connect(datagrams, (const struct sockaddr *)there, sizeof(*there)))
		return refused("connect");
	if (write(adjust, "-1000", 5) != 5 || mlockall(MCL_CURRENT | MCL_FUTURE))
		return refused("lock");
	if (send(datagrams, "begin", 5, 0) != 5)
		return refused("send");
	while (!stopped) {
		ssize_t size;

		for (int i = 0; i < 2; i++)
			taken += recv(datagrams, bytes, sizeof(bytes), 0) > 0;
		for (int i = 0; i < count; i++) {
			size = recv(streams[i], bytes, 4096, MSG_DONTWAIT);
			read_bytes += size > 0 ? size : 0;
		}
		nanosleep(&tick, NULL);
	}
	for (int i = 0; i < 3; i++)
		send(datagrams, "end", 3, 0);
	printf("%lld datagrams, %lld bytes over %d streams\n", taken, read_bytes, count);
	return 0;
}

int main(int count, char **arguments)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sigaction action = {.sa_handler = stop};
	int sends = count == 4 && !strcmp(arguments[1], "send");
	int sinks = count == 5 && !strcmp(arguments[1], "sink");

	if (!sends && !sinks) {
		fprintf(stderr, "usage: flood send PORT DATAGRAMS_PER_S\n"
				"       flood sink HOST PORT STREAMS\n");
		return 64;
	}
	sigaction(SIGTERM, &action, NULL);
	memset(bytes, 1, sizeof(bytes));
	inet_pton(AF_INET, sends ? "127.0.0.1" : arguments[2], &address.sin_addr);
	address.sin_port = htons((unsigned short)atoi(arguments[sends ? 2 : 3]));
	if (sends)
		return send_all(&address, atoi(arguments[3]));
	if (atoi(arguments[4]) > STREAMS)
		return 64;
	return sink(&address, atoi(arguments[4]));
}
