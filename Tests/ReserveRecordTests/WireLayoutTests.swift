// SPDX-License-Identifier: Apache-2.0

import CRecord
import Testing

/// The offsets of what recordings hold: a change here breaks every recording ever made.
@Suite struct WireLayoutTests {
    @Test func headerIsTwentyFourBytes() {
        #expect(MemoryLayout<rw_header>.size == 24)
        #expect(MemoryLayout<rw_header>.offset(of: \.stem) == 0)
        #expect(MemoryLayout<rw_header>.offset(of: \.kind) == 2)
        #expect(MemoryLayout<rw_header>.offset(of: \.size) == 4)
        #expect(MemoryLayout<rw_header>.offset(of: \.boot_ns) == 8)
        #expect(MemoryLayout<rw_header>.offset(of: \.cpu) == 16)
    }

    @Test func taskFollowsTheHeader() {
        #expect(MemoryLayout<rw_reserve>.offset(of: \.task) == 24)
        #expect(MemoryLayout<rw_task>.offset(of: \.tid) == 0)
        #expect(MemoryLayout<rw_task>.offset(of: \.tgid) == 4)
        #expect(MemoryLayout<rw_task>.offset(of: \.cgroup_id) == 8)
        #expect(MemoryLayout<rw_task>.offset(of: \.comm) == 16)
    }

    @Test func reserveFieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_reserve>.offset(of: \.serial) == 56)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.held_ns) == 64)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.gfp_flags) == 72)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.order) == 76)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.context) == 77)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.entitlement) == 78)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.allowance) == 79)
        #expect(MemoryLayout<rw_reserve>.offset(of: \.stack) == 80)
    }

    @Test func zoneFieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_zone>.offset(of: \.name) == 32)
        #expect(MemoryLayout<rw_zone>.offset(of: \.free_pages) == 48)
        #expect(MemoryLayout<rw_zone>.offset(of: \.min_pages) == 80)
        #expect(MemoryLayout<rw_zone>.offset(of: \.protection_pages) == 144)
        #expect(MemoryLayout<rw_zone>.offset(of: \.protection_count) == 192)
    }

    @Test func deviceFieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.issued) == 48)
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.in_flight) == 88)
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.oldest_ns) == 96)
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.latency_us) == 160)
    }

    @Test func countersFieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_counters_record>.offset(of: \.known) == 24)
        #expect(MemoryLayout<rw_counters_record>.offset(of: \.counters) == 56)
        #expect(MemoryLayout<rw_counters>.offset(of: \.allocstall) == 17 * 8)
        #expect(MemoryLayout<rw_counters>.offset(of: \.pgscan_direct_throttle) == 22 * 8)
        #expect(MemoryLayout<rw_counters>.offset(of: \.emitted) == 58 * 8)
    }

    @Test func guardFieldsStayWhereTheyAre() {
        #expect(MemoryLayout<rw_guard_attempt>.offset(of: \.task) == 24)
        #expect(MemoryLayout<rw_guard_attempt>.offset(of: \.target) == 56)
        #expect(MemoryLayout<rw_guard_attempt>.offset(of: \.action) == 88)
        #expect(MemoryLayout<rw_guard_attempt>.offset(of: \.device) == 116)
        #expect(MemoryLayout<rw_guard_attempt>.offset(of: \.disk) == 120)
        #expect(MemoryLayout<rw_guarded>.offset(of: \.role) == 56)
        #expect(MemoryLayout<rw_guarded>.offset(of: \.disk) == 72)
        #expect(MemoryLayout<rw_guarded>.offset(of: \.start_boot_ns) == 88)
        #expect(MemoryLayout<rw_wide_counters>.offset(of: \.guard_attempts) == 456)
        #expect(MemoryLayout<rw_wide_counters>.offset(of: \.guard_untracked) == 712)
    }

    @Test func whatCameWithWireTwoStandsAtTheEnds() {
        #expect(MemoryLayout<rw_node>.offset(of: \.kswapd_wakes) == 96)
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.config_known) == 352)
        #expect(MemoryLayout<rw_nbd_device>.offset(of: \.worst_oldest_ns) == 432)
        #expect(MemoryLayout<rw_swap_device>.offset(of: \.major) == 192)
        #expect(MemoryLayout<rw_oom>.offset(of: \.points) == 80)
        #expect(MemoryLayout<rw_counters_record>.offset(of: \.wide) == 1040)
    }

    @Test func widerRecordsKeepTheirOffsets() {
        #expect(MemoryLayout<rw_socket>.offset(of: \.family) == 64)
        #expect(MemoryLayout<rw_socket>.offset(of: \.owner) == 128)
        #expect(MemoryLayout<rw_socket>.offset(of: \.disk) == 232)
        #expect(MemoryLayout<rw_socket>.offset(of: \.bytes_sent) == 256)
        #expect(MemoryLayout<rw_socket>.offset(of: \.delivered) == 328)
        #expect(MemoryLayout<rw_socket>.offset(of: \.inode) == 336)
        #expect(MemoryLayout<rw_socket_drop>.offset(of: \.bytes) == 112)
        #expect(MemoryLayout<rw_slab_cache>.offset(of: \.slabs_allocated) == 64)
        #expect(MemoryLayout<rw_swap_usage>.offset(of: \.in_pages) == 56)
        #expect(MemoryLayout<rw_swap_usage>.offset(of: \.reads_known) == 480)
        #expect(MemoryLayout<rw_stack>.offset(of: \.frame) == 32)
        #expect(MemoryLayout<rw_wide_counters>.offset(of: \.pfmemalloc_drop) == 32 * 8)
    }

    @Test func whatTheWatchTellsOfItselfKeepsItsOffsets() {
        #expect(MemoryLayout<rw_self>.offset(of: \.known) == 116)
        #expect(MemoryLayout<rw_self>.offset(of: \.map_bytes) == 120)
        #expect(MemoryLayout<rw_self>.offset(of: \.allocation_stack) == 152)
        #expect(MemoryLayout<rw_standing>.offset(of: \.totals_known) == 28)
        #expect(MemoryLayout<rw_standing>.offset(of: \.tracks) == 40)
        #expect(MemoryLayout<rw_standing>.offset(of: \.state_ns) == 104)
        #expect(MemoryLayout<rw_told>.offset(of: \.track) == 24)
        #expect(MemoryLayout<rw_told>.offset(of: \.place) == 56)
        #expect(MemoryLayout<rw_told>.offset(of: \.lost_wire) == 68)
        #expect(MemoryLayout<rw_program>.offset(of: \.missed) == 64)
        #expect(MemoryLayout<rw_program>.offset(of: \.runs) == 72)
        #expect(MemoryLayout<rw_table>.offset(of: \.capacity) == 56)
        #expect(MemoryLayout<rw_table>.offset(of: \.most_entries) == 72)
    }
}
