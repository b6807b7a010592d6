// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why the lab cannot go on, with the way out. Each has an exit status of its own.
public enum LabError: Error, Equatable {
    case usage(String)
    case missingTool(String, install: String)
    case failed(String)

    public var exitStatus: Int32 {
        switch self {
        case .usage: return 2
        case .missingTool: return 3
        case .failed: return 5
        }
    }

    public var sentence: String {
        switch self {
        case .usage(let text): return text
        case .missingTool(let tool, let install):
            return "\(tool) is not installed; run: \(install)"
        case .failed(let text): return text
        }
    }
}

/// One scenario: what load, what fault, when. Read from a file of `key=value` lines.
public struct Scenario: Equatable, Sendable {
    public var name: String
    public var about = ""
    /// The command that the guest runs as its load.
    public var load = ""
    /// `prepared` or `default`: see README, "Hosts".
    public var host = "prepared"
    public var memoryMiB = 256
    public var cpus = 2
    public var minFreeKiB = 32768
    /// A prepared host is prepared by `reservewatch prepare`, not by the guest's script.
    public var preparesByCommand = false
    /// Seconds after the load's start at which the wire is pulled, and for how long.
    public var wireOffAfter: Int?
    public var wireOffFor = 60
    /// The guest is given up after so many seconds.
    public var limitSeconds = 420
    /// Whether the load must end well.
    public var mustComplete = true
    /// Debian's systemd is the guest's init, with the package installed on a disk of its own.
    public var usesSystemd = false
    /// NUMA nodes, over which memory and CPUs are spread evenly.
    public var nodes = 1
    /// The guest's swaps; one on the whole of nbd0 where the file names none.
    public var swaps: [SwapDevice] = [SwapDevice(device: "nbd0")]
    /// Version of the cgroup hierarchy in which the load runs: `v1` or `v2`.
    public var cgroup = "v2"
    /// The most memory that its cgroup allows the load; all where absent.
    public var loadLimitMiB: Int?
    /// Seconds after which the load is killed, should it still be there.
    public var loadForSeconds: Int?
    /// The kernels that can run it; all where empty.
    public var kernels: [String] = []
    /// Further options of `reservewatch events`.
    public var agentOptions = ""
    /// Driver of the network card through which the swap is reached: `virtio` or `e1000`.
    public var nic = "virtio"
    /// Packets from outside, through a card of their own, into sockets whose owner is slow to read.
    public var flood: Flood?
    public var faults = Faults()
    /// `outside` the guest, beyond its network, or `local`: in it, over a unix socket.
    public var serverIsLocal = false
    /// Who beats beside the watch in the same guest, for comparison.
    public var companions: [Companion] = []
    /// The watch's sinks and readers are blocked, each in its way.
    public var jammed = false
    /// The guest keeps a trace of reclaim, and a report of the run is held against the kernel's
    /// own script over it.
    public var trace = false
    /// A Prometheus outside scrapes the guest's metrics each so many seconds.
    public var scrapeSeconds: Int?
    /// Seconds for which a guest that is known to be deadlocked is left alone before it ends.
    public var deadlockForSeconds = 0
    /// What the watch must make of the run; nothing where absent.
    public var critical: Critical?
    /// Rules by which the agent acts: a file below `rules`, without its `.conf`.
    public var rules: String?
    /// Files of the NBD disks' queues, "scheduler=none": what else is the kernel's own choice.
    public var queueFiles: [String] = []
    /// What they may do in this scenario.
    public var acts = Acts.any
    /// Names of /proc/sys with their values: "net.ipv4.tcp_mem=1 2 3".
    public var sysctls: [String] = []
    /// What the run must bring about, or else it showed nothing.
    public var expectation: Expectation?

    /// When the watch must alert as critical.
    public enum Critical: Equatable, Sendable {
        case never
        /// So many seconds after the last completion before the longest stall.
        case within(seconds: Int)

        static func parse(_ text: String) -> Critical? {
            if text == "never" { return .never }
            guard text.hasSuffix("s"), let seconds = Int(text.dropLast()), seconds > 0 else {
                return nil
            }
            return .within(seconds: seconds)
        }
    }

    public enum Acts: String, Sendable {
        case any
        /// Nothing that is for good, and all else is taken back.
        case undone
        case none
    }

    public enum Expectation: String, Sendable {
        /// The kernel locks itself up, for sure or by chance: its own outcome, and no failure.
        case deadlock
        /// The OOM killer ends parts of the load, which then need not end well.
        case oom
        /// Records are lost to a full ring.
        case loss
    }

    /// Reads "streams=4 datagrams_per_s=1000 queue_kib=1024".
    public struct Flood: Equatable, Sendable {
        /// TCP connections of which as much is sent as their queues hold.
        public var streams = 0
        /// Receive buffer of each socket; it is read once it is full.
        public var queueKiB = 256
        /// UDP datagrams of 1400 bytes, sent whether or not they are read.
        public var datagramsPerSecond = 0
        /// The sockets are never read.
        public var neverReads = false
        /// The kernel bounds each receive buffer by its sysctls; else it is forced to `queueKiB`.
        public var isBoundedByKernel = false
        /// Its reader is a process like others, and not passed over by the OOM killer.
        public var isOrdinary = false
        /// It comes over the card of the swap, and not over one of its own.
        public var sharesCard = false
        /// Seconds after the load's start.
        public var after = 0

        static func parse(_ text: String) -> Flood? {
            var flood = Flood()
            for word in text.split(separator: " ") {
                let pair = word.split(separator: "=", maxSplits: 1)
                guard pair.count == 2 else { return nil }
                switch (pair[0], pair[1]) {
                case ("reads", "never"):
                    flood.neverReads = true
                    continue
                case ("buffers", "kernel"):
                    flood.isBoundedByKernel = true
                    continue
                case ("reader", "ordinary"):
                    flood.isOrdinary = true
                    continue
                case ("card", "swap"):
                    flood.sharesCard = true
                    continue
                default: break
                }
                guard let number = Int(pair[1]), (0...100_000).contains(number) else { return nil }
                switch pair[0] {
                case "after_s": flood.after = number
                case "streams": flood.streams = number
                case "queue_kib": flood.queueKiB = number
                case "datagrams_per_s": flood.datagramsPerSecond = number
                default: return nil
                }
            }
            return flood.streams + flood.datagramsPerSecond > 0 ? flood : nil
        }
    }
    /// The guest's script is `guest/doctor`: no load, states for the doctor to look at.
    public var doctor = false
    /// The guest makes the connections of `guest/sockets` beside its swap.
    public var sockets = false
    /// The guest's script is `guest/guard`: no load, attempts on what the agent guards.
    public var guarding = false
    /// Further words of the kernel's command line.
    public var kernelWords = ""
    /// The share of writes that the server fails once the load has begun: "0.5%".
    public var failingWrites: String?

    public init(name: String) {
        self.name = name
    }

    /// The guest's programs must stay in memory: what was added for comparison may not make
    /// room by being swapped out, and where the swap is lost they would be lost with it.
    public var keepsPrograms: Bool {
        !companions.isEmpty || faults.losesSwap || scrapeSeconds != nil
    }

    /// Parses a scenario file. An unknown key is an error that names file and line.
    public static func parse(_ text: String, name: String) throws -> Scenario {
        var scenario = Scenario(name: name)
        var swaps: [SwapDevice] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let equals = trimmed.firstIndex(of: "=") else {
                throw LabError.usage("\(name).scenario:\(index + 1): expected key=value")
            }
            let key = String(trimmed[..<equals])
            let value = String(trimmed[trimmed.index(after: equals)...])
            if key == "swap", let swap = SwapDevice.parse(value),
                !swaps.contains(where: { $0.device == swap.device })
            {
                swaps.append(swap)
            } else if !scenario.set(key, value) {
                throw LabError.usage("\(name).scenario:\(index + 1): cannot use \(key)=\(value)")
            }
        }
        if !swaps.isEmpty { scenario.swaps = swaps }
        return scenario
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
        func number(_ assign: (Int) -> Void) -> Bool {
            guard let number = Int(value), number >= 0 else { return false }
            assign(number)
            return true
        }
        if let taken = faults.set(key, value) { return taken }
        switch key {
        case "about": about = value
        case "load": load = value
        case "host":
            guard ["prepared", "default"].contains(value) else { return false }
            host = value
        case "memory_mib": return number { memoryMiB = $0 }
        case "init":
            guard value == "systemd" else { return false }
            usesSystemd = true
        case "cpus": return number { cpus = $0 }
        case "prepare":
            guard ["yes", "no"].contains(value) else { return false }
            preparesByCommand = value == "yes"
        case "min_free_kib": return number { minFreeKiB = $0 }
        case "wire_off_after_s": return number { wireOffAfter = $0 }
        case "wire_off_for_s": return number { wireOffFor = $0 }
        case "limit_s": return number { limitSeconds = $0 }
        case "must_complete":
            guard ["yes", "no"].contains(value) else { return false }
            mustComplete = value == "yes"
        case "nodes":
            guard let number = Int(value), (1...8).contains(number) else { return false }
            nodes = number
        case "nic":
            guard ["virtio", "e1000"].contains(value) else { return false }
            nic = value
        case "cgroup":
            guard ["v1", "v2"].contains(value) else { return false }
            cgroup = value
        case "load_limit_mib": return number { loadLimitMiB = $0 }
        case "load_for_s": return number { loadForSeconds = $0 }
        case "kernels":
            kernels = value.split(separator: " ").map(String.init)
            return !kernels.isEmpty
        case "agent_options": agentOptions = value
        case "flood":
            flood = Flood.parse(value)
            return flood != nil
        case "expect":
            expectation = Expectation(rawValue: value)
            return expectation != nil
        case "server":
            guard ["outside", "local"].contains(value) else { return false }
            serverIsLocal = value == "local"
        case "compare":
            companions = Companion.parse(value) ?? []
            return !companions.isEmpty
        case "jammed": jammed = value == "yes"
        case "trace": trace = value == "yes"
        case "scrape_s":
            guard let seconds = Int(value), (1...60).contains(seconds) else { return false }
            scrapeSeconds = seconds
        case "deadlock_for_s": return number { deadlockForSeconds = $0 }
        case "critical":
            critical = Critical.parse(value)
            return critical != nil
        case "sysctl":
            guard value.range(of: "^[a-z0-9_.]+=[0-9 ]+$", options: .regularExpression) != nil
            else { return false }
            sysctls.append(value)
        case "queue":
            guard value.range(of: "^[a-z_]+=[a-z0-9-]+$", options: .regularExpression) != nil
            else { return false }
            queueFiles.append(value)
        case "rules":
            guard value.range(of: "^[a-z-]+$", options: .regularExpression) != nil else {
                return false
            }
            rules = value
        case "acts":
            guard let some = Acts(rawValue: value) else { return false }
            acts = some
        case "doctor": doctor = value == "yes"
        case "sockets": sockets = value == "yes"
        case "guard": guarding = value == "yes"
        case "kernel_words": kernelWords = value
        case "failing_writes":
            guard value.range(of: "^[0-9]+([.][0-9]+)?%$", options: .regularExpression) != nil
            else { return false }
            failingWrites = value
        default: return false
        }
        return true
    }
}
