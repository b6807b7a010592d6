// SPDX-License-Identifier: Apache-2.0

import CBPF
import ReserveKernel
import ReserveSinks

/// What doctor has to say, to read or as one JSON document.
struct DoctorReport {
    let choices: [HookPlan.Choice]
    let facts: SwapPathFacts
    let audit: Audit

    static let schemaVersion: UInt64 = 1

    var isSignalMissing: Bool {
        choices.contains { $0.state == RW_HOOK_MISSING.rawValue }
    }

    /// 78 unfit, 1 something is missing or unknown, 0 all well. Without swap on NBD the hooks
    /// alone count.
    var exitStatus: Int32 {
        switch audit.verdict {
        case .unfit: return 78  // EX_CONFIG
        case .unknown: return 1
        case .fit, .noNBDSwap: return isSignalMissing ? 1 : 0
        }
    }

    // MARK: To read

    var text: String {
        var lines = choices.flatMap(HookTable.lines)
        lines.append("")
        lines += audit.findings.flatMap { Self.lines(for: $0) }
        lines.append(sum)
        return lines.map { plainText($0) + "\n" }.joined()
    }

    private static func lines(for finding: Finding) -> [String] {
        let severity = finding.severity.rawValue
        let padding = String(repeating: " ", count: max(0, 10 - severity.count))
        let indent = String(repeating: " ", count: 10)
        var lines = ["\(severity)\(padding)\(finding.id)  \(subject(finding)): \(finding.found)"]
        if finding.severity != .ok { lines.append("\(indent)why: \(finding.why)") }
        if !finding.mend.isEmpty { lines.append("\(indent)mend: \(finding.mend)") }
        return lines
    }

    private static func subject(_ finding: Finding) -> String {
        switch finding.subject {
        case .host: return "host"
        case .device(let name): return name
        case .process(let pid, let comm): return "\(comm)[\(pid)]"
        }
    }

    private var sum: String {
        let bad = audit.findings.count { $0.severity == .warning || $0.severity == .critical }
        let unknown = audit.findings.count { $0.severity == .unknown }
        switch audit.verdict {
        case .noNBDSwap: return "No swap lies on NBD: there is no way to it to audit."
        case .fit: return "This host is fit to swap over NBD, as far as the audit knows to look."
        case .unfit:
            return "This host is not fit to swap over NBD: \(bad) findings of warning or worse"
                + (unknown > 0 ? ", \(unknown) unknown." : ".")
        case .unknown: return "Whether this host is fit could not be told: \(unknown) unknown."
        }
    }

    // MARK: For machines

    var json: JSONDocument {
        .object([
            ("schema", .number(Self.schemaVersion)),
            ("kind", .string("doctor")),
            ("hooks", .array(choices.map(Self.hook))),
            ("facts", facts.json),
            ("findings", .array(audit.findings.map(Self.finding))),
            ("verdict", .string(audit.verdict.rawValue)),
            ("exit_status", .signed(Int64(exitStatus))),
        ])
    }

    private static func hook(_ choice: HookPlan.Choice) -> JSONDocument {
        .object([
            ("signal", .string(choice.name)), ("state", .string(choice.stateName)),
            ("path", .string(choice.path)), ("reason", .string(choice.reason)),
            ("cost", .string(choice.cost?.rawValue ?? "")), ("blind_to", .string(choice.blind)),
        ])
    }

    private static func finding(_ finding: Finding) -> JSONDocument {
        let subject: JSONDocument
        switch finding.subject {
        case .host: subject = .object([("kind", .string("host"))])
        case .device(let name):
            subject = .object([("kind", .string("device")), ("device", .string(name))])
        case .process(let pid, let comm):
            subject = .object([
                ("kind", .string("process")), ("pid", .signed(Int64(pid))),
                ("comm", .string(comm)),
            ])
        }
        return .object([
            ("id", .string(finding.id)), ("severity", .string(finding.severity.rawValue)),
            ("subject", subject), ("found", .string(finding.found)), ("why", .string(finding.why)),
            ("mend", .string(finding.mend)),
        ])
    }
}
