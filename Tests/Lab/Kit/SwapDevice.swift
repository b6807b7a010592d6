// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One swap of the guest, on a device whose server is reached over the network.
public struct SwapDevice: Equatable, Sendable {
    /// What of the device the swap lies on.
    public enum Placement: String, Sendable {
        case disk
        /// Its first partition.
        case partition
        /// A linear device of device-mapper over it.
        case dm
    }

    /// As the kernel calls it: `nbd0`, `nvme0n1`.
    public var device: String
    public var sizeMiB = 2048
    /// As swapon(8) takes it; the kernel's own choice where absent.
    public var priority: Int?
    public var connections = 1
    public var placement = Placement.disk

    public init(device: String) {
        self.device = device
    }

    /// Served by nbdkit outside the guest; else by the guest's own NVMe target.
    public var isNBD: Bool { device.hasPrefix("nbd") }

    /// Reads "nbd1 size_mib=64 on=partition priority=5 connections=1"; nil of anything else.
    public static func parse(_ text: String) -> SwapDevice? {
        let words = text.split(separator: " ").map(String.init)
        guard let name = words.first,
            name.range(of: "^(nbd[0-9]|nvme0n1)$", options: .regularExpression) != nil
        else { return nil }
        var swap = SwapDevice(device: name)
        for word in words.dropFirst() {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2, swap.set(pair[0], pair[1]) else { return nil }
        }
        guard swap.isNBD || swap.placement == .disk && swap.connections == 1 else { return nil }
        return swap
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
        func number(_ range: ClosedRange<Int>, _ assign: (Int) -> Void) -> Bool {
            guard let number = Int(value), range.contains(number) else { return false }
            assign(number)
            return true
        }
        switch key {
        case "size_mib": return number(1...65536) { sizeMiB = $0 }
        case "priority": return number(0...32767) { priority = $0 }
        case "connections": return number(1...16) { connections = $0 }
        case "on":
            guard let placement = Placement(rawValue: value) else { return false }
            self.placement = placement
            return true
        default: return false
        }
    }

    /// What the guest's script reads: DEVICE:PLACEMENT:SIZE_MIB:PRIORITY:CONNECTIONS:PORT.
    public func words(port: Int?) -> String {
        "\(device):\(placement.rawValue):\(sizeMiB):\(priority.map(String.init) ?? "")"
            + ":\(connections):\(port.map(String.init) ?? "")"
    }
}
