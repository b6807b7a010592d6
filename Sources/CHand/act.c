// SPDX-License-Identifier: Apache-2.0
//
// The three threads: one that acts, one that looks who is there and does what needs looking, and one
// that waits for the memory of victims.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "../CLinux/include/clinux.h"

// Between two looks at who is there; the first while nothing is wrong.
#define CALM_LOOK_MS 5000
#define LOOK_MS 1000

void settle_thread(const struct rw_hand *hand, uint64_t capabilities)
{
	struct sched_param parameters = {.sched_priority = hand->settings.priority};
	volatile char room[16 * 1024];

	for (unsigned i = 0; i < sizeof(room); i += 1024)
		room[i] = 0;
	// Of a thread each, not of the process.
	rw_set_io_flusher();
	if (hand->settings.priority > 0)
		sched_setscheduler(0, SCHED_FIFO, &parameters);
	rw_keep_capabilities(capabilities, capabilities);
}

void describe(const struct rw_hand *hand, const struct rw_directive *directive,
	      struct rw_enforce *act)
{
	const struct rw_hand_rule *rule = &hand->settings.rules[directive->rule];

	memset(act, 0, sizeof(*act));
	memcpy(act->rule, rule->name, sizeof(act->rule));
	memcpy(act->target, rule->place, sizeof(act->target));
	if (directive->disk[0]) {
		memset(act->target, 0, sizeof(act->target));
		memcpy(act->target, directive->disk, sizeof(directive->disk));
	}
	act->rule_index = directive->rule;
	act->serial = directive->serial;
	act->mode = rule->mode;
	act->verb = directive->verb;
	act->outcome = directive->enforced ? RW_ENFORCE_DONE : RW_ENFORCE_WOULD;
	act->reason = directive->reason;
	act->choice = directive->choice;
}

void refuse(struct rw_enforce *act, uint8_t reason)
{
	act->outcome = RW_ENFORCE_REFUSED;
	act->reason = reason;
	act->deadline_boot_ns = 0;
}

void fail(struct rw_enforce *act, int error)
{
	act->outcome = RW_ENFORCE_FAILED;
	act->error = -error;
	act->deadline_boot_ns = 0;
}

void answer(struct rw_hand *hand, struct ring *results, const struct rw_directive *directive,
	    struct rw_enforce *act)
{
	act->header.boot_ns = now_ns();
	if (directive && act->header.boot_ns > directive->boot_ns)
		act->took_ns = act->header.boot_ns - directive->boot_ns;
	if (!ring_put(results, act))
		atomic_fetch_add(&hand->lost, 1);
}

void set_held(struct rw_enforce *act, uint64_t pages, uint64_t seen)
{
	act->held_pages = pages;
	act->held_boot_ns = seen;
	act->known |= RW_ENFORCE_HELD;
}

static void act_on(struct rw_hand *hand, const struct rw_directive *directive)
{
	struct rw_enforce act;

	describe(hand, directive, &act);
	switch (directive->verb) {
	case RW_ENFORCE_FREEZE:
		freeze(hand, directive, &act);
		break;
	case RW_ENFORCE_THAW:
	case RW_ENFORCE_MEMORY_HIGH_BACK:
	case RW_ENFORCE_RESUME:
		take_back(hand, &hand->from_act, directive);
		return;
	case RW_ENFORCE_KILL:
	case RW_ENFORCE_STOP:
		hit_largest(hand, directive, &act);
		return;
	case RW_ENFORCE_KILL_CGROUP:
		kill_cgroup(hand, directive, &act);
		break;
	case RW_ENFORCE_END_CONNECTION:
		end_one_connection(hand, directive, &act);
		break;
	case RW_ENFORCE_DISCONNECT:
		disconnect(hand, directive, &act);
		break;
	case RW_ENFORCE_CLEAR:
		clear_requests(hand, directive, &act);
		break;
	case RW_ENFORCE_RECONNECT:
		reconnect(hand, directive, &act);
		break;
	default:
		fail(&act, -EOPNOTSUPP);
	}
	answer(hand, &hand->from_act, directive, &act);
}

void *act_thread(void *argument)
{
	struct rw_hand *hand = argument;
	struct rw_directive directive;
	bool has_undone = false;

	settle_thread(hand, hand->needs.act);
	for (;;) {
		if (!atomic_load(&hand->no_keeper)) {
			has_undone = false;
		} else if (!has_undone) {
			// Nobody would take it back if we died.
			undo_all(hand, &hand->from_act, RW_ENFORCE_KEEPER_DIED);
			has_undone = true;
		}
		if (ring_take(&hand->to_act, &directive)) {
			act_on(hand, &directive);
			continue;
		}
		if (atomic_load(&hand->closing))
			break;
		ring_wait(&hand->to_act, 200);
	}
	undo_all(hand, &hand->from_act, RW_ENFORCE_AGENT_ENDS);
	atomic_fetch_sub(&hand->running, 1);
	return NULL;
}

/// Looks who is there. Whether in some rule's place there is nobody, or not as many as at the last
/// look: a load that begins there, and takes the memory at once, is to be known by then.
static bool look(struct rw_hand *hand)
{
	bool may_begin = false;

	for (uint32_t i = 0; i < hand->settings.rule_count; i++) {
		uint32_t before, now;

		if (!hand->settings.rules[i].place[0] ||
		    hand->settings.rules[i].mode == RW_ENFORCE_OFF)
			continue;
		if (group_bind(&hand->groups[i], hand->mount, hand->settings.rules[i].place))
			continue;
		before = atomic_load(&hand->censuses[i].members);
		census_take(&hand->censuses[i], &hand->groups[i], hand->proc, &hand->protection);
		now = atomic_load(&hand->censuses[i].members);
		may_begin = may_begin || !now || now != before;
	}
	return may_begin;
}

void *look_thread(void *argument)
{
	struct rw_hand *hand = argument;
	struct rw_directive directive;
	uint64_t looked = 0;
	bool may_begin = true;

	settle_thread(hand, hand->needs.look);
	while (!atomic_load(&hand->closing)) {
		bool is_calm;

		if (ring_take(&hand->to_look, &directive)) {
			struct rw_enforce act;

			describe(hand, &directive, &act);
			if (directive.verb == RW_ENFORCE_MEMORY_HIGH) {
				limit_memory(hand, &directive, &act);
				answer(hand, &hand->from_look, &directive, &act);
			} else {
				hit_socket_owner(hand, &directive, &act);
			}
			continue;
		}
		// By the state of now: it may have been calm at the last look.
		is_calm = atomic_load(&hand->host_state) < STATE_RESERVE;
		if (now_ns() >=
		    looked + (is_calm && !may_begin ? CALM_LOOK_MS : LOOK_MS) * 1000000ull) {
			may_begin = look(hand);
			spares_keep(hand);
			looked = now_ns();
		}
		if (spares_place(hand))
			spares_keep(hand);
		ring_wait(&hand->to_look, 200);
	}
	atomic_fetch_sub(&hand->running, 1);
	return NULL;
}

void *reap_thread(void *argument)
{
	struct rw_hand *hand = argument;
	struct reaping reaping;

	settle_thread(hand, 0);
	for (;;) {
		if (ring_take(&hand->to_reap, &reaping)) {
			reap(hand, &reaping);
			continue;
		}
		if (atomic_load(&hand->closing))
			break;
		ring_wait(&hand->to_reap, 200);
	}
	atomic_fetch_sub(&hand->running, 1);
	return NULL;
}
