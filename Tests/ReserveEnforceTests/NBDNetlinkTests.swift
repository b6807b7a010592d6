// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import Testing

/// Bytes as on this machine: little-endian.
@Suite struct NBDNetlinkTests {
    private func message(
        _ make: (UnsafeMutableRawPointer, Int) -> Int32, capacity: Int = Int(RW_NBD_MESSAGE_BYTES)
    ) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0xee, count: capacity)
        let length = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { make($0, buffer.count) } ?? -EMSGSIZE
        }
        return length < 0 ? nil : Array(bytes[..<Int(length)])
    }

    private func reconfigure(_ backend: String? = nil, capacity: Int = 1024) -> [UInt8]? {
        func make(_ name: UnsafePointer<CChar>?) -> [UInt8]? {
            var timeouts = rw_nbd_timeouts(
                index: 3, timeout_s: 20, dead_conn_timeout_s: 600, backend: name)
            return message(
                { rw_nbd_reconfigure_request($0, $1, 0x21, &timeouts) }, capacity: capacity)
        }
        return backend.map { $0.withCString { make($0) } } ?? make(nil)
    }

    @Test func theFamilyIsAskedByName() {
        #expect(
            message { rw_nbd_family_request($0, $1) } == [
                28, 0, 0, 0,  // nlmsg_len
                0x10, 0, 1, 0,  // GENL_ID_CTRL, NLM_F_REQUEST
                1, 0, 0, 0, 0, 0, 0, 0,  // sequence, port
                3, 1, 0, 0,  // CTRL_CMD_GETFAMILY, version 1
                8, 0, 2, 0,  // CTRL_ATTR_FAMILY_NAME
                0x6e, 0x62, 0x64, 0,  // "nbd"
            ])
    }

    @Test func aDeviceIsDisconnectedByItsIndex() {
        #expect(
            message { rw_nbd_disconnect_request($0, $1, 0x21, 3) } == [
                28, 0, 0, 0,  // nlmsg_len
                0x21, 0, 5, 0,  // the family, NLM_F_REQUEST | NLM_F_ACK
                1, 0, 0, 0, 0, 0, 0, 0,  // sequence, port
                2, 1, 0, 0,  // NBD_CMD_DISCONNECT, version 1
                8, 0, 1, 0,  // NBD_ATTR_INDEX
                3, 0, 0, 0,
            ])
    }

    @Test func aConnectionGoesByItsDescriptor() {
        let plain: [UInt8] = [
            44, 0, 0, 0,  // nlmsg_len
            0x21, 0, 5, 0,  // the family, NLM_F_REQUEST | NLM_F_ACK
            1, 0, 0, 0, 0, 0, 0, 0,  // sequence, port
            3, 1, 0, 0,  // NBD_CMD_RECONFIGURE, version 1
            8, 0, 1, 0, 3, 0, 0, 0,  // NBD_ATTR_INDEX
            16, 0, 7, 0x80,  // NBD_ATTR_SOCKETS, nested
            12, 0, 1, 0x80,  // NBD_SOCK_ITEM, nested
            8, 0, 1, 0, 9, 0, 0, 0,  // NBD_SOCK_FD
        ]
        #expect(message { rw_nbd_reconnect_request($0, $1, 0x21, 3, "", 9) } == plain)
        var named = plain + [9, 0, 10, 0, 0x76, 0x6f, 0x6c, 0x37, 0, 0, 0, 0]
        named[0] = 56
        #expect(message { rw_nbd_reconnect_request($0, $1, 0x21, 3, "vol7", 9) } == named)
        let long = String(repeating: "x", count: 1024)
        #expect(message { rw_nbd_reconnect_request($0, $1, 0x21, 3, long, 9) } == nil)
    }

    @Test func bothTimeoutsGoInOneMessage() {
        let expected: [UInt8] = [
            52, 0, 0, 0,  // nlmsg_len
            0x21, 0, 5, 0,  // the family, NLM_F_REQUEST | NLM_F_ACK
            1, 0, 0, 0, 0, 0, 0, 0,  // sequence, port
            3, 1, 0, 0,  // NBD_CMD_RECONFIGURE, version 1
            8, 0, 1, 0, 3, 0, 0, 0,  // NBD_ATTR_INDEX, 32 bits
            12, 0, 4, 0, 20, 0, 0, 0, 0, 0, 0, 0,  // NBD_ATTR_TIMEOUT, 64 bits
            12, 0, 8, 0, 0x58, 2, 0, 0, 0, 0, 0, 0,  // NBD_ATTR_DEAD_CONN_TIMEOUT, 64 bits
        ]
        #expect(reconfigure() == expected)
        var named = expected + [9, 0, 10, 0, 0x76, 0x6f, 0x6c, 0x37, 0, 0, 0, 0]
        named[0] = 64
        #expect(reconfigure("vol7") == named)
    }

    @Test func whatDoesNotFitIsNotSent() {
        for capacity in 0..<52 { #expect(reconfigure(capacity: capacity) == nil) }
        #expect(reconfigure(capacity: 52) != nil)
        #expect(reconfigure(String(repeating: "x", count: 1000)) == nil)
        #expect(reconfigure(String(repeating: "x", count: 70_000)) == nil)
    }

    private func answer(type: UInt16, _ body: [UInt8], length: UInt32? = nil) -> [UInt8] {
        let length = length ?? UInt32(16 + body.count)
        let head =
            withUnsafeBytes(of: length.littleEndian) { Array($0) }
            + withUnsafeBytes(of: type.littleEndian) { Array($0) }
        return head + [0, 0, 1, 0, 0, 0, 9, 0, 0, 0] + body
    }

    private func family(_ bytes: [UInt8]) -> Int32 {
        bytes.withUnsafeBytes { $0.baseAddress.map { rw_nbd_family_answer($0, bytes.count) } ?? 0 }
    }

    private func acknowledged(_ bytes: [UInt8]) -> Int32 {
        bytes.withUnsafeBytes {
            $0.baseAddress.map { rw_netlink_acknowledged($0, bytes.count) } ?? 0
        }
    }

    @Test func theFamilysNumberIsFoundAmongItsAttributes() {
        let name: [UInt8] = [8, 0, 2, 0, 0x6e, 0x62, 0x64, 0]
        let number: [UInt8] = [6, 0, 1, 0, 0x21, 0, 0, 0]
        let whole = answer(type: 0x10, [1, 2, 0, 0] + name + number)
        #expect(family(whole) == 0x21)
        for end in 1..<whole.count { #expect(family(Array(whole[..<end])) == -EBADMSG) }
        // an attribute that says to be shorter or longer than it can be
        #expect(family(answer(type: 0x10, [1, 2, 0, 0, 0, 0, 2, 0] + number)) == -EBADMSG)
        #expect(family(answer(type: 0x10, [1, 2, 0, 0, 99, 0, 2, 0] + number)) == -EBADMSG)
        #expect(family(answer(type: 0x10, [1, 2, 0, 0] + name)) == -EBADMSG)
        #expect(family(answer(type: 0x11, [1, 2, 0, 0] + number)) == -EBADMSG)
    }

    @Test func withoutTheDriverThereIsNoFamily() {
        #expect(family(answer(type: 2, [0xfe, 0xff, 0xff, 0xff])) == -ENOENT)
    }

    @Test func anAcknowledgementIsZeroOrTheErrno() {
        #expect(acknowledged(answer(type: 2, [0, 0, 0, 0])) == 0)
        #expect(acknowledged(answer(type: 2, [0xea, 0xff, 0xff, 0xff])) == -EINVAL)
        // positive, cut, too long, or of another kind
        #expect(acknowledged(answer(type: 2, [1, 0, 0, 0])) == -EBADMSG)
        #expect(acknowledged(answer(type: 2, [0, 0])) == -EBADMSG)
        #expect(acknowledged(answer(type: 2, [0, 0, 0, 0], length: 99)) == -EBADMSG)
        #expect(acknowledged(answer(type: 3, [0, 0, 0, 0])) == -EBADMSG)
    }

    /// This kernel has the driver or not; without a device of that number it refuses either way.
    @Test(.enabled(if: geteuid() == 0 || getenv("CI") != nil, "needs root"))
    func thisKernelRefusesADeviceThatIsNotThere() {
        var timeouts = rw_nbd_timeouts(
            index: 1 << 20, timeout_s: 20, dead_conn_timeout_s: 600, backend: nil)
        let result = rw_nbd_reconfigure(&timeouts)
        #expect(result == -ENOENT || result == -EINVAL, "\(result)")
    }
}
