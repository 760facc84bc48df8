// A frame in the steady state costs no allocation. Allocations are counted by a hook of Swift's runtime, for the test's own thread.

import Glibc
import HTTP2
import Testing

private typealias Allocate = @convention(c) (UnsafeRawPointer?, Int, Int) -> UnsafeMutableRawPointer

/// Counts the objects that one thread allocates. Arrays are objects too.
private enum Allocations {
    nonisolated(unsafe) static var original: Allocate?
    nonisolated(unsafe) static var thread: pthread_t = 0
    nonisolated(unsafe) static var count = 0

    /// The objects that the calls allocate; nil where this runtime has no such hook.
    static func counted(_ calls: () -> Void) -> Int? {
        guard let hook = dlsym(nil, "_swift_allocObject"),
            let isHooked = dlsym(nil, "_swift_enableSwizzlingOfAllocationAndRefCountingFunctions_forInstrumentsOnly")
        else { return nil }
        let place = hook.assumingMemoryBound(to: Allocate.self)
        original = place.pointee
        thread = pthread_self()
        count = 0
        place.pointee = { metadata, size, alignment in
            if pthread_equal(pthread_self(), Allocations.thread) != 0 { Allocations.count += 1 }
            return Allocations.original!(metadata, size, alignment)
        }
        isHooked.storeBytes(of: true, as: Bool.self)
        calls()
        isHooked.storeBytes(of: false, as: Bool.self)
        place.pointee = original!
        return count
    }
}

/// A session in a class, as a connection has it.
private final class Connection {
    var session = Session(limits: SessionLimits(), now: 0)
    var offset = 0
    var events = 0

    func receive(_ bytes: [UInt8], _ range: Range<Int>) {
        offset = 0
        bytes.withUnsafeBytes { all in
            let input = UnsafeRawBufferPointer(rebasing: all[range])
            while let event = try? session.next(input, from: &offset, now: 0) {
                events += 1
                if case .data(let slot, let piece, _) = event { session.consumed(piece.count, of: slot) }
            }
        }
    }
}

@Suite("What a frame of HTTP/2 costs")
struct AllocationTests {
    @Test("DATA and WINDOW_UPDATE allocate nothing, whole or in pieces, received or sent")
    func steadyState() throws {
        let connection = Connection()
        let streams = (0..<100).flatMap { Wire.headers(UInt32($0) * 2 + 1, Wire.post, ends: false) }
        let start = Wire.start + Wire.windowUpdate(0, 1 << 24) + streams
        connection.receive(start, start.indices)
        let frames = (0..<100).flatMap { (number: Int) -> [UInt8] in
            Wire.data(UInt32(number) * 2 + 1, [1, 2, 3]) + Wire.windowUpdate(UInt32(number) * 2 + 1, 3)
        }
        _ = connection.session.takeControl()
        connection.events = 0
        let found = Allocations.counted {
            for round in 0..<20 {
                let cut = 7 + round * 61
                connection.receive(frames, 0..<cut)
                connection.receive(frames, cut..<frames.count)
                for slot in 0..<100 where connection.session.room(of: slot) > 3 { connection.session.takeRoom(3, of: slot, isLast: false) }
            }
        }
        #expect(connection.events >= 4_000)
        #expect(try #require(found) == 0)
        // The count would see one.
        let seen = Allocations.counted { connection.receive(Wire.ping(), 0..<17) }
        #expect(try #require(seen) > 0)
    }
}
