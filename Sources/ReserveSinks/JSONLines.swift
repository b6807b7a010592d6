// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One JSON object a line, as docs/schema/events.schema.json describes them.
public struct JSONLines: ~Copyable {
    public static let schemaVersion: UInt64 = 1
    /// The longest summary with every table full stays below this.
    public static let lineBytes = 64 * 1024

    var writer = ByteWriter(capacityBytes: JSONLines.lineBytes)
    /// Lines that did not fit, given up whole.
    public private(set) var lost: UInt64 = 0

    public init() {}

    /// Hands the line for one notice to `body`. Does not allocate.
    public mutating func write(
        _ notice: Notice, picture: borrowing Picture, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        writer.clear()
        writer.byte(UInt8(ascii: "{"))
        envelope(notice, picture: picture)
        writer.open(notice.kind.word)
        switch notice.body {
        case .start: writer.start(picture)
        case .zone(let crossing, let zone):
            writer.field("crossing", word: crossing.word)
            writer.zone(zone)
        case .node(let crossing, let node):
            writer.field("crossing", word: crossing.word)
            writer.node(node, picture: picture)
        case .reserve(let taker): writer.taker(taker, picture: picture, withTask: true)
        case .directReclaim(let phase, let stay):
            writer.field("phase", word: phase.word)
            writer.reclaim(stay, picture: picture, hasLeft: phase == .left)
        case .throttle(let phase, let stay):
            writer.field("phase", word: phase.word)
            writer.throttle(stay, picture: picture)
        case .nbd(let phase, let sample):
            writer.field("phase", word: phase.word)
            writer.nbd(sample)
        case .nbdFailed(let failure): writer.nbdFailure(failure)
        case .swapAppeared(let device):
            writer.field("phase", word: "appeared")
            writer.swap(device)
        case .swapGone(let device):
            writer.field("phase", word: "gone")
            writer.swap(device)
        case .swapFailed(let failure): writer.swapFailure(failure)
        case .oom(let victim): writer.oom(victim, picture: picture)
        case .oomFreed(let freed): writer.oomFreed(freed, picture: picture)
        case .kswapd(let move): writer.kswapd(move)
        case .reclaimWaits(let group): writer.waits(group, picture: picture)
        case .slab(let group): writer.slab(group, picture: picture)
        case .socket(let phase, let socket):
            writer.field("phase", word: phase.word)
            writer.socket(socket, picture: picture)
        case .drops(let group): writer.drops(group, picture: picture)
        case .guardAttempt(let attempt): writer.guardAttempt(attempt, picture: picture)
        case .guarded(let phase, let process):
            writer.guarded(process, hasEnded: phase == .ended, picture: picture)
        case .stack(let stack): writer.stack(stack)
        case .verdict(let verdict): writer.verdict(verdict, picture: picture)
        case .alert(let alert): writer.alert(alert, picture: picture)
        case .settings(let settings): writer.settings(settings)
        case .enforcement(let act): writer.enforcement(act, picture: picture)
        case .loss: writer.loss(picture)
        case .summary(let isFinal, let interval):
            writer.summary(picture, isFinal: isFinal, intervalNanoseconds: interval)
        }
        writer.close()
        writer.close()
        writer.byte(UInt8(ascii: "\n"))
        if writer.isWhole {
            body(writer.bytes)
        } else {
            lost &+= 1
        }
    }

    private mutating func envelope(_ notice: Notice, picture: borrowing Picture) {
        writer.field("schema", Self.schemaVersion)
        if let host = picture.host {
            writer.key("time")
            writer.byte(UInt8(ascii: "\""))
            writer.time(
                realNanoseconds: Int64(clamping: notice.bootNanoseconds)
                    &+ host.realtimeOffsetNanoseconds)
            writer.byte(UInt8(ascii: "\""))
        }
        writer.field("boot_ns", notice.bootNanoseconds)
        if let host = picture.host {
            writer.field("host", foreign: host.host)
            writer.field("boot_id", foreign: host.bootID)
        }
        writer.field("kind", word: notice.kind.word)
        writer.field("severity", word: notice.severity.word)
    }
}
