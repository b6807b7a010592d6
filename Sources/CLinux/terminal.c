// SPDX-License-Identifier: Apache-2.0
//
// A terminal in raw mode, and how it gets out of it: a signal handler must be able to do it,
// so all that it needs lies in static memory and takes only calls that a handler may make.
#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct {
	int descriptor;
	const char *enter;
	const char *leave;
	struct termios before;
	struct termios raw;
	volatile sig_atomic_t taken;
	volatile sig_atomic_t continued;
} terminal = {.descriptor = -1};

// A crash may come from an overflown stack.
static char handler_stack[64 * 1024];

// The descriptor does not block: a slow line gets what it takes within two seconds.
static void write_all(const char *text)
{
	size_t left = strlen(text);

	for (int tries = 0; left > 0 && tries < 200; tries++) {
		ssize_t written = write(terminal.descriptor, text, left);

		if (written > 0) {
			text += written;
			left -= (size_t)written;
		} else if (written < 0 && errno == EAGAIN) {
			nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
		} else if (written < 0 && errno != EINTR) {
			return;
		}
	}
}

void rw_terminal_leave(void)
{
	int saved = errno;

	if (terminal.taken) {
		terminal.taken = 0;
		write_all(terminal.leave);
		tcsetattr(terminal.descriptor, TCSADRAIN, &terminal.before);
	}
	errno = saved;
}

static void die(int number)
{
	rw_terminal_leave();
	signal(number, SIG_DFL);
	raise(number);
}

static void stop(int number)
{
	(void)number;
	rw_terminal_leave();
	raise(SIGSTOP);
}

static void go_on(int number)
{
	int saved = errno;

	(void)number;
	terminal.continued++;
	if (terminal.descriptor >= 0) {
		tcsetattr(terminal.descriptor, TCSADRAIN, &terminal.raw);
		write_all(terminal.enter);
		terminal.taken = 1;
	}
	errno = saved;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};

	sigset_t one;

	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, number);
	sigaction(number, &action, NULL);
	// Whoever started us may have left it blocked.
	sigemptyset(&one);
	sigaddset(&one, number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

int rw_terminal_enter(int descriptor, const char *enter, const char *leave)
{
	// Whatever ends a process by default, but for what comes through signalfd.
	static const int deadly[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,    SIGFPE,
				     SIGSEGV, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF,
				     SIGXCPU, SIGXFSZ, SIGPOLL, SIGPWR,  SIGSYS,    SIGSTKFLT};
	stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};

	if (tcgetattr(descriptor, &terminal.before))
		return -errno;
	terminal.raw = terminal.before;
	cfmakeraw(&terminal.raw);
	terminal.descriptor = descriptor;
	terminal.enter = enter;
	terminal.leave = leave;
	if (tcsetattr(descriptor, TCSADRAIN, &terminal.raw))
		return -errno;
	terminal.taken = 1;
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		handle(deadly[i], die);
	handle(SIGTSTP, stop);
	handle(SIGCONT, go_on);
	atexit(rw_terminal_leave);
	write_all(enter);
	return 0;
}

unsigned rw_terminal_continued(void)
{
	return (unsigned)terminal.continued;
}

int rw_terminal_reopen(int descriptor)
{
	char path[32];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	opened = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (opened < 0)
		opened = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	return opened < 0 ? -errno : opened;
}
