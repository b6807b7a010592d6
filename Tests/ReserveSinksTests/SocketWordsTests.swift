// SPDX-License-Identifier: Apache-2.0

import ReserveModel
import Testing

@testable import ReserveSinks

@Suite struct SocketWordsTests {
    private func owner(callback: String, disk: StaticString? = nil) -> String {
        var socket = SocketSample()
        socket.owner = Array(callback.utf8).withUnsafeBytes { FixedText(bytes: $0) }
        if let disk { socket.disk = FixedName(disk) }
        return "\(socket.ownerWord)"
    }

    @Test func theOwnerIsToldByWhatItPutIntoTheSocket() {
        #expect(owner(callback: "nvme_tcp_data_ready [nvme_tcp]") == "nvme_tcp")
        #expect(owner(callback: "iscsi_sw_tcp_data_ready [iscsi_tcp]") == "iscsi")
        #expect(owner(callback: "xs_data_ready [sunrpc]") == "sunrpc")
        #expect(owner(callback: "my_data_ready [mine]") == "other")
    }

    @Test func nbdPutsNothingInAndIsKnownByItsTable() {
        #expect(owner(callback: "sock_def_readable") == "unknown")
        #expect(owner(callback: "sock_def_readable", disk: "nbd0") == "nbd")
    }

    private func text(_ bytes: [UInt8], port: UInt32, family: UInt32) -> String {
        var address = SocketAddress()
        for (index, byte) in bytes.enumerated() {
            if index < 8 {
                address.low |= UInt64(byte) << UInt64(index * 8)
            } else {
                address.high |= UInt64(byte) << UInt64((index - 8) * 8)
            }
        }
        address.port = port
        var writer = ByteWriter(capacityBytes: 128)
        writer.text(address: address, family: family)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func addressesAreWrittenAsPeopleWriteThem() {
        #expect(text([192, 0, 2, 1], port: 10809, family: 2) == "192.0.2.1:10809")
        #expect(
            text(
                [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1], port: 1,
                family: 10)
                == "[2001:db8:0:0:0:0:0:1]:1")
    }

    @Test func aHostilePathCannotLeaveItsQuotes() {
        var socket = SocketSample()
        socket.family = 1
        socket.path = Array("/tmp/\"},\u{1b}[2J\n".utf8).withUnsafeBytes { FixedText(bytes: $0) }
        var json = ByteWriter(capacityBytes: 1024)
        json.byte(UInt8(ascii: "{"))
        json.socket(socket, picture: Picture())
        let line = String(decoding: json.bytes, as: UTF8.self)
        #expect(line.contains("\\\"},"))
        #expect(!line.contains("\u{1b}"))
        #expect(!line.contains("\n"))
    }
}
