// SPDX-License-Identifier: Apache-2.0

/// What must come of each attempt that `guest/guard` makes, and what the agent must tell of it:
/// no more and no less.
public struct GuardStep: Equatable, Sendable {
    /// One event of the agent about an attempt.
    public struct Told: Hashable, Sendable {
        public var action: String
        public var result: String
        public var reason: String
        public var way: String

        public init(_ action: String, _ result: String, _ reason: String, way: String = "") {
            self.action = action
            self.result = result
            self.reason = reason
            self.way = way
        }

        /// Of the event's JSON.
        public init(_ event: [String: Any]) {
            func word(_ name: String) -> String { event[name] as? String ?? "" }
            self.init(word("action"), word("result"), word("reason"), way: word("way"))
        }

        var words: String {
            [action, result, reason, way].filter { !$0.isEmpty }.joined(separator: " ")
        }
    }

    public var name: String
    /// 0 or the errno's name; empty where the process does not say.
    public var outcome: String
    public var told: [Told]

    init(_ name: String, _ outcome: String, _ told: Told...) {
        self.name = name
        self.outcome = outcome
        self.told = told
    }

    private static func observed(_ action: String, way: String = "") -> Told {
        Told(action, "allowed", "observing", way: way)
    }

    private static func refused(_ action: String, way: String = "") -> Told {
        Told(action, "refused", "rule", way: way)
    }

    private static func excepted(_ action: String, _ reason: String, way: String = "") -> Told {
        Told(action, "excepted", reason, way: way)
    }

    /// In the order in which they come.
    public static let all: [GuardStep] = [
        GuardStep("o-stop", "0", observed("signal")),
        GuardStep("o-attach", "0", observed("trace")),
        GuardStep("o-seize", "0", observed("trace")),
        GuardStep("o-peek", "0", observed("trace")),
        GuardStep("o-mem", "0", observed("trace", way: "proc")),
        GuardStep("o-agent", "0", observed("signal")),
        GuardStep("o-freeze", "0", observed("freeze")),
        GuardStep("o-nothing", "0"),
        GuardStep("o-cont", "0"),
        GuardStep("o-maps", "0"),
        GuardStep("o-disconnect", "0", observed("disconnect", way: "ioctl_disconnect")),
        GuardStep("o-swapoff", "0", observed("swapoff")),
        GuardStep("o-netlink", "", observed("disconnect", way: "netlink")),
        GuardStep("o-swapoff1", "0", observed("swapoff")),
        GuardStep("o-swapoff2", "0", observed("swapoff")),
        // Nothing is guarded any more.
        GuardStep("o-none", "EINVAL"),
        GuardStep("o-idle", "0"),
        GuardStep("o-past", "0"),
        GuardStep("e-kill", "EPERM", refused("signal")),
        GuardStep("e-stop", "EPERM", refused("signal")),
        GuardStep("e-term", "EPERM", refused("signal")),
        GuardStep("e-thread", "EPERM", refused("signal")),
        GuardStep("e-server", "EPERM", refused("signal")),
        GuardStep("e-attach", "EPERM", refused("trace")),
        GuardStep("e-seize", "EPERM", refused("trace")),
        GuardStep("e-peek", "EPERM", refused("trace")),
        GuardStep("e-mem", "EACCES", refused("trace", way: "proc")),
        GuardStep("e-maps", "0"),
        GuardStep("e-nothing", "0"),
        GuardStep("e-cont", "0"),
        GuardStep("e-swapoff", "EPERM", refused("swapoff")),
        GuardStep("e-alias", "EPERM", refused("swapoff")),
        GuardStep("e-disconnect", "EPERM", refused("disconnect", way: "ioctl_disconnect")),
        GuardStep("e-clear", "EPERM", refused("disconnect", way: "ioctl_clear_sock")),
        GuardStep("e-netlink", "", refused("disconnect", way: "netlink")),
        GuardStep("e-freeze", "0", Told("freeze", "allowed", "no_hook")),
        GuardStep("a-attach", "0", excepted("trace", "cgroup")),
        GuardStep("a-agent", "0", excepted("signal", "cgroup")),
        GuardStep("a-netlink", "", excepted("disconnect", "cgroup", way: "netlink")),
        GuardStep("a-swapoff", "0", excepted("swapoff", "cgroup")),
        GuardStep("u-client", "0", excepted("signal", "unit")),
        GuardStep("u-agent", "EPERM", refused("signal")),
        GuardStep("k-server", "0", Told("signal", "allowed", "no_hook", way: "kernel")),
        GuardStep("a-term", "0", excepted("signal", "cgroup")),
        GuardStep("d-before", "EPERM", refused("signal")),
        GuardStep("d-swapoff", "0"),
        GuardStep("d-after", "0"),
        // Told to disconnect, it clears the sockets itself before it ends.
        GuardStep(
            "nbd-client", "", excepted("disconnect", "guarded", way: "ioctl_clear_sock")),
        // Process 1, which is the script: it ends one agent, signals the client of the next,
        // and kills the last, which did not live to tell it.
        GuardStep("init", "", excepted("signal", "init"), excepted("signal", "init")),
    ]

    /// What came of it against what must come of it.
    public func row(outcome found: String?, told events: [Told]) -> Row {
        let isRight = found == outcome || outcome.isEmpty
        let words = events.map(\.words)
        let expected = told.map(\.words)
        let holds = isRight && words.sorted() == expected.sorted()
        return .check(
            "attempt \(name)", holds,
            ([found ?? "-"] + words).joined(separator: "; "),
            note: holds ? "" : "expected \(([outcome] + expected).joined(separator: "; "))")
    }
}
