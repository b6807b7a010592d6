// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The clocks of this host.
public enum Clock {
    /// CLOCK_BOOTTIME.
    public static func bootNanoseconds() -> UInt64 { rw_boot_ns() }

    /// CLOCK_REALTIME minus CLOCK_BOOTTIME.
    static func realtimeOffsetNanoseconds() -> Int64 { rw_realtime_offset_ns() }

    /// Since 1970.
    static func realNanoseconds() -> Int64 {
        Int64(clamping: rw_boot_ns()) &+ rw_realtime_offset_ns()
    }
}
