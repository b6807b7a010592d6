// SPDX-License-Identifier: Apache-2.0

import CLinux
import CRecord
import Glibc
import ReserveKernel
import ReserveModel

/// How the watch comes by its settings anew on SIGHUP: it rings a bell, another process reads and
/// checks the files, and leaves what holds in a page that both have (docs/decisions/0012).
///
/// Ringing is an addition in the kernel, looking a load: the loop opens nothing, allocates
/// nothing and waits for nobody, however long the other is frozen.
struct SettingsExchange: ~Copyable {
    private let page: OpaquePointer
    private let bell: Int32
    /// Since when an answer is due; 0: none is.
    private var asked: UInt64 = 0
    private var isOverdue = false
    private var count: UInt32 = 0
    /// What holds.
    private(set) var record: rw_times

    /// An answer that takes longer is told as missing. It is taken all the same when it comes.
    private static let patience: UInt64 = 10_000_000_000

    init(_ descriptors: AgentSettings.Exchange, holds record: rw_times) throws(WatchError) {
        guard let page = rw_exchange_map(descriptors.file) else {
            throw .resources(operation: "map the exchange of settings", errno: errno)
        }
        close(descriptors.file)
        _ = fcntl(descriptors.bell, F_SETFD, FD_CLOEXEC)
        self.page = page
        bell = descriptors.bell
        self.record = record
    }

    /// Asks for the settings; it is told to nobody yet.
    mutating func ask(at now: UInt64) {
        count = rw_exchange_ask(page, bell)
        asked = now
        isOverdue = false
    }

    /// From every turn: the record to publish when something came, or when it is missing.
    mutating func turn(at now: UInt64) -> rw_times? {
        var given = rw_times()
        let size = withUnsafeMutableBytes(of: &given) { bytes in
            bytes.baseAddress.map { rw_exchange_take(page, $0, bytes.count) } ?? 0
        }
        if size == MemoryLayout<rw_times>.size {
            asked = 0
            isOverdue = false
            // What is refused changes nothing but the count of its errors.
            if given.outcome == RW_SETTINGS_TAKEN.rawValue { record = given }
            record.outcome = given.outcome
            record.errors = given.errors
            record.waiting = given.waiting
            return told(at: now)
        }
        guard asked > 0, !isOverdue, now > asked, now - asked >= Self.patience else { return nil }
        isOverdue = true
        record.outcome = RW_SETTINGS_UNANSWERED.rawValue
        return told(at: now)
    }

    private mutating func told(at now: UInt64) -> rw_times {
        record.asked = count
        record.header = SettingsRecord.header(at: now)
        return record
    }
}

/// The record of settings.
public enum SettingsRecord {
    static func header(at bootNanoseconds: UInt64) -> rw_header {
        rw_header(
            stem: UInt16(RW_STEM_AGENT.rawValue), kind: UInt16(RW_AGENT_SETTINGS.rawValue),
            size: UInt32(MemoryLayout<rw_times>.size), boot_ns: bootNanoseconds, cpu: 0,
            reserved: 0)
    }

    /// What holds with these times.
    public static func make(
        _ policy: Policy, _ outcome: rw_settings_outcome, errors: Int = 0, waiting: Int = 0
    ) -> rw_times {
        var record = rw_times()
        record.header = header(at: rw_boot_ns())
        for time in AdjustableTime.all { record[keyPath: time.place] = policy[keyPath: time.field] }
        record.outcome = outcome.rawValue
        record.errors = UInt32(clamping: errors)
        record.waiting = UInt32(clamping: waiting)
        return record
    }
}
