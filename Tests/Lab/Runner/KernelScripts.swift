// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// The kernel's own scripts that sum up a trace of reclaim, and a report held against them.
struct KernelScripts {
    let lab: String
    let cache: String

    private static let package = "linux-source-6.1"
    private static let place = "Documentation/trace/postprocess"

    /// Where they lie: what is in the cache, or else taken from Debian's source package.
    private func fetch() throws -> String {
        let scripts = "\(cache)/\(Self.package)/\(Self.place)"
        if FileManager.default.fileExists(atPath: "\(scripts)/trace-vmscan-postprocess.pl") {
            return scripts
        }
        say("lab: fetching \(Self.package), for the kernel's own scripts")
        let root = "\(cache)/source"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try Tools.run(
            try Tools.require("apt-get", package: "apt"), ["download", "-q", Self.package], in: root
        )
        guard
            let deb = try FileManager.default.contentsOfDirectory(atPath: root)
                .first(where: { $0.hasSuffix(".deb") })
        else { throw LabError.failed("apt-get download \(Self.package) left no package") }
        try Tools.run(
            try Tools.require("dpkg-deb", package: "dpkg"), ["-x", "\(root)/\(deb)", root])
        try Tools.run(
            try Tools.require("tar", package: "tar"),
            [
                "-C", cache, "-xf", "\(root)/usr/src/\(Self.package).tar.xz",
                "\(Self.package)/\(Self.place)",
            ])
        return scripts
    }

    /// The report of a run against the script over the same interval of the same guest.
    func row(of directory: String, binary: String) throws -> Row {
        let name = "report agrees with trace-vmscan-postprocess.pl"
        let scripts = try fetch()
        try Tools.run(
            try Tools.require("sh", package: "dash"),
            ["-c", "gunzip -c \"$1/trace.gz\" >\"$1/trace.txt\"", "gunzip", directory])
        // It prints a line for each figure, and fails with them: kept either way.
        let said = "\(directory)/postprocess.txt"
        try Tools.run(
            try Tools.require("sh", package: "dash"),
            [
                "-c", "said=$1; shift; \"$@\" >\"$said\" 2>&1 || true", "compare", said,
                try Tools.require("python3", package: "python3"), "\(lab)/postprocess.py",
                "compare", binary, "\(directory)/recording.rwr", "\(directory)/trace.txt", scripts,
            ])
        try? FileManager.default.removeItem(atPath: "\(directory)/trace.txt")
        let last =
            (try String(contentsOfFile: said, encoding: .utf8))
            .split(separator: "\n").last.map(String.init) ?? "-"
        return .check(name, last.hasSuffix(" passed, 0 failed"), last, note: said)
    }
}
