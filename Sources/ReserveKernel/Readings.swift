// SPDX-License-Identifier: Apache-2.0

import CLinux

extension rw_reading {
    /// What was read; nil where that failed, or the file was empty.
    var text: UnsafeRawBufferPointer? {
        length > 0 ? UnsafeRawBufferPointer(start: bytes, count: Int(length)) : nil
    }
}
