// SPDX-License-Identifier: Apache-2.0

import ReserveModel

/// One alert in each of the shapes in which a place may want it, made in memory taken at the
/// start.
public struct AlertLines: ~Copyable {
    /// kernel/printk/printk.c:devkmsg_write() refuses lines of 1024 bytes less a prefix of 48.
    static let kmsgBytes = 960

    private var text = ByteWriter(capacityBytes: 4096)
    /// Where what the line says begins, behind time, host and our name.
    private var sentenceOffset = 0
    private var kmsgText = ByteWriter(capacityBytes: 4096)
    private var kmsgJSON = ByteWriter(capacityBytes: 4096)
    private var json = JSONLines()
    private var jsonLine: ByteWriter

    public init() {
        jsonLine = ByteWriter(capacityBytes: 16 * 1024)
    }

    /// "2026-11-25T05:21:45.927123456Z lab reservewatch: ...", or the JSON line of the stream.
    public func line(isJSON: Bool) -> UnsafeRawBufferPointer {
        isJSON ? jsonLine.bytes : text.bytes
    }

    /// The text without time, host, name and newline: for who keeps those apart.
    public var sentence: UnsafeRawBufferPointer {
        let end = max(sentenceOffset, text.count - 1)
        return UnsafeRawBufferPointer(rebasing: text.bytes[sentenceOffset..<end])
    }

    /// The same for /dev/kmsg: with its level, without time and host, and short enough.
    public func kmsg(isJSON: Bool) -> UnsafeRawBufferPointer {
        isJSON ? kmsgJSON.bytes : kmsgText.bytes
    }

    public mutating func write(_ notice: Notice, picture: borrowing Picture) {
        if case .enforcement(let act) = notice.body { return write(act, notice, picture: picture) }
        guard case .alert(let alert) = notice.body else { return }
        let pageKB = UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024
        begin(notice.bootNanoseconds, picture)
        sentenceOffset = text.count
        text.alertLine(alert, picture: picture, pageKB: pageKB)
        text.byte(UInt8(ascii: "\n"))
        writeJSON(notice, picture)
        kmsgText.clear()
        kmsgText.kmsgLevel(alert.level)
        kmsgText.alertLine(alert, picture: picture, pageKB: pageKB)
        if kmsgText.count >= Self.kmsgBytes {
            kmsgText.clear()
            kmsgText.kmsgLevel(alert.level)
            kmsgText.alertLine(alert, picture: picture, pageKB: pageKB, isBrief: true)
        }
        kmsgText.cut(to: Self.kmsgBytes - 1)
        kmsgText.byte(UInt8(ascii: "\n"))
        kmsgJSON.clear()
        kmsgJSON.kmsgLevel(alert.level)
        kmsgJSON.byte(UInt8(ascii: "{"))
        kmsgJSON.field("kind", word: "alert")
        kmsgJSON.open("alert")
        kmsgJSON.briefAlert(alert, picture: picture)
        kmsgJSON.close()
        kmsgJSON.close()
        kmsgJSON.byte(UInt8(ascii: "\n"))
    }

    /// What was done to the host, as an alert is told.
    private mutating func write(
        _ act: Enforcement, _ notice: Notice, picture: borrowing Picture
    ) {
        let pageKB = UInt64(picture.host?.pageSizeBytes ?? 4096) / 1024
        begin(notice.bootNanoseconds, picture)
        text.enforcementLine(act, picture: picture, pageKB: pageKB)
        text.byte(UInt8(ascii: "\n"))
        writeJSON(notice, picture)
        kmsgText.clear()
        kmsgText.kmsgLevel(.warning)
        kmsgText.enforcementLine(act, picture: picture, pageKB: pageKB)
        kmsgText.cut(to: Self.kmsgBytes - 1)
        kmsgText.byte(UInt8(ascii: "\n"))
        // Names full of what must be escaped may be six times as long: then without them.
        writeKmsgJSON(act, picture, isBrief: false)
        if kmsgJSON.count > Self.kmsgBytes { writeKmsgJSON(act, picture, isBrief: true) }
    }

    private mutating func writeKmsgJSON(
        _ act: Enforcement, _ picture: borrowing Picture, isBrief: Bool
    ) {
        kmsgJSON.clear()
        kmsgJSON.kmsgLevel(.warning)
        kmsgJSON.text("{\"kind\":\"enforce\",\"enforce\":{")
        kmsgJSON.enforcement(act, picture: picture, isBrief: isBrief)
        kmsgJSON.text("}}\n")
    }

    /// The line with which a place is opened: who watches, and how the host is.
    public mutating func opening(_ picture: borrowing Picture) {
        begin(picture.nowBootNanoseconds, picture)
        kmsgText.clear()
        kmsgText.text("<6>reservewatch: ")
        Self.opening(&text, picture)
        Self.opening(&kmsgText, picture)
        text.byte(UInt8(ascii: "\n"))
        kmsgText.byte(UInt8(ascii: "\n"))
        kmsgJSON.clear()
        kmsgJSON.text("<6>reservewatch: {\"kind\":\"verdict\",\"verdict\":{\"state\":\"")
        kmsgJSON.text(picture.verdict.state.word)
        kmsgJSON.text("\"}}\n")
        writeJSON(
            Notice(
                bootNanoseconds: picture.nowBootNanoseconds, severity: .info,
                body: .verdict(picture.verdict)), picture)
    }

    private static func opening(_ writer: inout ByteWriter, _ picture: borrowing Picture) {
        writer.text("watching")
        if let host = picture.host {
            byteSpace(&writer)
            writer.plain(foreign: host.host)
            writer.text(", Linux ")
            writer.plain(foreign: host.kernelRelease)
        }
        writer.text("; alerts come here")
    }

    private static func byteSpace(_ writer: inout ByteWriter) { writer.byte(UInt8(ascii: " ")) }

    private mutating func begin(_ bootNanoseconds: UInt64, _ picture: borrowing Picture) {
        text.clear()
        if let host = picture.host {
            text.time(
                realNanoseconds: Int64(clamping: bootNanoseconds)
                    &+ host.realtimeOffsetNanoseconds)
            text.byte(UInt8(ascii: " "))
            text.plain(foreign: host.host)
            text.byte(UInt8(ascii: " "))
        }
        text.text("reservewatch: ")
    }

    private mutating func writeJSON(_ notice: Notice, _ picture: borrowing Picture) {
        jsonLine.clear()
        json.write(notice, picture: picture) { bytes in
            for byte in bytes { jsonLine.byte(byte) }
        }
    }
}

extension ByteWriter {
    /// kmsg's level and our name: crit for critical, warning, notice.
    fileprivate mutating func kmsgLevel(_ level: Alert.Level) {
        switch level {
        case .critical: text("<2>")
        case .warning: text("<4>")
        case .resolved: text("<5>")
        }
        text("reservewatch: ")
    }
}
