// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The C library's words for an errno, positive or negative.
public func describe(errno: Int32) -> String {
    String(cString: strerror(errno < 0 ? -errno : errno))
}
