// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import ReserveBox
import ReserveKernel

/// Where a reader has its records from while the host runs: the box of the agent that is
/// there, or an agent of its own.
public struct LiveSource: ~Copyable {
    /// What a reader asks for.
    public struct Choice: Sendable {
        public var boxPath = BoxFile.usualPath
        /// An agent of its own, whether or not one runs.
        public var isPrivate = false
        /// Of an agent of its own.
        public var settings = AgentSettings()
        public var start = BoxReader.Start.now
        public init() {}
    }

    private var reader: BoxReader
    private var agent: PrivateAgent?
    /// Of a box that others can open as well.
    private let path: String?
    private var nextLook: UInt64 = 0
    private var isWriterGone = false
    /// Nothing more will come.
    public private(set) var hasEnded = false

    /// Opens the running agent's box; where none runs, starts one.
    public static func open(_ choice: Choice) throws(WatchError) -> LiveSource {
        if !choice.isPrivate {
            do throws(BoxError) {
                let reader = try BoxFile.open(path: choice.boxPath, start: choice.start)
                if reader.isWriterAlive { return LiveSource(reader, nil, path: choice.boxPath) }
            } catch {
                // No box: then an agent of our own. One that we may not read is told.
                switch error {
                case .absent: break
                default: throw WatchError(error)
                }
            }
        }
        let agent = try PrivateAgent.start(choice.settings)
        let reader = try agent.reader(.oldest)
        return LiveSource(reader, agent, path: nil)
    }

    private init(
        _ reader: consuming BoxReader, _ agent: consuming PrivateAgent?, path: String?
    ) {
        isPrivate = agent != nil
        self.reader = reader
        self.agent = agent
        self.path = path
    }

    /// Whether the agent is the reader's own, and ends with it.
    public let isPrivate: Bool
    /// Records that were overwritten before they could be read.
    public var lost: UInt64 { reader.lost }
    /// When the agent's loop last turned.
    public var beatBootNanoseconds: UInt64 { reader.beatBootNanoseconds }

    /// The state so far; once, at the start.
    public func states(_ body: (UnsafeRawBufferPointer) -> Void) { reader.states(body) }

    /// Hands up to `limit` records to `body`, and before them one that says how many were
    /// lost on the way.
    ///
    /// - Returns: how many records came.
    public mutating func read(
        limit: Int, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(WatchError) -> Int {
        // Looked at before: what it told last is then there to be read.
        let wasGone = isWriterGone
        let hadEnded = reader.endedBootNanoseconds != nil
        let count = reader.read(
            limit: limit,
            skipped: { records in
                var record = UserRecords.skipped(records, bootNanoseconds: rw_boot_ns())
                withUnsafeBytes(of: &record, body)
            }, body)
        if count == 0 {
            if hadEnded {
                hasEnded = true
            } else if wasGone {
                hasEnded = true
                throw .agentGone(path: path)
            } else {
                look()
            }
        }
        return count
    }

    /// Each second: is the writer still there?
    private mutating func look() {
        let now = rw_boot_ns()
        guard now >= nextLook else { return }
        nextLook = now + 1_000_000_000
        isWriterGone = !reader.isWriterAlive
    }

    /// Ends an agent of our own; its last words are still to be read.
    ///
    /// - Returns: false where the agent is not ours, and goes on.
    public mutating func stop() -> Bool {
        guard isPrivate else { return false }
        agent?.stop()
        return true
    }
}
