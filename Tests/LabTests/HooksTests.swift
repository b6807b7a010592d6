// SPDX-License-Identifier: Apache-2.0

import Foundation
import LabKit
import Testing

@Suite struct HookDocumentTests {
    private typealias Row = HookDocument.Row

    private let zones = Row(signal: "watermark.zones", state: "primary", path: "timer", reason: "")
    private let throttle = Row(
        signal: "throttle.calls", state: "fallback", path: "/proc/vmstat", reason: "fentry: refused"
    )
    private func document(_ rows: Row...) -> HookDocument {
        HookDocument(
            head: "# Hooks\n\nFrom hand, | with a bar.\n\n",
            sections: [
                .init(kernel: "Debian 6.1", source: "linux-image-6.1.0-56-amd64", rows: rows),
                .init(kernel: "Debian 6.12", source: "linux-image-6.12.117-amd64", rows: [zones]),
            ])
    }

    @Test func whatWasWrittenIsReadBack() {
        let document = document(zones, throttle)
        #expect(HookDocument(parsing: document.text) == document)
        #expect(HookDocument(parsing: document.text).text == document.text)
    }

    @Test func theSameRowsDoNotDiffer() {
        let found = HookDocument.Section(
            kernel: "Debian 6.1", source: "a later one", rows: [zones, throttle])
        #expect(document(zones, throttle).differences(from: found).isEmpty)
    }

    @Test func aRowThatChangedIsNamedBothWays() {
        var better = throttle
        better.state = "primary"
        better.path = "fentry"
        better.reason = ""
        let found = HookDocument.Section(kernel: "Debian 6.1", rows: [zones, better])
        #expect(
            document(zones, throttle).differences(from: found) == [
                "- throttle.calls: fallback, /proc/vmstat (fentry: refused)",
                "+ throttle.calls: primary, fentry",
            ])
    }

    @Test func aRowThatCameOrWentDiffers() {
        let found = HookDocument.Section(kernel: "Debian 6.1", rows: [zones])
        #expect(document(zones, throttle).differences(from: found).count == 1)
        #expect(document().differences(from: found) == ["+ watermark.zones: primary, timer"])
    }

    @Test func aKernelWithoutATableDiffersInEveryRow() {
        let found = HookDocument.Section(kernel: "Debian 7.0", rows: [zones, throttle])
        #expect(document(zones, throttle).differences(from: found).count == 2)
    }
}

@Suite struct BootImageTests {
    /// A header of protocol 2.15 with two sectors, and 16 bytes of payload 4 bytes after them.
    private func image(_ magic: [UInt8], sectors: UInt8 = 2) -> Data {
        var image = Data(count: (1 + (sectors == 0 ? 4 : Int(sectors))) * 512 + 4)
        image[0x1f1] = sectors
        image.replaceSubrange(0x202..<0x206, with: Data("HdrS".utf8))
        image.replaceSubrange(0x206..<0x208, with: [0x0f, 0x02])
        image[0x248] = 4
        image[0x24c] = 16
        // The length 0x010203 lies at the end.
        return image + magic + Data(count: 12 - magic.count) + Data([3, 2, 1, 0])
    }

    @Test func thePayloadIsWhatThePackersProgramTakes() throws {
        let xz = try BootImage(image([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]))
        #expect(xz.packing == .xz)
        #expect(xz.payload == 1540..<1552, "without the length that the build appended")
        #expect(xz.unpackedBytes == 0x010203)
        #expect(try BootImage(image([0x28, 0xb5, 0x2f, 0xfd])).packing == .zstd)
        let gzip = try BootImage(image([0x1f, 0x8b]))
        #expect(gzip.packing == .gzip)
        #expect(gzip.payload == 1540..<1556, "gzip has the length in itself")
    }

    @Test func noSectorsAreFour() throws {
        #expect(try BootImage(image([0x1f, 0x8b], sectors: 0)).payload.lowerBound == 2564)
    }

    @Test func whatIsNoImageIsNamed() {
        func sentence(_ image: Data) -> String {
            do throws(LabError) {
                _ = try BootImage(image)
                return ""
            } catch {
                return error.sentence
            }
        }
        let good = image([0x1f, 0x8b])
        #expect(sentence(Data()).contains("no boot header"))
        #expect(sentence(Data(count: 4096)).contains("no boot header"))
        #expect(sentence(good.dropLast()).contains("cut short"))
        #expect(sentence(image([1, 2, 3])).contains("neither gzip, xz nor zstd"))
        var old = good
        old[0x206] = 7
        #expect(sentence(old).contains("too old"))
    }
}

@Suite struct TallyStepTests {
    @Test func aStepWithoutAGuestCountsLikeOneWithIt() {
        var tally = Tally()
        tally.count("hooks", passes: true)
        #expect(tally.lines == ["1 passed, 0 failed"])
        #expect(tally.exitStatus == 0)
        tally.count("hooks", passes: false)
        #expect(tally.lines == ["failed: hooks", "1 passed, 1 failed"])
        #expect(tally.exitStatus == 1)
    }
}
