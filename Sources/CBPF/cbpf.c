// SPDX-License-Identifier: Apache-2.0
#include "internal.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern const unsigned char rw_bpf_object[];
extern const unsigned long rw_bpf_object_size;

#define MESSAGE_BYTES 512
#define PROGRAM_NAME_BYTES 64

static char message[MESSAGE_BYTES];
static char refused[PROGRAM_NAME_BYTES];

// libbpf prints the verifier's whole log; we keep the first line that says
// something, and the name of the program that was refused.
static int keep_message(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[MESSAGE_BYTES];
	char name[PROGRAM_NAME_BYTES];

	if (level == LIBBPF_DEBUG)
		return 0;
	if (getenv("RESERVEWATCH_LIBBPF_LOG")) {
		va_list copy;

		va_copy(copy, arguments);
		vfprintf(stderr, format, copy);
		va_end(copy);
	}
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = 0;
	// The second: a module has its BTF, and yet not that function.
	if (sscanf(line, "libbpf: prog '%63[^']':", name) == 1 &&
	    (strstr(line, "load failed") || strstr(line, "failed to find kernel BTF type")))
		snprintf(refused, sizeof(refused), "%s", name);
	if (!message[0])
		snprintf(message, sizeof(message), "%s", line);
	return 0;
}

static void start_message(void)
{
	message[0] = 0;
	libbpf_set_print(keep_message);
}

static int fail(const char *what, const char *subject, int error)
{
	if (!message[0])
		snprintf(message, sizeof(message), "%s %s: %s", what, subject, strerror(-error));
	return error;
}

const char *rw_bpf_message(void)
{
	return message;
}

const char *rw_bpf_refused_program(void)
{
	return refused;
}

struct rw_bpf *rw_bpf_open(uint32_t ring_bytes)
{
	struct bpf_object_open_opts options = {.sz = sizeof(options),
					       .object_name = "reservewatch"};
	struct bpf_program *program;
	struct rw_bpf *bpf = calloc(1, sizeof(*bpf));
	int error;

	if (!bpf)
		return NULL;
	start_message();
	refused[0] = 0;
	bpf->object = bpf_object__open_mem(rw_bpf_object, rw_bpf_object_size, &options);
	if (!bpf->object) {
		fail("open", "the embedded BPF object", -errno);
		free(bpf);
		return NULL;
	}
	bpf_object__for_each_program(program, bpf->object)
		bpf_program__set_autoload(program, false);
	error = bpf_map__set_max_entries(bpf_object__find_map_by_name(bpf->object, "rw_ring"),
					 ring_bytes);
	if (error) {
		fail("size", "the ring buffer", error);
		rw_bpf_close(bpf);
		return NULL;
	}
	return bpf;
}

void rw_bpf_close(struct rw_bpf *bpf)
{
	if (!bpf)
		return;
	rw_end_guard_search(bpf);
	for (int i = 0; i < PROGRAMS_MAX; i++)
		bpf_link__destroy(bpf->links[i]);
	if (bpf->shared)
		munmap(bpf->shared, bpf->shared_bytes);
	if (bpf->ring.consumer_position)
		munmap(bpf->ring.consumer_position, (size_t)sysconf(_SC_PAGESIZE));
	if (bpf->ring.producer_position)
		munmap((void *)bpf->ring.producer_position, bpf->ring_mapped_bytes);
	bpf_object__close(bpf->object);
	free(bpf);
}

int rw_bpf_enable(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);

	start_message();
	if (!program)
		return fail("find the BPF program", name, -ENOENT);
	return bpf_program__set_autoload(program, true);
}

static int map_shared(struct rw_bpf *bpf)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map *map;
	void *memory;

	// The only variable in .bss is rw_shared, so the map is that struct.
	bpf_object__for_each_map(map, bpf->object) if (strstr(bpf_map__name(map), ".bss")) break;
	if (!map || bpf_map__value_size(map) < sizeof(struct rw_shared))
		return fail("find", "the shared memory of the BPF object", -EINVAL);
	bpf->shared_bytes = (bpf_map__value_size(map) + page - 1) & ~(page - 1);
	memory = mmap(NULL, bpf->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map),
		      0);
	if (memory == MAP_FAILED)
		return fail("map", "the shared memory of the BPF object", -errno);
	bpf->shared = memory;
	return 0;
}

static int map_ring(struct rw_bpf *bpf)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, "rw_ring");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory;

	bpf->ring.size_bytes = bpf_map__max_entries(map);
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (memory == MAP_FAILED)
		return fail("map", "the ring's consumer page", -errno);
	bpf->ring.consumer_position = memory;
	bpf->ring_mapped_bytes = page + 2 * bpf->ring.size_bytes;
	memory = mmap(NULL, bpf->ring_mapped_bytes, PROT_READ, MAP_SHARED, bpf_map__fd(map),
		      (off_t)page);
	if (memory == MAP_FAILED)
		return fail("map", "the ring's data", -errno);
	bpf->ring.producer_position = memory;
	bpf->ring.data = (const uint8_t *)memory + page;
	return 0;
}

int rw_bpf_load(struct rw_bpf *bpf)
{
	int error;

	start_message();
	refused[0] = 0;
	error = bpf_object__load(bpf->object);
	if (error)
		return fail("load", "the BPF object", error);
	error = map_shared(bpf);
	return error ? error : map_ring(bpf);
}

int rw_bpf_attach(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);

	start_message();
	if (!program)
		return fail("find the BPF program", name, -ENOENT);
	for (int i = 0; i < PROGRAMS_MAX; i++) {
		if (bpf->links[i])
			continue;
		bpf->links[i] = bpf_program__attach(program);
		if (!bpf->links[i])
			return fail("attach the BPF program", name, -errno);
		bpf->linked[i] = bpf_program__name(program);
		return 0;
	}
	return fail("attach the BPF program", name, -ENOSPC);
}

int rw_bpf_detach(struct rw_bpf *bpf, const char *name)
{
	for (int i = 0; i < PROGRAMS_MAX; i++) {
		if (!bpf->links[i] || strcmp(bpf->linked[i], name))
			continue;
		bpf_link__destroy(bpf->links[i]);
		bpf->links[i] = NULL;
		return 0;
	}
	return -ENOENT;
}

int rw_bpf_run_iterator(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);
	struct bpf_link *link;
	char ignored[256];
	int descriptor;
	ssize_t count;

	start_message();
	if (!program)
		return fail("find the BPF program", name, -ENOENT);
	link = bpf_program__attach_iter(program, NULL);
	if (!link)
		return fail("attach the iterator", name, -errno);
	descriptor = bpf_iter_create(bpf_link__fd(link));
	if (descriptor < 0) {
		bpf_link__destroy(link);
		return fail("create the iterator", name, descriptor);
	}
	// Each read goes over some of the objects; the program prints nothing.
	do
		count = read(descriptor, ignored, sizeof(ignored));
	while (count > 0 || (count < 0 && errno == EAGAIN));
	if (count < 0)
		count = -errno;
	close(descriptor);
	bpf_link__destroy(link);
	return count < 0 ? fail("run the iterator", name, (int)count) : 0;
}

// Runs one of the object's system call programs; its own return value says which step failed.
static int run_program(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);
	struct bpf_test_run_opts options = {.sz = sizeof(options)};
	int error;

	start_message();
	error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (error)
		return fail("run the BPF program", name, error);
	if (options.retval) {
		snprintf(message, sizeof(message), "%s: step %u was refused", name, options.retval);
		return -EINVAL;
	}
	return 0;
}

int rw_bpf_start_sampler(struct rw_bpf *bpf)
{
	return run_program(bpf, "start_sampler");
}

int rw_bpf_final_report(struct rw_bpf *bpf)
{
	return run_program(bpf, "final_report");
}

int rw_bpf_count_tables(struct rw_bpf *bpf)
{
	return run_program(bpf, "count_tables");
}

int rw_bpf_program_descriptor(struct rw_bpf *bpf, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, name);

	return program ? bpf_program__fd(program) : -ENOENT;
}

bool rw_bpf_figures(struct rw_bpf *bpf, const char *name, struct rw_bpf_figures *figures)
{
	int descriptor = rw_bpf_program_descriptor(bpf, name);
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	if (descriptor < 0 || bpf_obj_get_info_by_fd(descriptor, &info, &size))
		return false;
	figures->runs = info.run_cnt;
	figures->run_ns = info.run_time_ns;
	figures->jited_bytes = info.jited_prog_len;
	// An older kernel fills in less.
	figures->missed = size < offsetof(struct bpf_prog_info, recursion_misses) +
						  sizeof(info.recursion_misses)
				  ? -1
				  : (int64_t)info.recursion_misses;
	return true;
}

int rw_bpf_map_descriptor(struct rw_bpf *bpf, uint32_t index)
{
	struct bpf_map *map;
	uint32_t number = 0;

	bpf_object__for_each_map(map, bpf->object)
	{
		if (number++ == index)
			return bpf_map__fd(map);
	}
	return -ENOENT;
}

uint32_t rw_bpf_map_capacity(struct rw_bpf *bpf, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf->object, name);

	return map ? bpf_map__max_entries(map) : 0;
}

struct rw_shared *rw_bpf_shared(struct rw_bpf *bpf)
{
	return bpf->shared;
}

struct rw_ring rw_bpf_ring(struct rw_bpf *bpf)
{
	return bpf->ring;
}

// Parsing a kernel's BTF takes a few milliseconds and some megabytes, so it is kept
// for one group of questions of one thread, until rw_btf_close().
static _Thread_local struct btf *asked_btf;
static _Thread_local bool asked_btf_is_file;

// libbpf names what is wrong with a file by numbers of its own, above errno's, and by
// such that mean something else for a file that could be opened.
static int errno_of_btf(int error)
{
	switch (error) {
	case -LIBBPF_ERRNO__FORMAT:
	case -LIBBPF_ERRNO__LIBELF:
	case -LIBBPF_ERRNO__ENDIAN:
	case -EINVAL:
	case -EIO: // shorter than it says, or empty
		return -EPROTO;
	case -ENOENT: // an ELF file, without the section
		return -ENODATA;
	}
	return error;
}

int rw_btf_open(const char *path)
{
	struct stat status;
	int error;

	rw_btf_close();
	start_message();
	if (access(path, R_OK) || stat(path, &status))
		return fail("open", path, -errno);
	if (S_ISDIR(status.st_mode))
		return fail("read BTF from", path, -EISDIR);
	asked_btf = btf__parse(path, NULL);
	if (asked_btf) {
		asked_btf_is_file = true;
		return 0;
	}
	error = errno_of_btf(-errno);
	message[0] = 0;
	return fail("read BTF from", path, error);
}

void rw_btf_close(void)
{
	btf__free(asked_btf);
	asked_btf = NULL;
	asked_btf_is_file = false;
}

int rw_btf_available(void)
{
	start_message();
	if (!asked_btf)
		asked_btf = btf__load_vmlinux_btf();
	if (!asked_btf)
		return fail("read", "the kernel's BTF (/sys/kernel/btf/vmlinux)", -errno);
	return 0;
}

static int has(const char *name, uint32_t kind)
{
	if (rw_btf_available())
		return 0;
	return btf__find_by_name_kind(asked_btf, name, kind) > 0;
}

int rw_btf_has_tracepoint(const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return has(type, BTF_KIND_TYPEDEF);
}

int rw_function_id(const char *name)
{
	if (rw_btf_available())
		return -ENOENT;
	return btf__find_by_name_kind(asked_btf, name, BTF_KIND_FUNC);
}

int rw_btf_has_function(const char *name)
{
	return has(name, BTF_KIND_FUNC);
}

int rw_btf_has_variable(const char *name)
{
	return has(name, BTF_KIND_VAR);
}

int rw_bpf_try_fentry(const char *function)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_prog_load_opts options = {.sz = sizeof(options)};
	int id, descriptor;

	if (asked_btf_is_file)
		return -EBUSY;
	if (rw_btf_available())
		return -ENOENT;
	id = btf__find_by_name_kind(asked_btf, function, BTF_KIND_FUNC);
	if (id <= 0)
		return fail("find in BTF", function, -ENOENT);
	options.expected_attach_type = BPF_TRACE_FENTRY;
	options.attach_btf_id = (uint32_t)id;
	descriptor = bpf_prog_load(BPF_PROG_TYPE_TRACING, "rw_try_fentry", "GPL", instructions,
				   sizeof(instructions) / sizeof(instructions[0]), &options);
	if (descriptor < 0) {
		message[0] = 0;
		return fail("load a trial fentry program on", function, descriptor);
	}
	close(descriptor);
	return 0;
}

int rw_bpf_try_ring(void)
{
	int descriptor;

	start_message();
	descriptor = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "rw_try_ring", 0, 0,
				    (uint32_t)sysconf(_SC_PAGESIZE), NULL);
	if (descriptor < 0)
		return fail("create", "a BPF ring buffer", descriptor);
	close(descriptor);
	return 0;
}
