// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit

/// A connection to one of the emulator's unix sockets.
final class UnixSocket {
    private let descriptor: Int32

    /// Connects, waiting up to ten seconds for the socket to appear.
    init(path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            for (index, byte) in path.utf8.prefix(room.count - 1).enumerated() {
                room[index] = byte
            }
        }
        for _ in 0..<100 {
            let connected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            if connected {
                self.descriptor = descriptor
                return
            }
            usleep(100_000)
        }
        close(descriptor)
        throw LabError.failed("cannot connect to the emulator at \(path)")
    }

    deinit {
        close(descriptor)
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(descriptor, bytes, bytes.count)
    }

    /// One line, or what came within two seconds.
    func readLine() -> String {
        var line: [UInt8] = []
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, 2000) > 0 {
            var byte: UInt8 = 0
            guard read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") else { break }
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }
}

/// The emulator's control protocol, as far as the lab needs it.
final class QMP {
    private let socket: UnixSocket

    init(path: String) throws {
        socket = try UnixSocket(path: path)
        _ = socket.readLine()
        try execute("qmp_capabilities", "{}")
    }

    /// Runs a command; events that come in between are passed over. Returns the answer's line.
    @discardableResult
    func execute(_ command: String, _ arguments: String) throws -> String {
        socket.send("{\"execute\":\"\(command)\",\"arguments\":\(arguments)}\n")
        for _ in 0..<20 {
            let answer = socket.readLine()
            if answer.contains("\"return\"") { return answer }
            if answer.contains("\"error\"") {
                throw LabError.failed("the emulator refused \(command): \(answer)")
            }
        }
        throw LabError.failed("the emulator did not answer \(command)")
    }

    /// A command of the emulator's monitor for people, and what it prints.
    func monitor(_ words: String, cpu: Int = 0) -> String {
        let arguments = "{\"command-line\":\"\(words)\",\"cpu-index\":\(cpu)}"
        guard let answer = try? execute("human-monitor-command", arguments),
            let object = try? JSONSerialization.jsonObject(with: Data(answer.utf8)),
            let text = (object as? [String: Any])?["return"] as? String
        else { return "(the emulator did not answer: \(words))\n" }
        return text.replacingOccurrences(of: "\r", with: "")
    }

    /// Puts the guest's network cable in or pulls it.
    func setLink(_ up: Bool) throws {
        try execute("set_link", "{\"name\":\"net0\",\"up\":\(up)}")
    }

    /// Magic SysRq on the serial console: works when every shell of the guest is frozen.
    func sysrq(_ key: Character, console: StampedLine) throws {
        try execute("chardev-send-break", "{\"id\":\"console\"}")
        usleep(300_000)
        console.send(String(key))
    }
}
