// SPDX-License-Identifier: Apache-2.0

/// Which slot a key has: a hash table in memory taken at the start. Nothing here allocates
/// after ``init``.
struct SlotIndex: ~Copyable {
    private let keys: UnsafeMutablePointer<UInt64>
    private let slots: UnsafeMutablePointer<Int32>
    private let mask: Int
    /// Slots without a key, as a stack.
    private let free: UnsafeMutablePointer<Int32>
    private(set) var freeCount: Int
    /// By slot: the key that has it, and when that was taken last; 0: it stays.
    private let owners: UnsafeMutablePointer<UInt64>
    private let turns: UnsafeMutablePointer<UInt64>
    private var turn: UInt64 = 0
    /// Keys that may go.
    private var goers = 0
    private let count: Int
    let first: Int

    /// For `count` slots from number `first` on.
    init(first: Int, count: Int) {
        self.first = first
        self.count = count
        var places = 16
        while places < count * 2 { places *= 2 }
        mask = places - 1
        keys = .allocate(capacity: places)
        keys.initialize(repeating: 0, count: places)
        slots = .allocate(capacity: places)
        slots.initialize(repeating: 0, count: places)
        free = .allocate(capacity: count)
        for index in 0..<count { (free + index).initialize(to: Int32(first + count - 1 - index)) }
        freeCount = count
        owners = .allocate(capacity: count)
        owners.initialize(repeating: 0, count: count)
        turns = .allocate(capacity: count)
        turns.initialize(repeating: 0, count: count)
    }

    deinit {
        keys.deallocate()
        slots.deallocate()
        free.deallocate()
        owners.deallocate()
        turns.deallocate()
    }

    @_noAllocation
    private func home(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
    }

    /// Where the key lies, or the empty place where it would.
    @_noAllocation
    private func place(of key: UInt64) -> Int {
        var place = home(key)
        while keys[place] != 0, keys[place] != key { place = (place + 1) & mask }
        return place
    }

    /// The slot of a key; nil when it has none.
    @_noAllocation
    func slot(of key: UInt64) -> Int? {
        let place = place(of: key)
        return keys[place] == key ? Int(slots[place]) : nil
    }

    /// The slot of a key, a free one if it has none yet; nil when all are taken.
    ///
    /// - Parameter mayGo: whether ``releaseOldest()`` may free it again.
    @_noAllocation
    mutating func take(_ key: UInt64, mayGo: Bool = false) -> Int? {
        let place = place(of: key)
        if keys[place] != key {
            guard freeCount > 0 else { return nil }
            freeCount -= 1
            keys[place] = key
            slots[place] = free[freeCount]
            if mayGo { goers += 1 }
        }
        let slot = Int(slots[place])
        if mayGo {
            turn &+= 1
            owners[slot - first] = key
            turns[slot - first] = turn
        }
        return slot
    }

    /// Frees the slot of the key that may go and was taken longest ago; false when none may.
    @_noAllocation
    mutating func releaseOldest() -> Bool {
        guard goers > 0 else { return false }
        var oldest: Int?
        for index in 0..<count where turns[index] > 0 {
            if let known = oldest, turns[known] <= turns[index] { continue }
            oldest = index
        }
        guard let oldest else { return false }
        return release(owners[oldest]) != nil
    }

    /// Frees a key's slot; nil when it had none.
    @_noAllocation
    mutating func release(_ key: UInt64) -> Int? {
        var hole = place(of: key)
        guard keys[hole] == key else { return nil }
        let slot = slots[hole]
        free[freeCount] = slot
        freeCount += 1
        if turns[Int(slot) - first] > 0 {
            turns[Int(slot) - first] = 0
            goers -= 1
        }
        // Whoever was pushed past the hole moves back into it, so that no search stops short.
        var next = (hole + 1) & mask
        while keys[next] != 0 {
            let distance = (next - home(keys[next])) & mask
            if distance >= (next - hole) & mask {
                keys[hole] = keys[next]
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        keys[hole] = 0
        return Int(slot)
    }

    /// Hands every key to `body`.
    @_noAllocation
    func forEach(_ body: (UInt64) -> Void) {
        for place in 0...mask where keys[place] != 0 { body(keys[place]) }
    }
}
