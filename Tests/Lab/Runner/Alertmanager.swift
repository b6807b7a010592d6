// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// A real Alertmanager on loopback, outside of the guest, and what it had when.
final class Alertmanager {
    struct Seen {
        var severity: String
        /// As it was sent: when it happened, by the guest's clock.
        var startsAt: Date?
        /// When it was seen here first.
        var at: Date
    }

    let port: Int
    private let process: Process
    private let directory: String
    private var lastLook = Date.distantPast
    /// By label set, each once.
    private(set) var seen: [String: Seen] = [:]

    static func start(directory: String) throws -> Alertmanager {
        let program = try Tools.require(
            "prometheus-alertmanager", package: "prometheus-alertmanager")
        let port = try Tools.freePort()
        let data = "\(directory)/alertmanager"
        Children.shared.removeAtEnd(data)
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        // It tells nobody: that alerts come in is what is looked at.
        try "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n".write(
            toFile: "\(data)/alertmanager.yml", atomically: true, encoding: .utf8)
        let process = try Children.shared.start(
            program,
            [
                "--config.file=\(data)/alertmanager.yml", "--storage.path=\(data)",
                "--web.listen-address=127.0.0.1:\(port)", "--cluster.listen-address=",
            ], log: "\(directory)/alertmanager.log")
        return Alertmanager(port: port, process: process, directory: directory)
    }

    private init(port: Int, process: Process, directory: String) {
        self.port = port
        self.process = process
        self.directory = directory
    }

    /// Asks it what it has, every two seconds at most.
    func look() {
        guard Date().timeIntervalSince(lastLook) >= 2 else { return }
        lastLook = Date()
        guard let body = HTTPGet.body(port: port, path: "/api/v2/alerts"),
            let alerts = (try? JSONSerialization.jsonObject(with: body)) as? [[String: Any]]
        else { return }
        for alert in alerts {
            guard let labels = alert["labels"] as? [String: String] else { continue }
            let key = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                .joined(separator: " ")
            guard seen[key] == nil else { continue }
            seen[key] = Seen(
                severity: labels["severity"] ?? "",
                startsAt: (alert["startsAt"] as? String).flatMap(Self.date), at: Date())
        }
    }

    private static func date(_ text: String) -> Date? {
        // Without the fraction, of which Foundation takes three digits only.
        let seconds = text.prefix(19)
        return ISO8601DateFormatter().date(from: "\(seconds)Z")
    }

    func stop() {
        lastLook = .distantPast
        look()
        Children.shared.stop(process)
        try? FileManager.default.removeItem(atPath: "\(directory)/alertmanager")
    }
}

/// One request to a server on loopback.
enum HTTPGet {
    /// The body of its answer; nil when none came within two seconds.
    static func body(port: Int, path: String) -> Data? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard connected else { return nil }
        let request = Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard write(descriptor, request, request.count) == request.count else { return nil }
        var answer = Data()
        var room = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &room, room.count)
            if count <= 0 { break }
            answer.append(contentsOf: room[..<count])
        }
        guard answer.starts(with: Array("HTTP/1.".utf8)),
            let head = answer.range(of: Data("\r\n\r\n".utf8))
        else { return nil }
        return answer[head.upperBound...]
    }
}
