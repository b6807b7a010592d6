// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file that grows, read without reading again what was read.
final class Tail {
    let path: String
    private var handle: FileHandle?
    private var bytes = Data()

    init(path: String) {
        self.path = path
    }

    /// What came since the last call.
    func next() -> Data {
        if handle == nil { handle = FileHandle(forReadingAtPath: path) }
        let more = (try? handle?.readToEnd()) ?? nil
        guard let more else { return Data() }
        bytes.append(more)
        return more
    }

    /// All that came until now. A byte that is no UTF-8 shows as a replacement character.
    var text: String {
        _ = next()
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// How long a file stayed without growing, by the host's clock.
struct GrowthWatch {
    let path: String
    private var size = 0
    private var since = Date()
    private(set) var worstSeconds = 0.0

    init(path: String) {
        self.path = path
    }

    /// How long it has not grown until now; zero before its first byte.
    var silentSeconds: Double { size > 0 ? Date().timeIntervalSince(since) : 0 }

    mutating func look() {
        let now = Date()
        let size =
            (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
        if size > self.size {
            if self.size > 0 { worstSeconds = max(worstSeconds, now.timeIntervalSince(since)) }
            self.size = size
            since = now
        }
    }
}
