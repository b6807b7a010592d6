// SPDX-License-Identifier: Apache-2.0
//
// Packets into sockets whose owner is slow to read.
//
//   flood send PORT DATAGRAMS_PER_S      outside the guest, on loopback
//   flood sink HOST PORT STREAMS QUEUE_KIB AFTER_S [never] [kernel] [ordinary]     in the guest
//
// The sink waits for AFTER_S seconds. With `never` it reads nothing at all. With
// `kernel` the streams' queues are as long as the system lets them. The OOM killer
// passes the sink over, but for an `ordinary` one.
//
// The sink connects STREAMS times over TCP, asks for datagrams over UDP, lets all
// of it queue up to QUEUE_KIB a socket, and takes the queues in one gulp each
// four seconds, in locked memory: then the next wave comes in. The sender fills the streams as far as they go, and sends datagrams of
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

/* A socket to there whose receive queue may grow so long, whatever the system's bound; with 0
 * as long as the system lets it.
 */
static int connected(const struct sockaddr_in *there, int type, int queue_bytes)
{
	int made = socket(AF_INET, type, 0);

	if ((queue_bytes &&
	     setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes, sizeof(queue_bytes))) ||
	    connect(made, (const struct sockaddr *)there, sizeof(*there)))
		return -1;
	return made;
}

struct taken {
	long long datagrams, bytes;
};

/* What lies in a queue, at most so much: more keeps coming. */
static struct taken take(int queue, int queue_bytes)
{
	struct taken taken = {0};
	ssize_t size;

	while (taken.bytes < queue_bytes &&
	       (size = recv(queue, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		taken.bytes += size;
		taken.datagrams++;
	}
	return taken;
}

static int sink(const struct sockaddr_in *there, int count, int queue_bytes, int after_s, int reads,
		int is_forced, const char *score)
{
	struct timespec gulp = {.tv_sec = 4};
	struct timespec wait = {.tv_sec = after_s};
	int datagrams = connected(there, SOCK_DGRAM, queue_bytes);
	int adjust = open("/proc/self/oom_score_adj", O_WRONLY);
	int streams[STREAMS];
	long long taken = 0, read_bytes = 0;

	if (datagrams < 0)
		return refused("connect");
	if (write(adjust, score, strlen(score)) < 0 || mlockall(MCL_CURRENT | MCL_FUTURE))
		return refused("lock");
	nanosleep(&wait, NULL);
	for (int i = 0; i < count; i++) {
		streams[i] = connected(there, SOCK_STREAM, is_forced ? queue_bytes : 0);
		if (streams[i] < 0)
			return refused("connect");
	}
	if (send(datagrams, "begin", 5, 0) != 5)
		return refused("send");
	while (!stopped) {
		nanosleep(&gulp, NULL);
		if (!reads)
			continue;
		taken += take(datagrams, queue_bytes).datagrams;
		for (int i = 0; i < count; i++)
			read_bytes += take(streams[i], queue_bytes).bytes;
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
	int sinks = count >= 7 && !strcmp(arguments[1], "sink");
	int never = 0, kernel = 0, ordinary = 0;

	for (int i = 7; sinks && i < count; i++) {
		int is_never = !strcmp(arguments[i], "never");
		int is_kernel = !strcmp(arguments[i], "kernel");

		int is_ordinary = !strcmp(arguments[i], "ordinary");

		never |= is_never;
		kernel |= is_kernel;
		ordinary |= is_ordinary;
		sinks = is_never || is_kernel || is_ordinary;
	}
	if (!sends && !sinks) {
		fprintf(stderr,
			"usage: flood send PORT DATAGRAMS_PER_S\n"
			"       flood sink HOST PORT STREAMS QUEUE_KIB AFTER_S [never] [kernel] "
			"[ordinary]\n");
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
	return sink(&address, atoi(arguments[4]), atoi(arguments[5]) * 1024, atoi(arguments[6]),
		    !never, !kernel, ordinary ? "0" : "-1000");
}
