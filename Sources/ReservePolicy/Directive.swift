// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One act that a decision asks for. Fixed in size: it goes through memory taken at the start.
public struct Directive: Sendable {
    /// Counts acts from 1; an undoing has its act's.
    public var serial: UInt32
    /// In ``RuleSet/rules``.
    public var rule: Int
    public var verb: EnforceVerb
    /// false: only to be told.
    public var isEnforced: Bool
    public var reason: EnforceReason
    public var choice: EnforceChoice
    /// When it was decided.
    public var bootNanoseconds: UInt64
    /// Of an act that stands: until when at most.
    public var deadlineBootNanoseconds: UInt64 = 0
    /// Of ``EnforceVerb/endConnection``; of ``EnforceVerb/disconnect`` the disk alone.
    public var connection: Connection?

    /// One TCP connection of the swap's device.
    public struct Connection: Sendable {
        public var disk: FixedName
        /// AF_INET 2, AF_INET6 10.
        public var family: UInt32
        public var local: SocketAddress
        public var peer: SocketAddress
        /// Inode of its network namespace; 0: not known.
        public var netns: UInt32

        public init(
            disk: FixedName, family: UInt32 = 0, local: SocketAddress = SocketAddress(),
            peer: SocketAddress = SocketAddress(), netns: UInt32 = 0
        ) {
            self.disk = disk
            self.family = family
            self.local = local
            self.peer = peer
            self.netns = netns
        }
    }
}

public typealias DirectiveQueue = BoundedList<Directive>
