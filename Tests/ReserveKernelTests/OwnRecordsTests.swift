// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import ReserveKernel

@Suite struct OwnRecordsTests {
    private static let pages = 4096

    /// Page faults of another thread, one for each page.
    private func faultElsewhere() {
        let thread = UnsafeMutablePointer<pthread_t>.allocate(capacity: 1)
        defer { thread.deallocate() }
        let result = pthread_create(
            thread, nil,
            { _ in
                let page = Int(sysconf(Int32(_SC_PAGESIZE)))
                let bytes = OwnRecordsTests.pages * page
                guard
                    let room = mmap(
                        nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                else { return nil }
                madvise(room, bytes, Int32(MADV_NOHUGEPAGE))
                for at in stride(from: 0, to: bytes, by: page) {
                    room.storeBytes(of: 1, toByteOffset: at, as: UInt8.self)
                }
                munmap(room, bytes)
                return nil
            }, nil)
        #expect(result == 0)
        pthread_join(thread.pointee, nil)
    }

    private func faults(_ who: __rusage_who) -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(who.rawValue), &usage)
        return usage.ru_minflt
    }

    @Test func faultsBeforeTheLoopAreThoseOfItsThreadAlone() {
        var before = UserRecords.Own()
        var after = UserRecords.Own()
        before.note(boxBytes: 0)
        let process = faults(RUSAGE_SELF)
        faultElsewhere()
        after.note(boxBytes: 0)
        #expect(faults(RUSAGE_SELF) - process >= Self.pages)
        #expect(after.minorFaultsBefore > 0)
        #expect(after.minorFaultsBefore - before.minorFaultsBefore < UInt64(Self.pages))
    }
}
