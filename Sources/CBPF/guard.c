// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "guard.h"
#include "internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// ---- whether the kernel lets a program refuse ----

static int try_attached(int program)
{
	int link = bpf_raw_tracepoint_open(NULL, program);
	int refused;

	if (link < 0)
		return -errno;
	refused = kill(getpid(), 0) && errno == EPERM;
	close(link);
	return refused ? 0 : -ESRCH;
}

int rw_bpf_try_refusal(enum rw_refusal how)
{
	// Returns -EPERM to this process, 0 to every other.
	const struct bpf_insn instructions[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid},
		{.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .off = 2,
		 .imm = getpid()},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -EPERM},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_prog_load_opts options = {.sz = sizeof(options)};
	bool is_lsm = how == RW_REFUSAL_LSM;
	int id = rw_function_id(is_lsm ? "bpf_lsm_task_kill" : "security_task_kill");
	int program, result;

	if (id <= 0)
		return -ENOENT;
	options.attach_btf_id = (uint32_t)id;
	options.expected_attach_type = is_lsm ? BPF_LSM_MAC : BPF_MODIFY_RETURN;
	program = bpf_prog_load(is_lsm ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING,
				"rw_try_refusal", "GPL", instructions,
				sizeof(instructions) / sizeof(instructions[0]), &options);
	if (program < 0)
		return program;
	result = try_attached(program);
	close(program);
	return result;
}

// ---- who may ----

int rw_bpf_except(struct rw_bpf *bpf, const char *path)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, "guard_exceptions");
	char key[RW_GUARD_PATH_BYTES] = {0};
	uint32_t one = 1;
	size_t length = strlen(path);

	if (!map)
		return -ENOENT;
	if (length >= sizeof(key))
		return -ENAMETOOLONG;
	memcpy(key, path, length);
	return bpf_map__update_elem(map, key, sizeof(key), &one, sizeof(one), BPF_ANY);
}

// ---- the search ----

// The programs read a file in pieces and ask the kernel to run: no depth.
#define STACK_BYTES (64 * 1024)
// After a connection came: until the timer, which looks each second, knows its device.
#define SETTLE_MS 1200

struct guard_search {
	int begin; // programs
	int end;
	struct bpf_link *clients; // iterators
	struct bpf_link *holders;
	_Atomic uint32_t bell; // rung to have it search; what the thread sleeps on
	_Atomic uint32_t closing;
	_Atomic uint32_t ended;
	pthread_t thread;
};

static int run(int program)
{
	struct bpf_test_run_opts options = {.sz = sizeof(options)};

	return bpf_prog_test_run_opts(program, &options);
}

static int iterate(struct bpf_link *link)
{
	int descriptor = bpf_iter_create(bpf_link__fd(link));
	char ignored[256];
	ssize_t count;

	if (descriptor < 0)
		return descriptor;
	do
		count = read(descriptor, ignored, sizeof(ignored));
	while (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)));
	if (count < 0)
		count = -errno;
	close(descriptor);
	return (int)count;
}

// Those found before a failure are guarded; who was not found is not let go then.
static int search(struct guard_search *search)
{
	int error = run(search->begin);

	if (!error)
		error = iterate(search->clients);
	if (!error)
		error = iterate(search->holders);
	return error ? error : run(search->end);
}

static void sleep_on(struct guard_search *search, uint32_t bell, const struct timespec *at_most)
{
	syscall(SYS_futex, &search->bell, FUTEX_WAIT_PRIVATE, bell, at_most, NULL, 0);
}

static void ring(struct guard_search *search)
{
	atomic_fetch_add(&search->bell, 1);
	syscall(SYS_futex, &search->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

// What it does from now on, it does with descriptors: it needs no right of its own. A kernel
// that refuses this leaves it with what the process has.
static void give_rights_away(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	syscall(SYS_capset, &header, none);
}

static void *search_when_asked(void *argument)
{
	const struct timespec settle = {.tv_sec = SETTLE_MS / 1000,
					.tv_nsec = SETTLE_MS % 1000 * 1000000};
	struct guard_search *own = argument;
	uint32_t answered = 0;

	give_rights_away();
	while (!atomic_load(&own->closing)) {
		uint32_t bell = atomic_load(&own->bell);

		if (bell == answered) {
			sleep_on(own, bell, NULL);
			continue;
		}
		// Rung again meanwhile, it does not wait longer: what came then is searched for next.
		sleep_on(own, bell, &settle);
		if (atomic_load(&own->closing))
			break;
		if (!search(own))
			answered = bell;
	}
	atomic_store(&own->ended, 1);
	return NULL;
}

static int start_thread(struct guard_search *search)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int failed;

	// Signals are the loop's.
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	failed = pthread_create(&search->thread, &attributes, search_when_asked, search);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -failed;
}

static int program_of(struct rw_bpf *bpf, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(bpf->object, name));
}

static struct bpf_link *iterator_of(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);

	return bpf_program__attach_iter(program, NULL);
}

static void discard(struct guard_search *search)
{
	bpf_link__destroy(search->clients);
	bpf_link__destroy(search->holders);
	free(search);
}

int rw_bpf_start_guard_search(struct rw_bpf *bpf)
{
	struct guard_search *own = calloc(1, sizeof(*own));
	int error = 0;

	if (!own)
		return -ENOMEM;
	own->begin = program_of(bpf, "guard_begin");
	own->end = program_of(bpf, "guard_end");
	own->clients = iterator_of(bpf, "guard_find_clients");
	if (own->clients)
		own->holders = iterator_of(bpf, "guard_find_holders");
	if (!own->holders)
		error = -errno;
	if (!error)
		error = search(own);
	if (!error)
		error = start_thread(own);
	if (error)
		discard(own);
	else
		bpf->guard_search = own;
	return error;
}

void rw_bpf_search_guarded(struct rw_bpf *bpf)
{
	if (bpf->guard_search)
		ring(bpf->guard_search);
}

void rw_end_guard_search(struct rw_bpf *bpf)
{
	struct guard_search *own = bpf->guard_search;

	if (!own)
		return;
	bpf->guard_search = NULL;
	atomic_store(&own->closing, 1);
	ring(own);
	for (int waited = 0; waited < 500 && !atomic_load(&own->ended); waited += 5)
		usleep(5000);
	if (!atomic_load(&own->ended)) {
		// It waits in the kernel for memory: it goes with the process.
		pthread_detach(own->thread);
		return;
	}
	pthread_join(own->thread, NULL);
	discard(own);
}
