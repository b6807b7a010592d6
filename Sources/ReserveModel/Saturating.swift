// SPDX-License-Identifier: Apache-2.0

// A recording may hold any figure: what is too large stays as large as can be, and ends nothing.
extension UInt64 {
    package func addedSaturating(to other: UInt64) -> UInt64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? .max : sum
    }

    package func multipliedSaturating(by other: UInt64) -> UInt64 {
        let (product, isOver) = multipliedReportingOverflow(by: other)
        return isOver ? .max : product
    }
}
