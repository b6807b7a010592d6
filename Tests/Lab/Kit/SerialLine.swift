// SPDX-License-Identifier: Apache-2.0

/// The guest's serial lines besides its console, in the order in which the emulator has them.
/// A line for each thing that must be seen in a stall: what writes to one waits for no other.
public enum SerialLine: Int, CaseIterable, Sendable {
    case events = 4
    case record
    /// The lab's own probe.
    case probe
    case marks
    /// The watch's own beat.
    case beat
    case shell
    case earlyoom
    case bpftrace
    case alerts
    /// Connected, and never read: it takes some hundred bytes, then no more.
    case jammed
    /// The trace of reclaim, compressed, once the agent has ended.
    case trace
    /// What the journal of a guest with systemd has, once all is over.
    case journal

    public var name: String { String(describing: self) }
    public var device: String { "/dev/ttyS\(rawValue)" }

    /// Where the emulator leaves what came over it; nil where that is of no use.
    public var file: String? {
        switch self {
        case .events: return "events.jsonl"
        case .record: return "recording.rwr"
        case .probe: return "counters.txt"
        case .marks: return "marks.txt"
        case .alerts: return "alerts.txt"
        case .beat, .shell, .earlyoom, .bpftrace: return "beat-\(name).txt"
        case .trace: return "trace.gz"
        case .journal: return "journal.txt"
        case .jammed: return nil
        }
    }

    /// Whether the runner reads it as it comes, with the time of each line.
    public var isStamped: Bool {
        switch self {
        case .events, .record, .jammed, .trace, .journal: return false
        default: return true
        }
    }

    /// The shell's name for it in /lab.conf.
    public var setting: (String, String) { (name.uppercased(), device) }
}

/// Which processes beat beside the watch in the same guest, for comparison.
public enum Companion: String, CaseIterable, Codable, Sendable {
    /// A loop of busybox' shell: echo, sleep.
    case shell
    case earlyoom
    case bpftrace

    public var line: SerialLine {
        switch self {
        case .shell: return .shell
        case .earlyoom: return .earlyoom
        case .bpftrace: return .bpftrace
        }
    }

    /// "shell,earlyoom"; nil of an unknown or empty word.
    static func parse(_ text: String) -> [Companion]? {
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        let found = words.compactMap { Companion(rawValue: String($0)) }
        return found.count == words.count ? found : nil
    }
}
