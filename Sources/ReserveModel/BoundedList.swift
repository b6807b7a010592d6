// SPDX-License-Identifier: Apache-2.0

/// A list whose room is taken at the start and never grows: what does not fit is counted.
///
/// Order is that of arrival, so that the same events always give the same picture.
public struct BoundedList<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    public let capacity: Int
    /// Elements that found no room.
    public private(set) var overflowed: UInt64 = 0

    public init(capacity: Int) {
        self.capacity = capacity
        elements.reserveCapacity(capacity)
    }

    public var count: Int { elements.count }
    public var isEmpty: Bool { elements.isEmpty }
    public var indices: Range<Int> { elements.indices }

    public subscript(index: Int) -> Element {
        get { elements[index] }
        _modify { yield &elements[index] }
    }

    /// Adds at the end; false, and counted, when there is no room.
    @discardableResult
    public mutating func append(_ element: Element) -> Bool {
        guard elements.count < capacity else {
            overflowed &+= 1
            return false
        }
        elements.append(element)
        return true
    }

    /// Replaces the first element that `matches`, or adds at the end.
    mutating func put(_ element: Element, where matches: (borrowing Element) -> Bool) {
        if let index = firstIndex(where: matches) {
            elements[index] = element
        } else {
            append(element)
        }
    }

    public mutating func insert(_ element: Element, at index: Int) {
        guard elements.count < capacity else {
            overflowed &+= 1
            return
        }
        elements.insert(element, at: index)
    }

    public mutating func remove(at index: Int) {
        elements.remove(at: index)
    }

    public mutating func removeAll() {
        elements.removeAll(keepingCapacity: true)
    }

    /// The index of the first element that `matches`, or nil.
    public func firstIndex(where matches: (borrowing Element) -> Bool) -> Int? {
        for index in elements.indices where matches(elements[index]) { return index }
        return nil
    }
}
